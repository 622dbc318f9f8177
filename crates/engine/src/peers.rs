//! One rule against one flow: peers AND ports.

use crate::block::{Block, blocks_match, whereabouts};
use crate::selector::{matches, matches_namespace, readable};
use crate::tri::Tri;
use watertight_model::cluster_policy::{Action, ClusterPeer, ClusterPort, ClusterPorts, ClusterRule, Tier};
use watertight_model::{
    ContainerKind, DependsOn, Direction, Endpoint, Flow, L4, NamespaceId, Peer, PeerKind, Peers, Pod, PortEntry,
    PortMatch, Ports, Protocol, Rule, Selector, World,
};

/// The other side of a flow, seen from the pod that a policy selects.
pub(crate) fn other_side(flow: &Flow, direction: Direction) -> Endpoint {
    match direction {
        Direction::Ingress => flow.from,
        Direction::Egress => flow.to,
    }
}

/// A NetworkPolicy rule of a policy in `namespace`. Its address blocks are one set (U1).
pub(crate) fn rule_matches(
    world: &World,
    namespace: NamespaceId,
    rule: &Rule,
    direction: Direction,
    flow: &Flow,
) -> Tri {
    let Peers::Of(peers) = &rule.peers else { return ports_match(world, &rule.ports, direction, flow, false) };
    let other = other_side(flow, direction);
    let mut sum = Tri::No;
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for peer in peers {
        match &peer.kind {
            PeerKind::Block(block) => blocks.push((&block.cidr, &block.except)),
            PeerKind::Pods { .. } => {
                let by_label = peer_matches(world, namespace, peer, other);
                if by_label.possible() {
                    sum = sum.or(by_label.and(ports_match(world, &rule.ports, direction, flow, false)));
                }
            }
        }
    }
    if !blocks.is_empty() {
        let (place, cause) = whereabouts(world, other);
        let by_address = blocks_match(&blocks, &place, cause);
        sum = sum.or(by_address.and(ports_match(world, &rule.ports, direction, flow, true)));
    }
    sum
}

/// One `from` or `to` entry against an endpoint.
pub(crate) fn peer_matches(world: &World, namespace: NamespaceId, peer: &Peer, endpoint: Endpoint) -> Tri {
    match &peer.kind {
        PeerKind::Pods { namespaces, pods } => {
            let Some(pod) = selectable_pod(world, endpoint) else { return Tri::No };
            let in_namespace = match namespaces {
                None => Tri::of(pod.namespace == namespace),
                Some(selector) if readable(selector) => matches_namespace(world, pod.namespace, selector),
                Some(_) => Tri::No,
            };
            let labelled = match pods {
                None => Tri::Yes,
                Some(selector) => Tri::of(readable(selector) && matches(selector, &pod.labels)),
            };
            in_namespace.and(labelled).and(unless_host_network(pod, endpoint))
        }
        PeerKind::Block(block) => {
            let (place, cause) = whereabouts(world, endpoint);
            blocks_match(&[(&block.cidr, &block.except)], &place, cause)
        }
    }
}

/// A pod that selectors can select: one that is not finished (row 107).
pub(crate) fn selectable_pod(world: &World, endpoint: Endpoint) -> Option<&Pod> {
    match endpoint {
        Endpoint::Pod(id) => Some(&world.pods[id.index()]).filter(|pod| !pod.finished),
        Endpoint::Node(_) | Endpoint::External(_) => None,
    }
}

/// Whether NetworkPolicy sees a hostNetwork pod as a pod is left to the plugin (U5).
pub(crate) fn unless_host_network(pod: &Pod, endpoint: Endpoint) -> Tri {
    match endpoint {
        Endpoint::Pod(id) if pod.host_network => Tri::maybe(DependsOn::HostNetwork(id)),
        _ => Tri::Yes,
    }
}

fn ports_match(world: &World, ports: &Ports, direction: Direction, flow: &Flow, through_block: bool) -> Tri {
    match (ports, flow.l4) {
        (Ports::Any(_), L4::Port(..)) => Tri::Yes,
        (Ports::Any(_), L4::Other) => Tri::maybe(DependsOn::OtherProtocol),
        (Ports::Of(_), L4::Other) => Tri::No,
        (Ports::Of(entries), L4::Port(protocol, port)) => {
            // A named port never matches through an address block of an egress rule (row 58).
            let receiver = match direction {
                Direction::Ingress => receiver(world, flow),
                Direction::Egress if through_block => None,
                Direction::Egress => receiver(world, flow),
            };
            Tri::of(entries.iter().any(|entry| entry_matches(entry, receiver, protocol, port)))
        }
    }
}

