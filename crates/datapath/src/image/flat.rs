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
use watertight_model::{Labels, NodeId, Pod, PodId, World};

/// The annotation that says whether a policy, or all policies of a namespace, are enforced.
pub(super) const MODE: &str = "watertight.dev/mode";

/// A world with one address per pod and node.
pub(super) struct Flat {
    pub(super) world: World,
    /// Pods of this world by address; `None`: two pods claim it.
    pub(super) pods: BTreeMap<IpAddr, Option<PodId>>,
    /// Nodes of this world by address.
    pub(super) nodes: BTreeMap<IpAddr, NodeId>,
    /// hostNetwork pods of this world by the address of their node.
    pub(super) hosts: BTreeMap<IpAddr, Vec<PodId>>,
    /// For each local, in order: a pod of this world to ask for it; `None`: it has finished or shares its node's network.
    pub(super) subjects: Vec<Option<PodId>>,
    pub(super) notes: Vec<Note>,
}

impl Flat {
    pub(super) fn of(world: &World, locals: &[Local]) -> Self {
        let mut out = World {
            namespaces: world.namespaces.clone(),
            policies: world.policies.clone(),
            cluster_policies: world.cluster_policies.clone(),
            pod_cidrs: world.pod_cidrs.clone(),
            ..World::default()
        };
        let mut first_of_node = Vec::with_capacity(world.nodes.len());
        let mut nodes = BTreeMap::new();
        for node in &world.nodes {
            first_of_node.push(NodeId::at(out.nodes.len()));
            let mut one = node.clone();
            if node.addresses.len() < 2 {
                node.addresses.iter().for_each(|ip| {
                    nodes.entry(*ip).or_insert(NodeId::at(out.nodes.len()));
                });
                out.nodes.push(one);
                continue;
            }
            for ip in &node.addresses {
                nodes.entry(*ip).or_insert(NodeId::at(out.nodes.len()));
                one.addresses = vec![*ip];
                out.nodes.push(one.clone());
            }
        }
        let by_pod: FxHashMap<PodId, usize> = locals.iter().enumerate().map(|(i, l)| (l.pod, i)).collect();
        let mut subjects = vec![None; locals.len()];
        let mut claims: BTreeMap<IpAddr, Vec<PodId>> = BTreeMap::new();
        let mut hosts: BTreeMap<IpAddr, Vec<PodId>> = BTreeMap::new();
        for (i, pod) in world.pods.iter().enumerate() {
            let local = by_pod.get(&PodId::at(i)).copied();
            if pod.finished {
                continue;
            }
            if pod.host_network {
                // One per address of its node, like the node: what blocks say is exact then.
                let addresses = pod.node.map_or(&pod.ips, |n| &world.nodes[n.index()].addresses);
                for ip in addresses {
                    hosts.entry(*ip).or_default().push(PodId::at(out.pods.len()));
                    let node = nodes.get(ip).copied().filter(|_| pod.node.is_some());
                    out.pods.push(Pod { ips: vec![*ip], node, ..pod.clone() });
                }
                continue;
            }
            let addresses: &[IpAddr] = match local.map(|l| &locals[l].addresses) {
                Some(own) if !own.is_empty() => own,
                Some(_) | None => &pod.ips,
            };
            if addresses.is_empty() && local.is_none() {
                continue;
            }
            if let Some(local) = local {
                subjects[local] = Some(PodId::at(out.pods.len()));
            }
            let one = |ips: Vec<IpAddr>| Pod { ips, node: pod.node.map(|n| first_of_node[n.index()]), ..pod.clone() };
            if addresses.is_empty() {
                out.pods.push(one(Vec::new()));
            }
            for ip in addresses {
                claims.entry(*ip).or_default().push(PodId::at(out.pods.len()));
                out.pods.push(one(vec![*ip]));
            }
        }
        let mut notes = Vec::new();
        let pods = claims.into_iter().map(|(ip, who)| (ip, owner(&out, ip, &who, &mut notes))).collect();
        Self { world: out, pods, nodes, hosts, subjects, notes }
    }

    /// Without the policies that are in shadow; `None` if none is.
    pub(super) fn enforced(&mut self, all_in_shadow: bool) -> Option<World> {
        let mut notes = Vec::new();
        let mut shadow = |annotations: &Labels, inherited: bool, name: &dyn Fn() -> String| match annotations
            .get(MODE)
            .map(|v| &**v)
        {
            None => inherited,
            Some("shadow") => true,
            Some("enforce") => false,
            Some(_) => {
                notes.push(Note::UnknownMode(name()));
                false
            }
        };
        let world = &self.world;
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
        self.notes.extend(notes);
        if kept.iter().chain(&kept_cluster).all(|k| *k) {
            return None;
        }
        let mut out = self.world.clone();
        let (mut kept, mut kept_cluster) = (kept.into_iter(), kept_cluster.into_iter());
        out.policies.retain(|_| kept.next().unwrap_or(true));
        out.cluster_policies.retain(|_| kept_cluster.next().unwrap_or(true));
        Some(out)
    }
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
