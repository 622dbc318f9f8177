//! Class numbers of one state of the world in those of the next.
//!
//! Any injective renaming is sound, because whatever is carried over is compared by content first; a good one (by pods)
//! only saves work.

use crate::bits::Bits;
use crate::classes::{ClassId, Classes};
use crate::reach::columns::Cols;
use crate::reach::in_order;
use crate::reach::rows::Row;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use watertight_model::{Pod, PodId, World};

/// Old class numbers to new ones.
pub(crate) struct Renaming {
    /// Old number of each new class.
    old_of: Vec<Option<ClassId>>,
    /// Old numbers `start..end` become `to..`; ascending, longest possible.
    runs: Vec<Run>,
    /// Nothing is renumbered, gone or new.
    identity: bool,
    /// New classes without an old one.
    pub(crate) fresh: Bits,
    /// Old classes without a new one.
    pub(crate) gone: usize,
    /// Every class that is carried over has a pod whose own content is what it was.
    pub(crate) alike: bool,
}

struct Run {
    start: usize,
    end: usize,
    to: usize,
}

impl Renaming {
    /// An old class becomes the class of the first of its pods that is still there.
    pub(crate) fn of(before: (&World, &Classes), after: (&World, &Classes)) -> Self {
        let ((old_world, old), (new_world, new)) = (before, after);
        let mut find = Finder::new(old_world, new_world);
        let mut old_of: Vec<Option<ClassId>> = vec![None; new.len()];
        let mut runs: Vec<Run> = Vec::new();
        let (mut gone, mut alike) = (0, true);
        for class in (0..old.len()).map(ClassId::at) {
            let mut found = old.members(class).iter().filter_map(|was| {
                let is = find.pod(*was)?;
                Some((*was, is, new.class_of(is)?))
            });
            match found.next().filter(|(.., to)| old_of[to.0 as usize].is_none()) {
                Some((was, is, to)) => {
                    alike &= same_to_policies(old_world, was, new_world, is);
                    old_of[to.0 as usize] = Some(class);
                    let (from, to) = (class.0 as usize, to.0 as usize);
                    match runs.last_mut() {
                        Some(run) if run.end == from && run.to + (run.end - run.start) == to => run.end += 1,
                        _ => runs.push(Run { start: from, end: from + 1, to }),
                    }
                }
                None => gone += 1,
            }
        }
        let fresh: Vec<u32> =
            old_of.iter().enumerate().filter(|(_, o)| o.is_none()).map(|(i, _)| ClassId::at(i).0).collect();
        let identity = gone == 0 && fresh.is_empty() && runs.iter().all(|run| run.start == run.to);
        Self { old_of, runs, identity, fresh: Bits::from_sorted(&fresh), gone, alike }
    }

    pub(crate) fn old_of(&self, class: ClassId) -> Option<ClassId> {
        self.old_of[class.0 as usize]
    }

    pub(crate) fn is_identity(&self) -> bool {
        self.identity
    }

    /// Old classes as new ones; those that are gone drop out.
    pub(crate) fn bits(&self, old: &Bits) -> Bits {
        if self.keeps(old) {
            return old.clone();
        }
        let mut words = Vec::new();
        let base = self.image(old, &mut words);
        Bits::from_words(base, words)
    }

    /// The same in place. `scratch` is for the next call, so that nothing is allocated.
    pub(crate) fn rename(&self, bits: &mut Bits, scratch: &mut Vec<u64>) {
        if !self.keeps(bits) {
            let base = self.image(bits, scratch);
            bits.assign(base, scratch);
        }
    }

    /// No class of the set has another number.
    pub(crate) fn keeps(&self, bits: &Bits) -> bool {
        self.identity || bits.window().end * 64 <= self.unmoved()
    }

