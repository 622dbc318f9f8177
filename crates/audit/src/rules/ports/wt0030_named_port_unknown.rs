//! WT0030: a named port that the pods do not have.

use super::with_entry;
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::receivers::{names, openers, pod_count, receivers};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::scope::named_port;
use watertight_model::spelling::near;
use watertight_model::{
    Direction, Endpoint, NetworkPolicy, PeerKind, Peers, Pod, PortEntry, PortMatch, Ports, Protocol, Rule, Str,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0030",
    name: "named-port-unknown",
    severity: Severity::Error,
    summary: "a named port that none of the pods has on which it is looked up",
    page: "A name is looked up on the pods that receive the traffic (those that the policy selects for ingress, \
           those that the rule names for egress), among container ports of the same protocol. Proves that none \
           of them has it, so that the entry admits nothing.\n\nExample: `port: htpp`; `port: dns` with \
           protocol TCP where the pods declare `dns` for UDP.\n\nFix: the nearest name that they declare, its \
           protocol, or the number.\n\nLess: a warning if some of the pods have it and the others are selected \
           by label.\n\nSilent: every pod has it; the rule is for all pods of a namespace and some have it; no \
           pod of the input receives.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Ports::Of(entries) = &rule.ports else { continue };
        if !entries.iter().any(|e| matches!(e.port, PortMatch::Named(_))) {
            continue;
        }
        let Some(pods) = looked_up_on(ctx, policy, direction, rule).filter(|p| !p.is_empty()) else { continue };
        for entry in entries {
            let PortMatch::Named(name) = &entry.port else { continue };
            let lacks = |c: &&ClassId| named_port(pod_of(ctx, **c), name, entry.protocol).is_none();
            let lacking: Vec<ClassId> = pods.iter().filter(lacks).copied().collect();
            let nowhere = lacking.len() == pods.len();
            if lacking.is_empty() || (!nowhere && !by_label(policy, direction, rule)) {
                continue;
            }
            let what = format!("{} port named `{name}`", entry.protocol);
            let message = if nowhere {
                let who = some(&names(ctx, &pods));
                format!("no pod of {who} has a {what}: this entry lets nothing through")
            } else {
                format!("no {what} on {}: this entry lets nothing through to them", some(&names(ctx, &lacking)))
            };
            let severity = if nowhere { Severity::Error } else { Severity::Warning };
            let mut finding = LINT.finding(policy_object(ctx, i), Some(entry.origin), message).at_severity(severity);
            finding.affected = pod_count(ctx, &lacking);
            finding.help = Some("name a port that the pods declare, or its number".to_owned());
            if nowhere && let Some((meant, number)) = meant(ctx, &pods, entry, name) {
                finding.help = Some(format!("did you mean `{}`?", words(&meant)));
                let title = format!("{} rule {j} with {}", direction.name(), words(&meant));
                let fixed = with_entry(rule, entry, std::slice::from_ref(&meant));
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
                let to = Endpoint::Pod(ctx.engine.classes().representative(pods[0]));
                let opener = openers(ctx, policy, direction, rule).into_iter().find(|o| *o != to);
                finding.witness = opener.map(|from| flow(from, to, meant.protocol, number));
            }
            out.push(finding);
        }
    }
}

fn pod_of<'w>(ctx: &Ctx<'_, 'w>, class: ClassId) -> &'w Pod {
    &ctx.world.pods[ctx.engine.classes().representative(class).index()]
}

/// Receivers; for an egress rule to anyone, every pod.
fn looked_up_on<'w>(
    ctx: &Ctx<'_, 'w>,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &'w Rule,
) -> Option<Vec<ClassId>> {
    match (&rule.peers, direction) {
        (Peers::Any(_), Direction::Egress) => Some(ctx.scope().rule(policy, rule).sure),
        _ => receivers(ctx, policy, direction, rule),
    }
}

/// The receivers are chosen by their labels, so each of them is meant.
fn by_label(policy: &NetworkPolicy, direction: Direction, rule: &Rule) -> bool {
    match (direction, &rule.peers) {
        (Direction::Ingress, _) => !policy.subject.is_everything(),
        (Direction::Egress, Peers::Any(_)) => false,
        (Direction::Egress, Peers::Of(peers)) => {
            peers.iter().all(|p| matches!(&p.kind, PeerKind::Pods { pods: Some(pods), .. } if !pods.is_everything()))
        }
    }
}

/// What the entry was meant to be, with the number it stands for on the first pod: the name with another protocol, the
/// nearest name, or the only port that is declared. A name that every pod has.
fn meant(ctx: &Ctx<'_, '_>, pods: &[ClassId], entry: &PortEntry, name: &Str) -> Option<(PortEntry, u16)> {
    let first = pod_of(ctx, *pods.first()?);
    let entry_for = |protocol: Protocol, port: PortMatch| PortEntry { protocol, port, ..entry.clone() };
    let on_all = |name: &str, protocol: Protocol| {
        let mut members = pods.iter().flat_map(|c| ctx.engine.classes().members(*c));
        members.all(|p| named_port(&ctx.world.pods[p.index()], name, protocol).is_some())
    };
    if let Some(protocol) = Protocol::ALL.into_iter().find(|p| on_all(name, *p)) {
        let fixed = PortEntry { protocol_defaulted: false, ..entry_for(protocol, PortMatch::Named(name.clone())) };
        return named_port(first, name, protocol).map(|number| (fixed, number));
    }
    let declared: BTreeSet<&Str> =
        first.ports.iter().filter(|p| p.protocol == entry.protocol).filter_map(|p| p.name.as_ref()).collect();
    let close = near(name, declared.iter().map(|n| n.to_string())).into_iter().find(|n| on_all(n, entry.protocol));
    if let Some(close) = close {
        let number = named_port(first, &close, entry.protocol)?;
        return Some((entry_for(entry.protocol, PortMatch::Named(Str::from(close))), number));
    }
    let mut numbers = first.ports.iter().filter(|p| p.protocol == entry.protocol).map(|p| p.port);
    let only = numbers.next().filter(|n| numbers.all(|other| other == *n))?;
    Some((entry_for(entry.protocol, PortMatch::Range(only, only)), only))
}

fn words(entry: &PortEntry) -> String {
    watertight_engine::explain::words::ports(&Ports::Of(vec![entry.clone()])).replace('"', "")
}
