//! WT0075: a NetworkPolicy without which every verdict stays the same.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::refs::rule_names;
use crate::rules::{Check, Lint};
use watertight_engine::redundancy::Item;
use watertight_model::PolicyRef;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0075",
    name: "policy-redundant",
    severity: Severity::Note,
    summary: "a NetworkPolicy that can be deleted without any verdict changing",
    page: "Proves that every pod, node and outside address has the same verdicts with and without the policy: its \
           pods stay isolated, and all that it lets pass is let pass by the rules that are named. Redundant means: \
           whatever labels the pods of tomorrow have. Redundant today means: for the pods that exist; a pod of \
           tomorrow may need it.\n\nExample: `allow-web-80` beside `allow-web`, which opens all ports to the same \
           pods for the same peers.\n\nFix: delete it. If two policies cover each other, the later one by name is \
           reported. Everything that is reported can be deleted together.\n\nSilent: it selects no pod (WT0020); it \
           was meant to restrict (WT0077); it is a default deny that today only isolates pods which other policies \
            isolate too.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let report = ctx.redundancy();
    for found in &report.redundant {
        let Item::Policy(PolicyRef::Namespaced(policy)) = found.item else { continue };
        let undone = report.undone.iter().any(|u| u.policy == policy);
        if undone || !found.selects || (!found.always && found.witness.is_none()) {
            continue;
        }
        let by = rule_names(ctx, &found.covered_by);
        let why = match (&found.witness, found.covered_by.is_empty()) {
            (Some(_), false) => format!("all that it lets pass is let pass by {by}"),
            (None, false) => format!("it lets nothing pass, and {by} isolates the same pods"),
            (_, true) => "its pods are answered alike without it".to_owned(),
        };
        let tomorrow = if found.always { "" } else { " today: pods that do not exist yet may need it" };
        let message = if found.always {
            format!("changes no verdict: {why}")
        } else {
            format!("changes no verdict{tomorrow}; {why}")
        };
        let index = policy as usize;
        let mut finding = LINT.finding(policy_object(ctx, index), Some(ctx.world.policies[index].origin), message);
        finding.status = if found.always { Status::Proved } else { Status::InInput };
        finding.witness = found.witness;
        finding.affected = 1;
        finding.help = Some("delete it, or say in an annotation what it is kept for".to_owned());
        finding.fixes.push(Fix::delete(ctx.world, "delete the policy", index));
        out.push(finding);
    }
}