    /// Makes `words` those of the renamed set, zeros at the ends allowed, and gives the index of the first.
    fn image(&self, old: &Bits, words: &mut Vec<u64>) -> usize {
        words.clear();
        let window = old.window();
        let (first, end) = (window.start * 64, window.end * 64);
        let touched = || {
            let from = self.runs.partition_point(|run| run.end <= first);
            self.runs[from..].iter().take_while(|run| run.start < end)
        };
        let images = touched().map(|run| (run.to, run.to + (run.end - run.start)));
        let Some((low, high)) = images.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return 0 };
        // One word more at both ends, for what is shifted across a word's end and is masked away.
        let base = (low / 64).saturating_sub(1);
        words.resize(high.div_ceil(64) - base + 2, 0);
        for run in touched() {
            let (from, to) = (run.start.max(first), run.end.min(end));
            let target = run.to + (from - run.start);
            // The image of the first bit of `from`'s word; it may lie before bit 0, where nothing is left after masking.
            let image = target.cast_signed() - (from % 64).cast_signed() - (base * 64).cast_signed();
            let (skip, shift) = (image.div_euclid(64), image.rem_euclid(64).cast_unsigned());
            for at in from / 64..to.div_ceil(64) {
                let mut piece = old.word(at);
                if at == from / 64 {
                    piece &= u64::MAX << (from % 64);
                }
                if at == to / 64 {
                    piece &= (1 << (to % 64)) - 1;
                }
                if piece == 0 {
                    continue;
                }
                let word = skip + (at - from / 64).cast_signed();
                if let Some(low) = usize::try_from(word).ok().and_then(|w| words.get_mut(w)) {
                    *low |= piece << shift;
                }
                if shift != 0
                    && let Some(high) = usize::try_from(word + 1).ok().and_then(|w| words.get_mut(w))
                {
                    *high |= piece >> (64 - shift);
                }
            }
        }
        base
    }

    /// Classes below this number keep it.
    fn unmoved(&self) -> usize {
        self.runs.first().map_or(0, |run| if run.start == 0 && run.to == 0 { run.end } else { 0 })
    }

    pub(crate) fn cols(&self, old: &Cols) -> Cols {
        Cols { sure: self.bits(&old.sure), possible: self.bits(&old.possible) }
    }

    pub(crate) fn rename_cols(&self, cols: &mut Cols, scratch: &mut Vec<u64>) {
        self.rename(&mut cols.sure, scratch);
        self.rename(&mut cols.possible, scratch);
    }

    fn row(&self, old: &Row) -> Row {
        let renamed = old.iter().map(|(ports, bits)| (*ports, self.bits(bits)));
        renamed.filter(|(_, bits)| !bits.is_empty()).collect()
    }
}

/// Rows of [`crate::reach::Reach`] that are taken over one by one: in place where nobody else has them.
pub(crate) struct TakenRows<'r> {
    renaming: &'r Renaming,
    rows: Vec<Option<Arc<Row>>>,
    /// Rows of several destinations, by address: kept, so that the address is not given to another; and renamed.
    shared: FxHashMap<*const Row, (Arc<Row>, Arc<Row>)>,
    scratch: Vec<u64>,
}

impl<'r> TakenRows<'r> {
    pub(crate) fn new(renaming: &'r Renaming, rows: Vec<Arc<Row>>) -> Self {
        let rows = rows.into_iter().map(Some).collect();
        Self { renaming, rows, shared: FxHashMap::default(), scratch: Vec::new() }
    }

    /// The old row of a new class with new numbers; `None` for a class that is new. To be asked once per class.
    pub(crate) fn take(&mut self, to: ClassId) -> Option<Arc<Row>> {
        let mut row = self.rows[self.renaming.old_of(to)?.0 as usize].take()?;
        if row.iter().all(|(_, bits)| self.renaming.keeps(bits)) {
            return Some(row);
        }
        if let Some(own) = Arc::get_mut(&mut row) {
            own.iter_mut().for_each(|(_, bits)| self.renaming.rename(bits, &mut self.scratch));
            own.retain(|(_, bits)| !bits.is_empty());
            in_order(own);
            return Some(row);
        }
        let renaming = self.renaming;
        let renamed = || {
            let mut renamed = renaming.row(&row);
            in_order(&mut renamed);
            (row.clone(), Arc::new(renamed))
        };
        let (_, renamed) = self.shared.entry(Arc::as_ptr(&row)).or_insert_with(renamed);
        Some(renamed.clone())
    }
}

/// Rows renamed once each, so that what was shared stays shared.
pub(crate) struct RenamedRows<'r> {
    renaming: &'r Renaming,
    unmoved: usize,
    /// How equal rows are made to look equal.
    order: fn(&mut Row),
    known: FxHashMap<*const Row, Arc<Row>>,
}

impl<'r> RenamedRows<'r> {
    /// For rows of [`crate::reach::rows::Rows`], which are sorted by ports.
    pub(crate) fn of_one_direction(renaming: &'r Renaming) -> Self {
        Self { renaming, unmoved: renaming.unmoved(), order: |_| {}, known: FxHashMap::default() }
    }

