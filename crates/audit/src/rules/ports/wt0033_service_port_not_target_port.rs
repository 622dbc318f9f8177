//! WT0033: a rule names the Service's port, where the pods listen on another.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{policy_object, subjects};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::service::{backends, selected};
use watertight_model::{Direction, Endpoint, NamespaceId, PodId, PortEntry, PortMatch, Ports, Rule, ServiceId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0033",
    name: "service-port-not-target-port",
    severity: Severity::Error,
    summary: "a rule allows a Service's port, and the pods behind it listen on another",
    page: "Policy is about pods: when a connection to a Service arrives, its port has become the pods' port. Proves \
           that a rule allows a Service's `port`, that the pods do not listen there, and that their `targetPort` is \
           denied to everyone the rule was for.\n\nExample: Service 80 -> 8080, rule `port: 80`.\n\nFix: 8080, or the \
           port's name.\n\nSilent: the target port is allowed as well, or the pods declare the Service's number too.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in crate::rules::common::rules(ctx) {
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
            let mut finding = LINT.finding(policy_object(ctx, i), Some(entry.origin), message);
            finding.affected = pods.len();
            finding.help = Some(format!("write {target}: policy sees the pods' port, never the Service's"));
            let fixed = with_port(rule, entry, target);
            let title = format!("ingress rule {j} with the pods' port");
            finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
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