fn entry_matches(entry: &PortEntry, receiver: Option<&Pod>, protocol: Protocol, port: u16) -> bool {
    entry.protocol == protocol
        && match &entry.port {
            PortMatch::Any => true,
            PortMatch::Range(first, last) => (*first..=*last).contains(&port),
            PortMatch::Named(name) => receiver.and_then(|pod| named_port(pod, name, protocol)) == Some(port),
        }
}

/// The pod on which named ports are looked up.
fn receiver<'w>(world: &'w World, flow: &Flow) -> Option<&'w Pod> {
    selectable_pod(world, flow.to)
}

/// The number that a name stands for in rules that allow: the first in spec order, regular containers, then sidecars, with
/// the same protocol (rows 54, 59, 60).
pub fn named_port(pod: &Pod, name: &str, protocol: Protocol) -> Option<u16> {
    let of_kind = |kind| {
        let mut same = pod.ports.iter().filter(move |p| p.container == kind && p.protocol == protocol);
        same.find(|p| p.name.as_deref() == Some(name)).map(|p| p.port)
    };
    of_kind(ContainerKind::Regular).or_else(|| of_kind(ContainerKind::Sidecar))
}

/// Every number that a name stands for, init containers included: the reading for rules that deny.
pub(crate) fn named_ports_all<'p>(pod: &'p Pod, name: &'p str) -> impl Iterator<Item = (Protocol, u16)> + 'p {
    pod.ports.iter().filter(move |p| p.name.as_deref() == Some(name)).map(|p| (p.protocol, p.port))
}

/// What a cluster rule does to a flow, if it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Accept,
    Pass,
    Deny,
}

/// A cluster rule against a flow: whether it matches, and its effect after the fail-closed readings of rows 149, 160, 167, 168.
pub(crate) fn cluster_rule_matches(
    world: &World,
    tier: Tier,
    rule: &ClusterRule,
    direction: Direction,
    flow: &Flow,
) -> (Tri, Effect) {
    let effect = effect_of(&rule.action);
    if not_understood(rule) {
        return match effect {
            Effect::Accept => (Tri::No, effect),
            Effect::Pass | Effect::Deny => (Tri::Yes, Effect::Deny),
        };
    }
    let closes = effect != Effect::Accept;
    let names_domains = rule.peers.iter().any(|p| matches!(p, ClusterPeer::DomainNames { .. }));
    let (everyone, effect) = if names_domains && closes { (true, Effect::Deny) } else { (false, effect) };
    let other = other_side(flow, direction);
    let by_peer = |through_pods: bool| {
        let (port, bare) = cluster_ports_match(world, &rule.ports, effect, flow, through_pods);
        (Tri::of(port), bare)
    };
    if everyone {
        let (port, _) = by_peer(true);
        return (port, Effect::Deny);
    }
    let mut sum = Tri::No;
    let mut bare_hit = false;
    let mut add = |matched: Tri, through_pods: bool| {
        if matched.possible() {
            let (port, bare) = by_peer(through_pods);
            bare_hit |= bare;
            let before = std::mem::replace(&mut sum, Tri::No);
            sum = before.or(matched.and(port));
        }
    };
    let mut networks: Vec<Block<'_>> = Vec::new();
    for peer in &rule.peers {
        match peer {
            ClusterPeer::Networks { blocks, .. } => networks.extend(blocks.iter().map(|block| (block, &[][..]))),
            ClusterPeer::Pods { .. } => add(cluster_peer_matches(world, tier, peer, other), true),
            ClusterPeer::Nodes { .. } | ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {
                add(cluster_peer_matches(world, tier, peer, other), false);
            }
        }
    }
    if !networks.is_empty() {
        let (place, cause) = whereabouts(world, other);
        add(blocks_match(&networks, &place, cause), false);
    }
    (sum, if bare_hit { Effect::Deny } else { effect })
}

