//! CSV after RFC 4180, safe to open in a spreadsheet.

use crate::text::clean;
use std::io::{self, Write};

/// Writes rows.
pub fn write(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        let cells: Vec<String> = row.iter().map(|c| cell(c)).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

fn cell(text: &str) -> String {
    let mut text = clean(text).into_owned();
    // A spreadsheet would take it for a formula.
    if text.starts_with(['=', '+', '-', '@']) {
        text.insert(0, '\'');
    }
    if text.contains([',', '"', ' ', ';']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
