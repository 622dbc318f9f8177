//! Rows and columns by kind, from one engine or from two.

use super::super::out::Out;
use super::super::row::{Candidate, Cuts, Row, Rows, Steps};
use super::super::{Identity, Set};
use super::made::{Kinds, identity};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_model::{Direction, PodId};

/// Asks, and says the answers by kind.
pub(super) struct Asking<'w> {
    all: Rows<'w>,
    /// `None`: nothing is in shadow, and one row is both.
    enforced: Option<Rows<'w>>,
    kinds: &'w Kinds,
    /// Kinds with addresses, by class of `all`.
    of_class: Vec<Vec<usize>>,
    atoms: usize,
    before_kinds: usize,
}

/// A row, by kind.
pub(super) struct Made {
    pub(super) set: Set,
    pub(super) restricted: bool,
    pub(super) cuts: (Option<Cuts>, Cuts),
}

impl<'w> Asking<'w> {
    pub(super) fn new(
        all: Rows<'w>,
        enforced: Option<Rows<'w>>,
        kinds: &'w Kinds,
        atoms: usize,
        before_kinds: usize,
    ) -> Self {
        let mut of_class = vec![Vec::new(); all.engine().classes().len()];
        for (i, kind) in kinds.list.iter().enumerate().filter(|(_, k)| k.addressed) {
            if let Some(class) = all.engine().classes().class_of(PodId::at(kind.pod)) {
                of_class[class.0 as usize].push(i);
            }
        }
        Self { all, enforced, kinds, of_class, atoms, before_kinds }
    }

    fn pod(&self, kind: usize) -> PodId {
        PodId::at(self.kinds.list[kind].pod)
    }

    /// NetworkPolicies that select a kind, by place in the small world and in the enforced one.
    pub(super) fn selecting(&self, kind: usize) -> [Vec<u32>; 2] {
        let pod = self.pod(kind);
        [Some(&self.all), self.enforced.as_ref()].map(|rows| {
            let classes = rows.map(|r| r.engine().classes());
            let both = Direction::BOTH.into_iter().flat_map(|d| classes.map_or(&[][..], |c| c.policies_of(pod, d)));
            both.map(|s| s.policy).collect()
        })
    }

    /// The row of a kind.
    pub(super) fn row(&mut self, subject: usize, direction: Direction, out: &mut Out) -> Option<Made> {
        let subject = self.pod(subject);
        let shadow = self.all.row(self.all.engine().classes().class_of(subject)?, direction);
        let Some(rows) = &mut self.enforced else {
            let set = self.same(&shadow, out);
            return Some(Made { set, restricted: shadow.restricted, cuts: (None, shadow.cuts.clone()) });
        };
        let enforced = rows.row(rows.engine().classes().class_of(subject)?, direction);
        let set = self.both(&enforced, &shadow, out);
        let cuts = (Some(enforced.cuts.clone()), shadow.cuts.clone());
        Some(Made { set, restricted: enforced.restricted, cuts })
    }

    fn same(&self, row: &Row, out: &mut Out) -> Set {
        let default = out.table(&row.default, &row.default);
        let mut entries: Vec<(Identity, u32)> = Vec::with_capacity(row.peers.len());
        for (peer, steps) in &row.peers {
            let table = out.table(steps, steps);
            if table != default {
                entries.extend(self.identities(*peer).into_iter().map(|identity| (identity, table)));
            }
        }
        entries.sort_unstable();
        Set { default, entries }
    }

    /// Identities of a candidate of `all`.
    fn identities(&self, peer: Candidate) -> Vec<Identity> {
        match peer {
            Candidate::Class(class) => {
                self.of_class[class.0 as usize].iter().map(|kind| identity(self.before_kinds, *kind)).collect()
            }
            Candidate::Node(i) => vec![identity(self.atoms, i)],
            Candidate::Atom(i) => vec![identity(0, i)],
        }
    }

    /// Both rows. The enforced world tells fewer kinds apart.
    fn both(&self, enforced: &Row, shadow: &Row, out: &mut Out) -> Set {
        let Some(rows) = &self.enforced else { return self.same(shadow, out) };
        let coarse: FxHashMap<Candidate, &Steps> = enforced.peers.iter().map(|(p, s)| (*p, s)).collect();
        let fine: FxHashMap<Candidate, &Steps> = shadow.peers.iter().map(|(p, s)| (*p, s)).collect();
        let others: BTreeSet<Candidate> = coarse.keys().chain(fine.keys()).copied().collect();
        let others = others.into_iter().filter(|p| !matches!(p, Candidate::Class(_)));
        let mut pairs: Vec<(Identity, Option<&Steps>, Option<&Steps>)> = others
            .flat_map(|p| self.identities(p).into_iter().map(move |i| (i, p)))
            .map(|(i, p)| (i, coarse.get(&p).copied(), fine.get(&p).copied()))
            .collect();
        for (class, kinds) in self.of_class.iter().enumerate() {
            let then = fine.get(&Candidate::Class(ClassId(PodId::at(class).0))).copied();
            for kind in kinds {
                let there = rows.engine().classes().class_of(self.pod(*kind));
                let now = there.and_then(|c| coarse.get(&Candidate::Class(c))).copied();
                pairs.push((identity(self.before_kinds, *kind), now, then));
            }
        }
        let default = out.table(&enforced.default, &shadow.default);
        let mut entries = Vec::new();
        for (peer, now, then) in pairs {
            if now.is_none() && then.is_none() {
                continue;
            }
            let table = out.table(now.unwrap_or(&enforced.default), then.unwrap_or(&shadow.default));
            if table != default {
                entries.push((peer, table));
            }
        }
        entries.sort_unstable();
        Set { default, entries }
    }
}
