//! Pages as Markdown.

use crate::page::{Block, Page, Text, Tone};
use crate::text::{clean, clean_lines};
use watertight_model::Str;

/// The page as Markdown. Strings from inputs are escaped: they cannot become links, images or HTML.
pub fn text(page: &Page) -> String {
    let mut out = String::new();
    for block in &page.blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        match block {
            Block::Heading(heading) => out.push_str(&format!("### {}\n", escaped(heading))),
            Block::Line(line) => out.push_str(&format!("{}\n", styled(line))),
            Block::Items(items) => items.iter().for_each(|item| out.push_str(&format!("- {}\n", styled(item)))),
            Block::Facts(facts) => {
                facts.iter().for_each(|(name, value)| {
                    out.push_str(&format!("- **{}**: {}\n", escaped(name.trim()), styled(value)))
                });
            }
            Block::Table(table) => {
                let columns: Vec<String> = table.columns.iter().map(|c| escaped(c)).collect();
                out.push_str(&format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len())));
                for row in &table.rows {
                    let cells: Vec<String> = row.iter().map(styled).collect();
                    out.push_str(&format!("| {} |\n", cells.join(" | ")));
                }
            }
            Block::Code(language, code) => out.push_str(&fenced(language, &clean_lines(code))),
            Block::Markdown(markdown) => out.push_str(&clean_lines(markdown)),
            Block::Excerpt(excerpt) => out.push_str(&fenced("text", &excerpt.draw(false, None))),
            Block::Details(summary, part) => {
                // A line of HTML: Markdown's escapes mean nothing in it.
                let summary = clean(summary).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                out.push_str(&format!("<details>\n<summary>{summary}</summary>\n\n{}\n</details>\n", self::text(part)));
            }
        }
    }
    out
}

/// A code block whose fence is longer than any inside.
fn fenced(language: &str, code: &str) -> String {
    let mut fence = "```".to_owned();
    while code.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}{language}\n{code}{fence}\n")
}

fn styled(text: &Text) -> String {
    let span = |(tone, span): &(Tone, Str)| match tone {
        _ if span.trim().is_empty() => span.to_string(),
        Tone::Strong | Tone::Bad => format!("**{}**", escaped(span)),
        Tone::Plain | Tone::Dim | Tone::Good | Tone::Warn => escaped(span),
    };
    text.spans.iter().map(span).collect()
}

/// Text that means itself. What is in backticks stays code.
fn escaped(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    // An odd backtick is no code span.
    let spans = text.matches('`').count().is_multiple_of(2);
    let mut code = false;
    for c in text.chars() {
        match c {
            '`' if spans => {
                code = !code;
                out.push('`');
            }
            '|' => out.push_str("\\|"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '!' | '~' if !code => {
                out.push('\\');
                out.push(c);
            }
            '&' if !code => out.push_str("&amp;"),
            '@' if !code => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out
}
