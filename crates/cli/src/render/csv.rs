//! CSV after RFC 4180, safe to open in a spreadsheet.

use crate::text::clean;
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes one row.
pub fn row(cells: &[&str], out: &mut dyn Write) -> io::Result<()> {
    for (i, text) in cells.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(out, "{comma}{}", cell(text))?;
    }
    out.write_all(b"\n")
}

fn cell(text: &str) -> Cow<'_, str> {
    let mut text = clean(text);
    // A spreadsheet would take it for a formula.
    if text.starts_with(['=', '+', '-', '@']) {
        text.to_mut().insert(0, '\'');
    }
    if text.contains([',', '"', ' ', ';']) { format!("\"{}\"", text.replace('"', "\"\"")).into() } else { text }
}
