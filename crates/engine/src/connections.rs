//! Who can talk to whom, over all ports: the whole cluster as a list.

use crate::Engine;
use crate::classes::ClassId;
use crate::reach::external::{ExternalPart, external, families_in_use};
use crate::reach::{PortPair, Reach};
use std::collections::BTreeMap;
use watertight_model::{Cidr, Direction, Endpoint, Flow, L4, PodId, PortSet, Protocol, Verdict, WorkloadId, World};

/// One side of a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// All pods of a workload, or, where its pods differ, the part of them with the same connections.
    Workload {
        /// The workload.
        workload: WorkloadId,
        /// `None`: all its pods. Else the pods of this part, ascending.
        part: Option<Vec<PodId>>,
    },
    /// One pod (with [`Detail::Pods`]).
    Pod(PodId),
    /// Addresses outside the cluster, as the fewest blocks, IPv4 first.
    External(Vec<Cidr>),
}

/// An ordered pair that can talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opens connections.
    pub from: Party,
    /// Who receives them.
    pub to: Party,
    /// Ports that are allowed, whatever is unclear.
    pub allowed: PortSet,
    /// Further ports whose verdict is `depends`.
    pub depends: PortSet,
}

/// Level of detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Workloads; split where their pods differ.
    Workloads,
    /// Pods.
    Pods,
}

/// All connections, sorted by source, then destination (workloads by namespace and name, external last). None of a
/// workload to itself, none between external addresses. Nodes are left out: a pod's own node always reaches it.
///
/// The list can be as long as the square of the parties; [`Reach`] is the compact form.
pub fn connections(engine: &Engine<'_>, detail: Detail) -> Vec<Connection> {
    let reach = Reach::of(engine);
    let units = units(engine, &reach, detail);
    let mut out = within(engine, &reach, &units);
    out.extend(outside(engine, &units));
    out.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    out
}

/// A party inside the cluster and a class that stands for it.
pub(crate) struct Unit {
    pub(crate) party: Party,
    pub(crate) workload: WorkloadId,
    pub(crate) class: ClassId,
}

pub(crate) fn units(engine: &Engine<'_>, reach: &Reach, detail: Detail) -> Vec<Unit> {
    let (world, classes) = (engine.world(), engine.classes());
    if detail == Detail::Pods {
        let pods = (0..world.pods.len()).map(PodId::at);
        let unit = |pod: PodId| {
            let workload = world.pods[pod.index()].workload;
            classes.class_of(pod).map(|class| Unit { party: Party::Pod(pod), workload, class })
        };
        return pods.filter_map(unit).collect();
    }
    let by_workload = classes_of_workloads(engine);
    let signatures = Signatures::of(engine, reach, &by_workload);
    let mut out = Vec::new();
    for (workload, classes) in by_workload.into_iter().enumerate() {
        let workload = WorkloadId::at(workload);
        let mut parts: BTreeMap<&Signature, (ClassId, Vec<PodId>)> = BTreeMap::new();
        let count = classes.len();
        for (class, pods) in classes {
            if count == 1 {
                out.push(Unit { party: Party::Workload { workload, part: None }, workload, class });
                break;
            }
            parts.entry(signatures.get(class)).or_insert_with(|| (class, Vec::new())).1.extend(pods);
        }
        let whole = parts.len() == 1;
        let mut parts: Vec<(ClassId, Vec<PodId>)> = parts.into_values().collect();
        parts.iter_mut().for_each(|(_, pods)| pods.sort_unstable());
        parts.sort_by(|a, b| a.1.cmp(&b.1));
        for (class, pods) in parts {
            let part = (!whole).then_some(pods);
            out.push(Unit { party: Party::Workload { workload, part }, workload, class });
        }
    }
    out
}

/// A workload whose pods do not all have the same connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The workload.
    pub workload: WorkloadId,
    /// Its pods by what they may exchange with others, at least two parts, each ascending and not empty.
    pub parts: Vec<Vec<PodId>>,
}

/// Workloads whose pods differ, in order.
pub fn splits(engine: &Engine<'_>, reach: &Reach) -> Vec<Split> {
    let mut out: Vec<Split> = Vec::new();
    for unit in units(engine, reach, Detail::Workloads) {
        let Party::Workload { workload, part: Some(pods) } = unit.party else { continue };
        match out.last_mut() {
            Some(last) if last.workload == workload => last.parts.push(pods),
            _ => out.push(Split { workload, parts: vec![pods] }),
        }
    }
    out
}

