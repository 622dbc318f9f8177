//! Which conditions of a rule a flow fails.

use super::{Miss, NearMiss, RuleSays, Step, words};
use crate::block::{blocks_match, whereabouts};
use crate::peers::{cluster_peer_matches, other_side, peer_matches, rule_matches, selectable_pod};
use crate::selector::{matches, matches_namespace, readable};
use crate::tri::Tri;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, ClusterRule, Direction, Endpoint, Flow, L4, NamespaceId, Peer, PeerKind,
    Peers, PolicyRef, PortMatch, Ports, Rule, Selector, Tier, World,
};

/// The misses of a NetworkPolicy rule that does not match, port first.
pub(super) fn of_rule(
    world: &World,
    namespace: NamespaceId,
    rule: &Rule,
    direction: Direction,
    flow: &Flow,
) -> Vec<Miss> {
    let other = other_side(flow, direction);
    let peer = match &rule.peers {
        Peers::Any(_) => None,
        Peers::Of(peers) => peers.iter().map(|p| of_peer(world, namespace, p, other)).min().flatten(),
    };
    let anyone = Rule { peers: Peers::Any(watertight_model::policy::Presence::Absent), ..rule.clone() };
    let port = match rule_matches(world, namespace, &anyone, direction, flow) {
        Tri::No => Some(port_miss(rule, flow)),
        Tri::Yes | Tri::Maybe(_) => None,
    };
    let mut out: Vec<Miss> = port.into_iter().chain(peer).collect();
    if out.is_empty() {
        // The peer matches through a block and the port through a name, which do not go together (row 58).
        out.push(Miss::Port);
    }
    out
}

fn port_miss(rule: &Rule, flow: &Flow) -> Miss {
    let (Ports::Of(entries), L4::Port(protocol, port)) = (&rule.ports, flow.l4) else { return Miss::Port };
    let elsewhere = entries
        .iter()
        .any(|e| e.protocol != protocol && matches!(e.port, PortMatch::Range(a, b) if (a..=b).contains(&port)));
    if elsewhere { Miss::Protocol } else { Miss::Port }
}

/// `None`: the peer matches, or may.
fn of_peer(world: &World, namespace: NamespaceId, peer: &Peer, endpoint: Endpoint) -> Option<Miss> {
    if peer_matches(world, namespace, peer, endpoint).possible() {
        return None;
    }
    Some(match &peer.kind {
        PeerKind::Block(block) => {
            let (place, cause) = whereabouts(world, endpoint);
            let without = blocks_match(&[(&block.cidr, &[])], &place, cause);
            if without.possible() { Miss::Except } else { Miss::Address }
        }
        PeerKind::Pods { namespaces, pods } => {
            let Some(pod) = selectable_pod(world, endpoint) else { return Some(Miss::Peer) };
            let here = match namespaces {
                None => pod.namespace == namespace,
                Some(s) => readable(s) && matches_namespace(world, pod.namespace, s).possible(),
            };
            let labelled = pods.as_ref().is_none_or(|s| readable(s) && matches(s, &pod.labels));
            which_part(here, labelled)
        }
    })
}

fn which_part(here: bool, labelled: bool) -> Miss {
    match (here, labelled) {
        (true, _) => Miss::PodLabels,
        (false, true) => Miss::Namespace,
        (false, false) => Miss::Peer,
    }
}

