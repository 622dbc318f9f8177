//! WT0085: a cluster policy that accepts what nothing denies.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::cluster_policy_object;
use crate::rules::{Check, Lint};
use watertight_engine::redundancy::Item;
use watertight_model::{Action, PolicyRef};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0085",
    name: "accept-isolates-nothing",
    severity: Severity::Note,
    summary: "a cluster policy with only Accept rules, without which every verdict stays the same",
    page: "Unlike a NetworkPolicy, a cluster policy that accepts isolates nobody: what it does not name is as open \
           as before. Proves that no verdict changes without the policy: nothing below it denies what it \
           accepts.\n\nExample: one Admin policy that accepts `monitoring`, and no Deny anywhere.\n\nFix: add the \
           Deny that was meant, or delete the policy.\n\nSilent: some tier or NetworkPolicy below denies part of \
           what it accepts, it has another rule than Accept, or it selects no pod.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for found in &ctx.redundancy().redundant {
        let Item::Policy(PolicyRef::Cluster(i)) = found.item else { continue };
        let policy = &ctx.world.cluster_policies[i as usize];
        let mut rules = policy.ingress.iter().chain(&policy.egress).peekable();
        if !found.selects || rules.peek().is_none() || !rules.all(|r| r.action == Action::Accept) {
            continue;
        }
        let when = if found.always { "changes no verdict" } else { "changes no verdict today" };
        let message = format!("{when}: it only accepts, and nothing below it denies what it accepts");
        let mut finding = LINT.finding(cluster_policy_object(ctx, i as usize), Some(policy.origin), message);
        finding.affected = 1;
        finding.help =
            Some("accepting isolates nobody: add a Deny of a higher priority number, or delete the policy".to_owned());
        finding.fixes.push(Fix::delete_cluster("delete the policy", policy));
        out.push(finding);
    }
}
