//! Recorded connections, as the audit takes them: plain edges, filled in by whoever read the recording.

use std::net::IpAddr;
use watertight_model::{NodeId, Protocol, WorkloadId};

/// A recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Connections that were let through.
    pub edges: Vec<ObservedEdge>,
    /// Why the recording cannot show that something is never used (lost events, CronJobs that did not run twice), in words;
    /// empty: it is long enough and whole.
    pub incomplete: Vec<String>,
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
