//! WT0041: a block that holds a Service's address, where the pods behind it are denied.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::fix::Fix;
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::{Check, Lint, ask, write};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::half;
use watertight_engine::service::Backend;
use watertight_model::{
    DependsOn, Direction, Endpoint, Flow, IpBlock, PeerKind, Peers, PortEntry, PortMatch, Ports, Protocol, Rule,
    Selector, ServiceId, Verdict, addr,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0041",
    name: "block-on-service-address",
    severity: Severity::Warning,
    summary: "an egress block holds a Service's address, and the pods behind it are denied",
    page: "Before policy is asked, a connection to a Service's address has become one to a pod behind it. The API \
           leaves open which of the two counts; we decide by the pod, as most network plugins do (semantics rows 90 \
           and 91). Proves that an egress block holds a cluster IP, and that every pod behind the Service is denied \
           on the ports of the rule. If it is the cluster's DNS, names cannot be looked up: an error.\n\nExample: DNS \
           allowed as `10.96.0.10/32`.\n\nFix: a selector on the pods behind the Service, with their ports; the rule \
           is printed.\n\nSilent: some pod behind the Service is allowed, by any rule; blocks wider than a /8, unless \
           the Service is the cluster's DNS; Services without endpoints.",
    check: Check::World(check),
};

/// Wider blocks mean the outside, not a Service; but where names are looked up counts whatever was meant.
const WIDEST: u8 = 8;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    if ctx.service_addresses().is_empty() {
        return;
    }
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        if direction != Direction::Egress {
            continue;
        }
        let subjects = ctx.scope().subjects(policy);
        for peer in peers {
            let PeerKind::Block(block) = &peer.kind else { continue };
            let mut cut: Vec<(ServiceId, Flow)> = Vec::new();
            for service in services(ctx, block) {
                cut.extend(denied(ctx, &subjects, rule, block, service).map(|witness| (service, witness)));
            }
            let Some((first, witness)) = cut.first().copied() else { continue };
            let names: Vec<String> = cut.iter().map(|(s, _)| service_name(ctx, *s)).collect();
            let dns = cut.iter().any(|(s, _)| ctx.dns().is_service(*s));
            let message = format!(
                "{} holds the address of Service {}, and policy is about the pods behind it, which no rule allows: \
                 connections are denied where the plugin looks at pods (semantics row 90){}",
                block.cidr.cidr,
                some(&names),
                if dns { "; names cannot be looked up (WT0051)" } else { "" }
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
            if dns {
                finding = finding.at_severity(Severity::Error);
            }
            finding.status = Status::Assumed;
            finding.witness = Some(witness);
            finding.affected = ask::workloads(ctx, subjects.iter().copied()).len();
            finding.help = Some("select the pods behind the Service, on the ports on which they listen".to_owned());
            if let (1, Some(fixed)) = (cut.len(), by_selector(ctx, rule, first)) {
                let title = format!("egress rule {j} with the pods behind {}", names[0]);
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            }
            out.push(finding);
        }
    }
}

fn service_name(ctx: &Ctx<'_, '_>, id: ServiceId) -> String {
    let service = &ctx.world.services[id.index()];
    format!("{}/{}", ctx.world.namespaces[service.namespace.index()].name, service.name)
}

/// Services with an address in the block.
fn services(ctx: &Ctx<'_, '_>, block: &IpBlock) -> BTreeSet<ServiceId> {
    let cidr = &block.cidr.cidr;
    let wide = cidr.prefix_len() < WIDEST;
    let (first, last) = cidr.range();
    let ends = addr::address(cidr.family(), first)..=addr::address(cidr.family(), last);
    let inside = ctx.service_addresses().range(ends);
    let meant = inside.filter(|(ip, service)| {
        (!wide || ctx.dns().is_service(**service)) && !block.except.iter().any(|e| e.cidr.contains(**ip))
    });
    meant.map(|(_, service)| *service).collect()
}

/// A denied connection to a pod behind the Service, if there is none that is not denied.
fn denied(ctx: &Ctx<'_, '_>, subjects: &[ClassId], rule: &Rule, block: &IpBlock, service: ServiceId) -> Option<Flow> {
    // A pod whose address is not known may be in a range, but never has the one address that is a Service's.
    let single = block.cidr.cidr.prefix_len() == addr::width(block.cidr.cidr.family());
    let is_address = |cause: &DependsOn| single && matches!(cause, DependsOn::PodAddress(_));
    let mut witness = None;
    let mut asked: BTreeSet<(Option<ClassId>, Protocol, u16)> = BTreeSet::new();
    for backend in ctx.backends(service).iter().filter(|b| meant(rule, b)) {
        let class = match backend.endpoint {
            Endpoint::Pod(pod) => ctx.engine.classes().class_of(pod),
            Endpoint::Node(_) | Endpoint::External(_) => None,
        };
        if class.is_some() && !asked.insert((class, backend.protocol, backend.port)) {
            continue;
        }
        for subject in subjects {
            let asked = flow(ask::end(ctx, *subject), backend.endpoint, backend.protocol, backend.port);
            let verdict = ctx.engine.decide(&asked);
            let half = half(&verdict, Direction::Egress);
            let denied = match half.verdict {
                Verdict::Deny => true,
                Verdict::Depends => half.depends_on.iter().all(is_address),
                Verdict::Allow => false,
            };
            if !denied {
                return None;
            }
            witness.get_or_insert(asked);
        }
    }
    witness
}

/// The rule is for this port of the Service: its own number, or, as people also write, the pods'.
fn meant(rule: &Rule, backend: &Backend) -> bool {
    match &rule.ports {
        Ports::Any(_) => true,
        Ports::Of(entries) => entries.iter().filter(|e| e.protocol == backend.protocol).any(|e| match &e.port {
            PortMatch::Any | PortMatch::Named(_) => true,
            PortMatch::Range(a, b) => (*a..=*b).contains(&backend.service_port) || (*a..=*b).contains(&backend.port),
        }),
    }
}

/// The rule with the Service's pods in the place of the block, and their ports in the place of the Service's; only where the
/// block is the rule's one peer, because the ports are those of all of them.
fn by_selector(ctx: &Ctx<'_, '_>, rule: &Rule, service: ServiceId) -> Option<Rule> {
    let this = &ctx.world.services[service.index()];
    let Peers::Of(old) = &rule.peers else { return None };
    if old.len() != 1 {
        return None;
    }
    let pairs: Vec<(&str, &str)> = this.selector.as_ref()?.iter().map(|(k, v)| (&**k, &**v)).collect();
    let namespace = &ctx.world.namespaces[this.namespace.index()].name;
    let peers = Peers::Of(vec![write::pods(Some(write::namespace_named(namespace)), Selector::of(&pairs))]);
    let port = |entry: &PortEntry| {
        let number = |b: &Backend| PortMatch::Range(b.service_port, b.service_port);
        let own = ctx.backends(service).iter().find(|b| b.protocol == entry.protocol && number(b) == entry.port);
        let target = own.map(|b| PortMatch::Range(b.port, b.port));
        PortEntry { port: target.unwrap_or_else(|| entry.port.clone()), ..entry.clone() }
    };
    let ports = match &rule.ports {
        Ports::Any(presence) => Ports::Any(*presence),
        Ports::Of(entries) => Ports::Of(entries.iter().map(port).collect()),
    };
    Some(Rule { peers, ports, ..rule.clone() })
}
