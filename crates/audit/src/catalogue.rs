//! The catalogue of lints as documentation.

use crate::rules::{Check, Lint, table};
use std::fmt::Write;

/// All lints, by code.
pub fn catalogue() -> &'static [&'static Lint] {
    table()
}

/// One lint's page as Markdown; `None` if there is no such code.
pub fn page(code: &str) -> Option<String> {
    let lint = table().iter().find(|l| l.code.eq_ignore_ascii_case(code))?;
    let waits = match lint.check {
        Check::Waits(input) => format!("\n\nNeeds {input}, which is not read yet: this lint never fires."),
        Check::Reader => "\n\nFound while reading: an error refuses the input.".to_owned(),
        Check::World(_) | Check::Audit => String::new(),
    };
    Some(format!(
        "## {} {}\n\n**{}** · {}\n\n{}{waits}\n",
        lint.code,
        lint.name,
        lint.severity.name(),
        lint.summary,
        lint.page.trim()
    ))
}

/// The whole catalogue as one Markdown page (`docs/lints.md`).
pub fn markdown() -> String {
    let mut out = String::from(
        "# Lints\n\nGenerated from `crates/audit/src/rules`. Every finding is proved by the engine: text may nominate a candidate, \
         a flow decides.\n\n| code | name | severity | finds |\n|---|---|---|---|\n",
    );
    for lint in table() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} | {} | {} | {} |", lint.code, lint.name, lint.severity.name(), lint.summary);
    }
    for lint in table() {
        out.push('\n');
        out.push_str(&page(lint.code).unwrap_or_default());
    }
    out
}
