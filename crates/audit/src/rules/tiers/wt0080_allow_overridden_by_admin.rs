//! WT0080: a NetworkPolicy rule of which the Admin tier denies everything.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::refs::{flow_words, network_rule, rule_names};
use crate::rules::{Check, Lint};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0080",
    name: "allow-overridden-by-admin",
    severity: Severity::Warning,
    summary: "all that a NetworkPolicy rule admits is denied by the Admin tier before the rule is asked",
    page: "The Admin tier decides before NetworkPolicy. Proves that every flow which the rule admits, of pods, \
           nodes and addresses that exist, is denied there, and names the cluster rules.\n\nExample: `prod/db` \
           allows `dev/migrate`; an Admin policy denies dev to prod.\n\nFix: ask the owners of the cluster policy \
           for a Pass rule above theirs, or delete the rule.\n\nSilent: some flow that the rule admits gets \
           through, or it admits none.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for found in &ctx.redundancy().overridden {
        let Some((index, _, rule)) = network_rule(ctx, found.rule) else { continue };
        let place = found.rule.rule.unwrap_or_default();
        let message = format!(
            "{} rule {place} has no effect: {} denies all that it admits, such as {}",
            found.rule.direction.name(),
            rule_names(ctx, &found.by),
            flow_words(ctx, &found.witness),
        );
        let mut finding = LINT.finding(policy_object(ctx, index), Some(rule.origin), message);
        finding.witness = Some(found.witness);
        finding.affected = 1;
        finding.help = Some("ask the owners of the cluster policy for a Pass rule, or delete this one".to_owned());
        let title = format!("delete {} rule {place}", found.rule.direction.name());
        finding.fixes.push(Fix::delete_rule(ctx.world, title, index, found.rule.direction, place as usize));
        out.push(finding);
    }
}
