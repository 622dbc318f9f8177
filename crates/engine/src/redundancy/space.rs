//! Everyone who can be on the other side of a policy's subject, as bit sets, and rules as such sets.
//!
//! Columns: first the classes of pods, then the elementary ranges of addresses outside (the space cut at every block in
//! use), then nodes. Ports: elementary ranges, and one more for IP protocols without ports.

use crate::bits::Bits;
use crate::block::{Block, Ranges, block_ranges, blocks_match, normal, whereabouts};
use crate::classes::{ClassId, Classes};
use crate::peers::{named_port, named_ports_all};
use crate::reach::columns::{Cols, Columns, NameReading};
use crate::redundancy::cluster::{ClusterShape, cluster_names};
use crate::tri::Tri;
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, Direction, Endpoint, Family, L4, NetworkPolicy, NodeId, Peer, PeerKind,
    Peers, Pod, PodId, PortEntry, PortMatch, Ports, Protocol, Rule, RuleRef, Str, World, addr,
};

/// Ports that no rule tells apart; [`OTHER`] is every IP protocol without ports.
pub(super) type Atom = u32;
/// Protocols without ports.
pub(super) const OTHER: Atom = Atom::MAX;

pub(super) struct Space<'w> {
    pub(super) world: &'w World,
    pub(super) classes: &'w Classes,
    pub(super) columns: Columns<'w>,
    /// First addresses of elementary ranges, sorted; IPv4 first.
    cuts: Vec<(Family, u128)>,
    /// Elementary ranges of ports, sorted.
    ports: Vec<(Protocol, u16, u16)>,
    /// Columns of nodes and of hostNetwork pods, which may be local to a subject.
    pub(super) on_nodes: Bits,
    /// Sets in use: equal ones are kept once, as thousands of rules name the same peers.
    sets: FxHashSet<Rc<Cols>>,
    names: FxHashMap<(&'w str, Protocol), Numbers>,
    pub(super) cluster_shapes: FxHashMap<RuleRef, Rc<ClusterShape>>,
}

/// Classes by the number that a name stands for there.
type Numbers = Rc<[(u16, Bits)]>;

/// A NetworkPolicy rule, or what would be left of it.
#[derive(Clone, Default)]
pub(super) struct Shape<'w> {
    pub(super) ports: ShapePorts<'w>,
    /// By label, or everyone.
    pods: Rc<Cols>,
    /// By label or by address.
    both: Rc<Cols>,
    /// Protocols without ports (row 68: perhaps).
    other: Rc<Cols>,
}

/// The ports of a [`Shape`].
#[derive(Clone, Default)]
pub(super) struct ShapePorts<'w> {
    /// Every port of TCP, UDP, SCTP.
    pub(super) whole: [bool; 3],
    /// Protocols without ports too, perhaps (row 68).
    pub(super) other: bool,
    /// Sorted; beside what is whole.
    pub(super) atoms: Vec<Atom>,
    names: Vec<(&'w Str, Protocol, Numbers)>,
}

/// What of a rule is looked at: some of its peers, without some exceptions, and some of its ports.
pub(super) struct Parts<'w> {
    pub(super) peers: Option<Vec<(&'w Peer, Vec<usize>)>>,
    pub(super) ports: Option<Vec<&'w PortEntry>>,
}

impl<'w> Parts<'w> {
    pub(super) fn whole(rule: &'w Rule) -> Self {
        let peers = match &rule.peers {
            Peers::Any(_) => None,
            Peers::Of(list) => Some(list.iter().map(|p| (p, Vec::new())).collect()),
        };
        let ports = match &rule.ports {
            Ports::Any(_) => None,
            Ports::Of(list) => Some(list.iter().collect()),
        };
        Self { peers, ports }
    }
}

impl ShapePorts<'_> {
    /// The rule may match on these ports.
    pub(super) fn concern(&self, protocol: Option<Protocol>, atom: Atom) -> bool {
        match protocol {
            None => self.other,
            Some(protocol) => {
                self.whole[protocol as usize]
                    || self.atoms.binary_search(&atom).is_ok()
                    || self.names.iter().any(|(_, p, _)| *p == protocol)
            }
        }
    }
}

