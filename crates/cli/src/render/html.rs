//! Pages as HTML: one file that needs nothing else. No scripts, nothing loaded, readable by screen readers, light and dark as
//! the reader has set it, printable. Strings from inputs are text and nothing else. It is well-formed XML too, so that a test can
//! read it.

use super::xml::{escaped, lines};
use crate::page::{Block, Page, Text, Tone};
use crate::text::clean_lines;
use std::fmt::Write;

/// Colours have a contrast of at least 4.5:1 on their ground, and never carry meaning alone.
const STYLE: &str = include_str!("report.css");

/// The page as a whole document.
pub fn text(title: &str, page: &Page) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<meta name=\"robots\" content=\"noindex\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header><h1>{title}</h1></header>\n<main>\n",
        title = escaped(title),
    );
    for block in &page.blocks {
        draw(block, &mut out);
    }
    let _ = write!(
        out,
        "</main>\n<footer><p>watertight {}. A map of what is open in a cluster is of use to an attacker too: share it with care.</p></footer>\n\
         </body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn draw(block: &Block, out: &mut String) {
    let _ = match block {
        Block::Heading(heading) => writeln!(out, "<h2>{}</h2>", coded(heading)),
        Block::Line(line) => writeln!(out, "<p>{}</p>", styled(line)),
        Block::Items(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}</li>\n", styled(item))).collect();
            writeln!(out, "<ul>\n{items}</ul>")
        }
        Block::Facts(facts) => {
            let facts: String = facts
                .iter()
                .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name.trim()), styled(value)))
                .collect();
            writeln!(out, "<dl>\n{facts}</dl>")
        }
        Block::Table(table) => {
            let head: String = table.columns.iter().map(|c| format!("<th scope=\"col\">{}</th>", escaped(c))).collect();
            let row = |row: &Vec<Text>| {
                let cells: String = row.iter().map(|cell| format!("<td>{}</td>", styled(cell))).collect();
                format!("<tr>{cells}</tr>\n")
            };
            let rows: String = table.rows.iter().map(row).collect();
            let label = escaped(&table.columns.join(", ").to_lowercase());
            // Wide tables scroll by themselves, and can be reached by keyboard.
            writeln!(
                out,
                "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Table: {label}\">\n<table>\n\
                 <thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>"
            )
        }
        Block::Code(_, code) => pre("Code", code, out),
        Block::Excerpt(excerpt) => pre("Lines of the input", &excerpt.draw(false, None), out),
        Block::Markdown(markdown) => {
            document(markdown, out);
            Ok(())
        }
        // Open: what is printed or searched is there.
        Block::Details(summary, part) => {
            let _ = writeln!(out, "<details open=\"open\">\n<summary>{}</summary>", coded(summary));
            part.blocks.iter().for_each(|block| draw(block, out));
            writeln!(out, "</details>")
        }
    };
}

fn pre(label: &str, text: &str, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<pre role=\"region\" tabindex=\"0\" aria-label=\"{label}\">{}</pre>", lines(&clean_lines(text)))
}

fn styled(text: &Text) -> String {
    let span = |(tone, span): &(Tone, watertight_model::Str)| {
        let class = match tone {
            Tone::Plain => return coded(span),
            Tone::Strong => "strong",
            Tone::Dim => "dim",
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
        };
        format!("<span class=\"{class}\">{}</span>", coded(span))
    };
    text.spans.iter().map(span).collect()
}

/// Text in which what is in backticks is code, if they come in pairs.
fn coded(text: &str) -> String {
    let text = escaped(text);
    if !text.matches('`').count().is_multiple_of(2) {
        return text;
    }
    let part =
        |(i, part): (usize, &str)| if i.is_multiple_of(2) { part.to_owned() } else { format!("<code>{part}</code>") };
    text.split('`').enumerate().map(part).collect()
}

/// The little Markdown of our own catalogue: headings, lists, code, paragraphs.
fn document(markdown: &str, out: &mut String) {
    let text = clean_lines(markdown);
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let mut following = |own: &str, goes_on: fn(&str) -> bool| {
            let mut whole = own.to_owned();
            while let Some(next) = rest.next_if(|l| goes_on(l)) {
                whole.push(' ');
                whole.push_str(next.trim());
            }
            bold(&coded(&whole))
        };
        let plain = |l: &str| !l.trim().is_empty() && !l.starts_with(['#', '*', '-', '`']);
        let _ = if line.trim().is_empty() {
            Ok(())
        } else if let Some(heading) = line.strip_prefix("### ") {
            writeln!(out, "<h3>{}</h3>", coded(heading))
        } else if let Some(heading) = line.strip_prefix("## ") {
            writeln!(out, "<h2>{}</h2>", coded(heading))
        } else if let Some(fence) = line.strip_prefix("```").map(|_| line.len() - line.trim_start_matches('`').len()) {
            let end = "`".repeat(fence);
            let code: String = rest.by_ref().take_while(|l| **l != end).map(|l| format!("{l}\n")).collect();
            pre("Code", &code, out)
        } else if let Some(item) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
            writeln!(out, "<ul><li>{}</li></ul>", following(item, |l| l.starts_with("  ")))
        } else {
            writeln!(out, "<p>{}</p>", following(line, plain))
        };
    }
}

/// `**bold**`, if the marks come in pairs.
fn bold(html: &str) -> String {
    let parts: Vec<&str> = html.split("**").collect();
    if parts.len().is_multiple_of(2) {
        return html.to_owned();
    }
    let part = |(i, part): (usize, &&str)| {
        if i.is_multiple_of(2) { (*part).to_owned() } else { format!("<strong>{part}</strong>") }
    };
    parts.iter().enumerate().map(part).collect()
}
