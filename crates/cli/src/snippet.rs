//! The user's own lines, cut out around marked places, and drawn.
//!
//! Input: sources and origins (1-based lines and columns, in characters). Output: owned excerpts, drawn by
//! `annotate-snippets`. Only the lines around a mark are kept; a line too long to read (minified JSON) is named by place
//! only. Characters that could steer a terminal are replaced one for one, so that columns stay true.

use crate::text::{clean, masked};
use annotate_snippets::{AnnotationKind, Group, Level, Origin as At, Renderer, Snippet};
use std::ops::Range;
use watertight_model::{Origin, Source};

/// Lines longer than this (in bytes) are not drawn.
const LONGEST_LINE: usize = 600;
/// Lines kept above and below a mark.
const AROUND: usize = 1;
/// Lines of one mark that are kept at its start and at its end when it is longer than both together.
const ENDS: usize = 6;
/// Marks with at most so many lines between them are drawn in one piece.
const APART: usize = 12;

/// A place with something to say about it.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Where.
    pub at: Origin,
    /// What; may be empty.
    pub label: String,
    /// The main place, not a hint.
    pub primary: bool,
}

/// Lines around marks.
#[derive(Clone, Debug, Default)]
pub struct Excerpt {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    /// Lines of one source.
    Lines { path: String, first: usize, text: String, marks: Vec<(Range<usize>, String, bool)> },
    /// A place whose lines are not shown.
    Place { path: String, line: usize, column: usize, label: String },
}

/// Whether a source has lines that people wrote: a live cluster has none.
pub fn has_lines(source: &Source) -> bool {
    !source.name.starts_with("cluster:")
}

impl Excerpt {
    /// Cuts the lines around the marks out of their sources. Pieces come in the order of their first mark.
    pub fn cut(sources: &[Source], marks: &[Mark]) -> Self {
        let mut pieces = Vec::new();
        let mut left: Vec<&Mark> = marks.iter().collect();
        while let Some(first) = left.first().copied() {
            let (mut here, mut rest): (Vec<&Mark>, Vec<&Mark>) =
                left.into_iter().partition(|m| m.at.source == first.at.source && near(first, m));
            here.sort_by_key(|m| (m.at.line, m.at.column));
            if let Some(source) = sources.get(first.at.source.0 as usize) {
                match lines(source, &here) {
                    Some(piece) => pieces.push(piece),
                    None => pieces.extend(here.iter().map(|m| place(source, m))),
                }
            }
            left = std::mem::take(&mut rest);
        }
        Self { pieces }
    }

    /// True if there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// True if lines are shown, not just places.
    pub fn has_lines(&self) -> bool {
        self.pieces.iter().any(|p| matches!(p, Piece::Lines { .. }))
    }

    /// Adds the pieces to a group. Elements borrow from the excerpt.
    pub(crate) fn elements<'a>(&'a self, mut group: Group<'a>) -> Group<'a> {
        for piece in &self.pieces {
            group = match piece {
                Piece::Lines { path, first, text, marks } => {
                    let mut snippet = Snippet::source(text.as_str()).path(path.as_str()).line_start(*first).fold(true);
                    for (span, label, primary) in marks {
                        let kind = if *primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                        let mark = kind.span(span.clone());
                        snippet = snippet.annotation(if label.is_empty() { mark } else { mark.label(label.as_str()) });
                    }
                    group.element(snippet)
                }
                Piece::Place { path, line, column, label } => {
                    let mut at = At::path(path.as_str());
                    if *line > 0 {
                        at = at.line(*line).char_column(*column);
                    }
                    let group = group.element(at);
                    if label.is_empty() { group } else { group.element(Level::NOTE.no_name().message(label.as_str())) }
                }
            };
        }
        group
    }

    /// The excerpt as text, without a title.
    pub fn draw(&self, colour: bool, width: Option<usize>) -> String {
        let group = self.elements(Group::with_level(Level::NOTE));
        let mut text = renderer(colour, width).render(&[group]);
        text.push('\n');
        text
    }
}

/// The one renderer: ASCII, as wide as the terminal.
pub(crate) fn renderer(colour: bool, width: Option<usize>) -> Renderer {
    /// Width where there is no terminal: nothing is cut.
    const WIDE: usize = 4096;
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(width.unwrap_or(WIDE))
}

fn near(a: &Mark, b: &Mark) -> bool {
    let gap = (b.at.line.saturating_sub(a.at.end_line)).max(a.at.line.saturating_sub(b.at.end_line));
    gap as usize <= APART && (a.at.line == 0) == (b.at.line == 0)
}

fn place(source: &Source, mark: &Mark) -> Piece {
    Piece::Place {
        path: clean(&source.name).into_owned(),
        line: if has_lines(source) { mark.at.line as usize } else { 0 },
        column: mark.at.column as usize,
        label: clean(&mark.label).into_owned(),
    }
}

/// The lines around these marks of one source; `None` if they cannot be shown.
fn lines(source: &Source, marks: &[&Mark]) -> Option<Piece> {
    let text = source.text.as_ref().filter(|_| has_lines(source))?;
    let first = marks.iter().map(|m| m.at.line as usize).min().filter(|line| *line > 0)?;
    let last = marks.iter().map(|m| m.at.end_line.max(m.at.line) as usize).max()?;
    let from = first.saturating_sub(AROUND).max(1);
    let mut out = String::new();
    // Start of each kept line in `out`, by line number from `from` on.
    let mut starts: Vec<usize> = Vec::new();
    for line in text.split('\n').skip(from - 1).take(last + AROUND + 1 - from) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        // A byte-order mark counts as no column.
        let line = if from + starts.len() == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.len() > LONGEST_LINE {
            return None;
        }
        starts.push(out.len());
        out.push_str(&masked(line));
        out.push('\n');
    }
    let offset = |line: u32, column: u32| -> Option<usize> {
        let start = *starts.get((line as usize).checked_sub(from)?)?;
        let rest = out.get(start..)?.lines().next().unwrap_or_default();
        let bytes = rest.char_indices().nth((column.max(1) - 1) as usize).map_or(rest.len(), |(i, _)| i);
        Some(start + bytes)
    };
    let mut spans = Vec::new();
    for mark in marks {
        let start = offset(mark.at.line, mark.at.column)?;
        let mut end = offset(mark.at.end_line.max(mark.at.line), mark.at.end_column).unwrap_or(start).max(start);
        let height = mark.at.end_line.saturating_sub(mark.at.line) as usize;
        if height > 2 * ENDS {
            // A long block: its first line stands for it.
            end = start + out.get(start..)?.find('\n').unwrap_or(0);
        }
        if end == start && out[start..].chars().next().is_some_and(|c| c != '\n') {
            end += out[start..].chars().next().map_or(0, char::len_utf8);
        }
        spans.push((start..end, clean(&mark.label).into_owned(), mark.primary));
    }
    Some(Piece::Lines { path: clean(&source.name).into_owned(), first: from, text: out, marks: spans })
}

#[cfg(test)]
mod tests;
