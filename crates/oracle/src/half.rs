//! One half of a verdict: the tiers in order, along every branch.

use crate::matching::node_of;
use crate::tri::Tri;
use crate::{cluster, v1};
use watertight_model::{DependsOn, Direction, Endpoint, Half, L4, Pod, PodId, Reason, RuleRef, Tier, Verdict, World};

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

    pub(crate) fn is_egress(&self) -> bool {
        self.direction == Direction::Egress
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

/// One way in which a half may be decided, with the rules that do so.
pub(crate) struct Way {
    pub(crate) reason: Reason,
    pub(crate) by: Vec<RuleRef>,
}

/// Unclear matches that were met on any branch.
#[derive(Default)]
pub(crate) struct Trace {
    rules: Vec<RuleRef>,
    depends_on: Vec<DependsOn>,
}

impl Trace {
    /// Remembers an unclear match of this rule (or of the policy's subject) and hands the answer on.
    pub(crate) fn note(&mut self, answer: Tri, rule: RuleRef) -> Tri {
        if let Tri::Unclear(on) = &answer {
            self.rules.push(rule);
            self.depends_on.extend(on);
        }
        answer
    }
}

/// A half that no policy is asked about.
pub(crate) fn settled(reason: Reason) -> Half {
    Half { verdict: Verdict::Allow, reason, decided_by: Vec::new(), depends_on: Vec::new() }
}

/// The half of a pod, and whether an unclear match was met.
pub(crate) fn decide(q: &Question<'_>) -> (Half, bool) {
    let mut trace = Trace::default();
    let mut ways = Vec::new();
    match local_node(q) {
        Tri::Yes => return (settled(Reason::LocalNode), false),
        Tri::No => {}
        Tri::Unclear(on) => {
            trace.depends_on.extend(on);
            ways.push(Way { reason: Reason::LocalNode, by: Vec::new() });
        }
    }
    // Admin, then NetworkPolicy, then Baseline, then nobody had a say (row 129).
    let (admin, left_by_admin) = cluster::ways(q, Tier::Admin, &mut trace);
    ways.extend(admin);
    if left_by_admin {
        let (namespaced, not_isolated) = v1::ways(q, &mut trace);
        ways.extend(namespaced);
        if not_isolated {
            let (baseline, left_by_baseline) = cluster::ways(q, Tier::Baseline, &mut trace);
            ways.extend(baseline);
            if left_by_baseline {
                ways.push(Way { reason: Reason::DefaultAllow, by: Vec::new() });
            }
        }
    }
    (conclude(q, ways, &trace), !trace.depends_on.is_empty())
}

/// Ingress from the pod's own node, or from a hostNetwork pod there (U6, rows 96, 97, 157).
fn local_node(q: &Question<'_>) -> Tri {
    if q.is_egress() {
        return Tri::No; // egress to the own node is subject to policy (row 99)
    }
    let source = match q.peer {
        Endpoint::Node(id) => Ok(id),
        Endpoint::Pod(id) if q.world.pods[id.index()].host_network => {
            node_of(q.world, id).map(|(node, _)| node).ok_or(DependsOn::NodeOfPod(id))
        }
        Endpoint::Pod(_) | Endpoint::External(_) => return Tri::No,
    };
    let own = node_of(q.world, q.subject).map(|(node, _)| node).ok_or(DependsOn::NodeOfPod(q.subject));
    match (source, own) {
        (Ok(a), Ok(b)) => Tri::from_bool(a == b),
        (Err(on), Ok(_)) | (Ok(_), Err(on)) => Tri::unclear(on),
        (Err(a), Err(b)) => Tri::Unclear(vec![a, b]),
    }
}

/// Allow if all ways allow, deny if all deny, else depends. Then policies that are not evaluated (U11).
fn conclude(q: &Question<'_>, ways: Vec<Way>, trace: &Trace) -> Half {
    let allow = ways.iter().all(|w| allows(w.reason));
    let deny = ways.iter().all(|w| !allows(w.reason));
    let mut half = match ways.iter().map(|w| w.reason).min() {
        Some(reason) if allow || deny => {
            let verdict = if allow { Verdict::Allow } else { Verdict::Deny };
            let by = ways.into_iter().filter(|w| w.reason == reason).flat_map(|w| w.by).collect();
            Half { verdict, reason, decided_by: by, depends_on: Vec::new() }
        }
        _ => Half {
            verdict: Verdict::Depends,
            reason: Reason::Unclear,
            decided_by: trace.rules.clone(),
            depends_on: trace.depends_on.clone(),
        },
    };
    for (policy, i) in q.world.foreign_policies.iter().zip(0u32..) {
        let concerns = policy.namespace.is_none_or(|namespace| namespace == q.subject().namespace);
        if concerns && !q.subject().finished {
            half.verdict = Verdict::Depends;
            half.depends_on.push(DependsOn::ForeignPolicy(i));
        }
    }
    half.decided_by.sort_unstable();
    half.decided_by.dedup();
    half.depends_on.sort_unstable();
    half.depends_on.dedup();
    half
}

fn allows(reason: Reason) -> bool {
    match reason {
        Reason::OwnAddress | Reason::NotSubject | Reason::LocalNode | Reason::DefaultAllow => true,
        Reason::AdminAccept | Reason::PolicyAllow | Reason::BaselineAccept => true,
        Reason::AdminDeny | Reason::PolicyDeny | Reason::BaselineDeny | Reason::Unclear => false,
    }
}
