//! WT0011: rules for a direction that `policyTypes` does not name.

use super::Shown;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{a_port, policy_object};
use crate::rules::trial::{OUTSIDE, Subject, each_subject};
use crate::rules::{Check, Lint};
use watertight_model::{Direction, Endpoint, Flow, L4, NetworkPolicy, PortEntry, PortMatch, Ports, Rule, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0011",
    name: "direction-rules-ignored",
    severity: Severity::Error,
    summary: "a policy has rules for a direction that its policyTypes does not name",
    page: "The rules stand in the file and have no effect: `policyTypes` decides which directions a policy is \
           about. Proves that naming the direction would change what passes.\n\nExample: `policyTypes: \
           [Ingress]` with `egress: [...]`: egress stays open.\n\nFix: add the direction (what its rules do not \
           name is then denied), or delete the rules.\n\nSilent: nothing would change, because the rules allow \
           everything, or other policies isolate the same pods and allow the same.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.policies.iter().enumerate().take_while(|_| !ctx.is_overdue()) {
        for direction in Direction::BOTH {
            if !policy.isolates(direction)
                && let Some(first) = policy.rules(direction).first()
            {
                out.extend(ignored(ctx, i, policy, direction, first));
            }
        }
    }
}

fn ignored<'w>(
    ctx: &Ctx<'_, 'w>,
    i: usize,
    policy: &'w NetworkPolicy,
    direction: Direction,
    first: &Rule,
) -> Option<Finding> {
    let (mut open, mut closed) = (Shown::default(), Shown::default());
    each_subject(ctx, i, |subject| {
        for flow in flows(ctx, policy, direction, subject) {
            let named = subject.with(direction, &flow, |p| name(p, direction));
            match (subject.now(direction, &flow), named) {
                (Verdict::Allow, Verdict::Deny) => return open.add(subject, flow),
                (Verdict::Deny, Verdict::Allow) => return closed.add(subject, flow),
                _ => {}
            }
        }
    });
    let word = if direction == Direction::Egress { "Egress" } else { "Ingress" };
    let (shown, effect) = if open.is_empty() {
        (&closed, format!("what they allow stays denied for {}", closed.who(ctx, policy)))
    } else {
        (&open, format!("{} of {} stays open to everyone", direction.name(), open.who(ctx, policy)))
    };
    if shown.is_empty() {
        return None;
    }
    let message = format!(
        "has {} rules, and its policyTypes does not name {word}: the rules are ignored, {effect}",
        direction.name()
    );
    let mut finding = LINT.finding(policy_object(ctx, i), Some(first.origin), message);
    finding.affected = shown.count(ctx);
    finding.witness = shown.witness;
    finding.help =
        Some(format!("add `{word}` to policyTypes (what the rules do not name is then denied), or delete the rules"));
    let mut both = policy.clone();
    name(&mut both, direction);
    let title = format!("with {word} in policyTypes");
    let named = Fix::put(ctx.world, title.clone(), both);
    let names = ctx.dns().policy(ctx, policy.namespace);
    let taken = ctx.world.policies.iter().any(|p| (p.namespace, &p.name) == (names.namespace, &names.name));
    finding.fixes.push(if direction == Direction::Egress && !taken {
        named.and(format!("{title}, and names looked up"), Fix::put(ctx.world, "", names))
    } else {
        named
    });
    let mut bare = policy.clone();
    match direction {
        Direction::Ingress => bare.ingress.clear(),
        Direction::Egress => bare.egress.clear(),
    }
    finding.fixes.push(Fix::put(ctx.world, format!("without the {} rules", direction.name()), bare));
    Some(finding)
}

/// Someone outside on a port that nothing uses, and for each rule those that it names.
fn flows<'w>(
    ctx: &Ctx<'_, 'w>,
    policy: &'w NetworkPolicy,
    direction: Direction,
    subject: &Subject<'_, '_>,
) -> Vec<Flow> {
    let named = policy.rules(direction).iter().flat_map(|rule| others(ctx, policy, rule, subject.is_real));
    let named = named.map(|(other, l4)| subject.flow_on(direction, other, l4));
    [subject.flow(direction)].into_iter().chain(named).collect()
}

/// `policyTypes` names the direction.
fn name(policy: &mut NetworkPolicy, direction: Direction) {
    match direction {
        Direction::Ingress => policy.isolates_ingress = true,
        Direction::Egress => policy.isolates_egress = true,
    }
}

/// Someone outside and a pod that the rule names, on a port that it names.
fn others<'w>(ctx: &Ctx<'_, 'w>, policy: &NetworkPolicy, rule: &'w Rule, real: bool) -> Vec<(Endpoint, L4)> {
    let (protocol, port) = a_port(rule);
    let named = |e: &PortEntry| matches!(e.port, PortMatch::Named(_));
    if matches!(&rule.ports, Ports::Of(entries) if entries.first().is_some_and(named)) {
        return Vec::new();
    }
    let matched = if real { ctx.scope().rule(policy, rule).sure } else { Vec::new() };
    let pod = matched.first().map(|c| Endpoint::Pod(ctx.engine.classes().representative(*c)));
    [OUTSIDE].into_iter().chain(pod).map(|e| (e, L4::Port(protocol, port))).collect()
}
