//! Policies of every shape, with rules that often match.

use super::things::draw_protocol;
use super::vocabulary::{DOMAINS, Of, PORT_NAMES, PORTS, draw_block, draw_except, draw_selector};
use super::{Mood, Rng, Size};
use watertight_model::cluster_policy::{ClusterPolicyKind, Subject};
use watertight_model::policy::{Presence, Written};
use watertight_model::{
    Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, Direction, IpBlock, Labels,
    NamespaceId, NetworkPolicy, Origin, Peer, PeerKind, Peers, PortEntry, PortMatch, Ports, Rule, Selector, Str, Tier,
    World,
};

pub(crate) fn fill(rng: &mut Rng, mood: &Mood, size: &Size, world: &mut World) {
    // Now and then none at all, else enough that most pods are selected.
    let low = if rng.chance(15) { 0 } else { size.policies / 3 };
    let count = rng.between(low, size.policies);
    let mut homes: Vec<NamespaceId> = (0..count).map(|_| NamespaceId::at(rng.below(world.namespaces.len()))).collect();
    homes.sort_unstable();
    for (i, home) in homes.into_iter().enumerate() {
        world.policies.push(network_policy(rng, mood, size, home, &format!("policy-{i:02}")));
    }
    if mood.cluster {
        for i in 0..rng.between(size.cluster_policies / 2, size.cluster_policies).max(1) {
            let policy = cluster_policy(rng, mood, size, &format!("cluster-{i:02}"));
            world.cluster_policies.push(policy);
        }
    }
    world
        .cluster_policies
        .sort_by(|a, b| (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name)));
}

fn network_policy(rng: &mut Rng, mood: &Mood, size: &Size, namespace: NamespaceId, name: &str) -> NetworkPolicy {
    let (isolates_ingress, isolates_egress) = *rng.pick(&[(true, false), (true, false), (false, true), (true, true)]);
    let mut rules = || -> Vec<Rule> { (0..rng.between(0, size.rules)).map(|_| rule(rng, mood, size)).collect() };
    // Rules of a direction that is not isolated stay: they must have no effect.
    let (ingress, egress) = (rules(), rules());
    NetworkPolicy {
        namespace,
        name: Str::from(name),
        subject: draw_selector(rng, mood, Of::Pods),
        isolates_ingress,
        isolates_egress,
        ingress,
        egress,
        written: Written { spec: Presence::Filled, ..Written::default() },
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    }
}

fn presence(rng: &mut Rng) -> Presence {
    *rng.pick(&[Presence::Absent, Presence::Empty])
}

/// A rule of a NetworkPolicy.
pub(crate) fn rule(rng: &mut Rng, mood: &Mood, size: &Size) -> Rule {
    let peers = if rng.chance(15) {
        Peers::Any(presence(rng))
    } else {
        Peers::Of((0..rng.between(1, size.entries.max(1))).map(|_| peer(rng, mood)).collect())
    };
    let ports = if rng.chance(30) {
        Ports::Any(presence(rng))
    } else {
        Ports::Of((0..rng.between(1, size.entries.max(1))).map(|_| port_entry(rng)).collect())
    };
    Rule { peers, ports, origin: Origin::default() }
}

fn peer(rng: &mut Rng, mood: &Mood) -> Peer {
    let kind = if rng.chance(40) {
        let cidr = draw_block(rng, mood);
        PeerKind::Block(IpBlock { except: draw_except(rng, mood, &cidr), cidr })
    } else {
        let mut selector = |of| Some(draw_selector(rng, mood, of));
        let (namespaces, pods) = (selector(Of::Namespaces), selector(Of::Pods));
        match rng.below(3) {
            0 => PeerKind::Pods { namespaces: None, pods },
            1 => PeerKind::Pods { namespaces, pods: None },
            _ => PeerKind::Pods { namespaces, pods },
        }
    };
    Peer { kind, origin: Origin::default() }
}

fn port_entry(rng: &mut Rng) -> PortEntry {
    let port = match rng.below(10) {
        0..=1 => PortMatch::Any,
        2..=4 => PortMatch::Named(Str::from(*rng.pick(&PORT_NAMES))),
        _ => number(rng, 1),
    };
    PortEntry { protocol: draw_protocol(rng), protocol_defaulted: false, port, origin: Origin::default() }
}

/// One port, or a range of at least `span` more than one port.
fn number(rng: &mut Rng, span: u16) -> PortMatch {
    let a = (*rng.pick(&PORTS)).max(1);
    let b = *rng.pick(&PORTS);
    if rng.chance(50) || b < a.saturating_add(span) { PortMatch::Range(a, a) } else { PortMatch::Range(a, b) }
}

