//! What a class may exchange with addresses outside the cluster: the address space cut at the blocks in use, all ports.

use crate::Engine;
use crate::block::{Ranges, block_ranges, holds, normal};
use crate::classes::ClassId;
use crate::peers::{Effect, effect_of, named_port, not_understood};
use crate::reach::PortPair;
use crate::reach::may::May;
use crate::selector::readable;
use std::collections::BTreeSet;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Cidr, ClusterPeer, ClusterPort, ClusterPorts, ClusterRule, Direction, Family, PeerKind, Peers, Pod, PortEntry,
    PortMatch, PortSet, Ports, Tier, addr,
};

/// Addresses with the same ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExternalPart {
    /// The fewest blocks that hold exactly these addresses, IPv4 first.
    pub cidrs: Vec<Cidr>,
    /// Ports.
    pub ports: PortPair,
}

/// What a rule does to external addresses.
struct External {
    effect: Effect,
    /// Addresses it matches for sure, and those it may match.
    sure: Ranges,
    possible: Ranges,
    ports: PortSet,
}

/// Everything that a class may exchange with addresses outside, merged where equal; addresses without open ports are left
/// out. `families`: which parts of the address space to speak of.
pub fn external(engine: &Engine<'_>, class: ClassId, direction: Direction, families: &[Family]) -> Vec<ExternalPart> {
    let world = engine.world();
    let pod = &world.pods[engine.classes().representative(class).index()];
    let stack = Stack::of(engine, class, direction, pod);
    let mut cuts: BTreeSet<(Family, u128)> = families.iter().map(|f| (*f, 0)).collect();
    for rule in
        stack.admin.iter().chain(&stack.baseline).flatten().flatten().chain(stack.policies.iter().flat_map(|p| &p.1))
    {
        for (family, first, last) in rule.sure.iter().chain(&rule.possible) {
            if families.contains(family) {
                cuts.insert((*family, *first));
                let end = if *family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX };
                if *last < end {
                    cuts.insert((*family, last + 1));
                }
            }
        }
    }
    let cuts: Vec<(Family, u128)> = cuts.into_iter().collect();
    let mut parts: std::collections::BTreeMap<PortPair, Ranges> = std::collections::BTreeMap::new();
    for (i, (family, first)) in cuts.iter().enumerate() {
        let last = match cuts.get(i + 1) {
            Some((next, start)) if next == family => start - 1,
            _ => Cidr::all(*family).range().1,
        };
        let pair = stack.ports(*family, *first);
        if pair.possible.is_empty() {
            continue;
        }
        let ranges = parts.entry(pair).or_default();
        match ranges.last_mut() {
            Some((f, _, end)) if f == family && end.checked_add(1) == Some(*first) => *end = last,
            _ => ranges.push((*family, *first, last)),
        }
    }
    let mut out: Vec<ExternalPart> = parts
        .into_iter()
        .map(|(ports, ranges)| {
            let cidrs = ranges.into_iter().flat_map(|(family, a, b)| addr::cover(family, a, b)).collect();
            ExternalPart { cidrs, ports }
        })
        .collect();
    out.sort_by(|a, b| a.cidrs.cmp(&b.cidrs));
    out
}

/// What decides for one class in one direction, as far as external addresses go.
struct Stack {
    /// Per priority, per policy: rules in order; and whether the selection of each policy is unclear is told by a last
    /// rule-less marker in `unclear`.
    admin: Vec<Vec<Vec<External>>>,
    baseline: Vec<Vec<Vec<External>>>,
    /// Selection unclear, and rules.
    policies: Vec<(bool, Vec<External>)>,
    unclear: BTreeSet<(bool, usize, usize)>,
}

impl Stack {
    fn of(engine: &Engine<'_>, class: ClassId, direction: Direction, pod: &Pod) -> Self {
        let world = engine.world();
        let policies = engine
            .classes()
            .policies_of_class(class, direction)
            .iter()
            .map(|s| {
                let policy = &world.policies[s.policy as usize];
                let rules = if readable(&policy.subject) { policy.rules(direction) } else { &[] };
                let rules = rules.iter().filter_map(|rule| network_rule(&rule.peers, &rule.ports, direction, pod));
                (!s.causes.is_empty(), rules.collect())
            })
            .collect();
        let mut this = Self { admin: Vec::new(), baseline: Vec::new(), policies, unclear: BTreeSet::new() };
        let selected = engine.classes().cluster_policies_of(engine.classes().representative(class));
        let key = |policy: u32| {
            let policy = &world.cluster_policies[policy as usize];
            (policy.tier, policy.priority)
        };
        for group in selected.chunk_by(|a, b| key(a.policy) == key(b.policy)) {
            let admin = key(group[0].policy).0 == Tier::Admin;
            let list = if admin { &mut this.admin } else { &mut this.baseline };
            let rules = |policy: u32| {
                let policy = &world.cluster_policies[policy as usize];
                let tier = policy.tier;
                policy.rules(direction).iter().flat_map(|rule| cluster_rule(tier, rule, direction, pod)).collect()
            };
            for (i, s) in group.iter().enumerate() {
                if !s.causes.is_empty() {
                    this.unclear.insert((admin, list.len(), i));
                }
            }
            list.push(group.iter().map(|s| rules(s.policy)).collect());
        }
        this
    }

