//! What would close an allowed flow: the fewest edits on one side, tried in a copy of the part of the world that the flow rests
//! on, where the engine is asked again.
//!
//! A rule is narrowed by what it would have to stop admitting: in the copy it admits nobody, which is the same for this flow.
//! Whether other flows need the rule is not asked.

use watertight_engine::Engine;
use watertight_engine::explain::{Extract, half};
use watertight_engine::query::{endpoint_name, rule_names};
use watertight_model::policy::Written;
use watertight_model::{
    Direction, Endpoint, Flow, Labels, NetworkPolicy, Origin, Peers, PodId, PolicyRef, Reason, RuleRef, Selector, Str,
    Verdict, World,
};

/// An edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// These rules have to stop admitting the flow.
    Narrow(Vec<RuleRef>),
    /// A further policy has to select the pod in this direction, and not admit the flow.
    Isolate(Direction, PodId),
}

impl Edit {
    /// One sentence, lower case, no full stop.
    pub fn words(&self, engine: &Engine<'_>) -> String {
        match self {
            Edit::Narrow(rules) => {
                let direction = rules.first().map_or("traffic", |r| r.direction.name());
                format!("narrow {} so that {direction} is not admitted", rule_names(engine, rules))
            }
            Edit::Isolate(direction, pod) => {
                let (who, direction) = (endpoint_name(engine, Endpoint::Pod(*pod)), direction.name());
                format!("add a policy that selects {who} for {direction} and does not admit it")
            }
        }
    }
}

/// Edits on one side that together deny an allowed flow, as few as there are; `None`: no edit of these kinds denies it. The
/// engine was asked again with all of them made. Of two sides with equally few, the one with a rule to narrow, then ingress.
pub fn closing(engine: &Engine<'_>, flow: &Flow) -> Option<Vec<Edit>> {
    let sides = [Direction::Ingress, Direction::Egress].into_iter().filter_map(|d| one_side(engine, flow, d));
    sides.min_by_key(|edits| (edits.len(), !matches!(edits.first(), Some(Edit::Narrow(_)))))
}

/// Each edit opens the view on what decides next, until something denies.
fn one_side(engine: &Engine<'_>, flow: &Flow, direction: Direction) -> Option<Vec<Edit>> {
    let mut extract = Extract::of(engine, flow);
    let mut edits = Vec::new();
    loop {
        let verdict = Engine::new(&extract.world).decide(&extract.flow);
        let half = half(&verdict, direction);
        let edit = match (half.verdict, half.reason) {
            (Verdict::Deny, _) => return (!edits.is_empty()).then_some(edits),
            (Verdict::Allow, Reason::AdminAccept | Reason::PolicyAllow) => {
                let rules: Option<Vec<RuleRef>> = half.decided_by.iter().map(|r| whole(&extract, *r)).collect();
                half.decided_by.iter().try_for_each(|r| silence(&mut extract.world, *r))?;
                Edit::Narrow(rules.filter(|r| !r.is_empty())?)
            }
            // A NetworkPolicy is asked before the Baseline tier, so that one is enough against it.
            (Verdict::Allow, Reason::DefaultAllow | Reason::BaselineAccept) => {
                let (here, there) = (subject(&extract.flow, direction)?, subject(flow, direction)?);
                let policy = isolating(&extract.world, here, direction);
                extract.world.policies.push(policy);
                Edit::Isolate(direction, there)
            }
            // Never blocked, not a pod's, or not for sure.
            (Verdict::Allow | Verdict::Depends, _) => return None,
        };
        // What has no effect is not tried twice: there are as many steps as rules, and one.
        if edits.contains(&edit) {
            return None;
        }
        edits.push(edit);
    }
}

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

/// A rule of the small world, in the whole one.
fn whole(extract: &Extract, rule: RuleRef) -> Option<RuleRef> {
    let policy = match rule.policy {
        PolicyRef::Namespaced(i) => PolicyRef::Namespaced(*extract.policies.get(i as usize)?),
        PolicyRef::Cluster(i) => PolicyRef::Cluster(*extract.cluster_policies.get(i as usize)?),
    };
    Some(RuleRef { policy, ..rule })
}

/// Leaves a rule in its place without anyone whom it could mean; `None`: it is no rule.
fn silence(world: &mut World, rule: RuleRef) -> Option<()> {
    let at = rule.rule? as usize;
    match rule.policy {
        PolicyRef::Namespaced(i) => {
            let policy = &mut world.policies[i as usize];
            let rules = if rule.direction == Direction::Egress { &mut policy.egress } else { &mut policy.ingress };
            rules.get_mut(at)?.peers = Peers::Of(Vec::new());
        }
        PolicyRef::Cluster(i) => {
            let policy = &mut world.cluster_policies[i as usize];
            let rules = if rule.direction == Direction::Egress { &mut policy.egress } else { &mut policy.ingress };
            rules.get_mut(at)?.peers.clear();
        }
    }
    Some(())
}

/// A policy of one direction without rules, for the pods with this one's labels.
fn isolating(world: &World, pod: PodId, direction: Direction) -> NetworkPolicy {
    let pod = &world.pods[pod.index()];
    let labels: Vec<(&str, &str)> = pod.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    NetworkPolicy {
        namespace: pod.namespace,
        name: Str::from("~closing"),
        subject: Selector::of(&labels),
        isolates_ingress: direction == Direction::Ingress,
        isolates_egress: direction == Direction::Egress,
        ingress: Vec::new(),
        egress: Vec::new(),
        written: Written::default(),
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    }
}
