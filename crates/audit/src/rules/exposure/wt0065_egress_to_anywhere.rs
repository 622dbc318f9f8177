//! WT0065: connections to anywhere, by a rule.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::flow;
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::query::rule_names;
use watertight_model::{Direction, Endpoint, Flow, NamespaceId, Protocol, RuleRef};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0065",
    name: "egress-to-anywhere",
    severity: Severity::Warning,
    summary: "pods isolated for egress may connect to every public address on every port, by a rule",
    page: "Whoever takes such a pod can send data anywhere and fetch tools from anywhere. Proves that a rule allows \
           every public address on every port; a few exceptions change nothing.\n\nExample: `egress: [{}]`, or \
           `0.0.0.0/0` without ports.\n\nFix: the blocks and ports in use (from recorded flows), or a \
           proxy.\n\nSilent: pods that are not isolated for egress (WT0048); rules with ports; blocks that leave out \
           more than a /8 of public addresses.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut found: BTreeMap<(NamespaceId, Vec<RuleRef>), (BTreeSet<ClassId>, Flow)> = BTreeMap::new();
    for class in ask::classes(ctx) {
        let Some((rules, witness)) = anywhere(ctx, class) else { continue };
        let entry = found.entry((ask::namespace(ctx, class), rules)).or_insert_with(|| (BTreeSet::new(), witness));
        entry.0.insert(class);
    }
    let mut by_namespace: BTreeMap<NamespaceId, Vec<Open>> = BTreeMap::new();
    for ((ns, rules), (classes, witness)) in found {
        by_namespace.entry(ns).or_default().push(Open { rules, classes, witness });
    }
    for (ns, open) in by_namespace {
        if open.len() > SEPARATE {
            let object = format!("namespace {}", ctx.world.namespaces[ns.index()].name);
            out.extend(finding(ctx, Some(object), &open));
        } else {
            out.extend(open.iter().filter_map(|one| finding(ctx, None, std::slice::from_ref(one))));
        }
    }
}

/// So many of one namespace have findings of their own; more are one habit, and one finding.
const SEPARATE: usize = 3;

/// Classes that the same rules let out.
struct Open {
    rules: Vec<RuleRef>,
    classes: BTreeSet<ClassId>,
    witness: Flow,
}

/// About the object, or else the policy of the first rule.
fn finding(ctx: &Ctx<'_, '_>, object: Option<String>, open: &[Open]) -> Option<Finding> {
    let first = open.first()?;
    let names = ask::names(ctx, &ask::workloads(ctx, open.iter().flat_map(|o| o.classes.iter().copied())));
    let rules: Vec<String> = open.iter().map(|o| rule_names(ctx.engine, &o.rules)).collect();
    let message = format!("{} may connect to every public address on every port, by {}", some(&names), some(&rules));
    let (policy, at) = ask::rule(ctx, *first.rules.first()?);
    let mut finding = LINT.finding(object.unwrap_or(policy), Some(at), message);
    finding.affected = names.len();
    finding.witness = Some(first.witness);
    finding.help = Some("name the blocks and ports in use, or send such traffic through a proxy".to_owned());
    Some(finding)
}

/// The rules that allow anywhere, and a connection.
pub(crate) fn anywhere(ctx: &Ctx<'_, '_>, class: ClassId) -> Option<(Vec<RuleRef>, Flow)> {
    if !ask::has_policies(ctx, class, Direction::Egress) {
        return None;
    }
    let ip = ask::internet(ctx, class, Direction::Egress, |ports| ports.sure.is_all())?;
    let witness = flow(ask::end(ctx, class), Endpoint::External(ip), Protocol::Tcp, 1);
    let half = ctx.engine.decide(&witness).egress;
    ask::by_rule(half.reason).then_some((half.decided_by, witness))
}
