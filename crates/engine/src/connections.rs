//! Who can talk to whom, over all ports: the whole cluster as a list.

use crate::Engine;
use watertight_model::{Cidr, PodId, PortSet, WorkloadId};

/// One side of a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// All pods of a workload, or, where its pods differ, the part of them with the same connections.
    Workload {
        /// The workload.
        workload: WorkloadId,
        /// `None`: all its pods. Else the pods of this part, ascending.
        part: Option<Vec<PodId>>,
    },
    /// One pod (with [`Detail::Pods`]).
    Pod(PodId),
    /// Addresses outside the cluster, as the fewest blocks, IPv4 first.
    External(Vec<Cidr>),
}

/// An ordered pair that can talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opens connections.
    pub from: Party,
    /// Who receives them.
    pub to: Party,
    /// Ports that are allowed, whatever is unclear.
    pub allowed: PortSet,
    /// Further ports whose verdict is `depends`.
    pub depends: PortSet,
}

/// Level of detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Workloads; split where their pods differ.
    Workloads,
    /// Pods.
    Pods,
}

/// All connections, sorted by source, then destination (workloads by namespace and name, external last). None of a
/// workload to itself, none between external addresses. Nodes are left out: a pod's own node always reaches it.
pub fn connections(engine: &Engine<'_>, detail: Detail) -> Vec<Connection> {
    let _ = (engine, detail);
    Vec::new()
}