/// The effect of an action; one that is not known denies (row 168).
pub(crate) fn effect_of(action: &Action) -> Effect {
    match action {
        Action::Accept => Effect::Accept,
        Action::Pass => Effect::Pass,
        Action::Deny | Action::Unknown(_) => Effect::Deny,
    }
}

/// The rule holds something that this version does not know, so it fails closed as a whole (row 167).
pub(crate) fn not_understood(rule: &ClusterRule) -> bool {
    let peer = |p: &ClusterPeer| match p {
        ClusterPeer::Unknown { .. } => true,
        ClusterPeer::Pods { namespaces, pods, .. } => !readable(namespaces) || !readable(pods),
        ClusterPeer::Nodes { nodes, .. } => !readable(nodes),
        ClusterPeer::Networks { .. } | ClusterPeer::DomainNames { .. } => false,
    };
    let ports = match &rule.ports {
        ClusterPorts::Any => false,
        ClusterPorts::Of(list) => list.contains(&ClusterPort::Unknown),
    };
    ports || rule.peers.iter().any(peer)
}

/// One peer of a cluster rule that is understood.
pub(crate) fn cluster_peer_matches(world: &World, tier: Tier, peer: &ClusterPeer, endpoint: Endpoint) -> Tri {
    match peer {
        ClusterPeer::Pods { namespaces, pods, .. } => match selectable_pod(world, endpoint) {
            Some(pod) if !pod.host_network => {
                matches_namespace(world, pod.namespace, namespaces).and(Tri::of(matches(pods, &pod.labels)))
            }
            _ => Tri::No,
        },
        ClusterPeer::Nodes { nodes, .. } => node_peer_matches(world, nodes, endpoint),
        ClusterPeer::Networks { blocks, .. } => {
            let (place, cause) = whereabouts(world, endpoint);
            let blocks: Vec<Block<'_>> = blocks.iter().map(|block| (block, &[][..])).collect();
            blocks_match(&blocks, &place, cause)
        }
        ClusterPeer::DomainNames { .. } => match (endpoint, tier) {
            (Endpoint::External(_), Tier::Admin) => Tri::maybe(DependsOn::DomainName),
            _ => Tri::No,
        },
        ClusterPeer::Unknown { .. } => Tri::No,
    }
}

fn node_peer_matches(world: &World, nodes: &Selector, endpoint: Endpoint) -> Tri {
    let labelled = |id: watertight_model::NodeId| Tri::of(matches(nodes, &world.nodes[id.index()].labels));
    match endpoint {
        Endpoint::Node(id) => labelled(id),
        Endpoint::Pod(id) => match &world.pods[id.index()] {
            pod if pod.host_network && !pod.finished => {
                pod.node.map_or_else(|| Tri::maybe(DependsOn::NodeOfPod(id)), labelled)
            }
            _ => Tri::No,
        },
        Endpoint::External(_) => Tri::No,
    }
}

/// Whether the ports match, and whether they do so through a protocol without a port, which denies (row 149).
fn cluster_ports_match(
    world: &World,
    ports: &ClusterPorts,
    effect: Effect,
    flow: &Flow,
    through_pods: bool,
) -> (bool, bool) {
    let ClusterPorts::Of(list) = ports else { return (true, false) };
    let L4::Port(protocol, port) = flow.l4 else { return (false, false) };
    let closes = effect != Effect::Accept;
    let bare = closes && list.contains(&ClusterPort::BareProtocol(protocol));
    let named = |name: &str| {
        let pod = if through_pods { receiver(world, flow) } else { None };
        pod.is_some_and(|pod| match effect {
            Effect::Deny => named_ports_all(pod, name).any(|p| p == (protocol, port)),
            Effect::Accept | Effect::Pass => named_port(pod, name, protocol) == Some(port),
        })
    };
    let matched = list.iter().any(|entry| match entry {
        ClusterPort::Number(p, PortMatch::Any) => *p == protocol,
        ClusterPort::Number(p, PortMatch::Range(first, last)) => *p == protocol && (*first..=*last).contains(&port),
        ClusterPort::Number(_, PortMatch::Named(name)) | ClusterPort::Named(name) => named(name),
        ClusterPort::BareProtocol(_) => false,
        ClusterPort::Unknown => false,
    });
    (matched || bare, bare)
}
