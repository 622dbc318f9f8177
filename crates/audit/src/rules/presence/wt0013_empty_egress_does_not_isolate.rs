//! WT0013: `egress: []` without `policyTypes` denies no egress.

use super::Shown;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::trial::each_subject;
use crate::rules::{Check, Lint};
use watertight_model::policy::Presence;
use watertight_model::{Direction, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0013",
    name: "empty-egress-does-not-isolate",
    severity: Severity::Error,
    summary: "an empty list of egress rules without policyTypes leaves egress open",
    page: "Without `policyTypes` a policy is about egress only if it has egress rules; `egress: []` has none, \
           so egress stays open. Proves that connections out of the pods are allowed by default, and would be \
           denied if `policyTypes` named Egress.\n\nExample: `spec: {podSelector: {}, egress: []}`, meant as \
           \"no egress\".\n\nFix: `policyTypes: [Egress]`, or both directions.\n\nSilent: another policy \
           isolates the same pods for egress, or `policyTypes` is written.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        let written = &policy.written;
        if written.policy_types == Presence::Filled || written.egress != Presence::Empty {
            continue;
        }
        let mut shown = Shown::default();
        each_subject(ctx, i, |subject| {
            let flow = subject.flow(Direction::Egress);
            let isolated = subject.with(Direction::Egress, &flow, |p| p.isolates_egress = true);
            if subject.now(Direction::Egress, &flow) == Verdict::Allow && isolated == Verdict::Deny {
                shown.add(subject, flow);
            }
        });
        if shown.is_empty() {
            continue;
        }
        let message = format!(
            "its empty `egress` denies nothing, because policyTypes does not name Egress: {} may open connections to \
             anyone",
            shown.who(ctx, policy)
        );
        let mut finding = LINT.finding(policy_object(ctx, i), Some(policy.origin), message);
        finding.affected = shown.count(ctx);
        finding.witness = shown.witness;
        finding.help = Some("write `policyTypes: [Egress]`, or `[Ingress, Egress]`".to_owned());
        let mut both = policy.clone();
        both.isolates_egress = true;
        both.written.policy_types = Presence::Filled;
        let mut egress = both.clone();
        egress.isolates_ingress = false;
        if policy.ingress.is_empty() && written.ingress == Presence::Absent {
            finding.fixes.push(Fix::put(ctx.world, "denies egress only", egress));
        }
        finding.fixes.push(Fix::put(ctx.world, "is about both directions", both));
        out.push(finding);
    }
}
