//! Pieces of an input's text that are parsed on their own, and how places in a piece become places in the input.

use super::Span;

/// A number of bytes, lines or characters of an input. Inputs are smaller than 4 GiB ([`super::decode`]).
pub(super) fn n32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A piece of the text that starts at column 1 of a line (or right after the byte-order mark).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// The piece.
    pub(super) text: &'a str,
    /// Its offset in the input.
    pub(super) byte: u32,
    /// Its first line in the input, 1-based.
    pub(super) line: u32,
}

impl<'a> Chunk<'a> {
    /// The whole text, without its byte-order mark.
    pub(super) fn whole(text: &'a str) -> Self {
        match text.strip_prefix('\u{feff}') {
            Some(rest) => Self { text: rest, byte: 3, line: 1 },
            None => Self { text, byte: 0, line: 1 },
        }
    }

    /// The offset of the first document marker behind `from` (and never at 0: that one belongs to this piece).
    pub(super) fn next_marker(&self, from: usize) -> Option<usize> {
        find_marker(self.text, from + 1)
    }

    /// The piece before and the piece from `at`, which is the start of a line.
    pub(super) fn split(&self, at: usize) -> (Chunk<'a>, Chunk<'a>) {
        let (head, tail) = self.text.split_at(floor(self.text, at));
        let rest = Chunk { text: tail, byte: self.byte + n32(head.len()), line: self.line + n32(count_lines(head)) };
        (Chunk { text: head, ..*self }, rest)
    }

    /// The span of a byte range of this piece, by counting from its start. For errors only: linear.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let (line, column) = self.line_column(start);
        let (end_line, end_column) = self.line_column(end);
        Span { start: self.byte + n32(start), end: self.byte + n32(end), line, column, end_line, end_column }
    }

    /// The span of the character at `start`, or of nothing at the end of the piece.
    pub(super) fn char_span(&self, start: usize) -> Span {
        let start = floor(self.text, start);
        let width = self.text[start..].chars().next().map_or(0, char::len_utf8);
        self.span(start, start + width)
    }

    fn line_column(&self, at: usize) -> (u32, u32) {
        let before = &self.text[..floor(self.text, at)];
        let line_start = before.rfind(['\n', '\r']).map_or(0, |i| i + 1);
        (self.line + n32(count_lines(before)), n32(before[line_start..].chars().count()) + 1)
    }

    /// The line that holds byte `at`, as a byte range without its line break.
    pub(super) fn line_range(&self, at: usize) -> std::ops::Range<usize> {
        let at = floor(self.text, at);
        let start = self.text[..at].rfind(['\n', '\r']).map_or(0, |i| i + 1);
        let end = self.text[at..].find(['\n', '\r']).map_or(self.text.len(), |i| at + i);
        start..end
    }
}

/// The largest character boundary that is not past `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Line breaks in `text`: LF, CR LF, or CR alone, as YAML counts them.
pub(super) fn count_lines(text: &str) -> usize {
    let bytes = text.as_bytes();
    let feeds = bytes.iter().filter(|b| **b == b'\n').count();
    if !bytes.contains(&b'\r') {
        return feeds;
    }
    let alone = bytes.iter().enumerate().filter(|(i, b)| **b == b'\r' && bytes.get(i + 1) != Some(&b'\n')).count();
    feeds + alone
}

/// The offset of the first document marker (`---` at the start of a line, before white space) at or after `from` that is
/// not at offset 0.
///
/// This is where YAML itself parts documents: such a marker ends whatever is open, even a block scalar, and is an error
/// inside quotes and brackets (<https://yaml.org/spec/1.2.2/#914-explicit-documents>).
fn find_marker(text: &str, from: usize) -> Option<usize> {
    let mut from = floor(text, from.saturating_sub(1));
    while let Some(found) = text[from..].find("\n---") {
        let marker = from + found + 1;
        match text.as_bytes().get(marker + 3) {
            None | Some(b' ' | b'\t' | b'\r' | b'\n') => return Some(marker),
            Some(_) => from = marker + 3,
        }
    }
    None
}
