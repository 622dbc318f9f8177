//! Whom an assertion means in a world.
//!
//! What matches nothing is not an empty set: it is an [`Unmatched`], with near names. The static check and a live probe both ask
//! here, so that they speak of the same pods.

use crate::file::{Namespaces, Who, WhoKind};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use watertight_engine::Engine;
use watertight_engine::query::{Target, near};
use watertight_engine::selector::{matches, matches_namespace};
use watertight_engine::tri::Tri;
use watertight_model::{
    Cidr, Endpoint, Family, NamespaceId, NodeId, Op, Origin, PodId, Selector, ServiceId, WorkloadId,
};

/// Everyone that an entry, or a side, means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Pods that are not finished.
    pub pods: BTreeSet<PodId>,
    /// Nodes.
    pub nodes: BTreeSet<NodeId>,
    /// Addresses outside the cluster.
    pub outside: Vec<Cidr>,
    /// Services, by their backends.
    pub services: BTreeSet<ServiceId>,
}

impl Members {
    fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.nodes.is_empty() && self.outside.is_empty() && self.services.is_empty()
    }

    fn add(&mut self, other: &Members) {
        self.pods.extend(&other.pods);
        self.nodes.extend(&other.nodes);
        self.outside.extend(other.outside.iter().filter(|c| !self.outside.contains(c)).copied().collect::<Vec<_>>());
        self.services.extend(&other.services);
    }
}

/// An entry that means nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The entry in words.
    pub what: String,
    /// Where it is written.
    pub at: Origin,
    /// Why it means nobody.
    pub why: String,
    /// What may have been meant.
    pub near: Vec<String>,
}

/// Why an entry means nobody, and what may have been meant.
type Nobody = (String, Vec<String>);

type Found = Result<Members, Nobody>;

/// Finds members, and remembers them: files repeat who they speak of.
pub struct Finder<'e, 'w> {
    engine: &'e Engine<'w>,
    pods_of: BTreeMap<WorkloadId, Vec<PodId>>,
    known: BTreeMap<WhoKind, Rc<Found>>,
}

impl<'e, 'w> Finder<'e, 'w> {
    /// Prepares; linear in pods.
    pub fn new(engine: &'e Engine<'w>) -> Self {
        let mut pods_of: BTreeMap<WorkloadId, Vec<PodId>> = BTreeMap::new();
        for (i, pod) in engine.world().pods.iter().enumerate().filter(|(_, p)| !p.finished) {
            pods_of.entry(pod.workload).or_default().push(PodId::at(i));
        }
        Self { engine, pods_of, known: BTreeMap::new() }
    }

    /// Everyone of a side. Entries that mean nobody are added to `unmatched`.
    pub fn side(&mut self, side: &[Who], unmatched: &mut Vec<Unmatched>) -> Members {
        let mut out = Members::default();
        for who in side {
            match &*self.entry(&who.kind) {
                Ok(members) => out.add(members),
                Err((why, near)) => unmatched.push(Unmatched {
                    what: who.kind.words(),
                    at: who.origin,
                    why: why.clone(),
                    near: near.clone(),
                }),
            }
        }
        out
    }

    fn entry(&mut self, kind: &WhoKind) -> Rc<Found> {
        if let Some(known) = self.known.get(kind) {
            return Rc::clone(known);
        }
        let found = self.find(kind).and_then(|members| match members.is_empty() {
            true => Err(self.nobody(kind)),
            false => Ok(members),
        });
        let found = Rc::new(found);
        self.known.insert(kind.clone(), Rc::clone(&found));
        found
    }

    fn find(&self, kind: &WhoKind) -> Found {
        let world = self.engine.world();
        let mut out = Members::default();
        match kind {
            WhoKind::Workload(name) => match self.target(name)? {
                Target::Workload(id) => out.pods.extend(self.pods_of.get(&id).into_iter().flatten()),
                Target::Pod(id) => out.pods.extend((!world.pods[id.index()].finished).then_some(id)),
                // The name has no prefix that would give one.
                Target::Node(_) | Target::Ip(_) | Target::Service(_) => {}
            },
            WhoKind::Service(name) => match self.target(&format!("service:{name}"))? {
                Target::Service(id) => out.services.extend([id]),
                Target::Workload(_) | Target::Pod(_) | Target::Node(_) | Target::Ip(_) => {}
            },
            WhoKind::Ip(ip) => match self.engine.endpoint_of(*ip) {
                Endpoint::Pod(id) => out.pods.extend([id]),
                Endpoint::Node(id) => out.nodes.extend([id]),
                Endpoint::External(ip) => out.outside.push(Cidr::host(ip)),
            },
            WhoKind::Block(block) => {
                let inside = |ips: &[std::net::IpAddr]| ips.iter().any(|ip| block.contains(*ip));
                let pods = world.pods.iter().enumerate().filter(|(_, p)| !p.finished && inside(&p.ips));
                out.pods.extend(pods.map(|(i, _)| PodId::at(i)));
                let nodes = world.nodes.iter().enumerate().filter(|(_, n)| inside(&n.addresses));
                out.nodes.extend(nodes.map(|(i, _)| NodeId::at(i)));
                out.outside.push(*block);
            }
            WhoKind::Outside => {
                let families = watertight_engine::reach::external::families_in_use(self.engine);
                let families = if families.is_empty() { vec![Family::V4] } else { families };
                out.outside.extend(families.into_iter().map(Cidr::all));
            }
            WhoKind::Node(name) => out.nodes.extend(world.node(name)),
            WhoKind::Nodes(labels) => {
                let nodes = world.nodes.iter().enumerate().filter(|(_, n)| matches(labels, &n.labels));
                out.nodes.extend(nodes.map(|(i, _)| NodeId::at(i)));
            }
            WhoKind::Pods { namespaces, pods } => {
                let here = self.namespaces(namespaces)?;
                for (i, pod) in world.pods.iter().enumerate() {
                    if here[pod.namespace.index()] && !pod.finished && matches(pods, &pod.labels) {
                        out.pods.insert(PodId::at(i));
                    }
                }
            }
        }
        Ok(out)
    }

