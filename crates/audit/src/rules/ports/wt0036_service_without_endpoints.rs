//! WT0036: a Service that selects no pod.

use super::{service_object, services};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{in_namespace, workload_names};
use crate::rules::labels::meant;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::service::{backends, selected};
use watertight_model::service::{ServiceKind, TargetPort};
use watertight_model::{Labels, PodId, Service, manifest};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0036",
    name: "service-without-endpoints",
    severity: Severity::Warning,
    summary: "a Service selects no pod, or only pods without its target port",
    page: "Proves that no pod of the namespace, templates of controllers included, carries the labels of the \
           Service's selector; or that those that do have no container port of the name that `targetPort` asks \
           for.\n\nExample: selector `app: web`, pods `app: web-frontend`.\n\nFix: the nearest label.\n\nLess: \
           a note if the input has no pod of that namespace at all.\n\nSilent: ExternalName; a Service without \
           a selector.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for id in services(ctx) {
        let service = &ctx.world.services[id.index()];
        let Some(selector) = service.selector.as_ref().filter(|_| service.kind != ServiceKind::ExternalName) else {
            continue;
        };
        if service.ports.is_empty() || !backends(ctx.engine, id).is_empty() {
            continue;
        }
        let pods: Vec<PodId> = selected(ctx.engine, service, selector).map(|(id, _)| id).collect();
        let object = service_object(ctx, id);
        let wanted: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mut finding = LINT.finding(object, Some(service.origin), String::new());
        finding.affected = 1;
        if !pods.is_empty() {
            finding.message = format!(
                "nobody answers: {} have no container port of the name that targetPort asks for ({})",
                some(&workload_names(ctx, &pods)),
                some(&named_targets(service))
            );
            finding.help = Some("name the port in the pod template, or write its number".to_owned());
        } else if in_namespace(ctx, service.namespace).all(|p| ctx.world.pods[p.index()].finished) {
            finding = finding.at_severity(Severity::Note);
            finding.message =
                format!("selects no pod: the input holds no pod of its namespace (it asks for {})", wanted.join(", "));
        } else {
            finding.message = format!("nobody answers: no pod of its namespace has {}", wanted.join(", "));
            if let Some((key, value)) = close(ctx, service, selector) {
                finding.help = Some(format!("did you mean `{key}: {value}`?"));
                finding.fixes.push(Fix::text(format!("select {key}={value}"), snippet(&selector.with(&key, &value))));
            }
        }
        out.push(finding);
    }
}

fn named_targets(service: &Service) -> Vec<String> {
    let named = service.ports.iter().filter_map(|p| match &p.target {
        TargetPort::Named(name) => Some(format!("{} {name}", p.protocol)),
        TargetPort::Number(_) => None,
    });
    named.collect()
}

/// The label nearest to one that no pod has, such that some pod then matches.
fn close(ctx: &Ctx<'_, '_>, service: &Service, selector: &Labels) -> Option<(String, String)> {
    let pods: BTreeSet<&Labels> = in_namespace(ctx, service.namespace)
        .map(|p| &ctx.world.pods[p.index()])
        .filter(|p| !p.finished)
        .map(|p| &p.labels)
        .collect();
    selector.iter().find_map(|(key, value)| {
        let found = meant(value, pods.iter().filter_map(|l| l.get(key)).map(|v| &**v)).into_iter();
        found.map(|v| (key.to_string(), v)).find(|(k, v)| {
            let with = selector.with(k, v);
            pods.iter().any(|labels| with.iter().all(|(k, v)| labels.get(k) == Some(v)))
        })
    })
}

fn snippet(selector: &Labels) -> String {
    let pairs = selector.iter().map(|(k, v)| format!("    {}: {}\n", manifest::scalar(k), manifest::scalar(v)));
    format!("spec:\n  selector:\n{}", pairs.collect::<String>())
}
