//! WT0069: isolated, and open to namespaces that do not exist yet.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::flow;
use crate::rules::coverage::wt0050_isolation_in_name_only::in_name_only;
use crate::rules::{Check, Lint, ask, entries};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::words;
use watertight_engine::query::rule_names;
use watertight_model::{Direction, Endpoint, PortSet, RuleRef};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0069",
    name: "open-to-every-namespace",
    severity: Severity::Warning,
    summary: "a workload is isolated for ingress, and any pod of any namespace may connect",
    page: "Proves with a pod of a namespace that does not exist yet that a rule lets it in.\n\nExample: \
           `namespaceSelector: {}`.\n\nFix: the namespaces in use.\n\nSilent: DNS, ingress controllers and namespaces \
           declared shared, which are there for everyone; ports that a LoadBalancer, NodePort or Ingress publishes \
           anyway (WT0066); everything open to everyone (WT0050); pods that are not isolated (WT0046, WT0047).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let controllers = ask::controllers(ctx);
    let servers: BTreeSet<ClassId> = ctx.dns().servers().iter().filter_map(|(end, _, _)| class(ctx, *end)).collect();
    let published = entries::published(ctx);
    let mut found: BTreeMap<Vec<RuleRef>, (BTreeSet<ClassId>, PortSet)> = BTreeMap::new();
    for class in ask::classes(ctx) {
        let serves_all = controllers.contains(&class) || servers.contains(&class);
        let shared = ask::is_shared(ctx, ask::namespace(ctx, class));
        if serves_all || shared || !ask::has_policies(ctx, class, Direction::Ingress) {
            continue;
        }
        // What is published of every workload with pods here.
        let own = ask::workloads(ctx, [class]);
        let known = own.iter().map(|w| published.get(w).cloned().unwrap_or_default());
        let known = known.reduce(|a, b| a.intersect(&b)).unwrap_or_default();
        let open = ctx.stranger_ports(class).sure.minus(&known);
        let Some((protocol, port, _)) = open.iter().next() else { continue };
        let to = ctx.fresh().pod(ask::pod(ctx, class));
        let half = ctx.fresh_engine().decide(&flow(ctx.fresh().stranger(), to, protocol, port)).ingress;
        if ask::by_rule(half.reason) && in_name_only(ctx, class).is_none() {
            let entry = found.entry(half.decided_by).or_default();
            entry.0.insert(class);
            entry.1 = entry.1.union(&open);
        }
    }
    for (rules, (classes, ports)) in found {
        let Some(first) = rules.first() else { continue };
        let names = ask::names(ctx, &ask::workloads(ctx, classes));
        let message = format!(
            "any pod of any namespace, also of one made tomorrow, may connect to {} on {}, by {}",
            some(&names),
            words::port_set(&ports),
            rule_names(ctx.engine, &rules)
        );
        let (object, at) = ask::rule(ctx, *first);
        let mut finding = LINT.finding(object, Some(at), message);
        finding.affected = names.len();
        finding.help = Some(
            "name the namespaces in use; if it is there for everyone, say so: `watertight.dev/ignore: \"WT0069=reason\"`"
                .to_owned(),
        );
        out.push(finding);
    }
}

fn class(ctx: &Ctx<'_, '_>, end: Endpoint) -> Option<ClassId> {
    match end {
        Endpoint::Pod(pod) if pod.index() < ctx.world.pods.len() => ctx.engine.classes().class_of(pod),
        Endpoint::Pod(_) | Endpoint::Node(_) | Endpoint::External(_) => None,
    }
}
