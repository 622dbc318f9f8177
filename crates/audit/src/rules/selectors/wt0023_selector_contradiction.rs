//! WT0023: a selector that no set of labels satisfies.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::fix::Fix;
use crate::rules::common::{cluster_policy_object, policy_object};
use crate::rules::labels::contradiction;
use crate::rules::write::{with_peer, with_requirement};
use crate::rules::{Check, Lint};
use watertight_engine::explain::words;
use watertight_model::{ClusterPeer, Direction, NetworkPolicy, Origin, PeerKind, Peers, Requirement, Rule, Selector};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0023",
    name: "selector-contradiction",
    severity: Severity::Error,
    summary: "a selector whose requirements exclude each other: it matches nothing, whatever exists",
    page: "Proves that no value of a label, and not its absence either, satisfies all requirements on it; \
           prints the fewest that exclude each other. True whatever else exists.\n\nExample: `matchLabels: \
           {tier: db}` with `matchExpressions: [{key: tier, operator: NotIn, values: [db]}]`.\n\nFix: drop one \
           of them; a version without each is printed.\n\nSilent: some label set satisfies the selector, even \
           if nothing carries it (WT0020, WT0021, WT0022).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        let object = policy_object(ctx, i);
        let effect = "the policy selects no pod";
        if let Some((mut finding, places)) = found(object.clone(), policy.subject_origin, &policy.subject, effect) {
            let without = |place: &usize| NetworkPolicy {
                subject: with_requirement(&policy.subject, *place, None),
                ..policy.clone()
            };
            let put = |place: &usize| Fix::put(ctx.world, title(&policy.subject, *place), without(place));
            finding.fixes.extend(places.iter().map(put));
            out.push(finding);
        }
        for direction in Direction::BOTH {
            for (j, rule) in policy.rules(direction).iter().enumerate() {
                in_rule(ctx, i, direction, j, rule, out);
            }
        }
    }
    for (i, policy) in ctx.world.cluster_policies.iter().enumerate() {
        let object = cluster_policy_object(ctx, i);
        for selector in [&policy.subject.namespaces, &policy.subject.pods] {
            let effect = "the policy selects no pod";
            out.extend(found(object.clone(), policy.subject_origin, selector, effect).map(|(finding, _)| finding));
        }
        for peer in Direction::BOTH.iter().flat_map(|d| policy.rules(*d)).flat_map(|r| &r.peers) {
            let (selectors, origin) = match peer {
                ClusterPeer::Pods { namespaces, pods, origin } => (vec![namespaces, pods], *origin),
                ClusterPeer::Nodes { nodes, origin } => (vec![nodes], *origin),
                ClusterPeer::Networks { .. } | ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {
                    continue;
                }
            };
            let effect = "the peer matches nothing";
            let each = selectors.into_iter().filter_map(|s| found(object.clone(), origin, s, effect));
            out.extend(each.map(|(finding, _)| finding));
        }
    }
}

fn in_rule(ctx: &Ctx<'_, '_>, i: usize, direction: Direction, j: usize, rule: &Rule, out: &mut Vec<Finding>) {
    let Peers::Of(peers) = &rule.peers else { return };
    for peer in peers {
        let PeerKind::Pods { namespaces, pods } = &peer.kind else { continue };
        for (selector, of_pods) in [(namespaces, false), (pods, true)] {
            let Some(selector) = selector else { continue };
            let effect = "the peer matches nothing";
            let Some((mut finding, places)) = found(policy_object(ctx, i), peer.origin, selector, effect) else {
                continue;
            };
            for place in places {
                let less = Some(with_requirement(selector, place, None));
                let kind = if of_pods {
                    PeerKind::Pods { namespaces: namespaces.clone(), pods: less }
                } else {
                    PeerKind::Pods { namespaces: less, pods: pods.clone() }
                };
                let fixed = with_peer(rule, peer, Some(kind));
                finding.fixes.push(Fix::rule(ctx.world, title(selector, place), i, direction, j, fixed));
            }
            out.push(finding);
        }
    }
}

/// A finding, and the places of the requirements that exclude each other.
fn found(object: String, at: Origin, selector: &Selector, effect: &str) -> Option<(Finding, Vec<usize>)> {
    let places = contradiction(selector)?;
    let guilty: Vec<Requirement> = places.iter().filter_map(|p| selector.requirements.get(*p)).cloned().collect();
    let said: Vec<String> =
        guilty.iter().map(|r| format!("`{}`", words::selector(&Selector { requirements: vec![r.clone()] }))).collect();
    let message = format!("{} exclude each other: {effect}, whatever its labels", said.join(" and "));
    let mut finding = LINT.finding(object, Some(at), message);
    finding.status = Status::Proved;
    finding.affected = 1;
    finding.help = Some("drop one of them".to_owned());
    Some((finding, places))
}

fn title(selector: &Selector, place: usize) -> String {
    let requirement = selector.requirements.get(place).cloned().into_iter().collect();
    format!("without `{}`", words::selector(&Selector { requirements: requirement }))
}
