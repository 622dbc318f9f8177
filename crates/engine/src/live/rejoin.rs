//! What arrives where, for the destinations and sources that changed; everything else is renamed and kept.
//!
//! A destination whose own row changed is joined anew. Of the others only the sources whose row changed are looked at again.

use super::Change;
use super::rename::{RenamedRows, Renaming, TakenRows};
use crate::bits::Bits;
use crate::classes::ClassId;
use crate::reach::ports::{NONE, PairId, Table};
use crate::reach::rows::{Row, Rows};
use crate::reach::{PortPair, Reach, Shared, in_order};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use watertight_model::Direction;

/// Past this many pairs of changed sources and destinations the plain join is faster: it takes 64 sources at a time.
const PIECES: usize = 4_000_000;

/// Rows of both directions.
#[derive(Clone, Copy)]
pub(super) struct Halves<'r> {
    pub(super) egress: &'r Rows,
    pub(super) ingress: &'r Rows,
}

pub(super) struct Rejoin<'r> {
    renaming: &'r Renaming,
    after: Halves<'r>,
    /// Classes whose egress row is another, those that are new included; ascending.
    sources: Vec<u32>,
    /// The same for ingress.
    destinations: Vec<u32>,
}

/// Sources that went from one number to another.
type Shift = (PairId, PairId, Bits);

/// A row before and after, and what differs. Where a row is known by its address, holding it keeps the address its own.
type Step = (Arc<Row>, Arc<Row>, Vec<Shift>);

impl<'r> Rejoin<'r> {
    /// `renamed`: the old rows of one direction each, as [`Direction`] numbers them.
    pub(super) fn new(
        renaming: &'r Renaming,
        old: Halves<'r>,
        new: Halves<'r>,
        mut renamed: [RenamedRows<'r>; 2],
    ) -> Self {
        let sources = changed(renaming, old.egress, new.egress, &mut renamed[Direction::Egress as usize]);
        let destinations = changed(renaming, old.ingress, new.ingress, &mut renamed[Direction::Ingress as usize]);
        Self { renaming, after: new, sources, destinations }
    }

    fn count(&self) -> usize {
        self.after.egress.of_class.len()
    }

    /// Worth doing piece by piece.
    pub(super) fn is_small(&self) -> bool {
        let half = self.count() / 2;
        self.destinations.len() <= half && self.sources.len() <= half && self.sources.len() * self.count() <= PIECES
    }

    /// All rows of the new state, by destination, made from the old ones, and what changed.
    pub(super) fn pieces(&self, old: Vec<Arc<Row>>, table: &mut Table) -> (Vec<Arc<Row>>, Vec<Change>) {
        let mut anew = self.join_destinations(table);
        let mut taken = TakenRows::new(self.renaming, old);
        let mut patch = Patch::new(self.after, &self.sources, &self.renaming.fresh, self.count());
        let mut out = Vec::with_capacity(self.count());
        let mut changes = Vec::new();
        let mut compared = Compared::default();
        for to in 0..self.count() {
            let row = match (anew.remove(&to), taken.take(ClassId::at(to))) {
                (Some(row), Some(old)) => {
                    compared.add(&old, &row, to, self.renaming, table.items(), &mut changes);
                    row
                }
                (Some(row), None) => row,
                (None, Some(old)) => patch.row(old, to, table, &mut changes),
                // A class that is new is among the destinations, so it was joined above.
                (None, None) => Arc::new(Row::new()),
            };
            out.push(row);
        }
        (out, changes)
    }

    /// What changed, for rows that were all joined anew.
    pub(super) fn changes(&self, old: &[Arc<Row>], rows: &[Arc<Row>], table: &Table) -> Vec<Change> {
        let mut renamed = RenamedRows::of_reach(self.renaming);
        let mut changes = Vec::new();
        let mut compared = Compared::default();
        for (to, row) in rows.iter().enumerate() {
            if let Some(was) = self.renaming.old_of(ClassId::at(to)) {
                let old = renamed.get(&old[was.0 as usize]);
                compared.add(&old, row, to, self.renaming, table.items(), &mut changes);
            }
        }
        changes
    }

    fn join_destinations(&self, table: &mut Table) -> FxHashMap<usize, Arc<Row>> {
        let shared = Shared::new(self.count(), self.after.egress, self.after.ingress);
        let mut plain = FxHashMap::default();
        let mut out = FxHashMap::default();
        for same_word in self.destinations.chunk_by(|a, b| a / 64 == b / 64) {
            let wanted = same_word.iter().fold(0u64, |mask, to| mask | 1 << (to % 64));
            shared.word(same_word[0] as usize / 64, wanted, &mut plain, table, |to, row| {
                out.insert(to, row);
            });
        }
        out
    }
}

/// Classes whose row is not what it was. What a row says of new classes does not count: pairs with those are joined anew
/// whatever it says.
fn changed(renaming: &Renaming, old: &Rows, new: &Rows, renamed: &mut RenamedRows<'_>) -> Vec<u32> {
    let mut known: FxHashMap<(u32, u32), bool> = FxHashMap::default();
    let mut same = |was: ClassId, class: usize| {
        let key = (old.of_class[was.0 as usize], new.of_class[class]);
        *known.entry(key).or_insert_with(|| {
            let (old, new) = (renamed.get(&old.rows[key.0 as usize]), &new.rows[key.1 as usize]);
            Arc::ptr_eq(&old, new) || same_but_for(&old, new, &renaming.fresh)
        })
    };
    let changed = |class: &usize| -> bool { renaming.old_of(ClassId::at(*class)).is_none_or(|was| !same(was, *class)) };
    (0..new.of_class.len()).filter(changed).map(|class| ClassId::at(class).0).collect()
}

/// Equal apart from some classes that are in the second only. Rows are sorted by ports.
fn same_but_for(old: &Row, new: &Row, fresh: &Bits) -> bool {
    let mut rest = new.iter().map(|(ports, bits)| (*ports, bits.minus(fresh))).filter(|(_, bits)| !bits.is_empty());
    old.iter().all(|(ports, bits)| rest.next().is_some_and(|(p, b)| p == *ports && b == *bits)) && rest.next().is_none()
}

/// Sources that changed, written into rows of destinations that did not.
struct Patch<'r> {
    after: Halves<'r>,
    sources: &'r [u32],
    /// Classes that are new: what they may reach is no change.
    fresh: &'r Bits,
    /// Per source what it sends to each destination.
    sent: Vec<Vec<PairId>>,
    /// Per ingress row what it accepts from each source.
    accepted: FxHashMap<u32, Vec<PairId>>,
    /// Rows of several destinations, by address and by what their sources have now.
    known: FxHashMap<(*const Row, Vec<PairId>), Step>,
}

