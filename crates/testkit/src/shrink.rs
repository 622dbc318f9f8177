//! A smaller world that still shows the same thing.
//!
//! In: a world, a flow, and a test that holds for them. Out: a world and a flow for which it still holds and from which
//! nothing can be taken away. Worlds stay valid: what is removed is removed with its ids.

use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::Presence;
use watertight_model::{
    ClusterPeer, ClusterPorts, ClusterRule, Endpoint, Flow, Labels, NamespaceId, NodeId, PeerKind, Peers, PodId, Ports,
    Rule, Selector, WorkloadId, World,
};

/// Takes things away one by one, as long as `holds` does. `holds` is asked a few hundred times for a small world.
pub fn shrink(mut world: World, mut flow: Flow, holds: impl Fn(&World, &Flow) -> bool) -> (World, Flow) {
    loop {
        let before = size(&world);
        let mut step = 0;
        // Each pass numbers the possible removals afresh; one that fails is skipped, one that works keeps its number,
        // because what came after it has moved there.
        loop {
            let (mut smaller, mut same) = (world.clone(), flow);
            let mut left = step;
            if !remove(&mut smaller, &mut same, &mut left) {
                break;
            }
            if size(&smaller) < size(&world) && holds(&smaller, &same) {
                (world, flow) = (smaller, same);
            } else {
                step += 1;
            }
        }
        if size(&world) == before {
            return (world, flow);
        }
    }
}

/// How much there is to read; every successful step makes it less.
fn size(world: &World) -> usize {
    let selector = |s: &Selector| s.requirements.len() * 2;
    let labels = Labels::len;
    let rule = |r: &Rule| {
        let peers = match &r.peers {
            Peers::Any(_) => 0,
            Peers::Of(peers) => peers.iter().map(|p| 4 + peer_size(&p.kind)).sum(),
        };
        let ports = match &r.ports {
            Ports::Any(_) => 0,
            Ports::Of(ports) => ports.len() * 4,
        };
        4 + peers + ports
    };
    let cluster_rule = |r: &ClusterRule| {
        let ports = match &r.ports {
            ClusterPorts::Any => 0,
            ClusterPorts::Of(ports) => ports.len() * 4,
        };
        4 + ports + r.peers.iter().map(|p| 4 + cluster_peer_size(p)).sum::<usize>()
    };
    let namespaces: usize = world.namespaces.iter().map(|n| 8 + labels(&n.labels) + usize::from(!n.declared)).sum();
    let nodes: usize = world.nodes.iter().map(|n| 8 + labels(&n.labels) + n.addresses.len()).sum();
    let pods: usize = world
        .pods
        .iter()
        .map(|p| {
            let flags = [p.host_network, p.finished, p.terminating, p.template, p.node.is_some()];
            8 + labels(&p.labels) + p.ips.len() + p.ports.len() + flags.iter().filter(|f| **f).count()
        })
        .sum();
    let policies: usize = world
        .policies
        .iter()
        .map(|p| {
            let both = usize::from(p.isolates_ingress) + usize::from(p.isolates_egress);
            8 + both + selector(&p.subject) + p.ingress.iter().chain(&p.egress).map(rule).sum::<usize>()
        })
        .sum();
    let cluster: usize = world
        .cluster_policies
        .iter()
        .map(|p| {
            let subject = selector(&p.subject.namespaces) + selector(&p.subject.pods);
            8 + subject + p.ingress.iter().chain(&p.egress).map(cluster_rule).sum::<usize>()
        })
        .sum();
    let rest = world.foreign_policies.len() * 8 + world.pod_cidrs.len() + world.workloads.len();
    namespaces + nodes + pods + policies + cluster + rest
}

fn peer_size(kind: &PeerKind) -> usize {
    match kind {
        PeerKind::Block(block) => block.except.len(),
        PeerKind::Pods { namespaces, pods } => {
            [namespaces, pods].into_iter().flatten().map(|s| 1 + s.requirements.len() * 2).sum()
        }
    }
}

fn cluster_peer_size(peer: &ClusterPeer) -> usize {
    match peer {
        ClusterPeer::Pods { namespaces, pods, .. } => (namespaces.requirements.len() + pods.requirements.len()) * 2,
        ClusterPeer::Nodes { nodes, .. } => nodes.requirements.len() * 2,
        ClusterPeer::Networks { blocks, .. } => blocks.len(),
        ClusterPeer::DomainNames { names, .. } => names.len(),
        ClusterPeer::Unknown { .. } => 0,
    }
}

