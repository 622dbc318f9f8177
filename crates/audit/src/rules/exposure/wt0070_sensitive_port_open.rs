//! WT0070: a data store or administration port that is open to many.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::ask::{self, Sensitive};
use crate::rules::common::{flow, verdict, workload_object};
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::query::evaluated;
use watertight_model::{Direction, Flow, NamespaceId, Protocol, Verdict, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0070",
    name: "sensitive-port-open",
    severity: Severity::Error,
    summary: "a data store's or administration port is open to any namespace, to whole namespaces, or to many workloads",
    page: "Pods declare ports on which data stores and administration usually listen (22, 2375, 2379, 3306, 5432, 6379, \
           9042, 9092, 9200, 11211, 27017 and others). Proves that a pod of a namespace made tomorrow may \
           connect: an error. A warning where only pods of some other namespace may, whatever their labels, or more \
           than ten workloads.\n\nExample: `data/redis:6379` accepts the whole cluster because nothing selects \
           it.\n\nFix: the observed or named clients.\n\nSilent: named clients only, also in other namespaces; a port \
           that is not declared; hostNetwork pods. Several that nothing isolates are one finding.",
    check: Check::World(check),
};

/// Sensitive ports, each with a class of its workload.
type Ports<'c> = BTreeMap<Sensitive<'c>, ClassId>;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut by_default: Ports<'_> = BTreeMap::new();
    let mut by_rule: Ports<'_> = BTreeMap::new();
    let mut narrower: Ports<'_> = BTreeMap::new();
    for class in ask::classes(ctx).filter(|c| !ask::on_host_network(ctx, *c)) {
        for (workload, protocol, port, what) in ask::sensitive(ctx, class) {
            let list = match ctx.stranger_ports(class).sure.contains(protocol, port) {
                true if ask::has_policies(ctx, class, Direction::Ingress) => &mut by_rule,
                true => &mut by_default,
                false => &mut narrower,
            };
            list.entry((workload, protocol, port, what)).or_insert(class);
        }
    }
    if by_default.len() > 1 {
        out.extend(nothing_isolates(ctx, &by_default));
    } else {
        by_rule.extend(by_default);
    }
    for ((workload, protocol, port, what), class) in &by_rule {
        let message = format!("any pod of any namespace may connect to {protocol} {port} ({what})");
        let mut finding = found(ctx, *workload, message, 1);
        finding.witness = a_source(ctx, *class, *protocol, *port);
        out.push(finding);
    }
    for ((workload, protocol, port, what), class) in narrower {
        let wide = whole_namespaces(ctx, class, protocol, port);
        let clients = clients(ctx, workload, class, protocol, port);
        let message = if let [_, ..] = wide.as_slice() {
            format!("any pod of namespace {} may connect to {protocol} {port} ({what})", some(&wide))
        } else if clients.len() > ctx.options.sensitive_clients {
            format!("{} workloads may connect to {protocol} {port} ({what})", clients.len())
        } else {
            continue;
        };
        let mut finding = found(ctx, workload, message, clients.len()).at_severity(Severity::Warning);
        finding.witness = a_source(ctx, class, protocol, port);
        out.push(finding);
    }
}

fn found(ctx: &Ctx<'_, '_>, workload: WorkloadId, message: String, affected: usize) -> Finding {
    let at = ctx.world.workloads[workload.index()].origin;
    let mut finding = LINT.finding(workload_object(ctx, workload), Some(at), message);
    finding.affected = affected;
    finding.help = Some("let in the clients in use, by namespace and label".to_owned());
    finding
}

fn nothing_isolates(ctx: &Ctx<'_, '_>, ports: &Ports<'_>) -> Option<Finding> {
    let ((workload, protocol, port, _), class) = ports.iter().next()?;
    let name = |(w, _, port, what): &Sensitive<'_>| format!("{} {port} ({what})", ctx.workload_name(*w));
    let names: Vec<String> = ports.keys().map(name).collect();
    let message = format!("any pod of any namespace may connect to {}, because nothing isolates them", some(&names));
    let mut finding = found(ctx, *workload, message, ports.len());
    finding.object = "the cluster".to_owned();
    finding.at = None;
    finding.witness = a_source(ctx, *class, *protocol, *port);
    Some(finding)
}

/// Namespaces, other than the workload's own, of which any pod may connect; shared ones left out.
fn whole_namespaces(ctx: &Ctx<'_, '_>, class: ClassId, protocol: Protocol, port: u16) -> Vec<String> {
    let to = ctx.fresh().pod(ask::pod(ctx, class));
    let home = ask::namespace(ctx, class);
    let all = (0..ctx.world.namespaces.len()).map(NamespaceId::at);
    let open = |ns: &NamespaceId| {
        let asked = flow(ctx.fresh().tomorrow(*ns), to, protocol, port);
        *ns != home && !ask::is_shared(ctx, *ns) && evaluated(&ctx.fresh_engine().decide(&asked)) == Verdict::Allow
    };
    all.filter(open).map(|ns| ctx.world.namespaces[ns.index()].name.to_string()).collect()
}

/// Other workloads that may connect.
fn clients(
    ctx: &Ctx<'_, '_>,
    workload: WorkloadId,
    class: ClassId,
    protocol: Protocol,
    port: u16,
) -> BTreeSet<WorkloadId> {
    let open = ctx.reach().sources(class).filter(|(ports, _)| ports.sure.contains(protocol, port));
    let mut all = ask::workloads(ctx, open.flat_map(|(_, sources)| sources.iter()));
    all.remove(&workload);
    all
}

/// A pod that may connect, of another namespace if there is one.
fn a_source(ctx: &Ctx<'_, '_>, class: ClassId, protocol: Protocol, port: u16) -> Option<Flow> {
    let open = || ctx.reach().sources(class).filter(|(ports, _)| ports.sure.contains(protocol, port));
    let other = |c: &ClassId| ask::namespace(ctx, *c) != ask::namespace(ctx, class);
    let all = || open().flat_map(|(_, sources)| sources.iter()).filter(|c| *c != class);
    let from = all().find(other).or_else(|| all().next())?;
    let asked = flow(ask::end(ctx, from), ask::end(ctx, class), protocol, port);
    (verdict(ctx, &asked) == Verdict::Allow).then_some(asked)
}
