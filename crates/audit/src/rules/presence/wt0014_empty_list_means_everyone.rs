//! WT0014: an empty list of peers or ports reads "none" and means "all".

use super::Shown;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{a_port, policy_object, rules};
use crate::rules::trial::{OUTSIDE, each_subject};
use crate::rules::{Check, Lint};
use watertight_model::policy::Presence;
use watertight_model::{Direction, Endpoint, L4, NetworkPolicy, Peers, Ports, Rule, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0014",
    name: "empty-list-means-everyone",
    severity: Severity::Error,
    summary: "an empty `from`, `to` or `ports` is written out, and means all of them",
    page: "An empty list of peers is every peer, an empty list of ports is every port. Proves that connections \
           pass by this rule that would be denied without it.\n\nExample: `ingress: [{from: [], ports: [{port: \
           80}]}]` reads \"from nobody\" and means \"from everybody\".\n\nFix: if nobody is meant, delete the \
           rule; if everybody is meant, delete the empty key.\n\nSilent: the key is absent, or the rule is \
           `{}`, which is the usual spelling of \"everything\"; other rules allow the same. Only in files: a \
           cluster does not keep empty lists.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let peers = rule.peers == Peers::Any(Presence::Empty);
        let ports = rule.ports == Ports::Any(Presence::Empty);
        if !peers && !ports {
            continue;
        }
        let mut shown = Shown::default();
        each_subject(ctx, i, |subject| {
            let (protocol, port) = a_port(rule);
            for other in other_sides(ctx, policy, rule, subject.is_real) {
                let flow = subject.flow_on(direction, other, L4::Port(protocol, port));
                let gone = || subject.with(direction, &flow, |p| remove(p, direction, j));
                if subject.now(direction, &flow) == Verdict::Allow && gone() == Verdict::Deny {
                    return shown.add(subject, flow);
                }
            }
        });
        if shown.is_empty() {
            continue;
        }
        let field = if direction == Direction::Ingress { "from" } else { "to" };
        let (written, effect) = match (peers, ports) {
            (true, false) => (format!("`{field}` is"), "everyone"),
            (false, _) => ("`ports` is".to_owned(), "every port"),
            (true, true) => (format!("`{field}` and `ports` are"), "everyone, on every port"),
        };
        let way = if direction == Direction::Ingress { "connections to" } else { "connections from" };
        let message =
            format!("{written} empty, which means {effect}: {way} {} are let through", shown.who(ctx, policy));
        let mut finding = LINT.finding(policy_object(ctx, i), Some(rule.origin), message);
        finding.affected = shown.count(ctx);
        finding.witness = shown.witness;
        finding.help = Some(format!("delete the rule if none is meant; delete the empty key if {effect} is meant"));
        finding.fixes.push(Fix::delete_rule(ctx.world, "nothing is let through by this rule", i, direction, j));
        let clear = Rule {
            peers: if peers { Peers::Any(Presence::Absent) } else { rule.peers.clone() },
            ports: if ports { Ports::Any(Presence::Absent) } else { rule.ports.clone() },
            origin: rule.origin,
        };
        finding.fixes.push(Fix::rule(ctx.world, format!("{effect}, without the empty key"), i, direction, j, clear));
        out.push(finding);
    }
}

/// Those that the rule names: anyone, or one pod of each class.
fn other_sides<'w>(ctx: &Ctx<'_, 'w>, policy: &NetworkPolicy, rule: &'w Rule, real: bool) -> Vec<Endpoint> {
    match rule.peers {
        Peers::Any(_) => vec![OUTSIDE],
        Peers::Of(_) if !real => Vec::new(),
        Peers::Of(_) => {
            let classes = ctx.scope().rule(policy, rule).sure;
            classes.iter().map(|c| Endpoint::Pod(ctx.engine.classes().representative(*c))).collect()
        }
    }
}

fn remove(policy: &mut NetworkPolicy, direction: Direction, j: usize) {
    let rules = match direction {
        Direction::Ingress => &mut policy.ingress,
        Direction::Egress => &mut policy.egress,
    };
    if j < rules.len() {
        rules.remove(j);
    }
}
