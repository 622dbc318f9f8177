//! WT0022: a namespace selector for no namespace.

use super::{STANDARD, is_whole_cluster, namespaces};
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{policy_object, rules};
use crate::rules::labels::{contradiction, repaired};
use crate::rules::write::{namespace_named, with_peer};
use crate::rules::{Check, Lint};
use watertight_engine::explain::words;
use watertight_engine::selector::{matches, matches_namespace, readable};
use watertight_engine::tri::Tri;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{NamespaceId, Op, PeerKind, Peers, Requirement, Selector, Str};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0022",
    name: "namespace-label-nowhere",
    severity: Severity::Warning,
    summary: "a namespaceSelector matches no namespace",
    page: "Proves that no namespace carries the labels, and names the key that none carries, or the value. An \
           error if the input holds the namespaces that every cluster has, so that it is the whole cluster; \
           otherwise the namespace may exist and not be in the input.\n\nExample: `namespaceSelector: \
           {matchLabels: {name: kube-system}}` where nobody set a label `name`.\n\nFix: \
           `kubernetes.io/metadata.name`, which every namespace has; else the nearest label; else label the \
           namespace.\n\nLess: a note if a namespace is named that is not in the input.\n\nSilent: the labels \
           of some namespace are not known (WT0026); the namespace that is named exists in every cluster \
           (kube-system, default); the selector contradicts itself (WT0023).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let whole = is_whole_cluster(ctx);
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let PeerKind::Pods { namespaces: Some(selector), pods } = &peer.kind else { continue };
            if !readable(selector)
                || contradiction(selector).is_some()
                || !namespaces(ctx, policy.namespace, Some(selector)).is_empty()
                || named(selector).is_some_and(|name| STANDARD.contains(&&**name))
            {
                continue;
            }
            let (message, meant) = nowhere(ctx, selector);
            let severity = match (whole, named(selector)) {
                (true, _) => Severity::Error,
                (false, Some(_)) => Severity::Note,
                (false, None) => Severity::Warning,
            };
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message).at_severity(severity);
            finding.affected = 1;
            finding.help = Some(match &meant {
                Some((_, label)) => format!("did you mean `{label}`? Every namespace has `{NAMESPACE_NAME_LABEL}`"),
                None => {
                    format!("select by `{NAMESPACE_NAME_LABEL}`, which every namespace has, or label the namespace")
                }
            });
            if let Some((fixed, label)) = meant {
                let kind = PeerKind::Pods { namespaces: Some(fixed), pods: pods.clone() };
                let title = format!("{} rule {j} with {label}", direction.name());
                let fixed = with_peer(rule, peer, Some(kind));
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            }
            out.push(finding);
        }
    }
}

/// The only namespace that a selector can mean, by its name.
fn named(selector: &Selector) -> Option<&Str> {
    selector.requirements.iter().filter(|r| *r.key == *NAMESPACE_NAME_LABEL).find_map(|r| match &r.op {
        Op::In(values) if values.len() == 1 => values.first(),
        Op::In(_) | Op::NotIn(_) | Op::Exists | Op::DoesNotExist | Op::Unknown(_) => None,
    })
}

/// Why it matches none, and what was probably meant: the namespace of that name, or the nearest label.
fn nowhere(ctx: &Ctx<'_, '_>, selector: &Selector) -> (String, Option<(Selector, String)>) {
    let list = &ctx.world.namespaces;
    let alone = |r: &Requirement| Selector { requirements: vec![r.clone()] };
    let unmet = |r: &&Requirement| {
        (0..list.len()).map(NamespaceId::at).all(|ns| matches_namespace(ctx.world, ns, &alone(r)) == Tri::No)
    };
    let wanted = words::selector(selector);
    let Some(guilty) = selector.requirements.iter().find(unmet) else {
        return (format!("no namespace has {wanted} together: this peer matches nothing"), None);
    };
    let values = |key: &str| list.iter().filter_map(|n| n.labels.get(key)).map(|v| &**v).collect::<Vec<_>>();
    let message = if values(&guilty.key).is_empty() {
        format!("no namespace has a label `{}`: this peer ({wanted}) matches nothing", guilty.key)
    } else {
        format!("no namespace has {}: this peer matches nothing", words::selector(&alone(guilty)))
    };
    let asked = match &guilty.op {
        Op::In(values) => values.as_slice(),
        Op::NotIn(_) | Op::Exists | Op::DoesNotExist | Op::Unknown(_) => &[],
    };
    let by_name = asked.iter().find(|v| selector.requirements.len() == 1 && ctx.world.namespace(v).is_some());
    let meant = match by_name {
        Some(name) => Some((namespace_named(name), format!("{NAMESPACE_NAME_LABEL}: {name}"))),
        None => repaired(selector, values, |fixed| list.iter().any(|n| matches(fixed, &n.labels))),
    };
    (message, meant)
}