/// True once, when the count has run down to the step that is wanted.
fn due(left: &mut usize) -> bool {
    let now = *left == 0;
    *left = left.wrapping_sub(1);
    now
}

/// The place in a list of `len` that the count falls on, if it does.
fn place(left: &mut usize, len: usize) -> Option<usize> {
    (0..len).find(|_| due(left))
}

/// Performs the `left`-th of all possible removals. False if there are not that many.
fn remove(world: &mut World, flow: &mut Flow, left: &mut usize) -> bool {
    from_list(&mut world.foreign_policies, 0, left)
        || from_list(&mut world.cluster_policies, 0, left)
        || from_list(&mut world.policies, 0, left)
        || place(left, world.pods.len()).is_some_and(|i| remove_pod(world, flow, i))
        || place(left, world.nodes.len()).is_some_and(|i| remove_node(world, flow, i))
        || place(left, world.namespaces.len()).is_some_and(|i| remove_namespace(world, i))
        || place(left, world.workloads.len()).is_some_and(|i| remove_workload(world, i))
        || from_list(&mut world.pod_cidrs, 0, left)
        || inside_policies(world, left)
        || inside_things(world, left)
}

/// Takes one entry out, if `keep` remain.
fn from_list<T>(list: &mut Vec<T>, keep: usize, left: &mut usize) -> bool {
    if list.len() <= keep {
        return false;
    }
    let found = place(left, list.len());
    found.map(|i| list.remove(i)).is_some()
}

fn flag(value: &mut bool, left: &mut usize) -> bool {
    let found = *value && due(left);
    *value &= !found;
    found
}

fn from_labels(labels: &mut Labels, left: &mut usize) -> bool {
    let removable: Vec<_> = labels.iter().map(|(k, _)| k.clone()).filter(|k| **k != *NAMESPACE_NAME_LABEL).collect();
    let Some(i) = place(left, removable.len()) else { return false };
    *labels = Labels::new(labels.iter().filter(|(k, _)| **k != removable[i]).map(|(k, v)| (k.clone(), v.clone())));
    true
}

fn inside_policies(world: &mut World, left: &mut usize) -> bool {
    for policy in &mut world.policies {
        let rules = from_list(&mut policy.ingress, 0, left) || from_list(&mut policy.egress, 0, left);
        let isolates = flag(&mut policy.isolates_ingress, left) || flag(&mut policy.isolates_egress, left);
        if rules || isolates || from_list(&mut policy.subject.requirements, 0, left) {
            return true;
        }
        if policy.ingress.iter_mut().chain(&mut policy.egress).any(|r| inside_rule(r, left)) {
            return true;
        }
    }
    for policy in &mut world.cluster_policies {
        let subject = &mut policy.subject;
        if from_list(&mut policy.ingress, 0, left)
            || from_list(&mut policy.egress, 0, left)
            || from_list(&mut subject.namespaces.requirements, 0, left)
            || from_list(&mut subject.pods.requirements, 0, left)
        {
            return true;
        }
        if policy.ingress.iter_mut().chain(&mut policy.egress).any(|r| inside_cluster_rule(r, left)) {
            return true;
        }
    }
    false
}

fn inside_rule(rule: &mut Rule, left: &mut usize) -> bool {
    if let Peers::Of(peers) = &mut rule.peers {
        if due(left) {
            rule.peers = Peers::Any(Presence::Absent);
            return true;
        }
        if from_list(peers, 1, left) || peers.iter_mut().any(|p| inside_peer(&mut p.kind, left)) {
            return true;
        }
    }
    if let Ports::Of(ports) = &mut rule.ports {
        if due(left) {
            rule.ports = Ports::Any(Presence::Absent);
            return true;
        }
        return from_list(ports, 1, left);
    }
    false
}

fn inside_peer(kind: &mut PeerKind, left: &mut usize) -> bool {
    match kind {
        PeerKind::Block(block) => from_list(&mut block.except, 0, left),
        PeerKind::Pods { namespaces, pods } => {
            // One of the two must stay.
            if namespaces.is_some() && pods.is_some() {
                if due(left) {
                    *namespaces = None;
                    return true;
                }
                if due(left) {
                    *pods = None;
                    return true;
                }
            }
            [namespaces, pods].into_iter().flatten().any(|s| from_list(&mut s.requirements, 0, left))
        }
    }
}

