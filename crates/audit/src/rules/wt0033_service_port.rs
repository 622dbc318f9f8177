//! WT0033: a rule names the Service's port, where the pods listen on another; WT0059: an Ingress whose backend is closed.

use super::Lint;
use super::common::{flow, policy_object, subjects, verdict};
use crate::context::Ctx;
use crate::finding::{Finding, Fix, Severity, some};
use std::collections::BTreeSet;
use watertight_engine::service::{backends, selected};
use watertight_model::service::TargetPort;
use watertight_model::{
    Direction, Endpoint, NamespaceId, PodId, PortEntry, PortMatch, Ports, Rule, ServiceId, Verdict, WorkloadKind,
    manifest,
};

/// The lint.
pub(super) const SERVICE_PORT: Lint = Lint {
    code: "WT0033",
    name: "service-port-not-target-port",
    severity: Severity::Error,
    summary: "a rule allows a Service's port, and the pods behind it listen on another",
    page: "Policy is about pods: when a connection to a Service arrives, its port has become the pods' port. Proves \
           that a rule allows a Service's `port`, that the pods do not listen there, and that their `targetPort` is \
           denied to everyone the rule was for.\n\nExample: Service 80 -> 8080, rule `port: 80`.\n\nFix: 8080, or the \
           port's name.\n\nSilent: the target port is allowed as well, or the pods declare the Service's number too.",
    check: service_port,
};

/// The lint.
pub(super) const INGRESS_BACKEND: Lint = Lint {
    code: "WT0059",
    name: "ingress-backend-denied",
    severity: Severity::Error,
    summary: "an Ingress points at pods that its controller may not reach",
    page: "Proves that none of the ingress controller's pods reaches any endpoint behind a backend of an Ingress. The \
           controller's pods are those of workloads that carry the usual names (ingress, traefik, haproxy, contour, \
           envoy gateways); if there are none in the input, a pod of another namespace stands for them.\n\nExample: \
           Ingress `shop/web` to Service `web:80`, and `shop` admits only its own namespace.\n\nFix: a rule from the \
           controller's namespace and pods.",
    check: ingress_backend,
};

fn service_port(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in super::common::rules(ctx) {
        let Ports::Of(entries) = &rule.ports else { continue };
        if direction != Direction::Ingress {
            continue;
        }
        let pods = subjects(ctx, policy);
        for entry in entries {
            let PortMatch::Range(number, last) = entry.port else { continue };
            if number != last {
                continue;
            }
            let Some((service, target)) = translated(ctx, policy.namespace, &pods, entry, number) else { continue };
            let Some(pod) = pods.first() else { continue };
            if open_to_anyone(ctx, *pod, entry, target) {
                continue;
            }
            let name = ctx.world.services[service.index()].name.to_string();
            let namespace = &ctx.world.namespaces[policy.namespace.index()].name;
            let message = format!(
                "allows {} {number}, the port of Service {namespace}/{name}, but the pods listen on {target}: connections through the \
                 Service are denied",
                entry.protocol
            );
            let mut finding = SERVICE_PORT.finding(policy_object(ctx, i), Some(entry.origin), message);
            finding.affected = pods.len();
            finding.help = Some(format!("write {target}: policy sees the pods' port, never the Service's"));
            let fixed = with_port(rule, entry, target);
            finding.fixes.push(Fix {
                title: format!("ingress rule {j} with the pods' port"),
                yaml: manifest::rule_entry(&fixed, false),
            });
            out.push(finding);
        }
    }
}

