//! WT0019, WT0020, WT0022: selectors that select something else, or nothing.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{policy_object, rules, workload_names};
use crate::rules::labels::contradiction;
use crate::rules::{Check, Lint};
use watertight_engine::explain::words;
use watertight_engine::selector::{matches, matches_namespace, readable};
use watertight_engine::tri::Tri;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::spelling::near;
use watertight_model::{NamespaceId, Op, PeerKind, Peers, PodId, Selector};

/// A peer that means the policy's own namespace.
pub(super) const OWN_NAMESPACE: Lint = Lint {
    code: "WT0019",
    name: "peer-own-namespace-only",
    severity: Severity::Warning,
    summary: "a peer with only a podSelector matches nothing in the policy's own namespace, and pods elsewhere",
    page: "A peer without `namespaceSelector` means pods of the policy's own namespace. Proves that it matches none \
           there, and that pods of other namespaces carry these labels.\n\nExample: `from: [{podSelector: \
           {matchLabels: {app: prometheus}}}]` in `shop`, while Prometheus runs in `monitoring`.\n\nFix: add a \
           `namespaceSelector` to the same entry.\n\nSilent: it matches a pod of its own namespace, or no pod at all.",
    check: Check::World(own_namespace),
};

/// A policy for nobody.
pub(super) const NOTHING: Lint = Lint {
    code: "WT0020",
    name: "policy-selects-nothing",
    severity: Severity::Warning,
    summary: "no pod and no pod template is selected by the policy",
    page: "Proves that `podSelector` matches no pod of the namespace, templates of controllers included.\n\nExample: \
           `app: frontned`.\n\nFix: the nearest label that pods carry.\n\nSilent: the selector is `{}` in a namespace \
           without pods, or the input has no pod of that namespace at all (a note then).",
    check: Check::World(nothing),
};

/// A namespace selector for nobody.
pub(super) const NAMESPACE_LABEL: Lint = Lint {
    code: "WT0022",
    name: "namespace-label-nowhere",
    severity: Severity::Warning,
    summary: "a namespaceSelector matches no namespace",
    page: "Proves that no namespace carries the labels, and names the key that none carries, or the \
           value.\n\nExample: `namespaceSelector: {matchLabels: {name: kube-system}}` where nobody set a label \
           `name`.\n\nFix: `kubernetes.io/metadata.name`, which every namespace has; else the nearest label; else \
           label the namespace.\n\nSilent: the labels of some namespace are not known (WT0026).",
    check: Check::World(namespace_label),
};

fn own_namespace(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let PeerKind::Pods { namespaces: None, pods: Some(pods) } = &peer.kind else { continue };
            if pods.is_everything() || !readable(pods) {
                continue;
            }
            let found: Vec<PodId> = (0..ctx.world.pods.len())
                .map(PodId::at)
                .filter(|id| {
                    let pod = &ctx.world.pods[id.index()];
                    !pod.finished && matches(pods, &pod.labels)
                })
                .collect();
            if found.is_empty() || found.iter().any(|id| ctx.world.pods[id.index()].namespace == policy.namespace) {
                continue;
            }
            let own = &ctx.world.namespaces[policy.namespace.index()].name;
            let there = &ctx.world.namespaces[ctx.world.pods[found[0].index()].namespace.index()].name;
            let message = format!(
                "this {} peer means pods of namespace {own}, where none has {}; {} in other namespaces do, and are not let through",
                direction.name(),
                words::selector(pods),
                some(&workload_names(ctx, &found))
            );
            let mut finding = OWN_NAMESPACE.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.affected = found.len();
            finding.help = Some(format!(
                "add `namespaceSelector: {{matchLabels: {{{NAMESPACE_NAME_LABEL}: {there}}}}}` to the same entry"
            ));
            out.push(finding);
        }
    }
}

fn nothing(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate() {
        if policy.subject.is_everything() || !readable(&policy.subject) || contradiction(&policy.subject).is_some() {
            continue;
        }
        let here: Vec<_> = ctx.world.pods.iter().filter(|p| p.namespace == policy.namespace && !p.finished).collect();
        if here.iter().any(|p| matches(&policy.subject, &p.labels)) {
            continue;
        }
        let wanted = words::selector(&policy.subject);
        let message = format!("selects no pod: nothing in the namespace has {wanted}");
        let mut finding = NOTHING.finding(policy_object(ctx, i), Some(policy.subject_origin), message);
        if here.is_empty() {
            finding.severity = Severity::Note;
            finding.score = Severity::Note.score();
            finding.message = format!("selects no pod: the input holds no pod of its namespace (it asks for {wanted})");
        }
        let labels = here.iter().flat_map(|p| p.labels.iter().map(|(k, v)| format!("{k}={v}")));
        let close = near(&wanted, labels);
        finding.help = close.first().map(|l| format!("did you mean `{l}`?"));
        out.push(finding);
    }
}

fn namespace_label(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, _, _, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let PeerKind::Pods { namespaces: Some(selector), .. } = &peer.kind else { continue };
            if let Some((message, help)) = nowhere(ctx, selector) {
                let mut finding = NAMESPACE_LABEL.finding(policy_object(ctx, i), Some(peer.origin), message);
                finding.help = help;
                out.push(finding);
            }
        }
    }
}

fn nowhere(ctx: &Ctx<'_, '_>, selector: &Selector) -> Option<(String, Option<String>)> {
    let namespaces = &ctx.world.namespaces;
    let all = (0..namespaces.len()).map(NamespaceId::at);
    if !readable(selector)
        || contradiction(selector).is_some()
        || all.clone().any(|ns| matches_namespace(ctx.world, ns, selector) != Tri::No)
    {
        return None;
    }
    let guilty = selector.requirements.iter().find(|r| {
        let alone = Selector { requirements: vec![(*r).clone()] };
        all.clone().all(|ns| matches_namespace(ctx.world, ns, &alone) == Tri::No)
    });
    let wanted = words::selector(selector);
    let Some(guilty) = guilty else {
        return Some((format!("no namespace has {wanted} together"), None));
    };
    let known: Vec<&str> =
        namespaces.iter().flat_map(|n| n.labels.iter().filter(|(k, _)| *k == &guilty.key).map(|(_, v)| &**v)).collect();
    let values = match &guilty.op {
        Op::In(values) => values.clone(),
        Op::NotIn(_) | Op::Exists | Op::DoesNotExist | Op::Unknown(_) => Vec::new(),
    };
    let named = values.iter().find(|v| ctx.world.namespace(v).is_some());
    let help = if let Some(name) = named {
        Some(format!("every namespace has its name as a label: `{NAMESPACE_NAME_LABEL}: {name}`"))
    } else {
        let labels = namespaces.iter().flat_map(|n| n.labels.iter().map(|(k, v)| format!("{k}={v}")));
        let close = near(&words::selector(&Selector { requirements: vec![guilty.clone()] }), labels);
        close.first().map(|l| format!("did you mean `{l}`? Every namespace also has `{NAMESPACE_NAME_LABEL}`")).or_else(
            || Some(format!("select by `{NAMESPACE_NAME_LABEL}`, which every namespace has, or label the namespace")),
        )
    };
    let message = if known.is_empty() {
        format!("no namespace has a label `{}`: this peer ({wanted}) matches nothing", guilty.key)
    } else {
        format!(
            "no namespace has {}: this peer matches nothing",
            words::selector(&Selector { requirements: vec![guilty.clone()] })
        )
    };
    Some((message, help))
}
