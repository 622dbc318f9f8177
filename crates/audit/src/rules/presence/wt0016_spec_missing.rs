//! WT0016: a NetworkPolicy without a spec.

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
    code: "WT0016",
    name: "spec-missing",
    severity: Severity::Error,
    summary: "a NetworkPolicy without a spec selects the whole namespace and denies all ingress",
    page: "An absent or empty `spec` is one with an empty `podSelector` and no rule: every pod of the \
           namespace, no ingress. Proves which pods lose ingress by it.\n\nExample: an object whose `spec` was \
           lost on the way through a template. (`podSelector` written beside `metadata` instead of under `spec` \
           is WT0001.)\n\nFix: write the spec, or delete the object; if the denial is meant, write it \
           out.\n\nLess: a warning where other policies isolate all pods of the namespace anyway.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        if policy.written.spec == Presence::Filled || policy.origin.line == 0 {
            continue;
        }
        let mut shown = Shown::default();
        each_subject(ctx, i, |subject| {
            if subject.isolated_by_this_alone(Direction::Ingress) {
                shown.add(subject, subject.flow(Direction::Ingress));
            }
        });
        let namespace = &ctx.world.namespaces[policy.namespace.index()].name;
        let (severity, effect) = if shown.is_empty() {
            (Severity::Warning, "nobody loses anything by it, because other policies isolate them too".to_owned())
        } else {
            (Severity::Error, format!("every connection to {} is denied", shown.who(ctx, policy)))
        };
        let message =
            format!("has no spec, so it selects all pods of namespace {namespace} and allows no ingress: {effect}");
        let mut finding = LINT.finding(policy_object(ctx, i), Some(policy.origin), message).at_severity(severity);
        finding.affected = shown.count(ctx);
        finding.witness = shown.witness;
        finding.help = Some("write the spec, or delete the object".to_owned());
        finding.fixes.push(Fix::delete(ctx.world, "without the object", i));
        let mut stated = policy.clone();
        stated.written.spec = Presence::Filled;
        stated.written.policy_types = Presence::Filled;
        finding.fixes.push(Fix::put(ctx.world, "with the denial written out", stated));
        out.push(finding);
    }
}
