//! Why: the steps of a verdict, for a denial the nearest miss and the smallest change that would allow it.

use crate::Engine;
use watertight_model::{Direction, Flow, FlowVerdict, Labels, PolicyRef, RuleRef};

/// A verdict with what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The flow.
    pub flow: Flow,
    /// Its verdict.
    pub verdict: FlowVerdict,
    /// Egress, then ingress: every policy that selects the pod on that side and what each of its rules says.
    pub steps: Vec<Step>,
    /// For a half that is denied or unclear: rules that would admit the flow but for few conditions, nearest first; at most 3 a half.
    pub near_misses: Vec<NearMiss>,
    /// For a denial: the smallest edits that would allow the flow, one for each denying half; each was checked by deciding
    /// the flow again in the edited world. Apply all of them.
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
    /// No peer entry selects the other side.
    Peer,
    /// A pod selector matches, its namespace part does not.
    Namespace,
    /// A namespace part matches, the pod selector does not.
    PodLabels,
    /// The address is outside every block.
    Address,
    /// The address is in a block and in one of its exceptions.
    Except,
    /// The port is not listed.
    Port,
    /// The port is listed for another protocol.
    Protocol,
}

/// A rule that nearly admits the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The rule.
    pub rule: RuleRef,
    /// What is missing; the fewer the nearer.
    pub misses: Vec<Miss>,
    /// One plain sentence, lower case, no full stop, such as "`shop/db-in` rule 0 admits this peer on TCP 5432 only".
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
    pub edit: Option<RuleRef>,
    /// YAML: the rule to add to `edit`'s policy, or the whole new policy.
    pub yaml: String,
}

/// Explains one flow. The cost is that of the policies that select either end.
pub fn explain(engine: &Engine<'_>, flow: &Flow) -> Explanation {
    Explanation {
        flow: *flow,
        verdict: engine.decide(flow),
        steps: Vec::new(),
        near_misses: Vec::new(),
        changes: Vec::new(),
    }
}

/// A selector in words, such as `app=web, tier in (a, b)`; `{}` is "every pod".
pub fn selector_words(selector: &watertight_model::Selector) -> String {
    let _ = selector;
    String::new()
}

/// Labels that select a pod stably: without those that controllers change at every rollout.
pub fn stable_labels(labels: &Labels) -> Labels {
    labels.clone()
}
