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
    for ((_, rules), (classes, witness)) in found {
        let Some(first) = rules.first() else { continue };
        let names = ask::names(ctx, &ask::workloads(ctx, classes));
        let message = format!(
            "{} may connect to every public address on every port, by {}",
            some(&names),
            rule_names(ctx.engine, &rules)
        );
        let (object, at) = ask::rule(ctx, *first);
        let mut finding = LINT.finding(object, Some(at), message);
        finding.affected = names.len();
        finding.witness = Some(witness);
        finding.help = Some("name the blocks and ports in use, or send such traffic through a proxy".to_owned());
        out.push(finding);
    }
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
