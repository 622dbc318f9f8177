//! WT0067: a container's port on its node, open to the outside.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::fix::Fix;
use crate::rules::common::{flow, workload_object};
use crate::rules::{Check, Lint, ask};
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight_model::{Direction, Endpoint, PodId, Protocol, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0067",
    name: "host-port-exposed",
    severity: Severity::Warning,
    summary: "a hostPort is open to addresses outside the cluster",
    page: "`hostPort` puts a container's port on the address of its node, beside every Service. Proves that policy \
           lets public addresses reach the container's port.\n\nExample: `hostPort: 9100` on a pod whose ingress rule \
           is `[{}]`, or that nothing isolates.\n\nFix: remove hostPort; or an ingress rule for the clients in \
           use.\n\nSilent: policy denies the outside; hostNetwork pods, for which policy does not hold (WT0091).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    // One entry for each workload and mapped port, with its first pod.
    let mut mapped: BTreeMap<(WorkloadId, Protocol, u16, u16), PodId> = BTreeMap::new();
    for (i, pod) in ctx.world.pods.iter().enumerate().filter(|(_, p)| !p.finished && !p.host_network) {
        for port in &pod.ports {
            if let Some(host) = port.host_port {
                mapped.entry((pod.workload, port.protocol, host, port.port)).or_insert(PodId::at(i));
            }
        }
    }
    for ((workload, protocol, host, port), pod) in mapped {
        let Some(class) = ctx.engine.classes().class_of(pod) else { continue };
        let open = |sure: bool| -> Option<IpAddr> {
            ask::internet(ctx, class, Direction::Ingress, |p| {
                if sure { p.sure.contains(protocol, port) } else { p.possible.contains(protocol, port) }
            })
        };
        let sure = open(true);
        let Some(ip) = sure.or_else(|| open(false)) else { continue };
        let message = format!(
            "port {host} of its nodes is {protocol} {port} of its pods, and {} public addresses",
            if sure.is_some() { "policy lets in" } else { "policy may let in" }
        );
        let mut finding =
            LINT.finding(workload_object(ctx, workload), Some(ctx.world.pods[pod.index()].origin), message);
        finding.status = if sure.is_some() { Status::InInput } else { Status::Assumed };
        finding.affected = 1;
        finding.witness = Some(flow(Endpoint::External(ip), Endpoint::Pod(pod), protocol, port));
        finding.help = Some("remove `hostPort`, or let in only the clients in use".to_owned());
        finding.fixes.push(Fix::text(
            "the port without hostPort",
            format!("ports:\n- containerPort: {port}\n  protocol: {protocol}\n"),
        ));
        out.push(finding);
    }
}
