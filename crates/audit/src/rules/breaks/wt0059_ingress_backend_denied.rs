//! WT0059: an Ingress whose backend is closed to its controller.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{flow, verdict};
use crate::rules::{Check, Lint};
use watertight_engine::entry::controllers;
use watertight_engine::service::backends;
use watertight_model::service::TargetPort;
use watertight_model::{Endpoint, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0059",
    name: "ingress-backend-denied",
    severity: Severity::Error,
    summary: "an Ingress points at pods that its controller may not reach",
    page: "Proves that none of the ingress controller's pods reaches any endpoint behind a backend of an Ingress. The \
           controller's pods are those of workloads that carry the usual names (ingress, traefik, haproxy, contour, \
           envoy gateways); if there are none in the input, a pod of another namespace stands for them.\n\nExample: \
           Ingress `shop/web` to Service `web:80`, and `shop` admits only its own namespace.\n\nFix: a rule from the \
           controller's namespace and pods.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let controllers = controllers(ctx.world);
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
                some(&crate::rules::common::workload_names(ctx, &controllers))
            };
            let message = format!(
                "{who} may not reach Service {namespace}/{}: requests through this Ingress fail",
                backend.service
            );
            let object = format!("Ingress {namespace}/{}", ingress.name);
            let mut finding = LINT.finding(object, Some(backend.origin), message);
            finding.affected = wanted.len();
            finding.help = Some("add an ingress rule from the controller's namespace and pods".to_owned());
            out.push(finding);
        }
    }
}
