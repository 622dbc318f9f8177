//! WT0025: a selector on a label that the next rollout or release changes.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{a_port, policy_object};
use crate::rules::trial::{OUTSIDE, after};
use crate::rules::write::{with_peer, with_requirement};
use crate::rules::{Check, Lint};
use watertight_engine::explain::{VOLATILE_LABELS, half, selector_for, words};
use watertight_engine::query::evaluated_half;
use watertight_engine::selector::matches;
use watertight_model::{
    Direction, Endpoint, Flow, L4, NetworkPolicy, Op, Peer, PeerKind, Peers, PodId, Protocol, Rule, Selector,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0025",
    name: "volatile-label",
    severity: Severity::Warning,
    summary: "a selector on a label that controllers or releases change, so that the next rollout changes verdicts",
    page: "Labels such as `pod-template-hash`, `controller-revision-hash`, `controller-uid` and `job-name` are \
           made by controllers; `helm.sh/chart` and `app.kubernetes.io/version` change with each release. \
           Proves that with another value of the label a verdict of the same workload changes.\n\nExample: \
           `matchLabels: {pod-template-hash: 7d9f}`.\n\nFix: the stable labels of the owner's \
           selector.\n\nSilent: `statefulset.kubernetes.io/pod-name`, which is stable; a selector that asks \
           only whether the label exists; no verdict changes; nothing matches it (any more): WT0020, WT0021.",
    check: Check::World(check),
};

/// A label value that no release has.
const NEXT: &str = "~next";

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        if let Some(place) = volatile(&policy.subject) {
            out.extend(subject(ctx, i, policy, place));
        }
        for direction in Direction::BOTH.into_iter().filter(|d| policy.isolates(*d)) {
            for (j, rule) in policy.rules(direction).iter().enumerate() {
                let Peers::Of(peers) = &rule.peers else { continue };
                for peer in peers {
                    let PeerKind::Pods { pods: Some(pods), .. } = &peer.kind else { continue };
                    if let Some(place) = volatile(pods) {
                        out.extend(in_peer(ctx, i, policy, (direction, j, rule), peer, pods, place));
                    }
                }
            }
        }
    }
}

/// The place of the first requirement for some value of a label that changes.
fn volatile(selector: &Selector) -> Option<usize> {
    selector
        .requirements
        .iter()
        .position(|r| VOLATILE_LABELS.contains(&&*r.key) && matches!(r.op, Op::In(_) | Op::NotIn(_)))
}

/// What the policies of one side say now, and when this pod has another value of the label.
fn changes(ctx: &Ctx<'_, '_>, direction: Direction, flow: &Flow, pod: PodId, key: &str) -> bool {
    let now = evaluated_half(half(&ctx.engine.decide(flow), direction));
    let labels = &ctx.world.pods[pod.index()].labels;
    let next = after(ctx.engine, direction, flow, |world, extract| {
        let end = if flow.from == Endpoint::Pod(pod) { extract.flow.from } else { extract.flow.to };
        if let Endpoint::Pod(id) = end {
            world.pods[id.index()].labels = labels.with(key, NEXT);
        }
    });
    now != next
}

fn report(ctx: &Ctx<'_, '_>, i: usize, selector: &Selector, place: usize, effect: &str) -> Option<Finding> {
    let requirement = selector.requirements.get(place)?;
    let message = format!(
        "selects by `{}`, which changes with the next {}: then {effect}",
        words::selector(&Selector { requirements: vec![requirement.clone()] }),
        if requirement.key.starts_with("helm.sh/") || requirement.key.ends_with("/version") {
            "release"
        } else {
            "rollout"
        }
    );
    let mut finding = LINT.finding(policy_object(ctx, i), None, message);
    finding.help = Some("select by labels that stay, such as those of the owner's own selector".to_owned());
    Some(finding)
}

