//! Differences between parties and addresses outside the cluster.

use super::joint::Joint;
use super::pairs::joined;
use super::{End, Openness, Row, row};
use crate::Engine;
use crate::block::Ranges;
use crate::classes::ClassId;
use crate::reach::PortPair;
use crate::reach::external::{external, families_in_use};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use watertight_model::{Direction, Family, PortSet, addr};

/// Disjoint ranges of addresses, ascending, with their ports. What is closed is left out.
type Parts = Vec<(Family, u128, u128, PortPair)>;

/// What each class exchanges with the outside, worked out once.
struct Side<'e, 'w> {
    engine: &'e Engine<'w>,
    classes: Vec<Vec<ClassId>>,
    families: Vec<Family>,
    known: FxHashMap<(ClassId, Direction), Rc<Parts>>,
}

impl Side<'_, '_> {
    fn parts(&mut self, party: usize, direction: Direction) -> Vec<Rc<Parts>> {
        let Self { engine, classes, families, known } = self;
        let of = |class: &ClassId| {
            let parts = || {
                let mut out: Parts = Vec::new();
                for part in external(engine, *class, direction, families) {
                    for cidr in &part.cidrs {
                        let (first, last) = cidr.range();
                        out.push((cidr.family(), first, last, part.ports.clone()));
                    }
                }
                out.sort();
                Rc::new(out)
            };
            known.entry((*class, direction)).or_insert_with(parts).clone()
        };
        classes[party].iter().map(of).collect()
    }
}

/// All rows with the outside.
pub(super) fn rows(joint: &Joint, engines: &[Engine<'_>; 2]) -> Vec<Row> {
    // Both worlds speak of the same families: a block of the other family changes who is reached, not what exists.
    let families: BTreeSet<Family> = engines.iter().flat_map(families_in_use).collect();
    let mut sides = [0, 1].map(|side| Side {
        engine: &engines[side],
        classes: joint.classes(side, &engines[side]),
        families: families.iter().copied().collect(),
        known: FxHashMap::default(),
    });
    let mut out = Vec::new();
    for party in 0..joint.parties.len() {
        for direction in Direction::BOTH {
            let [before, after] = &mut sides;
            let (before, after) = (before.parts(party, direction), after.parts(party, direction));
            if before == after {
                continue;
            }
            for ((b, a), ranges) in compared(&before, &after) {
                let cidrs = ranges.into_iter().flat_map(|(family, first, last)| addr::cover(family, first, last));
                let (me, there) = (End::Party(party), End::External(cidrs.collect()));
                let (from, to) = if direction == Direction::Egress { (me, there) } else { (there, me) };
                out.extend(row(from, to, &b, &a));
            }
        }
    }
    out
}

/// Addresses whose ports differ, by what they were and what they are.
fn compared(before: &[Rc<Parts>], after: &[Rc<Parts>]) -> BTreeMap<(Openness, Openness), Ranges> {
    let mut cuts: BTreeSet<(Family, u128)> = BTreeSet::new();
    for (family, first, last, _) in before.iter().chain(after).flat_map(|parts| parts.iter()) {
        cuts.insert((*family, *first));
        cuts.extend(last.checked_add(1).map(|next| (*family, next)));
    }
    let cuts: Vec<(Family, u128)> = cuts.into_iter().collect();
    let mut out: BTreeMap<(Openness, Openness), Ranges> = BTreeMap::new();
    for (i, (family, first)) in cuts.iter().enumerate() {
        let last = match cuts.get(i + 1) {
            Some((next, start)) if next == family => start - 1,
            _ => watertight_model::Cidr::all(*family).range().1,
        };
        let (b, a) = (at(before, *family, *first), at(after, *family, *first));
        if b == a || *first > last {
            continue;
        }
        let ranges = out.entry((b, a)).or_default();
        match ranges.last_mut() {
            Some((f, _, end)) if f == family && end.checked_add(1) == Some(*first) => *end = last,
            _ => ranges.push((*family, *first, last)),
        }
    }
    out
}

/// The state of one address over all classes.
fn at(classes: &[Rc<Parts>], family: Family, value: u128) -> Openness {
    let closed = PortPair { sure: PortSet::none(), possible: PortSet::none() };
    let mut sum: Option<Openness> = None;
    for parts in classes {
        let i = parts.partition_point(|(f, first, _, _)| (*f, *first) <= (family, value));
        let part = i.checked_sub(1).and_then(|i| parts.get(i)).filter(|p| p.0 == family && value <= p.2);
        let pair = part.map_or(&closed, |p| &p.3);
        sum = Some(match sum {
            None => Openness { every: pair.sure.clone(), some: pair.sure.clone(), possible: pair.possible.clone() },
            Some(sum) => joined(&sum, pair),
        });
    }
    sum.unwrap_or_default()
}