/// A Service in front of these pods that has this number as its port and translates it.
fn translated(
    ctx: &Ctx<'_, '_>,
    ns: NamespaceId,
    pods: &[PodId],
    entry: &PortEntry,
    number: u16,
) -> Option<(ServiceId, u16)> {
    let behind: BTreeSet<PodId> = pods.iter().copied().collect();
    for (i, service) in ctx.world.services.iter().enumerate().filter(|(_, s)| s.namespace == ns) {
        let Some(labels) = &service.selector else { continue };
        if !selected(ctx.engine, service, labels).any(|(id, _)| behind.contains(&id)) {
            continue;
        }
        for backend in backends(ctx.engine, ServiceId::at(i)) {
            let Endpoint::Pod(id) = backend.endpoint else { continue };
            let same = backend.service_port == number && backend.protocol == entry.protocol && backend.port != number;
            let declared =
                ctx.world.pods[id.index()].ports.iter().any(|p| p.port == number && p.protocol == entry.protocol);
            if same && !declared && behind.contains(&id) {
                return Some((ServiceId::at(i), backend.port));
            }
        }
    }
    None
}

/// Some pod or the outside reaches the target port already.
fn open_to_anyone(ctx: &Ctx<'_, '_>, pod: PodId, entry: &PortEntry, target: u16) -> bool {
    let Some(class) = ctx.engine.classes().class_of(pod) else { return false };
    ctx.reach().sources(class).any(|(ports, _)| ports.possible.contains(entry.protocol, target))
}

fn with_port(rule: &Rule, entry: &PortEntry, target: u16) -> Rule {
    let Ports::Of(entries) = &rule.ports else { return rule.clone() };
    let fixed = entries.iter().map(|e| {
        if e == entry { PortEntry { port: PortMatch::Range(target, target), ..e.clone() } } else { e.clone() }
    });
    Rule { ports: Ports::Of(fixed.collect()), ..rule.clone() }
}

/// Names by which ingress controllers are known.
const CONTROLLERS: [&str; 6] = ["ingress", "traefik", "haproxy", "contour", "envoy", "nginx-gateway"];

fn ingress_backend(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let known = |name: &str| CONTROLLERS.iter().any(|c| name.contains(c));
    let controllers: Vec<PodId> = (0..ctx.world.pods.len())
        .map(PodId::at)
        .filter(|id| {
            let pod = &ctx.world.pods[id.index()];
            let workload = &ctx.world.workloads[pod.workload.index()];
            let namespace = &ctx.world.namespaces[pod.namespace.index()].name;
            let runs = !matches!(workload.kind, WorkloadKind::Job | WorkloadKind::CronJob);
            !pod.finished && !pod.host_network && runs && (known(&workload.name) || known(namespace))
        })
        .collect();
    for ingress in &ctx.world.ingresses {
        for backend in &ingress.backends {
            let Some(service) = ctx.world.service(ingress.namespace, &backend.service) else { continue };
            let wanted: Vec<_> = backends(ctx.engine, service)
                .into_iter()
                .filter(|b| match &backend.port {
                    TargetPort::Number(number) => b.service_port == *number,
                    TargetPort::Named(name) => {
                        let ports = &ctx.world.services[service.index()].ports;
                        ports.iter().any(|p| p.name.as_ref() == Some(name) && p.port == b.service_port)
                    }
                })
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let reached = |b: &watertight_engine::service::Backend| match b.endpoint {
                Endpoint::Pod(pod) if controllers.is_empty() => {
                    ctx.stranger_reaches_port(pod, b.protocol, b.port) != Verdict::Deny
                }
                to => controllers
                    .iter()
                    .any(|c| verdict(ctx, &flow(Endpoint::Pod(*c), to, b.protocol, b.port)) != Verdict::Deny),
            };
            if wanted.iter().any(reached) {
                continue;
            }
            let namespace = &ctx.world.namespaces[ingress.namespace.index()].name;
            let who = if controllers.is_empty() {
                "a pod of another namespace, as a controller would be,".to_owned()
            } else {
                some(&super::common::workload_names(ctx, &controllers))
            };
            let message = format!(
                "{who} may not reach Service {namespace}/{}: requests through this Ingress fail",
                backend.service
            );
            let object = format!("Ingress {namespace}/{}", ingress.name);
            let mut finding = INGRESS_BACKEND.finding(object, Some(backend.origin), message);
            finding.affected = wanted.len();
            finding.help = Some("add an ingress rule from the controller's namespace and pods".to_owned());
            out.push(finding);
        }
    }
}
