//! Which edit makes a difference: a flow that shows it is decided in worlds between the two, with some edits applied.
//!
//! Only what concerns the flow is considered: policies that select its pods, their namespaces, the pods, their nodes. An
//! answer is what the engine said of such worlds, never a likeness of names.

use super::edits::Policies;
use super::joint::Joint;
use super::sample::{Decided, Place, Sample, address};
use super::{Cause, Edit, End, Object, Row, Shift};
use crate::Engine;
use crate::classes::ClassId;
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{PodId, PolicyRef, Verdict, WorkloadId};

/// Pairs of pods that are tried before a difference counts as one of no single flow.
const TRIES: usize = 48;
/// Classes of a workload that are tried per world.
const CLASSES: usize = 3;
/// Edits that concern one flow; past it no set of them is looked for.
const EDITS: usize = 256;

/// Fills in the causes of the first `limit` shifts.
pub(super) fn explain(joint: &Joint, engines: &[Engine<'_>; 2], rows: &mut [Row], limit: usize) {
    let shifts: usize = rows.iter().map(|r| r.shifts.len()).sum();
    if shifts == 0 || limit == 0 {
        return;
    }
    let policies = Policies::of(&joint.worlds);
    let pods = [0, 1].map(|side: usize| pods_of(joint, side));
    let mut known: BTreeMap<usize, Vec<[PodId; 2]>> = BTreeMap::new();
    let mut left = limit;
    for row in rows {
        let ends = [row.from.clone(), row.to.clone()];
        for shift in &mut row.shifts {
            if left == 0 {
                return;
            }
            left -= 1;
            let mut of = |end: &End| match end {
                End::Party(party) => {
                    let pairs = known.entry(*party).or_insert_with(|| candidates(joint, engines, &pods, *party));
                    pairs.iter().map(|pods| Place::Pod { party: *party, pods: *pods }).collect()
                }
                End::External(_) => address(end).map(Place::Address).into_iter().collect::<Vec<Place>>(),
            };
            let exist = ends.iter().all(|end| match end {
                End::Party(party) => joint.parties[*party].in_both(),
                End::External(_) => true,
            });
            shift.cause = Some(match exist {
                false => Cause::Existence,
                true => cause(joint, &policies, &of(&ends[0]), &of(&ends[1]), shift),
            });
        }
    }
}

/// Pods of each workload that are not finished.
fn pods_of(joint: &Joint, side: usize) -> BTreeMap<WorkloadId, Vec<PodId>> {
    let mut out: BTreeMap<WorkloadId, Vec<PodId>> = BTreeMap::new();
    for (i, pod) in joint.worlds[side].pods.iter().enumerate().filter(|(_, p)| !p.finished) {
        out.entry(pod.workload).or_default().push(PodId::at(i));
    }
    out
}

/// Pods of a party to look at, as (in the first world, in the second): the same pods first, one of each kind, then one of each
/// class with one of each other.
fn candidates(
    joint: &Joint,
    engines: &[Engine<'_>; 2],
    pods: &[BTreeMap<WorkloadId, Vec<PodId>>; 2],
    party: usize,
) -> Vec<[PodId; 2]> {
    let own = |side: usize| -> &[PodId] {
        joint.ids[party][side].and_then(|id| pods[side].get(&id)).map_or(&[], Vec::as_slice)
    };
    let class = |side: usize, pod: PodId| engines[side].classes().class_of(pod);
    let name = |side: usize, pod: PodId| &joint.worlds[side].pods[pod.index()].name;
    let by_name: BTreeMap<_, PodId> = own(1).iter().map(|p| (name(1, *p), *p)).collect();
    let mut seen: BTreeMap<(Option<ClassId>, Option<ClassId>), usize> = BTreeMap::new();
    let mut out = Vec::new();
    for first in own(0) {
        if let Some(second) = by_name.get(name(0, *first)) {
            // Two of a kind: a workload's traffic with itself needs two pods.
            let n = seen.entry((class(0, *first), class(1, *second))).or_default();
            *n += 1;
            if *n <= 2 && out.len() < CLASSES * CLASSES {
                out.push([*first, *second]);
            }
        }
    }
    let kinds = |side: usize| {
        let mut classes = BTreeSet::new();
        let new = own(side).iter().filter(|p| classes.insert(class(side, **p)));
        new.copied().take(CLASSES).collect::<Vec<PodId>>()
    };
    for first in kinds(0) {
        for second in kinds(1) {
            if seen.insert((class(0, first), class(1, second)), 1).is_none() {
                out.push([first, second]);
            }
        }
    }
    out
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Deny => 0,
        Verdict::Depends => 1,
        Verdict::Allow => 2,
    }
}

fn cause(joint: &Joint, policies: &Policies, from: &[Place], to: &[Place], shift: &Shift) -> Cause {
    let Some((protocol, port, _)) = shift.ports.iter().next() else { return Cause::NotFound };
    let mut pairs: Vec<[Place; 2]> = from.iter().flat_map(|a| to.iter().map(|b| [*a, *b])).collect();
    // A pod and itself is no connection; if there is no other pod, two of a kind stand for replicas.
    pairs.sort_by_key(is_itself);
    for ends in pairs.into_iter().take(TRIES) {
        let sample = Sample::new(joint, policies, ends, (protocol, port));
        let (before, after) = (sample.decide(&|_| false), sample.decide(&|_| true));
        let (b, a) = (rank(before.verdict), rank(after.verdict));
        if (shift.opens() && a > b) || (!shift.opens() && a < b) {
            return search(&sample, &before, &after);
        }
    }
    Cause::NotFound
}

fn is_itself(ends: &[Place; 2]) -> bool {
    match ends {
        [Place::Pod { pods: a, .. }, Place::Pod { pods: b, .. }] => a[0] == b[0] || a[1] == b[1],
        _ => false,
    }
}

/// The edits that turn the first verdict into the second.
fn search(sample: &Sample<'_>, before: &Decided, after: &Decided) -> Cause {
    let count = sample.edits.len();
    let edit = |i: usize| Edit { object: sample.edits[i], at: place(sample.edits[i], before, after) };
    match count {
        0 => return Cause::NotFound,
        1 => return Cause::One(edit(0)),
        n if n > EDITS => return Cause::NotFound,
        _ => {}
    }
    let alone: Vec<usize> = (0..count).filter(|e| sample.decide(&|i| i == *e).verdict == after.verdict).collect();
    let undoes = |e: usize| sample.decide(&|i| i != e).verdict == before.verdict;
    if let Some(one) = alone.iter().copied().find(|e| undoes(*e)) {
        return Cause::One(edit(one));
    }
    if !alone.is_empty() {
        return Cause::EachAlone(alone.into_iter().map(edit).collect());
    }
    // Leave out one edit after another for as long as the rest still does it.
    let mut kept = vec![true; count];
    for e in 0..count {
        kept[e] = false;
        if sample.decide(&|i| kept.get(i).copied().unwrap_or(false)).verdict != after.verdict {
            kept[e] = true;
        }
    }
    Cause::Together((0..count).filter(|e| kept[*e]).map(edit).collect())
}

/// The rule of an edited policy that decides: after the edit, else before it.
fn place(object: Object, before: &Decided, after: &Decided) -> Option<(bool, watertight_model::RuleRef)> {
    let Object::Policy { before: old, after: new } = object else { return None };
    let cites = |decided: &Decided, second: bool, policy: Option<PolicyRef>| {
        decided.by.iter().find(|(s, rule)| *s == second && Some(rule.policy) == policy).copied()
    };
    cites(after, true, new).or_else(|| cites(before, false, old))
}
