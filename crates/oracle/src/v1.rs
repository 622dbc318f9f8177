//! `networking.k8s.io/v1` NetworkPolicy: isolation, and the union of what the isolating policies admit.

use crate::half::{Question, Trace, Way};
use crate::matching::{block_matches, labels_match, named, namespace_matches, number_matches, unreadable};
use crate::tri::Tri;
use std::collections::BTreeSet;
use watertight_model::{
    DependsOn, Endpoint, L4, NamespaceId, NetworkPolicy, Peer, PeerKind, Peers, PolicyRef, PortEntry, PortMatch, Ports,
    Reason, Rule, RuleRef, Selector,
};

/// What the NetworkPolicies may say: each way in which they decide, and whether they may leave the pod not isolated.
pub(crate) fn ways(q: &Question<'_>, trace: &mut Trace) -> (Vec<Way>, bool) {
    // (isolated, admitted) on every branch.
    let mut branches = BTreeSet::from([(false, false)]);
    let (mut isolating, mut admitting) = (Vec::new(), Vec::new());
    for (policy, index) in q.world.policies.iter().zip(0u32..) {
        let reference = |rule| RuleRef { policy: PolicyRef::Namespaced(index), direction: q.direction, rule };
        if !policy.isolates(q.direction) {
            continue; // rules of a direction that policyTypes does not name have no effect (rows 21, 22)
        }
        let selected = trace.note(selects(q, policy), reference(None));
        if selected == Tri::No {
            continue;
        }
        isolating.push(reference(None));
        let mut admitted = Tri::No;
        for (rule, i) in policy.rules(q.direction).iter().zip(0u32..) {
            if unreadable(&policy.subject) {
                continue; // isolates, admits nothing (row 47)
            }
            let admits = trace.note(rule_admits(q, policy.namespace, rule), reference(Some(i)));
            if admits != Tri::No {
                admitting.push(reference(Some(i)));
            }
            admitted = admitted.or(admits);
        }
        let mut next = BTreeSet::new();
        for (was_isolated, was_admitted) in branches {
            if selected != Tri::Yes {
                next.insert((was_isolated, was_admitted));
            }
            if admitted != Tri::Yes {
                next.insert((true, was_admitted));
            }
            if admitted != Tri::No {
                next.insert((true, true));
            }
        }
        branches = next;
    }
    let mut ways = Vec::new();
    if branches.contains(&(true, true)) {
        ways.push(Way { reason: Reason::PolicyAllow, by: admitting });
    }
    if branches.contains(&(true, false)) {
        ways.push(Way { reason: Reason::PolicyDeny, by: isolating });
    }
    (ways, branches.contains(&(false, false)))
}

/// `spec.podSelector`: pods of the policy's own namespace (rows 15, 26); finished pods never (107).
fn selects(q: &Question<'_>, policy: &NetworkPolicy) -> Tri {
    let pod = q.subject();
    let labels = unreadable(&policy.subject) || labels_match(&policy.subject, &pod.labels);
    if pod.namespace != policy.namespace || pod.finished || !labels {
        Tri::No
    } else if pod.host_network {
        Tri::unclear(DependsOn::HostNetwork(q.subject)) // U5
    } else {
        Tri::Yes
    }
}

/// `from`/`to` AND `ports`. Taken pair by pair, because a port name never matches through an address block (row 58).
fn rule_admits(q: &Question<'_>, own: NamespaceId, rule: &Rule) -> Tri {
    let peers: Vec<Option<&Peer>> = match &rule.peers {
        Peers::Any(_) => vec![None],
        Peers::Of(peers) => peers.iter().map(Some).collect(),
    };
    let ports: Vec<Option<&PortEntry>> = match &rule.ports {
        Ports::Any(_) => vec![None],
        Ports::Of(ports) => ports.iter().map(Some).collect(),
    };
    let mut admits = Tri::No;
    for peer in &peers {
        let peer_matches = peer.map_or(Tri::Yes, |p| peer_matches(q, own, &p.kind));
        for port in &ports {
            let through_block = matches!(peer, Some(Peer { kind: PeerKind::Block(_), .. }));
            let is_named = matches!(port, Some(PortEntry { port: PortMatch::Named(_), .. }));
            if q.is_egress() && through_block && is_named {
                continue;
            }
            admits = admits.or(peer_matches.clone().and(port_matches(q, *port)));
        }
    }
    admits
}

/// One entry of `from` or `to`.
fn peer_matches(q: &Question<'_>, own: NamespaceId, peer: &PeerKind) -> Tri {
    match peer {
        PeerKind::Block(block) => block_matches(q.world, &block.cidr, &block.except, q.peer),
        PeerKind::Pods { namespaces, pods } => pods_match(q, own, namespaces.as_ref(), pods.as_ref()),
    }
}

/// `namespaceSelector` AND `podSelector`; without the former the policy's own namespace, without the latter all pods
/// (rows 10 to 13, 40, 41). Nodes and external addresses are no pods.
fn pods_match(q: &Question<'_>, own: NamespaceId, namespaces: Option<&Selector>, pods: Option<&Selector>) -> Tri {
    let Endpoint::Pod(id) = q.peer else { return Tri::No };
    let pod = &q.world.pods[id.index()];
    if pod.finished || namespaces.is_some_and(unreadable) || pods.is_some_and(unreadable) {
        return Tri::No;
    }
    let in_namespace = match namespaces {
        None => Tri::from_bool(pod.namespace == own),
        Some(selector) => namespace_matches(q.world, selector, pod.namespace),
    };
    let labels = Tri::from_bool(pods.is_none_or(|selector| labels_match(selector, &pod.labels)));
    let seen = if pod.host_network { Tri::unclear(DependsOn::HostNetwork(id)) } else { Tri::Yes }; // U5
    in_namespace.and(labels).and(seen)
}

/// One entry of `ports`, or no `ports` at all (rows 9, 48 to 57, 68).
fn port_matches(q: &Question<'_>, entry: Option<&PortEntry>) -> Tri {
    match (entry, q.l4) {
        (None, L4::Port(..)) => Tri::Yes,
        (None, L4::Other) => Tri::unclear(DependsOn::OtherProtocol), // U8
        (Some(_), L4::Other) => Tri::No,
        (Some(entry), L4::Port(protocol, port)) => Tri::from_bool(
            entry.protocol == protocol
                && match &entry.port {
                    PortMatch::Named(name) => named(q.receiver(), name, protocol, port),
                    number => number_matches(number, port),
                },
        ),
    }
}
