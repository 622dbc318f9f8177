//! What policies mean: verdicts with their reasons, reachability, blast radius, explanations. Pure and total.
//!
//! Input: a [`watertight_model::World`]. Output: values. No clock, no I/O, no randomness, no error: readers refuse whatever
//! could fail. This is the only crate that gives policies a meaning (its judge is `watertight-oracle`, slow and obvious,
//! with no shared code); everything else asks [`Engine`].
//!
//! Reading order: [`tri`] (three-valued matches), [`selector`] and [`block`] (what matches what), `peers` (rules against
//! endpoints), `tiers` and `decide` (one verdict); then [`classes`] and [`reach`] (all verdicts at once), and what is
//! built on them: [`scope`], [`connections`], [`blast`], [`query`], [`explain`], [`diff`], [`entry`], [`exposure`],
//! [`redundancy`] (what changes no verdict); last [`live`] and [`likeness`], for worlds that change.

mod bits;
pub mod blast;
pub mod block;
pub mod classes;
pub mod connections;
mod decide;
pub mod diff;
pub mod entry;
pub mod explain;
pub mod exposure;
mod imagine;
pub mod likeness;
pub mod live;
mod peers;
pub mod query;
pub mod reach;
pub mod redundancy;
pub mod scope;
pub mod selector;
pub mod service;
mod tiers;
pub mod tri;

use classes::Classes;
use rustc_hash::FxHashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use watertight_model::{Endpoint, Flow, FlowVerdict, NodeId, PodId, World};

/// A world made ready for questions. Building it costs one pass over pods and policies; questions do not change it.
pub struct Engine<'w> {
    world: &'w World,
    tables: Arc<Tables>,
}

/// What an engine looks up. Owned, so that [`live::Live`] can hold it beside its world.
struct Tables {
    classes: Classes,
    /// Made when it is first asked for.
    by_address: OnceLock<ByAddress>,
}

struct ByAddress {
    pods: FxHashMap<IpAddr, PodId>,
    nodes: FxHashMap<IpAddr, NodeId>,
}

impl Tables {
    fn of(world: &World) -> Self {
        Self { classes: Classes::of(world), by_address: OnceLock::new() }
    }
}

impl ByAddress {
    fn of(world: &World) -> Self {
        let mut pods = FxHashMap::default();
        let mut nodes = FxHashMap::default();
        for (i, node) in world.nodes.iter().enumerate() {
            for ip in &node.addresses {
                nodes.entry(*ip).or_insert(NodeId::at(i));
            }
        }
        for (i, pod) in world.pods.iter().enumerate() {
            if !pod.finished && !pod.host_network {
                for ip in &pod.ips {
                    pods.entry(*ip).or_insert(PodId::at(i));
                }
            }
        }
        Self { pods, nodes }
    }
}

impl<'w> Engine<'w> {
    /// Prepares a world. Linear in pods plus, per policy, the pods and rules it concerns.
    pub fn new(world: &'w World) -> Self {
        Self { world, tables: Arc::new(Tables::of(world)) }
    }

    /// The world it was made from.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// Pods grouped by what policies can tell apart.
    pub fn classes(&self) -> &Classes {
        &self.tables.classes
    }

    /// May this connection be opened, and what decided it?
    ///
    /// Endpoints are taken literally: an `External` address that is a pod's is not turned into the pod
    /// (see [`Engine::endpoint_of`]).
    pub fn decide(&self, flow: &Flow) -> FlowVerdict {
        decide::decide(self.world, self.classes(), flow)
    }

    /// Who has this address: a running pod, a node, or someone outside.
    pub fn endpoint_of(&self, ip: IpAddr) -> Endpoint {
        let by_address = self.tables.by_address.get_or_init(|| ByAddress::of(self.world));
        match (by_address.pods.get(&ip), by_address.nodes.get(&ip)) {
            (Some(pod), _) => Endpoint::Pod(*pod),
            (None, Some(node)) => Endpoint::Node(*node),
            (None, None) => Endpoint::External(ip),
        }
    }
}
