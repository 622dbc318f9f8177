//! Equivalence classes of pods: two pods of a class are the same to every policy.
//!
//! The key is what policies can see: namespace, the values of label keys that some selector names, the elementary address
//! range (the space cut at every block in use), the named ports that some rule names, and hostNetwork with its node.
//! Finished pods have no class.

use crate::bits::Bits;
use crate::peers::unless_host_network;
use crate::selector::{matches_namespace, readable};
use crate::tri::Tri;
use rustc_hash::{FxHashMap, FxHashSet};
use std::net::IpAddr;
use std::ops::Range;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, DependsOn, Direction, Endpoint, NamespaceId, Op, PeerKind, Peers, Pod,
    PodId, PortMatch, Ports, Protocol, Selector, Str, World, addr,
};

/// A class of pods, by its place; classes of one namespace are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub u32);

/// A policy that selects a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selected {
    /// Index into the world's list of policies of this kind.
    pub policy: u32,
    /// Empty: it does so on every reading. Else what the selection rests on.
    pub causes: Vec<DependsOn>,
}

const NO_CLASS: u32 = u32::MAX;

/// The classes of a world and which policies select them.
pub struct Classes {
    class_of: Vec<u32>,
    members: Vec<Vec<PodId>>,
    by_namespace: Vec<Range<u32>>,
    policies: [Vec<Vec<Selected>>; 2],
    cluster_policies: Vec<Vec<Selected>>,
    none: Vec<Selected>,
    pub(crate) index: LabelIndex,
}

impl Classes {
    pub(crate) fn of(world: &World) -> Self {
        let keys = Keys::of(world);
        let (class_of, members, index) = group(world, &keys);
        let count = members.len();
        let mut by_namespace = vec![0..0; world.namespaces.len()];
        for (i, pods) in members.iter().enumerate() {
            let ns = world.pods[pods[0].index()].namespace.index();
            let at = ClassId::at(i).0;
            if by_namespace[ns].is_empty() {
                by_namespace[ns] = at..at;
            }
            by_namespace[ns].end = at + 1;
        }
        let mut this = Self {
            class_of,
            members,
            by_namespace,
            policies: [vec![Vec::new(); count], vec![Vec::new(); count]],
            cluster_policies: vec![Vec::new(); count],
            none: Vec::new(),
            index,
        };
        this.find_subjects(world);
        this
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if no pod has a class.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The class of a pod; `None` for a finished pod.
    pub fn class_of(&self, pod: PodId) -> Option<ClassId> {
        Some(self.class_of[pod.index()]).filter(|c| *c != NO_CLASS).map(ClassId)
    }

    /// The pods of a class, ascending, never empty.
    pub fn members(&self, class: ClassId) -> &[PodId] {
        &self.members[class.0 as usize]
    }

    /// The first pod of a class: what holds for it holds for all.
    pub fn representative(&self, class: ClassId) -> PodId {
        self.members[class.0 as usize][0]
    }

    /// The classes of a namespace.
    pub(crate) fn of_namespace(&self, ns: NamespaceId) -> Range<usize> {
        let range = &self.by_namespace[ns.index()];
        range.start as usize..range.end as usize
    }

    /// NetworkPolicies that isolate a pod in one direction, by their place in the world.
    pub fn policies_of(&self, pod: PodId, direction: Direction) -> &[Selected] {
        self.class_of(pod).map_or(&self.none, |class| self.policies_of_class(class, direction))
    }

    /// As [`Self::policies_of`], for a class.
    pub(crate) fn policies_of_class(&self, class: ClassId, direction: Direction) -> &[Selected] {
        &self.policies[direction as usize][class.0 as usize]
    }

    /// Cluster policies that select a pod, in order of tier and priority.
    pub fn cluster_policies_of(&self, pod: PodId) -> &[Selected] {
        self.class_of(pod).map_or(&self.none, |class| self.cluster_policies_of_class(class))
    }

    /// As [`Self::cluster_policies_of`], for a class.
    pub(crate) fn cluster_policies_of_class(&self, class: ClassId) -> &[Selected] {
        &self.cluster_policies[class.0 as usize]
    }

    fn find_subjects(&mut self, world: &World) {
        for (i, policy) in world.policies.iter().enumerate() {
            let range = self.of_namespace(policy.namespace);
            let selected = if readable(&policy.subject) {
                self.index.select(&policy.subject, range)
            } else {
                Bits::range(range.start, range.end)
            };
            for class in selected.iter() {
                let id = self.members[class][0];
                let pod = &world.pods[id.index()];
                let causes = causes(unless_host_network(pod, Endpoint::Pod(id)));
                for direction in Direction::BOTH {
                    if policy.isolates(direction) {
                        let selected = Selected { policy: ClassId::at(i).0, causes: causes.clone() };
                        self.policies[direction as usize][class].push(selected);
                    }
                }
            }
        }
        for (i, policy) in world.cluster_policies.iter().enumerate() {
            let readable = readable(&policy.subject.namespaces) && readable(&policy.subject.pods);
            for ns in (0..world.namespaces.len()).map(NamespaceId::at) {
                let range = self.of_namespace(ns);
                if range.is_empty() {
                    continue;
                }
                let (in_namespace, selected) = if readable {
                    let here = matches_namespace(world, ns, &policy.subject.namespaces);
                    (here, self.index.select(&policy.subject.pods, range))
                } else {
                    (Tri::maybe(DependsOn::UnreadableSelector), Bits::range(range.start, range.end))
                };
                if in_namespace == Tri::No {
                    continue;
                }
                let causes = causes(in_namespace);
                for class in selected.iter() {
                    if !world.pods[self.members[class][0].index()].host_network {
                        let selected = Selected { policy: ClassId::at(i).0, causes: causes.clone() };
                        self.cluster_policies[class].push(selected);
                    }
                }
            }
        }
    }
}

fn causes(tri: Tri) -> Vec<DependsOn> {
    match tri {
        Tri::Maybe(causes) => causes,
        Tri::Yes | Tri::No => Vec::new(),
    }
}

impl ClassId {
    pub(crate) fn at(i: usize) -> Self {
        ClassId(PodId::at(i).0)
    }
}

/// What some policy of the world names, so what a class must tell apart.
#[derive(Default)]
pub(crate) struct Keys<'w> {
    pub(crate) labels: FxHashSet<&'w str>,
    pub(crate) port_names: FxHashSet<&'w str>,
    /// First addresses of elementary ranges, sorted.
    pub(crate) cuts: Vec<(addr::Family, u128)>,
}

