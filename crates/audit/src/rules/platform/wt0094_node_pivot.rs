//! WT0094: a workload that gives its node to whoever takes it, and that others reach.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::workload_object;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::blast::{BlastOptions, BlastRadius, blast_with};
use watertight_model::pod::NodePrivilege;
use watertight_model::{PodId, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0094",
    name: "node-pivot",
    severity: Severity::Warning,
    summary: "a privileged workload that others can reach: who takes it has its node, and every pod there",
    page: "Privileged containers, `hostPID` and host paths to the runtime or the kubelet lead from the pod to its \
           node, and no policy keeps a node from its own pods. Proves that another workload reaches such a one on \
           some port, and prints how many workloads are in reach from it without and with its nodes.\n\nExample: \
           `ci/runner` is privileged and reachable from `dev`.\n\nFix: drop the privilege, or isolate the workload \
           for ingress.\n\nSilent: nobody else reaches it; it is one of kube-system, which runs the node.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let privileged: BTreeSet<WorkloadId> = ctx
        .world
        .pods
        .iter()
        .filter(|p| p.node_privilege.is_some() && !p.finished)
        .filter(|p| &*ctx.world.namespaces[p.namespace.index()].name != "kube-system")
        .map(|p| p.workload)
        .collect();
    for id in privileged.into_iter().take_while(|_| !ctx.is_overdue()) {
        let pods: Vec<PodId> = ctx.pods_of(id).collect();
        let clients = clients(ctx, id, &pods);
        let Some(why) = pods.iter().find_map(|p| ctx.world.pods[p.index()].node_privilege) else { continue };
        if clients.is_empty() {
            continue;
        }
        let why = match why {
            NodePrivilege::Privileged => "is privileged",
            NodePrivilege::HostPid => "sees its node's processes (hostPID)",
            NodePrivilege::HostPath => "mounts its node's runtime or file system",
        };
        let radius = |node: bool| {
            let options = BlastOptions { assume_node_compromise: node, ..BlastOptions::default() };
            let BlastRadius { reachable, .. } = blast_with(ctx.engine, ctx.reach(), id, options);
            reachable.len()
        };
        let names: Vec<String> = clients.iter().map(|w| ctx.workload_name(*w)).collect();
        let message = format!(
            "{why}, and {} can reach it: {} workloads are in reach from it, {} with its nodes",
            some(&names),
            radius(false),
            radius(true),
        );
        let mut finding = LINT.finding(workload_object(ctx, id), Some(ctx.world.workloads[id.index()].origin), message);
        finding.affected = names.len();
        finding.help = Some("drop the privilege, or let in only those who need it".to_owned());
        out.push(finding);
    }
}

/// Other workloads with an open port to it.
fn clients(ctx: &Ctx<'_, '_>, id: WorkloadId, pods: &[PodId]) -> Vec<WorkloadId> {
    let classes: BTreeSet<_> = pods.iter().filter_map(|p| ctx.engine.classes().class_of(*p)).collect();
    let mut out: BTreeSet<WorkloadId> = BTreeSet::new();
    for class in classes {
        for (ports, sources) in ctx.reach().sources(class) {
            if ports.sure.is_empty() {
                continue;
            }
            for source in sources.iter() {
                out.extend(ctx.engine.classes().members(source).iter().map(|p| ctx.world.pods[p.index()].workload));
            }
        }
    }
    out.remove(&id);
    out.into_iter().collect()
}
