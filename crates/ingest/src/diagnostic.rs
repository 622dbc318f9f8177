//! What reading has to say: faults and warnings as data. Drawing them is the command line's business.

use std::fmt;
use watertight_model::{Origin, Source};

/// An error refuses the whole input; a warning does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The input is refused.
    Error,
    /// The input is read; this should be looked at.
    Warning,
}

/// One fault or warning, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A code of the lint catalogue (`WT0001`), or a short slug such as `yaml-syntax`.
    pub code: &'static str,
    /// One line, without the place. Where the API server would refuse the object, its own words: path, type, value, detail.
    pub message: String,
    /// What it is about, such as `NetworkPolicy shop/db-in`.
    pub object: Option<String>,
    /// The field, such as `spec.ingress[0].from[0]`.
    pub field: Option<String>,
    /// Where.
    pub at: Option<Origin>,
    /// Further places with a label each.
    pub notes: Vec<(Origin, String)>,
    /// What to do, in one line.
    pub help: Option<String>,
}

impl Diagnostic {
    /// `file:line:column: error[CODE]: object: message`, for logs and tests.
    pub fn line(&self, sources: &[Source]) -> impl fmt::Display + use<'_> {
        let place = self.at.and_then(|at| {
            let source = sources.get(at.source.0 as usize)?;
            Some(if at.line == 0 {
                format!("{}: ", source.name)
            } else {
                format!("{}:{}:{}: ", source.name, at.line, at.column)
            })
        });
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let object = self.object.as_ref().map(|o| format!("{o}: ")).unwrap_or_default();
        format!("{}{word}[{}]: {object}{}", place.unwrap_or_default(), self.code, self.message)
    }
}
