//! WT0021: a peer that lets nobody through.

use super::{classes, labelled, namespace_names, namespaces};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{policy_object, rules};
use crate::rules::labels::{contradiction, repaired};
use crate::rules::write::with_peer;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::block::holds_nothing;
use watertight_engine::explain::words;
use watertight_engine::selector::{matches, readable};
use watertight_model::{Direction, NamespaceId, NetworkPolicy, Peer, PeerKind, Peers, Pod, Rule, Selector};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0021",
    name: "peer-matches-nothing",
    severity: Severity::Warning,
    summary: "a peer that no pod of the input matches, or a block whose exceptions leave nothing",
    page: "Proves that the entry lets no pod through, and says which part is to blame: the labels, which no pod \
           has; or the two parts together, because the pods that have them are in other namespaces. For an \
           `ipBlock`: that its exceptions cover it.\n\nExample: `namespaceSelector: {matchLabels: {team: \
           orders}}` and `podSelector: {matchLabels: {app: order-service}}` in one entry; the pods say \
           `orders-service`.\n\nFix: the nearest label; or without the peer, which changes no verdict.\n\nLess: \
           a note if the input has no pod of the namespaces at all.\n\nSilent: no pod at all is in the input; \
           the labels of a namespace that could match are not known (WT0026); the peer means its own namespace \
           and matches elsewhere (WT0019), no namespace has the labels (WT0022), the selector contradicts \
           itself (WT0023).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let found = match &peer.kind {
                PeerKind::Block(block) => holds_nothing(block).then(|| {
                    let block = words::peer(ctx.world, policy.namespace, peer);
                    let message = format!("{block} are none: the exceptions cover the whole block");
                    (LINT.finding(policy_object(ctx, i), Some(peer.origin), message), None)
                }),
                PeerKind::Pods { namespaces, pods } => {
                    by_labels(ctx, i, policy, peer, namespaces.as_ref(), pods.as_ref())
                }
            };
            let Some((mut finding, close)) = found else { continue };
            finding.affected = 1;
            if let Some((kind, label)) = close {
                let title = format!("{} rule {j} with {label}", direction.name());
                let fixed = with_peer(rule, peer, Some(kind));
                finding.help = Some(format!("did you mean `{label}`?"));
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            }
            finding.fixes.push(without(ctx, i, direction, j, rule, peer));
            out.push(finding);
        }
    }
}

/// The rule without the peer, or the policy without the rule: no verdict changes.
fn without(ctx: &Ctx<'_, '_>, i: usize, direction: Direction, j: usize, rule: &Rule, peer: &Peer) -> Fix {
    let title = "without it, which changes nothing";
    match with_peer(rule, peer, None) {
        Rule { peers: Peers::Of(rest), .. } if rest.is_empty() => Fix::delete_rule(ctx.world, title, i, direction, j),
        fixed => Fix::rule(ctx.world, title, i, direction, j, fixed),
    }
}

fn by_labels<'w>(
    ctx: &Ctx<'_, 'w>,
    i: usize,
    policy: &NetworkPolicy,
    peer: &'w Peer,
    selector: Option<&Selector>,
    pods: Option<&Selector>,
) -> Option<(Finding, Option<(PeerKind, String)>)> {
    let sound = |s: &Selector| readable(s) && contradiction(s).is_none();
    if !selector.into_iter().chain(pods).all(sound)
        || ctx.engine.classes().is_empty()
        || !ctx.scope().peer(policy, peer).is_empty()
    {
        return None;
    }
    let places = namespaces(ctx, policy.namespace, selector);
    let with_labels = pods.map(|pods| labelled(ctx, pods)).unwrap_or_default();
    let home = |c| ctx.world.pods[ctx.engine.classes().representative(c).index()].namespace;
    let elsewhere: BTreeSet<NamespaceId> = with_labels.iter().map(|c| home(*c)).collect();
    let elsewhere: Vec<NamespaceId> = elsewhere.into_iter().collect();
    // WT0022, WT0019.
    if places.is_empty() || (selector.is_none() && !elsewhere.is_empty()) {
        return None;
    }
    let there: Vec<&Pod> = classes(ctx).map(|(_, p)| p).filter(|p| places.contains(&p.namespace)).collect();
    let wanted = pods.map(words::selector).unwrap_or_default();
    let in_places = some(&namespace_names(ctx, &places));
    let peer_words = words::peer(ctx.world, policy.namespace, peer);
    let finding = |message: String| LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
    if there.is_empty() {
        let message = format!("{peer_words} are none: the input holds no pod of {in_places}");
        return Some((finding(message).at_severity(Severity::Note), None));
    }
    let close = pods.and_then(|pods| {
        let values = |key: &str| there.iter().filter_map(|p| p.labels.get(key)).map(|v| &**v).collect();
        let (fixed, label) = repaired(pods, values, |fixed| there.iter().any(|p| matches(fixed, &p.labels)))?;
        Some((PeerKind::Pods { namespaces: selector.cloned(), pods: Some(fixed) }, label))
    });
    let mut finding = if elsewhere.is_empty() {
        finding(format!("{peer_words} are none: no pod of {in_places} has {wanted}"))
    } else {
        let message = format!(
            "{peer_words} are none: pods with {wanted} are in {}, the namespaces selected are {in_places}",
            some(&namespace_names(ctx, &elsewhere))
        );
        finding(message)
    };
    if elsewhere.contains(&policy.namespace) {
        finding.help = Some(
            "one entry means both selectors at once: as two entries, each with its dash, they are ORed".to_owned(),
        );
    }
    Some((finding, close))
}
