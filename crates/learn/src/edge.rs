//! Observed edges, resolved to a world.

use std::net::IpAddr;
use watertight_model::{NodeId, Protocol, Str, WorkloadId};

/// Who talked to whom, on which port, how often and when. Replies are not edges: an edge points the way in which the
/// connection was opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who opened the connections.
    pub from: End,
    /// Who received them.
    pub to: End,
    /// Protocol.
    pub protocol: Protocol,
    /// The port at the receiver: a pod's own port, never a Service's.
    pub port: u16,
    /// Evidence id, stable for the same edge.
    pub id: Str,
    /// Connections that were seen and not denied.
    pub count: u64,
    /// Attempts that were seen and denied by some policy at the time.
    pub denied: u64,
    /// First and last time, in seconds since the Unix epoch.
    pub first: i64,
    /// See `first`.
    pub last: i64,
    /// Distinct UTC days on which it was seen.
    pub days: u32,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A pod of this workload.
    Workload(WorkloadId),
    /// A node itself.
    Node(NodeId),
    /// Someone outside.
    External {
        /// The address.
        ip: IpAddr,
        /// DNS names that were seen for it, sorted.
        names: Vec<Str>,
    },
}

impl End {
    /// The workload, if it is one.
    pub fn workload(&self) -> Option<WorkloadId> {
        match self {
            End::Workload(id) => Some(*id),
            End::Node(_) | End::External { .. } => None,
        }
    }
}
