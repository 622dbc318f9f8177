//! WT0083: a cluster policy that denies what the cluster itself needs.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{cluster_policy_object, flow, in_namespace, one_per_class, workload_names};
use crate::rules::refs::{cluster_rule, flow_words};
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::Engine;
use watertight_engine::query::evaluated;
use watertight_engine::redundancy::{Item, without};
use watertight_engine::service::backends;
use watertight_model::cluster_policy::Subject;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{
    ClusterPolicy, Endpoint, Flow, Op, PodId, Protocol, Reason, Requirement, RuleRef, Selector, ServiceId, Str, Verdict,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0083",
    name: "cluster-deny-hits-system",
    severity: Severity::Error,
    summary: "a Deny of a cluster policy takes away name lookups, or flows of the system's own pods",
    page: "A cluster policy that is meant for tenants and selects every namespace selects the system's as well. \
           Proves that a Deny rule decides, and that without the rule the flow would be allowed: a lookup at the \
           cluster's DNS pods; a flow between pods of kube-system, or of Watertight's own namespace, on declared \
           ports; a flow of theirs to the API server.\n\nExample: `subject: {namespaces: {}}` with a Deny rule for \
           all peers.\n\nFix: `matchExpressions` that leave the system's namespaces out; where tenants lose their \
           lookups, a Pass rule for DNS above the Deny.\n\nSilent: another rule lets those flows pass first, or \
           they are denied without the rule too.",
    check: Check::World(check),
};

/// Namespaces of the system.
const SYSTEM: [&str; 2] = ["kube-system", "watertight"];
/// Pods asked about on each side; classes of a cluster repeat themselves.
const ASKED: usize = 500;

#[derive(Default)]
struct Hit {
    flows: Vec<Flow>,
    pods: Vec<PodId>,
    /// Every hit has a system pod on the side that the rule's policy selects.
    of_system: bool,
}

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut hits: BTreeMap<RuleRef, Hit> = BTreeMap::new();
    for (asked, system) in candidates(ctx) {
        let verdict = ctx.engine.decide(&asked);
        for (half, subject) in [(&verdict.egress, asked.from), (&verdict.ingress, asked.to)] {
            let denied = matches!(half.reason, Reason::AdminDeny | Reason::BaselineDeny);
            let (true, Some(rule), Endpoint::Pod(pod)) = (denied, half.decided_by.first(), subject) else { continue };
            let hit = hits.entry(*rule).or_insert_with(|| Hit { of_system: true, ..Hit::default() });
            hit.of_system &= system;
            hit.flows.push(asked);
            hit.pods.push(pod);
        }
    }
    for (at, mut hit) in hits {
        let Some((index, rule)) = cluster_rule(ctx, at) else { continue };
        let world = without(ctx.world, Item::Rule(at));
        let engine = Engine::new(&world);
        let taken = |f: &Flow| evaluated(&engine.decide(f)) == Verdict::Allow;
        let Some(witness) = hit.flows.iter().copied().find(taken) else { continue };
        hit.pods.sort_unstable();
        hit.pods.dedup();
        let names = workload_names(ctx, &hit.pods);
        let message = format!(
            "{} rule {} denies what the cluster needs: {} (in all it hits {})",
            at.direction.name(),
            at.rule.unwrap_or_default(),
            flow_words(ctx, &witness),
            some(&names),
        );
        let mut finding = LINT.finding(cluster_policy_object(ctx, index), Some(rule.origin), message);
        finding.witness = Some(witness);
        finding.affected = names.len();
        finding.help = Some(format!(
            "leave the system's namespaces out: `matchExpressions: [{{key: {NAMESPACE_NAME_LABEL}, operator: NotIn, \
             values: [{}]}}]`; for lookups of tenants, a Pass rule for DNS above",
            SYSTEM[0]
        ));
        finding.fixes.extend(left_out(&ctx.world.cluster_policies[index], hit.of_system));
        out.push(finding);
    }
}

/// Flows that the cluster needs, and whether the system's own pods are on both sides.
fn candidates(ctx: &Ctx<'_, '_>) -> Vec<(Flow, bool)> {
    let system: Vec<PodId> = SYSTEM
        .iter()
        .filter_map(|name| ctx.world.namespace(name))
        .flat_map(|ns| in_namespace(ctx, ns))
        .filter(|p| !ctx.world.pods[p.index()].finished)
        .collect();
    // One pod of each workload: classes would make one of two workloads that talk to each other.
    let mut seen = BTreeSet::new();
    let system: Vec<PodId> = system.into_iter().filter(|p| seen.insert(ctx.world.pods[p.index()].workload)).collect();
    let all: Vec<PodId> = (0..ctx.world.pods.len()).map(PodId::at).collect();
    let mut out = Vec::new();
    let servers = dns_servers(ctx);
    for pod in one_per_class(ctx, &all).into_iter().take(ASKED) {
        let own = system.contains(&pod);
        for server in servers.iter().filter(|s| **s != Endpoint::Pod(pod)) {
            out.push((flow(Endpoint::Pod(pod), *server, Protocol::Udp, 53), own));
        }
    }
    for from in &system {
        for to in system.iter().filter(|to| *to != from) {
            for port in &ctx.world.pods[to.index()].ports {
                out.push((flow(Endpoint::Pod(*from), Endpoint::Pod(*to), port.protocol, port.port), true));
            }
        }
        for (to, port) in api_servers(ctx) {
            out.push((flow(Endpoint::Pod(*from), to, Protocol::Tcp, port), true));
        }
    }
    out
}

fn dns_servers(ctx: &Ctx<'_, '_>) -> Vec<Endpoint> {
    let Some(ns) = ctx.world.namespace(SYSTEM[0]) else { return Vec::new() };
    let is_dns = |p: &PodId| ctx.world.pods[p.index()].labels.get("k8s-app").is_some_and(|v| **v == *"kube-dns");
    let pods: Vec<PodId> = in_namespace(ctx, ns).filter(is_dns).collect();
    one_per_class(ctx, &pods).into_iter().map(Endpoint::Pod).collect()
}

fn api_servers(ctx: &Ctx<'_, '_>) -> Vec<(Endpoint, u16)> {
    let service = ctx.world.namespace("default").and_then(|ns| ctx.world.service(ns, "kubernetes"));
    service.map_or_else(Vec::new, |id: ServiceId| {
        backends(ctx.engine, id).into_iter().map(|b| (b.endpoint, b.port)).collect()
    })
}

/// The subject without the system's namespaces.
fn left_out(policy: &ClusterPolicy, of_system: bool) -> Option<Fix> {
    if !of_system {
        return None;
    }
    let names = SYSTEM.iter().map(|s| Str::from(*s)).collect();
    let but = Requirement { key: Str::from(NAMESPACE_NAME_LABEL), op: Op::NotIn(names), from_labels: false };
    let namespaces = Selector { requirements: [policy.subject.namespaces.requirements.clone(), vec![but]].concat() };
    let edited = ClusterPolicy { subject: Subject { namespaces, pods: policy.subject.pods.clone() }, ..policy.clone() };
    let yaml = format!(
        "# in the namespace selector of spec.subject\nmatchExpressions:\n- key: {NAMESPACE_NAME_LABEL}\n  operator: \
         NotIn\n  values: [{}]\n",
        SYSTEM.join(", ")
    );
    Some(Fix::put_cluster("leave the system's namespaces out of the subject", yaml, edited))
}
