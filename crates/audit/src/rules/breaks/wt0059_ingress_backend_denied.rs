//! WT0059: an Ingress whose backend is closed to its controller.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::fix::Fix;
use crate::rules::common::{flow, verdict};
use crate::rules::{Check, Lint, ask, entries, write};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::selector_for;
use watertight_engine::service::Backend;
use watertight_model::{Direction, Endpoint, Flow, Ingress, L4, PodId, Reason, ServiceId, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0059",
    name: "ingress-backend-denied",
    severity: Severity::Error,
    summary: "an Ingress points at pods that its controller may not reach",
    page: "Proves that none of the ingress controller's pods reaches any endpoint behind a backend of an Ingress. The \
           controller's pods are those of workloads that carry the usual names (ingress, traefik, haproxy, contour, \
           envoy gateways); if there are none in the input, a pod of another namespace stands for them, and the \
           finding says that it is assumed.\n\nExample: Ingress `shop/web` to Service `web:80`, and `shop` admits \
           only its own namespace.\n\nFix: a rule from the controller's namespace and pods; it is printed.\n\nSilent: \
           some endpoint is reached; a Service without endpoints; controllers in their node's network.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let controllers = ask::controllers(ctx);
    for ingress in ctx.world.ingresses.iter().take_while(|_| !ctx.is_overdue()) {
        let mut by_service: BTreeMap<ServiceId, Vec<Backend>> = BTreeMap::new();
        for (service, backend) in entries::behind(ctx, ingress) {
            by_service.entry(service).or_default().push(backend);
        }
        for (service, wanted) in by_service {
            out.extend(denied(ctx, &controllers, ingress, service, &wanted));
        }
    }
}

fn denied(
    ctx: &Ctx<'_, '_>,
    controllers: &BTreeSet<ClassId>,
    ingress: &Ingress,
    service: ServiceId,
    wanted: &[Backend],
) -> Option<Finding> {
    let mut witness: Option<Flow> = None;
    for b in wanted {
        if let (true, Endpoint::Pod(pod)) = (controllers.is_empty(), b.endpoint) {
            if ctx.stranger_reaches_port(pod, b.protocol, b.port) != Verdict::Deny {
                return None;
            }
            continue;
        }
        for controller in controllers {
            let asked = flow(ask::end(ctx, *controller), b.endpoint, b.protocol, b.port);
            if verdict(ctx, &asked) != Verdict::Deny {
                return None;
            }
            witness.get_or_insert(asked);
        }
    }
    let this = &ctx.world.services[service.index()];
    let namespace = &ctx.world.namespaces[ingress.namespace.index()].name;
    let who = if controllers.is_empty() {
        "a pod of another namespace, as a controller would be,".to_owned()
    } else {
        some(&ask::names(ctx, &ask::workloads(ctx, controllers.iter().copied())))
    };
    let message = format!("{who} may not reach Service {namespace}/{}: requests through this Ingress fail", this.name);
    let at = ingress.backends.iter().find(|b| b.service == this.name).map_or(ingress.origin, |b| b.origin);
    let mut finding = LINT.finding(format!("Ingress {namespace}/{}", ingress.name), Some(at), message);
    if controllers.is_empty() {
        finding.status = Status::Assumed;
    }
    finding.affected = wanted.len();
    finding.witness = witness;
    finding.help = Some("add an ingress rule from the controller's namespace and pods".to_owned());
    finding.fixes.extend(witness.and_then(|w| let_in(ctx, controllers, &w, &this.name)));
    Some(finding)
}

/// The rule at the backend, if its own side is all that denies.
fn let_in(ctx: &Ctx<'_, '_>, controllers: &BTreeSet<ClassId>, witness: &Flow, service: &str) -> Option<Fix> {
    let decided = ctx.engine.decide(witness);
    let (Endpoint::Pod(to), L4::Port(protocol, port)) = (witness.to, witness.l4) else { return None };
    if decided.egress.verdict != Verdict::Allow || decided.ingress.reason == Reason::AdminDeny {
        return None;
    }
    let peer = |class: &ClassId| {
        let pod: PodId = ask::pod(ctx, *class);
        let name = &ctx.world.namespaces[ask::namespace(ctx, *class).index()].name;
        Some(write::pods(Some(write::namespace_named(name)), selector_for(ctx.world, pod)?))
    };
    let peers: Vec<_> = controllers.iter().map(peer).collect::<Option<_>>()?;
    let rule = write::rule(peers, vec![write::port(protocol, port)]);
    let namespace = ctx.world.pods[to.index()].namespace;
    let name = format!("{service}-from-ingress");
    let policy = write::policy(namespace, &name, selector_for(ctx.world, to)?, Direction::Ingress, vec![rule]);
    Some(Fix::put(ctx.world, "let the ingress controller in", policy))
}
