//! Differences between parties inside the cluster, destination by destination, over classes.

use super::joint::Joint;
use super::{End, Openness, Party, Row, row};
use crate::Engine;
use crate::classes::ClassId;
use crate::connections::exact;
use crate::reach::{PortPair, Reach};
use rustc_hash::FxHashMap;
use std::rc::Rc;
use watertight_model::{PodId, PortSet};

/// Pairs of pods up to which a hostNetwork source is looked at pod by pod; past it, every node is taken to be possible.
const POD_PAIRS: usize = 4096;

/// States by number, the same numbers for both worlds; 0 is closed.
struct States {
    items: Vec<Openness>,
    ids: FxHashMap<Openness, u32>,
}

impl States {
    fn new() -> Self {
        let mut this = Self { items: Vec::new(), ids: FxHashMap::default() };
        this.id(Openness::default());
        this
    }

    fn id(&mut self, state: Openness) -> u32 {
        if let Some(id) = self.ids.get(&state) {
            return *id;
        }
        let id = ClassId::at(self.items.len()).0;
        self.ids.insert(state.clone(), id);
        self.items.push(state);
        id
    }
}

/// One world's reachability, by party.
struct Side<'r> {
    reach: &'r Reach,
    classes: Vec<Vec<ClassId>>,
    /// Per class the parties with pods in it.
    of_class: Vec<Vec<u32>>,
    /// State of a pair of ports alone, by number of the pair; `None`: not asked yet.
    alone: FxHashMap<u32, u32>,
    /// State of a state and one more pair of classes.
    sums: FxHashMap<(u32, u32), u32>,
}

impl<'r> Side<'r> {
    fn new(reach: &'r Reach, classes: Vec<Vec<ClassId>>) -> Self {
        let mut of_class = vec![Vec::new(); reach.len()];
        for (party, classes) in classes.iter().enumerate() {
            classes.iter().for_each(|c| of_class[c.0 as usize].push(ClassId::at(party).0));
        }
        Self { reach, classes, of_class, alone: FxHashMap::default(), sums: FxHashMap::default() }
    }

    /// The row of a destination of one class, by identity: equal ones need to be compared once.
    fn identity(&self, to: usize) -> Option<usize> {
        match self.classes[to].as_slice() {
            [] => Some(0),
            [one] => Some(std::ptr::from_ref(self.reach.row(one.0 as usize)).addr()),
            _ => None,
        }
    }

    /// Writes the state of every source towards a destination.
    fn fill(&mut self, to: usize, states: &mut States, slots: &mut [(u32, u32)]) {
        slots.fill((0, 0));
        for class in &self.classes[to] {
            for (ports, bits) in self.reach.row(class.0 as usize) {
                let pair = self.reach.pair(*ports);
                if pair.possible.is_empty() {
                    continue;
                }
                let alone = *self.alone.entry(*ports).or_insert_with(|| states.id(state(pair)));
                for from in bits.iter().flat_map(|c| &self.of_class[c]) {
                    let slot = &mut slots[*from as usize];
                    slot.0 = match slot.1 {
                        0 => alone,
                        _ => *self.sums.entry((slot.0, *ports)).or_insert_with(|| {
                            let sum = joined(&states.items[slot.0 as usize], pair);
                            states.id(sum)
                        }),
                    };
                    slot.1 += 1;
                }
            }
        }
        let here = self.classes[to].len();
        for (from, slot) in slots.iter_mut().enumerate().filter(|(_, slot)| slot.1 > 0) {
            if slot.1 as usize != here * self.classes[from].len() {
                let known = &states.items[slot.0 as usize];
                slot.0 = states.id(Openness { every: PortSet::none(), ..known.clone() });
            }
        }
    }
}

fn state(pair: &PortPair) -> Openness {
    Openness { every: pair.sure.clone(), some: pair.sure.clone(), possible: pair.possible.clone() }
}

pub(super) fn joined(sum: &Openness, pair: &PortPair) -> Openness {
    Openness {
        every: sum.every.intersect(&pair.sure),
        some: sum.some.union(&pair.sure),
        possible: sum.possible.union(&pair.possible),
    }
}

/// Everything that differs for one destination: source, state before, state after.
type Differing = Rc<Vec<(u32, u32, u32)>>;

