//! WT0057: the pods of a StatefulSet that cannot talk to each other.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, verdict, workload_object};
use crate::rules::{Check, Lint, ask, write};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::explain::selector_for;
use watertight_engine::query::why;
use watertight_model::{
    ContainerKind, Direction, Endpoint, Flow, PodId, Protocol, Reason, Selector, Verdict, WorkloadId, WorkloadKind,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0057",
    name: "replicas-cut-off",
    severity: Severity::Warning,
    summary: "the pods of a StatefulSet with a headless Service are denied to each other",
    page: "A StatefulSet with several replicas and a headless Service is made so that its pods find each other: \
           clusters of data stores do. Proves that one of its pods may not connect to another on any port that they \
           declare, in either half.\n\nExample: couchdb, kafka or etcd under a default deny.\n\nFix: a rule from the \
           workload to itself; it is printed.\n\nSilent: one replica; no headless Service; some declared port is \
           open between them, so that whoever wrote the rules thought of it; no port is declared.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut pods: BTreeMap<WorkloadId, Vec<PodId>> = BTreeMap::new();
    for (i, pod) in ctx.world.pods.iter().enumerate().filter(|(_, p)| !p.finished && !p.host_network) {
        if ctx.world.workloads[pod.workload.index()].kind == WorkloadKind::StatefulSet {
            pods.entry(pod.workload).or_default().push(PodId::at(i));
        }
    }
    for (id, pods) in pods {
        let workload = &ctx.world.workloads[id.index()];
        let service = workload.service_name.as_ref().and_then(|name| ctx.world.service(workload.namespace, name));
        let headless = service.is_some_and(|s| ctx.world.services[s.index()].headless);
        let ([first, .., last], true, false) = (pods.as_slice(), headless, ctx.is_overdue()) else { continue };
        let ports: BTreeSet<(Protocol, u16)> = ctx.world.pods[last.index()]
            .ports
            .iter()
            .filter(|p| p.container != ContainerKind::Init)
            .map(|p| (p.protocol, p.port))
            .collect();
        let flows: Vec<Flow> =
            ports.iter().map(|(p, n)| flow(Endpoint::Pod(*first), Endpoint::Pod(*last), *p, *n)).collect();
        let Some(witness) = flows.first().filter(|_| flows.iter().all(|f| verdict(ctx, f) == Verdict::Deny)) else {
            continue;
        };
        let decided = ctx.engine.decide(witness);
        let names: Vec<String> = ports.iter().map(|(protocol, port)| format!("{protocol} {port}")).collect();
        let message = format!(
            "its {} pods are denied to each other on {}: {}",
            pods.len(),
            some(&names),
            why(ctx.engine, &decided)
        );
        let mut finding = LINT.finding(workload_object(ctx, id), Some(workload.origin), message);
        finding.affected = pods.len();
        finding.witness = Some(*witness);
        finding.help = Some("let the workload's pods connect to each other".to_owned());
        let denies = |d: Direction| {
            let reason = if d == Direction::Egress { decided.egress.reason } else { decided.ingress.reason };
            (matches!(reason, Reason::PolicyDeny | Reason::BaselineDeny), reason == Reason::AdminDeny)
        };
        let sides: Vec<Direction> = Direction::BOTH.into_iter().filter(|d| denies(*d).0).collect();
        if let (false, Some(selector)) =
            (Direction::BOTH.into_iter().any(|d| denies(d).1), selector_for(ctx.world, *first))
        {
            let fix = to_itself(ctx, id, &selector, &ports, &sides);
            let egress = sides.contains(&Direction::Egress);
            finding.fixes.extend(fix.map(|f| if egress { ask::with_names(ctx, f, *first) } else { f }));
        }
        out.push(finding);
    }
}

/// A policy for each side that denies: one for both would isolate what is open today.
fn to_itself(
    ctx: &Ctx<'_, '_>,
    id: WorkloadId,
    selector: &Selector,
    ports: &BTreeSet<(Protocol, u16)>,
    sides: &[Direction],
) -> Option<Fix> {
    let workload = &ctx.world.workloads[id.index()];
    let fixes = sides.iter().map(|direction| {
        let entries = ports.iter().map(|(protocol, port)| write::port(*protocol, *port)).collect();
        let rule = write::rule(vec![write::pods(None, selector.clone())], entries);
        let name = format!("{}-replicas-{}", workload.name, direction.name());
        let policy = write::policy(workload.namespace, &name, selector.clone(), *direction, vec![rule]);
        Fix::put(ctx.world, "let the replicas connect to each other", policy)
    });
    fixes.reduce(|all, one| all.and("let the replicas connect to each other", one))
}
