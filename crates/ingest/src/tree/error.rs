//! What can be wrong with a text before anyone asks what it means.

use super::Span;

/// A fault and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where.
    pub span: Span,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The parser could not go on.
    #[error("{message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key comes twice in one mapping.
    #[error("key `{key}` is already set on line {}", first.line)]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it came first; the error's own span is the second place.
        first: Span,
    },
}

impl TreeError {
    /// A short name of the fault that never changes, for `Diagnostic::code`.
    pub fn code(&self) -> &'static str {
        match self.kind {
            ErrorKind::Syntax { .. } => "yaml-syntax",
            ErrorKind::DuplicateKey { .. } => "duplicate-key",
        }
    }

    /// One lower-case line for people.
    pub fn message(&self) -> String {
        self.kind.to_string()
    }

    /// Further places, each with what is there.
    pub fn notes(&self) -> Vec<(Span, String)> {
        match &self.kind {
            ErrorKind::DuplicateKey { first, .. } => vec![(*first, "first set here".to_owned())],
            ErrorKind::Syntax { .. } => Vec::new(),
        }
    }

    /// What to do about it, if there is something to say.
    pub fn help(&self) -> Option<String> {
        None
    }
}
