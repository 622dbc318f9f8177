//! Exposure: what a workload would be open to from pods and namespaces that do not exist yet.
//!
//! In: a world. Out: per workload the ports that it admits from (or may open to) pods that somebody could still make, and which
//! pods those are. The pods are really put into a copy of the world and the engine is asked; nothing is concluded from
//! the text of a rule. Three kinds are made: a pod without labels in a new namespace without labels ("anyone"), a pod without
//! labels in each namespace that exists, and, for every pair of selectors that a peer of some rule has, a pod and where it is
//! needed a namespace with the fewest labels that satisfy both.
//!
//! A pod that several peers match may be admitted by all of them; each stands on its own here. Where cluster policies deny by label,
//! a pod with further labels may be open to more or to less than the one that was tried.

use crate::Engine;
use crate::connections::{Detail, Party, units};
use crate::explain::half;
use crate::imagine::{self, Home, Imagined};
use crate::query::stretches;
use crate::reach::{PortPair, Reach};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{
    ClusterPeer, Direction, Endpoint, Labels, NamespaceId, PeerKind, Peers, PodId, PortSet, Reason, RuleRef, Selector,
    Verdict, World,
};

/// Pods that do not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Future {
    /// Any pod, in any namespace that somebody may make.
    Anyone,
    /// Any pod in this namespace.
    In(NamespaceId),
    /// Pods with at least these labels in this namespace.
    Labelled(NamespaceId, Labels),
    /// Pods with at least these labels in namespaces with at least these: namespace's, pod's.
    Elsewhere(Labels, Labels),
}

/// A workload and pods that do not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// All pods of a workload, or a part of them with the same connections; pods by their ids in the world given.
    pub party: Party,
    /// Ingress: they reach it. Egress: it reaches them.
    pub direction: Direction,
    /// Who.
    pub future: Future,
    /// Ports, beyond those that are open to everyone anyway ([`Future::Anyone`], [`Future::In`]).
    pub ports: PortPair,
    /// Rules on the workload's side that decide on these ports, ascending; for ports that depend, those whose match is unclear.
    pub decided_by: Vec<RuleRef>,
    /// On some of the ports no policy has a say on the workload's side.
    pub by_default: bool,
}

/// All exposures, by workload, direction and pods. Only what is open to some pod that does not exist is listed.
pub fn exposure(world: &World) -> Vec<Exposed> {
    let futures = futures(world);
    let wanted: Vec<Imagined> = futures.iter().map(imagined).collect();
    let (copy, moved, made) = imagine::with(world, &wanted);
    let engine = Engine::new(&copy);
    let reach = Reach::of(&engine);
    let back: BTreeMap<PodId, usize> = moved.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    // Wider groups of which each is a part, and whose ports it has anyway.
    let wider = |future: &Future| (0..futures.len()).filter(|j| contains(&futures[*j], future)).collect();
    let wider: Vec<Vec<usize>> = futures.iter().map(wider).collect();
    let mut out = Vec::new();
    for unit in units(&engine, &reach, Detail::Workloads) {
        if unit.workload.index() >= world.workloads.len() {
            continue;
        }
        let party = match unit.party {
            Party::Workload { workload, part } => {
                let real = |p| back.get(&p).map(|i| PodId::at(*i));
                Party::Workload { workload, part: part.map(|pods| pods.into_iter().filter_map(real).collect()) }
            }
            other => other,
        };
        for direction in [Direction::Ingress, Direction::Egress] {
            let ports = |i: usize| {
                let class = engine.classes().class_of(made[i])?;
                Some(match direction {
                    Direction::Ingress => reach.ports(class, unit.class),
                    Direction::Egress => reach.ports(unit.class, class),
                })
            };
            for (i, future) in futures.iter().enumerate() {
                let Some(open) = ports(i) else { continue };
                let mut rest = open.clone();
                for j in &wider[i] {
                    if let Some(known) = ports(*j) {
                        rest = PortPair {
                            sure: rest.sure.minus(&known.sure),
                            possible: rest.possible.minus(&known.possible),
                        };
                    }
                }
                if rest.possible.is_empty() {
                    continue;
                }
                let subject = engine.classes().representative(unit.class);
                let (decided_by, by_default) = grounds(&engine, subject, made[i], direction, &rest.possible);
                let (party, future) = (party.clone(), future.clone());
                out.push(Exposed { party, direction, future, ports: rest, decided_by, by_default });
            }
        }
    }
    out.sort_by(|a, b| (&a.party, a.direction, &a.future).cmp(&(&b.party, b.direction, &b.future)));
    out
}

