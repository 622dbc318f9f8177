//! One half of a verdict: the tiers in order, along every branch.

use crate::tri::Tri;
use crate::{cluster, v1};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::*;

/// May this peer reach this pod, or this pod that peer?
pub(crate) struct Question<'w> {
    pub(crate) world: &'w World,
    pub(crate) direction: Direction,
    pub(crate) subject: PodId,
    pub(crate) peer: Endpoint,
    pub(crate) l4: L4,
}

impl<'w> Question<'w> {
    pub(crate) fn subject(&self) -> &'w Pod {
        &self.world.pods[self.subject.index()]
    }

    /// The pod that receives the traffic, on which port names are looked up (rows 54, 55); not a finished one (107).
    pub(crate) fn receiver(&self) -> Option<&'w Pod> {
        match (self.direction, self.peer) {
            (Direction::Ingress, _) => Some(self.subject()),
            (Direction::Egress, Endpoint::Pod(id)) => Some(&self.world.pods[id.index()]).filter(|pod| !pod.finished),
            (Direction::Egress, Endpoint::Node(_) | Endpoint::External(_)) => None,
        }
    }
}

/// The ways in which a half may be decided, each with the rules that do so, and the unclear matches met on any way.
#[derive(Default)]
pub(crate) struct Ways {
    by_reason: BTreeMap<Reason, BTreeSet<RuleRef>>,
    unclear: BTreeSet<RuleRef>,
    pub(crate) depends_on: BTreeSet<DependsOn>,
}

impl Ways {
    pub(crate) fn add(&mut self, reason: Reason, rules: impl IntoIterator<Item = RuleRef>) {
        self.by_reason.entry(reason).or_default().extend(rules);
    }

    /// Remembers an unclear match of this rule (or of the policy's subject) and hands the answer on.
    pub(crate) fn note(&mut self, answer: Tri, rule: RuleRef) -> Tri {
        if let Tri::Unclear(on) = &answer {
            self.unclear.insert(rule);
            self.depends_on.extend(on);
        }
        answer
    }
}

/// The ways in which the half of a pod may be decided: Admin, then NetworkPolicy, then Baseline, then nobody had a say
/// (row 129).
pub(crate) fn decide(q: &Question<'_>) -> Ways {
    let mut ways = Ways::default();
    let local = local_node(q);
    if let Tri::Unclear(on) = &local {
        ways.depends_on.extend(on);
    }
    if local != Tri::No {
        ways.add(Reason::LocalNode, []);
    }
    if local == Tri::Yes {
        return ways;
    }
    let nobody = cluster::leaves(q, Tier::Admin, &mut ways)
        && v1::leaves(q, &mut ways)
        && cluster::leaves(q, Tier::Baseline, &mut ways);
    if nobody {
        ways.add(Reason::DefaultAllow, []);
    }
    ways
}

/// Ingress from the pod's own node, or from a hostNetwork pod there (U6, rows 96, 97, 157).
fn local_node(q: &Question<'_>) -> Tri {
    if q.direction == Direction::Egress {
        return Tri::No; // egress to the own node is subject to policy (row 99)
    }
    let node_of = |id: PodId| q.world.pods[id.index()].node.ok_or(Tri::unclear(DependsOn::NodeOfPod(id)));
    let source = match q.peer {
        Endpoint::Node(id) => Ok(id),
        Endpoint::Pod(id) if q.world.pods[id.index()].host_network => node_of(id),
        Endpoint::Pod(_) | Endpoint::External(_) => return Tri::No,
    };
    match (source, node_of(q.subject)) {
        (Ok(a), Ok(b)) => Tri::from_bool(a == b),
        (a, b) => Tri::any([a.err(), b.err()].into_iter().flatten()),
    }
}

/// Allow if all ways allow, deny if all deny, else depends.
pub(crate) fn conclude(ways: Ways) -> Half {
    let denies = |reason| matches!(reason, &Reason::AdminDeny | &Reason::PolicyDeny | &Reason::BaselineDeny);
    let (all, none) = (ways.by_reason.keys().all(denies), !ways.by_reason.keys().any(denies));
    let (verdict, reason, rules, on) = match ways.by_reason.into_iter().next() {
        Some((reason, rules)) if all => (Verdict::Deny, reason, rules, BTreeSet::new()),
        Some((reason, rules)) if none => (Verdict::Allow, reason, rules, BTreeSet::new()),
        _ => (Verdict::Depends, Reason::Unclear, ways.unclear, ways.depends_on),
    };
    Half { verdict, reason, decided_by: rules.into_iter().collect(), depends_on: on.into_iter().collect() }
}
