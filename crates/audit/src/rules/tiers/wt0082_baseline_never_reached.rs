//! WT0082: a Baseline rule that is never asked.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::rules::common::cluster_policy_object;
use crate::rules::refs::{cluster_rule, rule_names};
use crate::rules::{Check, Lint};
use watertight_model::Tier;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0082",
    name: "baseline-never-reached",
    severity: Severity::Note,
    summary: "a rule of the Baseline tier that decides nothing: NetworkPolicies or the Admin tier come first",
    page: "The Baseline tier answers where no NetworkPolicy isolates the pod in that direction, and the Admin tier \
           has not decided. Proves that this is so for no flow that the rule matches.\n\nExample: a Baseline Deny \
           for namespaces that all have a default deny.\n\nFix: nothing, if it is there for namespaces to come; \
           else delete it, or move it to the Admin tier.\n\nSilent: it decides some flow, it matches none, or only \
           rules of its own tier are before it (WT0079).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for found in &ctx.redundancy().rules {
        let Some((index, rule)) = cluster_rule(ctx, found.rule) else { continue };
        let tier = |i: usize| ctx.world.cluster_policies[i].tier;
        let mut by = found.taken_by.clone();
        by.retain(|r| cluster_rule(ctx, *r).is_some_and(|(i, _)| tier(i) == Tier::Admin));
        if tier(index) != Tier::Baseline
            || !found.matches_today
            || found.decides_today
            || (!found.isolated && by.is_empty())
        {
            continue;
        }
        let place = format!("{} rule {}", found.rule.direction.name(), found.rule.rule.unwrap_or_default());
        let why = match (found.isolated, by.is_empty()) {
            (true, true) => "NetworkPolicies isolate all of its pods".to_owned(),
            (true, false) => format!("NetworkPolicies isolate its pods, or {} decides before", rule_names(ctx, &by)),
            (false, _) => format!("{} decides before", rule_names(ctx, &by)),
        };
        let message = format!("{place} of the Baseline tier is asked about nothing that it matches: {why}");
        let mut finding = LINT.finding(cluster_policy_object(ctx, index), Some(rule.origin), message);
        finding.witness = found.witness;
        finding.affected = 1;
        finding.help = Some(
            "keep it for namespaces to come; or delete it, or write it in the Admin tier if it shall always hold"
                .to_owned(),
        );
        out.push(finding);
    }
}
