//! WT0071: kubelets and etcd, reached by a rule.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::flow;
use crate::rules::exposure::wt0065_egress_to_anywhere::anywhere;
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::query::{endpoint_name, rule_names};
use watertight_model::{Direction, Endpoint, Flow, NodeId, Protocol, RuleRef, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0071",
    name: "control-plane-reachable",
    severity: Severity::Warning,
    summary: "pods isolated for egress reach a kubelet or etcd on its node, by a rule",
    page: "The kubelet (10250, 10255) runs commands in pods; etcd (2379, 2380 on control-plane nodes) holds every \
           Secret. Proves that a rule allows a pod to connect to such a port of a node.\n\nExample: egress \
           `10.0.0.0/8`, node addresses in 10.0.0.0/16.\n\nFix: except the node range.\n\nSilent: pods that are not \
           isolated for egress (WT0048 lists what follows); pods that may go anywhere (WT0065); namespaces declared \
           shared, such as monitoring; no node in the input.",
    check: Check::World(check),
};

/// TCP ports of the kubelet.
const KUBELET: [u16; 2] = [10250, 10255];
/// TCP ports of etcd.
const ETCD: [u16; 2] = [2379, 2380];
/// Nodes that are asked about: those of one cluster have their addresses from few ranges.
const NODES: usize = 8;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let asked = asked(ctx);
    if asked.is_empty() {
        return;
    }
    let mut found: BTreeMap<Vec<RuleRef>, (BTreeSet<ClassId>, BTreeSet<u16>, Flow)> = BTreeMap::new();
    for class in ask::classes(ctx) {
        let shared = ask::is_shared(ctx, ask::namespace(ctx, class));
        if shared || !ask::has_policies(ctx, class, Direction::Egress) || anywhere(ctx, class).is_some() {
            continue;
        }
        for (node, port) in &asked {
            let flow = flow(ask::end(ctx, class), Endpoint::Node(*node), Protocol::Tcp, *port);
            let half = ctx.engine.decide(&flow).egress;
            if half.verdict == Verdict::Allow && ask::by_rule(half.reason) {
                let new = || (BTreeSet::new(), BTreeSet::new(), flow);
                let entry = found.entry(half.decided_by).or_insert_with(new);
                entry.0.insert(class);
                entry.1.insert(*port);
            }
        }
    }
    for (rules, (classes, ports, witness)) in found {
        let Some(first) = rules.first() else { continue };
        let names = ask::names(ctx, &ask::workloads(ctx, classes));
        let what = |port: &u16| {
            let what = if KUBELET.contains(port) { "the kubelet" } else { "etcd" };
            format!("{what} on {port}")
        };
        let ports: Vec<String> = ports.iter().map(what).collect();
        let message = format!(
            "{} may connect to {} of {}, by {}",
            some(&names),
            some(&ports),
            endpoint_name(ctx.engine, witness.to),
            rule_names(ctx.engine, &rules)
        );
        let (object, at) = ask::rule(ctx, *first);
        let mut finding = LINT.finding(object, Some(at), message);
        finding.affected = names.len();
        finding.witness = Some(witness);
        finding.help = Some("except the addresses of the nodes".to_owned());
        out.push(finding);
    }
}

/// Nodes and ports to ask about, those of the control plane first.
fn asked(ctx: &Ctx<'_, '_>) -> Vec<(NodeId, u16)> {
    let nodes = || ctx.world.nodes.iter().enumerate().map(|(i, n)| (NodeId::at(i), n));
    let controls = |n: &watertight_model::Node| {
        ["control-plane", "master"].iter().any(|r| n.labels.get(&format!("node-role.kubernetes.io/{r}")).is_some())
    };
    let first = nodes().filter(|(_, n)| controls(n)).map(|(id, _)| (id, true));
    let rest = nodes().filter(|(_, n)| !controls(n)).map(|(id, _)| (id, false));
    let chosen = first.take(NODES / 2).chain(rest.take(NODES / 2));
    chosen
        .flat_map(|(id, etcd)| KUBELET.iter().chain(ETCD.iter().filter(move |_| etcd)).map(move |p| (id, *p)))
        .collect()
}