impl<'w> Space<'w> {
    pub(super) fn new(world: &'w World, classes: &'w Classes) -> Self {
        let columns = Columns::new(world, classes);
        let (cuts, ports) = cuts(world);
        let mut this = Self {
            world,
            classes,
            columns,
            cuts,
            ports,
            on_nodes: Bits::none(),
            sets: FxHashSet::default(),
            names: FxHashMap::default(),
            cluster_shapes: FxHashMap::default(),
        };
        this.on_nodes = this.columns.host_network.clone();
        this.on_nodes.add(&Bits::range(this.first_node(), this.len()));
        this
    }

    pub(super) fn first_address(&self) -> usize {
        self.classes.len()
    }

    pub(super) fn first_node(&self) -> usize {
        self.classes.len() + self.cuts.len()
    }

    pub(super) fn len(&self) -> usize {
        self.first_node() + self.world.nodes.len()
    }

    pub(super) fn everyone(&self) -> Bits {
        Bits::range(0, self.len())
    }

    /// Columns that are not classes.
    pub(super) fn outside(&self) -> Bits {
        Bits::range(self.first_address(), self.len())
    }

    /// Somebody of a column; for classes a member.
    pub(super) fn endpoint(&self, column: usize) -> Endpoint {
        if column < self.first_address() {
            Endpoint::Pod(self.classes.representative(ClassId::at(column)))
        } else if column < self.first_node() {
            let (family, value) = self.cuts[column - self.first_address()];
            Endpoint::External(addr::address(family, value))
        } else {
            Endpoint::Node(NodeId::at(column - self.first_node()))
        }
    }

    /// The node that traffic of a column comes from, if it comes from one: `Some(None)` if it is not known which.
    pub(super) fn node_of(&self, column: usize) -> Option<Option<NodeId>> {
        match self.endpoint(column) {
            Endpoint::Node(node) => Some(Some(node)),
            Endpoint::Pod(pod) => {
                let pod = &self.world.pods[pod.index()];
                pod.host_network.then_some(pod.node)
            }
            Endpoint::External(_) => None,
        }
    }

    pub(super) fn protocol(&self, atom: Atom) -> Option<Protocol> {
        self.ports.get(atom as usize).map(|p| p.0)
    }

    /// The first port of an atom.
    pub(super) fn l4(&self, atom: Atom) -> L4 {
        self.ports.get(atom as usize).map_or(L4::Other, |(protocol, first, _)| L4::Port(*protocol, *first))
    }

    /// Atoms of a range.
    pub(super) fn atoms(&self, protocol: Protocol, first: u16, last: u16) -> std::ops::Range<Atom> {
        let at = |port: (Protocol, u16)| ClassId::at(self.ports.partition_point(|p| (p.0, p.1) < port)).0;
        let end = last.checked_add(1).map_or_else(
            || ClassId::at(self.ports.partition_point(|p| p.0 <= protocol)).0,
            |next| at((protocol, next)),
        );
        at((protocol, first))..end
    }

    /// An atom of the protocol that is not in the (sorted) list.
    pub(super) fn another(&self, protocol: Protocol, but: &[Atom]) -> Option<Atom> {
        self.atoms(protocol, 0, u16::MAX).find(|a| but.binary_search(a).is_err())
    }

    /// Atoms of the numbers that a name stands for in cluster rules: on this pod, or (without one) on any class.
    pub(super) fn name_atoms(&mut self, name: &'w Str, protocol: Protocol, on: Option<&Pod>) -> Vec<Atom> {
        let numbers: Vec<u16> = match on {
            Some(pod) => named_ports_all(pod, name).filter(|p| p.0 == protocol).map(|p| p.1).collect(),
            None => self.columns.named(name, protocol, NameReading::Every).iter().map(|(n, _)| *n).collect(),
        };
        numbers.into_iter().flat_map(|n| self.atoms(protocol, n, n)).collect()
    }

    /// The one copy of a set.
    fn kept(&mut self, cols: Cols) -> Rc<Cols> {
        if let Some(known) = self.sets.get(&cols) {
            return known.clone();
        }
        let new = Rc::new(cols);
        self.sets.insert(new.clone());
        new
    }

    fn numbers(&mut self, name: &'w Str, protocol: Protocol) -> Numbers {
        let known = self.names.entry((name, protocol));
        known.or_insert_with(|| self.columns.named(name, protocol, NameReading::First).into()).clone()
    }