impl<'r> Patch<'r> {
    fn new(after: Halves<'r>, sources: &'r [u32], fresh: &'r Bits, count: usize) -> Self {
        let column = |source: &u32| {
            let mut sent = vec![NONE; count];
            let row = &after.egress.rows[after.egress.of_class[*source as usize] as usize];
            for (ports, bits) in row.iter() {
                bits.iter().for_each(|to| sent[to] = *ports);
            }
            sent
        };
        let sent = sources.iter().map(column).collect();
        Self { after, sources, fresh, sent, accepted: FxHashMap::default(), known: FxHashMap::default() }
    }

    /// The row of a destination, in place if nobody else has it.
    fn row(&mut self, mut old: Arc<Row>, to: usize, table: &mut Table, changes: &mut Vec<Change>) -> Arc<Row> {
        if self.sources.is_empty() {
            return old;
        }
        let ingress = self.after.ingress.of_class[to];
        let (rows, sources, fresh) = (&self.after.ingress.rows, self.sources, self.fresh);
        let accepted = self
            .accepted
            .entry(ingress)
            .or_insert_with(|| sources.iter().map(|s| ports_of(&rows[ingress as usize], *s as usize)).collect());
        let now: Vec<PairId> =
            self.sent.iter().zip(accepted.iter()).map(|(sent, accepted)| both(table, sent[to], *accepted)).collect();
        if let Some(own) = Arc::get_mut(&mut old) {
            report(&patch(own, sources, &now, fresh), to, table.items(), changes);
            return old;
        }
        let patched = self.known.entry((Arc::as_ptr(&old), now)).or_insert_with_key(|(_, now)| {
            let mut row = (*old).clone();
            let shifts = patch(&mut row, sources, now, fresh);
            let row = if row == *old { old.clone() } else { Arc::new(row) };
            (old.clone(), row, shifts)
        });
        let (_, row, shifts) = patched;
        report(shifts, to, table.items(), changes);
        row.clone()
    }
}

/// Gives sources the ports that they have now. The result is what changed, by first source, without those that are new.
fn patch(row: &mut Row, sources: &[u32], now: &[PairId], fresh: &Bits) -> Vec<Shift> {
    let mut shifts: Vec<Shift> = Vec::new();
    let mut touched = false;
    for (source, now) in sources.iter().zip(now) {
        let source = *source as usize;
        let was = ports_of(row, source);
        if was == *now {
            continue;
        }
        touched = true;
        put(row, source, was, *now);
        if !fresh.contains(source) {
            match shifts.iter_mut().find(|(before, after, _)| (*before, *after) == (was, *now)) {
                Some((.., from)) => from.insert(source),
                None => shifts.push((was, *now, Bits::range(source, source + 1))),
            }
        }
    }
    if touched {
        in_order(row);
    }
    shifts
}

