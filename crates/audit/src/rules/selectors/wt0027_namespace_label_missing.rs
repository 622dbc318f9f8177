//! WT0027: a namespace without a label that the others have, and that policies ask for.

use super::STANDARD;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{a_port, flow, in_namespace, rules};
use crate::rules::trial::after;
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::explain::half;
use watertight_engine::query::evaluated_half;
use watertight_engine::selector::matches;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{
    Direction, Endpoint, Flow, NamespaceId, NetworkPolicy, PeerKind, Peers, PolicyRef, Rule, Selector, Str, Verdict,
    manifest,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0027",
    name: "namespace-label-missing",
    severity: Severity::Note,
    summary: "a namespace lacks a label that most others carry and that policies select namespaces by",
    page: "Proves for each value that the other namespaces have what would change if this one had it. A warning \
           if the label names the environment, because the namespace is then in none.\n\nExample: `checkout-2` \
           has no `env`, so it is neither dev nor prod.\n\nFix: the label, with its effect, for each \
           value.\n\nSilent: most namespaces do not have the label either; no verdict would change; the \
           namespaces that every cluster has, and those that serve all others.",
    check: Check::World(check),
};

/// Rules that are tried for one value, until a verdict changes.
const ASKED: usize = 32;

/// Values that are tried.
const VALUES: usize = 5;

/// A rule with a peer that selects namespaces by the key.
type Asking<'w> = (usize, &'w NetworkPolicy, Direction, &'w Rule, &'w Selector);

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut by_key: BTreeMap<&Str, Vec<Asking<'_>>> = BTreeMap::new();
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let PeerKind::Pods { namespaces: Some(selector), .. } = &peer.kind else { continue };
            let keys: BTreeSet<&Str> = selector.requirements.iter().map(|r| &r.key).collect();
            for key in keys.into_iter().filter(|k| ***k != *NAMESPACE_NAME_LABEL) {
                by_key.entry(key).or_default().push((i, policy, direction, rule, selector));
            }
        }
    }
    let siblings: Vec<NamespaceId> = (0..ctx.world.namespaces.len())
        .map(NamespaceId::at)
        .filter(|ns| {
            let namespace = &ctx.world.namespaces[ns.index()];
            let serves = ctx.options.shared_namespaces.iter().any(|s| **s == *namespace.name);
            namespace.declared && !serves && !STANDARD.contains(&&*namespace.name)
        })
        .collect();
    for (key, asking) in by_key {
        let value = |ns: &NamespaceId| ctx.world.namespaces[ns.index()].labels.get(key);
        let values: BTreeSet<&Str> = siblings.iter().filter_map(value).collect();
        let (with, without): (Vec<NamespaceId>, Vec<NamespaceId>) = siblings.iter().partition(|ns| value(ns).is_some());
        // Most of the others carry it.
        if 2 * with.len() <= siblings.len() {
            continue;
        }
        for ns in without {
            if !ctx.is_overdue() {
                out.extend(missing(ctx, ns, key, &values, &asking));
            }
        }
    }
}

fn missing(
    ctx: &Ctx<'_, '_>,
    ns: NamespaceId,
    key: &Str,
    values: &BTreeSet<&Str>,
    asking: &[Asking<'_>],
) -> Option<Finding> {
    let namespace = &ctx.world.namespaces[ns.index()];
    let mut fixes = Vec::new();
    let mut effects = Vec::new();
    let mut witness = None;
    for value in values.iter().take(VALUES) {
        let with = namespace.labels.with(key, value);
        let changed = asking.iter().filter(|a| matches(a.4, &namespace.labels) != matches(a.4, &with));
        let Some((policy, flow, verdict)) =
            changed.into_iter().take(ASKED).find_map(|a| effect(ctx, ns, key, value, a))
        else {
            continue;
        };
        let verb = if verdict == Verdict::Allow { "lets its pods through" } else { "keeps its pods out" };
        effects.push(format!("with `{value}` {policy} {verb}"));
        witness.get_or_insert(flow);
        let yaml = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n  labels:\n    {}: {}\n",
            manifest::scalar(&namespace.name),
            manifest::scalar(key),
            manifest::scalar(value)
        );
        fixes.push(Fix::text(format!("{key}={value}: {policy} {verb}"), yaml));
    }
    if effects.is_empty() {
        return None;
    }
    let boundary = ctx.options.environment_keys.iter().any(|k| **k == **key);
    let severity = if boundary { Severity::Warning } else { Severity::Note };
    let message = format!("has no label `{key}`, as most namespaces have: {}", effects.join("; "));
    let mut finding = LINT.finding(format!("namespace {}", namespace.name), namespace.origin, message);
    finding = finding.at_severity(severity);
    finding.affected = effects.len();
    finding.witness = witness;
    finding.help = Some(format!("kubectl label namespace {} {key}=VALUE", namespace.name));
    finding.fixes = fixes;
    Some(finding)
}

/// A connection of a pod of the namespace that the label would change: the policy, the connection, its new verdict.
fn effect(
    ctx: &Ctx<'_, '_>,
    ns: NamespaceId,
    key: &str,
    value: &str,
    (i, policy, direction, rule, _): &Asking<'_>,
) -> Option<(String, Flow, Verdict)> {
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
    let others = in_namespace(ctx, ns).filter(|p| !ctx.world.pods[p.index()].finished).take(TRIED).map(Endpoint::Pod);
    let pairs = others.flat_map(|other| own.iter().map(move |own| (*own, other))).filter(|(own, other)| own != other);
    let flows = pairs.map(|(own, other)| match direction {
        Direction::Ingress => flow(other, own, protocol, port),
        Direction::Egress => flow(own, other, protocol, port),
    });
    flows.into_iter().find_map(|f| {
        let now = evaluated_half(half(&ctx.engine.decide(&f), *direction));
        let then = after(ctx.engine, *direction, &f, |world, _| {
            let namespace = &mut world.namespaces[ns.index()];
            namespace.labels = namespace.labels.with(key, value);
        });
        let name = ctx.world.policy_name(PolicyRef::Namespaced(u32::try_from(*i).unwrap_or(u32::MAX)));
        (now != then && then != Verdict::Depends).then_some((name, f, then))
    })
}
