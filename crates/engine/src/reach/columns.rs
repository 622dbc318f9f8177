//! Which classes a rule's peers are: as bit sets, for all rules of the world.

use crate::bits::Bits;
use crate::block::{Block, Whereabouts, blocks_match, whereabouts};
use crate::classes::{ClassId, Classes};
use crate::peers::{named_port, named_ports_all};
use crate::selector::{matches, matches_namespace, readable};
use crate::tri::Tri;
use rustc_hash::FxHashMap;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Endpoint, Family, NamespaceId, NetworkPolicy, NodeId, Peer, PeerKind, Pod, Protocol, Selector, Str, World, addr,
};

/// A set of classes on two readings: those that match for sure are among those that may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cols {
    pub(crate) sure: Bits,
    pub(crate) possible: Bits,
}

impl Cols {
    pub(crate) fn certain(bits: Bits) -> Self {
        Self { possible: bits.clone(), sure: bits }
    }

    pub(crate) fn add(&mut self, other: &Cols) {
        self.sure.add(&other.sure);
        self.possible.add(&other.possible);
    }

    pub(crate) fn and(&self, bits: &Bits) -> Cols {
        Cols { sure: self.sure.and(bits), possible: self.possible.and(bits) }
    }
}

/// Classes of hostNetwork pods.
pub(crate) fn host_network(world: &World, classes: &Classes) -> Bits {
    let all = (0..classes.len()).map(ClassId::at);
    let host = all.filter(|c| world.pods[classes.representative(*c).index()].host_network);
    Bits::from_sorted(&host.map(|c| c.0).collect::<Vec<_>>())
}

/// How a named port is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NameReading {
    /// The first port of that name.
    First,
    /// Every port of that name.
    Every,
}

/// Peer sets, computed once per distinct selector, block and name.
pub(crate) struct Columns<'w> {
    world: &'w World,
    classes: &'w Classes,
    pub(crate) everyone: Bits,
    pub(crate) host_network: Bits,
    pods: FxHashMap<&'w Selector, Bits>,
    namespaces: FxHashMap<&'w Selector, Cols>,
    blocks: FxHashMap<Vec<(BlockKey, Vec<BlockKey>)>, Cols>,
    names: FxHashMap<(&'w str, Protocol, NameReading), ByNumber>,
    addresses: Addresses,
}

/// Classes by the number that a name stands for there.
type ByNumber = Vec<(u16, Bits)>;

type BlockKey = (watertight_model::Cidr, Option<watertight_model::Cidr>);

fn key(block: &BlockCidr) -> BlockKey {
    (block.cidr, block.mapped)
}

impl<'w> Columns<'w> {
    pub(crate) fn new(world: &'w World, classes: &'w Classes) -> Self {
        Self {
            world,
            classes,
            everyone: Bits::range(0, classes.len()),
            host_network: host_network(world, classes),
            pods: FxHashMap::default(),
            namespaces: FxHashMap::default(),
            blocks: FxHashMap::default(),
            names: FxHashMap::default(),
            addresses: Addresses::of(world, classes),
        }
    }

    /// A NetworkPolicy peer.
    pub(crate) fn peer(&mut self, policy: &NetworkPolicy, peer: &'w Peer) -> Cols {
        match &peer.kind {
            PeerKind::Block(block) => self.blocks(&[(&block.cidr, &block.except)]),
            PeerKind::Pods { namespaces, pods } => {
                if namespaces.iter().chain(pods).any(|s| !readable(s)) {
                    return Cols::default();
                }
                let mut cols = match namespaces {
                    None => {
                        let range = self.classes.of_namespace(policy.namespace);
                        match pods {
                            // Own namespace: the index is asked for that range only.
                            Some(selector) => Cols::certain(self.classes.index.select(selector, range)),
                            None => Cols::certain(Bits::range(range.start, range.end)),
                        }
                    }
                    Some(selector) => {
                        let mut cols = self.in_namespaces(selector);
                        if let Some(selector) = pods {
                            cols = cols.and(self.with_labels(selector));
                        }
                        cols
                    }
                };
                cols.sure.remove(&self.host_network);
                cols
            }
        }
    }

    /// Pods of a cluster policy's peer; never hostNetwork pods.
    pub(crate) fn cluster_pods(&mut self, namespaces: &'w Selector, pods: &'w Selector) -> Cols {
        let mut cols = self.in_namespaces(namespaces);
        cols = cols.and(self.with_labels(pods));
        cols.sure.remove(&self.host_network);
        cols.possible.remove(&self.host_network);
        cols
    }

    /// hostNetwork pods through their nodes.
    pub(crate) fn cluster_nodes(&self, nodes: &Selector) -> Cols {
        let mut cols = Cols::default();
        for class in self.host_network.iter() {
            let pod = self.representative(class);
            let one = Bits::range(class, class + 1);
            match pod.node {
                Some(NodeId(id)) if matches(nodes, &self.world.nodes[id as usize].labels) => {
                    cols.add(&Cols::certain(one))
                }
                Some(_) => {}
                None => cols.possible.add(&one),
            }
        }
        cols
    }