    pub(super) fn blocks(&mut self, blocks: &[Block<'_>]) -> Cols {
        let mut cols = self.columns.blocks(blocks);
        let (mut sure, mut possible) = (Ranges::new(), Ranges::new());
        for (block, except) in blocks {
            let (s, p) = block_ranges(block, except);
            sure.extend(s);
            possible.extend(p);
        }
        for (ranges, certain) in [(normal(sure), true), (normal(possible), false)] {
            for (family, first, last) in ranges {
                let at = |value| self.first_address() + self.cuts.partition_point(|c| *c < (family, value));
                let end = last.checked_add(1).filter(|_| (family, last) != (Family::V4, u128::from(u32::MAX)));
                let end = end.map_or_else(|| self.first_address() + self.cuts.partition_point(|c| c.0 <= family), at);
                let bits = Bits::range(at(first), end);
                if certain {
                    cols.sure.add(&bits);
                }
                cols.possible.add(&bits);
            }
        }
        for i in 0..self.world.nodes.len() {
            let (place, cause) = whereabouts(self.world, Endpoint::Node(NodeId::at(i)));
            let bit = Bits::range(self.first_node() + i, self.first_node() + i + 1);
            match blocks_match(blocks, &place, cause) {
                Tri::No => {}
                Tri::Maybe(_) => cols.possible.add(&bit),
                Tri::Yes => cols.add(&Cols::certain(bit)),
            }
        }
        cols
    }

    /// A rule of a NetworkPolicy, as far as its parts go.
    pub(super) fn shape(&mut self, policy: &'w NetworkPolicy, parts: &Parts<'w>) -> Shape<'w> {
        let (mut pods, mut blocks) = (Cols::default(), Cols::default());
        match &parts.peers {
            None => pods = Cols::certain(self.everyone()),
            Some(list) => {
                let mut written: Vec<(&BlockCidr, Vec<BlockCidr>)> = Vec::new();
                for (peer, without) in list {
                    match &peer.kind {
                        PeerKind::Block(block) => {
                            let kept = block.except.iter().enumerate().filter(|(i, _)| !without.contains(i));
                            written.push((&block.cidr, kept.map(|(_, e)| *e).collect()));
                        }
                        PeerKind::Pods { .. } => pods.add(&self.columns.peer(policy, peer)),
                    }
                }
                if !written.is_empty() {
                    let borrowed: Vec<Block<'_>> = written.iter().map(|(b, e)| (*b, e.as_slice())).collect();
                    blocks = self.blocks(&borrowed);
                }
            }
        }
        let mut ports = ShapePorts::default();
        match &parts.ports {
            None => (ports.whole, ports.other) = ([true; 3], true),
            Some(entries) => {
                for entry in entries {
                    match &entry.port {
                        PortMatch::Any | PortMatch::Range(0, u16::MAX) => ports.whole[entry.protocol as usize] = true,
                        PortMatch::Range(a, b) => ports.atoms.extend(self.atoms(entry.protocol, *a, *b)),
                        PortMatch::Named(name) => {
                            let numbers = self.numbers(name, entry.protocol);
                            ports.names.push((name, entry.protocol, numbers));
                        }
                    }
                }
            }
        }
        ports.atoms.sort_unstable();
        ports.atoms.dedup();
        let mut both = pods.clone();
        both.add(&blocks);
        // A rule without ports may open protocols that have none (row 68).
        let other =
            Cols { sure: Bits::none(), possible: if ports.other { both.possible.clone() } else { Bits::none() } };
        Shape { ports, pods: self.kept(pods), both: self.kept(both), other: self.kept(other) }
    }

    /// The atoms at which a rule begins or ends to match, names included.
    pub(super) fn bounds(&self, ports: &ShapePorts<'w>, direction: Direction, subject: &Pod, sum: &mut Vec<Atom>) {
        sum.extend(&ports.atoms);
        for (name, protocol, numbers) in &ports.names {
            match direction {
                Direction::Ingress => {
                    let number = named_port(subject, name, *protocol);
                    sum.extend(number.into_iter().flat_map(|n| self.atoms(*protocol, n, n)));
                }
                Direction::Egress => sum.extend(numbers.iter().flat_map(|(n, _)| self.atoms(*protocol, *n, *n))),
            }
        }
    }