fn subject<'w>(ctx: &Ctx<'_, 'w>, i: usize, policy: &'w NetworkPolicy, place: usize) -> Option<Finding> {
    let key = policy.subject.requirements.get(place)?.key.clone();
    let pods: Vec<PodId> =
        ctx.scope().subjects(policy).iter().map(|c| ctx.engine.classes().representative(*c)).collect();
    let asked = pods.iter().flat_map(|pod| {
        let sides = Direction::BOTH.into_iter().filter(|d| policy.isolates(*d));
        sides.flat_map(move |d| flows(ctx, policy, d, *pod).into_iter().map(move |flow| (*pod, d, flow)))
    });
    let (pod, _, witness) = asked.into_iter().find(|(pod, d, flow)| changes(ctx, *d, flow, *pod, &key))?;
    let name = ctx.world.workload_name(ctx.world.pods[pod.index()].workload);
    let mut finding =
        report(ctx, i, &policy.subject, place, &format!("the policy no longer selects the pods of {name}"))?;
    finding.at = Some(policy.subject_origin);
    finding.affected = pods.len();
    finding.witness = Some(witness);
    if let Some(stable) = stable(ctx, &policy.subject, place, pod) {
        let title = format!("select by {}", words::selector(&stable));
        let fixed = NetworkPolicy { subject: stable, ..policy.clone() };
        finding.fixes.push(Fix::put(ctx.world, title, fixed));
    }
    Some(finding)
}

/// Connections of a selected pod that the policy may decide: with someone outside, and with those that its rules name.
fn flows<'w>(ctx: &Ctx<'_, 'w>, policy: &'w NetworkPolicy, direction: Direction, pod: PodId) -> Vec<Flow> {
    let named = policy.rules(direction).iter().filter_map(|rule| {
        let (protocol, port) = a_port(rule);
        let first = ctx.scope().rule(policy, rule).sure.first().map(|c| ctx.engine.classes().representative(*c))?;
        Some((Endpoint::Pod(first), L4::Port(protocol, port)))
    });
    let all = [(OUTSIDE, L4::Port(Protocol::Tcp, 1))].into_iter().chain(named);
    all.map(|(other, l4)| between(direction, Endpoint::Pod(pod), other, l4)).collect()
}

fn between(direction: Direction, own: Endpoint, other: Endpoint, l4: L4) -> Flow {
    let (from, to) = match direction {
        Direction::Ingress => (other, own),
        Direction::Egress => (own, other),
    };
    Flow { from, to, l4, via_service: false }
}

fn in_peer<'w>(
    ctx: &Ctx<'_, 'w>,
    i: usize,
    policy: &'w NetworkPolicy,
    (direction, j, rule): (Direction, usize, &'w Rule),
    peer: &'w Peer,
    pods: &Selector,
    place: usize,
) -> Option<Finding> {
    let key = pods.requirements.get(place)?.key.clone();
    let (protocol, port) = a_port(rule);
    let representative = |c: &watertight_engine::classes::ClassId| ctx.engine.classes().representative(*c);
    let targets: Vec<PodId> = ctx.scope().subjects(policy).iter().map(representative).collect();
    let others: Vec<PodId> = ctx.scope().peer(policy, peer).sure.iter().map(representative).collect();
    let asked = others.iter().flat_map(|other| {
        let flows = targets.iter().filter(move |t| *t != other).map(move |target| {
            between(direction, Endpoint::Pod(*target), Endpoint::Pod(*other), L4::Port(protocol, port))
        });
        flows.map(move |flow| (*other, flow))
    });
    let (other, witness) = asked.into_iter().find(|(other, flow)| changes(ctx, direction, flow, *other, &key))?;
    let name = ctx.world.workload_name(ctx.world.pods[other.index()].workload);
    let mut finding = report(ctx, i, pods, place, &format!("the pods of {name} are no longer this peer"))?;
    finding.at = Some(peer.origin);
    finding.affected = others.len();
    finding.witness = Some(witness);
    if let (Some(stable), PeerKind::Pods { namespaces, .. }) = (stable(ctx, pods, place, other), &peer.kind) {
        let title = format!("{} rule {j} with {}", direction.name(), words::selector(&stable));
        let kind = PeerKind::Pods { namespaces: namespaces.clone(), pods: Some(stable) };
        finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, with_peer(rule, peer, Some(kind))));
    }
    Some(finding)
}

/// The rest of the selector, if anything is left, else the owner's own; without any label that changes.
fn stable(ctx: &Ctx<'_, '_>, selector: &Selector, place: usize, pod: PodId) -> Option<Selector> {
    let rest = with_requirement(selector, place, None);
    let chosen = if rest.is_everything() { selector_for(ctx.world, pod)? } else { rest };
    let fits = volatile(&chosen).is_none() && matches(&chosen, &ctx.world.pods[pod.index()].labels);
    fits.then_some(chosen)
}