    /// Ports that are open to one address.
    fn ports(&self, family: Family, value: u128) -> PortPair {
        let admin = self.tier(true, family, value);
        let on = admin.pass.union(&admin.nothing);
        let (opens, denied) = self.after_admin(family, value);
        let possible = admin.accept.union(&on.intersect(&opens));
        let denied = admin.deny.union(&on.intersect(&denied));
        PortPair { sure: denied.complement(), possible }
    }

    /// What NetworkPolicy or the Baseline tier may allow, and what they may deny.
    fn after_admin(&self, family: Family, value: u128) -> (PortSet, PortSet) {
        let baseline = || {
            let tier = self.tier(false, family, value);
            (tier.accept.union(&tier.pass).union(&tier.nothing), tier.deny)
        };
        if self.policies.is_empty() {
            return baseline();
        }
        let admitted = |rules: &[External]| {
            let (mut sure, mut possible) = (PortSet::none(), PortSet::none());
            for rule in rules {
                if holds(&rule.possible, family, value) {
                    possible = possible.union(&rule.ports);
                }
                if holds(&rule.sure, family, value) {
                    sure = sure.union(&rule.ports);
                }
            }
            (sure, possible)
        };
        let (mut sure, mut possible) = (PortSet::none(), PortSet::none());
        if self.policies.iter().all(|(unclear, _)| !unclear) {
            for (_, rules) in &self.policies {
                let (s, p) = admitted(rules);
                sure = sure.union(&s);
                possible = possible.union(&p);
            }
            return (possible, sure.complement());
        }
        let (opens, mut denied) = baseline();
        possible = possible.union(&opens);
        for (_, rules) in &self.policies {
            let (s, p) = admitted(rules);
            possible = possible.union(&p);
            denied = denied.union(&s.complement());
        }
        (possible, denied)
    }

    fn tier(&self, admin: bool, family: Family, value: u128) -> May {
        let groups = if admin { &self.admin } else { &self.baseline };
        let mut sum = May::untouched();
        for (g, group) in groups.iter().enumerate() {
            let mut together: Option<May> = None;
            for (i, rules) in group.iter().enumerate() {
                let mut own = May::untouched();
                for rule in rules {
                    if holds(&rule.possible, family, value) {
                        own.hit(&rule.ports, rule.effect, holds(&rule.sure, family, value));
                    }
                }
                if self.unclear.contains(&(admin, g, i)) {
                    own.nothing = PortSet::all();
                }
                together = Some(together.map_or_else(|| own.clone(), |other| May::most_restrictive(&other, &own)));
            }
            if let Some(group) = together {
                sum = May::then(&sum, &group);
            }
        }
        sum
    }
}

fn everywhere() -> Ranges {
    [Family::V4, Family::V6].map(|f| (f, 0, Cidr::all(f).range().1)).to_vec()
}

/// A NetworkPolicy rule, if it concerns addresses at all.
fn network_rule(peers: &Peers, ports: &Ports, direction: Direction, pod: &Pod) -> Option<External> {
    let (sure, possible) = match peers {
        Peers::Any(_) => (everywhere(), everywhere()),
        Peers::Of(list) => {
            let blocks = list.iter().filter_map(|peer| match &peer.kind {
                PeerKind::Block(block) => Some((&block.cidr, block.except.as_slice())),
                PeerKind::Pods { .. } => None,
            });
            let (mut sure, mut possible) = (Ranges::new(), Ranges::new());
            for (block, except) in blocks {
                let (s, p) = block_ranges(block, except);
                sure.extend(s);
                possible.extend(p);
            }
            (normal(sure), normal(possible))
        }
    };
    if possible.is_empty() {
        return None;
    }
    let ports = match ports {
        Ports::Any(_) => PortSet::all(),
        Ports::Of(entries) => entries.iter().fold(PortSet::none(), |sum, e| sum.union(&entry_ports(e, direction, pod))),
    };
    Some(External { effect: Effect::Accept, sure, possible, ports })
}

