//! Annotations as GitHub's runner reads them from a step's log: `::error file=…,line=…::message`.
//!
//! GitHub shows ten of each level and step, and drops the rest without a word. All are written, worst first (the log keeps
//! them, and other runners have no such limit), and a last line says how many GitHub leaves out.

use super::results::{Item, Level, Outcome, Results};
use crate::text::{clean, count};
use std::io::{self, Write};

/// Annotations of one level that GitHub shows per step (`actions/toolkit`, `docs/problem-matchers.md`).
const SHOWN: usize = 10;

/// Writes one annotation per item that counts.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    let mut counts = [0_usize; 3];
    for item in results.items.iter().filter(|i| i.counts()) {
        counts[item.level as usize] += 1;
        writeln!(out, "{}", line(item))?;
    }
    let left: usize = counts.iter().map(|n| n.saturating_sub(SHOWN)).sum();
    if left > 0 {
        let all = count(counts.iter().sum(), "annotation");
        writeln!(
            out,
            "{all}: GitHub shows {SHOWN} of each level per step and leaves out {left}; all are in this log, and in `-o sarif`"
        )?;
    }
    Ok(())
}

fn line(item: &Item) -> String {
    let command = match (item.level, &item.outcome) {
        (_, Outcome::Error) | (Level::Error, _) => "error",
        (Level::Warning, _) => "warning",
        (Level::Note, _) => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = item.place.as_ref().filter(|place| place.is_file()) {
        properties.push(format!("file={}", property(place.file.strip_prefix("./").unwrap_or(&place.file))));
        properties.push(format!("line={},endLine={}", place.line, place.end_line));
        // GitHub refuses columns where the two lines differ.
        if place.line == place.end_line {
            properties.push(format!("col={},endColumn={}", place.column, place.end_column));
        }
    }
    properties.push(format!("title={}", property(format!("{} {}", item.rule, item.name).trim_end())));
    let help = item.help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {}", clean(help)));
    format!("::{command} {}::{}", properties.join(","), data(&format!("{}{help}", item.sentence())))
}

/// Text of a message: a line break or a percent sign would end or change the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text of a property: separators too.
fn property(text: &str) -> String {
    data(&clean(text)).replace(':', "%3A").replace(',', "%2C")
}
