//! Ports and Services (WT0030 to WT0039).

mod wt0030_named_port_unknown;
mod wt0031_named_port_varies;
mod wt0032_named_port_on_address;
mod wt0033_service_port_not_target_port;
mod wt0034_service_unreachable;
mod wt0035_service_partly_reachable;
mod wt0036_service_without_endpoints;
mod wt0037_endpoint_elsewhere;
mod wt0038_rule_port_not_declared;
mod wt0039_rule_wider_than_declared;

use super::Lint;
use crate::context::Ctx;
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::service::backends;
use watertight_model::{Endpoint, PodId, PortEntry, Ports, Protocol, Rule, ServiceId};

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0030_named_port_unknown::LINT,
    &wt0031_named_port_varies::LINT,
    &wt0032_named_port_on_address::LINT,
    &wt0033_service_port_not_target_port::LINT,
    &wt0034_service_unreachable::LINT,
    &wt0035_service_partly_reachable::LINT,
    &wt0036_service_without_endpoints::LINT,
    &wt0037_endpoint_elsewhere::LINT,
    &wt0038_rule_port_not_declared::LINT,
    &wt0039_rule_wider_than_declared::LINT,
];

/// A port of a Service on the pods of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Backing {
    service_port: u16,
    protocol: Protocol,
    class: ClassId,
    /// The pods' port.
    port: u16,
}

/// The pods behind a Service that policies can select, as classes.
fn backing(ctx: &Ctx<'_, '_>, service: ServiceId) -> BTreeSet<Backing> {
    let class = |endpoint| match endpoint {
        Endpoint::Pod(id) if !ctx.world.pods[id.index()].host_network => ctx.engine.classes().class_of(id),
        Endpoint::Pod(_) | Endpoint::Node(_) | Endpoint::External(_) => None,
    };
    let of = |b: watertight_engine::service::Backend| {
        let (service_port, protocol, port) = (b.service_port, b.protocol, b.port);
        class(b.endpoint).map(|class| Backing { service_port, protocol, class, port })
    };
    backends(ctx.engine, service).into_iter().filter_map(of).collect()
}

/// The pods behind a Service, ascending.
fn behind(ctx: &Ctx<'_, '_>, service: ServiceId) -> BTreeSet<PodId> {
    let pod = |b: watertight_engine::service::Backend| match b.endpoint {
        Endpoint::Pod(id) => Some(id),
        Endpoint::Node(_) | Endpoint::External(_) => None,
    };
    backends(ctx.engine, service).into_iter().filter_map(pod).collect()
}

/// `Service namespace/name`.
fn service_object(ctx: &Ctx<'_, '_>, service: ServiceId) -> String {
    let this = &ctx.world.services[service.index()];
    format!("Service {}/{}", ctx.world.namespaces[this.namespace.index()].name, this.name)
}

/// All Services, until the lint's time is over.
fn services<'a>(ctx: &'a Ctx<'_, '_>) -> impl Iterator<Item = ServiceId> + 'a {
    (0..ctx.world.services.len()).map(ServiceId::at).take_while(|_| !ctx.is_overdue())
}

/// The rule with other entries in the place of one.
fn with_entry(rule: &Rule, entry: &PortEntry, others: &[PortEntry]) -> Rule {
    let Ports::Of(entries) = &rule.ports else { return rule.clone() };
    let put = |e: &PortEntry| if e == entry { others.to_vec() } else { vec![e.clone()] };
    Rule { ports: Ports::Of(entries.iter().flat_map(put).collect()), ..rule.clone() }
}
