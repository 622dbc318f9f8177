//! What policies mean: verdicts with their reasons, reachability, blast radius, explanations. Pure and total.
//!
//! Input: a [`watertight_model::World`]. Output: values. No clock, no I/O, no randomness, no error: readers refuse whatever
//! could fail. This is the only crate that gives policies a meaning (its judge is `watertight-oracle`, slow and obvious,
//! with no shared code); everything else asks [`Engine`].
//!
//! Reading order: [`tri`] (three-valued matches), [`selector`] and [`block`] (what matches what), `peers` (rules against
//! endpoints), `tiers` and `decide` (one verdict); then [`classes`] and [`reach`] (all verdicts at once), and what is
//! built on them: [`scope`], [`connections`], [`blast`], [`query`], [`explain`], [`diff`].

mod bits;
pub mod blast;
pub mod block;
pub mod classes;
pub mod connections;
mod decide;
pub mod diff;
pub mod explain;
mod peers;
pub mod query;
pub mod reach;
pub mod scope;
pub mod selector;
pub mod service;
mod tiers;
pub mod tri;

use classes::Classes;
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight_model::{Endpoint, Flow, FlowVerdict, NodeId, PodId, World};

/// A world made ready for questions. Building it costs one pass over pods and policies; questions do not change it.
pub struct Engine<'w> {
    world: &'w World,
    classes: Classes,
    pods_by_ip: BTreeMap<IpAddr, PodId>,
    nodes_by_ip: BTreeMap<IpAddr, NodeId>,
}

impl<'w> Engine<'w> {
    /// Prepares a world. Linear in pods plus, per policy, the pods and rules it concerns.
    pub fn new(world: &'w World) -> Self {
        let mut pods_by_ip = BTreeMap::new();
        let mut nodes_by_ip = BTreeMap::new();
        for (i, node) in world.nodes.iter().enumerate() {
            for ip in &node.addresses {
                nodes_by_ip.entry(*ip).or_insert(NodeId::at(i));
            }
        }
        for (i, pod) in world.pods.iter().enumerate() {
            if !pod.finished && !pod.host_network {
                for ip in &pod.ips {
                    pods_by_ip.entry(*ip).or_insert(PodId::at(i));
                }
            }
        }
        Self { world, classes: Classes::of(world), pods_by_ip, nodes_by_ip }
    }

    /// The world it was made from.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// Pods grouped by what policies can tell apart.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// May this connection be opened, and what decided it?
    ///
    /// Endpoints are taken literally: an `External` address that is a pod's is not turned into the pod
    /// (see [`Engine::endpoint_of`]).
    pub fn decide(&self, flow: &Flow) -> FlowVerdict {
        decide::decide(self.world, &self.classes, flow)
    }

    /// Who has this address: a running pod, a node, or someone outside.
    pub fn endpoint_of(&self, ip: IpAddr) -> Endpoint {
        match (self.pods_by_ip.get(&ip), self.nodes_by_ip.get(&ip)) {
            (Some(pod), _) => Endpoint::Pod(*pod),
            (None, Some(node)) => Endpoint::Node(*node),
            (None, None) => Endpoint::External(ip),
        }
    }
}
