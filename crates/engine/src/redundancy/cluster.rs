//! Rules of cluster policies as sets of columns.

use crate::bits::Bits;
use crate::block::Block;
use crate::peers::{Effect, effect_of, named_port, named_ports_all, not_understood};
use crate::reach::columns::{Cols, NameReading};
use crate::redundancy::space::{Atom, Space};
use crate::selector::matches;
use std::rc::Rc;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, ClusterRule, Direction, L4, Pod, PortMatch, Protocol, RuleRef, Str, Tier,
};

/// A rule of a cluster policy, whatever the port.
pub(super) struct ClusterShape {
    /// By label, or everyone.
    pods: Cols,
    /// And by address or node.
    both: Rc<Cols>,
    effect: Effect,
    /// What its ports say does not count, as it is not understood.
    any_port: bool,
}

impl<'w> Space<'w> {
    /// Whom a cluster rule matches on these ports, and what it does to them.
    pub(super) fn cluster_on(
        &mut self,
        tier: Tier,
        (at, rule): (RuleRef, &'w ClusterRule),
        atom: Atom,
        subject: &Pod,
    ) -> (Rc<Cols>, Effect) {
        let closes = effect_of(&rule.action) != Effect::Accept;
        let shape = self.cluster_shape(tier, at, rule);
        let ClusterShape { pods, both, effect, any_port } = &*shape;
        let effect = *effect;
        let ClusterPorts::Of(list) = &rule.ports else { return (both.clone(), effect) };
        if *any_port {
            return (both.clone(), effect);
        }
        let L4::Port(protocol, number) = self.l4(atom) else { return (Rc::default(), effect) };
        if closes && list.contains(&ClusterPort::BareProtocol(protocol)) {
            return (both.clone(), Effect::Deny);
        }
        let by_number = list.iter().any(|entry| match entry {
            ClusterPort::Number(p, PortMatch::Any) => *p == protocol,
            ClusterPort::Number(p, PortMatch::Range(a, b)) => *p == protocol && (*a..=*b).contains(&number),
            ClusterPort::Number(_, PortMatch::Named(_))
            | ClusterPort::Named(_)
            | ClusterPort::BareProtocol(_)
            | ClusterPort::Unknown => false,
        });
        if by_number {
            return (both.clone(), effect);
        }
        let mut out = Cols::default();
        let every = effect == Effect::Deny;
        for name in cluster_names(list) {
            match at.direction {
                Direction::Ingress => {
                    let hit = if every {
                        named_ports_all(subject, name).any(|p| p == (protocol, number))
                    } else {
                        named_port(subject, name, protocol) == Some(number)
                    };
                    if hit {
                        out.add(pods);
                    }
                }
                Direction::Egress => {
                    let reading = if every { NameReading::Every } else { NameReading::First };
                    let named = self.columns.named(name, protocol, reading);
                    for (_, classes) in named.iter().filter(|(n, _)| *n == number) {
                        out.add(&pods.and(classes));
                    }
                }
            }
        }
        (Rc::new(out), effect)
    }

    /// Whom a cluster rule matches, whatever the port.
    fn cluster_shape(&mut self, tier: Tier, at: RuleRef, rule: &'w ClusterRule) -> Rc<ClusterShape> {
        if let Some(known) = self.cluster_shapes.get(&at) {
            return known.clone();
        }
        let shape = Rc::new(self.new_cluster_shape(tier, rule));
        self.cluster_shapes.insert(at, shape.clone());
        shape
    }

    fn new_cluster_shape(&mut self, tier: Tier, rule: &'w ClusterRule) -> ClusterShape {
        let effect = effect_of(&rule.action);
        let closes = effect != Effect::Accept;
        let shape =
            |pods: Cols, both: Cols, effect, any_port| ClusterShape { pods, both: Rc::new(both), effect, any_port };
        if not_understood(rule) {
            let cols = if closes { Cols::certain(self.everyone()) } else { Cols::default() };
            return shape(cols.clone(), cols, if closes { Effect::Deny } else { effect }, true);
        }
        let (mut pods, mut others) = (Cols::default(), Cols::default());
        let mut effect = effect;
        let mut networks: Vec<Block<'_>> = Vec::new();
        for peer in &rule.peers {
            match peer {
                ClusterPeer::Pods { namespaces, pods: labels, .. } => {
                    pods.add(&self.columns.cluster_pods(namespaces, labels));
                }
                ClusterPeer::Nodes { nodes, .. } => {
                    others.add(&self.columns.cluster_nodes(nodes));
                    let first = self.first_node();
                    for (i, _) in self.world.nodes.iter().enumerate().filter(|(_, n)| matches(nodes, &n.labels)) {
                        others.add(&Cols::certain(Bits::range(first + i, first + i + 1)));
                    }
                }
                ClusterPeer::Networks { blocks, .. } => networks.extend(blocks.iter().map(|b| (b, &[][..]))),
                ClusterPeer::DomainNames { .. } if closes => {
                    effect = Effect::Deny;
                    pods.add(&Cols::certain(self.everyone()));
                }
                ClusterPeer::DomainNames { .. } if tier == Tier::Admin => {
                    let addresses = Bits::range(self.first_address(), self.first_node());
                    others.possible.add(&addresses);
                }
                ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {}
            }
        }
        if !networks.is_empty() {
            let networks = self.blocks(&networks);
            others.add(&networks);
        }
        let mut both = pods.clone();
        both.add(&others);
        shape(pods, both, effect, false)
    }

    /// As [`Self::bounds`], for a cluster rule.
    pub(super) fn cluster_bounds(
        &mut self,
        rule: &'w ClusterRule,
        direction: Direction,
        subject: &Pod,
        sum: &mut Vec<Atom>,
    ) {
        let ClusterPorts::Of(list) = &rule.ports else { return };
        for entry in list {
            match entry {
                ClusterPort::Number(p, PortMatch::Range(a, b)) => sum.extend(self.atoms(*p, *a, *b)),
                ClusterPort::Number(_, PortMatch::Any | PortMatch::Named(_))
                | ClusterPort::Named(_)
                | ClusterPort::BareProtocol(_)
                | ClusterPort::Unknown => {}
            }
        }
        for name in cluster_names(list) {
            let on = (direction == Direction::Ingress).then_some(subject);
            for protocol in Protocol::ALL {
                sum.extend(self.name_atoms(name, protocol, on));
            }
        }
    }
}

/// Names of ports that a cluster rule names.
pub(super) fn cluster_names(list: &[ClusterPort]) -> impl Iterator<Item = &Str> {
    list.iter().filter_map(|entry| match entry {
        ClusterPort::Named(name) | ClusterPort::Number(_, PortMatch::Named(name)) => Some(name),
        ClusterPort::Number(..) | ClusterPort::BareProtocol(_) | ClusterPort::Unknown => None,
    })
}