impl<'w> Keys<'w> {
    pub(crate) fn of(world: &'w World) -> Self {
        let mut keys = Self::default();
        for policy in &world.policies {
            keys.selector(&policy.subject);
            for rule in policy.ingress.iter().chain(&policy.egress) {
                if let Peers::Of(peers) = &rule.peers {
                    for peer in peers {
                        match &peer.kind {
                            PeerKind::Pods { pods, .. } => pods.iter().for_each(|s| keys.selector(s)),
                            PeerKind::Block(block) => {
                                std::iter::once(&block.cidr).chain(&block.except).for_each(|b| keys.block(b));
                            }
                        }
                    }
                }
                if let Ports::Of(ports) = &rule.ports {
                    for port in ports {
                        if let PortMatch::Named(name) = &port.port {
                            keys.port_names.insert(name);
                        }
                    }
                }
            }
        }
        for policy in &world.cluster_policies {
            keys.selector(&policy.subject.pods);
            for rule in policy.ingress.iter().chain(&policy.egress) {
                for peer in &rule.peers {
                    match peer {
                        ClusterPeer::Pods { pods, .. } => keys.selector(pods),
                        ClusterPeer::Networks { blocks, .. } => blocks.iter().for_each(|b| keys.block(b)),
                        ClusterPeer::Nodes { .. } | ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {}
                    }
                }
                if let ClusterPorts::Of(ports) = &rule.ports {
                    for port in ports {
                        match port {
                            ClusterPort::Named(name) | ClusterPort::Number(_, PortMatch::Named(name)) => {
                                keys.port_names.insert(name);
                            }
                            ClusterPort::Number(..) | ClusterPort::BareProtocol(_) | ClusterPort::Unknown => {}
                        }
                    }
                }
            }
        }
        keys.cuts.sort_unstable();
        keys.cuts.dedup();
        keys
    }

    fn selector(&mut self, selector: &'w Selector) {
        self.labels.extend(selector.requirements.iter().map(|r| &*r.key));
    }

    fn block(&mut self, block: &BlockCidr) {
        for cidr in std::iter::once(block.cidr).chain(block.mapped) {
            let (first, last) = cidr.range();
            self.cuts.push((cidr.family(), first));
            if let Some(next) = last.checked_add(1) {
                self.cuts.push((cidr.family(), next));
            }
        }
    }

    /// The pod has one address, and it is in this elementary range.
    fn only_in(&self, pod: &Pod, range: usize) -> bool {
        let [ip] = pod.ips.as_slice() else { return false };
        let (family, value, _) = addr::number(*ip);
        let after = range.checked_sub(1).is_none_or(|i| self.cuts[i] <= (family, value));
        after && self.cuts.get(range).is_none_or(|cut| (family, value) < *cut)
    }

