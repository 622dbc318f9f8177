//! The world as packets see it: every pod and every node has exactly one address.
//!
//! A packet has one address, so whether a block holds a dual-stack pod is never unclear for it. Instead of teaching that to
//! the engine, the engine is given a world in which a pod with two addresses is two pods with the same labels. Finished pods
//! are left out (row 107). hostNetwork pods have no address here: their traffic is their node's (rows 97, 103). They are
//! kept for one question only: which ports of a node their names stand for.

use super::{Local, Note};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight_model::{Labels, Node, NodeId, Pod, PodId, World};

/// The annotation that says whether a policy, or all policies of a namespace, are enforced.
pub(super) const MODE: &str = "watertight.dev/mode";

/// Nodes with one address each.
#[derive(Default)]
pub(super) struct Nodes {
    /// The nodes, in order; a node with several addresses is there once for each.
    pub(super) list: Vec<Node>,
    /// Index into `list` by address.
    pub(super) by_address: BTreeMap<IpAddr, NodeId>,
    /// The first index in `list` of every node of the world.
    pub(super) first: Vec<NodeId>,
    /// hostNetwork pods by the address of their node, for whoever puts them there.
    pub(super) hosts: BTreeMap<IpAddr, Vec<PodId>>,
}

impl Nodes {
    pub(super) fn of(world: &World) -> Self {
        let mut out = Self::default();
        for node in &world.nodes {
            out.first.push(NodeId::at(out.list.len()));
            let mut one = node.clone();
            if node.addresses.len() < 2 {
                node.addresses.iter().for_each(|ip| {
                    out.by_address.entry(*ip).or_insert(NodeId::at(out.list.len()));
                });
                out.list.push(one);
                continue;
            }
            for ip in &node.addresses {
                out.by_address.entry(*ip).or_insert(NodeId::at(out.list.len()));
                one.addresses = vec![*ip];
                out.list.push(one.clone());
            }
        }
        out
    }

    /// Puts a hostNetwork pod, which has not finished, into `pods`: one per address of its node, like the node, so that what
    /// blocks say is exact.
    pub(super) fn host(&mut self, world: &World, pod: &Pod, pods: &mut Vec<Pod>) {
        let addresses = pod.node.map_or(&pod.ips, |n| &world.nodes[n.index()].addresses);
        for ip in addresses {
            self.hosts.entry(*ip).or_default().push(PodId::at(pods.len()));
            let node = self.by_address.get(ip).copied().filter(|_| pod.node.is_some());
            pods.push(Pod { ips: vec![*ip], node, ..pod.clone() });
        }
    }

    /// A pod as it is with one address, or without any.
    pub(super) fn one(&self, pod: &Pod, ips: Vec<IpAddr>) -> Pod {
        Pod { ips, node: pod.node.map(|n| self.first[n.index()]), ..pod.clone() }
    }
}

/// The world without pods and nodes, to which those with one address are added.
pub(super) fn rest(world: &World) -> World {
    World {
        namespaces: world.namespaces.clone(),
        policies: world.policies.clone(),
        cluster_policies: world.cluster_policies.clone(),
        pod_cidrs: world.pod_cidrs.clone(),
        ..World::default()
    }
}

/// The addresses of a pod, if it takes part: a pod that has finished does not, nor does one that shares its node's network, nor
/// one elsewhere that has no address.
pub(super) fn addresses<'a>(pod: &'a Pod, local: Option<&'a Local>) -> Option<&'a [IpAddr]> {
    if pod.finished || pod.host_network {
        return None;
    }
    let addresses: &[IpAddr] = match local.map(|l| &l.addresses) {
        Some(own) if !own.is_empty() => own,
        Some(_) | None => &pod.ips,
    };
    (!addresses.is_empty() || local.is_some()).then_some(addresses)
}

/// A world with one address per pod and node.
pub(super) struct Flat {
    pub(super) world: World,
    /// Pods of this world by address; `None`: two pods claim it.
    pub(super) pods: BTreeMap<IpAddr, Option<PodId>>,
    /// Nodes of this world, and the hostNetwork pods on them.
    pub(super) nodes: Nodes,
    /// Device, by pod of this world, for those of this node.
    pub(super) devices: FxHashMap<PodId, u32>,
    /// For each local, in order: a pod of this world to ask for it; `None`: it has finished or shares its node's network.
    pub(super) subjects: Vec<Option<PodId>>,
    pub(super) notes: Vec<Note>,
}

