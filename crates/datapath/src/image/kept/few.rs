//! What a new kind means to the rows that are there: asked in a world of the rows' pods and the policies that select them. No
//! other policy has a say in what holds for those, so a pod of a new kind costs what this node holds and not what the cluster does.

use super::super::atoms::Atom;
use super::super::out::Out;
use super::super::row::{NodeGroup, Rows, Steps};
use super::made::{Kinds, Known};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use watertight_engine::Engine;
use watertight_model::{Direction, NetworkPolicy, PodId, World};

/// The pods that rows are of, and the policies that select them.
pub(super) struct Few {
    all: World,
    enforced: Option<World>,
    /// Kind by pod.
    kinds: Vec<usize>,
}

/// The answer for a new kind: set, kind, table.
pub(super) type Column = (u32, usize, u32);

impl Few {
    /// Of the kinds that `known` has rows of; `selecting` says which policies select them.
    pub(super) fn of(kinds: &Kinds, subjects: &BTreeSet<usize>, selecting: &[BTreeSet<u32>; 2]) -> Self {
        let mut list: Vec<usize> = subjects.iter().copied().collect();
        list.sort_by_key(|k| kinds.list[*k].pod);
        let part = |world: &World, selecting: &BTreeSet<u32>| {
            let policies: Vec<NetworkPolicy> =
                selecting.iter().filter_map(|i| world.policies.get(*i as usize)).cloned().collect();
            World {
                namespaces: world.namespaces.clone(),
                nodes: world.nodes.clone(),
                pods: list.iter().map(|k| world.pods[kinds.list[*k].pod].clone()).collect(),
                policies,
                cluster_policies: world.cluster_policies.clone(),
                pod_cidrs: world.pod_cidrs.clone(),
                ..World::default()
            }
        };
        let all = part(&kinds.small, &selecting[0]);
        let enforced = kinds.enforced.as_ref().map(|world| part(world, &selecting[1]));
        Self { all, enforced, kinds: list }
    }

    /// The tables of new kinds in all rows. `None`: a set's rows differ over one, or somebody has no class.
    pub(super) fn columns(
        &mut self,
        kinds: &Kinds,
        fresh: &[usize],
        known: &FxHashMap<(usize, Direction), Known>,
        around: (&[Atom], &[NodeGroup], bool),
        out: &mut Out,
    ) -> Option<Vec<Column>> {
        for kind in fresh {
            let pod = &kinds.small.pods[kinds.list[*kind].pod];
            let at = self.all.pods.partition_point(|p| p.namespace <= pod.namespace);
            self.all.pods.insert(at, pod.clone());
            if let Some(enforced) = &mut self.enforced {
                enforced.pods.insert(at, pod.clone());
            }
            self.kinds.insert(at, *kind);
        }
        let made = self.ask(fresh, known, around, out);
        let mut at = 0;
        for pods in [Some(&mut self.all.pods), self.enforced.as_mut().map(|w| &mut w.pods)].into_iter().flatten() {
            at = 0;
            pods.retain(|_| {
                at += 1;
                !fresh.contains(&self.kinds[at - 1])
            });
        }
        debug_assert_eq!(at, self.kinds.len());
        self.kinds.retain(|k| !fresh.contains(k));
        made
    }

    fn ask(
        &self,
        fresh: &[usize],
        known: &FxHashMap<(usize, Direction), Known>,
        (atoms, groups, other_protocols): (&[Atom], &[NodeGroup], bool),
        out: &mut Out,
    ) -> Option<Vec<Column>> {
        let all = Engine::new(&self.all);
        let enforced = self.enforced.as_ref().map(Engine::new);
        let mut all = Rows::new(&all, atoms, groups, other_protocols);
        let mut enforced = enforced.as_ref().map(|e| Rows::new(e, atoms, groups, other_protocols));
        let pods: FxHashMap<usize, PodId> = self.kinds.iter().enumerate().map(|(i, k)| (*k, PodId::at(i))).collect();
        let column = |rows: &mut Rows<'_>, subject, direction, peer, cuts| -> Option<Steps> {
            let class = rows.engine().classes().class_of(peer)?;
            Some(rows.column(subject, direction, class, cuts))
        };
        let mut made: FxHashMap<(u32, usize), u32> = FxHashMap::default();
        for ((subject, direction), known) in known {
            for kind in fresh {
                let (subject, peer) = (*pods.get(subject)?, *pods.get(kind)?);
                let shadow = column(&mut all, subject, *direction, peer, &known.cuts.1)?;
                let enforced = match (&mut enforced, &known.cuts.0) {
                    (Some(rows), Some(cuts)) => column(rows, subject, *direction, peer, cuts)?,
                    _ => shadow.clone(),
                };
                let table = out.table(&enforced, &shadow);
                if *made.entry((known.set, *kind)).or_insert(table) != table {
                    return None;
                }
            }
        }
        let mut made: Vec<Column> = made.into_iter().map(|((set, kind), table)| (set, kind, table)).collect();
        made.sort_unstable();
        Some(made)
    }
}
