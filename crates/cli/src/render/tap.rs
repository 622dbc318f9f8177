//! Test Anything Protocol, version 14 (testanything.org): one line per assertion, a YAML block under each that fails.

use super::results::{Item, Outcome, Results};
use crate::text::clean;
use std::io::{self, Write};

/// Writes the plan and one test point per item. A run without an answer bails out.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "TAP version 14")?;
    if results.failed.is_some() {
        for item in &results.items {
            writeln!(out, "Bail out! {}", escaped(&item.sentence()))?;
        }
        return Ok(());
    }
    writeln!(out, "1..{}", results.items.len())?;
    for (i, item) in results.items.iter().enumerate() {
        point(i + 1, item, out)?;
    }
    Ok(())
}

fn point(number: usize, item: &Item, out: &mut dyn Write) -> io::Result<()> {
    let (word, directive) = match &item.outcome {
        Outcome::Pass => ("ok", String::new()),
        Outcome::Fail | Outcome::Error => ("not ok", String::new()),
        Outcome::Suppressed(reason) => ("ok", format!(" # SKIP suppressed: {}", escaped(&clean(reason)))),
        Outcome::Baselined => ("ok", " # SKIP in the baseline".to_owned()),
    };
    let name = if item.name.is_empty() { &item.object } else { &item.name };
    writeln!(out, "{word} {number} - {}{directive}", escaped(&clean(name)))?;
    if !item.counts() {
        return Ok(());
    }
    // JSON strings are YAML strings.
    let quoted = |text: &str| serde_json::Value::from(clean(text).as_ref()).to_string();
    writeln!(out, "  ---\n  message: {}\n  severity: fail", quoted(&item.message))?;
    if let Some(place) = &item.place {
        writeln!(
            out,
            "  at:\n    file: {}\n    line: {}\n    column: {}",
            quoted(&place.file),
            place.line,
            place.column
        )?;
    }
    if let Some(help) = &item.help {
        writeln!(out, "  help: {}", quoted(help))?;
    }
    writeln!(out, "  ...")
}

/// A description: `#` would begin a directive, a backslash an escape.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}
