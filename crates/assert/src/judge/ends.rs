//! One side of an assertion in groups whose members are all alike.

use crate::members::Members;
use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::classes::ClassId;
use watertight_model::{NodeId, PodId, ServiceId, World};

/// Members that no policy tells apart, and no exception either.
pub(super) struct End {
    pub(super) place: Place,
    /// Exceptions that speak of it, by bit.
    pub(super) mask: u64,
}

pub(super) enum Place {
    /// Pods of one class; never empty.
    Pods(ClassId, Vec<PodId>),
    Node(NodeId),
    /// The addresses of the side.
    Outside,
    Service(ServiceId),
}

/// Per exception everyone of this side that it means; `None`: any.
pub(super) struct Masks<'m>(pub(super) Vec<Option<&'m Members>>);

impl Masks<'_> {
    fn of(&self, holds: impl Fn(&Members) -> bool) -> u64 {
        let bits = self.0.iter().enumerate().filter(|(_, m)| m.is_none_or(&holds));
        bits.map(|(i, _)| 1 << i).sum()
    }
}

/// The groups of a side. `by_node`: hostNetwork traffic is among it, so that the node matters.
pub(super) fn ends(engine: &Engine<'_>, members: &Members, masks: &Masks<'_>, by_node: bool) -> Vec<End> {
    let world = engine.world();
    let mut groups: BTreeMap<(ClassId, Option<NodeId>, u64), Vec<PodId>> = BTreeMap::new();
    for pod in &members.pods {
        let Some(class) = engine.classes().class_of(*pod) else { continue };
        let node = world.pods[pod.index()].node.filter(|_| by_node);
        groups.entry((class, node, masks.of(|m| m.pods.contains(pod)))).or_default().push(*pod);
    }
    let mut out: Vec<End> =
        groups.into_iter().map(|((class, _, mask), pods)| End { place: Place::Pods(class, pods), mask }).collect();
    for node in &members.nodes {
        out.push(End { place: Place::Node(*node), mask: masks.of(|m| m.nodes.contains(node)) });
    }
    if !members.outside.is_empty() {
        out.push(End { place: Place::Outside, mask: masks.of(|m| !m.outside.is_empty()) });
    }
    for service in &members.services {
        out.push(End { place: Place::Service(*service), mask: masks.of(|_| false) });
    }
    out
}

impl End {
    /// How many ordered pairs of different ends these are; `None`: none.
    pub(super) fn pairs_with(&self, to: &End) -> Option<usize> {
        match (&self.place, &to.place) {
            (Place::Pods(_, a), Place::Pods(_, b)) => {
                let same = overlap(a, b);
                (a.len() * b.len()).checked_sub(same).filter(|n| *n > 0)
            }
            (Place::Node(a), Place::Node(b)) if a == b => None,
            // Nothing of ours lies between two ends that no policy has as a subject.
            (Place::Outside, Place::Outside) => None,
            (Place::Pods(_, a), _) => Some(a.len()),
            (_, Place::Pods(_, b)) => Some(b.len()),
            _ => Some(1),
        }
    }

    /// What people call it.
    pub(super) fn words(&self, world: &World) -> String {
        match &self.place {
            Place::Pods(_, pods) => pods.first().map_or_else(String::new, |p| world.pod_name(*p)),
            Place::Node(id) => format!("node {}", world.nodes[id.index()].name),
            Place::Outside => "outside".to_owned(),
            Place::Service(id) => {
                let this = &world.services[id.index()];
                format!("Service {}/{}", world.namespaces[this.namespace.index()].name, this.name)
            }
        }
    }
}

/// Members of both; the lists are sorted.
fn overlap(a: &[PodId], b: &[PodId]) -> usize {
    a.iter().filter(|pod| b.binary_search(pod).is_ok()).count()
}
