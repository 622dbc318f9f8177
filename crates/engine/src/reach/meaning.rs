//! What a policy admits or does in one direction: its rules as sets of classes with ports.
//!
//! A meaning is plain content: two policies with equal meanings act alike. Only names of ports that the subject itself
//! declares are left open, because subjects differ in them.

use crate::block::Block;
use crate::peers::{Effect, effect_of, named_port, named_ports_all, not_understood};
use crate::reach::columns::{Cols, Columns, NameReading};
use crate::selector::readable;
use std::sync::Arc;
use watertight_model::{
    ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, Direction, NetworkPolicy, PeerKind, Peers, Pod,
    PortMatch, PortSet, Ports, Protocol, Rule, Str,
};

/// The parts of a policy in one direction, in the order in which they act.
pub(crate) type Meaning = Arc<Vec<Part>>;

/// Some classes on some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) effect: Effect,
    numbers: PortSet,
    /// Further ports, by their names on the subject.
    names: Vec<Named>,
    pub(crate) cols: Cols,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: Str,
    protocol: Protocol,
    reading: NameReading,
}

impl Part {
    fn new(effect: Effect, numbers: PortSet, cols: Cols) -> Self {
        Self { effect, numbers, names: Vec::new(), cols }
    }

    /// The ports for one subject.
    pub(crate) fn ports(&self, subject: &Pod) -> PortSet {
        let mut ports = self.numbers.clone();
        for Named { name, protocol, reading } in &self.names {
            match reading {
                NameReading::First => {
                    if let Some(number) = named_port(subject, name, *protocol) {
                        ports = ports.union(&PortSet::range(*protocol, number, number));
                    }
                }
                NameReading::Every => {
                    for (_, number) in named_ports_all(subject, name).filter(|(p, _)| p == protocol) {
                        ports = ports.union(&PortSet::range(*protocol, number, number));
                    }
                }
            }
        }
        ports
    }

    /// Equal but for the classes.
    pub(crate) fn same_ports(&self, other: &Part) -> bool {
        (self.effect, &self.numbers, &self.names) == (other.effect, &other.numbers, &other.names)
    }
}

/// The rules of a NetworkPolicy.
pub(crate) fn of_policy<'w>(columns: &mut Columns<'w>, policy: &'w NetworkPolicy, direction: Direction) -> Meaning {
    let rules = if readable(&policy.subject) { policy.rules(direction) } else { &[] };
    let mut out = Vec::with_capacity(rules.len());
    for rule in rules {
        let (mut pods, mut blocks) = (Cols::default(), Cols::default());
        match &rule.peers {
            Peers::Any(_) => pods = Cols::certain(columns.everyone.clone()),
            Peers::Of(list) => {
                let mut written: Vec<Block<'_>> = Vec::new();
                for peer in list {
                    match &peer.kind {
                        PeerKind::Block(block) => written.push((&block.cidr, &block.except)),
                        PeerKind::Pods { .. } => pods.add(&columns.peer(policy, peer)),
                    }
                }
                if !written.is_empty() {
                    blocks = columns.blocks(&written);
                }
            }
        }
        let mut both = pods.clone();
        both.add(&blocks);
        let (numbers, names) = rule_ports(rule);
        let mut part = Part::new(Effect::Accept, numbers, both);
        match direction {
            Direction::Ingress => {
                let named =
                    |(name, protocol): (&Str, _)| Named { name: name.clone(), protocol, reading: NameReading::First };
                part.names = names.into_iter().map(named).collect();
                out.push(part);
            }
            Direction::Egress => {
                out.push(part);
                for (name, protocol) in names {
                    for (number, classes) in columns.named(name, protocol, NameReading::First) {
                        let ports = PortSet::range(protocol, *number, *number);
                        out.push(Part::new(Effect::Accept, ports, pods.and(classes)));
                    }
                }
            }
        }
    }
    Arc::new(out)
}

/// The rules of a cluster policy.
pub(crate) fn of_cluster_policy<'w>(
    columns: &mut Columns<'w>,
    policy: &'w ClusterPolicy,
    direction: Direction,
) -> Meaning {
    Arc::new(policy.rules(direction).iter().flat_map(|rule| cluster_rule(columns, rule, direction)).collect())
}

