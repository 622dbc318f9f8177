//! WT0040: an address block that holds the cluster's own pods too.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{a_port, count, flow, policy_object, rules};
use crate::rules::{Check, Lint, ask};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::half;
use watertight_model::{
    Direction, Flow, IpBlock, NetworkPolicy, Peer, PeerKind, Peers, PolicyRef, Rule, RuleRef, Verdict, addr,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0040",
    name: "block-covers-cluster",
    severity: Severity::Warning,
    summary: "an ipBlock that looks like the outside holds the cluster's own pods too",
    page: "The API means ipBlock for addresses outside, and its conformance tests match pod addresses as well \
           (semantics row 75). Proves that a block holds pod addresses, known ones or the space in which pods live, \
           and that pods are reached by this block alone. Says how many nodes and Services it holds beside \
           them.\n\nExample: egress `0.0.0.0/0` except `169.254.169.254/32`: every pod is reachable too.\n\nFix: \
           except the pod, Service and node ranges; selectors for peers in the cluster.\n\nSilent: single addresses; \
           blocks that hold no pod for certain; pods in their node's network; pods that another peer or rule lets \
           through anyway.",
    check: Check::World(check),
};

/// Classes that are asked about one by one: a finding needs a few names, not thousands.
const ASKED: usize = 256;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let PeerKind::Block(block) = &peer.kind else { continue };
            if block.cidr.cidr.prefix_len() == addr::width(block.cidr.cidr.family()) {
                continue;
            }
            let Some(target) = ctx.scope().subjects(policy).first().copied() else { continue };
            let this = RuleRef {
                policy: PolicyRef::Namespaced(u32::try_from(i).unwrap_or(u32::MAX)),
                direction,
                rule: u32::try_from(j).ok(),
            };
            let (open, witness) = by_this_alone(ctx, policy, rule, peer, target, this);
            let Some(witness) = witness else { continue };
            let workloads = ask::workloads(ctx, open);
            let verb = if direction == Direction::Egress { "be reached" } else { "get in" };
            let message = format!(
                "{} holds the cluster's own addresses as well: {} can {verb} by this rule{}",
                block.cidr.cidr,
                some(&ask::names(ctx, &workloads)),
                beside(ctx, block)
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.affected = workloads.len();
            finding.witness = Some(witness);
            finding.help =
                Some("except the pod and Service ranges, and name peers in the cluster by selector".to_owned());
            out.push(finding);
        }
    }
}

/// Classes that pass by this block and by nothing else.
fn by_this_alone<'w>(
    ctx: &Ctx<'_, 'w>,
    policy: &NetworkPolicy,
    rule: &'w Rule,
    peer: &'w Peer,
    target: ClassId,
    this: RuleRef,
) -> (Vec<ClassId>, Option<Flow>) {
    let Peers::Of(peers) = &rule.peers else { return (Vec::new(), None) };
    let others = peers.iter().filter(|p| *p != peer).flat_map(|p| ctx.scope().peer(policy, p).possible);
    let others: BTreeSet<ClassId> = others.collect();
    let (protocol, port) = a_port(rule);
    let (mut open, mut witness) = (Vec::new(), None);
    // Pods in their node's network have its address: they are counted as nodes.
    let asked = |c: &ClassId| *c != target && !others.contains(c) && !ask::on_host_network(ctx, *c);
    let inside: Vec<ClassId> = ctx.scope().peer(policy, peer).sure.into_iter().filter(asked).collect();
    if let more @ 1.. = inside.len().saturating_sub(ASKED) {
        ctx.leave_out("kinds of pods in blocks that hold more than 256 of them", more);
    }
    for class in inside.into_iter().take(ASKED) {
        let (own, other) = (ask::end(ctx, target), ask::end(ctx, class));
        let (from, to) = if this.direction == Direction::Egress { (own, other) } else { (other, own) };
        let asked = flow(from, to, protocol, port);
        let verdict = ctx.engine.decide(&asked);
        let here = half(&verdict, this.direction);
        if here.verdict == Verdict::Allow && here.decided_by == [this] {
            open.push(class);
            witness.get_or_insert(asked);
        }
    }
    (open, witness)
}

/// What else of the cluster is in the block.
fn beside(ctx: &Ctx<'_, '_>, block: &IpBlock) -> String {
    let holds =
        |ip: &std::net::IpAddr| block.cidr.cidr.contains(*ip) && !block.except.iter().any(|e| e.cidr.contains(*ip));
    let nodes = ctx.world.nodes.iter().filter(|n| n.addresses.iter().any(holds)).count();
    let services = ctx.service_addresses().keys().filter(|ip| holds(ip)).count();
    let service = |n: usize| format!("{n} Service address{}", if n == 1 { "" } else { "es" });
    match (nodes, services) {
        (0, 0) => String::new(),
        (n, 0) => format!("; it holds {} too", count(n, "node")),
        (0, n) => format!("; it holds {} too", service(n)),
        (n, m) => format!("; it holds {} and {} too", count(n, "node"), service(m)),
    }
}
