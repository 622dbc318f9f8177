//! WT0074: workloads that reach more of the cluster than they may.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::workload_object;
use crate::rules::{Check, Lint};
use std::collections::BTreeMap;
use watertight_engine::blast::{BlastOptions, blast_with, rank};
use watertight_engine::query::rule_names;
use watertight_model::RuleRef;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0074",
    name: "blast-radius-over-budget",
    severity: Severity::Warning,
    summary: "workloads reach a larger share of the others, over any number of hops, than the budget allows",
    page: "The blast radius of a workload is what an attacker reaches who holds it, step by step. Proves that it is a \
           larger share of all other workloads than the configured budget, and names the rules that permit most of \
           it.\n\nExample: budget 10 %, and `dev/shell` reaches 93 %.\n\nFix: narrow the rules that it names; \
           `watertight blast` shows the paths.\n\nSilent: no budget is set, which is the default.",
    check: Check::World(check),
};

/// Rules that are named.
const NAMED: usize = 3;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let Some(budget) = ctx.options.blast_budget else { return };
    let over: Vec<_> = rank(ctx.engine, BlastOptions::default()).into_iter().filter(|r| r.share > budget).collect();
    let Some(worst) = over.first() else { return };
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let others: Vec<String> = over.iter().skip(1).map(|r| ctx.workload_name(r.workload)).collect();
    let and = if others.is_empty() { String::new() } else { format!("; over it as well: {}", some(&others)) };
    let message = format!(
        "{} reaches {} of the other workloads ({} of them), over the budget of {}{and}",
        ctx.workload_name(worst.workload),
        percent(worst.share),
        worst.reachable,
        percent(budget)
    );
    let at = ctx.world.workloads[worst.workload.index()].origin;
    let mut finding = LINT.finding(workload_object(ctx, worst.workload), Some(at), message);
    finding.affected = over.len();
    let radius = blast_with(ctx.engine, ctx.reach(), worst.workload, BlastOptions::default());
    let mut used: BTreeMap<RuleRef, usize> = BTreeMap::new();
    let mut by_default = 0;
    for hop in radius.reachable.iter().filter_map(|r| r.path.last()) {
        by_default += usize::from(hop.by.is_empty());
        hop.by.iter().for_each(|rule| *used.entry(*rule).or_default() += 1);
    }
    let mut used: Vec<(usize, RuleRef)> = used.into_iter().map(|(rule, n)| (n, rule)).collect();
    used.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut parts: Vec<String> =
        used.iter().take(NAMED).map(|(n, rule)| format!("{} permits {n}", rule_names(ctx.engine, &[*rule]))).collect();
    if by_default > 0 {
        parts.push(format!("no policy stands before {by_default}"));
    }
    finding.help = Some(format!("of the last steps to them {}", parts.join(", ")));
    out.push(finding);
}
