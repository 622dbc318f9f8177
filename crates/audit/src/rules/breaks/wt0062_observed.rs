//! WT0062 and WT0063: recorded connections against policies.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::observed::{Observed, ObservedEdge, ObservedEnd};
use crate::rules::common::{flow, policy_object, rules, verdict};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::explain;
use watertight_engine::query::half_words;
use watertight_model::{Direction, Endpoint, Flow, PodId, PolicyRef, RuleRef, Verdict, WorkloadId};

/// What policies would cut.
pub(super) const DENIED: Lint = Lint {
    code: "WT0062",
    name: "observed-flow-denied",
    severity: Severity::Error,
    summary: "a recorded connection would be denied",
    page: "Needs recorded flows (`--flows`). Proves that the policies deny connections that were seen, says how often \
           and when, which rule or default denies them, and the nearest miss. What one policy denies is one \
           finding.\n\nExample: `orders/api` to `data/db:5432`, 912 times in a day, denied by \
           `data/default-deny`.\n\nFix: the rule that `watertight learn` writes from the recording.\n\nSilent: \
           connections that are allowed, or depend on something that is not known; no recording.",
    check: Check::World(denied),
};

/// What policies need not allow.
pub(super) const UNUSED: Lint = Lint {
    code: "WT0063",
    name: "allowed-never-observed",
    severity: Severity::Note,
    summary: "no recorded connection used a rule, in a recording that is long enough and whole",
    page: "Needs recorded flows (`--flows`). Proves that no connection that was seen is admitted by the rule, while the \
           rule selects pods.\n\nExample: `from` the namespace `legacy`, and no connection in 14 days.\n\nFix: a \
           candidate for removal; what it opens is shown by `watertight connections`.\n\nSilent: the evidence is \
           incomplete (less than seven days, events were lost, connections could not be placed, a CronJob did not run \
           twice in the window), which is said; the rule selects nothing; no recording.",
    check: Check::World(unused),
};

/// Flows of an edge: one for each distinct pair of pods.
struct Flows<'c> {
    pods: BTreeMap<WorkloadId, BTreeMap<ClassId, PodId>>,
    observed: &'c Observed,
}

impl<'c> Flows<'c> {
    fn of(ctx: &'c Ctx<'_, '_>) -> Option<Self> {
        let observed = ctx.options.observed.as_ref()?;
        let mut pods: BTreeMap<WorkloadId, BTreeMap<ClassId, PodId>> = BTreeMap::new();
        for (i, pod) in ctx.world.pods.iter().enumerate() {
            if let Some(class) = ctx.engine.classes().class_of(PodId::at(i)) {
                pods.entry(pod.workload).or_default().entry(class).or_insert(PodId::at(i));
            }
        }
        Some(Self { pods, observed })
    }

    fn edge(&self, edge: &ObservedEdge) -> Vec<Flow> {
        let ends = |end: ObservedEnd| -> Vec<Endpoint> {
            match end {
                ObservedEnd::Workload(id) => {
                    self.pods.get(&id).into_iter().flat_map(|c| c.values()).map(|p| Endpoint::Pod(*p)).collect()
                }
                ObservedEnd::Node(id) => vec![Endpoint::Node(id)],
                ObservedEnd::External(ip) => vec![Endpoint::External(ip)],
            }
        };
        let to = ends(edge.to);
        let pair = |from: Endpoint| to.iter().map(move |to| flow(from, *to, edge.protocol, edge.port));
        ends(edge.from).into_iter().flat_map(pair).collect()
    }
}

fn denied(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let Some(flows) = Flows::of(ctx) else { return };
    let mut found: BTreeMap<(PolicyRef, Direction), Vec<(&ObservedEdge, Flow)>> = BTreeMap::new();
    for edge in flows.observed.edges.iter().take_while(|_| !ctx.is_overdue()) {
        let Some(cut) = flows.edge(edge).into_iter().find(|f| verdict(ctx, f) == Verdict::Deny) else { continue };
        let decided = ctx.engine.decide(&cut);
        let (direction, half) = match decided.egress.verdict {
            Verdict::Deny => (Direction::Egress, decided.egress),
            Verdict::Allow | Verdict::Depends => (Direction::Ingress, decided.ingress),
        };
        if let Some(rule) = half.decided_by.first() {
            found.entry((rule.policy, direction)).or_default().push((edge, cut));
        }
    }
    for ((policy, direction), edges) in found {
        let Some((_, witness)) = edges.first() else { continue };
        let decided = ctx.engine.decide(witness);
        let half = if direction == Direction::Egress { &decided.egress } else { &decided.ingress };
        let names: Vec<String> = edges.iter().map(|(edge, _)| words(ctx, edge)).collect();
        let message =
            format!("would deny what was recorded: {}; {}", some(&names), half_words(ctx.engine, direction, half));
        let (object, at) = ask::policy(ctx, policy);
        let mut finding = DENIED.finding(object, Some(at), message);
        finding.affected = edges.len();
        finding.witness = Some(*witness);
        let miss = explain(ctx.engine, witness).near_misses.into_iter().next();
        let miss = miss.map(|m| format!("; nearly: {}", m.sentence)).unwrap_or_default();
        finding.help = Some(format!("`watertight learn` writes the rules that the recording needs{miss}"));
        out.push(finding);
    }
}

fn words(ctx: &Ctx<'_, '_>, edge: &ObservedEdge) -> String {
    let name = |end: ObservedEnd| match end {
        ObservedEnd::Workload(id) => ctx.workload_name(id),
        ObservedEnd::Node(id) => format!("node {}", ctx.world.nodes[id.index()].name),
        ObservedEnd::External(ip) => ip.to_string(),
    };
    let seen = edge.seen.as_ref().map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
    let times = if edge.count == 1 { "once".to_owned() } else { format!("{} times", edge.count) };
    format!("{} to {} {} {} ({times}{seen})", name(edge.from), name(edge.to), edge.protocol, edge.port)
}

fn unused(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let Some(flows) = Flows::of(ctx) else { return };
    if !flows.observed.doubts().is_empty() {
        return;
    }
    let mut used: BTreeSet<RuleRef> = BTreeSet::new();
    for asked in flows.observed.edges.iter().take_while(|_| !ctx.is_overdue()).flat_map(|e| flows.edge(e)) {
        let decided = ctx.engine.decide(&asked);
        used.extend(decided.egress.decided_by);
        used.extend(decided.ingress.decided_by);
    }
    for (i, policy, direction, j, rule) in rules(ctx) {
        let this = RuleRef {
            policy: PolicyRef::Namespaced(u32::try_from(i).unwrap_or(u32::MAX)),
            direction,
            rule: u32::try_from(j).ok(),
        };
        let subjects = ctx.scope().subjects(policy);
        if used.contains(&this) || subjects.is_empty() {
            continue;
        }
        let message = format!(
            "no connection recorded in {} days used {} rule {j} for {}",
            flows.observed.days,
            direction.name(),
            some(&ask::names(ctx, &ask::workloads(ctx, subjects.iter().copied())))
        );
        let mut finding = UNUSED.finding(policy_object(ctx, i), Some(rule.origin), message);
        finding.affected = subjects.len();
        finding.help = Some("a candidate for removal: ask its owner".to_owned());
        out.push(finding);
    }
}
