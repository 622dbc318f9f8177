//! Recorded connections, as the audit takes them: plain edges, filled in by whoever read the recording.

use std::net::IpAddr;
use watertight_model::{NodeId, Protocol, WorkloadId};

/// A recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Connections that were let through.
    pub edges: Vec<ObservedEdge>,
    /// Whole days from the first record to the last.
    pub days: u64,
    /// What it may lack (lost events, connections that could not be placed, CronJobs that did not run twice), in words; empty:
    /// nothing is known to be missing.
    pub incomplete: Vec<String>,
}

/// Days of a recording that can show that something is not used: every weekday.
const DAYS_WANTED: u64 = 7;

impl Observed {
    /// Why the recording cannot show that something is never used, in words; empty: it can.
    pub fn doubts(&self) -> Vec<String> {
        let mut out = self.incomplete.clone();
        if self.days < DAYS_WANTED {
            out.push(format!("it covers {} of the {DAYS_WANTED} days that are wanted", self.days));
        }
        if self.edges.is_empty() {
            out.push("it holds no connection".to_owned());
        }
        out
    }
}

/// Connections between the same two ends on the same port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEdge {
    /// Who opened them.
    pub from: ObservedEnd,
    /// Who received them.
    pub to: ObservedEnd,
    /// Protocol.
    pub protocol: Protocol,
    /// The port at the receiving pod.
    pub port: u16,
    /// How many, at least one.
    pub count: u64,
    /// When the first and the last of them was seen, in words; `None`: not known.
    pub seen: Option<(String, String)>,
}

/// One end of recorded connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObservedEnd {
    /// Some pod of a workload.
    Workload(WorkloadId),
    /// A node.
    Node(NodeId),
    /// An address outside.
    External(IpAddr),
}
