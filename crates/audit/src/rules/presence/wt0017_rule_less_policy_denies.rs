//! WT0017: a policy that looks inert and denies everything.

use super::Shown;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::rules::common::policy_object;
use crate::rules::trial::each_subject;
use crate::rules::{Check, Lint};
use watertight_model::policy::Presence;
use watertight_model::{Direction, NetworkPolicy};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0017",
    name: "rule-less-policy-denies",
    severity: Severity::Note,
    summary: "a policy for some pods, without a rule, is all that denies their traffic",
    page: "A policy without rules looks as if it did nothing. It isolates the pods that it selects, and where \
           it is the only one that does, they lose everything. Proves that, and says what is lost.\n\nExample: \
           a generated policy for a pod without traffic: `spec: {podSelector: {matchLabels: {app: \
           idle}}}`.\n\nFix: none; this states the effect.\n\nSilent: another policy isolates the same pods; \
           the policy is the default deny of a namespace (`podSelector: {}`); the empty list of rules is \
           written out (`ingress: []`); it has rules in the other direction. WT0012 and WT0016 speak of \
           policies that isolate by accident.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        let is_inert = policy.ingress.is_empty() && policy.egress.is_empty();
        if !is_inert || policy.subject.is_everything() || policy.written.spec != Presence::Filled {
            continue;
        }
        let mut lost = Vec::new();
        let mut all = Shown::default();
        for direction in Direction::BOTH.into_iter().filter(|d| is_bare(policy, *d)) {
            let mut shown = Shown::default();
            each_subject(ctx, i, |subject| {
                if subject.isolated_by_this_alone(direction) {
                    shown.add(subject, subject.flow(direction));
                }
            });
            if !shown.is_empty() {
                let way = if direction == Direction::Ingress { "to" } else { "from" };
                lost.push(format!("every connection {way} {}", shown.who(ctx, policy)));
                if shown.count(ctx) >= all.count(ctx) {
                    all = shown;
                }
            }
        }
        if lost.is_empty() {
            continue;
        }
        let message = format!("has no rule, and is all that isolates its pods: it denies {}", lost.join(" and "));
        let mut finding = LINT.finding(policy_object(ctx, i), Some(policy.origin), message);
        finding.affected = all.count(ctx);
        finding.witness = all.witness;
        finding.help = Some("if that is meant, nothing is to do; deleting the policy would open them".to_owned());
        out.push(finding);
    }
}

/// It isolates in this direction, and does not say with an empty list that nothing is allowed.
fn is_bare(policy: &NetworkPolicy, direction: Direction) -> bool {
    let written = match direction {
        Direction::Ingress => policy.written.ingress,
        Direction::Egress => policy.written.egress,
    };
    policy.isolates(direction) && written == Presence::Absent
}