    /// Number of the elementary range that holds the address.
    fn range_of(&self, ip: IpAddr) -> usize {
        let (family, value, _) = addr::number(ip);
        self.cuts.partition_point(|cut| *cut <= (family, value))
    }
}

/// Alike in all but addresses. (A node matters to hostNetwork pods only; those are never called alike.)
fn alike(a: &Pod, b: &Pod) -> bool {
    a.namespace == b.namespace && !a.host_network && !b.host_network && a.labels == b.labels && a.ports == b.ports
}

/// Groups pods by what the keys tell apart. Pods come sorted by namespace, so classes do too.
fn group(world: &World, keys: &Keys<'_>) -> (Vec<u32>, Vec<Vec<PodId>>, LabelIndex) {
    let mut names: Vec<&str> = keys.labels.iter().copied().collect();
    names.sort_unstable();
    let slot: FxHashMap<&str, usize> = names.iter().enumerate().map(|(i, k)| (*k, i)).collect();
    let mut values: FxHashMap<(usize, &str), u32> = FxHashMap::default();
    let mut port_ids: FxHashMap<Vec<(&str, u16, Protocol, u8)>, u32> = FxHashMap::default();
    let mut ids: FxHashMap<Box<[u32]>, u32> = FxHashMap::default();
    let mut class_of = vec![NO_CLASS; world.pods.len()];
    let mut members: Vec<Vec<PodId>> = Vec::new();
    let mut rows: Vec<Box<[u32]>> = Vec::new();
    let mut key: Vec<u32> = Vec::new();
    // Replicas are neighbours and mostly alike: the class of the pod before, and the range that its address is in.
    let mut before: Option<(&Pod, u32, usize)> = None;
    for (i, pod) in world.pods.iter().enumerate() {
        if pod.finished {
            continue;
        }
        if let Some((other, class, range)) = before
            && alike(pod, other)
            && keys.only_in(pod, range)
        {
            class_of[i] = class;
            members[class as usize].push(PodId::at(i));
            continue;
        }
        key.clear();
        key.resize(names.len(), 0);
        for (k, v) in pod.labels.iter() {
            if let Some(at) = slot.get(&**k) {
                let next = ClassId::at(values.len() + 1).0;
                key[*at] = *values.entry((*at, v)).or_insert(next);
            }
        }
        key.push(pod.namespace.0);
        let ports = ports_seen(pod, &keys.port_names);
        let next = ClassId::at(port_ids.len()).0;
        key.push(*port_ids.entry(ports).or_insert(next));
        // Every part has its place whatever the pod is, so that different pods never make equal keys.
        key.push(u32::from(pod.host_network));
        key.push(if pod.host_network { pod.node.map_or(u32::MAX, |n| n.0) } else { 0 });
        let compared = if keys.cuts.is_empty() { &[][..] } else { &pod.ips[..] };
        let mut ranges: Vec<u32> = compared.iter().map(|ip| ClassId::at(keys.range_of(*ip)).0).collect();
        ranges.sort_unstable();
        ranges.dedup();
        key.push(ClassId::at(ranges.len()).0);
        key.extend(ranges);
        let class = match ids.get(key.as_slice()) {
            Some(class) => *class,
            None => {
                let class = ClassId::at(members.len()).0;
                ids.insert(key.clone().into_boxed_slice(), class);
                rows.push(key[..names.len()].into());
                members.push(Vec::new());
                class
            }
        };
        class_of[i] = class;
        members[class as usize].push(PodId::at(i));
        before = match pod.ips.as_slice() {
            [ip] => Some((pod, class, keys.range_of(*ip))),
            _ => None,
        };
    }
    let index = LabelIndex::new(&names, &values, rows);
    (class_of, members, index)
}

fn ports_seen<'w>(pod: &'w Pod, names: &FxHashSet<&str>) -> Vec<(&'w str, u16, Protocol, u8)> {
    let named = pod.ports.iter().filter_map(|p| p.name.as_deref().map(|name| (name, p)));
    named
        .filter(|(name, _)| names.contains(name))
        .map(|(name, p)| (name, p.port, p.protocol, p.container as u8))
        .collect()
}

/// Which classes carry which label values, to evaluate selectors without looking at pods.
pub(crate) struct LabelIndex {
    keys: FxHashMap<Str, usize>,
    values: FxHashMap<(usize, Str), u32>,
    /// Per class: value number for each key, 0 if absent.
    rows: Vec<Box<[u32]>>,
    /// Per value number: classes, ascending.
    postings: FxHashMap<u32, Vec<u32>>,
}

