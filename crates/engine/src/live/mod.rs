//! All verdicts of a world that changes: the next state costs what the change touches, and is what a fresh computation gives.
//!
//! In: a world, then the next one ([`Live::update`]). Out: an [`Engine`] and a [`Reach`] that equal, ids included, those made
//! from scratch, and an [`Update`] that says which pairs of classes have other ports than before.
//!
//! How: classes and the meanings of policies (`reach::meaning`) are made anew, which is cheap. What is dear, rows and their
//! join, is kept wherever it is made from equal content, class numbers renamed (`rename`). Nothing is inferred from the
//! *kind* of a change, so no kind of change can be forgotten.
//!
//! Reading order: this file, `rename`, `reuse` (rows that are kept), `rejoin` (what arrives where, for what is left).

mod rejoin;
mod rename;
mod reuse;

use crate::classes::ClassId;
use crate::reach::ports::Table;
use crate::reach::rows::{Builder, Meanings, Rows};
use crate::reach::{PortPair, Reach, join};
use crate::{Engine, Tables};
use rejoin::{Halves, Rejoin};
use rename::Renaming;
use reuse::Reuse;
use std::sync::Arc;
use watertight_model::{Direction, World};

/// A world with everything that follows from it, kept current.
pub struct Live {
    world: World,
    tables: Arc<Tables>,
    reach: Reach,
    kept: Kept,
}

/// What the next state is made from, where it holds still.
struct Kept {
    table: Table,
    /// Size of the table at which all is made from scratch, to let go of port sets that are no longer in use.
    table_limit: usize,
    egress: Rows,
    ingress: Rows,
    meanings: Meanings,
}

/// What an update did.
#[derive(Debug, Default)]
pub struct Update {
    /// The world before.
    pub before: World,
    /// Pairs of classes of both states whose ports differ, by destination, then by first source.
    pub changes: Vec<Change>,
    /// Classes of the new state that the old one did not have, ascending.
    pub fresh: Vec<ClassId>,
    /// How many classes of the old state are gone.
    pub gone: usize,
    /// Rows that were computed, both directions.
    pub rows: usize,
    /// All pairs were joined anew, because too much had changed to do it piece by piece.
    pub whole: bool,
}

/// Sources whose ports towards one destination changed alike. Classes are numbered as in the new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who receives connections.
    pub to: ClassId,
    /// Who opens them, ascending, never empty.
    pub from: Vec<ClassId>,
    /// Ports in the old state.
    pub before: PortPair,
    /// Ports in the new state.
    pub after: PortPair,
}

/// By what factor a table may grow over what it was from scratch.
const TABLE_GROWTH: usize = 4;

/// A table smaller than this is not worth making anew.
const TABLE_SMALL: usize = 4096;

impl Live {
    /// Computes everything once.
    pub fn new(world: World) -> Self {
        let tables = Tables::of(&world);
        let (reach, kept) = from_scratch(&world, &tables);
        Self { world, tables: Arc::new(tables), reach, kept }
    }

