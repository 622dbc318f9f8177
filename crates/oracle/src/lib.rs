//! What Kubernetes policy means, slow and obvious.
//!
//! In: a [`World`] and a [`Flow`]. Out: a [`FlowVerdict`]. Written from the API's own comments (NetworkPolicy v1,
//! ClusterNetworkPolicy v1alpha2 and its predecessors) and from `docs/semantics.md`, to be held beside them: every
//! question loops over everything, nothing is cached, indexed or shared with `watertight-engine`, whose judge this is.
//! It answers no question of a user: it judges tests and random worlds, and confirms the certificates that `learn` writes. It
//! does not explain, read files or bound its time.
//!
//! Reading order: `tri` (yes, no, unclear), `matching` (selectors, blocks, ports), `v1` and `cluster` (one kind of policy
//! each), `half` (the tiers in order).

mod cluster;
mod half;
mod matching;
mod tri;
mod v1;

#[cfg(test)]
mod tests;

use half::{Question, Ways};
use watertight_model::*;

/// A verdict, and for each half whether any unclear match was met on the way to it. Where none was, the half's reason and
/// `decided_by` are exact; else only its verdict is, and `depends_on` names at least what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The answer.
    pub verdict: FlowVerdict,
    /// An unclear match was met while deciding the egress half.
    pub egress_unclear: bool,
    /// An unclear match was met while deciding the ingress half.
    pub ingress_unclear: bool,
}

/// The answer for a flow. Its endpoints must be of this world.
pub fn decide(world: &World, flow: &Flow) -> FlowVerdict {
    decide_traced(world, flow).verdict
}

/// As [`decide`], and says whether anything unclear was met.
pub fn decide_traced(world: &World, flow: &Flow) -> Traced {
    let (egress, egress_unclear) = side(world, flow, Direction::Egress);
    let (ingress, ingress_unclear) = side(world, flow, Direction::Ingress);
    let verdict = FlowVerdict { verdict: egress.verdict.and(ingress.verdict), egress, ingress };
    Traced { verdict, egress_unclear, ingress_unclear }
}

/// Leaving the source, or entering the destination; and whether anything unclear was met.
fn side(world: &World, flow: &Flow, direction: Direction) -> (Half, bool) {
    let (subject, peer) = match direction {
        Direction::Egress => (flow.from, flow.to),
        Direction::Ingress => (flow.to, flow.from),
    };
    let mut ways = Ways::default();
    match subject {
        // A pod cannot block access to itself; through a Service it can (rows 92 to 94).
        Endpoint::Pod(_) if flow.from == flow.to && !flow.via_service => ways.add(Reason::OwnAddress, []),
        Endpoint::Pod(subject) => ways = half::decide(&Question { world, direction, subject, peer, l4: flow.l4 }),
        Endpoint::Node(_) | Endpoint::External(_) => ways.add(Reason::NotSubject, []),
    }
    let unclear = !ways.depends_on.is_empty();
    let mut half = half::conclude(ways);
    // What no policy can block, one that is not evaluated cannot either.
    let never_blocked = !unclear && matches!(half.reason, Reason::OwnAddress | Reason::LocalNode);
    if let (Endpoint::Pod(id), false) = (subject, never_blocked) {
        not_evaluated(world, &world.pods[id.index()], &mut half);
    }
    (half, unclear)
}

/// Policies of kinds that are not evaluated could change the answer (U11).
fn not_evaluated(world: &World, subject: &Pod, half: &mut Half) {
    for (policy, i) in world.foreign_policies.iter().zip(0u32..) {
        if !subject.finished && policy.namespace.is_none_or(|namespace| namespace == subject.namespace) {
            half.verdict = Verdict::Depends;
            half.depends_on.push(DependsOn::ForeignPolicy(i)); // the last kind: the list stays sorted
        }
    }
}
