//! WT0033: a rule names the Service's port, where the pods listen on another.

use super::with_entry;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::receivers::{openers, receivers};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::explain::half;
use watertight_engine::query::evaluated_half;
use watertight_engine::service::{Backend, backends};
use watertight_model::{
    ContainerPort, Direction, Endpoint, Flow, NamespaceId, PodId, PortEntry, PortMatch, Ports, ServiceId, Verdict,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0033",
    name: "service-port-not-target-port",
    severity: Severity::Error,
    summary: "a rule allows a Service's port, and the pods behind it listen on another",
    page: "Policy is about pods: when a connection to a Service arrives, its port has become the pods' port. \
           Proves that a rule allows a Service's `port`, that the pods do not listen there, and that their \
           `targetPort` is denied to everyone the rule was for.\n\nExample: Service 80 -> 8080, rule `port: \
           80`.\n\nFix: 8080, or the port's name.\n\nSilent: the target port is allowed as well, or the pods \
           declare the Service's number too.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Ports::Of(entries) = &rule.ports else { continue };
        let Some(classes) = receivers(ctx, policy, direction, rule).filter(|c| !c.is_empty()) else { continue };
        let pods: BTreeSet<PodId> = classes.iter().flat_map(|c| ctx.engine.classes().members(*c)).copied().collect();
        for entry in entries {
            let PortMatch::Range(number, last) = entry.port else { continue };
            if number != last {
                continue;
            }
            let Some((service, backend)) = translated(ctx, &pods, entry, number) else { continue };
            let openers = openers(ctx, policy, direction, rule);
            let mut flows = openers
                .iter()
                .map(|from| flow(*from, backend.endpoint, entry.protocol, backend.port))
                .filter(|f| f.from != f.to);
            let (first, denied) = (flows.clone().next(), flows.all(|f| denied(ctx, &f, direction)));
            let (Some(witness), true) = (first, denied) else { continue };
            let this = &ctx.world.services[service.index()];
            let namespace = &ctx.world.namespaces[this.namespace.index()].name;
            let target = backend.port;
            let message = format!(
                "allows {} {number}, the port of Service {namespace}/{}, but the pods listen on {target}: connections \
                 through the Service are denied",
                entry.protocol, this.name
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(entry.origin), message);
            finding.affected = pods.len();
            finding.witness = Some(witness);
            finding.help = Some(format!("write {target}: policy sees the pods' port, never the Service's"));
            let fixed = PortEntry { port: PortMatch::Range(target, target), ..entry.clone() };
            let title = format!("{} rule {j} with the pods' port", direction.name());
            let fixed = with_entry(rule, entry, &[fixed]);
            finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            out.push(finding);
        }
    }
}

/// The policies of this side deny it.
fn denied(ctx: &Ctx<'_, '_>, flow: &Flow, direction: Direction) -> bool {
    evaluated_half(half(&ctx.engine.decide(flow), direction)) == Verdict::Deny
}

/// A Service in front of some of these pods that has this number as its port and translates it to one that they declare
/// instead.
fn translated(
    ctx: &Ctx<'_, '_>,
    pods: &BTreeSet<PodId>,
    entry: &PortEntry,
    number: u16,
) -> Option<(ServiceId, Backend)> {
    let namespaces: BTreeSet<NamespaceId> = pods.iter().map(|p| ctx.world.pods[p.index()].namespace).collect();
    let here = ctx.world.services.iter().enumerate().filter(|(_, s)| namespaces.contains(&s.namespace));
    let candidates = here.filter(|(_, s)| s.ports.iter().any(|p| p.port == number && p.protocol == entry.protocol));
    for (i, _) in candidates {
        for backend in backends(ctx.engine, ServiceId::at(i)) {
            let Endpoint::Pod(id) = backend.endpoint else { continue };
            let same = backend.service_port == number && backend.protocol == entry.protocol && backend.port != number;
            let declares = |p: &ContainerPort| p.port == number && p.protocol == entry.protocol;
            if same && pods.contains(&id) && !ctx.world.pods[id.index()].ports.iter().any(declares) {
                return Some((ServiceId::at(i), backend));
            }
        }
    }
    None
}
