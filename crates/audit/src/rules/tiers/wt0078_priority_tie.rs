//! WT0078: two cluster policies of one priority that say different things of one flow.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::fix::Fix;
use crate::rules::common::cluster_policy_object;
use crate::rules::refs::flow_words;
use crate::rules::{Check, Lint};
use watertight_engine::Engine;
use watertight_engine::explain::Extract;
use watertight_engine::query::evaluated;
use watertight_engine::redundancy::Tie;
use watertight_model::{ClusterPolicy, Flow, PolicyRef, Tier, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0078",
    name: "priority-tie",
    severity: Severity::Error,
    summary: "two cluster policies of one tier and priority act differently on a flow that both match",
    page: "The API leaves open which of two policies of equal priority is asked first; the most restrictive action \
           is taken here. Proves that both match a flow of pods that exist, with different actions, and that the \
           two orders give different verdicts.\n\nExample: two Admin policies of priority 10, one accepts \
           `monitoring` on port 9090, one denies all other namespaces.\n\nFix: a free priority for one of them; \
           both choices are printed.\n\nSilent: they never match the same flow, or do the same to it. A note, if \
           they act differently and every verdict is the same in both orders.",
    check: Check::World(check),
};

/// The highest priority number that the API accepts.
const LAST: u16 = 1000;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for tie in &ctx.redundancy().ties {
        let [a, b] = tie.policies.map(|p| &ctx.world.cluster_policies[p as usize]);
        let Some(first) = tie.witnesses.first() else { continue };
        let differing = tie.witnesses.iter().find_map(|f| orders(ctx, tie, f).map(|verdicts| (f, verdicts)));
        let both = format!("has priority {} like {}", a.priority, b.name);
        let object = cluster_policy_object(ctx, tie.policies[0] as usize);
        let mut finding = match differing {
            Some((flow, [one, other])) => {
                let now = evaluated(&ctx.engine.decide(flow)).name();
                let message = format!(
                    "{both}, and which is asked first decides {}: {} if it is {}, {} if it is {}; the stricter one \
                     is taken ({now})",
                    flow_words(ctx, flow),
                    one.name(),
                    a.name,
                    other.name(),
                    b.name,
                );
                let mut finding = LINT.finding(object, Some(a.origin), message);
                finding.witness = Some(*flow);
                finding
            }
            None => {
                let message = format!(
                    "{both} and acts differently on {}; today no verdict depends on which is asked first",
                    flow_words(ctx, first)
                );
                let mut finding = LINT.finding(object, Some(a.origin), message).at_severity(Severity::Note);
                finding.witness = Some(*first);
                finding
            }
        };
        finding.status = Status::InInput;
        finding.affected = tie.witnesses.len();
        finding.help = Some("give one of them a priority of its own; lower numbers are asked first".to_owned());
        for (this, other) in [(a, b), (b, a)] {
            finding.fixes.extend(after(ctx, this, other));
        }
        out.push(finding);
    }
}

/// What the flow gets if the first is asked before the second, and the other way round; `None`: the same.
fn orders(ctx: &Ctx<'_, '_>, tie: &Tie, flow: &Flow) -> Option<[Verdict; 2]> {
    let extract = Extract::of(ctx.engine, flow);
    let places = tie.policies.map(|p| extract.place(PolicyRef::Cluster(p)));
    let [Some(a), Some(b)] = places else { return None };
    let verdict = |last: usize| {
        let mut world = extract.world.clone();
        // Twice the number leaves room between two priorities; only the order counts.
        world.cluster_policies.iter_mut().for_each(|p| p.priority *= 2);
        world.cluster_policies[last].priority += 1;
        world.cluster_policies.sort_by_key(|p| (p.tier, p.priority));
        evaluated(&Engine::new(&world).decide(&extract.flow))
    };
    let verdicts = [verdict(b), verdict(a)];
    (verdicts[0] != verdicts[1]).then_some(verdicts)
}

/// The policy on the next number that no policy of its tier has.
fn after(ctx: &Ctx<'_, '_>, policy: &ClusterPolicy, other: &ClusterPolicy) -> Option<Fix> {
    let taken = |n: u16| ctx.world.cluster_policies.iter().any(|p| p.tier == policy.tier && p.priority == n);
    let free = (policy.priority.saturating_add(1)..=LAST).find(|n| !taken(*n))?;
    let moved = ClusterPolicy { priority: free, ..policy.clone() };
    let tier = match policy.tier {
        Tier::Admin => "Admin",
        Tier::Baseline => "Baseline",
    };
    let title = format!("{} after {}, on priority {free} of the {tier} tier", policy.name, other.name);
    Some(Fix::put_cluster(title, format!("metadata:\n  name: {}\nspec:\n  priority: {free}\n", policy.name), moved))
}
