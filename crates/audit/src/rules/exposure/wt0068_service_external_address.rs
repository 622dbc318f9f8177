//! WT0068: a Service that takes over an address outside, or stands for a name outside.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::flow;
use crate::rules::entries::workload;
use crate::rules::{Check, Lint, ask};
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_model::service::ServiceKind;
use watertight_model::{Direction, Endpoint, Flow, Service, ServiceId, Verdict, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0068",
    name: "service-external-address",
    severity: Severity::Warning,
    summary: "a Service with externalIPs takes over traffic to those addresses; an ExternalName has no pods for a policy",
    page: "What pods send to an address in `externalIPs` goes to this Service's pods instead (CVE-2020-8554): whoever \
           may create Services can read other people's traffic. Proves that pods may connect to the address on the \
           Service's ports, and names them. For ExternalName a note: policy is about addresses and pods, and none can \
           be written on a name.\n\nExample: `externalIPs: [203.0.113.10]`, an address that `shop/web` may \
           reach.\n\nFix: drop `externalIPs`, or guard the field by admission.\n\nSilent: no pod may reach the \
           address; an ExternalName in a namespace in which no pod is isolated for egress.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, service) in ctx.world.services.iter().enumerate() {
        let object = format!("Service {}/{}", ctx.world.namespaces[service.namespace.index()].name, service.name);
        if service.kind == ServiceKind::ExternalName {
            out.extend(by_name(ctx, service, object));
            continue;
        }
        for ip in &service.external_ips {
            let (workloads, witness) = reaching(ctx, ServiceId::at(i), *ip);
            let Some(witness) = witness else { continue };
            let message =
                format!("what {} send to {ip} goes to this Service's pods instead", some(&ask::names(ctx, &workloads)));
            let mut finding = LINT.finding(object.clone(), Some(service.origin), message);
            finding.affected = workloads.len();
            finding.witness = Some(witness);
            finding.help = Some("drop `externalIPs`, or guard the field by admission".to_owned());
            finding.fixes.push(Fix::text("no external addresses", "spec:\n  externalIPs: []\n"));
            out.push(finding);
        }
    }
}

/// Workloads that may connect to the address on a port of the Service, those behind it left out, and one such connection.
fn reaching(ctx: &Ctx<'_, '_>, service: ServiceId, ip: IpAddr) -> (BTreeSet<WorkloadId>, Option<Flow>) {
    let behind: BTreeSet<WorkloadId> = ctx.backends(service).iter().filter_map(|b| workload(ctx, b)).collect();
    let ports = &ctx.world.services[service.index()].ports;
    let (mut found, mut witness) = (BTreeSet::new(), None);
    for class in ask::classes(ctx) {
        let mut flows = ports.iter().map(|p| flow(ask::end(ctx, class), Endpoint::External(ip), p.protocol, p.port));
        let Some(open) = flows.find(|f| ctx.engine.decide(f).egress.verdict == Verdict::Allow) else { continue };
        let others: BTreeSet<WorkloadId> = ask::workloads(ctx, [class]).difference(&behind).copied().collect();
        if !others.is_empty() {
            witness.get_or_insert(open);
            found.extend(others);
        }
    }
    (found, witness)
}

fn by_name(ctx: &Ctx<'_, '_>, service: &Service, object: String) -> Option<Finding> {
    let isolated = ask::classes(ctx)
        .any(|c| ask::namespace(ctx, c) == service.namespace && ask::has_policies(ctx, c, Direction::Egress));
    let name = service.external_name.as_ref().filter(|_| isolated)?;
    let message = format!("stands for {name}, a name outside: an egress rule needs the addresses behind it");
    let mut finding = LINT.finding(object, Some(service.origin), message).at_severity(Severity::Note);
    finding.affected = 1;
    finding.help = Some("allow the addresses as blocks, or the name with a cluster policy's `domainNames`".to_owned());
    Some(finding)
}
