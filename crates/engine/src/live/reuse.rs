//! Rows that can be kept: those of subjects whose policies, named ports and kind of network are what they were.
//!
//! A row says of each class, on its own, what its policies say of it. So a row may be renamed and kept when the policies
//! of the new stack mean, for every class, what those of the old one meant.

use super::rename::{RenamedRows, Renaming};
use crate::bits::Bits;
use crate::classes::{ClassId, Classes, Selected};
use crate::reach::columns::{Cols, host_network};
use crate::reach::meaning::Meaning;
use crate::reach::rows::{Builder, Meanings, Row, Rows, names};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Ordering;
use std::sync::Arc;
use watertight_model::{Direction, Namespace, NamespaceId, Node, PeerKind, Peers, Rule, World};

/// One state.
type State<'w> = (&'w World, &'w Classes);

pub(super) struct Reuse<'r> {
    old: State<'r>,
    new: State<'r>,
    renaming: &'r Renaming,
    old_meanings: Meanings,
    renamed: [RenamedRows<'r>; 2],
    /// Old places of the new policies, NetworkPolicies and cluster policies.
    places: [Vec<Option<u32>>; 2],
    /// Whether a policy means what it meant, by direction, kind and new place.
    same: FxHashMap<(Direction, bool, u32), bool>,
    /// Whether a policy's meaning needs no second look, by kind and new place.
    settled_policies: FxHashMap<(bool, u32), bool>,
    scratch: Vec<u64>,
    /// The hostNetwork classes of the old state.
    hosts: Bits,
    /// Nothing that meanings rest on, apart from policies, is other than before for the classes that are carried over.
    settled: bool,
    /// Namespaces of the new state with classes that are new.
    fresh_in: FxHashSet<NamespaceId>,
}

impl<'r> Reuse<'r> {
    pub(super) fn new(old: State<'r>, new: State<'r>, renaming: &'r Renaming, old_meanings: Meanings) -> Self {
        let places = [policies(old.0, new.0), cluster_policies(old.0, new.0)];
        Self {
            old,
            new,
            renaming,
            old_meanings,
            renamed: [RenamedRows::of_one_direction(renaming), RenamedRows::of_one_direction(renaming)],
            places,
            same: FxHashMap::default(),
            settled_policies: FxHashMap::default(),
            scratch: Vec::new(),
            hosts: renaming.bits(&host_network(old.0, old.1)),
            settled: renaming.alike && same_surroundings(old.0, new.0),
            fresh_in: renaming.fresh.iter().map(|c| namespace_of(new, ClassId::at(c))).collect(),
        }
    }

    /// The row of a class of the new state, if it can be kept.
    pub(super) fn row(
        &mut self,
        builder: &mut Builder<'_, '_>,
        direction: Direction,
        class: ClassId,
        rows: &Rows,
    ) -> Option<Arc<Row>> {
        let was = self.renaming.old_of(class)?;
        let ((old_world, old), (new_world, new)) = (self.old, self.new);
        let pod = &new_world.pods[new.representative(class).index()];
        let old_pod = &old_world.pods[old.representative(was).index()];
        let v1 = new.policies_of_class(class, direction);
        let cluster = new.cluster_policies_of_class(class);
        let old_v1 = old.policies_of_class(was, direction);
        let old_cluster = old.cluster_policies_of_class(was);
        if pod.host_network != old_pod.host_network
            || names(direction, pod, v1, cluster) != names(direction, old_pod, old_v1, old_cluster)
            || (direction == Direction::Ingress && self.hosts != builder.columns.host_network)
        {
            return None;
        }
        // Whatever is open by default is open to new classes too.
        let closed = cluster.is_empty() && !v1.is_empty() && v1.iter().all(|s| s.causes.is_empty());
        if !closed && !self.renaming.fresh.is_empty() {
            return None;
        }
        let same = self.stack(builder, direction, false, old_v1, v1)
            && self.stack(builder, direction, true, old_cluster, cluster);
        same.then(|| self.renamed[direction as usize].get(&rows.rows[rows.of_class[was.0 as usize] as usize]))
    }

    /// All rows that were renamed, by direction: one that was kept is known by its address.
    pub(super) fn into_renamed(self) -> [RenamedRows<'r>; 2] {
        self.renamed
    }

    fn stack(
        &mut self,
        builder: &mut Builder<'_, '_>,
        direction: Direction,
        cluster: bool,
        old: &[Selected],
        new: &[Selected],
    ) -> bool {
        old.len() == new.len()
            && old.iter().zip(new).all(|(old, new)| {
                self.places[usize::from(cluster)][new.policy as usize] == Some(old.policy)
                    && old.causes.is_empty() == new.causes.is_empty()
                    && self.policy(builder, direction, cluster, old.policy, new.policy)
            })
    }

