//! What several lints ask.
#![allow(dead_code, reason = "a vocabulary: not every word is in use at all times")]

use crate::context::Ctx;
use std::collections::BTreeSet;
use watertight_engine::query::evaluated;
use watertight_engine::selector::{matches, readable};
use watertight_model::{
    Direction, Endpoint, Flow, L4, NamespaceId, NetworkPolicy, PodId, PolicyRef, PortMatch, Ports, Protocol, Rule,
    Verdict, WorkloadId, World,
};

/// `NetworkPolicy namespace/name`.
pub(crate) fn policy_object(ctx: &Ctx<'_, '_>, index: usize) -> String {
    format!("NetworkPolicy {}", ctx.world.policy_name(PolicyRef::Namespaced(u32::try_from(index).unwrap_or(u32::MAX))))
}

/// `Deployment namespace/name`.
pub(crate) fn workload_object(ctx: &Ctx<'_, '_>, id: WorkloadId) -> String {
    format!("{} {}", ctx.world.workloads[id.index()].kind.name(), ctx.world.workload_name(id))
}

/// `ClusterNetworkPolicy name`.
pub(crate) fn cluster_policy_object(ctx: &Ctx<'_, '_>, index: usize) -> String {
    let policy = &ctx.world.cluster_policies[index];
    format!("{} {}", policy.kind.name(), policy.name)
}

/// Pods that a NetworkPolicy selects, hostNetwork and finished ones left out.
pub(crate) fn subjects(ctx: &Ctx<'_, '_>, policy: &NetworkPolicy) -> Vec<PodId> {
    in_namespace(ctx, policy.namespace)
        .filter(|id| {
            let pod = &ctx.world.pods[id.index()];
            !pod.finished && !pod.host_network && readable(&policy.subject) && matches(&policy.subject, &pod.labels)
        })
        .collect()
}

/// Pods of a namespace.
pub(crate) fn in_namespace<'a>(ctx: &'a Ctx<'_, '_>, ns: NamespaceId) -> impl Iterator<Item = PodId> + 'a {
    let pods = &ctx.world.pods;
    let start = pods.partition_point(|p| p.namespace < ns);
    let end = pods.partition_point(|p| p.namespace <= ns);
    (start..end).map(PodId::at)
}

/// Names of the workloads of these pods, sorted.
pub(crate) fn workload_names(ctx: &Ctx<'_, '_>, pods: &[PodId]) -> Vec<String> {
    let ids: BTreeSet<WorkloadId> = pods.iter().map(|p| ctx.world.pods[p.index()].workload).collect();
    ids.into_iter().map(|w| ctx.world.workload_name(w)).collect()
}

/// One pod for each class among these: what holds for it holds for the others.
pub(crate) fn one_per_class(ctx: &Ctx<'_, '_>, pods: &[PodId]) -> Vec<PodId> {
    let mut seen = BTreeSet::new();
    pods.iter().copied().filter(|p| ctx.engine.classes().class_of(*p).is_some_and(|c| seen.insert(c))).collect()
}

/// A number of things: `1 pod`, `2 pods`.
pub(crate) fn count(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// A new connection.
pub(crate) fn flow(from: Endpoint, to: Endpoint, protocol: Protocol, port: u16) -> Flow {
    Flow { from, to, l4: L4::Port(protocol, port), via_service: false }
}

/// What the evaluated policies say of it.
pub(crate) fn verdict(ctx: &Ctx<'_, '_>, flow: &Flow) -> Verdict {
    evaluated(&ctx.engine.decide(flow))
}

/// Every rule of every NetworkPolicy that has an effect: policy's place, policy, direction, rule's place, rule. Ends early
/// when the lint's time is over.
pub(crate) fn rules<'a, 'w: 'a>(
    ctx: &'a Ctx<'_, 'w>,
) -> impl Iterator<Item = (usize, &'w NetworkPolicy, Direction, usize, &'w Rule)> + 'a {
    let world: &'w World = ctx.world;
    world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()).flat_map(|(i, policy)| {
        Direction::BOTH.into_iter().filter(|d| policy.isolates(*d)).flat_map(move |direction| {
            policy.rules(direction).iter().enumerate().map(move |(j, rule)| (i, policy, direction, j, rule))
        })
    })
}

/// A port that the rule admits, to ask with: its first number, else one that nothing uses.
pub(crate) fn a_port(rule: &Rule) -> (Protocol, u16) {
    let odd = (Protocol::Tcp, 1);
    match &rule.ports {
        Ports::Any(_) => odd,
        Ports::Of(entries) => entries.first().map_or(odd, |e| match e.port {
            PortMatch::Range(first, _) => (e.protocol, first),
            PortMatch::Any | PortMatch::Named(_) => (e.protocol, 1),
        }),
    }
}

/// The pod's workload is declared as protected, by its annotation or by an option.
pub(crate) fn is_protected(ctx: &Ctx<'_, '_>, pod: PodId) -> bool {
    let id = ctx.world.pods[pod.index()].workload;
    let annotated = ctx.world.workloads[id.index()].annotations.get("watertight.dev/protect");
    annotated.is_some_and(|v| **v == *"true") || ctx.options.protected.contains(&ctx.world.workload_name(id))
}