/// For each workload, its classes with its own pods in them. Workloads whose pods are all finished have none.
pub(crate) fn classes_of_workloads(engine: &Engine<'_>) -> Vec<Vec<(ClassId, Vec<PodId>)>> {
    let world = engine.world();
    let mut out: Vec<BTreeMap<ClassId, Vec<PodId>>> = vec![BTreeMap::new(); world.workloads.len()];
    for (i, pod) in world.pods.iter().enumerate() {
        let id = PodId::at(i);
        if let Some(class) = engine.classes().class_of(id) {
            out[pod.workload.index()].entry(class).or_default().push(id);
        }
    }
    out.into_iter().map(|classes| classes.into_iter().collect()).collect()
}

/// Everything that tells a class from another of its workload: who reaches it and whom it reaches, with ports, and its
/// traffic with the outside. Classes of the workload itself are left out on the other side.
type Signature = (Vec<(u32, u32)>, Vec<(u32, u32)>, Vec<ExternalPart>, Vec<ExternalPart>);

struct Signatures {
    by_class: BTreeMap<ClassId, Signature>,
    empty: Signature,
}

impl Signatures {
    fn of(engine: &Engine<'_>, reach: &Reach, by_workload: &[Vec<(ClassId, Vec<PodId>)>]) -> Self {
        let split: Vec<ClassId> =
            by_workload.iter().filter(|c| c.len() > 1).flatten().map(|(class, _)| *class).collect();
        let mut this = Self { by_class: BTreeMap::new(), empty: Signature::default() };
        if split.is_empty() {
            return this;
        }
        // A class with pods of several workloads is a sibling of the classes of each of them.
        let mut siblings: BTreeMap<ClassId, Vec<ClassId>> = BTreeMap::new();
        for classes in by_workload.iter().filter(|c| c.len() > 1) {
            for (class, _) in classes {
                siblings.entry(*class).or_default().extend(classes.iter().map(|(c, _)| *c));
            }
        }
        let families = families_in_use(engine);
        for class in split {
            let own = &siblings[&class];
            let entry = this.by_class.entry(class).or_default();
            entry.2 = external(engine, class, Direction::Egress, &families);
            entry.3 = external(engine, class, Direction::Ingress, &families);
            let mut arrives: Vec<(u32, u32)> = Vec::new();
            for (ports, bits) in reach.row(class.0 as usize) {
                arrives.extend(
                    bits.iter().map(|s| (ClassId::at(s).0, *ports)).filter(|(s, _)| !own.contains(&ClassId(*s))),
                );
            }
            arrives.sort_unstable();
            entry.0 = arrives;
        }
        let wanted: Vec<ClassId> = this.by_class.keys().copied().collect();
        for to in 0..reach.len() {
            for (ports, bits) in reach.row(to) {
                for class in &wanted {
                    let reached = bits.contains(class.0 as usize) && !siblings[class].contains(&ClassId::at(to));
                    if let (true, Some(entry)) = (reached, this.by_class.get_mut(class)) {
                        entry.1.push((ClassId::at(to).0, *ports));
                    }
                }
            }
        }
        this
    }

    fn get(&self, class: ClassId) -> &Signature {
        self.by_class.get(&class).unwrap_or(&self.empty)
    }
}

fn within(engine: &Engine<'_>, reach: &Reach, units: &[Unit]) -> Vec<Connection> {
    let world = engine.world();
    let mut of_class: Vec<Vec<u32>> = vec![Vec::new(); reach.len()];
    for (i, unit) in units.iter().enumerate() {
        of_class[unit.class.0 as usize].push(ClassId::at(i).0);
    }
    let mut out = Vec::new();
    for to in units {
        for (ports, bits) in reach.row(to.class.0 as usize) {
            let pair = reach.pair(*ports);
            for from in bits.iter().flat_map(|class| &of_class[class]).map(|i| &units[*i as usize]) {
                let same = match (&from.party, &to.party) {
                    (Party::Pod(a), Party::Pod(b)) => a == b,
                    _ => from.workload == to.workload,
                };
                if !same {
                    let pair = on_one_node(engine, world, &from.party, &to.party, pair);
                    if let Some(connection) = connection(from.party.clone(), to.party.clone(), &pair) {
                        out.push(connection);
                    }
                }
            }
        }
    }
    out
}

/// Whether a hostNetwork source is on the destination's node is a matter of pods, not of classes: for pods it is looked up.
fn on_one_node(engine: &Engine<'_>, world: &World, from: &Party, to: &Party, pair: &PortPair) -> PortPair {
    let (Party::Pod(a), Party::Pod(b)) = (from, to) else { return pair.clone() };
    let (source, destination) = (&world.pods[a.index()], &world.pods[b.index()]);
    if !source.host_network || pair.sure == pair.possible {
        return pair.clone();
    }
    match (source.node, destination.node) {
        (Some(_), Some(_)) => exact(engine, *a, *b, pair),
        _ => pair.clone(),
    }
}

