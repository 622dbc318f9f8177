//! WT0018: two selectors as two list entries, where one entry was meant.

use super::labelled;
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{a_port, flow, is_protected, policy_object, rules};
use crate::rules::receivers::{names, pod_count};
use crate::rules::write::with_peer;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::{half, words};
use watertight_model::{Direction, Endpoint, Flow, NetworkPolicy, PeerKind, Peers, PolicyRef, Reason, Rule, RuleRef};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0018",
    name: "peer-or-instead-of-and",
    severity: Severity::Warning,
    summary: "a namespaceSelector and a podSelector in one list as two entries: they are ORed",
    page: "One `from` or `to` list has an entry with only `namespaceSelector` and an entry with only \
           `podSelector`. As two entries they mean every pod of those namespaces, plus such pods of the \
           policy's own namespace. In one entry they mean such pods of those namespaces. Proves which existing \
           pods get in beyond that, by this rule alone.\n\nExample:\n\n```yaml\nfrom:\n- namespaceSelector: \
           {matchLabels: {team: orders}}\n- podSelector: {matchLabels: {app: orders-service}}\n```\n\nFix: \
           remove the second dash; the rule is printed. If both were meant, the annotation \
           `watertight.dev/ignore: \"WT0018=reason\"` says so.\n\nAn error if such pods are in those namespaces \
           and not in the policy's own, so that one entry was surely meant, if what gets in is of another \
           environment, or if it gets to a protected workload.\n\nSilent: nothing gets in beyond the AND form; \
           such pods are in the policy's own namespace and not in those, so that a true OR is meant.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
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
        let scope = ctx.scope();
        let labelled: BTreeSet<ClassId> = labelled(ctx, pods).into_iter().collect();
        let there = scope.peer(policy, wide_peer).sure;
        let own = scope.peer(policy, narrow_peer).sure;
        let meant = there.iter().any(|c| labelled.contains(c));
        // Such pods are in the policy's own namespace and not in those: each entry is meant by itself.
        if !meant && !own.is_empty() {
            continue;
        }
        let beyond = there.iter().filter(|c| !labelled.contains(c)).chain(own.iter().filter(|c| !there.contains(c)));
        let beyond: BTreeSet<ClassId> = beyond.copied().collect();
        let targets = scope.subjects(policy);
        let place = RuleRef {
            policy: PolicyRef::Namespaced(u32::try_from(i).unwrap_or(u32::MAX)),
            direction,
            rule: u32::try_from(j).ok(),
        };
        let gained: Vec<(ClassId, Flow)> =
            beyond.into_iter().filter_map(|c| Some((c, only_by(ctx, &targets, c, place, rule)?))).collect();
        let Some((_, witness)) = gained.first() else { continue };
        let classes: Vec<ClassId> = gained.iter().map(|(c, _)| *c).collect();
        let message = format!(
            "two peers are ORed: {} {}, and not only pods with {} of namespaces with {}",
            if direction == Direction::Ingress { "lets in" } else { "lets out to" },
            some(&names(ctx, &classes)),
            words::selector(pods),
            words::selector(namespaces),
        );
        let mut behind = targets.iter().flat_map(|c| ctx.engine.classes().members(*c));
        let strongest = (meant && own.is_empty())
            || classes.iter().any(|c| crosses(ctx, policy, *c))
            || (direction == Direction::Ingress && behind.any(|p| is_protected(ctx, *p)));
        let severity = if strongest { Severity::Error } else { Severity::Warning };
        let mut finding = LINT.finding(policy_object(ctx, i), Some(rule.origin), message).at_severity(severity);
        finding.affected = pod_count(ctx, &classes);
        finding.witness = Some(*witness);
        finding.help = Some("remove the dash before the second selector, so that both are one entry".to_owned());
        let both = PeerKind::Pods { namespaces: Some(namespaces.clone()), pods: Some(pods.clone()) };
        let fixed = with_peer(&with_peer(rule, narrow_peer, None), wide_peer, Some(both));
        let title = format!("{} rule {j} with both selectors in one entry", direction.name());
        finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
        out.push(finding);
    }
}

/// A connection between a pod that the policy selects and a pod of this class that passes by this rule alone.
fn only_by(ctx: &Ctx<'_, '_>, targets: &[ClassId], other: ClassId, place: RuleRef, rule: &Rule) -> Option<Flow> {
    let pod = |c: ClassId| Endpoint::Pod(ctx.engine.classes().representative(c));
    let (protocol, port) = a_port(rule);
    let flows = targets.iter().filter(|t| pod(**t) != pod(other)).map(|target| match place.direction {
        Direction::Ingress => flow(pod(other), pod(*target), protocol, port),
        Direction::Egress => flow(pod(*target), pod(other), protocol, port),
    });
    flows.into_iter().find(|f| {
        let verdict = ctx.engine.decide(f);
        let half = half(&verdict, place.direction);
        half.reason == Reason::PolicyAllow && half.decided_by == [place]
    })
}

/// The pods are of another environment than the policy.
fn crosses(ctx: &Ctx<'_, '_>, policy: &NetworkPolicy, class: ClassId) -> bool {
    let other = ctx.world.pods[ctx.engine.classes().representative(class).index()].namespace;
    let environments = ctx.environment(other).zip(ctx.environment(policy.namespace));
    environments.is_some_and(|((_, a), (_, b))| a != b)
}