    fn representative(&self, class: usize) -> &'w Pod {
        &self.world.pods[self.classes.representative(ClassId::at(class)).index()]
    }

    fn with_labels(&mut self, selector: &'w Selector) -> &Bits {
        let classes = self.classes;
        self.pods.entry(selector).or_insert_with(|| classes.index.select(selector, 0..classes.len()))
    }

    fn in_namespaces(&mut self, selector: &'w Selector) -> Cols {
        if let Some(known) = self.namespaces.get(selector) {
            return known.clone();
        }
        let mut cols = Cols::default();
        for ns in (0..self.world.namespaces.len()).map(NamespaceId::at) {
            let range = self.classes.of_namespace(ns);
            let bits = Bits::range(range.start, range.end);
            match matches_namespace(self.world, ns, selector) {
                Tri::No => {}
                Tri::Maybe(_) => cols.possible.add(&bits),
                Tri::Yes => cols.add(&Cols::certain(bits)),
            }
        }
        self.namespaces.insert(selector, cols.clone());
        cols
    }

    /// The blocks of one rule, taken as one set.
    pub(crate) fn blocks(&mut self, blocks: &[Block<'_>]) -> Cols {
        let id: Vec<_> = blocks.iter().map(|(block, except)| (key(block), except.iter().map(key).collect())).collect();
        if let Some(known) = self.blocks.get(&id) {
            return known.clone();
        }
        let cols = self.addresses.inside(blocks);
        self.blocks.insert(id, cols.clone());
        cols
    }

    /// Classes on which a name stands for a port, by number.
    pub(crate) fn named(&mut self, name: &'w Str, protocol: Protocol, reading: NameReading) -> &[(u16, Bits)] {
        let (world, classes) = (self.world, self.classes);
        self.names.entry((name, protocol, reading)).or_insert_with(|| {
            let mut by_number: std::collections::BTreeMap<u16, Vec<u32>> = std::collections::BTreeMap::new();
            for class in (0..classes.len()).map(ClassId::at) {
                let pod = &world.pods[classes.representative(class).index()];
                match reading {
                    NameReading::First => {
                        if let Some(number) = named_port(pod, name, protocol) {
                            by_number.entry(number).or_default().push(class.0);
                        }
                    }
                    NameReading::Every => {
                        for (_, number) in named_ports_all(pod, name).filter(|(p, _)| *p == protocol) {
                            let list = by_number.entry(number).or_default();
                            if list.last() != Some(&class.0) {
                                list.push(class.0);
                            }
                        }
                    }
                }
            }
            by_number.into_iter().map(|(number, list)| (number, Bits::from_sorted(&list))).collect()
        })
    }
}

/// Where classes are: those with one known address sorted by it, all others grouped by what is known of them.
struct Addresses {
    /// Family, address, class; sorted.
    single: Vec<(Family, u128, u32)>,
    /// Several addresses, or none known.
    others: Vec<(Whereabouts, Vec<u32>)>,
}

impl Addresses {
    fn of(world: &World, classes: &Classes) -> Self {
        let mut single = Vec::new();
        let mut others: FxHashMap<String, (Whereabouts, Vec<u32>)> = FxHashMap::default();
        for class in (0..classes.len()).map(ClassId::at) {
            match whereabouts(world, Endpoint::Pod(classes.representative(class))).0 {
                Whereabouts::At(list) if list.len() == 1 => {
                    let (family, value, _) = addr::number(list[0]);
                    single.push((family, value, class.0));
                }
                place => {
                    let name = format!("{place:?}");
                    others.entry(name).or_insert_with(|| (place, Vec::new())).1.push(class.0);
                }
            }
        }
        single.sort_unstable();
        let mut others: Vec<_> = others.into_values().collect();
        others.sort_by(|a, b| a.1.cmp(&b.1));
        Self { single, others }
    }

    fn inside(&self, blocks: &[Block<'_>]) -> Cols {
        let mut cols = Cols::default();
        let mut add = |tri: Tri, list: &[u32]| match tri {
            Tri::No => {}
            Tri::Maybe(_) => cols.possible.add(&Bits::from_sorted(list)),
            Tri::Yes => cols.add(&Cols::certain(Bits::from_sorted(list))),
        };
        let plain = |b: &Block<'_>| b.0.mapped.is_none() && b.1.iter().all(|e| e.mapped.is_none());
        if blocks.iter().all(plain) {
            let mut found: Vec<u32> =
                blocks.iter().flat_map(|(block, except)| self.single_inside(block, except)).collect();
            found.sort_unstable();
            found.dedup();
            add(Tri::Yes, &found);
        } else {
            for (family, value, class) in &self.single {
                let place = Whereabouts::At(vec![addr::address(*family, *value)]);
                add(blocks_match(blocks, &place, None), &[*class]);
            }
        }
        for (place, list) in &self.others {
            add(blocks_match(blocks, place, None), list);
        }
        cols
    }

    /// Classes with one address that a block without mapped parts holds.
    fn single_inside(&self, block: &BlockCidr, except: &[BlockCidr]) -> Vec<u32> {
        let family = block.cidr.family();
        let (first, last) = block.cidr.range();
        let mut holes: Vec<(u128, u128)> =
            except.iter().filter(|e| e.cidr.family() == family).map(|e| e.cidr.range()).collect();
        holes.sort_unstable();
        // Furthest end of a hole that starts at or before the address.
        let mut ends: Option<u128> = None;
        let mut hole = 0;
        let start = self.single.partition_point(|(f, v, _)| (*f, *v) < (family, first));
        let mut found: Vec<u32> = Vec::new();
        for (_, value, class) in self.single[start..].iter().take_while(|(f, v, _)| (*f, *v) <= (family, last)) {
            while hole < holes.len() && holes[hole].0 <= *value {
                ends = ends.max(Some(holes[hole].1));
                hole += 1;
            }
            if ends.is_none_or(|end| *value > end) {
                found.push(*class);
            }
        }
        found
    }
}
