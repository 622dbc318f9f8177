//! WT0012: a policy with egress rules only, and without `policyTypes`, denies all ingress.

use super::Shown;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::trial::each_subject;
use crate::rules::{Check, Lint};
use watertight_model::Direction;
use watertight_model::policy::Presence;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0012",
    name: "implicit-ingress-isolation",
    severity: Severity::Warning,
    summary: "an egress policy without policyTypes denies all ingress as well",
    page: "Without `policyTypes` a policy is always about ingress, and about egress if it has egress rules. One \
           that only has egress rules therefore denies all ingress. Proves that the pods lose ingress by this \
           policy alone.\n\nExample: an \"allow DNS\" policy that also cuts all ingress.\n\nFix: `policyTypes: \
           [Egress]`; if the denial is meant, `[Ingress, Egress]` says so.\n\nSilent: another policy isolates \
           the same pods for ingress, or `ingress: []` is written out.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        let written = &policy.written;
        if written.policy_types == Presence::Filled
            || written.egress != Presence::Filled
            || written.ingress != Presence::Absent
            || !policy.isolates_ingress
        {
            continue;
        }
        let mut shown = Shown::default();
        each_subject(ctx, i, |subject| {
            if subject.isolated_by_this_alone(Direction::Ingress) {
                shown.add(subject, subject.flow(Direction::Ingress));
            }
        });
        if shown.is_empty() {
            continue;
        }
        let message = format!(
            "has egress rules only, and without policyTypes it is about ingress too: every connection to {} is denied",
            shown.who(ctx, policy)
        );
        let mut finding = LINT.finding(policy_object(ctx, i), Some(policy.origin), message);
        finding.affected = shown.count(ctx);
        finding.witness = shown.witness;
        finding.help = Some("write `policyTypes: [Egress]`; or `[Ingress, Egress]`, if the denial is meant".to_owned());
        let mut stated = policy.clone();
        stated.written.policy_types = Presence::Filled;
        let mut egress = stated.clone();
        egress.isolates_ingress = false;
        finding.fixes.push(Fix::put(ctx.world, "about egress only", egress));
        finding.fixes.push(Fix::put(ctx.world, "with the denial of ingress stated", stated));
        out.push(finding);
    }
}
