//! All verdicts at once: for every pair of classes, the ports that are open.
//!
//! Rows per distinct stack of policies (`rows`), then a join of what sources may send with what destinations accept:
//! egress rows are turned by 64 x 64 bit blocks so that both speak of one destination.

pub(crate) mod columns;
pub mod external;
mod may;
pub(crate) mod meaning;
pub(crate) mod ports;
pub(crate) mod rows;

pub use ports::PortPair;

use crate::Engine;
use crate::bits::{Bits, transpose64};
use crate::classes::ClassId;
use ports::{ALL, NONE, PairId, Table};
use rows::{Builder, Row, Rows};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use watertight_model::Direction;

/// Reachability between classes, by destination.
pub struct Reach {
    pairs: Vec<PortPair>,
    rows: Vec<Arc<Row>>,
}

impl Reach {
    /// Computes it. Uses up to two threads; the result does not depend on how many.
    ///
    /// Policies that are not evaluated (U11) have no influence, and a hostNetwork source that may run on the destination's
    /// node is `possible` on every port, because the pods of a class may run on different nodes.
    pub fn of(engine: &Engine<'_>) -> Self {
        let mut table = Table::new();
        let mut builder = Builder::new(engine.world, engine.classes(), &mut table);
        let egress = builder.rows(Direction::Egress, |_, _| None);
        let ingress = builder.rows(Direction::Ingress, |_, _| None);
        let (rows, table) = join(engine.classes().len(), table, &egress, &ingress);
        Reach { pairs: table.into_items(), rows }
    }

    /// Ports from one class to another; both empty if nothing is open. Does not speak of a pod and itself.
    pub fn ports(&self, from: ClassId, to: ClassId) -> &PortPair {
        let row = &self.rows[to.0 as usize];
        let id = row.iter().find(|(_, bits)| bits.contains(from.0 as usize)).map_or(NONE, |(id, _)| *id);
        &self.pairs[id as usize]
    }

    /// Everyone who may reach a class, grouped by ports; the groups are disjoint.
    pub fn sources(&self, to: ClassId) -> impl Iterator<Item = (&PortPair, Sources<'_>)> {
        self.rows[to.0 as usize].iter().map(|(id, bits)| (&self.pairs[*id as usize], Sources(bits)))
    }

    /// How many ordered pairs of classes have at least one port open on some reading.
    pub fn pair_count(&self) -> usize {
        self.rows.iter().map(|row| row.iter().map(|(_, bits)| bits.count()).sum::<usize>()).sum()
    }

    pub(crate) fn from_parts(pairs: Vec<PortPair>, rows: Vec<Arc<Row>>) -> Self {
        Self { pairs, rows }
    }

    pub(crate) fn into_parts(self) -> (Vec<PortPair>, Vec<Arc<Row>>) {
        (self.pairs, self.rows)
    }

    pub(crate) fn shared_row(&self, to: usize) -> &Arc<Row> {
        &self.rows[to]
    }

    pub(crate) fn row(&self, to: usize) -> &Row {
        &self.rows[to]
    }

    pub(crate) fn pair(&self, id: PairId) -> &PortPair {
        &self.pairs[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// A set of source classes.
#[derive(Clone, Copy)]
pub struct Sources<'r>(&'r Bits);

impl<'r> Sources<'r> {
    /// The classes, ascending.
    pub fn iter(self) -> impl Iterator<Item = ClassId> + 'r {
        self.0.iter().map(ClassId::at)
    }

    /// How many.
    pub fn count(self) -> usize {
        self.0.count()
    }

    /// Whether a class is among them.
    pub fn contains(self, class: ClassId) -> bool {
        self.0.contains(class.0 as usize)
    }
}

/// Destinations handled by one piece of work: enough to amortise a thread, few enough to balance.
const WORDS_PER_TASK: usize = 8;

/// A task and the rows it made.
type TaskRows = (usize, Vec<Arc<Row>>);

/// All rows by destination, and the table that numbers their ports.
pub(crate) fn join(count: usize, table: Table, egress: &Rows, ingress: &Rows) -> (Vec<Arc<Row>>, Table) {
    let shared = Shared::new(count, egress, ingress);
    let tasks: Vec<usize> = (0..count.div_ceil(64)).step_by(WORDS_PER_TASK).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 2);
    let alone = |mut table: Table| {
        let rows = tasks.iter().flat_map(|task| shared.task(*task, &mut table)).collect();
        (rows, table)
    };
    if threads == 1 || tasks.len() < 2 {
        return alone(table);
    }
    // Each thread takes every second task with a table of its own; numbers are made equal afterwards, in task order.
    let parts: Vec<(Vec<TaskRows>, Table)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|t| {
                let (shared, tasks, mut own) = (&shared, &tasks, table.clone());
                scope.spawn(move || {
                    let mine = tasks.iter().skip(t).step_by(threads);
                    let rows = mine.map(|task| (*task, shared.task(*task, &mut own))).collect();
                    (rows, own)
                })
            })
            .collect();
        handles.into_iter().filter_map(|h| h.join().ok()).collect()
    });
    if parts.len() != threads {
        // A thread died: say nothing rather than half. One thread then does all of it (and fails aloud if it must).
        return alone(table);
    }
    let mut sum = table;
    let mut all: Vec<TaskRows> = Vec::new();
    for (rows, own) in parts {
        let numbers: Vec<PairId> = own.into_items().into_iter().map(|p| sum.id(p.sure, p.possible)).collect();
        let mut seen: FxHashMap<*const Row, Arc<Row>> = FxHashMap::default();
        for (task, rows) in rows {
            let renumbered = rows.iter().map(|row| {
                let renumber =
                    || Arc::new(row.iter().map(|(id, bits)| (numbers[*id as usize], bits.clone())).collect());
                if row.iter().all(|(id, _)| numbers[*id as usize] == *id) {
                    row.clone()
                } else {
                    seen.entry(Arc::as_ptr(row)).or_insert_with(renumber).clone()
                }
            });
            all.push((task, renumbered.collect()));
        }
    }
    all.sort_by_key(|(task, _)| *task);
    (all.into_iter().flat_map(|(_, rows)| rows).collect(), sum)
}

