//! WT0039: a rule that opens more ports than the pods have.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, policy_object, rules, verdict};
use crate::rules::receivers::{Declared, names, openers, pod_count, receivers};
use crate::rules::write::port;
use crate::rules::{Check, Lint};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::words;
use watertight_model::{Direction, Endpoint, Flow, NetworkPolicy, Peers, PortMatch, PortSet, Ports, Rule, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0039",
    name: "rule-wider-than-declared",
    severity: Severity::Note,
    summary: "a rule without ports, or with a wide range, opens more ports than its pods declare",
    page: "Proves that a connection passes by this rule on a port that no pod behind it declares, and counts \
           these ports. A warning if it passes from another namespace or from outside.\n\nExample: `from` the \
           namespace `monitoring` without `ports`; the pods declare only 9090.\n\nFix: the declared ports; the \
           rule is printed.\n\nSilent: a pod that receives declares no port at all; the rule is `{}`, which is \
           for everyone and everything (WT0050); an egress rule to pods that are isolated themselves, where \
           their own policies decide.",
    check: Check::World(check),
};

/// Pairs of pods that are tried for one rule.
const TRIED: usize = 8;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let declared = Declared::of(ctx);
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Some(admitted) = wide(rule) else { continue };
        if matches!((&rule.peers, &rule.ports), (Peers::Any(_), Ports::Any(_))) {
            continue;
        }
        let Some(pods) = receivers(ctx, policy, direction, rule) else { continue };
        let pods: Vec<ClassId> =
            pods.into_iter().filter(|c| direction == Direction::Ingress || !isolated(ctx, *c)).collect();
        if pods.is_empty() || !declared.by_every_pod(&pods) {
            continue;
        }
        let all = declared.union(&pods);
        let (inside, rest) = (admitted.intersect(&all), admitted.minus(&all));
        // With none of them inside, WT0038 says that the rule is for another port.
        if inside.is_empty() {
            continue;
        }
        let Some(witness) = passes(ctx, policy, direction, rule, &pods, &rest) else { continue };
        let far = openers(ctx, policy, direction, rule).iter().any(|o| crosses(ctx, *o, &pods));
        let message = format!(
            "opens {} ports of {}, which declare {}",
            rest.count(),
            some(&names(ctx, &pods)),
            words::port_set(&all)
        );
        let message = format!("{message}{}", if far { ", to others than their namespace" } else { "" });
        let severity = if far { Severity::Warning } else { Severity::Note };
        let mut finding = LINT.finding(policy_object(ctx, i), Some(rule.origin), message).at_severity(severity);
        finding.affected = pod_count(ctx, &pods);
        finding.witness = Some(witness);
        finding.help = Some(format!("name the ports that are declared: {}", words::port_set(&inside)));
        let numbers = inside.iter().flat_map(|(protocol, a, b)| (a..=b).map(move |n| port(protocol, n)));
        let fixed = Rule { ports: Ports::Of(numbers.collect()), ..rule.clone() };
        let title = format!("{} rule {j} with the declared ports", direction.name());
        finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
        out.push(finding);
    }
}

/// What a rule admits, if it names more than single ports.
fn wide(rule: &Rule) -> Option<PortSet> {
    let Ports::Of(entries) = &rule.ports else { return Some(PortSet::all()) };
    let is_wide = |m: &PortMatch| matches!(m, PortMatch::Any) || matches!(m, PortMatch::Range(a, b) if a < b);
    let set = |(sum, e): (PortSet, &watertight_model::PortEntry)| match e.port {
        PortMatch::Any => sum.union(&PortSet::protocol(e.protocol)),
        PortMatch::Range(a, b) => sum.union(&PortSet::range(e.protocol, a, b)),
        PortMatch::Named(_) => sum,
    };
    let only_numbers = entries.iter().all(|e| !matches!(e.port, PortMatch::Named(_)));
    (only_numbers && entries.iter().any(|e| is_wide(&e.port)))
        .then(|| entries.iter().fold(PortSet::none(), |sum, e| set((sum, e))))
}

fn isolated(ctx: &Ctx<'_, '_>, class: ClassId) -> bool {
    let classes = ctx.engine.classes();
    !classes.policies_of(classes.representative(class), Direction::Ingress).is_empty()
}

/// A connection that passes on a port that nobody declares.
fn passes<'w>(
    ctx: &Ctx<'_, 'w>,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &'w Rule,
    pods: &[ClassId],
    rest: &PortSet,
) -> Option<Flow> {
    let (protocol, first, last) = rest.iter().next()?;
    let number = first.max(1).min(last);
    let receivers = pods.iter().map(|c| Endpoint::Pod(ctx.engine.classes().representative(*c)));
    let openers = openers(ctx, policy, direction, rule);
    let pairs = receivers.flat_map(|to| openers.iter().map(move |from| (*from, to))).filter(|(from, to)| from != to);
    let flows = pairs.take(TRIED).map(|(from, to)| flow(from, to, protocol, number));
    flows.into_iter().find(|f| verdict(ctx, f) == Verdict::Allow)
}

/// Someone of another namespace, or from outside.
fn crosses(ctx: &Ctx<'_, '_>, opener: Endpoint, pods: &[ClassId]) -> bool {
    let Endpoint::Pod(id) = opener else { return true };
    let home = ctx.world.pods[id.index()].namespace;
    let namespace = |c: &ClassId| ctx.world.pods[ctx.engine.classes().representative(*c).index()].namespace;
    pods.iter().any(|c| namespace(c) != home)
}
