//! WT0092: a policy all of whose pods are in their node's network.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{in_namespace, policy_object, workload_names};
use crate::rules::{Check, Lint};
use watertight_engine::selector::{matches, readable};
use watertight_model::PodId;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0092",
    name: "policy-selects-host-network-only",
    severity: Severity::Error,
    summary: "every pod that the policy selects is hostNetwork: most plugins apply it to nobody",
    page: "A hostNetwork pod has its node's address, and most network plugins see its traffic as the node's. Proves \
            that the policy selects pods, and that all of them are hostNetwork, so that it protects nothing for \
           sure.\n\nExample: a policy for `app: node-exporter`, which runs with `hostNetwork: true`.\n\nFix: drop \
           hostNetwork, filter on the node, or delete the policy, which promises what it does not hold.\n\nSilent: \
           it selects some other pod, or no pod at all (WT0020); it selects the whole namespace.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate() {
        // A default deny is for the pods to come.
        if policy.subject.is_everything() || !readable(&policy.subject) {
            continue;
        }
        let pods: Vec<PodId> = in_namespace(ctx, policy.namespace)
            .filter(|p| {
                let pod = &ctx.world.pods[p.index()];
                !pod.finished && matches(&policy.subject, &pod.labels)
            })
            .collect();
        if pods.is_empty() || pods.iter().any(|p| !ctx.world.pods[p.index()].host_network) {
            continue;
        }
        let names = workload_names(ctx, &pods);
        let message =
            format!("selects only hostNetwork pods ({}): most network plugins apply it to nobody", some(&names));
        let mut finding = LINT.finding(policy_object(ctx, i), Some(policy.subject_origin), message);
        finding.affected = pods.len();
        finding.help = Some("drop hostNetwork, filter on the node, or delete the policy".to_owned());
        finding.fixes.push(Fix::delete(ctx.world, "delete the policy", i));
        out.push(finding);
    }
}