fn cluster_policy(rng: &mut Rng, mood: &Mood, size: &Size, name: &str) -> ClusterPolicy {
    let tier = *rng.pick(&[Tier::Admin, Tier::Admin, Tier::Baseline, Tier::Baseline]);
    let mut rules = |direction| -> Vec<ClusterRule> {
        (0..rng.between(1, size.rules.max(1))).map(|_| cluster_rule(rng, mood, size, tier, direction)).collect()
    };
    let (ingress, egress) = (rules(Direction::Ingress), rules(Direction::Egress));
    ClusterPolicy {
        kind: *rng.pick(&[ClusterPolicyKind::ClusterNetworkPolicy, ClusterPolicyKind::AdminNetworkPolicy]),
        name: Str::from(name),
        tier,
        priority: *rng.pick(&[0, 1, 5, 5, 5, 1000]),
        subject: Subject {
            namespaces: if rng.chance(60) { Selector::everything() } else { draw_selector(rng, mood, Of::Namespaces) },
            pods: if rng.chance(60) { Selector::everything() } else { draw_selector(rng, mood, Of::Pods) },
        },
        ingress,
        egress,
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    }
}

fn cluster_rule(rng: &mut Rng, mood: &Mood, size: &Size, tier: Tier, direction: Direction) -> ClusterRule {
    if tier == Tier::Admin && direction == Direction::Egress && mood.domain_names && rng.chance(25) {
        // As people write it: only names, so that nothing else in the rule answers first.
        let peers = vec![cluster_names(rng)];
        let ports = if rng.chance(60) {
            ClusterPorts::Any
        } else {
            ClusterPorts::Of(vec![ClusterPort::Number(draw_protocol(rng), number(rng, 1))])
        };
        return ClusterRule { name: None, action: Action::Accept, peers, ports, origin: Origin::default() };
    }
    let action = match rng.below(9) {
        0..=2 => Action::Accept,
        3..=5 => Action::Deny,
        6 if mood.unknown => Action::Unknown(Str::from("Audit")),
        _ => Action::Pass,
    };
    // Domain names in other rules than these are a mistake, and each turns the rule into something blunt: rarer.
    let names = mood.domain_names && direction == Direction::Egress;
    let names = names && (rng.chance(40) || (action == Action::Accept && tier == Tier::Admin));
    let peers = (0..rng.between(1, size.entries.max(1))).map(|_| cluster_peer(rng, mood, direction, names)).collect();
    let ports = if rng.chance(35) {
        ClusterPorts::Any
    } else {
        ClusterPorts::Of((0..rng.between(1, size.entries.max(1))).map(|_| cluster_port(rng, mood)).collect())
    };
    ClusterRule { name: None, action, peers, ports, origin: Origin::default() }
}

fn cluster_peer(rng: &mut Rng, mood: &Mood, direction: Direction, names: bool) -> ClusterPeer {
    let origin = Origin::default();
    match rng.below(20) {
        0 if mood.unknown && rng.chance(70) => ClusterPeer::Unknown { origin },
        1..=3 if direction == Direction::Egress => {
            ClusterPeer::Nodes { nodes: draw_selector(rng, mood, Of::Nodes), origin }
        }
        4..=8 if direction == Direction::Egress => {
            let blocks = (0..rng.between(1, 2)).map(|_| draw_block(rng, mood)).collect();
            ClusterPeer::Networks { blocks, origin }
        }
        9..=12 if names => cluster_names(rng),
        _ => ClusterPeer::Pods {
            namespaces: draw_selector(rng, mood, Of::Namespaces),
            pods: draw_selector(rng, mood, Of::Pods),
            origin,
        },
    }
}

fn cluster_names(rng: &mut Rng) -> ClusterPeer {
    ClusterPeer::DomainNames { names: vec![Str::from(*rng.pick(&DOMAINS))], origin: Origin::default() }
}

fn cluster_port(rng: &mut Rng, mood: &Mood) -> ClusterPort {
    match rng.below(10) {
        0..=3 => ClusterPort::Named(Str::from(*rng.pick(&PORT_NAMES))),
        4 if mood.unknown => ClusterPort::Unknown,
        5 => ClusterPort::BareProtocol(draw_protocol(rng)),
        _ => ClusterPort::Number(draw_protocol(rng), number(rng, 1)),
    }
}
