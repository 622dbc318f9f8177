//! WT0035: a client reaches some endpoints of a Service and not the others.

use super::{Backing, backing, service_object, services};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, workload_names};
use crate::rules::receivers::names;
use crate::rules::write::policy;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::half;
use watertight_engine::query::evaluated_half;
use watertight_model::{Direction, Endpoint, Flow, PodId, PolicyRef, Reason, Selector, ServiceId, Verdict, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0035",
    name: "service-partly-reachable",
    severity: Severity::Warning,
    summary: "a client is allowed to some endpoints of a Service port and denied to others",
    page: "The Service spreads connections over its endpoints, so those that are denied fail at random. Proves \
           which clients are allowed to one endpoint and denied to another.\n\nExample: canary pods that the \
           Service selects and whose label the policy misses.\n\nFix: make the policy's selector cover the \
           Service's selector; such a policy is printed.\n\nSilent: all endpoints are denied (WT0034), or all \
           allowed; the endpoints that differ are pods of one workload (WT0029); the client is itself behind \
           the Service.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for id in services(ctx) {
        let backing: Vec<Backing> = backing(ctx, id).into_iter().collect();
        for port in backing.chunk_by(|a, b| (a.service_port, a.protocol) == (b.service_port, b.protocol)) {
            if port.len() > 1
                && let Some(finding) = partly(ctx, id, port)
            {
                out.push(finding);
                // The ports of a Service mostly differ for the same reason.
                break;
            }
        }
    }
}

fn partly(ctx: &Ctx<'_, '_>, id: ServiceId, port: &[Backing]) -> Option<Finding> {
    let classes = ctx.engine.classes();
    // Per client class: how many endpoints allow it for sure, and how many on some reading.
    let mut counts = vec![(0usize, 0usize); classes.len()];
    for b in port {
        for (ports, sources) in ctx.reach().sources(b.class) {
            let (sure, possible) =
                (ports.sure.contains(b.protocol, b.port), ports.possible.contains(b.protocol, b.port));
            if possible {
                for class in sources.iter() {
                    let count = &mut counts[class.0 as usize];
                    count.0 += usize::from(sure);
                    count.1 += 1;
                }
            }
        }
    }
    let behind: BTreeSet<ClassId> = port.iter().map(|b| b.class).collect();
    let partly = |class: &ClassId| {
        let (sure, possible) = counts[class.0 as usize];
        let host = ctx.world.pods[classes.representative(*class).index()].host_network;
        sure > 0 && possible < port.len() && !behind.contains(class) && !host
    };
    let all = (0..classes.len()).filter_map(|i| u32::try_from(i).ok()).map(ClassId);
    let clients: Vec<ClassId> = all.filter(partly).collect();
    let client = clients.first()?;
    let open = |b: &&Backing| ctx.reach().ports(*client, b.class).sure.contains(b.protocol, b.port);
    let (allowed, denied): (Vec<&Backing>, Vec<&Backing>) = port.iter().partition(open);
    let endpoints = super::behind(ctx, id);
    let pods = |list: &[&Backing]| -> Vec<PodId> {
        let all = list.iter().flat_map(|b| classes.members(b.class)).copied();
        all.filter(|p| endpoints.contains(p)).collect()
    };
    let workloads = |list: &[&Backing]| -> BTreeSet<WorkloadId> {
        pods(list).iter().map(|p| ctx.world.pods[p.index()].workload).collect()
    };
    if !workloads(&allowed).is_disjoint(&workloads(&denied)) {
        return None;
    }
    let of = |list: &[&Backing]| some(&workload_names(ctx, &pods(list)));
    let number = port.first()?.service_port;
    let message = format!(
        "{} may open connections to {} behind port {number}, and not to {}: some of them fail, at random",
        some(&names(ctx, &clients)),
        of(&allowed),
        of(&denied)
    );
    let service = &ctx.world.services[id.index()];
    let mut finding = LINT.finding(service_object(ctx, id), Some(service.origin), message);
    finding.affected = clients.len();
    finding.help = Some("let one policy cover all pods that the Service selects".to_owned());
    let to = |b: &Backing| {
        let pod = classes.members(b.class).iter().find(|p| endpoints.contains(p));
        let (from, to) = (classes.representative(*client), *pod.unwrap_or(&classes.representative(b.class)));
        flow(Endpoint::Pod(from), Endpoint::Pod(to), b.protocol, b.port)
    };
    finding.witness = denied.first().map(|b| to(b));
    if let (Some(yes), Some(no)) = (allowed.first(), denied.first()) {
        finding.fixes.extend(covering(ctx, id, &to(yes), &to(no)));
    }
    Some(finding)
}

/// The rule that admits the client at one endpoint, for all pods that the Service selects.
fn covering(ctx: &Ctx<'_, '_>, id: ServiceId, yes: &Flow, no: &Flow) -> Option<Fix> {
    let service = &ctx.world.services[id.index()];
    let (yes, no) = (ctx.engine.decide(yes), ctx.engine.decide(no));
    let admitted = half(&yes, Direction::Ingress);
    if admitted.reason != Reason::PolicyAllow
        || half(&no, Direction::Ingress).reason != Reason::PolicyDeny
        || evaluated_half(half(&no, Direction::Egress)) != Verdict::Allow
    {
        return None;
    }
    let by = admitted.decided_by.first()?;
    let PolicyRef::Namespaced(place) = by.policy else { return None };
    let rule = ctx.world.policies[place as usize].ingress.get(usize::try_from(by.rule?).ok()?)?;
    let labels: Vec<(&str, &str)> = service.selector.as_ref()?.iter().map(|(k, v)| (&**k, &**v)).collect();
    let name = format!("allow-to-{}", service.name);
    if ctx.world.policies.iter().any(|p| p.namespace == service.namespace && *p.name == *name) {
        return None;
    }
    let added = policy(service.namespace, &name, Selector::of(&labels), Direction::Ingress, vec![rule.clone()]);
    Some(Fix::put(ctx.world, "the same rule for all pods that the Service selects", added))
}
