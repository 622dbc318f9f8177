//! One-object changes of a world, as a watch brings them: for tests of what follows a changing world.
//!
//! Every kind of object comes, goes and changes, also where that moves the ids of others. The result is sorted as worlds are.

use crate::random::Rng;
use std::cmp::Ordering;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{Labels, Namespace, NamespaceId, NodeId, Pod, PodId, Str, WorkloadId, World};

/// Changes one object of a world. New content is taken from `donor`, a world drawn with the same vocabulary. The text says
/// what was done; nothing may have been, where there is no object of the kind.
pub fn edit(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    match rng.below(20) {
        0 | 1 => change_policy(rng, world, donor),
        2 => add_policy(rng, world, donor),
        3 => remove(rng, &mut world.policies, "policy removed"),
        4 => add_cluster_policy(rng, world, donor),
        5 => remove(rng, &mut world.cluster_policies, "cluster policy removed"),
        6 => change_cluster_policy(rng, world, donor),
        7 | 8 => add_pod(rng, world, donor),
        9 => remove(rng, &mut world.pods, "pod removed"),
        10 | 11 => change_pod(rng, world, donor),
        12 => with_pod(rng, world, "pod finished or not", |_, pod, _| pod.finished = !pod.finished),
        13 => with_pod(rng, world, "pod on another node", |rng, pod, nodes| {
            pod.node = (nodes > 0 && rng.chance(80)).then(|| NodeId::at(rng.below(nodes)));
        }),
        14 => with_pod(rng, world, "pod joins or leaves its node's network", |_, pod, _| {
            pod.host_network = !pod.host_network;
        }),
        15 => relabel_namespace(rng, world, donor),
        16 => namespace_comes_or_goes(rng, world),
        17 => change_node(rng, world, donor),
        18 => {
            world.pod_cidrs.clone_from(&donor.pod_cidrs);
            "pod blocks"
        }
        _ => remove_node(rng, world),
    }
}

fn remove<T>(rng: &mut Rng, list: &mut Vec<T>, said: &'static str) -> &'static str {
    if list.is_empty() {
        return "nothing";
    }
    list.remove(rng.below(list.len()));
    said
}

fn with_pod(
    rng: &mut Rng,
    world: &mut World,
    said: &'static str,
    change: impl FnOnce(&mut Rng, &mut Pod, usize),
) -> &'static str {
    if world.pods.is_empty() {
        return "nothing";
    }
    let at = rng.below(world.pods.len());
    let nodes = world.nodes.len();
    change(rng, &mut world.pods[at], nodes);
    said
}

/// A name that sorts anywhere and is not taken.
fn name(rng: &mut Rng) -> Str {
    Str::from(format!("{}{:08x}", ["a", "m", "pod-0", "policy-0", "z"][rng.below(5)], rng.below(1 << 30)))
}

fn change_policy(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if world.policies.is_empty() || donor.policies.is_empty() {
        return "nothing";
    }
    let new = rng.pick(&donor.policies).clone();
    let at = rng.below(world.policies.len());
    let old = &mut world.policies[at];
    match rng.below(4) {
        0 => old.subject = new.subject,
        1 => old.ingress = new.ingress,
        2 => old.egress = new.egress,
        _ => (old.isolates_ingress, old.isolates_egress) = (new.isolates_ingress, new.isolates_egress),
    }
    "policy changed"
}

fn add_policy(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if donor.policies.is_empty() || world.namespaces.is_empty() {
        return "nothing";
    }
    let mut new = rng.pick(&donor.policies).clone();
    new.namespace = NamespaceId::at(rng.below(world.namespaces.len()));
    new.name = name(rng);
    world.policies.push(new);
    world.policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    "policy added"
}

fn sort_cluster_policies(world: &mut World) {
    world
        .cluster_policies
        .sort_by(|a, b| (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name)));
}

fn add_cluster_policy(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if donor.cluster_policies.is_empty() {
        return "nothing";
    }
    let mut new = rng.pick(&donor.cluster_policies).clone();
    new.name = name(rng);
    world.cluster_policies.push(new);
    sort_cluster_policies(world);
    "cluster policy added"
}

fn change_cluster_policy(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if world.cluster_policies.is_empty() || donor.cluster_policies.is_empty() {
        return "nothing";
    }
    let new = rng.pick(&donor.cluster_policies).clone();
    let at = rng.below(world.cluster_policies.len());
    let old = &mut world.cluster_policies[at];
    match rng.below(4) {
        0 => old.subject = new.subject,
        1 => old.ingress = new.ingress,
        2 => old.egress = new.egress,
        _ => (old.tier, old.priority) = (new.tier, new.priority),
    }
    sort_cluster_policies(world);
    "cluster policy changed"
}

fn sort_pods(world: &mut World) {
    world.pods.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
}

/// A further pod of a workload, like its sibling or not.
fn add_pod(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if world.pods.is_empty() || donor.pods.is_empty() {
        return "nothing";
    }
    let mut new = rng.pick(&world.pods).clone();
    let other = rng.pick(&donor.pods);
    new.name = name(rng);
    new.finished = false;
    if rng.chance(60) {
        new.labels = other.labels.clone();
    }
    if rng.chance(40) {
        new.ports.clone_from(&other.ports);
    }
    if rng.chance(60) {
        new.ips.clone_from(&other.ips);
    }
    world.pods.push(new);
    sort_pods(world);
    "pod added"
}

fn change_pod(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if donor.pods.is_empty() {
        return "nothing";
    }
    let other = rng.pick(&donor.pods).clone();
    with_pod(rng, world, "pod changed", |rng, pod, _| match rng.below(3) {
        0 => pod.labels = other.labels,
        1 => pod.ports = other.ports,
        _ => pod.ips = other.ips,
    })
}

