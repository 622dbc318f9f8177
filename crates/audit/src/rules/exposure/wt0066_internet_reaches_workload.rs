//! WT0066: pods that the Internet reaches.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::fix::Fix;
use crate::rules::entries::{Entry, from_the_internet};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::entry::{By, Doubt, published};
use watertight_model::service::ServiceKind;
use watertight_model::{Flow, NamespaceId, Origin, Protocol, ServiceId, Verdict, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0066",
    name: "internet-reaches-workload",
    severity: Severity::Warning,
    summary: "public addresses reach a workload through a LoadBalancer or NodePort Service, or what an Ingress or a route publishes is sensitive",
    page: "Follows LoadBalancer and NodePort Services, their source ranges and policy to the pods' port, and asks \
           whether public addresses get there. With NodePort and `externalTrafficPolicy: Cluster` the client may \
           arrive under a node's address, so where policy tells the two apart the answer depends (semantics row 100). \
           An error and critical where the port is a sensitive one or the workload is protected \
           (`watertight.dev/protect: \"true\"`); what an Ingress or a route of the Gateway API publishes is \
           published on purpose, and reported only in that case.\n\nExample: Service `admin` of type LoadBalancer \
           without source ranges, pods not isolated.\n\nFix: `loadBalancerSourceRanges`, an internal load balancer, or \
           an ingress rule limited to the ingress controller.\n\nSilent: ingress controllers; source ranges that are \
           not the whole Internet; policy that lets in neither public addresses nor nodes.",
    check: Check::World(check),
};

/// What is reached: workloads with ports.
type Reached = BTreeSet<(WorkloadId, Protocol, u16)>;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let controllers = ask::controllers(ctx);
    let fronts = ask::workloads(ctx, controllers.iter().copied());
    let protected = ask::protected(ctx);
    let mut by_service: BTreeMap<ServiceId, Vec<Entry>> = BTreeMap::new();
    for entry in from_the_internet(ctx).into_iter().filter(|e| !fronts.contains(&e.workload)) {
        by_service.entry(entry.service).or_default().push(entry);
    }
    for (service, entries) in by_service {
        let reached: Reached = entries.iter().map(|e| (e.workload, e.protocol, e.port)).collect();
        let sure = entries.iter().any(|e| e.sure);
        let Some(witness) = entries.first().map(|e| e.flow) else { continue };
        let this = &ctx.world.services[service.index()];
        let (kind, fix) = match this.kind {
            ServiceKind::LoadBalancer => ("load balancer", true),
            ServiceKind::NodePort | ServiceKind::ClusterIp | ServiceKind::ExternalName => ("node port", false),
        };
        let words = if sure { "reach" } else { "may reach, depending on what the plugin makes of their address," };
        let object = format!("Service {}/{}", ctx.world.namespaces[this.namespace.index()].name, this.name);
        let message = format!("public addresses {words} {} through its {kind}", names(ctx, &reached));
        let mut finding = LINT.finding(object, Some(this.origin), message);
        finding.status = if sure { Status::InInput } else { Status::Assumed };
        finding.witness = Some(witness);
        finding.affected = reached.len();
        finding.help = Some(
            "limit clients at the Service (`loadBalancerSourceRanges`), or let in the ingress controller only"
                .to_owned(),
        );
        if fix {
            let yaml = "spec:\n  loadBalancerSourceRanges:\n  - 192.0.2.0/24 # the clients' own addresses\n";
            finding.fixes.push(Fix::text("limit clients at the load balancer", yaml));
        }
        weigh(ctx, &mut finding, &reached, &protected);
        out.push(finding);
    }
    let mut by_object: BTreeMap<By, (Reached, Option<Flow>)> = BTreeMap::new();
    for entry in published(ctx.engine).into_iter().take_while(|_| !ctx.is_overdue()) {
        let Some(class) = ctx.engine.classes().class_of(entry.pod) else { continue };
        // Without a proxy in the input: as one of another namespace would be.
        let stranger = || ctx.stranger_ports(class).possible.contains(entry.protocol, entry.port);
        let known = !entry.doubts.contains(&Doubt::ProxyUnknown);
        let open = if known { entry.verdict != Verdict::Deny } else { stranger() };
        if open {
            let (reached, witness) = by_object.entry(entry.by).or_default();
            reached.insert((ctx.world.pods[entry.pod.index()].workload, entry.protocol, entry.port));
            *witness = witness.or(entry.witness);
        }
    }
    for (by, (reached, witness)) in by_object {
        let heavy: Reached = reached.iter().filter(|r| !reasons(ctx, r, &protected).is_empty()).copied().collect();
        let Some((object, at, proxy)) = publisher(ctx, by).filter(|_| !heavy.is_empty()) else { continue };
        let message = format!("clients outside reach {} through the {proxy}", names(ctx, &heavy));
        let mut finding = LINT.finding(object, Some(at), message);
        finding.witness = witness;
        finding.affected = heavy.len();
        finding.help = Some("publish something in front of it, not the workload itself".to_owned());
        weigh(ctx, &mut finding, &heavy, &protected);
        out.push(finding);
    }
}

/// An Ingress or route as the object of a finding, its place, and what serves it.
fn publisher(ctx: &Ctx<'_, '_>, by: By) -> Option<(String, Origin, &'static str)> {
    let name = |ns: NamespaceId, name: &str| format!("{}/{name}", ctx.world.namespaces[ns.index()].name);
    match by {
        By::Ingress(i) => {
            let this = ctx.world.ingresses.get(i as usize)?;
            Some((format!("Ingress {}", name(this.namespace, &this.name)), this.origin, "ingress controller"))
        }
        By::Route(i) => {
            let this = ctx.world.routes.get(i as usize)?;
            Some((format!("{} {}", this.kind.name(), name(this.namespace, &this.name)), this.origin, "gateway"))
        }
        By::LoadBalancer(_) | By::NodePort(_) => None,
    }
}

fn names(ctx: &Ctx<'_, '_>, reached: &Reached) -> String {
    let name =
        |(w, protocol, port): &(WorkloadId, Protocol, u16)| format!("{} on {protocol} {port}", ctx.workload_name(*w));
    some(&reached.iter().map(name).collect::<Vec<_>>())
}

/// Why reaching this is worse than reaching something.
fn reasons(ctx: &Ctx<'_, '_>, reached: &(WorkloadId, Protocol, u16), protected: &BTreeSet<WorkloadId>) -> Vec<String> {
    let (workload, protocol, port) = *reached;
    let all = ctx.options.sensitive_ports.iter().filter(|(p, n, _)| (*p, *n) == (protocol, port));
    let mut out: Vec<String> = all.map(|(_, _, what)| format!("{port} is {what}")).collect();
    out.extend(protected.contains(&workload).then(|| format!("{} is protected", ctx.workload_name(workload))));
    out
}

fn weigh(ctx: &Ctx<'_, '_>, finding: &mut Finding, reached: &Reached, protected: &BTreeSet<WorkloadId>) {
    let why: BTreeSet<String> = reached.iter().flat_map(|r| reasons(ctx, r, protected)).collect();
    if !why.is_empty() {
        finding.severity = Severity::Error;
        finding.score = 9.0;
        finding.message = format!("{} ({})", finding.message, some(&why.into_iter().collect::<Vec<_>>()));
    }
}