/// Ports that are open from one pod to another, exactly. The cost is that of one verdict for each range of ports that the
/// policies on either pod tell apart.
pub fn open_ports(engine: &Engine<'_>, from: PodId, to: PodId) -> PortPair {
    exact(engine, from, to, &PortPair { sure: PortSet::all(), possible: PortSet::all() })
}

/// Ports of one pair of pods, by asking for one port of every interval that any policy could tell apart.
pub(crate) fn exact(engine: &Engine<'_>, from: PodId, to: PodId, within: &PortPair) -> PortPair {
    let mut out = PortPair { sure: PortSet::none(), possible: PortSet::none() };
    for protocol in Protocol::ALL {
        let mut cuts = crate::query::port_cuts(engine, Endpoint::Pod(from), Endpoint::Pod(to), protocol);
        cuts.sort_unstable();
        cuts.dedup();
        for (i, first) in cuts.iter().enumerate() {
            let last = cuts.get(i + 1).map_or(u16::MAX, |next| next - 1);
            let flow = Flow {
                from: Endpoint::Pod(from),
                to: Endpoint::Pod(to),
                l4: L4::Port(protocol, *first),
                via_service: false,
            };
            let verdict = engine.decide(&flow);
            let policies = crate::query::evaluated(&verdict);
            let ports = PortSet::range(protocol, *first, last);
            if policies != Verdict::Deny {
                out.possible = out.possible.union(&ports);
            }
            if policies == Verdict::Allow {
                out.sure = out.sure.union(&ports);
            }
        }
    }
    out.possible = out.possible.intersect(&within.possible);
    out
}

fn connection(from: Party, to: Party, pair: &PortPair) -> Option<Connection> {
    let depends = pair.possible.minus(&pair.sure);
    let open = !pair.sure.is_empty() || !depends.is_empty();
    open.then(|| Connection { from, to, allowed: pair.sure.clone(), depends })
}

fn outside(engine: &Engine<'_>, units: &[Unit]) -> Vec<Connection> {
    let families = families_in_use(engine);
    let mut known: BTreeMap<(ClassId, Direction), Vec<ExternalPart>> = BTreeMap::new();
    let mut out = Vec::new();
    for unit in units {
        for direction in Direction::BOTH {
            let parts = known
                .entry((unit.class, direction))
                .or_insert_with(|| external(engine, unit.class, direction, &families));
            for ExternalPart { cidrs, ports } in parts {
                let there = Party::External(cidrs.clone());
                let (from, to) = match direction {
                    Direction::Egress => (unit.party.clone(), there),
                    Direction::Ingress => (there, unit.party.clone()),
                };
                out.extend(connection(from, to, ports));
            }
        }
    }
    out
}

/// How many ordered pairs of different workloads have an open port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Open for sure, between at least one pod of each.
    pub open: usize,
    /// Open on at least one reading.
    pub possible: usize,
    /// All ordered pairs of workloads that have pods.
    pub all: usize,
}

/// Counts pairs of workloads, directly connected, on any port.
pub fn workload_pairs(engine: &Engine<'_>, reach: &Reach) -> Pairs {
    let by_workload = classes_of_workloads(engine);
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); reach.len()];
    for (w, classes) in by_workload.iter().enumerate() {
        classes.iter().for_each(|(class, _)| of_class[class.0 as usize].push(w));
    }
    let live = by_workload.iter().filter(|c| !c.is_empty()).count();
    let mut out = Pairs { all: live * live.saturating_sub(1), ..Pairs::default() };
    // Stamps tell whether a source was counted for this destination already: for sure, or possibly.
    let (mut sure, mut possible) = (vec![usize::MAX; by_workload.len()], vec![usize::MAX; by_workload.len()]);
    for (to, classes) in by_workload.iter().enumerate() {
        for (class, _) in classes {
            for (ports, bits) in reach.row(class.0 as usize) {
                let pair = reach.pair(*ports);
                for from in bits.iter().flat_map(|c| &of_class[c]).copied().filter(|from| *from != to) {
                    if !pair.sure.is_empty() && std::mem::replace(&mut sure[from], to) != to {
                        out.open += 1;
                    }
                    if !pair.possible.is_empty() && std::mem::replace(&mut possible[from], to) != to {
                        out.possible += 1;
                    }
                }
            }
        }
    }
    out
}
