//! The literate cases of `cases/`: Markdown that a user can read, run against any judge of policy.
//!
//! In: the Markdown files (their format: `cases/README.md`) and a [`Judge`]. Out: a [`Report`]: what was run, and every
//! mismatch at once, in names, with the line of the table row. Worlds are built by `watertight-ingest`, so the reader is
//! tested on the way. Does not: decide anything itself, or forgive: what the parser does not know is an error.
//!
//! Reading order: [`Corpus`] (files), `markdown` (lines to cases), `expect` (cells), `family` (IPv4, IPv6, dual stack),
//! `stored` (objects that only an old or a newer server holds), `run` (cases to mismatches), [`scale`] (a case too large to
//! write down).

mod corpus;
mod expect;
mod family;
mod markdown;
mod refs;
mod run;
pub mod scale;
mod stored;
#[cfg(test)]
mod tests;

pub use corpus::{Corpus, Elsewhere, ROWS};
pub use expect::{Expected, FlowRow, PortCell};
pub use family::Families;
pub use markdown::{Block, Case, Step};
pub use run::{Counts, Report};

use std::fmt;
use watertight_model::{Endpoint, Flow, FlowVerdict, L4, ServiceId, Verdict, World};

/// Something that knows what policies mean.
pub trait Judge {
    /// The answer for a flow between two endpoints of the world.
    fn decide(&self, world: &World, flow: &Flow) -> FlowVerdict;

    /// The answer for a Service as destination; `None`: this judge answers for backends only (such rows are counted as
    /// skipped).
    fn service(&self, world: &World, question: &ServiceFlow) -> Option<ServiceAnswer> {
        let _ = (world, question);
        None
    }
}

/// The oracle as a judge.
#[derive(Clone, Copy, Debug)]
pub struct Oracle;

impl Judge for Oracle {
    fn decide(&self, world: &World, flow: &Flow) -> FlowVerdict {
        watertight_oracle::decide(world, flow)
    }
}

/// May this endpoint reach that Service, on the Service's own port?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceFlow {
    /// Who opens the connection.
    pub from: Endpoint,
    /// The Service.
    pub service: ServiceId,
    /// Protocol and port of the Service.
    pub l4: L4,
}

/// The answer over all backends of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAnswer {
    /// Allow if every backend may be reached, deny if none, else depends.
    pub verdict: Verdict,
    /// The verdicts of the backends, without repeats.
    pub backends: Vec<FlowVerdict>,
}

/// A file of the corpus is not well formed, or a case does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File below `cases/`.
    pub file: String,
    /// 1-based line.
    pub line: usize,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}
