//! The lints: one folder per section of the catalogue, one file per lint, a list in each folder. To add one, write
//! `wtNNNN_name.rs` in its folder, list it in the folder's `LINTS`, and give it fixtures in `tests/lints/wtNNNN.md`.

mod addresses;
mod ask;
mod breaks;
pub(crate) mod common;
mod consequences;
mod coverage;
mod entries;
mod exposure;
mod housekeeping;
pub(crate) mod labels;
mod mesh;
mod platform;
mod ports;
mod presence;
pub(crate) mod receivers;
mod redundancy;
pub(crate) mod refs;
mod selectors;
mod tiers;
pub(crate) mod trial;
pub(crate) mod write;
mod written;

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use std::sync::LazyLock;
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
    /// Who finds it.
    pub check: Check,
}

/// Who finds what a lint is about.
pub enum Check {
    /// The auditor, in a world.
    World(fn(&Ctx<'_, '_>, &mut Vec<Finding>)),
    /// The readers, while they read: their errors and warnings carry the code.
    Reader,
    /// The auditor itself, when it puts the findings together (suppressions, lints that did not finish).
    Audit,
    /// Nobody yet: it needs this input, which is not read.
    Waits(&'static str),
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

    /// False for a lint that stands in the catalogue and waits for its input.
    pub fn is_implemented(&self) -> bool {
        !matches!(self.check, Check::Waits(_))
    }
}

/// All lints, by code.
pub fn table() -> &'static [&'static Lint] {
    static TABLE: LazyLock<Vec<&'static Lint>> = LazyLock::new(|| {
        let sections = [
            written::LINTS,
            presence::LINTS,
            selectors::LINTS,
            ports::LINTS,
            addresses::LINTS,
            coverage::LINTS,
            breaks::LINTS,
            exposure::LINTS,
            redundancy::LINTS,
            tiers::LINTS,
            platform::LINTS,
            mesh::LINTS,
            housekeeping::LINTS,
        ];
        let mut all: Vec<&'static Lint> = sections.concat();
        all.sort_by_key(|l| l.code);
        all
    });
    &TABLE
}

pub(crate) use housekeeping::{NOT_FINISHED, SUPPRESSION};