    /// For rows of [`crate::reach::Reach`], which are sorted by class.
    pub(crate) fn of_reach(renaming: &'r Renaming) -> Self {
        Self { renaming, unmoved: renaming.unmoved(), order: in_order, known: FxHashMap::default() }
    }

    /// The row must stay alive while this does: it is known by its address.
    pub(crate) fn get(&mut self, old: &Arc<Row>) -> Arc<Row> {
        let below = |bits: &Bits| bits.window().end * 64 <= self.unmoved;
        if self.renaming.identity || old.iter().all(|(_, bits)| below(bits)) {
            return old.clone();
        }
        let renamed = || {
            let mut row = self.renaming.row(old);
            (self.order)(&mut row);
            Arc::new(row)
        };
        self.known.entry(Arc::as_ptr(old)).or_insert_with(renamed).clone()
    }
}

/// Whatever a policy can see of a pod itself is the same. Its namespace's labels and its node's are not looked at.
fn same_to_policies(old: &World, was: PodId, new: &World, is: PodId) -> bool {
    let (a, b) = (&old.pods[was.index()], &new.pods[is.index()]);
    let node = |world: &World, pod: &Pod| pod.node.map(|node| world.nodes[node.index()].name.clone());
    a.labels == b.labels
        && a.ports == b.ports
        && a.ips == b.ips
        && a.host_network == b.host_network
        && a.finished == b.finished
        && node(old, a) == node(new, b)
}

/// Finds pods of one world in another. Most are where they were, or as far off as the pod before them.
struct Finder<'w> {
    old: &'w World,
    new: &'w World,
    offset: isize,
}

impl<'w> Finder<'w> {
    fn new(old: &'w World, new: &'w World) -> Self {
        Self { old, new, offset: 0 }
    }

    fn pod(&mut self, id: PodId) -> Option<PodId> {
        let pod = &self.old.pods[id.index()];
        let namespace = &self.old.namespaces[pod.namespace.index()].name;
        let near = id.index().checked_add_signed(self.offset);
        if let Some(near) = near
            && let Some(other) = self.new.pods.get(near)
            && other.name == pod.name
            && self.new.namespaces[other.namespace.index()].name == *namespace
        {
            return Some(PodId::at(near));
        }
        let found = self.new.pod(self.new.namespace(namespace)?, &pod.name)?;
        self.offset = found.index().cast_signed() - id.index().cast_signed();
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the plain way, number by number, for renamings with moves, gaps and losses.
    #[test]
    fn sets_are_renamed_as_number_by_number() {
        let mut seed = 11u64;
        let mut next = move |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % n
        };
        for round in 0..300 {
            let count = 1 + next(400);
            let (insert, lose) = (next(count), next(count));
            let shift = 1 + next(70);
            let to = |i: usize| match i {
                i if round % 3 > 0 && i == lose => None,
                i if i >= insert => Some(i + shift),
                i if round % 2 == 0 && i < insert / 2 => Some(insert / 2 - 1 - i),
                i => Some(i),
            };
            let mut runs: Vec<Run> = Vec::new();
            for (i, t) in (0..count).filter_map(|i| Some((i, to(i)?))) {
                match runs.last_mut() {
                    Some(run) if run.end == i && run.to + (run.end - run.start) == t => run.end += 1,
                    _ => runs.push(Run { start: i, end: i + 1, to: t }),
                }
            }
            let renaming =
                Renaming { old_of: Vec::new(), runs, identity: false, fresh: Bits::none(), gone: 0, alike: true };
            let mut set: Vec<u32> = (0..next(count) + 1).map(|_| u32::try_from(next(count)).unwrap()).collect();
            set.sort_unstable();
            set.dedup();
            let mut wanted: Vec<u32> =
                set.iter().filter_map(|i| to(*i as usize)).map(|i| u32::try_from(i).unwrap()).collect();
            wanted.sort_unstable();
            let (mut in_place, mut scratch) = (Bits::from_sorted(&set), vec![7]);
            assert_eq!(renaming.bits(&in_place), Bits::from_sorted(&wanted), "round {round} {set:?}");
            renaming.rename(&mut in_place, &mut scratch);
            assert_eq!(in_place, Bits::from_sorted(&wanted), "round {round} {set:?}");
        }
    }
}
