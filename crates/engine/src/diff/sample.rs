//! One flow in both worlds and in every world between them: the smallest world that decides it, with some of the edits
//! applied.

use super::edits::{Policies, Policy, same_namespace, same_pod};
use super::joint::Joint;
use super::{End, Object, Party};
use crate::{Engine, query};
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_model::{
    Endpoint, Flow, FlowVerdict, L4, Labels, NamespaceId, Node, NodeId, Pod, PodId, PolicyRef, Protocol, RuleRef, Str,
    Verdict, Workload, WorkloadId, World,
};

/// One end of the flow: an address, or a pod of a party in each world.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Address(IpAddr),
    Pod { party: usize, pods: [PodId; 2] },
}

/// A flow and what may change its verdict.
pub(super) struct Sample<'j> {
    joint: &'j Joint,
    ends: [Place; 2],
    l4: L4,
    /// Policies that select one of the pods, in some version.
    policies: Vec<Policy>,
    cluster: Vec<Policy>,
    /// What differs between the worlds, as far as it concerns the flow.
    pub(super) edits: Vec<Object>,
}

/// A verdict with the rules that decided it, as rules of the worlds compared: `true` for the second world.
pub(super) struct Decided {
    pub(super) verdict: Verdict,
    pub(super) by: Vec<(bool, RuleRef)>,
}

/// A small world, the flow in it, and where its policies come from.
struct Small {
    world: World,
    flow: Flow,
    policies: Vec<(bool, u32)>,
    cluster: Vec<(bool, u32)>,
}

impl<'j> Sample<'j> {
    pub(super) fn new(joint: &'j Joint, known: &Policies, ends: [Place; 2], port: (Protocol, u16)) -> Self {
        let worlds = &joint.worlds;
        let mut edits: BTreeSet<Object> = BTreeSet::new();
        let (mut policies, mut labels): (Vec<Policy>, Vec<&Labels>) = (Vec::new(), Vec::new());
        let mut nodes = false;
        for end in &ends {
            let Place::Pod { party, pods } = end else { continue };
            let pods = [0, 1].map(|side: usize| &worlds[side].pods[pods[side].index()]);
            let both = pods.map(|p| &p.labels);
            labels.extend(both);
            let namespaces = pods.map(|p| p.namespace);
            let name = &worlds[0].namespaces[namespaces[0].index()].name;
            for policy in known.selecting(worlds, name, &both) {
                if !policies.contains(&policy) {
                    policies.push(policy);
                }
            }
            if !same_namespace(worlds, namespaces) {
                edits.insert(Object::Namespace { before: namespaces[0], after: namespaces[1] });
            }
            if let (Party::Workload { before: Some(before), after: Some(after) }, false) =
                (joint.parties[*party], same_pod(worlds, pods))
            {
                edits.insert(Object::Workload { before, after });
            }
            nodes |= pods.iter().any(|p| p.host_network);
        }
        let cluster = known.cluster_selecting(worlds, &labels);
        let policy = |p: &Policy, kind: fn(u32) -> PolicyRef| Object::Policy {
            before: p.at[0].map(kind),
            after: p.at[1].map(kind),
        };
        edits.extend(cluster.iter().filter(|p| p.changed).map(|p| policy(p, PolicyRef::Cluster)));
        edits.extend(policies.iter().filter(|p| p.changed).map(|p| policy(p, PolicyRef::Namespaced)));
        let [a, b] = worlds;
        let place = |n: &Node| (n.name.clone(), n.labels.clone(), n.addresses.clone());
        let same_nodes = !nodes || a.nodes.iter().map(place).eq(b.nodes.iter().map(place));
        if a.pod_cidrs != b.pod_cidrs || !same_nodes {
            edits.insert(Object::Nodes);
        }
        let l4 = L4::Port(port.0, port.1);
        Self { joint, ends, l4, policies, cluster, edits: edits.into_iter().collect() }
    }

    /// The verdict in the first world with those edits applied that `applied` names by number. Policies that are not
    /// evaluated are left aside.
    pub(super) fn decide(&self, applied: &dyn Fn(usize) -> bool) -> Decided {
        let small = self.small(applied);
        let verdict = Engine::new(&small.world).decide(&small.flow);
        let FlowVerdict { egress, ingress, .. } = &verdict;
        let real = |rule: &RuleRef| {
            let (list, i, kind): (_, _, fn(u32) -> PolicyRef) = match rule.policy {
                PolicyRef::Namespaced(i) => (&small.policies, i, PolicyRef::Namespaced),
                PolicyRef::Cluster(i) => (&small.cluster, i, PolicyRef::Cluster),
            };
            list.get(i as usize).map(|(after, i)| (*after, RuleRef { policy: kind(*i), ..*rule }))
        };
        let by = egress.decided_by.iter().chain(&ingress.decided_by).filter_map(real).collect();
        Decided { verdict: query::evaluated(&verdict), by }
    }