/// Ports of one entry; a name is looked up on the subject, which receives the traffic of ingress rules.
pub(crate) fn entry_ports(entry: &PortEntry, direction: Direction, pod: &Pod) -> PortSet {
    match (&entry.port, direction) {
        (PortMatch::Any, _) => PortSet::protocol(entry.protocol),
        (PortMatch::Range(a, b), _) => PortSet::range(entry.protocol, *a, *b),
        (PortMatch::Named(name), Direction::Ingress) => named_port(pod, name, entry.protocol)
            .map_or_else(PortSet::none, |number| PortSet::range(entry.protocol, number, number)),
        // An address has no named ports (row 58).
        (PortMatch::Named(_), Direction::Egress) => PortSet::none(),
    }
}

/// A cluster rule, in the order in which its parts act.
fn cluster_rule(tier: Tier, rule: &ClusterRule, direction: Direction, pod: &Pod) -> Vec<External> {
    let mut effect = effect_of(&rule.action);
    let closes = effect != Effect::Accept;
    if not_understood(rule) {
        let all = External { effect: Effect::Deny, sure: everywhere(), possible: everywhere(), ports: PortSet::all() };
        return if closes { vec![all] } else { Vec::new() };
    }
    let (mut sure, mut possible) = (Ranges::new(), Ranges::new());
    let mut everyone = false;
    for peer in &rule.peers {
        match peer {
            ClusterPeer::Networks { blocks, .. } => {
                for block in blocks {
                    let (s, p) = block_ranges(block, &[]);
                    sure.extend(s);
                    possible.extend(p);
                }
            }
            ClusterPeer::DomainNames { .. } if closes => {
                effect = Effect::Deny;
                everyone = true;
                sure.extend(everywhere());
                possible.extend(everywhere());
            }
            ClusterPeer::DomainNames { .. } if tier == Tier::Admin => possible.extend(everywhere()),
            ClusterPeer::DomainNames { .. }
            | ClusterPeer::Pods { .. }
            | ClusterPeer::Nodes { .. }
            | ClusterPeer::Unknown { .. } => {}
        }
    }
    let (sure, possible) = (normal(sure), normal(possible));
    let piece = |effect, ports| External { effect, sure: sure.clone(), possible: possible.clone(), ports };
    let ClusterPorts::Of(list) = &rule.ports else { return vec![piece(effect, PortSet::all())] };
    let mut out = Vec::new();
    let mut numbers = PortSet::none();
    for entry in list {
        match entry {
            ClusterPort::Number(protocol, PortMatch::Any) => numbers = numbers.union(&PortSet::protocol(*protocol)),
            ClusterPort::Number(protocol, PortMatch::Range(a, b)) => {
                numbers = numbers.union(&PortSet::range(*protocol, *a, *b));
            }
            ClusterPort::Number(_, PortMatch::Named(name)) | ClusterPort::Named(name) => {
                // Looked up on the receiver, and only where pods or everyone are the peers.
                if direction == Direction::Ingress && everyone {
                    for (protocol, number) in crate::peers::named_ports_all(pod, name) {
                        numbers = numbers.union(&PortSet::range(protocol, number, number));
                    }
                }
            }
            ClusterPort::BareProtocol(protocol) if closes => {
                out.push(piece(Effect::Deny, PortSet::protocol(*protocol)))
            }
            ClusterPort::BareProtocol(_) | ClusterPort::Unknown => {}
        }
    }
    out.push(piece(effect, numbers));
    out
}

/// The families that a world speaks of: IPv4, unless everything known is IPv6; IPv6 if anything known is.
pub fn families_in_use(engine: &Engine<'_>) -> Vec<Family> {
    let world = engine.world();
    let mut seen = BTreeSet::new();
    let block = |b: &BlockCidr| b.cidr.family();
    for policy in &world.policies {
        for rule in policy.ingress.iter().chain(&policy.egress) {
            if let Peers::Of(peers) = &rule.peers {
                seen.extend(peers.iter().filter_map(|p| match &p.kind {
                    PeerKind::Block(b) => Some(block(&b.cidr)),
                    PeerKind::Pods { .. } => None,
                }));
            }
        }
    }
    for policy in &world.cluster_policies {
        for rule in policy.ingress.iter().chain(&policy.egress) {
            for peer in &rule.peers {
                if let ClusterPeer::Networks { blocks, .. } = peer {
                    seen.extend(blocks.iter().map(block));
                }
            }
        }
    }
    let addresses = world.pods.iter().flat_map(|p| &p.ips).chain(world.nodes.iter().flat_map(|n| &n.addresses));
    let mut lived_in: BTreeSet<Family> = addresses.map(|ip| addr::number(*ip).0).collect();
    lived_in.extend(world.pod_cidrs.iter().map(Cidr::family));
    if lived_in.is_empty() {
        lived_in.insert(Family::V4);
    }
    seen.extend(lived_in);
    seen.into_iter().collect()
}
