//! Policies and rules that fixes are made of.
#![allow(dead_code, reason = "a vocabulary: not every word is in use at all times")]

use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::{BlockCidr, Presence, Written};
use watertight_model::{
    Cidr, Direction, IpBlock, Labels, NamespaceId, NetworkPolicy, Origin, Peer, PeerKind, Peers, PortEntry, PortMatch,
    Ports, Protocol, Requirement, Rule, Selector, Str,
};

/// A policy with rules in one direction.
pub(crate) fn policy(
    namespace: NamespaceId,
    name: &str,
    subject: Selector,
    direction: Direction,
    rules: Vec<Rule>,
) -> NetworkPolicy {
    let egress = direction == Direction::Egress;
    let (ingress, egress_rules) = if egress { (Vec::new(), rules) } else { (rules, Vec::new()) };
    NetworkPolicy {
        namespace,
        name: Str::from(name),
        subject,
        isolates_ingress: !egress,
        isolates_egress: egress,
        ingress,
        egress: egress_rules,
        written: Written::default(),
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    }
}

/// The default deny of one direction.
pub(crate) fn default_deny(namespace: NamespaceId, direction: Direction) -> NetworkPolicy {
    policy(namespace, &format!("default-deny-{}", direction.name()), Selector::everything(), direction, Vec::new())
}

/// A peer by labels; without `namespaces`, of the policy's own namespace.
pub(crate) fn pods(namespaces: Option<Selector>, pods: Selector) -> Peer {
    Peer { kind: PeerKind::Pods { namespaces, pods: Some(pods) }, origin: Origin::default() }
}

/// A peer by address.
pub(crate) fn block(cidr: Cidr) -> Peer {
    let cidr = BlockCidr { cidr, mapped: None, sloppy: false, origin: Origin::default() };
    Peer { kind: PeerKind::Block(IpBlock { cidr, except: Vec::new() }), origin: Origin::default() }
}

/// The selector of one namespace by its name.
pub(crate) fn namespace_named(name: &str) -> Selector {
    Selector::of(&[(NAMESPACE_NAME_LABEL, name)])
}

/// One number.
pub(crate) fn port(protocol: Protocol, number: u16) -> PortEntry {
    PortEntry { protocol, protocol_defaulted: false, port: PortMatch::Range(number, number), origin: Origin::default() }
}

/// A rule; without ports, for all of them.
pub(crate) fn rule(peers: Vec<Peer>, ports: Vec<PortEntry>) -> Rule {
    let ports = if ports.is_empty() { Ports::Any(Presence::Absent) } else { Ports::Of(ports) };
    let peers = if peers.is_empty() { Peers::Any(Presence::Absent) } else { Peers::Of(peers) };
    Rule { peers, ports, origin: Origin::default() }
}

/// The rule with another kind of peer in the place of one; `None`: without that peer.
pub(crate) fn with_peer(this: &Rule, peer: &Peer, kind: Option<PeerKind>) -> Rule {
    let Peers::Of(peers) = &this.peers else { return this.clone() };
    let put = |p: &Peer| {
        if p == peer { kind.clone().map(|kind| Peer { kind, origin: p.origin }) } else { Some(p.clone()) }
    };
    Rule { peers: Peers::Of(peers.iter().filter_map(put).collect()), ..this.clone() }
}

/// The selector with another requirement in the place of one; `None`: without it.
pub(crate) fn with_requirement(selector: &Selector, place: usize, other: Option<Requirement>) -> Selector {
    let mut out = selector.clone();
    match other {
        Some(other) if place < out.requirements.len() => out.requirements[place] = other,
        Some(_) => {}
        None if place < out.requirements.len() => drop(out.requirements.remove(place)),
        None => {}
    }
    out
}