fn inside_cluster_rule(rule: &mut ClusterRule, left: &mut usize) -> bool {
    if from_list(&mut rule.peers, 1, left) {
        return true;
    }
    if let ClusterPorts::Of(ports) = &mut rule.ports {
        if due(left) {
            rule.ports = ClusterPorts::Any;
            return true;
        }
        if from_list(ports, 1, left) {
            return true;
        }
    }
    rule.peers.iter_mut().any(|peer| match peer {
        ClusterPeer::Pods { namespaces, pods, .. } => {
            from_list(&mut namespaces.requirements, 0, left) || from_list(&mut pods.requirements, 0, left)
        }
        ClusterPeer::Nodes { nodes, .. } => from_list(&mut nodes.requirements, 0, left),
        ClusterPeer::Networks { blocks, .. } => from_list(blocks, 1, left),
        ClusterPeer::DomainNames { names, .. } => from_list(names, 1, left),
        ClusterPeer::Unknown { .. } => false,
    })
}

fn inside_things(world: &mut World, left: &mut usize) -> bool {
    for namespace in &mut world.namespaces {
        if !namespace.declared && due(left) {
            namespace.declared = true;
            return true;
        }
        if from_labels(&mut namespace.labels, left) {
            return true;
        }
    }
    for node in &mut world.nodes {
        if from_labels(&mut node.labels, left) || from_list(&mut node.addresses, 0, left) {
            return true;
        }
    }
    for pod in &mut world.pods {
        let flags = [&mut pod.host_network, &mut pod.finished, &mut pod.terminating, &mut pod.template];
        if flags.into_iter().any(|f| flag(f, left)) || from_labels(&mut pod.labels, left) {
            return true;
        }
        if pod.node.is_some() && due(left) {
            pod.node = None;
            return true;
        }
        if from_list(&mut pod.ips, 0, left) || from_list(&mut pod.ports, 0, left) {
            return true;
        }
    }
    false
}

/// The id after entry `gone` was taken out of its list; `None` if it was that entry.
fn after(id: usize, gone: usize) -> Option<usize> {
    if id == gone { None } else { Some(id - usize::from(id > gone)) }
}

/// Removes a pod that is not an end of the flow, with its workload if that has no other pod.
fn remove_pod(world: &mut World, flow: &mut Flow, gone: usize) -> bool {
    for end in [&mut flow.from, &mut flow.to] {
        if let Endpoint::Pod(id) = end {
            // A removal that cannot be is still a step: it leaves the size as it was, and is skipped.
            let Some(i) = after(id.index(), gone) else { return true };
            *id = PodId::at(i);
        }
    }
    let workload = world.pods.remove(gone).workload;
    if !world.pods.iter().any(|p| p.workload == workload) {
        remove_workload(world, workload.index());
    }
    true
}

fn remove_workload(world: &mut World, gone: usize) -> bool {
    if world.pods.iter().any(|p| p.workload.index() == gone) {
        return true;
    }
    world.workloads.remove(gone);
    for pod in &mut world.pods {
        pod.workload = after(pod.workload.index(), gone).map_or(pod.workload, WorkloadId::at);
    }
    true
}

fn remove_node(world: &mut World, flow: &mut Flow, gone: usize) -> bool {
    for end in [&mut flow.from, &mut flow.to] {
        if let Endpoint::Node(id) = end {
            let Some(i) = after(id.index(), gone) else { return true };
            *id = NodeId::at(i);
        }
    }
    world.nodes.remove(gone);
    for pod in &mut world.pods {
        pod.node = pod.node.and_then(|id| after(id.index(), gone)).map(NodeId::at);
    }
    true
}

/// Removes a namespace in which nothing lives.
fn remove_namespace(world: &mut World, gone: usize) -> bool {
    let mut ids: Vec<&mut NamespaceId> = world.pods.iter_mut().map(|p| &mut p.namespace).collect();
    ids.extend(world.workloads.iter_mut().map(|w| &mut w.namespace));
    ids.extend(world.policies.iter_mut().map(|p| &mut p.namespace));
    ids.extend(world.services.iter_mut().map(|s| &mut s.namespace));
    ids.extend(world.endpoint_slices.iter_mut().map(|s| &mut s.namespace));
    ids.extend(world.ingresses.iter_mut().map(|i| &mut i.namespace));
    ids.extend(world.gateways.iter_mut().map(|g| &mut g.namespace));
    ids.extend(world.routes.iter_mut().map(|r| &mut r.namespace));
    ids.extend(world.foreign_policies.iter_mut().filter_map(|f| f.namespace.as_mut()));
    if ids.iter().any(|id| id.index() == gone) {
        return true;
    }
    for id in ids {
        *id = after(id.index(), gone).map_or(*id, NamespaceId::at);
    }
    world.namespaces.remove(gone);
    true
}