fn relabel_namespace(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if world.namespaces.is_empty() || donor.namespaces.is_empty() {
        return "nothing";
    }
    let at = rng.below(world.namespaces.len());
    let namespace = &mut world.namespaces[at];
    if rng.chance(30) {
        namespace.declared = !namespace.declared;
        return "namespace read or not";
    }
    namespace.labels = rng.pick(&donor.namespaces).labels.with(NAMESPACE_NAME_LABEL, &namespace.name);
    "namespace relabelled"
}

fn change_node(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if world.nodes.is_empty() || donor.nodes.is_empty() {
        return "nothing";
    }
    let at = rng.below(world.nodes.len());
    let other = rng.pick(&donor.nodes).clone();
    match rng.below(2) {
        0 => world.nodes[at].labels = other.labels,
        _ => world.nodes[at].addresses = other.addresses,
    }
    "node changed"
}

fn remove_node(rng: &mut Rng, world: &mut World) -> &'static str {
    if world.nodes.is_empty() {
        return "nothing";
    }
    let gone = NodeId::at(rng.below(world.nodes.len()));
    world.nodes.remove(gone.index());
    for pod in &mut world.pods {
        pod.node = match pod.node {
            Some(node) if node == gone => None,
            Some(node) if node > gone => Some(NodeId(node.0 - 1)),
            other => other,
        };
    }
    "node removed"
}

/// A namespace before or after all others with a pod of its own, or one that leaves with all that is in it. Moves the ids
/// of namespaces, workloads and pods.
fn namespace_comes_or_goes(rng: &mut Rng, world: &mut World) -> &'static str {
    if world.namespaces.len() > 2 && rng.chance(50) {
        let gone = NamespaceId::at(rng.below(world.namespaces.len()));
        world.namespaces.remove(gone.index());
        world.pods.retain(|p| p.namespace != gone);
        world.policies.retain(|p| p.namespace != gone);
        world.services.retain(|s| s.namespace != gone);
        world.endpoint_slices.retain(|s| s.namespace != gone);
        world.ingresses.retain(|s| s.namespace != gone);
        world.foreign_policies.retain(|p| p.namespace != Some(gone));
        let kept: Vec<bool> = world.workloads.iter().map(|w| w.namespace != gone).collect();
        world.workloads.retain(|w| w.namespace != gone);
        let moved = |old: WorkloadId| WorkloadId::at(kept[..old.index()].iter().filter(|k| **k).count());
        world.pods.iter_mut().for_each(|p| p.workload = moved(p.workload));
        move_namespaces(world, |ns| if ns > gone { NamespaceId(ns.0 - 1) } else { ns });
        return "namespace removed";
    }
    let Some(pod) = world.pods.first().cloned() else { return "nothing" };
    let first = rng.chance(50);
    let name = Str::from(format!("{}{:08x}", if first { "a-0" } else { "zz" }, rng.below(1 << 30)));
    let at = world.namespaces.partition_point(|n| n.name < name);
    move_namespaces(world, |ns| if ns.index() >= at { NamespaceId(ns.0 + 1) } else { ns });
    world.namespaces.insert(
        at,
        Namespace {
            labels: Labels::of(&[(NAMESPACE_NAME_LABEL, &name)]),
            name: name.clone(),
            annotations: Labels::default(),
            declared: true,
            terminating: false,
            origin: None,
        },
    );
    let namespace = NamespaceId::at(at);
    let owner = world.workloads.partition_point(|w| w.namespace < namespace);
    let workload = WorkloadId::at(owner);
    world.pods.iter_mut().filter(|p| p.workload >= workload).for_each(|p| p.workload.0 += 1);
    let mut made = world.workloads[if owner == 0 { 0 } else { owner - 1 }].clone();
    made.namespace = namespace;
    world.workloads.insert(owner, made);
    let at = PodId::at(world.pods.partition_point(|p| p.namespace < namespace));
    world.pods.insert(at.index(), Pod { name, namespace, workload, ips: Vec::new(), ..pod });
    "namespace added"
}

fn move_namespaces(world: &mut World, to: impl Fn(NamespaceId) -> NamespaceId) {
    world.pods.iter_mut().for_each(|o| o.namespace = to(o.namespace));
    world.workloads.iter_mut().for_each(|o| o.namespace = to(o.namespace));
    world.policies.iter_mut().for_each(|o| o.namespace = to(o.namespace));
    world.services.iter_mut().for_each(|o| o.namespace = to(o.namespace));
    world.endpoint_slices.iter_mut().for_each(|o| o.namespace = to(o.namespace));
    world.ingresses.iter_mut().for_each(|o| o.namespace = to(o.namespace));
    world.foreign_policies.iter_mut().for_each(|o| o.namespace = o.namespace.map(&to));
}

/// Whether a world is sorted as worlds are, and its ids lead somewhere.
pub fn is_orderly(world: &World) -> bool {
    let ascending = |o: Ordering| o != Ordering::Greater;
    let pods = world.pods.is_sorted_by(|a, b| ascending((a.namespace, &a.name).cmp(&(b.namespace, &b.name))));
    let policies = world.policies.is_sorted_by(|a, b| ascending((a.namespace, &a.name).cmp(&(b.namespace, &b.name))));
    let owned = world.pods.iter().all(|p| {
        let owner = world.workloads.get(p.workload.index());
        owner.is_some_and(|w| w.namespace == p.namespace)
            && p.namespace.index() < world.namespaces.len()
            && p.node.is_none_or(|n| n.index() < world.nodes.len())
    });
    pods && policies && owned && world.namespaces.is_sorted_by(|a, b| a.name < b.name)
}
