//! WT0050: isolated, with rules that let everyone in.

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
    code: "WT0050",
    name: "isolation-in-name-only",
    severity: Severity::Warning,
    summary: "a workload is isolated for ingress, and rules let everyone in on every port",
    page: "Proves that policies isolate a workload for ingress, and that a pod of a namespace made tomorrow and every \
           public address reach it on every port all the same; names the rules that add up to it.\n\nExample: \
           `ingress: [{}]`; or `from: [{namespaceSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0}}]`.\n\nFix: the peers in \
           use.\n\nSilent: some port or some peer is left out; the same for egress is WT0065.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut found: BTreeMap<(NamespaceId, Vec<RuleRef>), (BTreeSet<ClassId>, Flow)> = BTreeMap::new();
    for class in ask::classes(ctx) {
        if let Some((rules, witness)) = in_name_only(ctx, class) {
            let entry = found.entry((ask::namespace(ctx, class), rules)).or_insert_with(|| (BTreeSet::new(), witness));
            entry.0.insert(class);
        }
    }
    for ((_, rules), (classes, witness)) in found {
        let Some(first) = rules.first() else { continue };
        let names = ask::names(ctx, &ask::workloads(ctx, classes));
        let message = format!(
            "{} {} isolated in name only: {} {} everyone in, from any namespace and any address, on every port",
            some(&names),
            if names.len() == 1 { "is" } else { "are" },
            rule_names(ctx.engine, &rules),
            if rules.len() == 1 { "lets" } else { "let" },
        );
        let (object, at) = ask::rule(ctx, *first);
        let mut finding = LINT.finding(object, Some(at), message);
        finding.affected = names.len();
        finding.witness = Some(witness);
        finding.help = Some("name the peers in use; `watertight learn` writes them from recorded flows".to_owned());
        out.push(finding);
    }
}

/// The rules by which everyone gets in, and a connection from outside.
pub(crate) fn in_name_only(ctx: &Ctx<'_, '_>, class: ClassId) -> Option<(Vec<RuleRef>, Flow)> {
    if !ask::has_policies(ctx, class, Direction::Ingress) || !ctx.stranger_ports(class).sure.is_all() {
        return None;
    }
    let ip = ask::internet(ctx, class, Direction::Ingress, |ports| ports.sure.is_all())?;
    let witness = flow(Endpoint::External(ip), ask::end(ctx, class), Protocol::Tcp, 1);
    let outside = ctx.engine.decide(&witness).ingress;
    let to = ctx.fresh().pod(ask::pod(ctx, class));
    let inside = ctx.fresh_engine().decide(&flow(ctx.fresh().stranger(), to, Protocol::Tcp, 1)).ingress;
    if !ask::by_rule(outside.reason) || !ask::by_rule(inside.reason) {
        return None;
    }
    // One rule for both is the cause, whatever opens one of the two beside it.
    let both: Vec<RuleRef> = outside.decided_by.iter().filter(|r| inside.decided_by.contains(r)).copied().collect();
    let sum: BTreeSet<RuleRef> = outside.decided_by.into_iter().chain(inside.decided_by).collect();
    Some((if both.is_empty() { sum.into_iter().collect() } else { both }, witness))
}