impl Flat {
    pub(super) fn of(world: &World, locals: &[Local]) -> Self {
        let mut out = rest(world);
        let mut nodes = Nodes::of(world);
        let by_pod: FxHashMap<PodId, usize> = locals.iter().enumerate().map(|(i, l)| (l.pod, i)).collect();
        let mut subjects = vec![None; locals.len()];
        let mut claims: BTreeMap<IpAddr, Vec<PodId>> = BTreeMap::new();
        let mut devices = FxHashMap::default();
        for (i, pod) in world.pods.iter().enumerate() {
            let local = by_pod.get(&PodId::at(i)).copied();
            if pod.host_network && !pod.finished {
                nodes.host(world, pod, &mut out.pods);
                continue;
            }
            let Some(addresses) = addresses(pod, local.map(|l| &locals[l])) else { continue };
            if let Some(local) = local {
                subjects[local] = Some(PodId::at(out.pods.len()));
            }
            if addresses.is_empty() {
                out.pods.push(nodes.one(pod, Vec::new()));
            }
            for ip in addresses {
                let id = PodId::at(out.pods.len());
                claims.entry(*ip).or_default().push(id);
                devices.extend(local.map(|l| (id, locals[l].ifindex)));
                out.pods.push(nodes.one(pod, vec![*ip]));
            }
        }
        out.nodes.clone_from(&nodes.list);
        let mut notes = Vec::new();
        let pods = claims.into_iter().map(|(ip, who)| (ip, owner(&out, ip, &who, &mut notes))).collect();
        Self { world: out, pods, nodes, devices, subjects, notes }
    }
}

/// Without the policies that are in shadow; `None` if none is.
pub(super) fn enforced(world: &World, all_in_shadow: bool, notes: &mut Vec<Note>) -> Option<World> {
    let mut shadow =
        |annotations: &Labels, inherited: bool, name: &dyn Fn() -> String| match annotations.get(MODE).map(|v| &**v) {
            None => inherited,
            Some("shadow") => true,
            Some("enforce") => false,
            Some(_) => {
                notes.push(Note::UnknownMode(name()));
                false
            }
        };
    let namespaces: Vec<bool> = world
        .namespaces
        .iter()
        .map(|n| shadow(&n.annotations, all_in_shadow, &|| format!("Namespace {}", n.name)))
        .collect();
    let kept: Vec<bool> = world
        .policies
        .iter()
        .map(|p| {
            let name = || format!("NetworkPolicy {}/{}", world.namespaces[p.namespace.index()].name, p.name);
            !shadow(&p.annotations, namespaces[p.namespace.index()], &name)
        })
        .collect();
    let kept_cluster: Vec<bool> = world
        .cluster_policies
        .iter()
        .map(|p| !shadow(&p.annotations, all_in_shadow, &|| format!("{} {}", p.kind.name(), p.name)))
        .collect();
    if kept.iter().chain(&kept_cluster).all(|k| *k) {
        return None;
    }
    let mut out = world.clone();
    let (mut kept, mut kept_cluster) = (kept.into_iter(), kept_cluster.into_iter());
    out.policies.retain(|_| kept.next().unwrap_or(true));
    out.cluster_policies.retain(|_| kept_cluster.next().unwrap_or(true));
    Some(out)
}

/// Whose an address is if several pods claim it: the one that is not on its way out (row 108), else nobody's.
fn owner(world: &World, ip: IpAddr, who: &[PodId], notes: &mut Vec<Note>) -> Option<PodId> {
    let mut staying = who.iter().filter(|p| !world.pods[p.index()].terminating);
    match (who, staying.next(), staying.next()) {
        ([one], _, _) => Some(*one),
        (_, Some(one), None) => Some(*one),
        _ => {
            notes.push(Note::Contested(ip));
            None
        }
    }
}
