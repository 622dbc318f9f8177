//! WT0049: a workload that the policies of its namespace miss.

use crate::context::Ctx;
use crate::coverage::NamespaceCoverage;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{count, in_namespace};
use crate::rules::{Check, Lint, ask, write};
use std::collections::BTreeSet;
use watertight_engine::explain::words;
use watertight_engine::selector::{matches, readable};
use watertight_model::{Direction, Labels, NamespaceId, PodId, Requirement, Selector, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0049",
    name: "workload-not-isolated",
    severity: Severity::Warning,
    summary: "a workload is open in a direction in which others of its namespace are isolated",
    page: "Proves that no policy of any tier isolates an existing workload in a direction in which other workloads of \
           its namespace are isolated, and names the policy that misses it by one label.\n\nExample: `shop/batch` \
           (label `app: batch-v2`) is missed by the policy for `app: batch`.\n\nFix: a policy for it; a default deny \
           for the namespace is printed.\n\nSilent: no workload of the namespace is isolated in this direction \
           (WT0046, WT0047, WT0048); hostNetwork workloads (WT0091); workloads that a rule opens to everyone (WT0050).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for n in &ctx.coverage().namespaces {
        for direction in [Direction::Ingress, Direction::Egress] {
            let own = if direction == Direction::Ingress { n.ingress } else { n.egress };
            if own.covered > 0 && own.covered < own.total && !ctx.is_overdue() {
                out.extend(missed(ctx, n, direction, own.covered));
            }
        }
    }
}

fn missed(ctx: &Ctx<'_, '_>, n: &NamespaceCoverage, direction: Direction, covered: usize) -> Option<Finding> {
    let open = |pod: &PodId| {
        let class = ctx.engine.classes().class_of(*pod);
        let foreign = |p: &watertight_model::ForeignPolicy| p.namespace.is_none_or(|ns| ns == n.namespace);
        class.is_some_and(|c| !ask::on_host_network(ctx, c) && !ask::has_policies(ctx, c, direction))
            && !ctx.world.foreign_policies.iter().any(foreign)
    };
    let pods: Vec<PodId> = in_namespace(ctx, n.namespace).filter(open).collect();
    let first = pods.first()?;
    let workloads: BTreeSet<WorkloadId> = pods.iter().map(|p| ctx.world.pods[p.index()].workload).collect();
    let names = ask::names(ctx, &workloads);
    let verb = if names.len() == 1 { "is" } else { "are" };
    let message = format!(
        "{} {verb} not isolated for {}, though {} of the namespace {}",
        some(&names),
        direction.name(),
        count(covered, "other workload"),
        if covered == 1 { "is" } else { "are" }
    );
    let namespace = &ctx.world.namespaces[n.namespace.index()];
    let object = format!("namespace {}", namespace.name);
    let mut finding = LINT.finding(object, Some(ctx.world.pods[first.index()].origin), message);
    finding.affected = names.len();
    let near = pods.iter().find_map(|pod| near_miss(ctx, n.namespace, direction, *pod));
    finding.help = Some(near.unwrap_or_else(|| "add a policy that selects it, or a default deny".to_owned()));
    let deny = Fix::put(ctx.world, "isolate every pod of the namespace", write::default_deny(n.namespace, direction));
    finding.fixes.push(match direction {
        Direction::Ingress => deny,
        Direction::Egress => {
            let names = Fix::put(ctx.world, "", ctx.dns().policy(ctx, n.namespace));
            deny.and("isolate every pod of the namespace, and let all of them look up names", names)
        }
    });
    Some(finding)
}

/// The policy that would select the pod but for one condition.
fn near_miss(ctx: &Ctx<'_, '_>, ns: NamespaceId, direction: Direction, pod: PodId) -> Option<String> {
    let labels = &ctx.world.pods[pod.index()].labels;
    let misses = |r: &&Requirement, labels: &Labels| {
        let alone = Selector { requirements: vec![(**r).clone()] };
        readable(&alone) && !matches(&alone, labels)
    };
    for i in ask::policies_in(ctx, ns) {
        let policy = &ctx.world.policies[i];
        let missing: Vec<&Requirement> = policy.subject.requirements.iter().filter(|r| misses(r, labels)).collect();
        if let ([one], true) = (missing.as_slice(), policy.isolates(direction)) {
            let asks = words::selector(&Selector { requirements: vec![(*one).clone()] });
            let has = labels.get(&one.key).map_or("has no such label".to_owned(), |v| format!("has {}={v}", one.key));
            return Some(format!(
                "{} would select {}, but it asks for {asks}, and the pod {has}",
                policy.name,
                ctx.world.pod_name(pod)
            ));
        }
    }
    None
}