    fn small(&self, applied: &dyn Fn(usize) -> bool) -> Small {
        let worlds = &self.joint.worlds;
        let side = |object: Object| {
            let at = self.edits.binary_search(&object);
            usize::from(at.is_ok_and(applied))
        };
        let cluster_side = side(Object::Nodes);
        let mut world = World { pod_cidrs: worlds[cluster_side].pod_cidrs.clone(), ..World::default() };
        // Namespaces first: ids of the small world follow their names.
        let mut namespaces: Vec<[NamespaceId; 2]> = Vec::new();
        let mut pods: Vec<(usize, usize, usize)> = Vec::new();
        for (end, place) in self.ends.iter().enumerate() {
            let Place::Pod { party, pods: ids } = place else { continue };
            let pair = [0, 1].map(|s: usize| worlds[s].pods[ids[s].index()].namespace);
            if !namespaces.contains(&pair) {
                namespaces.push(pair);
            }
            let version = match self.joint.parties[*party] {
                Party::Workload { before: Some(before), after: Some(after) } => {
                    side(Object::Workload { before, after })
                }
                _ => 0,
            };
            let at = namespaces.iter().position(|n| *n == pair).unwrap_or(0);
            pods.push((at, end, version));
        }
        let order = namespaces.clone();
        namespaces.sort();
        for pair in &namespaces {
            let version = side(Object::Namespace { before: pair[0], after: pair[1] });
            world.namespaces.push(worlds[version].namespaces[pair[version].index()].clone());
        }
        let small_namespace = |pair: &[NamespaceId; 2]| namespaces.iter().position(|n| n == pair).map(NamespaceId::at);
        pods.sort_by_key(|(at, end, _)| (order.get(*at).and_then(small_namespace), *end));
        let mut ends = self.ends.map(|place| match place {
            Place::Address(ip) => Endpoint::External(ip),
            Place::Pod { .. } => Endpoint::Pod(PodId::at(0)),
        });
        self.nodes(&pods, cluster_side, &mut world);
        for (at, end, version) in pods {
            let (Place::Pod { pods: ids, .. }, Some(namespace)) =
                (self.ends[end], order.get(at).and_then(small_namespace))
            else {
                continue;
            };
            let real = &worlds[version].pods[ids[version].index()];
            let node = real.node.map(|n| &worlds[version].nodes[n.index()].name);
            ends[end] = Endpoint::Pod(PodId::at(world.pods.len()));
            let (node, workload) = (node.and_then(|n| world.node(n)), WorkloadId::at(world.workloads.len()));
            world.pods.push(Pod { namespace, workload, node, ..real.clone() });
            let owner = &worlds[version].workloads[real.workload.index()];
            world.workloads.push(Workload { namespace, ..owner.clone() });
        }
        let policies = self.put_policies(&mut world, &namespaces, &side);
        let cluster = self.put_cluster(&mut world, &side);
        let flow = Flow { from: ends[0], to: ends[1], l4: self.l4, via_service: false };
        Small { world, flow, policies, cluster }
    }

    /// The nodes that the pods run on, as they are on the side given.
    fn nodes(&self, pods: &[(usize, usize, usize)], side: usize, world: &mut World) {
        let worlds = &self.joint.worlds;
        let mut names: BTreeSet<Str> = BTreeSet::new();
        for (_, end, version) in pods {
            if let Place::Pod { pods: ids, .. } = self.ends[*end] {
                let node: Option<NodeId> = worlds[*version].pods[ids[*version].index()].node;
                names.extend(node.map(|n| worlds[*version].nodes[n.index()].name.clone()));
            }
        }
        let found = names.iter().filter_map(|name| worlds[side].node(name));
        world.nodes.extend(found.map(|n| worlds[side].nodes[n.index()].clone()));
    }

    fn put_policies(
        &self,
        world: &mut World,
        namespaces: &[[NamespaceId; 2]],
        side: &dyn Fn(Object) -> usize,
    ) -> Vec<(bool, u32)> {
        let worlds = &self.joint.worlds;
        let mut out = Vec::new();
        let mut chosen = Vec::new();
        for policy in &self.policies {
            let Some((version, i)) = version(policy, PolicyRef::Namespaced, side) else { continue };
            let real = &worlds[version].policies[i as usize];
            let here = namespaces.iter().position(|pair| pair[version] == real.namespace);
            chosen.extend(here.map(|n| (NamespaceId::at(n), real, version == 1, i)));
        }
        chosen.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        for (namespace, real, after, i) in chosen {
            let mut policy = real.clone();
            policy.namespace = namespace;
            world.policies.push(policy);
            out.push((after, i));
        }
        out
    }

    fn put_cluster(&self, world: &mut World, side: &dyn Fn(Object) -> usize) -> Vec<(bool, u32)> {
        let worlds = &self.joint.worlds;
        let mut chosen: Vec<_> = self
            .cluster
            .iter()
            .filter_map(|policy| version(policy, PolicyRef::Cluster, side))
            .map(|(version, i)| (&worlds[version].cluster_policies[i as usize], version == 1, i))
            .collect();
        chosen.sort_by(|(a, ..), (b, ..)| {
            (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name))
        });
        world.cluster_policies.extend(chosen.iter().map(|(policy, ..)| (*policy).clone()));
        chosen.into_iter().map(|(_, after, i)| (after, i)).collect()
    }
}

/// Which version of a policy stands in the small world, if any.
fn version(policy: &Policy, kind: fn(u32) -> PolicyRef, side: &dyn Fn(Object) -> usize) -> Option<(usize, u32)> {
    let object = Object::Policy { before: policy.at[0].map(kind), after: policy.at[1].map(kind) };
    let version = if policy.changed { side(object) } else { 0 };
    policy.at[version].map(|i| (version, i))
}

/// The address or party of a row's end.
pub(super) fn address(end: &End) -> Option<IpAddr> {
    match end {
        End::External(cidrs) => cidrs.first().map(watertight_model::Cidr::addr),
        End::Party(_) => None,
    }
}
