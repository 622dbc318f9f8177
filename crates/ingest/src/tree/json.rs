//! JSON (RFC 8259) to trees: one pass over the bytes, spans included.
//!
//! In: the whole text: one JSON value, or several after one another. Out: a document per value. Stricter than most
//! readers: a key that comes twice, a lone surrogate and a number beyond 64-bit floating point are errors.

use std::borrow::Cow;

use super::place::{Chunk, n32};
use super::{Document, Entry, ErrorKind, Key, Node, Scalar, Span, Style, TreeError, Value, merge};
use crate::limits::Limits;

/// Gives `sink` every value of the text, or the errors; stops when `sink` returns false. There is no resuming behind a
/// syntax error.
pub(super) fn read<'a>(
    chunk: Chunk<'a>,
    limits: &Limits,
    sink: &mut dyn FnMut(Result<Document<'a>, TreeError>) -> bool,
) {
    let mut reader = Reader::new(chunk, limits);
    let mut documents = 0;
    loop {
        reader.blanks();
        if reader.at == reader.bytes.len() {
            return;
        }
        documents += 1;
        if documents > limits.max_documents {
            let kind = ErrorKind::TooManyDocuments { limit: limits.max_documents };
            let span = reader.here();
            sink(Err(TreeError { kind, span }));
            return;
        }
        reader.nodes = 0;
        let root = reader.value(1);
        let mut errors = std::mem::take(&mut reader.errors);
        let on = match root {
            Ok(root) if errors.is_empty() => sink(Ok(Document { root, nodes: reader.nodes })),
            Ok(_) => true,
            Err(error) => {
                errors.push(*error);
                false
            }
        };
        errors.sort_by_key(|e| (e.span.start, e.span.end));
        for error in errors {
            if !sink(Err(error)) {
                return;
            }
        }
        if !on {
            return;
        }
    }
}

/// Boxed: the error is large and rare, the result is returned once per value.
type Fault = Box<TreeError>;

/// A place that was passed.
#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    line: u32,
    column: u32,
}

struct Reader<'a, 'l> {
    chunk: Chunk<'a>,
    bytes: &'a [u8],
    limits: &'l Limits,
    at: usize,
    line: u32,
    /// Where column 1 of this line would be if every character since were one byte long: the start of the line plus the
    /// continuation bytes passed.
    line_start: usize,
    nodes: usize,
    items: Vec<Node<'a>>,
    entries: Vec<Entry<'a>>,
    /// Errors of the current value that do not end the reading.
    errors: Vec<TreeError>,
}

fn syntax(message: &str) -> ErrorKind {
    ErrorKind::JsonSyntax { message: message.to_owned() }
}

