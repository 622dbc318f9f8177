//! Policy parts in words, for sentences.

use watertight_model::{
    ClusterPort, ClusterPorts, NamespaceId, Op, Peer, PeerKind, Peers, PortEntry, PortMatch, PortSet, Ports, Protocol,
    Requirement, Selector, World,
};

/// A selector, such as `app=web, tier in (a, b)`; for `{}` it is `any`.
pub fn selector(selector: &Selector) -> String {
    if selector.is_everything() {
        return "any".to_owned();
    }
    selector.requirements.iter().map(requirement).collect::<Vec<_>>().join(", ")
}

fn requirement(r: &Requirement) -> String {
    let list = |values: &[watertight_model::Str]| values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(", ");
    match &r.op {
        Op::In(values) if values.len() == 1 => format!("{}={}", r.key, values[0]),
        Op::In(values) => format!("{} in ({})", r.key, list(values)),
        Op::NotIn(values) if values.len() == 1 => format!("{}!={}", r.key, values[0]),
        Op::NotIn(values) => format!("{} not in ({})", r.key, list(values)),
        Op::Exists => format!("has {}", r.key),
        Op::DoesNotExist => format!("lacks {}", r.key),
        Op::Unknown(op) => format!("{} {op} (unknown operator)", r.key),
    }
}

/// A peer entry, such as `pods with app=web in namespaces with env=prod`.
pub fn peer(world: &World, namespace: NamespaceId, peer: &Peer) -> String {
    match &peer.kind {
        PeerKind::Pods { namespaces, pods } => pods_in(world, namespace, namespaces.as_ref(), pods.as_ref()),
        PeerKind::Block(block) => {
            let except = match block.except.as_slice() {
                [] => String::new(),
                [one] => format!(" except {}", one.cidr),
                [one, rest @ ..] => format!(" except {} and {} more", one.cidr, rest.len()),
            };
            format!("addresses in {}{except}", block.cidr.cidr)
        }
    }
}

/// Pods by labels, in words.
pub fn pods_in(world: &World, own: NamespaceId, namespaces: Option<&Selector>, pods: Option<&Selector>) -> String {
    let who = match pods {
        None => "every pod".to_owned(),
        Some(s) if s.is_everything() => "every pod".to_owned(),
        Some(s) => format!("pods with {}", selector(s)),
    };
    match namespaces {
        None => format!("{who} of namespace {}", world.namespaces[own.index()].name),
        Some(s) if s.is_everything() => format!("{who} of any namespace"),
        Some(s) => format!("{who} of namespaces with {}", selector(s)),
    }
}

/// The peers of a rule.
pub fn peers(world: &World, namespace: NamespaceId, peers: &Peers) -> String {
    match peers {
        Peers::Any(_) => "anyone".to_owned(),
        Peers::Of(list) => list.iter().map(|p| peer(world, namespace, p)).collect::<Vec<_>>().join(", or "),
    }
}

/// The ports of a rule, such as `TCP 80, UDP 53-60`.
pub fn ports(ports: &Ports) -> String {
    match ports {
        Ports::Any(_) => "every port".to_owned(),
        Ports::Of(list) => list.iter().map(entry).collect::<Vec<_>>().join(", "),
    }
}

fn entry(entry: &PortEntry) -> String {
    port(entry.protocol, &entry.port)
}

fn port(protocol: Protocol, port: &PortMatch) -> String {
    match port {
        PortMatch::Any => format!("any {protocol} port"),
        PortMatch::Range(a, b) if a == b => format!("{protocol} {a}"),
        PortMatch::Range(a, b) => format!("{protocol} {a}-{b}"),
        PortMatch::Named(name) => format!("{protocol} port \"{name}\""),
    }
}

/// The ports of a cluster rule.
pub fn cluster_ports(ports: &ClusterPorts) -> String {
    match ports {
        ClusterPorts::Any => "every port and protocol".to_owned(),
        ClusterPorts::Of(list) => list
            .iter()
            .map(|p| match p {
                ClusterPort::Number(protocol, range) => port(*protocol, range),
                ClusterPort::Named(name) => format!("port \"{name}\""),
                ClusterPort::BareProtocol(protocol) => format!("{protocol} without a port"),
                ClusterPort::Unknown => "an unknown kind of port".to_owned(),
            })
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A port set, such as `TCP 80, TCP 8000-8999, all UDP`; `all ports` when it is everything, `no port` when empty.
pub fn port_set(set: &PortSet) -> String {
    if set.is_all() {
        return "all ports".to_owned();
    }
    if set.is_empty() {
        return "no port".to_owned();
    }
    let words = set.iter().map(|(protocol, a, b)| match (a, b) {
        (0, u16::MAX) => format!("all {protocol}"),
        (a, b) if a == b => format!("{protocol} {a}"),
        (a, b) => format!("{protocol} {a}-{b}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
