//! One verdict: Admin tier, then NetworkPolicy, then Baseline tier, for each half of a flow.

use crate::classes::{Classes, Selected};
use crate::peers::{other_side, rule_matches};
use crate::selector::readable;
use crate::tiers::{May, tier};
use crate::tri::Tri;
use watertight_model::{
    DependsOn, Direction, Endpoint, Flow, FlowVerdict, Half, PodId, PolicyRef, Reason, RuleRef, Tier, Verdict, World,
};

pub(crate) fn decide(world: &World, classes: &Classes, flow: &Flow) -> FlowVerdict {
    let egress = half(world, classes, Direction::Egress, flow);
    let ingress = half(world, classes, Direction::Ingress, flow);
    FlowVerdict { verdict: egress.verdict.and(ingress.verdict), egress, ingress }
}

/// Everything that may come out of a half, followed along every reading.
#[derive(Default)]
struct Outcomes {
    allow: Option<(Reason, Vec<RuleRef>)>,
    deny: Option<(Reason, Vec<RuleRef>)>,
    causes: Vec<DependsOn>,
    unclear: Vec<RuleRef>,
}

impl Outcomes {
    // Where readings agree on the answer and differ in its reason, the first reason in the order of the enum is given: a
    // default before a rule whose match is unclear.
    fn may_allow(&mut self, reason: Reason, rules: Vec<RuleRef>) {
        if self.allow.as_ref().is_none_or(|(known, _)| reason < *known) {
            self.allow = Some((reason, rules));
        }
    }

    fn may_deny(&mut self, reason: Reason, rules: Vec<RuleRef>) {
        if self.deny.as_ref().is_none_or(|(known, _)| reason < *known) {
            self.deny = Some((reason, rules));
        }
    }

    fn into_half(self) -> Half {
        let Self { allow, deny, causes, unclear } = self;
        let (verdict, reason, mut decided_by, mut depends_on) = match (allow, deny) {
            (Some((reason, rules)), None) => (Verdict::Allow, reason, rules, Vec::new()),
            (Some(_), Some(_)) => (Verdict::Depends, Reason::Unclear, unclear, causes),
            (None, Some((reason, rules))) => (Verdict::Deny, reason, rules, Vec::new()),
            // Not reached: every reading of a half ends somewhere. Closed, if it ever were.
            (None, None) => (Verdict::Deny, Reason::PolicyDeny, Vec::new(), Vec::new()),
        };
        decided_by.sort_unstable();
        decided_by.dedup();
        depends_on.sort_unstable();
        depends_on.dedup();
        Half { verdict, reason, decided_by, depends_on }
    }
}

fn settled(verdict: Verdict, reason: Reason) -> Half {
    Half { verdict, reason, decided_by: Vec::new(), depends_on: Vec::new() }
}

fn half(world: &World, classes: &Classes, direction: Direction, flow: &Flow) -> Half {
    let subject = match direction {
        Direction::Egress => flow.from,
        Direction::Ingress => flow.to,
    };
    let Endpoint::Pod(id) = subject else { return settled(Verdict::Allow, Reason::NotSubject) };
    if flow.from == flow.to && !flow.via_service {
        return settled(Verdict::Allow, Reason::OwnAddress);
    }
    let mut out = Outcomes::default();
    if direction == Direction::Ingress {
        match from_local_node(world, id, other_side(flow, direction)) {
            Tri::Yes => return settled(Verdict::Allow, Reason::LocalNode),
            Tri::Maybe(causes) => {
                out.may_allow(Reason::LocalNode, Vec::new());
                out.causes.extend(causes);
            }
            Tri::No => {}
        }
    }
    admin(world, classes, id, direction, flow, &mut out);
    let mut half = out.into_half();
    let foreign = foreign_policies(world, id);
    if !foreign.is_empty() {
        half.verdict = Verdict::Depends;
        half.depends_on.extend(foreign);
        half.depends_on.sort_unstable();
    }
    half
}

/// Rows 96, 97: the pod's own node, and hostNetwork pods on it.
fn from_local_node(world: &World, id: PodId, source: Endpoint) -> Tri {
    let source_node = match source {
        Endpoint::Node(node) => Some(node),
        Endpoint::Pod(other) if world.pods[other.index()].host_network => world.pods[other.index()].node,
        Endpoint::Pod(_) | Endpoint::External(_) => return Tri::No,
    };
    match (source_node, world.pods[id.index()].node) {
        (Some(a), Some(b)) => Tri::of(a == b),
        _ => Tri::maybe(DependsOn::NodeOfPod(id)),
    }
}