/// The misses of a cluster rule that does not match.
pub(super) fn of_cluster_rule(
    world: &World,
    tier: Tier,
    rule: &ClusterRule,
    direction: Direction,
    flow: &Flow,
) -> Vec<Miss> {
    let other = other_side(flow, direction);
    let one = |peer: &ClusterPeer| -> Option<Miss> {
        if cluster_peer_matches(world, tier, peer, other).possible() {
            return None;
        }
        let parts = |namespaces: &Selector, pods: &Selector| match selectable_pod(world, other) {
            Some(pod) => {
                which_part(matches_namespace(world, pod.namespace, namespaces).possible(), matches(pods, &pod.labels))
            }
            None => Miss::Peer,
        };
        Some(match peer {
            ClusterPeer::Pods { namespaces, pods, .. } => parts(namespaces, pods),
            ClusterPeer::Networks { .. } => Miss::Address,
            ClusterPeer::Nodes { .. } | ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => Miss::Peer,
        })
    };
    let peer = rule.peers.iter().map(one).min().flatten();
    let listed = |wanted: L4| match (&rule.ports, wanted) {
        (ClusterPorts::Any, _) => true,
        (ClusterPorts::Of(_), L4::Other) => false,
        (ClusterPorts::Of(list), L4::Port(protocol, port)) => list.iter().any(|p| match p {
            ClusterPort::Number(p, PortMatch::Any) => *p == protocol,
            ClusterPort::Number(p, PortMatch::Range(a, b)) => *p == protocol && (*a..=*b).contains(&port),
            ClusterPort::Number(_, PortMatch::Named(_))
            | ClusterPort::Named(_)
            | ClusterPort::BareProtocol(_)
            | ClusterPort::Unknown => false,
        }),
    };
    let port = (!listed(flow.l4)).then_some(Miss::Port);
    let mut out: Vec<Miss> = port.into_iter().chain(peer).collect();
    if out.is_empty() {
        out.push(Miss::Peer);
    }
    out
}

/// The NetworkPolicy rules that miss by least, as sentences.
pub(super) fn nearest(world: &World, flow: &Flow, direction: Direction, steps: &[Step], most: usize) -> Vec<NearMiss> {
    let mut found: Vec<(usize, Vec<Miss>, NearMiss)> = Vec::new();
    for step in steps {
        let PolicyRef::Namespaced(index) = step.policy else { continue };
        let policy = &world.policies[index as usize];
        for (reference, says) in &step.rules {
            let (RuleSays::Misses(misses), Some(i)) = (says, reference.rule) else { continue };
            let rule = &policy.rules(direction)[i as usize];
            // A rule that fails in every respect is no near miss.
            if misses.len() == 1 || !misses.contains(&Miss::Peer) {
                let sentence = sentence(world, policy.namespace, index, i, rule, direction, misses, flow);
                found.push((
                    misses.len(),
                    misses.clone(),
                    NearMiss { rule: *reference, misses: misses.clone(), sentence },
                ));
            }
        }
    }
    found.sort_by(|a, b| (a.0, &a.1, a.2.rule).cmp(&(b.0, &b.1, b.2.rule)));
    found.into_iter().take(most).map(|(_, _, miss)| miss).collect()
}

#[expect(clippy::too_many_arguments, reason = "one sentence about one rule; a struct would be named once")]
fn sentence(
    world: &World,
    namespace: NamespaceId,
    policy: u32,
    index: u32,
    rule: &Rule,
    direction: Direction,
    misses: &[Miss],
    flow: &Flow,
) -> String {
    let name = format!("`{}` {} rule {index}", world.policy_name(PolicyRef::Namespaced(policy)), direction.name());
    let ports = words::ports(&rule.ports);
    let peers = words::peers(world, namespace, &rule.peers);
    let protocol = match flow.l4 {
        L4::Port(protocol, _) => protocol.name(),
        L4::Other => "this protocol",
    };
    let but = |miss: &Miss| match miss {
        Miss::Port => format!("only on {ports}"),
        Miss::Protocol => format!("not over {protocol}, only on {ports}"),
        Miss::PodLabels => format!("only for {peers}: the namespace matches, the pod's labels do not"),
        Miss::Namespace => format!("only for {peers}: the pod's labels match, its namespace does not"),
        Miss::Except => format!("only for {peers}: the address is in an exception"),
        Miss::Address => format!("only for {peers}: the address is outside"),
        Miss::Peer => format!("only for {peers}"),
    };
    let admits = match misses {
        [Miss::Port | Miss::Protocol] => "admits this peer",
        [_] => "admits this port",
        _ => "admits",
    };
    let buts: Vec<String> = misses.iter().map(but).collect();
    format!("{name} {admits}, but {}", buts.join(", and "))
}