    /// Whom the rule lets pass on these ports.
    pub(super) fn on<'s>(
        &self,
        shape: &'s Shape<'w>,
        atom: Atom,
        direction: Direction,
        subject: &Pod,
    ) -> Cow<'s, Cols> {
        let Some(protocol) = self.protocol(atom) else { return Cow::Borrowed(&shape.other) };
        if shape.ports.whole[protocol as usize] || shape.ports.atoms.binary_search(&atom).is_ok() {
            return Cow::Borrowed(&shape.both);
        }
        let L4::Port(_, number) = self.l4(atom) else { return Cow::Owned(Cols::default()) };
        let mut out = Cols::default();
        for (name, _, numbers) in shape.ports.names.iter().filter(|(_, p, _)| *p == protocol) {
            match direction {
                Direction::Ingress if named_port(subject, name, protocol) == Some(number) => {
                    return Cow::Borrowed(&shape.both);
                }
                Direction::Ingress => {}
                Direction::Egress => {
                    for (_, classes) in numbers.iter().filter(|(n, _)| *n == number) {
                        out.add(&shape.pods.and(classes));
                    }
                }
            }
        }
        Cow::Owned(out)
    }

    /// hostNetwork classes and others, of which no member is one of these pods.
    pub(super) fn classes_without(&self, is_real: impl Fn(PodId) -> bool) -> Bits {
        let imaginary = |c: &ClassId| !self.classes.members(*c).iter().any(|p| is_real(*p));
        let list: Vec<u32> = (0..self.classes.len()).map(ClassId::at).filter(imaginary).map(|c| c.0).collect();
        Bits::from_sorted(&list)
    }
}

/// Where address ranges begin, and elementary ranges of ports.
type Cuts = (Vec<(Family, u128)>, Vec<(Protocol, u16, u16)>);

fn cuts(world: &World) -> Cuts {
    let mut addresses: BTreeSet<(Family, u128)> = [(Family::V4, 0), (Family::V6, 0)].into();
    let mut ports: BTreeSet<(Protocol, u16)> = Protocol::ALL.map(|p| (p, 0)).into();
    let mut block = |b: &BlockCidr| {
        for cidr in std::iter::once(b.cidr).chain(b.mapped) {
            let (first, last) = cidr.range();
            addresses.insert((cidr.family(), first));
            if let Some(next) =
                last.checked_add(1).filter(|n| *n <= watertight_model::Cidr::all(cidr.family()).range().1)
            {
                addresses.insert((cidr.family(), next));
            }
        }
    };
    let mut range = |protocol: Protocol, first: u16, last: u16| {
        ports.insert((protocol, first));
        ports.extend(last.checked_add(1).map(|next| (protocol, next)));
    };
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for policy in &world.policies {
        for rule in policy.ingress.iter().chain(&policy.egress) {
            if let Peers::Of(peers) = &rule.peers {
                for peer in peers {
                    if let PeerKind::Block(b) = &peer.kind {
                        std::iter::once(&b.cidr).chain(&b.except).for_each(&mut block);
                    }
                }
            }
            if let Ports::Of(entries) = &rule.ports {
                for entry in entries {
                    match &entry.port {
                        PortMatch::Any => {}
                        PortMatch::Range(a, b) => range(entry.protocol, *a, *b),
                        PortMatch::Named(name) => {
                            names.insert(name);
                        }
                    }
                }
            }
        }
    }
    for policy in &world.cluster_policies {
        for rule in policy.ingress.iter().chain(&policy.egress) {
            for peer in &rule.peers {
                if let ClusterPeer::Networks { blocks, .. } = peer {
                    blocks.iter().for_each(&mut block);
                }
            }
            if let ClusterPorts::Of(entries) = &rule.ports {
                for entry in entries {
                    if let ClusterPort::Number(protocol, PortMatch::Range(a, b)) = entry {
                        range(*protocol, *a, *b);
                    }
                }
                names.extend(cluster_names(entries).map(|n| &**n));
            }
        }
    }
    for port in world.pods.iter().flat_map(|p| &p.ports) {
        if port.name.as_deref().is_some_and(|n| names.contains(n)) {
            range(port.protocol, port.port, port.port);
        }
    }
    let starts: Vec<(Protocol, u16)> = ports.into_iter().collect();
    let ranges = starts.iter().enumerate().map(|(i, (protocol, first))| {
        let next = starts.get(i + 1).filter(|(p, _)| p == protocol);
        (*protocol, *first, next.map_or(u16::MAX, |(_, n)| n - 1))
    });
    (addresses.into_iter().collect(), ranges.collect())
}
