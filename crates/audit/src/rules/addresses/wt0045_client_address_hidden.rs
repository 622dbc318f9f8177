//! WT0045: clients named by address, where the pods see another address.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::fix::Fix;
use crate::rules::common::{policy_object, rules};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_model::service::ServiceKind;
use watertight_model::{Cidr, Direction, Endpoint, IpBlock, PeerKind, Peers, ServiceId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0045",
    name: "client-address-hidden",
    severity: Severity::Warning,
    summary: "an ingress rule names clients outside by address, and their address does not arrive at the pods",
    page: "A NodePort or LoadBalancer Service with `externalTrafficPolicy: Cluster` may send a connection on from \
           another node, under that node's address; an ingress controller opens a connection of its own. Proves that \
           a rule names blocks outside the cluster and that every way in from outside hides the client: whether the \
           rule ever matches depends on the plugin and the node (semantics row 100).\n\nExample: ingress from \
           `198.51.100.0/24` on pods behind a LoadBalancer.\n\nFix: `externalTrafficPolicy: Local`; \
           `loadBalancerSourceRanges` at the Service; or a selector on the ingress controller.\n\nSilent: some way in \
           keeps the address; no Service leads in from outside; blocks of private addresses or nodes, from which \
           traffic arrives as it is.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let ways = ways_in(ctx);
    if ways.is_empty() {
        return;
    }
    for (i, policy, direction, _, rule) in rules(ctx) {
        let (Direction::Ingress, Peers::Of(peers)) = (direction, &rule.peers) else { continue };
        let blocks: Vec<&IpBlock> = peers
            .iter()
            .filter_map(|p| match &p.kind {
                PeerKind::Block(block) => Some(block),
                PeerKind::Pods { .. } => None,
            })
            .collect();
        let named: Vec<&IpBlock> = blocks.iter().copied().filter(|b| is_outside(ctx, &b.cidr.cidr)).collect();
        // A block with the nodes in it lets in what the nodes send on.
        if named.is_empty() || named.len() < blocks.len() {
            continue;
        }
        let subjects = ctx.scope().subjects(policy);
        let ways: Vec<&Way> = subjects.iter().filter_map(|c| ways.get(c)).flatten().collect();
        if ways.is_empty() || ways.iter().any(|w| w.keeps) {
            continue;
        }
        let through: BTreeSet<&str> = ways.iter().map(|w| w.name.as_str()).collect();
        let through: Vec<String> = through.into_iter().map(str::to_owned).collect();
        let texts: Vec<String> = named.iter().map(|b| b.cidr.cidr.to_string()).collect();
        let message = format!(
            "clients of {} arrive through {}, which may put another address in the place of theirs: whether this rule \
             matches depends on the network plugin and the node they come by",
            some(&texts),
            some(&through)
        );
        let at = peers.first().map(|p| p.origin);
        let mut finding = LINT.finding(policy_object(ctx, i), at, message);
        finding.status = Status::Assumed;
        finding.affected = ask::workloads(ctx, subjects.iter().copied()).len();
        finding.help = Some(
            "keep the address with `externalTrafficPolicy: Local`, limit clients at the Service, or select the ingress \
             controller"
                .to_owned(),
        );
        let services: BTreeSet<ServiceId> = ways.iter().filter_map(|w| w.service).collect();
        for id in services {
            let service = &ctx.world.services[id.index()];
            let title = format!("keep the client's address at Service {}", service.name);
            finding.fixes.push(Fix::text(title, "spec:\n  externalTrafficPolicy: Local\n"));
        }
        out.push(finding);
    }
}

/// A way from outside to a class.
struct Way {
    name: String,
    /// The Service whose traffic policy could be changed.
    service: Option<ServiceId>,
    /// The client's address arrives.
    keeps: bool,
}

fn ways_in(ctx: &Ctx<'_, '_>) -> BTreeMap<ClassId, Vec<Way>> {
    let mut out: BTreeMap<ClassId, Vec<Way>> = BTreeMap::new();
    let mut add = |service: ServiceId, way: &dyn Fn() -> Way| {
        let pods = ctx.backends(service).iter().filter_map(|b| match b.endpoint {
            Endpoint::Pod(pod) => ctx.engine.classes().class_of(pod),
            Endpoint::Node(_) | Endpoint::External(_) => None,
        });
        for class in pods.collect::<BTreeSet<_>>() {
            out.entry(class).or_default().push(way());
        }
    };
    let name = |kind: &str, ns: watertight_model::NamespaceId, name: &str| {
        format!("{kind} {}/{name}", ctx.world.namespaces[ns.index()].name)
    };
    for (i, service) in ctx.world.services.iter().enumerate() {
        if matches!(service.kind, ServiceKind::NodePort | ServiceKind::LoadBalancer) {
            let id = ServiceId::at(i);
            let name = name("Service", service.namespace, &service.name);
            add(id, &|| Way { name: name.clone(), service: Some(id), keeps: service.local_traffic });
        }
    }
    for ingress in &ctx.world.ingresses {
        for backend in &ingress.backends {
            let Some(id) = ctx.world.service(ingress.namespace, &backend.service) else { continue };
            let name = name("Ingress", ingress.namespace, &ingress.name);
            add(id, &|| Way { name: name.clone(), service: None, keeps: false });
        }
    }
    out
}

/// A block of public addresses without a node in it.
fn is_outside(ctx: &Ctx<'_, '_>, cidr: &Cidr) -> bool {
    let nodes = ctx.world.nodes.iter().flat_map(|n| &n.addresses);
    cidr.prefix_len() > 0 && ask::is_public(cidr.addr()) && !nodes.into_iter().any(|ip| cidr.contains(*ip))
}