/// A cluster rule, parts that deny first.
fn cluster_rule<'w>(columns: &mut Columns<'w>, rule: &'w ClusterRule, direction: Direction) -> Vec<Part> {
    let effect = effect_of(&rule.action);
    let closes = effect != Effect::Accept;
    if not_understood(rule) {
        let cols = Cols::certain(columns.everyone.clone());
        return if closes { vec![Part::new(Effect::Deny, PortSet::all(), cols)] } else { Vec::new() };
    }
    let (mut pods, mut others) = (Cols::default(), Cols::default());
    let mut networks: Vec<Block<'_>> = Vec::new();
    let mut effect = effect;
    for peer in &rule.peers {
        match peer {
            ClusterPeer::Pods { namespaces, pods: labels, .. } => pods.add(&columns.cluster_pods(namespaces, labels)),
            ClusterPeer::Nodes { nodes, .. } => others.add(&columns.cluster_nodes(nodes)),
            ClusterPeer::Networks { blocks, .. } => networks.extend(blocks.iter().map(|block| (block, &[][..]))),
            ClusterPeer::DomainNames { .. } if closes => {
                effect = Effect::Deny;
                pods.add(&Cols::certain(columns.everyone.clone()));
            }
            // A name never stands for a pod (row 165).
            ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {}
        }
    }
    if !networks.is_empty() {
        others.add(&columns.blocks(&networks));
    }
    let mut both = pods.clone();
    both.add(&others);
    let ClusterPorts::Of(list) = &rule.ports else {
        return vec![Part::new(effect, PortSet::all(), both)];
    };
    let mut numbers = PortSet::none();
    let mut out = Vec::new();
    for entry in list {
        match entry {
            ClusterPort::Number(protocol, PortMatch::Any) => numbers = numbers.union(&PortSet::protocol(*protocol)),
            ClusterPort::Number(protocol, PortMatch::Range(a, b)) => {
                numbers = numbers.union(&PortSet::range(*protocol, *a, *b));
            }
            ClusterPort::Number(_, PortMatch::Named(name)) | ClusterPort::Named(name) => {
                cluster_named(columns, name, effect, direction, &pods, &mut out);
            }
            ClusterPort::BareProtocol(protocol) if closes => {
                out.insert(0, Part::new(Effect::Deny, PortSet::protocol(*protocol), both.clone()));
            }
            ClusterPort::BareProtocol(_) | ClusterPort::Unknown => {}
        }
    }
    out.push(Part::new(effect, numbers, both));
    out
}

/// A named port of a cluster rule: it speaks of pods only, and of any protocol.
fn cluster_named<'w>(
    columns: &mut Columns<'w>,
    name: &'w Str,
    effect: Effect,
    direction: Direction,
    pods: &Cols,
    out: &mut Vec<Part>,
) {
    let reading = if effect == Effect::Deny { NameReading::Every } else { NameReading::First };
    match direction {
        Direction::Ingress => {
            let named = |protocol| Named { name: name.clone(), protocol, reading };
            let mut part = Part::new(effect, PortSet::none(), pods.clone());
            part.names = Protocol::ALL.into_iter().map(named).collect();
            out.push(part);
        }
        Direction::Egress => {
            for protocol in Protocol::ALL {
                for (number, classes) in columns.named(name, protocol, reading) {
                    let ports = PortSet::range(protocol, *number, *number);
                    out.push(Part::new(effect, ports, pods.and(classes)));
                }
            }
        }
    }
}

/// Numbers, and names to be looked up on the receiver.
fn rule_ports(rule: &Rule) -> (PortSet, Vec<(&Str, Protocol)>) {
    let Ports::Of(entries) = &rule.ports else { return (PortSet::all(), Vec::new()) };
    let (mut numbers, mut names) = (PortSet::none(), Vec::new());
    for entry in entries {
        match &entry.port {
            PortMatch::Any => numbers = numbers.union(&PortSet::protocol(entry.protocol)),
            PortMatch::Range(a, b) => numbers = numbers.union(&PortSet::range(entry.protocol, *a, *b)),
            PortMatch::Named(name) => names.push((name, entry.protocol)),
        }
    }
    (numbers, names)
}
