//! WT0020: a policy for nobody.

use super::{classes, labelled, namespace_names};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::labels::{contradiction, repaired};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::explain::words;
use watertight_engine::selector::{matches, readable};
use watertight_model::{NamespaceId, NetworkPolicy, Pod};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0020",
    name: "policy-selects-nothing",
    severity: Severity::Warning,
    summary: "no pod and no pod template is selected by the policy",
    page: "Proves that `podSelector` matches no pod of the namespace, templates of controllers included \
           (without replicas too, and those of Jobs and CronJobs).\n\nExample: `app: frontned`.\n\nFix: the \
           nearest label that pods carry; or the namespace in which the policy would select pods.\n\nLess: a \
           note if the input has no pod of that namespace at all.\n\nSilent: the selector is `{}`, a default \
           deny that was put there on purpose; it contradicts itself (WT0023).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        let subject = &policy.subject;
        if subject.is_everything() || !readable(subject) || contradiction(subject).is_some() {
            continue;
        }
        if !ctx.scope().subjects(policy).is_empty() {
            continue;
        }
        // hostNetwork pods carry labels too: a policy for them alone is WT0092.
        let found = labelled(ctx, subject);
        let home = |c| ctx.world.pods[ctx.engine.classes().representative(c).index()].namespace;
        if found.iter().any(|c| home(*c) == policy.namespace) {
            continue;
        }
        let here: Vec<&Pod> = classes(ctx).map(|(_, p)| p).filter(|p| p.namespace == policy.namespace).collect();
        let wanted = words::selector(subject);
        let message = format!("selects no pod: nothing in the namespace has {wanted}");
        let mut finding = LINT.finding(policy_object(ctx, i), Some(policy.subject_origin), message);
        finding.affected = 1;
        if here.is_empty() {
            finding = finding.at_severity(Severity::Note);
            finding.message = format!("selects no pod: the input holds no pod of its namespace (it asks for {wanted})");
        }
        let elsewhere: BTreeSet<NamespaceId> = found.iter().map(|c| home(*c)).collect();
        let elsewhere: Vec<NamespaceId> = elsewhere.into_iter().collect();
        if let Some((fixed, label)) = close(policy, &here) {
            finding.help = Some(format!("did you mean `{label}`?"));
            let fixed = NetworkPolicy { subject: fixed, ..policy.clone() };
            finding.fixes.push(Fix::put(ctx.world, format!("select {label}"), fixed));
        } else if !elsewhere.is_empty() {
            let places = some(&namespace_names(ctx, &elsewhere));
            finding.help = Some(format!("such pods are in {places}: a policy selects pods of its own namespace only"));
        }
        out.push(finding);
    }
}

fn close(policy: &NetworkPolicy, here: &[&Pod]) -> Option<(watertight_model::Selector, String)> {
    let values = |key: &str| here.iter().filter_map(|p| p.labels.get(key)).map(|v| &**v).collect();
    repaired(&policy.subject, values, |fixed| here.iter().any(|p| matches(fixed, &p.labels)))
}
