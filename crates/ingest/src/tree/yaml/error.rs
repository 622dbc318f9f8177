//! The YAML parser's errors in our words, and the cause where it is another than the parser can see.

use granit_parser::{ErrorKind as Granit, ScanError};

use super::super::place::Chunk;
use super::super::{ErrorKind, Span, TreeError};
use crate::limits::Limits;

/// How many lines before an error a template action is looked for.
const TEMPLATE_LINES: usize = 100;

/// The parser's error as ours.
pub(super) fn raise(chunk: &Chunk<'_>, error: &ScanError, limits: &Limits) -> TreeError {
    let at = error.marker().byte_offset().unwrap_or(0);
    let span = chunk.char_span(at);
    let kind = match error.kind() {
        Granit::RecursionLimitExceeded => ErrorKind::TooDeep { limit: limits.max_depth },
        Granit::DirectiveDisallowed => ErrorKind::Directive,
        Granit::TabNotAllowed
        | Granit::TabInBlockIndentation
        | Granit::TabInIndentation
        | Granit::TabInPlainScalar
        | Granit::TabAtBlockScalarStart => {
            return TreeError { kind: ErrorKind::Tab, span: tab_near(chunk, at).unwrap_or(span) };
        }
        other => ErrorKind::YamlSyntax { message: other.to_string().to_lowercase() },
    };
    TreeError { kind, span }
}

/// The tab that indents the line of the error or the next one that is not blank: the parser may stop before it.
fn tab_near(chunk: &Chunk<'_>, at: usize) -> Option<Span> {
    let mut range = chunk.line_range(at);
    loop {
        let line = &chunk.text[range.clone()];
        let indent = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
        if let Some(tab) = line[..indent].find('\t') {
            return Some(chunk.char_span(range.start + tab));
        }
        if range.start > at && !line.trim().is_empty() || range.end >= chunk.text.len() {
            return None;
        }
        range = chunk.line_range(range.end + 1);
    }
}

/// The errors of one document by place; those that come of an unrendered template say so, once per line.
pub(super) fn explain(chunk: &Chunk<'_>, mut errors: Vec<TreeError>) -> Vec<TreeError> {
    errors.sort_by_key(|e| (e.span.start, e.span.end));
    if chunk.text.contains("{{") {
        for error in &mut errors {
            let grammar = matches!(
                error.kind,
                ErrorKind::YamlSyntax { .. } | ErrorKind::ComplexKey { .. } | ErrorKind::Tab | ErrorKind::MissingKey
            );
            if let Some(span) =
                grammar.then(|| template_before(chunk, (error.span.start - chunk.byte) as usize)).flatten()
            {
                *error = TreeError { kind: ErrorKind::Template, span };
            }
        }
        errors.dedup_by(|b, a| b.kind == ErrorKind::Template && a.kind == b.kind && a.span.line == b.span.line);
    }
    errors
}

/// The template action on the line of the error, or else the nearest one before it that stands where YAML structure is
/// expected: at the start of a line or of a value, unquoted.
fn template_before(chunk: &Chunk<'_>, at: usize) -> Option<Span> {
    let line = chunk.line_range(at);
    if let Some(found) = chunk.text[line.clone()].find("{{") {
        return Some(action(chunk, line.start + found));
    }
    let mut end = line.start;
    for _ in 0..TEMPLATE_LINES {
        if end == 0 {
            break;
        }
        let range = chunk.line_range(end - 1);
        let text = &chunk.text[range.clone()];
        let trimmed = text.trim_start();
        if trimmed.starts_with("{{") || text.contains(": {{") || text.contains("- {{") {
            return text.find("{{").map(|found| action(chunk, range.start + found));
        }
        end = range.start;
    }
    None
}

/// The span of `{{ … }}`, or of the rest of the line.
fn action(chunk: &Chunk<'_>, at: usize) -> Span {
    let line = chunk.line_range(at);
    let end = chunk.text[at..line.end].find("}}").map_or(line.end, |i| at + i + 2);
    chunk.span(at, end)
}
