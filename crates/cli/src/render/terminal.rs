//! Pages for a terminal.

use super::Look;
use crate::page::{Block, Page, Table, Text, Tone};
use crate::text::{clean, clean_lines};
use anstyle::{AnsiColor, Effects, Style};

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
    }
}

fn draw_table(table: &Table, look: Look, out: &mut String) {
    let cells: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(|c| clean(&c.plain()).into_owned()).collect()).collect();
    let mut widths: Vec<usize> = table.columns.iter().map(|c| c.chars().count()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let last = widths.len().saturating_sub(1);
    let mut line = |cells: Vec<(String, usize)>| {
        let mut text = String::new();
        for (i, (shown, length)) in cells.into_iter().enumerate() {
            text.push_str(&shown);
            if i < last {
                text.push_str(&" ".repeat(widths[i] - length + 3));
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(table.columns.iter().map(|c| (paint(Tone::Strong, c, look), c.chars().count())).collect());
    for (i, row) in table.rows.iter().enumerate() {
        let same = match i.checked_sub(1) {
            Some(above) => cells[i].iter().zip(&cells[above]).take(table.grouped).take_while(|(a, b)| a == b).count(),
            None => 0,
        };
        let shown = row.iter().enumerate().map(|(c, cell)| {
            if c < same { (String::new(), 0) } else { (styled(cell, look), cells[i][c].chars().count()) }
        });
        line(shown.collect());
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
