//! The reader's hands, for other files that people write beside their manifests: fields with places, unknown keys refused with
//! the near name, label selectors.
//!
//! A crate that reads a kind of its own takes [`crate::tree::documents`] for the text and a [`Cx`] with `ours` set for each document.

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::SourceError;
use crate::tree::TreeError;
use watertight_model::{Origin, SourceId};

pub use crate::typed::cx::{Cx, Path, quoted, value};
pub use crate::typed::selector::selector;

/// A fault of the text as a diagnostic.
pub fn syntax(error: &TreeError, source: SourceId) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: error.code(),
        message: error.message(),
        object: None,
        field: None,
        at: Some(error.span.origin(source)),
        notes: error.notes().into_iter().map(|(span, text)| (span.origin(source), text)).collect(),
        help: error.help(),
    }
}

/// An input that cannot be read, as a diagnostic.
pub fn out_of_reach(error: &SourceError, source: SourceId) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: error.code(),
        message: error.to_string(),
        object: None,
        field: None,
        at: Some(Origin { source, ..Origin::default() }),
        notes: Vec::new(),
        help: error.help(),
    }
}
