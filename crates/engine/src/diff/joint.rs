//! Who is compared: workloads of both worlds matched by name, and imagined pods put into copies of both.

use super::Party;
use crate::Engine;
use crate::classes::ClassId;
use crate::connections::classes_of_workloads;
use crate::imagine::{self, Home, Imagined};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Labels, NamespaceId, Str, WorkloadId, World};

/// Two worlds side by side.
pub(super) struct Joint {
    /// Who is compared.
    pub(super) parties: Vec<Party>,
    /// Both worlds with the imagined pods. Ids of workloads and policies are those of the worlds given; ids of pods are not.
    pub(super) worlds: [World; 2],
    /// Per party its workload in each of [`Self::worlds`].
    pub(super) ids: Vec<[Option<WorkloadId>; 2]>,
}

impl Joint {
    pub(super) fn of(before: &World, after: &World) -> Self {
        let names = |world: &World| world.namespaces.iter().map(|n| n.name.clone()).collect::<BTreeSet<Str>>();
        let shared: Vec<Str> = names(before).intersection(&names(after)).cloned().collect();
        let (first, first_ids) = tomorrow(before, &shared);
        let (second, second_ids) = tomorrow(after, &shared);
        let mut matched: BTreeMap<(Str, Str, &str), [Option<WorkloadId>; 2]> = BTreeMap::new();
        for (side, world) in [before, after].into_iter().enumerate() {
            for id in with_pods(world) {
                let this = &world.workloads[id.index()];
                let namespace = world.namespaces[this.namespace.index()].name.clone();
                matched.entry((namespace, this.name.clone(), this.kind.name())).or_default()[side] = Some(id);
            }
        }
        let mut parties = Vec::new();
        let mut ids = Vec::new();
        for pair in matched.into_values() {
            parties.push(Party::Workload { before: pair[0], after: pair[1] });
            ids.push(pair);
        }
        for (i, name) in shared.iter().enumerate() {
            if let (Some(b), Some(a)) = (before.namespace(name), after.namespace(name)) {
                parties.push(Party::NewPod { before: b, after: a });
                ids.push([first_ids.get(i).copied(), second_ids.get(i).copied()]);
            }
        }
        parties.push(Party::NewNamespace);
        ids.push([first_ids.last().copied(), second_ids.last().copied()]);
        Self { parties, worlds: [first, second], ids }
    }

    /// Per party the classes of its pods; none where it is not there.
    pub(super) fn classes(&self, side: usize, engine: &Engine<'_>) -> Vec<Vec<ClassId>> {
        let of = classes_of_workloads(engine);
        let classes = |id: WorkloadId| of[id.index()].iter().map(|(class, _)| *class).collect();
        self.ids.iter().map(|ids| ids[side].map_or_else(Vec::new, classes)).collect()
    }

    /// The party stands for more than one pod in some world, so that it has traffic with itself.
    pub(super) fn has_replicas(&self, party: usize) -> bool {
        let many = |side: usize, id: WorkloadId| {
            let world = &self.worlds[side];
            let mut pods = world.pods.iter().filter(|p| p.workload == id && !p.finished);
            let (first, second) = (pods.next(), pods.next());
            let wanted = world.workloads[id.index()].replicas;
            second.is_some() || first.is_some_and(|p| p.template && wanted.is_none_or(|n| n > 1))
        };
        let ids = self.ids[party];
        !self.parties[party].is_imagined() && (0..2).any(|side| ids[side].is_some_and(|id| many(side, id)))
    }
}

/// Workloads with a pod that is not finished, ascending.
fn with_pods(world: &World) -> BTreeSet<WorkloadId> {
    world.pods.iter().filter(|p| !p.finished).map(|p| p.workload).collect()
}

/// A copy with one more pod in every namespace of `shared` (sorted) and one in a namespace of its own, last. The second
/// value is their workloads, in this order.
fn tomorrow(world: &World, shared: &[Str]) -> (World, Vec<WorkloadId>) {
    let names = (0..world.namespaces.len()).map(NamespaceId::at);
    let here = names.filter(|ns| shared.binary_search(&world.namespaces[ns.index()].name).is_ok());
    let homes = here.map(Home::In).chain([Home::New(Labels::default())]);
    let wanted: Vec<Imagined> = homes.map(|home| Imagined { home, labels: Labels::default() }).collect();
    let (out, _, made) = imagine::with(world, &wanted);
    let workloads = made.iter().map(|pod| out.pods[pod.index()].workload).collect();
    (out, workloads)
}
