//! Blast radius: what an attacker who holds one workload can reach, step by step.

use crate::Engine;
use watertight_model::{Cidr, PortSet, RuleRef, WorkloadId};

/// How to walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlastOptions {
    /// A taken workload that is privileged or hostNetwork gives its node: from there every pod of that node is reached
    /// (the node may always connect to them).
    pub assume_node_compromise: bool,
    /// Count `depends` as allowed (the attacker's reading).
    pub depends_as_allowed: bool,
    /// Stop after this many hops; `None`: no limit.
    pub max_hops: Option<u32>,
}

/// What is in reach of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct BlastRadius {
    /// The workload that was taken.
    pub from: WorkloadId,
    /// Workloads in reach, by hops, then by name; without `from`.
    pub reachable: Vec<Reached>,
    /// Reached workloads divided by all other workloads; 0 when there is no other.
    pub share: f64,
    /// External addresses that `from` itself may connect to, as blocks with the ports.
    pub external: Vec<(Vec<Cidr>, PortSet)>,
}

/// One workload in reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The workload.
    pub workload: WorkloadId,
    /// Connections needed, 1 for a direct one.
    pub hops: u32,
    /// The steps of one shortest path, from the taken workload to this one.
    pub path: Vec<Hop>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// From.
    pub from: WorkloadId,
    /// To.
    pub to: WorkloadId,
    /// Open ports between the two.
    pub ports: PortSet,
    /// Rules that permit it, egress side then ingress side; empty where only defaults do.
    pub by: Vec<RuleRef>,
    /// The step goes through the node both run on, not through a policy.
    pub through_node: bool,
}

/// One line of the ranking of all workloads.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The workload.
    pub workload: WorkloadId,
    /// Other workloads in reach.
    pub reachable: usize,
    /// Their share of all other workloads.
    pub share: f64,
}

/// The radius of one workload.
pub fn blast(engine: &Engine<'_>, from: WorkloadId, options: BlastOptions) -> BlastRadius {
    let _ = (engine, options);
    BlastRadius { from, reachable: Vec::new(), share: 0.0, external: Vec::new() }
}

/// All workloads, widest radius first, then by name.
pub fn rank(engine: &Engine<'_>, options: BlastOptions) -> Vec<Rank> {
    let _ = (engine, options);
    Vec::new()
}
