//! WT0026: verdicts that rest on the labels of a namespace that was not read.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{a_port, flow, in_namespace, rules};
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::explain::half;
use watertight_engine::selector::matches_namespace;
use watertight_engine::tri::Tri;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{
    DependsOn, Direction, Endpoint, Flow, NamespaceId, NetworkPolicy, PeerKind, Peers, PodId, PolicyRef, Rule,
    Selector, Str,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0026",
    name: "namespace-labels-unknown",
    severity: Severity::Note,
    summary: "a verdict depends on the labels of a namespace whose object is not in the input",
    page: "Of a namespace without a Namespace object only `kubernetes.io/metadata.name` is known. Proves that a \
           connection of one of its pods passes or not, as its other labels are, and names for each selector a \
           policy that asks for them.\n\nExample: a policy with `namespaceSelector: {matchLabels: {env: \
           prod}}`, workloads in `payments`, and no manifest for the namespace `payments`.\n\nFix: add the \
           Namespace manifest, or read the cluster.\n\nSilent: no policy selects namespaces by a label other \
           than the name, or its rules are for pods that do not exist.",
    check: Check::World(check),
};

/// Rules with one selector that are tried, until a verdict depends on it.
const ASKED: usize = 8;

/// A rule whose peer may mean a namespace.
type Asking<'w> = (usize, &'w NetworkPolicy, Direction, &'w Rule);

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let unknown: Vec<NamespaceId> = (0..ctx.world.namespaces.len())
        .map(NamespaceId::at)
        .filter(|ns| !ctx.world.namespaces[ns.index()].declared && live(ctx, *ns).next().is_some())
        .collect();
    if unknown.is_empty() {
        return;
    }
    let mut by_selector: BTreeMap<&Selector, Vec<Asking<'_>>> = BTreeMap::new();
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            if let PeerKind::Pods { namespaces: Some(selector), .. } = &peer.kind
                && selector.requirements.iter().any(|r| *r.key != *NAMESPACE_NAME_LABEL)
            {
                by_selector.entry(selector).or_default().push((i, policy, direction, rule));
            }
        }
    }
    for ns in unknown {
        let mut policies: BTreeSet<usize> = BTreeSet::new();
        let mut keys: BTreeSet<&Str> = BTreeSet::new();
        let mut witness: Option<Flow> = None;
        for (selector, asking) in &by_selector {
            if ctx.is_overdue() || !matches!(matches_namespace(ctx.world, ns, selector), Tri::Maybe(_)) {
                continue;
            }
            let mut asking = asking.iter().take(ASKED);
            let proved = asking.find_map(|(i, policy, direction, rule)| {
                depends(ctx, ns, policy, *direction, rule).map(|flow| (*i, flow))
            });
            if let Some((i, flow)) = proved {
                policies.insert(i);
                witness.get_or_insert(flow);
                keys.extend(selector.requirements.iter().map(|r| &r.key).filter(|k| ***k != *NAMESPACE_NAME_LABEL));
            }
        }
        let Some(witness) = witness else { continue };
        let name = &ctx.world.namespaces[ns.index()].name;
        let index = |i: &usize| PolicyRef::Namespaced(u32::try_from(*i).unwrap_or(u32::MAX));
        let policy_names: Vec<String> = policies.iter().map(|i| ctx.world.policy_name(index(i))).collect();
        let keys: Vec<String> = keys.iter().map(|k| format!("`{k}`")).collect();
        let message = format!(
            "its labels are not known: whether its pods are let through by {} depends on {}",
            some(&policy_names),
            some(&keys)
        );
        let mut finding = LINT.finding(format!("namespace {name}"), None, message);
        finding.affected = policies.len();
        finding.witness = Some(witness);
        finding.help = Some(format!("add the manifest of namespace {name} with its labels, or read the cluster"));
        out.push(finding);
    }
}

/// Pods of a namespace that can be peers.
fn live<'a>(ctx: &'a Ctx<'_, '_>, ns: NamespaceId) -> impl Iterator<Item = PodId> + 'a {
    in_namespace(ctx, ns).filter(|p| !ctx.world.pods[p.index()].finished && !ctx.world.pods[p.index()].host_network)
}

/// A connection of a pod of the namespace whose verdict on the policy's side depends on the namespace's labels.
fn depends(
    ctx: &Ctx<'_, '_>,
    ns: NamespaceId,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &Rule,
) -> Option<Flow> {
    /// Pods that are tried on either side.
    const TRIED: usize = 4;
    let (protocol, port) = a_port(rule);
    let own: Vec<Endpoint> = ctx
        .scope()
        .subjects(policy)
        .iter()
        .take(TRIED)
        .map(|c| Endpoint::Pod(ctx.engine.classes().representative(*c)))
        .collect();
    let others = live(ctx, ns).take(TRIED).map(Endpoint::Pod);
    let pairs = others.flat_map(|other| own.iter().map(move |own| (*own, other))).filter(|(own, other)| own != other);
    let flows = pairs.map(|(own, other)| match direction {
        Direction::Ingress => flow(other, own, protocol, port),
        Direction::Egress => flow(own, other, protocol, port),
    });
    flows
        .into_iter()
        .find(|f| half(&ctx.engine.decide(f), direction).depends_on.contains(&DependsOn::NamespaceLabels(ns)))
}
