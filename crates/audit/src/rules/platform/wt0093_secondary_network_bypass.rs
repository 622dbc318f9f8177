//! WT0093: pods with interfaces that policies do not cover.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::rules::common::workload_object;
use crate::rules::{Check, Lint};
use watertight_model::label::SECONDARY_NETWORKS;
use watertight_model::{Direction, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0093",
    name: "secondary-network-bypass",
    severity: Severity::Warning,
    summary: "a pod that policies isolate has further network interfaces, which they do not cover",
    page: "NetworkPolicy is about a pod's primary interface. Proves that a workload which policies isolate asks for \
            more of them with the annotation `k8s.v1.cni.cncf.io/networks`: what reaches it there is not \
           filtered.\n\nExample: the annotation `k8s.v1.cni.cncf.io/networks: macvlan-a` on `edge/router`.\n\nFix: \
           a MultiNetworkPolicy for those networks, or remove the interface.\n\nSilent: the annotation is absent or \
            empty, or no policy isolates the workload (WT0046).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, workload) in ctx.world.workloads.iter().enumerate() {
        let Some(networks) = workload.annotations.get(SECONDARY_NETWORKS) else { continue };
        let networks = networks.trim();
        let id = WorkloadId::at(i);
        let isolated = |p| Direction::BOTH.into_iter().any(|d| !ctx.engine.classes().policies_of(p, d).is_empty());
        let pods: Vec<_> = ctx.pods_of(id).filter(|p| isolated(*p)).collect();
        if pods.is_empty() || networks.is_empty() || networks == "[]" {
            continue;
        }
        let message = format!(
            "has interfaces beside the primary one (`{}`): policies isolate it, and filter nothing there",
            networks.lines().next().unwrap_or_default()
        );
        let mut finding = LINT.finding(workload_object(ctx, id), Some(workload.origin), message);
        finding.affected = pods.len();
        finding.help = Some("write a MultiNetworkPolicy for those networks, or remove them".to_owned());
        out.push(finding);
    }
}
