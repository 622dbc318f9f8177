//! Text to tree: YAML and JSON become the same untyped tree, in which every key and value knows where it stands.
//!
//! In: the bytes of one input. Out, per document: a [`Document`], or a [`TreeError`] with its place; one broken document
//! does not hide the others. All of [`crate::limits::Limits`] is enforced while scanning.
//! Does not: know Kubernetes, decide what a scalar means ([`Scalar::resolve`] offers, the caller decides), read files.
//!
//! Decided here, once for all callers:
//! * A key that comes twice in one mapping is an error that names both places.
//! * Anchors and aliases are resolved; the copied nodes keep the place of the anchored text.
//! * Merge keys (`<<: *base`, `<<: [*a, *b]`, `<<: {…}`) are applied as kubectl applies them: a key written in the mapping
//!   itself wins, then the earlier base. Merged entries follow the mapping's own and keep the place of their text.
//!   A quoted `"<<"` is an ordinary key. In JSON `<<` is an ordinary key too.
//! * Tags: `!!str` (and `!`) makes a scalar a string; `!!map`, `!!seq`, `!!int`, `!!bool`, `!!float`, `!!null` must agree
//!   with the node they stand on; any other tag is an error.
//! * A key must be a scalar. Directives (`%YAML`) are an error, as they are to kubectl.
//! * A tab in the indentation is an error wherever it stands. So are U+0085, U+2028 and U+2029 in YAML: kubectl ends a line
//!   at them, YAML 1.2 does not.
//! * A document without a node (empty, or comments only) is no document.

mod error;
mod json;
mod merge;
mod place;
mod read;
mod scalar;
#[cfg(test)]
mod tests;
mod yaml;

pub use error::{ErrorKind, TreeError};
pub use read::{Format, decode, documents, documents_par};
pub use scalar::{Resolved, Scalar, Style, Yaml11};

use watertight_model::{Origin, SourceId};

/// A piece of one input's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte in the input (a byte-order mark counts: offsets are those of the file).
    pub start: u32,
    /// Offset just past the last byte. White space after the last visible character is not part of a span; the closing
    /// bracket or quote is.
    pub end: u32,
    /// 1-based line of the first character.
    pub line: u32,
    /// 1-based column of the first character, in characters (Unicode scalar values; a tab is one, a BOM none).
    pub column: u32,
    /// Line of the last character.
    pub end_line: u32,
    /// Column just past the last character, on `end_line`.
    pub end_column: u32,
}

impl Span {
    /// The same place as the model states it.
    pub fn origin(&self, source: SourceId) -> Origin {
        Origin { source, line: self.line, column: self.column, end_line: self.end_line, end_column: self.end_column }
    }

    /// From the start of `self` to the end of `last`.
    pub fn to(&self, last: &Span) -> Span {
        Span { end: last.end, end_line: last.end_line, end_column: last.end_column, ..*self }
    }

    /// The bytes as a range, to cut them out of the input's text.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One document of an input: what stands between two `---`, or a whole JSON text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<'a> {
    /// The outermost node; its span is the document's.
    pub root: Node<'a>,
    /// Nodes in it, copies through aliases included.
    pub nodes: usize,
}

/// A value and its place. An omitted value (`key:` and nothing) is [`Value::Null`] with an empty span just past the colon.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// What stands there.
    pub value: Value<'a>,
    /// Where. For an alias: where the anchored text stands.
    pub span: Span,
}

/// The four shapes of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`, `~`, or nothing at all, unquoted.
    Null,
    /// A scalar that is not null.
    Scalar(Scalar<'a>),
    /// A sequence.
    Seq(Vec<Node<'a>>),
    /// A mapping in the order of its text; keys are unique.
    Map(Vec<Entry<'a>>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The key.
    pub key: Key<'a>,
    /// What it maps to.
    pub value: Node<'a>,
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key<'a> {
    /// The text and its style. An unquoted `null` or empty key is a scalar here too.
    pub scalar: Scalar<'a>,
    /// Where, without the colon.
    pub span: Span,
}

impl<'a> Key<'a> {
    /// The key's text.
    pub fn text(&self) -> &str {
        &self.scalar.text
    }
}

impl<'a> Node<'a> {
    /// The value of `key` if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entry(key).map(|e| &e.value)
    }

    /// The entry of `key` if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        self.as_map()?.iter().find(|e| e.key.text() == key)
    }

    /// The entries if this is a mapping.
    pub fn as_map(&self) -> Option<&[Entry<'a>]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Null | Value::Scalar(_) | Value::Seq(_) => None,
        }
    }

    /// The items if this is a sequence.
    pub fn as_seq(&self) -> Option<&[Node<'a>]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            Value::Null | Value::Scalar(_) | Value::Map(_) => None,
        }
    }

    /// The scalar if this is one; null is none.
    pub fn as_scalar(&self) -> Option<&Scalar<'a>> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Null | Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// Whether this is null (written or omitted).
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What kind of value this is, in the API server's words: `null`, `bool`, `int`, `float`, `string`, `array`, `object`.
    pub fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "null",
                Resolved::Bool(_) => "bool",
                Resolved::Int(_) => "int",
                Resolved::Float(_) => "float",
                Resolved::Str => "string",
            },
            Value::Seq(_) => "array",
            Value::Map(_) => "object",
        }
    }
}
