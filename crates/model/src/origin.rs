//! Where an object or a rule was written.

use crate::label::Str;

/// A place in an input: 1-based line and column, columns count characters. `line == 0` means "the object as a whole"
/// (a live object that was never text).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Index into [`crate::World::sources`].
    pub source: SourceId,
    /// 1-based line of the first character; 0 if there is no text.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Line of the last character (not past it).
    pub end_line: u32,
    /// Column just past the last character, in characters.
    pub end_column: u32,
}

/// Index into [`crate::World::sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// One input: a file, standard input, or a live cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it (with `/` for what lies below a directory), `-` for standard input, or
    /// `cluster:CONTEXT` for live objects.
    pub name: Str,
    /// The text, when there is one and it is kept for drawing (files up to the reader's limit).
    pub text: Option<Str>,
}
