//! `networking.k8s.io/v1` NetworkPolicy: isolation, and the union of what the isolating policies admit.

use crate::half::{Question, Ways};
use crate::matching::{Block, blocks_match, labels_match, namespace_matches, port_is, unreadable};
use crate::tri::Tri;
use std::collections::BTreeSet;
use watertight_model::*;

/// Adds the ways in which the NetworkPolicies decide. True if they may leave the pod not isolated.
pub(crate) fn leaves(q: &Question<'_>, ways: &mut Ways) -> bool {
    // Is the pod isolated, and is the traffic admitted? On every branch.
    let mut branches = BTreeSet::from([(false, false)]);
    let (mut isolating, mut admitting) = (Vec::new(), Vec::new());
    for (policy, index) in q.world.policies.iter().zip(0u32..) {
        let reference = |rule| RuleRef { policy: PolicyRef::Namespaced(index), direction: q.direction, rule };
        if !policy.isolates(q.direction) {
            continue; // rules of a direction that policyTypes does not name have no effect (rows 21, 22)
        }
        let selected = ways.note(selects(q, policy), reference(None));
        if selected == Tri::No {
            continue;
        }
        isolating.push(reference(None));
        let mut admitted = Tri::No;
        for (rule, i) in policy.rules(q.direction).iter().zip(0u32..) {
            let admits = ways.note(rule_admits(q, policy, rule), reference(Some(i)));
            admitting.extend((admits != Tri::No).then_some(reference(Some(i))));
            admitted = admitted.or(admits);
        }
        let before = std::mem::take(&mut branches);
        for (was_isolated, was_admitted) in before {
            branches.extend((selected != Tri::Yes).then_some((was_isolated, was_admitted)));
            branches.extend((admitted != Tri::Yes).then_some((true, was_admitted)));
            branches.extend((admitted != Tri::No).then_some((true, true)));
        }
    }
    if branches.contains(&(true, true)) {
        ways.add(Reason::PolicyAllow, admitting);
    }
    if branches.contains(&(true, false)) {
        ways.add(Reason::PolicyDeny, isolating);
    }
    branches.contains(&(false, false))
}

/// `spec.podSelector`: pods of the policy's own namespace (rows 15, 26); finished pods never (107).
fn selects(q: &Question<'_>, policy: &NetworkPolicy) -> Tri {
    let pod = q.subject();
    let labels = unreadable(&policy.subject) || labels_match(&policy.subject, &pod.labels);
    let selected = labels && pod.namespace == policy.namespace && !pod.finished;
    Tri::from_bool(selected).and(seen(q.world, q.subject))
}

/// Whether NetworkPolicy sees the pod as one: for a hostNetwork pod the plugin decides (U5, row 103).
fn seen(world: &World, id: PodId) -> Tri {
    if world.pods[id.index()].host_network { Tri::unclear(DependsOn::HostNetwork(id)) } else { Tri::Yes }
}

/// `from`/`to` AND `ports`. Taken pair by pair, because a port name never matches through an address block (row 58).
fn rule_admits(q: &Question<'_>, policy: &NetworkPolicy, rule: &Rule) -> Tri {
    if unreadable(&policy.subject) {
        return Tri::No; // isolates, admits nothing (row 47)
    }
    let peers: Vec<Option<&PeerKind>> = match &rule.peers {
        Peers::Any(_) => vec![None],
        Peers::Of(peers) => peers.iter().map(|p| Some(&p.kind)).collect(),
    };
    let ports: Vec<Option<&PortEntry>> = match &rule.ports {
        Ports::Any(_) => vec![None],
        Ports::Of(ports) => ports.iter().map(Some).collect(),
    };
    let pairs = peers.iter().flat_map(|peer| ports.iter().map(move |port| (*peer, *port)));
    Tri::any(pairs.map(|(peer, port)| {
        let by_name = matches!(port, Some(PortEntry { port: PortMatch::Named(_), .. }));
        match peer {
            Some(PeerKind::Block(_)) if q.direction == Direction::Egress && by_name => Tri::No,
            peer => peer.map_or(Tri::Yes, |p| peer_matches(q, policy.namespace, rule, p)).and(port_matches(q, port)),
        }
    }))
}

/// One entry of `from` or `to`. Selectors: `namespaceSelector` AND `podSelector`; without the former the policy's own
/// namespace, without the latter all pods (rows 10 to 13, 40, 41). Nodes and external addresses are no pods.
/// The address blocks of a rule are one set (U1).
fn peer_matches(q: &Question<'_>, own: NamespaceId, rule: &Rule, peer: &PeerKind) -> Tri {
    let (namespaces, pods, id) = match (peer, q.peer) {
        (PeerKind::Block(_), _) => return blocks_match(q.world, &blocks(rule), q.peer),
        (PeerKind::Pods { namespaces, pods }, Endpoint::Pod(id)) => (namespaces.as_ref(), pods.as_ref(), id),
        (PeerKind::Pods { .. }, Endpoint::Node(_) | Endpoint::External(_)) => return Tri::No,
    };
    let pod = &q.world.pods[id.index()];
    if pod.finished || namespaces.is_some_and(unreadable) || pods.is_some_and(unreadable) {
        return Tri::No; // rows 107, 47
    }
    let in_namespace = match namespaces {
        None => Tri::from_bool(pod.namespace == own),
        Some(selector) => namespace_matches(q.world, selector, pod.namespace),
    };
    let labels = Tri::from_bool(pods.is_none_or(|selector| labels_match(selector, &pod.labels)));
    in_namespace.and(labels).and(seen(q.world, id))
}

/// One entry of `ports`, or no `ports` at all (rows 9, 48 to 57, 68).
fn port_matches(q: &Question<'_>, entry: Option<&PortEntry>) -> Tri {
    match (entry, q.l4) {
        (None, L4::Port(..)) => Tri::Yes,
        (None, L4::Other) => Tri::unclear(DependsOn::OtherProtocol), // U8
        (Some(_), L4::Other) => Tri::No,
        (Some(entry), L4::Port(protocol, port)) => {
            Tri::from_bool(entry.protocol == protocol && port_is(&entry.port, q.receiver(), protocol, port))
        }
    }
}

fn blocks(rule: &Rule) -> Vec<Block<'_>> {
    let Peers::Of(peers) = &rule.peers else { return Vec::new() };
    peers
        .iter()
        .filter_map(|p| match &p.kind {
            PeerKind::Block(IpBlock { cidr, except }) => Some((cidr, except.as_slice())),
            PeerKind::Pods { .. } => None,
        })
        .collect()
}