/// Both directions, as the join of some destinations needs them.
pub(crate) struct Shared<'a> {
    count: usize,
    egress: &'a Rows,
    ingress: &'a Rows,
    /// Egress rows that are everything to everyone.
    open_rows: Vec<bool>,
    /// Sources with such a row.
    open: Bits,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(count: usize, egress: &'a Rows, ingress: &'a Rows) -> Self {
        let is_open = |row: &Arc<Row>| matches!(row.as_slice(), [(ALL, bits)] if bits.count() == count);
        let open_rows: Vec<bool> = egress.rows.iter().map(is_open).collect();
        let open: Vec<u32> =
            (0..count).filter(|s| open_rows[egress.of_class[*s] as usize]).map(|s| ClassId::at(s).0).collect();
        Self { count, egress, ingress, open_rows, open: Bits::from_sorted(&open) }
    }

    /// The rows of `WORDS_PER_TASK * 64` destinations.
    fn task(&self, first_word: usize, table: &mut Table) -> Vec<Arc<Row>> {
        let mut out = Vec::new();
        let mut plain = FxHashMap::default();
        for word in first_word..(first_word + WORDS_PER_TASK).min(self.count.div_ceil(64)) {
            self.word(word, u64::MAX, &mut plain, table, |_, row| out.push(row));
        }
        out
    }

    /// The rows of those of 64 destinations whose bit is in `wanted`, ascending. `plain` is kept between calls:
    /// destinations without a restricted source share one row per ingress row.
    pub(crate) fn word(
        &self,
        word: usize,
        wanted: u64,
        plain: &mut FxHashMap<u32, Arc<Row>>,
        table: &mut Table,
        mut give: impl FnMut(usize, Arc<Row>),
    ) {
        let mut turned = self.turn(word);
        for (i, cells) in turned.iter_mut().enumerate().take(self.count - (word * 64).min(self.count)) {
            if wanted >> i & 1 == 0 {
                continue;
            }
            let to = word * 64 + i;
            let ingress = self.ingress.of_class[to];
            if cells.is_empty() {
                let row = plain.entry(ingress).or_insert_with(|| Arc::new(self.meet(Vec::new(), ingress, table)));
                give(to, row.clone());
            } else {
                give(to, Arc::new(self.meet(from_cells(cells), ingress, table)));
            }
        }
    }

    /// For 64 destinations: which restricted sources send to them, on which ports, as (ports, word of sources, bits).
    fn turn(&self, word: usize) -> Vec<Vec<(PairId, u32, u64)>> {
        let mut out: Vec<Vec<(PairId, u32, u64)>> = vec![Vec::new(); 64];
        let mut blocks: Vec<(PairId, [u64; 64])> = Vec::new();
        for (block, sources) in self.egress.of_class.chunks(64).enumerate() {
            blocks.clear();
            for (s, row) in sources.iter().enumerate() {
                if self.open_rows[*row as usize] {
                    continue;
                }
                for (ports, bits) in self.egress.rows[*row as usize].iter() {
                    let w = bits.word(word);
                    if w != 0 {
                        match blocks.iter_mut().find(|(known, _)| known == ports) {
                            Some((_, m)) => m[s] = w,
                            None => {
                                let mut m = [0; 64];
                                m[s] = w;
                                blocks.push((*ports, m));
                            }
                        }
                    }
                }
            }
            for (ports, m) in &mut blocks {
                transpose64(m);
                for (cells, w) in out.iter_mut().zip(m.iter()) {
                    if *w != 0 {
                        cells.push((*ports, ClassId::at(block).0, *w));
                    }
                }
            }
        }
        out
    }

    /// What arrives (restricted sources, and open ones) meets what is accepted.
    fn meet(&self, mut sent: Row, ingress: u32, table: &mut Table) -> Row {
        if !self.open.is_empty() {
            match sent.iter_mut().find(|(ports, _)| *ports == ALL) {
                Some((_, bits)) => bits.add(&self.open),
                None => sent.push((ALL, self.open.clone())),
            }
        }
        let mut out = Row::new();
        for (accepted, from) in self.ingress.rows[ingress as usize].iter() {
            for (ports, bits) in &sent {
                if !bits.intersects(from) {
                    continue;
                }
                let both = table.intersect(*ports, *accepted);
                if both == NONE {
                    continue;
                }
                let members = bits.and(from);
                match out.iter_mut().find(|(known, _)| *known == both) {
                    Some((_, known)) => known.add(&members),
                    None => out.push((both, members)),
                }
            }
        }
        in_order(&mut out);
        out
    }
}

/// Groups by their first source, so that a row does not depend on how its ports are numbered.
pub(crate) fn in_order(row: &mut Row) {
    row.sort_unstable_by_key(|(_, bits)| bits.first());
}

fn from_cells(cells: &mut [(PairId, u32, u64)]) -> Row {
    cells.sort_unstable();
    let mut out = Row::new();
    for same in cells.chunk_by(|a, b| a.0 == b.0) {
        let (first, last) = (same[0].1 as usize, same[same.len() - 1].1 as usize);
        let mut words = vec![0u64; last - first + 1];
        for (_, word, bits) in same {
            words[*word as usize - first] |= bits;
        }
        out.push((same[0].0, Bits::from_words(first, words)));
    }
    out
}