/// All rows between parties.
pub(super) fn rows(joint: &Joint, engines: &[Engine<'_>; 2], reach: &[Reach; 2]) -> Vec<Row> {
    let mut states = States::new();
    let [mut before, mut after] = [0, 1].map(|side| Side::new(&reach[side], joint.classes(side, &engines[side])));
    let count = joint.parties.len();
    let (mut first, mut second) = (vec![(0, 0); count], vec![(0, 0); count]);
    let mut known: FxHashMap<(usize, usize), Differing> = FxHashMap::default();
    let mut found: Vec<(usize, usize, u32, u32)> = Vec::new();
    for to in 0..count {
        let key = before.identity(to).zip(after.identity(to));
        let differing = match key.and_then(|key| known.get(&key)) {
            Some(known) => known.clone(),
            None => {
                before.fill(to, &mut states, &mut first);
                after.fill(to, &mut states, &mut second);
                let list = first.iter().zip(&second).enumerate().filter(|(_, (b, a))| b.0 != a.0);
                let list: Differing = Rc::new(list.map(|(from, (b, a))| (ClassId::at(from).0, b.0, a.0)).collect());
                if let Some(key) = key {
                    known.insert(key, list.clone());
                }
                list
            }
        };
        found.extend(differing.iter().map(|(from, b, a)| (*from as usize, to, *b, *a)));
    }
    let nowhere = count - 1;
    let of_nowhere: FxHashMap<usize, (u32, u32)> =
        found.iter().filter(|f| f.0 == nowhere).map(|f| (f.1, (f.2, f.3))).collect();
    let mut out = Vec::new();
    for (from, to, b, a) in found {
        if !speaks(joint, from, to) || (from == to && !joint.has_replicas(to)) {
            continue;
        }
        // What holds for a pod from nowhere need not be said of new pods of every other namespace again.
        let elsewhere = matches!(joint.parties[from], Party::NewPod { .. }) && !same_namespace(joint, from, to);
        if elsewhere && of_nowhere.get(&to) == Some(&(b, a)) {
            continue;
        }
        let (mut b, mut a) = (states.items[b as usize].clone(), states.items[a as usize].clone());
        on_nodes(joint, engines, from, to, &mut [&mut b, &mut a]);
        out.extend(row(End::Party(from), End::Party(to), &b, &a));
    }
    out
}

/// Which pairs are told: all of workloads; imagined sources towards workloads; and imagined pods of a namespace with one
/// from nowhere.
fn speaks(joint: &Joint, from: usize, to: usize) -> bool {
    let (source, destination) = (joint.parties[from], joint.parties[to]);
    match (source.is_imagined(), destination.is_imagined()) {
        (_, false) => true,
        (false, true) => false,
        (true, true) => (source == Party::NewNamespace) != (destination == Party::NewNamespace),
    }
}

fn same_namespace(joint: &Joint, from: usize, to: usize) -> bool {
    let namespace = |party: usize| {
        let (side, id) = match joint.ids[party] {
            [Some(id), _] => (0, id),
            [None, Some(id)] => (1, id),
            [None, None] => return None,
        };
        let world = &joint.worlds[side];
        Some(&world.namespaces[world.workloads[id.index()].namespace.index()].name)
    };
    namespace(from) == namespace(to)
}

/// Whether a hostNetwork source is on the destination's node is a matter of pods: looked up where it may matter.
fn on_nodes(joint: &Joint, engines: &[Engine<'_>; 2], from: usize, to: usize, states: &mut [&mut Openness; 2]) {
    for (side, state) in states.iter_mut().enumerate() {
        let world = &joint.worlds[side];
        let pods = |party: usize| -> Vec<PodId> {
            let all = (0..world.pods.len()).map(PodId::at);
            let own = |p: &PodId| {
                let pod = &world.pods[p.index()];
                Some(pod.workload) == joint.ids[party][side] && !pod.finished
            };
            all.filter(own).collect()
        };
        if state.some == state.possible {
            continue;
        }
        let sources = pods(from);
        if !sources.iter().any(|p| world.pods[p.index()].host_network) {
            continue;
        }
        let destinations = pods(to);
        if sources.len() * destinations.len() > POD_PAIRS {
            continue;
        }
        let all = PortPair { sure: PortSet::all(), possible: PortSet::all() };
        let mut sum: Option<Openness> = None;
        for a in &sources {
            for b in destinations.iter().filter(|b| *b != a) {
                let pair = exact(&engines[side], *a, *b, &all);
                sum = Some(sum.map_or_else(|| self::state(&pair), |sum| joined(&sum, &pair)));
            }
        }
        if let Some(sum) = sum {
            **state = sum;
        }
    }
}
