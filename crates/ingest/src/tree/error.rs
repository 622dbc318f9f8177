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

/// What is wrong with a text. `Display` is the one lower-case line for people.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The YAML grammar does not allow what stands here.
    #[error("this is not valid YAML: {message}")]
    YamlSyntax {
        /// What the parser found.
        message: String,
    },
    /// The JSON grammar does not allow what stands here.
    #[error("this is not valid JSON: {message}")]
    JsonSyntax {
        /// What was found and what was expected.
        message: String,
    },
    /// An unrendered template stands where YAML is expected.
    #[error("`{{{{` is not valid YAML here: this looks like a template that has not been rendered")]
    Template,
    /// A tab takes part in the indentation.
    #[error("a tab is used as indentation")]
    Tab,
    /// A directive (`%YAML`, `%TAG`).
    #[error("a `%` directive is not supported")]
    Directive,
    /// A key comes twice in one mapping.
    #[error("key `{key}` is already set on line {}", first.line)]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it came first; the error's own span is the later place.
        first: Span,
    },
    /// A mapping or a sequence as a key.
    #[error("a key must be a scalar, not {found}")]
    ComplexKey {
        /// `a mapping` or `a sequence`.
        found: &'static str,
    },
    /// Nothing before the colon.
    #[error("a key is missing before `:`")]
    MissingKey,
    /// `<<` with something that cannot be merged.
    #[error("merge key `<<` needs a mapping or a sequence of mappings, not {found}")]
    MergeValue {
        /// What it has.
        found: &'static str,
    },
    /// `*name` without `&name` before it in the same document.
    #[error("alias `*{name}` has no anchor `&{name}` before it in this document")]
    UnknownAlias {
        /// The name.
        name: String,
    },
    /// `*name` inside the node that `&name` stands on.
    #[error("alias `*{name}` stands inside its own anchor `&{name}`")]
    AliasCycle {
        /// The name.
        name: String,
    },
    /// A tag outside the core schema.
    #[error("tag `{tag}` is not supported")]
    UnsupportedTag {
        /// The tag as written.
        tag: String,
    },
    /// A core tag on something else.
    #[error("tag `{tag}` does not fit {found}")]
    WrongTag {
        /// The tag as written.
        tag: String,
        /// What it stands on.
        found: &'static str,
    },
    /// A JSON number beyond 64-bit floating point.
    #[error("number `{text}` is out of range")]
    NumberRange {
        /// The number, cut to 40 characters.
        text: String,
    },
    /// Not UTF-8.
    #[error("byte 0x{byte:02x} at offset {offset} is not valid UTF-8")]
    NotUtf8 {
        /// The first byte that does not fit.
        byte: u8,
        /// Its offset in the input.
        offset: u32,
    },
    /// UTF-16 or UTF-32.
    #[error("the text is encoded in {encoding}, not UTF-8")]
    OtherEncoding {
        /// The encoding's name.
        encoding: &'static str,
    },
    /// A zero byte.
    #[error("byte 0x00 (NUL) at offset {offset} is not text")]
    Nul {
        /// Its offset in the input.
        offset: u32,
    },
    /// A character that YAML 1.1, and so kubectl, takes as the end of a line, and YAML 1.2 does not.
    #[error("character U+{:04X} ends a line for kubectl and does not for YAML 1.2: the text has two meanings", u32::from(*.character))]
    AmbiguousBreak {
        /// U+0085, U+2028 or U+2029.
        character: char,
    },
    /// Over [`crate::limits::Limits::max_bytes`].
    #[error("the input is larger than {limit} bytes")]
    TooLarge {
        /// The budget.
        limit: u64,
    },
    /// Over [`crate::limits::Limits::max_documents`].
    #[error("the input has more than {limit} documents")]
    TooManyDocuments {
        /// The budget.
        limit: usize,
    },
    /// Over [`crate::limits::Limits::max_depth`].
    #[error("mappings and sequences are nested deeper than {limit}")]
    TooDeep {
        /// The budget.
        limit: usize,
    },
    /// Over [`crate::limits::Limits::max_nodes`].
    #[error("the document has more than {limit} nodes")]
    TooManyNodes {
        /// The budget.
        limit: usize,
    },
    /// Over [`crate::limits::Limits::max_alias_nodes`].
    #[error("anchors and aliases copy more than {limit} nodes in this document")]
    TooManyAliasNodes {
        /// The budget for this document.
        limit: usize,
    },
    /// Over [`crate::limits::Limits::max_scalar_bytes`].
    #[error("a scalar is longer than {limit} bytes")]
    ScalarTooLong {
        /// The budget.
        limit: usize,
    },
    /// Over [`crate::limits::Limits::max_errors`].
    #[error("more than {limit} errors: the rest of the input is not read")]
    TooManyErrors {
        /// The budget.
        limit: usize,
    },
}