fn admin(world: &World, classes: &Classes, id: PodId, direction: Direction, flow: &Flow, out: &mut Outcomes) {
    let selected = classes.cluster_policies_of(id);
    let May { accept, deny, pass, nothing, causes, unclear } = tier(world, Tier::Admin, selected, direction, flow);
    out.causes.extend(causes);
    out.unclear.extend(unclear);
    if let Some(rules) = deny {
        out.may_deny(Reason::AdminDeny, rules);
    }
    if let Some(rules) = accept {
        out.may_allow(Reason::AdminAccept, rules);
    }
    if pass.is_some() || nothing {
        network_policies(world, classes, id, direction, flow, out);
    }
}

/// NetworkPolicy: isolated by any policy that selects the pod, allowed by any rule of those.
fn network_policies(
    world: &World,
    classes: &Classes,
    id: PodId,
    direction: Direction,
    flow: &Flow,
    out: &mut Outcomes,
) {
    let selected = classes.policies_of(id, direction);
    if selected.is_empty() {
        return baseline(world, classes, id, direction, flow, out);
    }
    let policy_ref = |s: &Selected| RuleRef { policy: PolicyRef::Namespaced(s.policy), direction, rule: None };
    let (mut admitting, mut maybe_admitting) = (Vec::new(), false);
    // A policy whose selection is unclear denies on the reading that it alone selects the pod.
    let mut an_unclear_policy_denies = false;
    let mut admits_for_sure = false;
    for s in selected {
        let mut this_admits = Tri::No;
        for (rule, matched) in admits(world, s, direction, flow) {
            match matched {
                Tri::No => {}
                Tri::Yes => {
                    admitting.push(rule);
                    this_admits = Tri::Yes;
                    admits_for_sure |= s.causes.is_empty();
                }
                Tri::Maybe(causes) => {
                    maybe_admitting = true;
                    out.causes.extend(&causes);
                    out.unclear.push(rule);
                    this_admits = this_admits.or(Tri::Maybe(causes));
                }
            }
        }
        if !s.causes.is_empty() {
            out.causes.extend(&s.causes);
            out.unclear.push(policy_ref(s));
            an_unclear_policy_denies |= this_admits != Tri::Yes;
        }
    }
    let isolated_for_sure = selected.iter().any(|s| s.causes.is_empty());
    if !isolated_for_sure {
        baseline(world, classes, id, direction, flow, out);
    }
    let isolating = || selected.iter().map(policy_ref).collect::<Vec<_>>();
    let may_deny = if isolated_for_sure { !admits_for_sure } else { an_unclear_policy_denies };
    if !admitting.is_empty() || maybe_admitting {
        out.may_allow(Reason::PolicyAllow, admitting);
    }
    if may_deny {
        out.may_deny(Reason::PolicyDeny, isolating());
    }
}

/// What each rule of a policy says. A policy with an unreadable subject admits nothing (row 47).
fn admits<'a>(
    world: &'a World,
    selected: &Selected,
    direction: Direction,
    flow: &'a Flow,
) -> impl Iterator<Item = (RuleRef, Tri)> + 'a {
    let (index, policy) = (selected.policy, &world.policies[selected.policy as usize]);
    let rules = if readable(&policy.subject) { policy.rules(direction) } else { &[] };
    rules.iter().enumerate().map(move |(i, rule)| {
        let reference = RuleRef { policy: PolicyRef::Namespaced(index), direction, rule: u32::try_from(i).ok() };
        (reference, rule_matches(world, policy.namespace, rule, direction, flow))
    })
}

fn baseline(world: &World, classes: &Classes, id: PodId, direction: Direction, flow: &Flow, out: &mut Outcomes) {
    let selected = classes.cluster_policies_of(id);
    let May { accept, deny, pass, nothing, causes, unclear } = tier(world, Tier::Baseline, selected, direction, flow);
    out.causes.extend(causes);
    out.unclear.extend(unclear);
    if let Some(rules) = deny {
        out.may_deny(Reason::BaselineDeny, rules);
    }
    if let Some(rules) = accept {
        out.may_allow(Reason::BaselineAccept, rules);
    }
    if pass.is_some() || nothing {
        out.may_allow(Reason::DefaultAllow, Vec::new());
    }
}

/// Policies that are not evaluated and could concern this pod (U11).
fn foreign_policies(world: &World, id: PodId) -> Vec<DependsOn> {
    let pod = &world.pods[id.index()];
    if pod.finished {
        return Vec::new();
    }
    let namespace = pod.namespace;
    let concerns = |ns: Option<_>| ns.is_none_or(|n| n == namespace);
    let all = world.foreign_policies.iter().enumerate();
    all.filter(|(_, p)| concerns(p.namespace))
        .filter_map(|(i, _)| u32::try_from(i).ok().map(DependsOn::ForeignPolicy))
        .collect()
}
