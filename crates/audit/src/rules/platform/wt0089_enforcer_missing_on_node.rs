//! WT0089: nodes without the pod that enforces policies there.

use crate::cni::enforcers;
use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Direction, NodeId, PodId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0089",
    name: "enforcer-missing-on-node",
    severity: Severity::Error,
    summary: "a node runs pods that policies select, and no pod of the plugin that enforces them",
    page: "Most plugins enforce through a DaemonSet: a pod on each node writes the filters of the pods there. \
           Proves that a node runs a pod which a policy isolates, while the enforcing DaemonSet has running pods on \
            other nodes and none on this one: a taint that it does not tolerate, a node selector, Windows, a \
           virtual node. Whether those pods are ready is not read.\n\nExample: the agent does not tolerate the \
           taint of the GPU nodes, where `ml/train` runs.\n\nFix: the toleration, or a node selector that keeps the \
            pods away.\n\nSilent: each such node has a pod of an enforcing plugin; the DaemonSet's pods were not \
           read (manifests); the plugin does not run as a DaemonSet.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let enforcers = enforcers(ctx.world);
    let (mut served, mut isolated) = (BTreeSet::new(), BTreeMap::<NodeId, Vec<PodId>>::new());
    for (i, pod) in ctx.world.pods.iter().enumerate().filter(|(_, p)| !p.finished && !p.template) {
        let Some(node) = pod.node else { continue };
        if enforcers.iter().any(|(_, w)| *w == pod.workload) {
            served.insert(node);
        }
        let id = PodId::at(i);
        let selected = |d: Direction| ctx.engine.classes().policies_of(id, d).iter().any(|s| s.causes.is_empty());
        if Direction::BOTH.into_iter().any(selected) {
            isolated.entry(node).or_default().push(id);
        }
    }
    if served.is_empty() {
        return;
    }
    let names: BTreeSet<String> = enforcers.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names: Vec<String> = names.into_iter().collect();
    for (node, pods) in isolated.iter().filter(|(n, _)| !served.contains(n)) {
        let node = &ctx.world.nodes[node.index()];
        let workloads = crate::rules::common::workload_names(ctx, pods);
        let why = if node.labels.get("kubernetes.io/os").is_some_and(|os| **os == *"windows") {
            " (it runs Windows)"
        } else if node.labels.get("type").is_some_and(|t| **t == *"virtual-kubelet") {
            " (it is a virtual node)"
        } else {
            ""
        };
        let message = format!(
            "no pod of {} runs on it{why}: policies have no effect on {} there",
            some(&names),
            some(&workloads)
        );
        let mut finding = LINT.finding(format!("Node {}", node.name), Some(node.origin), message);
        finding.status = Status::InInput;
        finding.affected = pods.len();
        finding.help = Some(
            "let the DaemonSet run there (toleration, node selector), or keep pods that need policies away".to_owned(),
        );
        out.push(finding);
    }
}
