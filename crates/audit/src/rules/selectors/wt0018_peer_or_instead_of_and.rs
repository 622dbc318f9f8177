//! WT0018: two selectors as two list entries, where one entry was meant.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{a_port, flow, one_per_class, policy_object, subjects, workload_names};
use crate::rules::{Check, Lint};
use watertight_engine::explain::{RuleSays, explain, words};
use watertight_engine::selector::{matches, matches_namespace};
use watertight_engine::tri::Tri;
use watertight_model::{Direction, Endpoint, Peer, PeerKind, Peers, PodId, PolicyRef, Rule, Selector, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0018",
    name: "peer-or-instead-of-and",
    severity: Severity::Warning,
    summary: "a namespaceSelector and a podSelector in one list as two entries: they are ORed",
    page: "One `from` or `to` list has an entry with only `namespaceSelector` and an entry with only `podSelector`. \
           As two entries they mean every pod of those namespaces, plus such pods of the policy's own namespace. In \
           one entry they mean such pods of those namespaces. Proves which existing pods get in beyond that, by this \
           rule alone.\n\nExample:\n\n```yaml\nfrom:\n- namespaceSelector: {matchLabels: {team: orders}}\n- \
           podSelector: {matchLabels: {app: orders-service}}\n```\n\nFix: remove the second dash; the rule is \
           printed. If both were meant, the annotation `watertight.dev/ignore: \"WT0018=reason\"` says so.\n\nSilent: \
           nothing gets in beyond the AND form, or the AND form matches no pod at all.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in crate::rules::common::rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let wide = peers.iter().find_map(|p| match &p.kind {
            PeerKind::Pods { namespaces: Some(ns), pods: None } => Some((p, ns)),
            _ => None,
        });
        let narrow = peers.iter().find_map(|p| match &p.kind {
            PeerKind::Pods { namespaces: None, pods: Some(pods) } => Some((p, pods)),
            _ => None,
        });
        let (Some((wide_peer, namespaces)), Some((narrow_peer, pods))) = (wide, narrow) else { continue };
        let targets = one_per_class(ctx, &subjects(ctx, policy));
        let Some(target) = targets.first() else { continue };
        let (mut beyond, mut meant) = (Vec::new(), 0);
        for (id, pod) in ctx.world.pods.iter().enumerate().map(|(i, p)| (PodId::at(i), p)) {
            if pod.finished || pod.host_network || id == *target {
                continue;
            }
            let there = matches_namespace(ctx.world, pod.namespace, namespaces) == Tri::Yes;
            let labelled = matches(pods, &pod.labels);
            let either = there || (labelled && pod.namespace == policy.namespace);
            if there && labelled {
                meant += 1;
            } else if either && only_this_rule(ctx, *target, id, i, direction, j, rule) {
                beyond.push(id);
            }
        }
        if beyond.is_empty() || meant == 0 {
            continue;
        }
        let names = workload_names(ctx, &beyond);
        let message = format!(
            "two peers are ORed: {} {} {} beyond {} of namespaces with {}",
            if direction == Direction::Ingress { "lets in" } else { "lets out to" },
            some(&names),
            if names.len() == 1 { "" } else { "as well" },
            words::pods_in(ctx.world, policy.namespace, None, Some(pods))
                .split(" of namespace")
                .next()
                .unwrap_or("such pods"),
            words::selector(namespaces),
        );
        let message = message.replace("  ", " ");
        let mut finding = LINT.finding(policy_object(ctx, i), Some(rule.origin), message);
        finding.affected = beyond.len();
        finding.help = Some("remove the dash before the second selector, so that both are one entry".to_owned());
        let fixed = merged(rule, wide_peer, narrow_peer, namespaces, pods);
        let title = format!("{} rule {j} with both selectors in one entry", direction.name());
        finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
        out.push(finding);
    }
}

/// The flow passes, and no other rule lets it.
fn only_this_rule(
    ctx: &Ctx<'_, '_>,
    target: PodId,
    other: PodId,
    policy: usize,
    direction: Direction,
    j: usize,
    rule: &Rule,
) -> bool {
    let (protocol, port) = a_port(rule);
    let (from, to) = match direction {
        Direction::Ingress => (other, target),
        Direction::Egress => (target, other),
    };
    let flow = flow(Endpoint::Pod(from), Endpoint::Pod(to), protocol, port);
    let half_allows = {
        let verdict = ctx.engine.decide(&flow);
        watertight_engine::explain::half(&verdict, direction).verdict == Verdict::Allow
    };
    half_allows
        && explain(ctx.engine, &flow).steps.iter().filter(|s| s.direction == direction).all(|step| {
            step.rules.iter().all(|(r, says)| {
                let this = step.policy == PolicyRef::Namespaced(u32::try_from(policy).unwrap_or(u32::MAX))
                    && r.rule == u32::try_from(j).ok();
                this || *says != RuleSays::Matches
            })
        })
}

fn merged(rule: &Rule, wide: &Peer, narrow: &Peer, namespaces: &Selector, pods: &Selector) -> Rule {
    let Peers::Of(peers) = &rule.peers else { return rule.clone() };
    let both = PeerKind::Pods { namespaces: Some(namespaces.clone()), pods: Some(pods.clone()) };
    let kept = peers
        .iter()
        .filter(|p| *p != narrow)
        .map(|p| if p == wide { Peer { kind: both.clone(), origin: p.origin } } else { p.clone() });
    Rule { peers: Peers::Of(kept.collect()), ..rule.clone() }
}