    fn target(&self, name: &str) -> Result<Target, Nobody> {
        Target::parse(self.engine, name).map_err(|e| {
            let near = e.near.into_iter().map(|n| n.trim_start_matches("service:").to_owned());
            (e.why, near.collect())
        })
    }

    /// Which namespaces are meant. One whose labels were not read, and could match, is an error: who is meant is not known.
    fn namespaces(&self, of: &Namespaces) -> Result<Vec<bool>, Nobody> {
        let world = self.engine.world();
        let ids = || (0..world.namespaces.len()).map(NamespaceId::at);
        match of {
            Namespaces::Every => Ok(vec![true; world.namespaces.len()]),
            Namespaces::Named(name) => match world.namespace(name) {
                Some(wanted) => Ok(ids().map(|id| id == wanted).collect()),
                None => {
                    let names = world.namespaces.iter().map(|n| n.name.to_string());
                    Err(("no such namespace".to_owned(), near(name, names)))
                }
            },
            Namespaces::Of(labels) => {
                let mut out = Vec::with_capacity(world.namespaces.len());
                for id in ids() {
                    let found = matches_namespace(world, id, labels);
                    if matches!(found, Tri::Maybe(_)) {
                        let name = &world.namespaces[id.index()].name;
                        return Err((
                            format!("the labels of namespace {name} were not read: give its object too"),
                            vec![],
                        ));
                    }
                    out.push(matches!(found, Tri::Yes));
                }
                if !out.contains(&true) {
                    let labels_here = world.namespaces.iter().flat_map(|n| n.labels.iter());
                    return Err(("no namespace has these labels".to_owned(), near_labels(labels, labels_here)));
                }
                Ok(out)
            }
        }
    }

    /// Why a selection that is well-formed and names things that exist means nobody.
    fn nobody(&self, kind: &WhoKind) -> Nobody {
        let world = self.engine.world();
        match kind {
            WhoKind::Workload(_) => ("it has no running pod".to_owned(), Vec::new()),
            WhoKind::Node(name) => {
                ("no such node".to_owned(), near(name, world.nodes.iter().map(|n| n.name.to_string())))
            }
            WhoKind::Nodes(labels) => {
                let here = world.nodes.iter().flat_map(|n| n.labels.iter());
                ("no node has these labels".to_owned(), near_labels(labels, here))
            }
            WhoKind::Pods { namespaces, pods } => {
                let Ok(here) = self.namespaces(namespaces) else { return ("no pod".to_owned(), Vec::new()) };
                let own = world.pods.iter().filter(|p| here[p.namespace.index()] && !p.finished);
                let labels = near_labels(pods, own.flat_map(|p| p.labels.iter()));
                let why = if pods.is_everything() { "there is no pod" } else { "no pod has these labels" };
                (why.to_owned(), labels)
            }
            WhoKind::Service(_) | WhoKind::Ip(_) | WhoKind::Block(_) | WhoKind::Outside => {
                ("nobody is there".to_owned(), Vec::new())
            }
        }
    }
}

/// Labels that exist and are near to those that a selector wants.
fn near_labels<'a>(
    selector: &Selector,
    labels: impl Iterator<Item = (&'a watertight_model::Str, &'a watertight_model::Str)>,
) -> Vec<String> {
    let all: BTreeSet<String> = labels.map(|(k, v)| format!("{k}={v}")).collect();
    let wanted = selector.requirements.iter().filter_map(|r| match &r.op {
        Op::In(values) => values.first().map(|v| format!("{}={v}", r.key)),
        Op::NotIn(_) | Op::Exists | Op::DoesNotExist | Op::Unknown(_) => None,
    });
    let missing: Vec<String> = wanted.filter(|w| !all.contains(w)).collect();
    missing.first().map(|w| near(w, all.iter().cloned())).unwrap_or_default()
}
