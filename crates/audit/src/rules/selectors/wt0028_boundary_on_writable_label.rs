//! WT0028: a protected workload behind a label that someone else may set.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::fix::Fix;
use crate::rules::common::{a_port, is_protected, policy_object, rules};
use crate::rules::trial::{after, labels_for};
use crate::rules::write::with_peer;
use crate::rules::{Check, Lint};
use watertight_engine::explain::{half, words};
use watertight_engine::query::evaluated_half;
use watertight_engine::selector::{matches_namespace, readable};
use watertight_engine::tri::Tri;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{
    Direction, Endpoint, Flow, L4, NamespaceId, Op, PeerKind, Peers, PodId, Requirement, Rule, Selector, Str, Verdict,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0028",
    name: "boundary-on-writable-label",
    severity: Severity::Warning,
    summary: "a protected workload is opened to every namespace with a label, which whoever labels namespaces may set",
    page: "Proves that a pod deployed tomorrow into a namespace made tomorrow reaches the workload as soon as \
           that namespace has the label, and does not without it. Who may label namespaces stands in RBAC, \
           which is not read: that somebody may is assumed, and only workloads that are declared as protected \
           are looked at.\n\nExample: `namespaceSelector: {matchLabels: {access: db}}` before a workload with \
           `watertight.dev/protect: \"true\"`.\n\nFix: `kubernetes.io/metadata.name`, which nobody can change, \
           with the namespaces that have the label today; or an admission rule that guards the \
           label.\n\nSilent: the workload is not protected; the peer names namespaces.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        if direction == Direction::Egress {
            continue;
        }
        let subjects = ctx.scope().subjects(policy);
        let members = subjects.iter().flat_map(|c| ctx.engine.classes().members(*c));
        let Some(target) = members.copied().find(|p| is_protected(ctx, *p)) else { continue };
        for peer in peers {
            let PeerKind::Pods { namespaces: Some(selector), pods } = &peer.kind else { continue };
            let by_name = selector.requirements.iter().any(|r| *r.key == *NAMESPACE_NAME_LABEL);
            if by_name || selector.is_everything() || !readable(selector) {
                continue;
            }
            if !let_in_by_label(ctx, target, rule, selector, pods.as_ref()) {
                continue;
            }
            let name = ctx.world.workload_name(ctx.world.pods[target.index()].workload);
            let message = format!(
                "opens {name}, which is protected, to every namespace with {}: whoever may label a namespace gets in",
                words::selector(selector)
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.status = Status::Assumed;
            finding.affected = 1;
            finding.help = Some(format!("select by `{NAMESPACE_NAME_LABEL}`, or guard the label by an admission rule"));
            let today = today(ctx, selector);
            if !today.is_empty() {
                let names: Vec<String> = today.iter().map(|n| n.to_string()).collect();
                let named = Requirement {
                    key: Str::from(NAMESPACE_NAME_LABEL),
                    from_labels: today.len() == 1,
                    op: Op::In(today),
                };
                let named = Some(Selector { requirements: vec![named] });
                let kind = PeerKind::Pods { namespaces: named, pods: pods.clone() };
                let title = format!("ingress rule {j} for {} by name", some(&names));
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, with_peer(rule, peer, Some(kind))));
            }
            out.push(finding);
        }
    }
}

/// A stranger's pod is denied, and allowed once its namespace (and the pod, which its owner labels) have the labels.
fn let_in_by_label(
    ctx: &Ctx<'_, '_>,
    target: PodId,
    rule: &Rule,
    namespaces: &Selector,
    pods: Option<&Selector>,
) -> bool {
    let everything = Selector::everything();
    let Some((of_namespace, of_pod)) = labels_for(namespaces).zip(labels_for(pods.unwrap_or(&everything))) else {
        return false;
    };
    let (protocol, port) = a_port(rule);
    let stranger = ctx.fresh().stranger();
    let flow = Flow { from: stranger, to: ctx.fresh().pod(target), l4: L4::Port(protocol, port), via_service: false };
    let engine = ctx.fresh_engine();
    let with = |labelled: bool| {
        after(engine, Direction::Ingress, &flow, |world, extract| {
            let Endpoint::Pod(id) = extract.flow.from else { return };
            let pod = &mut world.pods[id.index()];
            pod.labels = of_pod.clone();
            if labelled {
                let namespace = &mut world.namespaces[pod.namespace.index()];
                for (key, value) in of_namespace.iter() {
                    namespace.labels = namespace.labels.with(key, value);
                }
            }
        })
    };
    let today = evaluated_half(half(&engine.decide(&flow), Direction::Ingress));
    today == Verdict::Deny && with(false) == Verdict::Deny && with(true) == Verdict::Allow
}

/// Names of the namespaces that have the labels.
fn today(ctx: &Ctx<'_, '_>, selector: &Selector) -> Vec<Str> {
    let all = (0..ctx.world.namespaces.len()).map(NamespaceId::at);
    let having = all.filter(|ns| matches_namespace(ctx.world, *ns, selector) == Tri::Yes);
    having.map(|ns| ctx.world.namespaces[ns.index()].name.clone()).collect()
}
