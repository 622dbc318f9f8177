//! The lints: one file each, one table. To add one, write `wtNNNN_name.rs` beside the others and list it here.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use watertight_model::Origin;

/// A lint. Numbers are never reused.
pub struct Lint {
    /// `WT` and four digits.
    pub code: &'static str,
    /// Kebab-case name.
    pub name: &'static str,
    /// Severity in the ordinary case; a finding may differ, with the reason in its message.
    pub severity: Severity,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// The page of the catalogue, as Markdown without a title: what it proves, an example, the fix, when it is silent.
    pub page: &'static str,
    /// Finds.
    pub check: fn(&Ctx<'_, '_>, &mut Vec<Finding>),
}

impl Lint {
    /// A finding of this lint with the usual severity; the rest is filled in by the caller.
    pub(crate) fn finding(&self, object: String, at: Option<Origin>, message: String) -> Finding {
        Finding {
            rule: self.code,
            name: self.name,
            severity: self.severity,
            score: self.severity.score(),
            status: Status::InInput,
            message,
            object,
            at,
            help: None,
            fixes: Vec::new(),
            witness: None,
            affected: 0,
        }
    }
}

/// All lints, by code.
pub static TABLE: &[&Lint] = &[];
