//! Which objects differ between two worlds, whatever they look like in their files.

use crate::selector::{matches, readable};
use std::collections::BTreeMap;
use watertight_model::cluster_policy::ClusterPeer;
use watertight_model::policy::{BlockCidr, Presence, Written};
use watertight_model::{
    ClusterPolicy, Labels, NamespaceId, NetworkPolicy, Origin, PeerKind, Peers, Pod, Ports, Selector, Str, World,
};

/// A policy of one world or of both, by its place in their lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) at: [Option<u32>; 2],
    /// It is not the same in both.
    pub(super) changed: bool,
}

/// All policies of two worlds, matched by name.
pub(super) struct Policies {
    by_namespace: BTreeMap<Str, Vec<Policy>>,
    pub(super) cluster: Vec<Policy>,
}

impl Policies {
    pub(super) fn of(worlds: &[World; 2]) -> Self {
        let mut named: BTreeMap<(Str, Str), [Option<u32>; 2]> = BTreeMap::new();
        let mut tiers: BTreeMap<(&'static str, Str), [Option<u32>; 2]> = BTreeMap::new();
        for (side, world) in worlds.iter().enumerate() {
            for (i, policy) in (0u32..).zip(&world.policies) {
                let namespace = world.namespaces[policy.namespace.index()].name.clone();
                named.entry((namespace, policy.name.clone())).or_default()[side] = Some(i);
            }
            for (i, policy) in (0u32..).zip(&world.cluster_policies) {
                tiers.entry((policy.kind.name(), policy.name.clone())).or_default()[side] = Some(i);
            }
        }
        let mut by_namespace: BTreeMap<Str, Vec<Policy>> = BTreeMap::new();
        for ((namespace, _), at) in named {
            let plain = |side: usize| at[side].map(|i| plain(&worlds[side].policies[i as usize]));
            let changed = plain(0) != plain(1);
            by_namespace.entry(namespace).or_default().push(Policy { at, changed });
        }
        let cluster = tiers.into_values().map(|at| {
            let plain = |side: usize| at[side].map(|i| plain_cluster(&worlds[side].cluster_policies[i as usize]));
            Policy { at, changed: plain(0) != plain(1) }
        });
        Self { by_namespace, cluster: cluster.collect() }
    }

    /// Policies of a namespace that select a pod with one of these sets of labels, in one of the worlds.
    pub(super) fn selecting(&self, worlds: &[World; 2], namespace: &str, labels: &[&Labels]) -> Vec<Policy> {
        let subject = |side: usize, i: u32| &worlds[side].policies[i as usize].subject;
        let all = self.by_namespace.get(namespace).into_iter().flatten();
        all.filter(|p| selects(p, labels, &subject)).copied().collect()
    }

    /// Cluster policies that select pods with one of these sets of labels in some namespace.
    pub(super) fn cluster_selecting(&self, worlds: &[World; 2], labels: &[&Labels]) -> Vec<Policy> {
        let subject = |side: usize, i: u32| &worlds[side].cluster_policies[i as usize].subject.pods;
        self.cluster.iter().filter(|p| selects(p, labels, &subject)).copied().collect()
    }
}

fn selects<'w>(policy: &Policy, labels: &[&Labels], subject: &impl Fn(usize, u32) -> &'w Selector) -> bool {
    let one = |selector: &Selector| !readable(selector) || labels.iter().any(|l| matches(selector, l));
    policy.at.iter().enumerate().any(|(side, at)| at.is_some_and(|i| one(subject(side, i))))
}

/// Two namespaces of one name look the same to every policy.
pub(super) fn same_namespace(worlds: &[World; 2], ids: [NamespaceId; 2]) -> bool {
    let [a, b] = [0, 1].map(|side: usize| &worlds[side].namespaces[ids[side].index()]);
    a.declared == b.declared && a.labels == b.labels
}

/// Two pods look the same to every policy, their node included.
pub(super) fn same_pod(worlds: &[World; 2], pods: [&Pod; 2]) -> bool {
    let node = |side: usize| pods[side].node.map(|n| &worlds[side].nodes[n.index()].name);
    let [a, b] = pods;
    let seen = |p: &Pod| p.ports.iter().map(|c| (c.name.clone(), c.port, c.protocol, c.container)).collect::<Vec<_>>();
    a.labels == b.labels
        && a.host_network == b.host_network
        && a.ips == b.ips
        && seen(a) == seen(b)
        && node(0) == node(1)
}

/// The policy without what has no meaning: places, annotations, which defaults were written out.
fn plain(policy: &NetworkPolicy) -> NetworkPolicy {
    let mut out = policy.clone();
    out.namespace = NamespaceId::at(0);
    out.annotations = Labels::default();
    out.written = Written::default();
    (out.origin, out.subject_origin) = (Origin::default(), Origin::default());
    plain_selector(&mut out.subject);
    for rule in out.ingress.iter_mut().chain(&mut out.egress) {
        rule.origin = Origin::default();
        match &mut rule.peers {
            Peers::Any(presence) => *presence = Presence::Absent,
            Peers::Of(peers) => {
                for peer in peers {
                    peer.origin = Origin::default();
                    match &mut peer.kind {
                        PeerKind::Block(block) => {
                            std::iter::once(&mut block.cidr).chain(&mut block.except).for_each(plain_block);
                        }
                        PeerKind::Pods { namespaces, pods } => {
                            namespaces.iter_mut().chain(pods).for_each(plain_selector);
                        }
                    }
                }
            }
        }
        match &mut rule.ports {
            Ports::Any(presence) => *presence = Presence::Absent,
            Ports::Of(ports) => {
                for port in ports {
                    port.origin = Origin::default();
                    port.protocol_defaulted = false;
                }
            }
        }
    }
    // What a direction that is not isolated lists has no effect.
    if !out.isolates_ingress {
        out.ingress.clear();
    }
    if !out.isolates_egress {
        out.egress.clear();
    }
    out
}

fn plain_cluster(policy: &ClusterPolicy) -> ClusterPolicy {
    let mut out = policy.clone();
    out.annotations = Labels::default();
    (out.origin, out.subject_origin) = (Origin::default(), Origin::default());
    plain_selector(&mut out.subject.namespaces);
    plain_selector(&mut out.subject.pods);
    for rule in out.ingress.iter_mut().chain(&mut out.egress) {
        rule.origin = Origin::default();
        rule.name = None;
        for peer in &mut rule.peers {
            match peer {
                ClusterPeer::Networks { blocks, origin } => {
                    *origin = Origin::default();
                    blocks.iter_mut().for_each(plain_block);
                }
                ClusterPeer::Pods { namespaces, pods, origin } => {
                    *origin = Origin::default();
                    plain_selector(namespaces);
                    plain_selector(pods);
                }
                ClusterPeer::Nodes { nodes, origin } => {
                    *origin = Origin::default();
                    plain_selector(nodes);
                }
                ClusterPeer::DomainNames { origin, .. } | ClusterPeer::Unknown { origin } => {
                    *origin = Origin::default();
                }
            }
        }
    }
    out
}

fn plain_selector(selector: &mut Selector) {
    selector.requirements.iter_mut().for_each(|r| r.from_labels = false);
    selector.requirements.sort();
}

fn plain_block(block: &mut BlockCidr) {
    block.sloppy = false;
    block.origin = Origin::default();
}