impl TreeError {
    /// A short name of the fault that never changes, for `Diagnostic::code`.
    pub fn code(&self) -> &'static str {
        match self.kind {
            ErrorKind::YamlSyntax { .. } => "yaml-syntax",
            ErrorKind::JsonSyntax { .. } => "json-syntax",
            ErrorKind::Template => "unrendered-template",
            ErrorKind::Tab => "yaml-tab",
            ErrorKind::Directive => "yaml-directive",
            ErrorKind::DuplicateKey { .. } => "WT0002",
            ErrorKind::ComplexKey { .. } => "complex-key",
            ErrorKind::MissingKey => "missing-key",
            ErrorKind::MergeValue { .. } => "merge-value",
            ErrorKind::UnknownAlias { .. } => "unknown-alias",
            ErrorKind::AliasCycle { .. } => "alias-cycle",
            ErrorKind::UnsupportedTag { .. } => "unsupported-tag",
            ErrorKind::WrongTag { .. } => "wrong-tag",
            ErrorKind::NumberRange { .. } => "number-range",
            ErrorKind::NotUtf8 { .. } => "not-utf8",
            ErrorKind::OtherEncoding { .. } => "other-encoding",
            ErrorKind::Nul { .. } => "nul-byte",
            ErrorKind::AmbiguousBreak { .. } => "ambiguous-line-break",
            ErrorKind::TooLarge { .. } => "too-large",
            ErrorKind::TooManyDocuments { .. } => "too-many-documents",
            ErrorKind::TooDeep { .. } => "too-deep",
            ErrorKind::TooManyNodes { .. } => "too-many-nodes",
            ErrorKind::TooManyAliasNodes { .. } => "alias-expansion",
            ErrorKind::ScalarTooLong { .. } => "scalar-too-long",
            ErrorKind::TooManyErrors { .. } => "too-many-errors",
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
            _ => Vec::new(),
        }
    }

    /// What to do about it, if there is something to say.
    pub fn help(&self) -> Option<String> {
        let help = match &self.kind {
            ErrorKind::Template => "render the chart first: `helm template NAME CHART | watertight … -f -`",
            ErrorKind::Tab => "indent with spaces",
            ErrorKind::Directive => "remove the line that starts with `%`: manifests need no directives",
            ErrorKind::DuplicateKey { .. } => "remove one of the two: readers do not agree on which one counts",
            ErrorKind::ComplexKey { .. } => "if this is a template (`{{ … }}`), render it first",
            ErrorKind::UnknownAlias { .. } => "quote the value if it is meant to start with `*`",
            ErrorKind::UnsupportedTag { .. } => "remove the tag, or quote the value if it is meant to start with `!`",
            ErrorKind::NotUtf8 { .. } | ErrorKind::OtherEncoding { .. } => "save the file as UTF-8",
            ErrorKind::AmbiguousBreak { .. } => "remove the character, or write it as an escape in double quotes",
            ErrorKind::TooLarge { .. } => "split the input into several files",
            ErrorKind::TooManyNodes { .. } => "split the list into several documents or files",
            _ => return None,
        };
        Some(help.to_owned())
    }
}