    fn policy(
        &mut self,
        builder: &mut Builder<'_, '_>,
        direction: Direction,
        cluster: bool,
        old: u32,
        new: u32,
    ) -> bool {
        let key = (direction, cluster, new);
        if let Some(known) = self.same.get(&key) {
            return *known;
        }
        let settled = match self.settled_policies.get(&(cluster, new)) {
            Some(known) => *known,
            None => {
                let settled = self.is_settled(cluster, old, new);
                self.settled_policies.insert((cluster, new), settled);
                settled
            }
        };
        // Who finds it taken (a second policy of the same name) computes: see below.
        if settled && let Some(mut meaning) = self.old_meanings.take(direction, cluster, old) {
            let keeps = |cols: &Cols| self.renaming.keeps(&cols.sure) && self.renaming.keeps(&cols.possible);
            if !meaning.iter().all(|part| keeps(&part.cols)) {
                for part in Arc::make_mut(&mut meaning) {
                    self.renaming.rename_cols(&mut part.cols, &mut self.scratch);
                }
            }
            builder.set_meaning(direction, cluster, new, meaning);
            self.same.insert(key, true);
            return true;
        }
        let meaning = builder.meaning(direction, cluster, new);
        let rank = |world: &World, policy: u32| {
            let policy = &world.cluster_policies[policy as usize];
            (policy.tier, policy.priority)
        };
        let same = self.old_meanings.get(direction, cluster, old).is_some_and(|old| self.means(old, &meaning))
            && (!cluster || rank(self.old.0, old) == rank(self.new.0, new));
        self.same.insert(key, same);
        same
    }

    /// The policy is what it was, and no new class can be among those that it means.
    fn is_settled(&self, cluster: bool, old: u32, new: u32) -> bool {
        let ((old_world, _), (new_world, _)) = (self.old, self.new);
        if !self.settled {
            return false;
        }
        if cluster {
            let (old, new) = (&old_world.cluster_policies[old as usize], &new_world.cluster_policies[new as usize]);
            return self.fresh_in.is_empty() && old == new;
        }
        let (old, new) = (&old_world.policies[old as usize], &new_world.policies[new as usize]);
        let stays_at_home = |rule: &Rule| match &rule.peers {
            Peers::Any(_) => false,
            Peers::Of(peers) => peers.iter().all(|p| matches!(p.kind, PeerKind::Pods { namespaces: None, .. })),
        };
        let unconcerned =
            || !self.fresh_in.contains(&new.namespace) && new.ingress.iter().chain(&new.egress).all(stays_at_home);
        (old.subject == new.subject && old.ingress == new.ingress && old.egress == new.egress)
            && (self.fresh_in.is_empty() || unconcerned())
    }

    fn means(&self, old: &Meaning, new: &Meaning) -> bool {
        old.len() == new.len()
            && old.iter().zip(new.iter()).all(|(old, new)| {
                old.same_ports(new)
                    && if self.renaming.is_identity() {
                        old.cols == new.cols
                    } else {
                        self.renaming.cols(&old.cols) == new.cols
                    }
            })
    }
}

fn namespace_of((world, classes): State<'_>, class: ClassId) -> NamespaceId {
    world.pods[classes.representative(class).index()].namespace
}

/// Labels of namespaces, nodes, and where pods live: what a policy's meaning rests on beside pods. (Names tell which
/// namespace is which: one more or one less is no matter to the classes of the others.)
fn same_surroundings(old: &World, new: &World) -> bool {
    let node = |n: &Node| (n.name.clone(), n.labels.clone(), n.addresses.clone());
    let mut at = 0;
    let known = |namespace: &Namespace| {
        while old.namespaces.get(at).is_some_and(|n| n.name < namespace.name) {
            at += 1;
        }
        let was = old.namespaces.get(at).filter(|n| n.name == namespace.name);
        was.is_none_or(|was| was.labels == namespace.labels && was.declared == namespace.declared)
    };
    old.pod_cidrs == new.pod_cidrs
        && old.nodes.iter().map(node).eq(new.nodes.iter().map(node))
        && new.namespaces.iter().all(known)
}

/// Old places of the new world's NetworkPolicies; both lists are sorted by namespace and name.
fn policies(old: &World, new: &World) -> Vec<Option<u32>> {
    let namespaces: Vec<&str> = old.namespaces.iter().map(|n| &*n.name).collect();
    let mut at = 0;
    let place = |policy: &watertight_model::NetworkPolicy| {
        let wanted = (&*new.namespaces[policy.namespace.index()].name, &*policy.name);
        while let Some(candidate) = old.policies.get(at) {
            match (namespaces[candidate.namespace.index()], &*candidate.name).cmp(&wanted) {
                Ordering::Less => at += 1,
                Ordering::Equal => return Some(ClassId::at(at).0),
                Ordering::Greater => return None,
            }
        }
        None
    };
    new.policies.iter().map(place).collect()
}

fn cluster_policies(old: &World, new: &World) -> Vec<Option<u32>> {
    let known: FxHashMap<_, u32> =
        old.cluster_policies.iter().enumerate().map(|(i, p)| ((p.kind, &*p.name), ClassId::at(i).0)).collect();
    new.cluster_policies.iter().map(|p| known.get(&(p.kind, &*p.name)).copied()).collect()
}
