//! The catalogue of lints as documentation.

use crate::rules::{Lint, TABLE};
use std::fmt::Write;

/// All lints, by code.
pub fn catalogue() -> &'static [&'static Lint] {
    TABLE
}

/// One lint's page as Markdown; `None` if there is no such code.
pub fn page(code: &str) -> Option<String> {
    let lint = TABLE.iter().find(|l| l.code.eq_ignore_ascii_case(code))?;
    Some(format!(
        "## {} {}\n\n**{}** · {}\n\n{}\n",
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
    for lint in TABLE {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} | {} | {} | {} |", lint.code, lint.name, lint.severity.name(), lint.summary);
    }
    for lint in TABLE {
        out.push('\n');
        out.push_str(&page(lint.code).unwrap_or_default());
    }
    out
}