impl LabelIndex {
    fn new(names: &[&str], values: &FxHashMap<(usize, &str), u32>, rows: Vec<Box<[u32]>>) -> Self {
        let mut postings: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (class, row) in rows.iter().enumerate() {
            for value in row.iter().filter(|v| **v != 0) {
                postings.entry(*value).or_default().push(ClassId::at(class).0);
            }
        }
        Self {
            keys: names.iter().enumerate().map(|(i, k)| (Str::from(*k), i)).collect(),
            values: values.iter().map(|((at, v), id)| ((*at, Str::from(*v)), *id)).collect(),
            rows,
            postings,
        }
    }

    /// Classes of `range` whose labels match. The selector is readable.
    pub(crate) fn select(&self, selector: &Selector, range: Range<usize>) -> Bits {
        if selector.is_everything() {
            return Bits::range(range.start, range.end);
        }
        let conditions: Vec<Condition> = selector.requirements.iter().map(|r| self.condition(&r.key, &r.op)).collect();
        // Start from the requirement with the shortest list of candidates, if any names values.
        let shortest = conditions
            .iter()
            .filter_map(|c| self.candidates(c))
            .min_by_key(|lists| lists.iter().map(|l| l.len()).sum::<usize>());
        let holds = |class: usize| conditions.iter().all(|c| c.holds(&self.rows[class]));
        match shortest {
            Some(lists) => {
                let mut found: Vec<u32> = Vec::new();
                for list in lists {
                    let from = list.partition_point(|c| (*c as usize) < range.start);
                    let here = list[from..].iter().take_while(|c| (**c as usize) < range.end);
                    found.extend(here.filter(|c| holds(**c as usize)));
                }
                found.sort_unstable();
                found.dedup();
                Bits::from_sorted(&found)
            }
            None => {
                let found: Vec<u32> = range.filter(|c| holds(*c)).map(|c| ClassId::at(c).0).collect();
                Bits::from_sorted(&found)
            }
        }
    }

    fn condition(&self, key: &Str, op: &Op) -> Condition {
        let at = self.keys.get(key).copied();
        let ids = |values: &[Str]| {
            let known = |v: &Str| at.and_then(|at| self.values.get(&(at, v.clone())).copied());
            let mut ids: Vec<u32> = values.iter().filter_map(known).collect();
            ids.sort_unstable();
            ids
        };
        let (test, values) = match op {
            Op::In(values) => (Test::In, ids(values)),
            Op::NotIn(values) => (Test::NotIn, ids(values)),
            Op::Exists => (Test::Exists, Vec::new()),
            Op::DoesNotExist => (Test::DoesNotExist, Vec::new()),
            Op::Unknown(_) => (Test::In, Vec::new()),
        };
        Condition { at, test, values }
    }

    fn candidates(&self, condition: &Condition) -> Option<Vec<&Vec<u32>>> {
        (condition.test == Test::In).then(|| condition.values.iter().filter_map(|v| self.postings.get(v)).collect())
    }
}

#[derive(PartialEq, Eq)]
enum Test {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// A requirement over value numbers.
struct Condition {
    at: Option<usize>,
    test: Test,
    values: Vec<u32>,
}

impl Condition {
    fn holds(&self, row: &[u32]) -> bool {
        let value = self.at.map_or(0, |at| row[at]);
        match self.test {
            Test::In => value != 0 && self.values.binary_search(&value).is_ok(),
            Test::NotIn => value == 0 || self.values.binary_search(&value).is_err(),
            Test::Exists => value != 0,
            Test::DoesNotExist => value == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::matches;
    use watertight_testkit::random::{self, Rng, Size};

    /// The index selects what [`crate::selector::matches`] selects.
    #[test]
    fn the_index_agrees_with_matching_label_by_label() {
        let mut asked = 0;
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (world, _) = random::world(&mut rng, &Size::default());
            let classes = Classes::of(&world);
            for selector in world.policies.iter().map(|p| &p.subject).filter(|s| readable(s)) {
                let by_index = classes.index.select(selector, 0..classes.len());
                for class in 0..classes.len() {
                    let labels = &world.pods[classes.members[class][0].index()].labels;
                    assert_eq!(
                        by_index.contains(class),
                        matches(selector, labels),
                        "seed {seed}: {selector:?} {labels:?}"
                    );
                    asked += 1;
                }
            }
        }
        assert!(asked > 2_000, "{asked}");
    }
}
