//! Pages for a terminal.

use super::Look;
use crate::page::{Block, Page, Table, Text, Tone};
use crate::text::{clean, clean_lines};
use anstyle::{AnsiColor, Effects, Style};

/// Spaces between two columns.
const GAP: usize = 3;

/// The page as text. Every string is made harmless here.
pub fn text(page: &Page, look: Look) -> String {
    let mut out = String::new();
    for (i, block) in page.blocks.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|b| page.blocks.get(b));
        if before.is_some_and(|before| apart(before, block)) {
            out.push('\n');
        }
        draw(block, look, &mut out);
    }
    out
}

/// Whether an empty line belongs between two blocks.
fn apart(before: &Block, block: &Block) -> bool {
    !matches!(
        (before, block),
        (Block::Heading(_), _)
            | (Block::Line(_), Block::Line(_) | Block::Items(_) | Block::Excerpt(_) | Block::Code(..))
    )
}

fn draw(block: &Block, look: Look, out: &mut String) {
    match block {
        Block::Heading(heading) => {
            out.push_str(&paint(Tone::Strong, &clean(heading), look));
            out.push('\n');
        }
        Block::Line(line) => {
            out.push_str(&styled(line, look));
            out.push('\n');
        }
        Block::Items(items) => {
            for item in items {
                out.push_str(&format!("  - {}\n", styled(item, look)));
            }
        }
        Block::Facts(facts) => {
            let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            for (name, value) in facts {
                let pad = " ".repeat(width - name.chars().count());
                out.push_str(&format!("{}{pad}  {}\n", paint(Tone::Strong, &clean(name), look), styled(value, look)));
            }
        }
        Block::Table(table) => draw_table(table, look, out),
        Block::Code(_, code) => {
            for line in code.lines() {
                let line = format!("    {}", clean(line));
                out.push_str(line.trim_end());
                out.push('\n');
            }
        }
        Block::Markdown(markdown) => out.push_str(&clean_lines(markdown)),
        Block::Excerpt(excerpt) => out.push_str(&excerpt.draw(look.colour, look.width)),
        Block::Details(summary, part) => {
            out.push_str(&format!("{}\n", paint(Tone::Strong, &clean(summary), look)));
            out.push_str(&text(part, look));
        }
    }
}

fn draw_table(table: &Table, look: Look, out: &mut String) {
    let length = |cell: &Text| cell.spans.iter().map(|(_, span)| clean(span).chars().count()).sum::<usize>();
    let mut widths: Vec<usize> = table.columns.iter().map(|c| c.chars().count()).collect();
    for row in &table.rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(cell));
        }
    }
    let last = widths.len().saturating_sub(1);
    let mut cell = |i: usize, shown: &str, length: usize| {
        out.push_str(shown);
        if i < last {
            (length..widths[i] + GAP).for_each(|_| out.push(' '));
        } else {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
    };
    for (i, column) in table.columns.iter().enumerate() {
        cell(i, &paint(Tone::Strong, column, look), column.chars().count());
    }
    for (r, row) in table.rows.iter().enumerate() {
        let above = r.checked_sub(1).map_or(&[][..], |above| &table.rows[above]);
        let same = row.iter().zip(above).take(table.grouped).take_while(|(a, b)| a == b).count();
        for (i, text) in row.iter().enumerate() {
            if i < same { cell(i, "", 0) } else { cell(i, &styled(text, look), length(text)) }
        }
    }
}

/// A text with its tones.
fn styled(text: &Text, look: Look) -> String {
    text.spans.iter().map(|(tone, span)| paint(*tone, &clean(span), look)).collect()
}

fn paint(tone: Tone, text: &str, look: Look) -> String {
    let style = match tone {
        Tone::Plain => Style::new(),
        Tone::Strong => Style::new().effects(Effects::BOLD),
        Tone::Dim => Style::new().effects(Effects::DIMMED),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Warn => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
    };
    if look.colour && tone != Tone::Plain { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
