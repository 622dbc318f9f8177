//! WT0019: a peer that means the policy's own namespace, for pods of another.

use super::labelled;
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{policy_object, rules};
use crate::rules::receivers::{names, pod_count};
use crate::rules::write::{namespace_named, with_peer};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::explain::words;
use watertight_engine::selector::readable;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{NamespaceId, PeerKind, Peers};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0019",
    name: "peer-own-namespace-only",
    severity: Severity::Warning,
    summary: "a peer with only a podSelector matches nothing in the policy's own namespace, and pods elsewhere",
    page: "A peer without `namespaceSelector` means pods of the policy's own namespace. Proves that it matches \
           none there, and that pods of other namespaces carry these labels.\n\nExample: `from: [{podSelector: \
           {matchLabels: {app: prometheus}}}]` in `shop`, while Prometheus runs in `monitoring`.\n\nFix: add a \
           `namespaceSelector` to the same entry; one for each namespace with such pods is printed.\n\nSilent: \
           it matches a pod of its own namespace, or no pod at all (WT0021).",
    check: Check::World(check),
};

/// Namespaces for which a fix is printed.
const FIXES: usize = 3;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let PeerKind::Pods { namespaces: None, pods: Some(pods) } = &peer.kind else { continue };
            if pods.is_everything() || !readable(pods) || !ctx.scope().peer(policy, peer).is_empty() {
                continue;
            }
            let found = labelled(ctx, pods);
            if found.is_empty() {
                continue;
            }
            let home = |c| ctx.world.pods[ctx.engine.classes().representative(c).index()].namespace;
            let places: BTreeSet<NamespaceId> = found.iter().map(|c| home(*c)).collect();
            let own = &ctx.world.namespaces[policy.namespace.index()].name;
            let message = format!(
                "this {} peer means pods of namespace {own}, where none has {}; {} in other namespaces do, and are not \
                 let through",
                direction.name(),
                words::selector(pods),
                some(&names(ctx, &found))
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.affected = pod_count(ctx, &found);
            for place in places.iter().take(FIXES) {
                let there = &ctx.world.namespaces[place.index()].name;
                let selector = format!("namespaceSelector: {{matchLabels: {{{NAMESPACE_NAME_LABEL}: {there}}}}}");
                finding.help.get_or_insert(format!("add `{selector}` to the same entry"));
                let kind = PeerKind::Pods { namespaces: Some(namespace_named(there)), pods: Some(pods.clone()) };
                let fixed = with_peer(rule, peer, Some(kind));
                let title = format!("{} rule {j} with such pods of namespace {there}", direction.name());
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            }
            out.push(finding);
        }
    }
}
