//! What a run ends with: an exit code, and for a failure what to tell people and programs.

use watertight_ingest::{Diagnostic, Severity};
use watertight_model::{Source, SourceId};

/// Exit codes. They are a contract (`docs/json.md`) and the same for every output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Nothing to report, or a question was answered (whatever the verdict).
    Clean = 0,
    /// Findings at or above `--fail-on`, a failed check, flows that would be denied.
    Findings = 1,
    /// Bad input or usage.
    BadInput = 2,
    /// A cluster or a file could not be reached.
    Unreachable = 3,
    /// `--strict`, and the answer rests on something that was not read or is not evaluated.
    Incomplete = 4,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one to report when several apply: 2 before 3 before 4 before 1 before 0.
    #[must_use]
    pub fn worst(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::BadInput => 0,
            Exit::Unreachable => 1,
            Exit::Incomplete => 2,
            Exit::Findings => 3,
            Exit::Clean => 4,
        };
        if rank(other) < rank(self) { other } else { self }
    }
}

/// A command that could not give its answer.
#[derive(Debug)]
pub struct Failure {
    /// How the run ends.
    pub exit: Exit,
    /// At least one error, in the order in which they are shown.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics point into.
    pub sources: Vec<Source>,
}

impl Failure {
    /// A fault without a place.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>, help: Option<String>) -> Self {
        Self { exit, diagnostics: vec![fault(code, message, help)], sources: Vec::new() }
    }

    /// A question that cannot be asked like this: exit code 2.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, "usage", message, Some(help.into()))
    }

    /// The faults of both.
    #[must_use]
    pub fn and(mut self, other: Failure) -> Self {
        let shift = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.extend(other.sources);
        self.diagnostics.extend(other.diagnostics.into_iter().map(|mut d| {
            let places = d.at.iter_mut().chain(d.notes.iter_mut().map(|(at, _)| at));
            places.for_each(|at| at.source = SourceId(at.source.0.saturating_add(shift)));
            d
        }));
        self.exit = self.exit.worst(other.exit);
        self
    }

    /// Output that could not be written.
    pub fn write(what: &str, error: &std::io::Error) -> Self {
        Self::new(Exit::Unreachable, "write", format!("cannot write {what}: {error}"), None)
    }
}

/// An error without a place.
pub fn fault(code: &'static str, message: impl Into<String>, help: Option<String>) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code,
        message: message.into(),
        object: None,
        field: None,
        at: None,
        notes: Vec::new(),
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn one_order_for_several_causes() {
        let order = [Exit::BadInput, Exit::Unreachable, Exit::Incomplete, Exit::Findings, Exit::Clean];
        for (i, worse) in order.iter().enumerate() {
            for better in &order[i..] {
                assert_eq!(worse.worst(*better), *worse);
                assert_eq!(better.worst(*worse), *worse);
            }
        }
        assert_eq!(order.map(Exit::code), [2, 3, 4, 1, 0]);
    }
}
