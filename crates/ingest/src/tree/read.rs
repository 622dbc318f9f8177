//! The ways in: bytes to text, text to documents one at a time, or on several threads.

use super::{Document, TreeError};
use crate::limits::Limits;

/// Which grammar a text is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, any number of documents.
    Yaml,
    /// JSON (RFC 8259), one or more texts after one another, as `kubectl` and `jq` print them.
    Json,
}

impl Format {
    /// JSON if the name ends in `.json` or the first visible character is `{` or `[`; else YAML.
    pub fn of(name: &str, text: &str) -> Self {
        let _ = (name, text);
        todo!()
    }
}

/// The bytes as text: UTF-8 with or without a byte-order mark (which stays in the text, so that offsets are the file's),
/// within [`Limits::max_bytes`], no UTF-16, no NUL. The error names the byte and the line.
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, TreeError> {
    let _ = (bytes, limits);
    todo!()
}

/// Calls `f` with every document of `text` in order, or with what is wrong with it. Only one document's tree is alive at a
/// time, if `f` drops it. A document may be followed by errors of its own only if it was not handed over: `f` gets
/// either the document or its errors (one or more), never half a document.
pub fn documents<'a>(
    text: &'a str,
    format: Format,
    limits: &Limits,
    f: &mut dyn FnMut(Result<Document<'a>, TreeError>),
) {
    let _ = (text, format, limits, f);
    todo!()
}

/// Like [`documents`], on [`Limits::threads`] threads: `f` runs where the document was read, and the results come in the
/// order of the text. Same results as `documents` for any number of threads, [`Document::index`] included.
pub fn documents_par<'a, T, F>(text: &'a str, format: Format, limits: &Limits, f: F) -> Vec<Result<T, TreeError>>
where
    T: Send,
    F: Fn(Document<'a>) -> T + Sync,
{
    let _ = (text, format, limits, f);
    todo!()
}
