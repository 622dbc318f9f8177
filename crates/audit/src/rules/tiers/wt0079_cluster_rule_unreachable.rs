//! WT0079: a rule of a cluster policy that never decides, because earlier rules take all that it matches.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::fix::{Fix, apply};
use crate::rules::common::cluster_policy_object;
use crate::rules::refs::{cluster_rule, rule_name, rule_names};
use crate::rules::{Check, Lint};
use std::cell::Cell;
use watertight_engine::redundancy::{ClusterRuleUse, report_while};
use watertight_model::{ClusterPolicy, Direction, PolicyRef, Tier};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0079",
    name: "cluster-rule-unreachable",
    severity: Severity::Warning,
    summary: "a rule of a cluster policy that earlier rules leave nothing to decide",
    page: "Rules of cluster policies are asked in order, and the first that matches acts. Proves that every flow \
           which the rule matches is decided by a rule before it, in the same policy or in one of a lower priority \
           number, and names those. `proved` if that holds whatever pods come, else it holds for the pods that \
           exist.\n\nExample: rule 0 denies everyone, rule 1 accepts monitoring.\n\nFix: the rule before those that \
            take its flows, if that makes all of them effective; else delete it.\n\nSilent: it decides some flow, \
           or it matches none.",
    check: Check::World(check),
};

/// Orders that are tried; each costs an analysis of the whole.
const TRIED: usize = 4;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let tries = Cell::new(TRIED);
    for found in ctx.redundancy().rules.iter().filter(|u| is_unreachable(ctx, u)) {
        let Some((index, rule)) = cluster_rule(ctx, found.rule) else { continue };
        let place = format!("{} rule {}", found.rule.direction.name(), found.rule.rule.unwrap_or_default());
        let when = if found.decides { "decides nothing today" } else { "never decides" };
        let message = format!("{place} {when}: all that it matches is taken by {}", rule_names(ctx, &found.taken_by));
        let mut finding = LINT.finding(cluster_policy_object(ctx, index), Some(rule.origin), message);
        finding.status = if found.decides { Status::InInput } else { Status::Proved };
        finding.witness = found.witness;
        finding.affected = 1;
        finding.help = Some("put it before the rules that take its flows, or delete it".to_owned());
        finding.fixes.extend(earlier(ctx, found, index, &tries));
        finding.fixes.push(deleted(&ctx.world.cluster_policies[index], found));
        out.push(finding);
    }
}

/// Nothing before the tier of the rule, and no NetworkPolicy, is to blame.
fn is_unreachable(ctx: &Ctx<'_, '_>, found: &ClusterRuleUse) -> bool {
    let Some((index, _)) = cluster_rule(ctx, found.rule) else { return false };
    let tier = ctx.world.cluster_policies[index].tier;
    let of_tier = |r: &watertight_model::RuleRef| {
        cluster_rule(ctx, *r).is_some_and(|(i, _)| ctx.world.cluster_policies[i].tier == tier)
    };
    found.matches_today
        && !found.decides_today
        && !found.taken_by.is_empty()
        && (tier == Tier::Admin || (!found.isolated && found.taken_by.iter().all(of_tier)))
}

fn with_rules(
    policy: &ClusterPolicy,
    direction: Direction,
    edit: impl FnOnce(&mut Vec<watertight_model::ClusterRule>),
) -> ClusterPolicy {
    let mut out = policy.clone();
    edit(match direction {
        Direction::Ingress => &mut out.ingress,
        Direction::Egress => &mut out.egress,
    });
    out
}

/// The rule moved before the first that takes from it, if every rule of the policy that decided still does, and it as well.
fn earlier(ctx: &Ctx<'_, '_>, found: &ClusterRuleUse, index: usize, tries: &Cell<usize>) -> Option<Fix> {
    let here = found.rule.rule? as usize;
    let own = |r: &&watertight_model::RuleRef| r.policy == found.rule.policy;
    if !found.taken_by.iter().all(|r| own(&r)) || tries.get() == 0 {
        return None;
    }
    let first = found.taken_by.iter().filter_map(|r| r.rule).min()? as usize;
    if first >= here {
        return None;
    }
    tries.set(tries.get() - 1);
    let policy = &ctx.world.cluster_policies[index];
    let moved = with_rules(policy, found.rule.direction, |rules| rules[first..=here].rotate_right(1));
    let title = format!("{} rule {here} before rule {first}", found.rule.direction.name());
    let yaml =
        format!("# move rule {here} of {} before rule {first} ({})\n", policy.name, rule_name(ctx, found.taken_by[0]));
    let fix = Fix::put_cluster(title, yaml, moved);
    let after = report_while(&apply(ctx.world, &fix.edits), &|| !ctx.is_overdue());
    let dead = |rules: &[ClusterRuleUse]| {
        rules.iter().filter(|u| u.rule.policy == PolicyRef::Cluster(found_index(index)) && !u.decides_today).count()
    };
    (after.finished && dead(&after.rules) < dead(&ctx.redundancy().rules)).then_some(fix)
}

fn found_index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn deleted(policy: &ClusterPolicy, found: &ClusterRuleUse) -> Fix {
    let here = found.rule.rule.unwrap_or_default() as usize;
    let without = with_rules(policy, found.rule.direction, |rules| {
        if here < rules.len() {
            rules.remove(here);
        }
    });
    Fix::put_cluster(format!("delete {} rule {here}", found.rule.direction.name()), "", without)
}
