//! The parser's positions made into ours: the parser places some nodes beside what a reader would underline.

use super::super::place::{count_lines, n32};
use super::super::{ErrorKind, Span};
use super::builder::Builder;

/// The end of something: offset just past it, line and column just past it.
#[derive(Clone, Copy, Default)]
pub(super) struct End {
    pub(super) byte: u32,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl<'a> Builder<'a, '_> {
    pub(super) fn see(&mut self, span: &Span) {
        self.last = End { byte: span.end, line: span.end_line, column: span.end_column };
    }

    pub(super) fn span(&self, at: &granit_parser::Span) -> Span {
        let byte = |mark: &granit_parser::Marker| self.chunk.byte + n32(mark.byte_offset().unwrap_or(0));
        Span {
            start: byte(&at.start),
            end: byte(&at.end),
            line: self.chunk.line - 1 + n32(at.start.line()),
            column: n32(at.start.col()) + 1,
            end_line: self.chunk.line - 1 + n32(at.end.line()),
            end_column: n32(at.end.col()) + 1,
        }
    }

    pub(super) fn text(&self, at: &granit_parser::Span) -> &'a str {
        at.slice(self.chunk.text).unwrap_or("")
    }

    pub(super) fn local(&self, byte: u32) -> usize {
        (byte - self.chunk.byte) as usize
    }

    /// Moves the empty span of an omitted value, which stands behind its key, behind the colon.
    pub(super) fn behind_colon(&self, span: &mut Span) {
        let rest = &self.chunk.text.as_bytes()[self.local(span.start)..];
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if rest.get(blanks) == Some(&b':') {
            let by = n32(blanks) + 1;
            span.start += by;
            span.column += by;
            (span.end, span.end_line, span.end_column) = (span.start, span.line, span.column);
        }
    }

    /// Moves the start of a block sequence to its first dash. The parser places a sequence that is not indented below its
    /// key behind the dash.
    pub(super) fn to_dash(&self, span: &mut Span) {
        let at = self.local(span.start);
        let bytes = self.chunk.text.as_bytes();
        if bytes.get(at) == Some(&b'-') {
            return;
        }
        let Some(key) = self.frames.last().and_then(|f| f.key.as_ref()) else { return };
        // The first line below the key that has a dash in the key's column.
        let indent = (key.span.column - 1) as usize;
        let mut line_start = self.local(key.span.end);
        let mut line = key.span.end_line;
        while let Some(feed) = self.chunk.text[line_start..].find('\n') {
            line_start += feed + 1;
            line += 1;
            let dash = line_start + indent;
            if line_start > at {
                return;
            }
            if bytes.get(dash) == Some(&b'-') && bytes[line_start..dash].iter().all(|b| *b == b' ') {
                let start = self.chunk.byte + n32(dash);
                *span = Span {
                    start,
                    end: start,
                    line,
                    column: n32(indent) + 1,
                    end_line: line,
                    end_column: n32(indent) + 1,
                };
                return;
            }
        }
    }

    /// Takes the white space off the end of a span.
    pub(super) fn trim(&self, span: &mut Span) {
        let (start, end) = (self.local(span.start), self.local(span.end));
        let text = &self.chunk.text[start..end];
        let kept = text.trim_end();
        if kept.len() == text.len() || kept.is_empty() {
            return;
        }
        let breaks = count_lines(&text[kept.len()..]);
        let upto = &self.chunk.text[..start + kept.len()];
        let line_start = upto.rfind(['\n', '\r']).map_or(0, |i| i + 1);
        span.end = self.chunk.byte + n32(start + kept.len());
        span.end_line -= n32(breaks);
        span.end_column = n32(upto[line_start..].chars().count()) + 1;
    }

    /// Refuses a tab between the start of the line and a block key or dash: kubectl refuses all of them.
    pub(super) fn indentation(&mut self, key: &Span) {
        let at = self.local(key.start);
        let bytes = self.chunk.text.as_bytes();
        let mut i = at;
        while i > 0 && matches!(bytes[i - 1], b' ' | b'\t' | b'-' | b'?' | b':') {
            i -= 1;
        }
        if let Some(tab) = bytes[i..at].iter().position(|b| *b == b'\t') {
            // Only if nothing else precedes it on the line: `{a: 1,<tab>b: 2}` is fine.
            if i == 0 || matches!(bytes[i - 1], b'\n' | b'\r') {
                // Everything from the tab to the key is ASCII.
                let by = n32(at - i - tab);
                let (start, column) = (key.start - by, key.column - by);
                let span =
                    Span { start, end: start + 1, line: key.line, column, end_line: key.line, end_column: column + 1 };
                if !self.errors.iter().any(|e| e.span == span) {
                    self.fault(ErrorKind::Tab, span);
                }
            }
        }
    }
}
