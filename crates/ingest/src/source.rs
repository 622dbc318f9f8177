//! Finding inputs: paths as the user gave them to files, in an order that never changes.
//!
//! In: paths (a file of any name, a directory, `-`). Out: [`Place`]s to read one at a time with [`read`], and what is
//! wrong or was left out. Never blocks on a FIFO, never follows a link in a circle, never opens a device.
//! Does not: look at the text.

use std::path::PathBuf;

use crate::limits::Limits;

/// One input that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path as the user gave it, with `/` and the rest for what lies below a directory; `-` for standard input.
    pub name: String,
    /// Where to read it; none for standard input.
    pub path: Option<PathBuf>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// Inputs: in the order of the paths given, and sorted by name below each directory. Each file once.
    pub places: Vec<Place>,
    /// What cannot be read.
    pub errors: Vec<SourceError>,
    /// Files left out on purpose, with the reason: `(name, reason)`.
    pub skipped: Vec<(String, String)>,
}

/// Why an input cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing is there.
    #[error("`{name}`: no such file or directory")]
    Missing {
        /// The path as the user gave it.
        name: String,
    },
}

impl SourceError {
    /// The path it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name } => name,
        }
    }

    /// A short name of the fault that never changes, for `Diagnostic::code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "no-such-file",
        }
    }

    /// What to do about it, if there is something to say.
    pub fn help(&self) -> Option<String> {
        None
    }
}

/// Finds the inputs that `paths` stand for.
pub fn find(paths: &[PathBuf], limits: &Limits) -> Found {
    let _ = (paths, limits);
    todo!()
}

/// Reads one place whole, up to [`Limits::max_bytes`].
pub fn read(place: &Place, limits: &Limits) -> Result<Vec<u8>, SourceError> {
    let _ = (place, limits);
    todo!()
}