fn both(table: &mut Table, a: PairId, b: PairId) -> PairId {
    if a == NONE || b == NONE { NONE } else { table.intersect(a, b) }
}

fn ports_of(row: &Row, class: usize) -> PairId {
    row.iter().find(|(_, bits)| bits.contains(class)).map_or(NONE, |(ports, _)| *ports)
}

fn put(row: &mut Row, source: usize, was: PairId, now: PairId) {
    if let Some(at) = row.iter().position(|(ports, _)| was != NONE && *ports == was) {
        row[at].1.take(source);
        if row[at].1.is_empty() {
            row.swap_remove(at);
        }
    }
    if now != NONE {
        match row.iter_mut().find(|(known, _)| *known == now) {
            Some((_, bits)) => bits.insert(source),
            None => row.push((now, Bits::range(source, source + 1))),
        }
    }
}

/// What changed for one destination.
fn report(shifts: &[Shift], to: usize, items: &[PortPair], changes: &mut Vec<Change>) {
    let change = |(before, after, from): &Shift| Change {
        to: ClassId::at(to),
        from: from.iter().map(ClassId::at).collect(),
        before: items[*before as usize].clone(),
        after: items[*after as usize].clone(),
    };
    changes.extend(shifts.iter().map(change));
}

/// Differences of rows, found once for rows that are shared.
#[derive(Default)]
struct Compared {
    /// By the addresses of both.
    known: FxHashMap<(*const Row, *const Row), Step>,
}

impl Compared {
    fn add(
        &mut self,
        old: &Arc<Row>,
        new: &Arc<Row>,
        to: usize,
        renaming: &Renaming,
        items: &[PortPair],
        changes: &mut Vec<Change>,
    ) {
        if Arc::ptr_eq(old, new) {
            return;
        }
        let key = (Arc::as_ptr(old), Arc::as_ptr(new));
        let compared = || (old.clone(), new.clone(), differences(old, new, &renaming.fresh));
        let (_, _, shifts) = self.known.entry(key).or_insert_with(compared);
        report(shifts, to, items, changes);
    }
}

/// Sources of both states whose number is another, by first source.
fn differences(old: &Row, new: &Row, fresh: &Bits) -> Vec<Shift> {
    let mut out: Vec<Shift> = Vec::new();
    for (before, bits) in old {
        let mut rest = bits.clone();
        for (after, now) in new {
            if bits.intersects(now) {
                if before != after {
                    out.push((*before, *after, bits.and(now)));
                }
                rest.remove(now);
            }
        }
        if !rest.is_empty() {
            out.push((*before, NONE, rest));
        }
    }
    for (after, bits) in new {
        let mut rest = bits.minus(fresh);
        old.iter().for_each(|(_, was)| rest.remove(was));
        if !rest.is_empty() {
            out.push((NONE, *after, rest));
        }
    }
    out.sort_unstable_by_key(|(_, _, bits)| bits.first());
    out
}

/// As [`Rejoin::changes`] for two states whose port sets are numbered apart.
pub(super) fn compare_by_content(before: &Reach, after: &Reach, renaming: &Renaming) -> Vec<Change> {
    let mut table = Table::new();
    let mut renumber = |reach: &Reach, row: &Row| -> Row {
        row.iter()
            .map(|(ports, bits)| {
                let pair = reach.pair(*ports);
                (table.id(pair.sure.clone(), pair.possible.clone()), bits.clone())
            })
            .collect()
    };
    let mut renamed = RenamedRows::of_reach(renaming);
    let mut found = Vec::new();
    for to in 0..after.len() {
        if let Some(old) = renaming.old_of(ClassId::at(to)) {
            let old = renumber(before, &renamed.get(before.shared_row(old.0 as usize)));
            let new = renumber(after, after.row(to));
            found.extend(differences(&old, &new, &renaming.fresh).into_iter().map(|shift| (to, shift)));
        }
    }
    let change = |(to, (before, after, from)): (usize, Shift)| Change {
        to: ClassId::at(to),
        from: from.iter().map(ClassId::at).collect(),
        before: table.get(before).clone(),
        after: table.get(after).clone(),
    };
    found.into_iter().map(change).collect()
}