/// Which rules on the subject's side decide on these ports, and whether on some nobody does. Policies keep their ids in the copy.
fn grounds(
    engine: &Engine<'_>,
    subject: PodId,
    other: PodId,
    direction: Direction,
    ports: &PortSet,
) -> (Vec<RuleRef>, bool) {
    let (from, to) = match direction {
        Direction::Ingress => (other, subject),
        Direction::Egress => (subject, other),
    };
    let (mut rules, mut by_default) = (BTreeSet::new(), false);
    for stretch in stretches(engine, Endpoint::Pod(from), Endpoint::Pod(to), ports) {
        let half = half(&stretch.verdict, direction);
        // What depends on the node is told of a class, and may be denied for one pod of it.
        if half.verdict == Verdict::Deny {
            continue;
        }
        by_default |= half.reason == Reason::DefaultAllow;
        rules.extend(half.decided_by.iter().copied());
    }
    (rules.into_iter().collect(), by_default)
}

/// The first group holds every pod of the second, and is another one.
fn contains(wide: &Future, narrow: &Future) -> bool {
    match (wide, narrow) {
        (Future::Anyone, Future::Anyone) => false,
        (Future::Anyone, _) => true,
        (Future::In(a), Future::Labelled(b, _)) => a == b,
        (Future::Elsewhere(a, b), Future::Elsewhere(c, d)) => wide != narrow && part(a, c) && part(b, d),
        _ => false,
    }
}

/// Every kind of pod worth trying.
fn futures(world: &World) -> Vec<Future> {
    let mut out: BTreeSet<Future> = BTreeSet::from([Future::Anyone]);
    out.extend((0..world.namespaces.len()).map(|i| Future::In(NamespaceId::at(i))));
    let everything = Selector::everything();
    for policy in &world.policies {
        for rule in policy.ingress.iter().chain(&policy.egress) {
            let Peers::Of(peers) = &rule.peers else { continue };
            for peer in peers {
                let PeerKind::Pods { namespaces, pods } = &peer.kind else { continue };
                let pods = pods.as_ref().unwrap_or(&everything);
                match namespaces {
                    None => out.extend(imagine::labels_for(pods).map(|l| Future::Labelled(policy.namespace, l))),
                    Some(namespaces) => elsewhere(world, namespaces, pods, &mut out),
                }
            }
        }
    }
    for rule in world.cluster_policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)) {
        for peer in &rule.peers {
            if let ClusterPeer::Pods { namespaces, pods, .. } = peer {
                elsewhere(world, namespaces, pods, &mut out);
            }
        }
    }
    // Without labels they are the groups above.
    out.retain(|f| !matches!(f, Future::Labelled(_, l) if l.is_empty()));
    out.retain(|f| !matches!(f, Future::Elsewhere(n, p) if n.is_empty() && p.is_empty()));
    out.into_iter().collect()
}

/// Pods of one peer in a new namespace, and in those that exist and match.
fn elsewhere(world: &World, namespaces: &Selector, pods: &Selector, out: &mut BTreeSet<Future>) {
    let Some(labels) = imagine::labels_for(pods) else { return };
    for (i, namespace) in world.namespaces.iter().enumerate() {
        if crate::selector::matches(namespaces, &namespace.labels) {
            out.insert(Future::Labelled(NamespaceId::at(i), labels.clone()));
        }
    }
    if let Some(home) = imagine::labels_for(namespaces) {
        // The label that the control plane sets is a name, and that namespace may exist.
        let taken =
            home.get(watertight_model::label::NAMESPACE_NAME_LABEL).is_some_and(|n| world.namespace(n).is_some());
        if !taken {
            out.insert(Future::Elsewhere(home, labels));
        }
    }
}

/// Every label of the first is one of the second.
fn part(some: &Labels, all: &Labels) -> bool {
    some.iter().all(|(key, value)| all.get(key) == Some(value))
}

fn imagined(future: &Future) -> Imagined {
    let none = Labels::default();
    let (home, labels) = match future {
        Future::Anyone => (Home::New(none.clone()), none),
        Future::In(ns) => (Home::In(*ns), none),
        Future::Labelled(ns, labels) => (Home::In(*ns), labels.clone()),
        Future::Elsewhere(home, labels) => (Home::New(home.clone()), labels.clone()),
    };
    Imagined { home, labels }
}