impl<'a, 'l> Reader<'a, 'l> {
    fn new(chunk: Chunk<'a>, limits: &'l Limits) -> Self {
        Self {
            chunk,
            bytes: chunk.text.as_bytes(),
            limits,
            at: 0,
            line: chunk.line,
            line_start: 0,
            nodes: 0,
            items: Vec::new(),
            entries: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Fault> {
        self.nodes += 1;
        if self.nodes > self.limits.max_nodes {
            return Err(self.fault(ErrorKind::TooManyNodes { limit: self.limits.max_nodes }));
        }
        let start = self.mark();
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Scalar(Scalar { text: self.string()?, style: Style::Quoted }),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b't') => self.word("true", plain("true"))?,
            Some(b'f') => self.word("false", plain("false"))?,
            Some(b'N' | b'I') => return Err(self.expected("NaN and Infinity are not JSON numbers")),
            Some(_) => return Err(self.expected("expected a value")),
            None => return Err(self.expected("the text ends where a value is expected")),
        };
        Ok(Node { value, span: self.span_from(start) })
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        self.enter(depth)?;
        let base = self.entries.len();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(Vec::new()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("expected a key in double quotes"));
            }
            let start = self.mark();
            let text = self.string()?;
            let key = Key { scalar: Scalar { text, style: Style::Quoted }, span: self.span_from(start) };
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.expected("expected `:` after a key"));
            }
            self.at += 1;
            self.blanks();
            let value = self.value(depth + 1)?;
            self.entries.push(Entry { key, value });
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    break;
                }
                _ => return Err(self.expected("expected `,` or `}` after a value")),
            }
            self.blanks();
        }
        let entries = self.entries.drain(base..).collect();
        Ok(Value::Map(merge::finish(entries, false, self.limits.max_errors, &mut self.errors)))
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        self.enter(depth)?;
        let base = self.items.len();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Seq(Vec::new()));
        }
        loop {
            let item = self.value(depth + 1)?;
            self.items.push(item);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Seq(self.items.drain(base..).collect()));
                }
                _ => return Err(self.expected("expected `,` or `]` after a value")),
            }
            self.blanks();
        }
    }

    /// Steps over an opening bracket.
    fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > self.limits.max_depth {
            return Err(self.fault(ErrorKind::TooDeep { limit: self.limits.max_depth }));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let open = self.mark();
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut from = start;
        loop {
            self.at = plain_run(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let text = owned.get_or_insert_with(String::new);
                    text.push_str(&self.chunk.text[from..self.at]);
                    let c = self.escape()?;
                    if let Some(text) = &mut owned {
                        text.push(c);
                    }
                    from = self.at;
                }
                Some(byte) if byte >= 0x80 => {
                    if byte & 0xc0 == 0x80 {
                        self.line_start += 1;
                    }
                    self.at += 1;
                }
                Some(_) => return Err(self.expected("a control character in a string must be escaped")),
                None => {
                    let span = self.chunk.char_span(open.at);
                    return Err(Box::new(TreeError { kind: syntax("a string is not closed"), span }));
                }
            }
        }
        let tail = &self.chunk.text[from..self.at];
        self.at += 1;
        let text = match owned {
            Some(mut text) => {
                text.push_str(tail);
                Cow::Owned(text)
            }
            None => Cow::Borrowed(tail),
        };
        if text.len() > self.limits.max_scalar_bytes {
            let kind = ErrorKind::ScalarTooLong { limit: self.limits.max_scalar_bytes };
            let span = self.span_from(open);
            self.note(TreeError { kind, span });
        }
        Ok(text)
    }

    /// One escape, from its backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        let c = match self.bytes.get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.expected("unknown escape in a string")),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let first = self.hex(self.at + 2)?;
        let code = match first {
            0xd800..=0xdbff => {
                if self.bytes.get(self.at + 6..self.at + 8) != Some(b"\\u") {
                    return Err(self.expected("a high surrogate without a low surrogate"));
                }
                let second = self.hex(self.at + 8)?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.expected("a high surrogate without a low surrogate"));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        match char::from_u32(code) {
            Some(c) => {
                self.at += if code > 0xffff { 12 } else { 6 };
                Ok(c)
            }
            None => Err(self.expected("a low surrogate without a high surrogate")),
        }
    }

    fn hex(&self, at: usize) -> Result<u32, Fault> {
        let digits = self.bytes.get(at..at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        digits
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u32::from_str_radix(d, 16).ok())
            .ok_or_else(|| self.expected("`\\u` needs four hexadecimal digits"))
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.mark();
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.at;
        if self.digits() == 0 {
            return Err(self.expected("expected a digit"));
        }
        if self.bytes[whole] == b'0' && self.at - whole > 1 {
            self.at = whole;
            return Err(self.expected("a number must not have leading zeros"));
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.expected("expected a digit after the decimal point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.expected("expected a digit in the exponent"));
            }
        }
        let text = &self.chunk.text[start.at..self.at];
        let span = self.span_from(start);
        if text.len() > self.limits.max_scalar_bytes {
            self.note(TreeError { kind: ErrorKind::ScalarTooLong { limit: self.limits.max_scalar_bytes }, span });
        } else if (!integer || text.len() > 300) && text.parse::<f64>().is_ok_and(f64::is_infinite) {
            self.note(TreeError { kind: ErrorKind::NumberRange { text: text.chars().take(40).collect() }, span });
        }
        Ok(Value::Scalar(Scalar { text: Cow::Borrowed(text), style: Style::Plain }))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected("expected a value"));
        }
        self.at += word.len();
        if self.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            return Err(self.expected("expected `,`, a closing bracket or the end after a value"));
        }
        Ok(value)
    }

    fn blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\n' => self.next_line(1),
                b'\r' if self.bytes.get(self.at + 1) == Some(&b'\n') => self.next_line(2),
                b'\r' => self.next_line(1),
                _ => return,
            }
        }
    }

    fn next_line(&mut self, width: usize) {
        self.at += width;
        self.line += 1;
        self.line_start = self.at;
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn mark(&self) -> Mark {
        Mark { at: self.at, line: self.line, column: n32(self.at - self.line_start) + 1 }
    }

    fn span_from(&self, start: Mark) -> Span {
        let end = self.mark();
        Span {
            start: self.chunk.byte + n32(start.at),
            end: self.chunk.byte + n32(end.at),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    }

    /// The character here.
    fn here(&self) -> Span {
        self.chunk.char_span(self.at)
    }

    fn expected(&self, message: &str) -> Fault {
        self.fault(syntax(message))
    }

    fn fault(&self, kind: ErrorKind) -> Fault {
        Box::new(TreeError { kind, span: self.here() })
    }

    /// An error that does not end the reading.
    fn note(&mut self, error: TreeError) {
        if self.errors.len() <= self.limits.max_errors {
            self.errors.push(error);
        }
    }
}

fn plain<'a>(text: &'static str) -> Value<'a> {
    Value::Scalar(Scalar { text: Cow::Borrowed(text), style: Style::Plain })
}

/// The first offset at or after `at` of a quote, a backslash, a control character or a byte of a multi-byte character.
fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes at a time: the usual trick of detecting a byte below or equal to a constant by borrow, which can only
    // err on the side of stopping early; the loop below then looks closely.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(word) = bytes.get(at..at + 8).and_then(|w| w.try_into().ok()).map(u64::from_le_bytes) {
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let found =
            (quote.wrapping_sub(ONES) | slash.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20) | word) & HIGH;
        if found != 0 {
            break;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte < 0x20 || *byte == b'"' || *byte == b'\\' || *byte >= 0x80 {
            break;
        }
        at += 1;
    }
    at
}
