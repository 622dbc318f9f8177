//! Ways in from outside the cluster: Services and Ingresses, as far as they are read, followed to the pods behind them.

use crate::context::Ctx;
use crate::rules::ask;
use crate::rules::common::{flow, verdict};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::service::Backend;
use watertight_model::service::{ServiceKind, TargetPort};
use watertight_model::{
    Direction, Endpoint, Flow, Ingress, NodeId, PortSet, Protocol, Reason, Service, ServiceId, Verdict, WorkloadId,
};

/// Ports that something in front of a workload publishes, whether or not policy lets anyone through.
pub(crate) fn published(ctx: &Ctx<'_, '_>) -> BTreeMap<WorkloadId, PortSet> {
    let mut out: BTreeMap<WorkloadId, PortSet> = BTreeMap::new();
    let mut add = |b: &Backend| {
        if let Some(workload) = workload(ctx, b) {
            let ports = out.entry(workload).or_default();
            *ports = ports.union(&PortSet::range(b.protocol, b.port, b.port));
        }
    };
    for (i, _) in ctx.world.services.iter().enumerate().filter(|(_, s)| leads_in(s)) {
        ctx.backends(ServiceId::at(i)).iter().for_each(&mut add);
    }
    for ingress in &ctx.world.ingresses {
        behind(ctx, ingress).into_iter().for_each(|(_, b)| add(&b));
    }
    out
}

/// NodePort or LoadBalancer.
pub(crate) fn leads_in(service: &Service) -> bool {
    matches!(service.kind, ServiceKind::NodePort | ServiceKind::LoadBalancer)
}

/// The pods and ports behind the backends of an Ingress, with the Service of each.
pub(crate) fn behind(ctx: &Ctx<'_, '_>, ingress: &Ingress) -> Vec<(ServiceId, Backend)> {
    let mut out = Vec::new();
    for backend in &ingress.backends {
        let Some(service) = ctx.world.service(ingress.namespace, &backend.service) else { continue };
        let ports = &ctx.world.services[service.index()].ports;
        let meant = |b: &&Backend| match &backend.port {
            TargetPort::Number(number) => b.service_port == *number,
            TargetPort::Named(name) => ports.iter().any(|p| p.name.as_ref() == Some(name) && p.port == b.service_port),
        };
        out.extend(ctx.backends(service).iter().filter(meant).map(|b| (service, *b)));
    }
    out
}

/// The class of a backend that is a pod.
pub(crate) fn class(ctx: &Ctx<'_, '_>, backend: &Backend) -> Option<ClassId> {
    match backend.endpoint {
        Endpoint::Pod(pod) => ctx.engine.classes().class_of(pod),
        Endpoint::Node(_) | Endpoint::External(_) => None,
    }
}

/// The workload of a backend that is a pod.
pub(crate) fn workload(ctx: &Ctx<'_, '_>, backend: &Backend) -> Option<WorkloadId> {
    match backend.endpoint {
        Endpoint::Pod(pod) => Some(ctx.world.pods[pod.index()].workload),
        Endpoint::Node(_) | Endpoint::External(_) => None,
    }
}

/// The public Internet reaches a workload through a Service.
pub(crate) struct Entry {
    pub(crate) service: ServiceId,
    pub(crate) workload: WorkloadId,
    pub(crate) protocol: Protocol,
    /// The pods' port.
    pub(crate) port: u16,
    /// Whatever the network plugin makes of the client's address.
    pub(crate) sure: bool,
    pub(crate) flow: Flow,
}

/// All of them, by Service.
pub(crate) fn from_the_internet(ctx: &Ctx<'_, '_>) -> Vec<Entry> {
    let mut out = Vec::new();
    for (i, service) in ctx.world.services.iter().enumerate().filter(|(_, s)| leads_in(s)) {
        // A NodePort asks nobody for source ranges.
        let ranges = &service.source_ranges;
        if service.kind == ServiceKind::LoadBalancer && !ranges.is_empty() && !ask::hold_the_internet_at_all(ranges) {
            continue;
        }
        let mut seen: BTreeSet<(WorkloadId, ClassId, Protocol, u16)> = BTreeSet::new();
        for b in ctx.backends(ServiceId::at(i)) {
            let (Some(class), Some(workload)) = (class(ctx, b), workload(ctx, b)) else { continue };
            if !ask::on_host_network(ctx, class) && seen.insert((workload, class, b.protocol, b.port)) {
                out.extend(entry(ctx, service, ServiceId::at(i), class, workload, b));
            }
        }
    }
    out
}

fn entry(
    ctx: &Ctx<'_, '_>,
    service: &Service,
    id: ServiceId,
    class: ClassId,
    workload: WorkloadId,
    b: &Backend,
) -> Option<Entry> {
    let (protocol, port) = (b.protocol, b.port);
    let made = |flow: Flow, sure: bool| Entry { service: id, workload, protocol, port, sure, flow };
    // Another node than the pod's own, which always gets in: what a client looks like after SNAT (row 100).
    let Endpoint::Pod(pod) = b.endpoint else { return None };
    let pod = &ctx.world.pods[pod.index()];
    let nodes = (0..ctx.world.nodes.len()).map(NodeId::at);
    let node = nodes.into_iter().find(|n| Some(*n) != pod.node && pod.node.is_some());
    let sent_on = node.map(|n| flow(Endpoint::Node(n), b.endpoint, protocol, port));
    let by_node = sent_on.map(|f| {
        let half = ctx.engine.decide(&f).ingress;
        (half.verdict == Verdict::Allow && half.reason != Reason::LocalNode, f)
    });
    let ip = ask::internet(ctx, class, Direction::Ingress, |p| p.possible.contains(protocol, port));
    match (ip, by_node) {
        (Some(ip), by_node) => {
            let direct = flow(Endpoint::External(ip), b.endpoint, protocol, port);
            let kept = service.local_traffic || by_node.is_none_or(|(open, _)| open);
            Some(made(direct, kept && verdict(ctx, &direct) == Verdict::Allow))
        }
        (None, Some((true, sent_on))) if !service.local_traffic => Some(made(sent_on, false)),
        (None, _) => None,
    }
}