    /// The current world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The engine of the current world. Costs nothing.
    pub fn engine(&self) -> Engine<'_> {
        Engine { world: &self.world, tables: self.tables.clone() }
    }

    /// Reachability of the current world.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Goes on to the next world, whatever differs.
    pub fn update(&mut self, next: World) -> Update {
        let tables = Tables::of(&next);
        let renaming = Renaming::of((&self.world, &self.tables.classes), (&next, &tables.classes));
        let rejoined = if self.kept.table.items().len() > self.kept.table_limit {
            let (reach, kept) = from_scratch(&next, &tables);
            self.kept = kept;
            // Numbers of port sets are new, so the old rows are compared by content: see `rejoin::compare`.
            let changes = rejoin::compare_by_content(&self.reach, &reach, &renaming);
            self.reach = reach;
            Rejoined { changes, rows: self.kept.egress.rows.len() + self.kept.ingress.rows.len(), whole: true }
        } else {
            self.carry_over(&next, &tables, &renaming)
        };
        self.tables = Arc::new(tables);
        Update {
            before: std::mem::replace(&mut self.world, next),
            changes: rejoined.changes,
            fresh: renaming.fresh.iter().map(ClassId::at).collect(),
            gone: renaming.gone,
            rows: rejoined.rows,
            whole: rejoined.whole,
        }
    }

    fn carry_over(&mut self, next: &World, tables: &Tables, renaming: &Renaming) -> Rejoined {
        let before = std::mem::replace(&mut self.kept, Kept::none());
        let mut table = before.table;
        let mut builder = Builder::new(next, &tables.classes, &mut table);
        let mut reuse =
            Reuse::new((&self.world, &self.tables.classes), (next, &tables.classes), renaming, before.meanings);
        let mut computed = 0;
        let [egress, ingress] = Direction::BOTH.map(|direction| {
            let old = match direction {
                Direction::Egress => &before.egress,
                Direction::Ingress => &before.ingress,
            };
            builder.rows(direction, |builder, class| {
                let row = reuse.row(builder, direction, class, old);
                computed += usize::from(row.is_none());
                row
            })
        });
        let meanings = builder.into_meanings();
        let halves = |egress, ingress| Halves { egress, ingress };
        let (mut pairs, old) =
            std::mem::replace(&mut self.reach, Reach::from_parts(Vec::new(), Vec::new())).into_parts();
        let rejoin = Rejoin::new(
            renaming,
            halves(&before.egress, &before.ingress),
            halves(&egress, &ingress),
            reuse.into_renamed(),
        );
        let (rows, changes, whole) = if rejoin.is_small() {
            let (rows, changes) = rejoin.pieces(old, &mut table);
            (rows, changes, false)
        } else {
            let (rows, sum) = join(tables.classes.len(), table, &egress, &ingress);
            table = sum;
            let changes = rejoin.changes(&old, &rows, &table);
            (rows, changes, true)
        };
        pairs.extend_from_slice(&table.items()[pairs.len()..]);
        self.reach = Reach::from_parts(pairs, rows);
        self.kept = Kept { table, table_limit: before.table_limit, egress, ingress, meanings };
        Rejoined { changes, rows: computed, whole }
    }
}

struct Rejoined {
    changes: Vec<Change>,
    rows: usize,
    whole: bool,
}

impl Kept {
    fn none() -> Self {
        Self {
            table: Table::new(),
            table_limit: 0,
            egress: Rows::default(),
            ingress: Rows::default(),
            meanings: Meanings::default(),
        }
    }
}

fn from_scratch(world: &World, tables: &Tables) -> (Reach, Kept) {
    let mut table = Table::new();
    let mut builder = Builder::new(world, &tables.classes, &mut table);
    let [egress, ingress] = Direction::BOTH.map(|direction| builder.rows(direction, |_, _| None));
    let meanings = builder.into_meanings();
    let (rows, table) = join(tables.classes.len(), table, &egress, &ingress);
    let reach = Reach::from_parts(table.items().to_vec(), rows);
    let table_limit = TABLE_SMALL.max(TABLE_GROWTH * table.items().len());
    (reach, Kept { table, table_limit, egress, ingress, meanings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_testkit::edits::edit;
    use watertight_testkit::random::{self, Rng, Size};

    /// A table made anew numbers port sets anew; what is reported does not depend on it.
    #[test]
    fn an_outgrown_table_changes_nothing_that_is_seen() {
        let mut changes = 0;
        for seed in 0..60 {
            let mut rng = Rng::new(seed);
            let (world, _) = random::world(&mut rng, &Size::default());
            let (mut live, mut renewed) = (Live::new(world.clone()), Live::new(world));
            for step in 0..8 {
                let (donor, _) = random::world(&mut Rng::new(seed * 1000 + step), &Size::default());
                let mut next = live.world().clone();
                edit(&mut rng, &mut next, &donor);
                renewed.kept.table_limit = 0;
                let (a, b) = (live.update(next.clone()), renewed.update(next));
                assert_eq!((a.changes, a.fresh, a.gone), (b.changes, b.fresh, b.gone), "seed {seed} step {step}");
                assert!(b.whole);
                changes += live.kept.table.items().len().saturating_sub(renewed.kept.table.items().len());
            }
        }
        assert!(changes > 100, "the kept table holds what is no longer in use: {changes}");
    }
}
