//! Why: the steps of a verdict, for a denial the nearest miss and the smallest change that would allow it.

mod change;
mod extract;
mod miss;
pub mod words;

pub use extract::Extract;

use crate::Engine;
use crate::peers::{cluster_rule_matches, rule_matches};
use crate::selector::readable;
use crate::tri::Tri;
use watertight_model::{
    Direction, Endpoint, Flow, FlowVerdict, Half, Labels, PodId, PolicyRef, RuleRef, Selector, Verdict, World,
};

/// A verdict with what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The flow.
    pub flow: Flow,
    /// Its verdict.
    pub verdict: FlowVerdict,
    /// Egress, then ingress: every policy that selects the pod on that side, in the order in which tiers ask them, and what
    /// each of its rules says.
    pub steps: Vec<Step>,
    /// For a half that is denied or unclear: rules that would admit the flow but for few conditions, nearest first; at most
    /// 3 a half.
    pub near_misses: Vec<NearMiss>,
    /// For a denial: the smallest edits that would allow the flow, one for each denying half; they were checked together by
    /// deciding the flow again in the edited world. Empty if no single edit of ours does it.
    pub changes: Vec<Change>,
}

/// One policy on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which side.
    pub direction: Direction,
    /// The policy.
    pub policy: PolicyRef,
    /// What each of its rules in this direction says, in order.
    pub rules: Vec<(RuleRef, RuleSays)>,
}

/// What one rule says about a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSays {
    /// It matches.
    Matches,
    /// It does not, because of these parts.
    Misses(Vec<Miss>),
    /// It may.
    Unclear,
}

/// Why a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Miss {
    /// The port is not listed.
    Port,
    /// The port is listed for another protocol.
    Protocol,
    /// A namespace part matches, the pod selector does not.
    PodLabels,
    /// A pod selector matches, its namespace part does not.
    Namespace,
    /// The address is in a block and in one of its exceptions.
    Except,
    /// The address is outside every block.
    Address,
    /// No peer entry selects the other side.
    Peer,
}

/// A rule that nearly admits the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The rule.
    pub rule: RuleRef,
    /// What is missing; the fewer the nearer.
    pub misses: Vec<Miss>,
    /// One plain sentence, lower case, no full stop, such as "`shop/db-in` rule 0 admits this peer, but only on TCP 5432".
    pub sentence: String,
}

/// An edit that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which side it opens.
    pub direction: Direction,
    /// What to do, in one plain sentence, lower case, no full stop.
    pub sentence: String,
    /// The policy to edit, or `None`: add `yaml` as a new policy.
    pub edit: Option<PolicyRef>,
    /// YAML: the rule to add to that policy, or the whole new policy.
    pub yaml: String,
}

/// Near misses shown for one half.
const NEAR_MISSES: usize = 3;

/// Explains one flow. The cost is that of the policies that select either end.
pub fn explain(engine: &Engine<'_>, flow: &Flow) -> Explanation {
    let verdict = engine.decide(flow);
    let mut steps = Vec::new();
    let mut near_misses = Vec::new();
    for direction in Direction::BOTH {
        let own = steps_of(engine, flow, direction);
        if half(&verdict, direction).verdict != Verdict::Allow {
            near_misses.extend(miss::nearest(engine.world(), flow, direction, &own, NEAR_MISSES));
        }
        steps.extend(own);
    }
    let changes = change::smallest(engine, flow, &verdict);
    Explanation { flow: *flow, verdict, steps, near_misses, changes }
}

/// The half of a verdict.
pub fn half(verdict: &FlowVerdict, direction: Direction) -> &Half {
    match direction {
        Direction::Ingress => &verdict.ingress,
        Direction::Egress => &verdict.egress,
    }
}

/// The pod that policies of this direction have as their subject.
fn subject(flow: &Flow, direction: Direction) -> Option<PodId> {
    let end = match direction {
        Direction::Ingress => flow.to,
        Direction::Egress => flow.from,
    };
    match end {
        Endpoint::Pod(id) => Some(id),
        Endpoint::Node(_) | Endpoint::External(_) => None,
    }
}

fn steps_of(engine: &Engine<'_>, flow: &Flow, direction: Direction) -> Vec<Step> {
    let world = engine.world();
    let Some(pod) = subject(flow, direction) else { return Vec::new() };
    let mut out = Vec::new();
    for s in engine.classes().cluster_policies_of(pod) {
        let policy = &world.cluster_policies[s.policy as usize];
        let reference = PolicyRef::Cluster(s.policy);
        let says = policy.rules(direction).iter().enumerate().map(|(i, rule)| {
            let says = match cluster_rule_matches(world, policy.tier, rule, direction, flow).0 {
                Tri::Yes => RuleSays::Matches,
                Tri::Maybe(_) => RuleSays::Unclear,
                Tri::No => RuleSays::Misses(miss::of_cluster_rule(world, policy.tier, rule, direction, flow)),
            };
            (rule_ref(reference, direction, i), says)
        });
        out.push(Step { direction, policy: reference, rules: says.collect() });
    }
    for s in engine.classes().policies_of(pod, direction) {
        let policy = &world.policies[s.policy as usize];
        let reference = PolicyRef::Namespaced(s.policy);
        let rules = if readable(&policy.subject) { policy.rules(direction) } else { &[] };
        let says = rules.iter().enumerate().map(|(i, rule)| {
            let says = match rule_matches(world, policy.namespace, rule, direction, flow) {
                Tri::Yes => RuleSays::Matches,
                Tri::Maybe(_) => RuleSays::Unclear,
                Tri::No => RuleSays::Misses(miss::of_rule(world, policy.namespace, rule, direction, flow)),
            };
            (rule_ref(reference, direction, i), says)
        });
        out.push(Step { direction, policy: reference, rules: says.collect() });
    }
    out
}

fn rule_ref(policy: PolicyRef, direction: Direction, i: usize) -> RuleRef {
    RuleRef { policy, direction, rule: u32::try_from(i).ok() }
}

/// Keys that controllers set, or that change at every rollout or release: a selector on them breaks.
pub const VOLATILE_LABELS: [&str; 10] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "job-name",
    "batch.kubernetes.io/job-completion-index",
    "helm.sh/chart",
    "app.kubernetes.io/version",
];

/// Keys that are stable but tell the pods of one workload apart.
pub const PER_POD_LABELS: [&str; 2] = ["statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"];

/// Labels that select a pod's workload stably: without those that controllers change at every rollout or that differ
/// between its pods.
pub fn stable_labels(labels: &Labels) -> Labels {
    let kept = labels.iter().filter(|(k, _)| !VOLATILE_LABELS.contains(&&***k) && !PER_POD_LABELS.contains(&&***k));
    Labels::new(kept.map(|(k, v)| (k.clone(), v.clone())))
}

/// A selector for the pods of a pod's workload: the one its owner has, if it names labels only and they are stable, else all
/// stable labels of the pod. `None` if the pod has no stable label.
pub fn selector_for(world: &World, pod: PodId) -> Option<Selector> {
    let pod = &world.pods[pod.index()];
    let own = world.workloads[pod.workload.index()].selector.as_ref().filter(|s| {
        !s.is_everything()
            && s.requirements.iter().all(|r| r.from_labels && !VOLATILE_LABELS.contains(&&*r.key))
            && crate::selector::matches(s, &pod.labels)
    });
    if let Some(selector) = own {
        return Some(selector.clone());
    }
    let labels = stable_labels(&pod.labels);
    let pairs: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    (!pairs.is_empty()).then(|| Selector::of(&pairs))
}
