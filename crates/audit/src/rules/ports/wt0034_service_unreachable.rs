//! WT0034: a Service that nobody reaches.

use super::{Backing, backing, behind, service_object, services};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, in_namespace, workload_names};
use crate::rules::write::{pods, policy, port, rule};
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::half;
use watertight_engine::reach::external::{ExternalPart, external, families_in_use};
use watertight_model::{Direction, Endpoint, Family, PodId, PolicyRef, Protocol, Reason, Selector, Service, ServiceId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0034",
    name: "service-unreachable",
    severity: Severity::Warning,
    summary: "a Service has endpoints, and policies deny all of them to everyone",
    page: "Proves that no pod, no address outside and no other node may open a connection to any endpoint of \
           the Service on any of its target ports. A pod that reaches itself, and its own node, do not \
           count.\n\nExample: a default deny in `data`, a Service `data/cache`, and no ingress rule for its \
           pods.\n\nFix: an ingress rule for the clients that are meant; one for the Service's own namespace is \
           printed if pods of it could use it.\n\nSilent: no policy isolates the endpoints; a replica may reach \
           another one; the Service has no endpoints (WT0036).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut outside = Outside { families: families_in_use(ctx.engine), known: BTreeMap::new() };
    for id in services(ctx) {
        let backing = backing(ctx, id);
        if backing.is_empty() || backing.iter().any(|b| reached(ctx, *b) || outside.reaches(ctx, *b)) {
            continue;
        }
        let classes: Vec<ClassId> = backing.iter().map(|b| b.class).collect::<BTreeSet<_>>().into_iter().collect();
        let pods: Vec<PodId> = behind(ctx, id).into_iter().collect();
        let denying: BTreeSet<PolicyRef> = classes.iter().flat_map(|c| denying(ctx, *c)).collect();
        let denying: Vec<String> = denying.into_iter().map(|p| ctx.world.policy_name(p)).collect();
        let by = if denying.is_empty() {
            "nobody's egress allows it".to_owned()
        } else {
            format!("every ingress to them is denied by {}", some(&denying))
        };
        let message = format!("nobody reaches it: its endpoints are {}, and {by}", some(&workload_names(ctx, &pods)));
        let service = &ctx.world.services[id.index()];
        let mut finding = LINT.finding(service_object(ctx, id), Some(service.origin), message);
        finding.affected = pods.len();
        finding.help = Some("allow the clients that are meant, on the pods' ports".to_owned());
        if let Some(client) = neighbour(ctx, service, &pods)
            && let Some(first) = backing.first()
        {
            let to = Endpoint::Pod(ctx.engine.classes().representative(first.class));
            finding.witness = Some(flow(client, to, first.protocol, first.port));
            finding.fixes.extend(own_namespace(ctx, id, &backing, client));
        }
        out.push(finding);
    }
}

/// Some other pod reaches this port, on some reading. Pods in their node's network may be on the same node, which proves
/// nothing for others.
fn reached(ctx: &Ctx<'_, '_>, b: Backing) -> bool {
    let classes = ctx.engine.classes();
    let counts = |from: ClassId| {
        let alone = from == b.class && classes.members(from).len() == 1;
        !alone && !ctx.world.pods[classes.representative(from).index()].host_network
    };
    let open = ctx.reach().sources(b.class).filter(|(ports, _)| ports.possible.contains(b.protocol, b.port));
    open.into_iter().any(|(_, sources)| sources.iter().any(counts))
}

/// What arrives from addresses, nodes included, looked up once per class.
struct Outside {
    families: Vec<Family>,
    known: BTreeMap<ClassId, Vec<ExternalPart>>,
}

impl Outside {
    fn reaches(&mut self, ctx: &Ctx<'_, '_>, b: Backing) -> bool {
        let families = &self.families;
        let parts =
            self.known.entry(b.class).or_insert_with(|| external(ctx.engine, b.class, Direction::Ingress, families));
        parts.iter().any(|part| part.ports.possible.contains(b.protocol, b.port))
    }
}

fn denying(ctx: &Ctx<'_, '_>, class: ClassId) -> Vec<PolicyRef> {
    let classes = ctx.engine.classes();
    let pod = classes.representative(class);
    let own = classes.policies_of(pod, Direction::Ingress).iter().map(|s| PolicyRef::Namespaced(s.policy));
    own.collect()
}

/// A pod of the Service's namespace that is not behind it.
fn neighbour(ctx: &Ctx<'_, '_>, service: &Service, behind: &[PodId]) -> Option<Endpoint> {
    let is_other = |id: &PodId| {
        let pod = &ctx.world.pods[id.index()];
        !pod.host_network && !pod.finished && behind.binary_search(id).is_err()
    };
    in_namespace(ctx, service.namespace).find(is_other).map(Endpoint::Pod)
}

/// A policy that lets the pods of the namespace in. `None`: it would not help, because something else denies too.
fn own_namespace(ctx: &Ctx<'_, '_>, id: ServiceId, backing: &BTreeSet<Backing>, client: Endpoint) -> Option<Fix> {
    let service = &ctx.world.services[id.index()];
    let labels: Vec<(&str, &str)> = service.selector.as_ref()?.iter().map(|(k, v)| (&**k, &**v)).collect();
    let name = format!("allow-to-{}", service.name);
    if ctx.world.policies.iter().any(|p| p.namespace == service.namespace && *p.name == *name) {
        return None;
    }
    let first = backing.first()?;
    let to = Endpoint::Pod(ctx.engine.classes().representative(first.class));
    let verdict = ctx.engine.decide(&flow(client, to, first.protocol, first.port));
    let only_ingress = half(&verdict, Direction::Ingress).reason == Reason::PolicyDeny
        && watertight_engine::query::evaluated_half(&verdict.egress) == watertight_model::Verdict::Allow;
    let ports: BTreeSet<(Protocol, u16)> = backing.iter().map(|b| (b.protocol, b.port)).collect();
    let entries = ports.into_iter().map(|(protocol, number)| port(protocol, number)).collect();
    let rules = vec![rule(vec![pods(None, Selector::everything())], entries)];
    let added = policy(service.namespace, &name, Selector::of(&labels), Direction::Ingress, rules);
    only_ingress.then(|| Fix::put(ctx.world, "let the pods of its namespace in; narrow it to the clients", added))
}
