//! WT0042: the address of a pod in a policy.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{a_port, flow, policy_object, rules};
use crate::rules::{Check, Lint, ask, write};
use watertight_engine::explain::selector_for;
use watertight_model::{Direction, Endpoint, Peer, PeerKind, Peers, PodId, Rule, addr};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0042",
    name: "pod-address-hard-coded",
    severity: Severity::Warning,
    summary: "a block of one address that is a pod's today",
    page: "Pods get a new address whenever they are made again, and the old one goes to another pod. Proves that a \
           /32 or /128 is the address of a running pod.\n\nExample: `ipBlock: {cidr: 10.244.1.17/32}`, which is \
           `data/db-0` today.\n\nFix: a selector that matches the same pod; the rule is printed.\n\nSilent: addresses \
           that no running pod has; those of nodes, which their hostNetwork pods share.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        for peer in peers {
            let Some(pod) = addressed(ctx, peer) else { continue };
            let ip = match &peer.kind {
                PeerKind::Block(block) => block.cidr.cidr.addr(),
                PeerKind::Pods { .. } => continue,
            };
            let message = format!(
                "{ip} is the address of pod {} today; when that is made again the rule is for whoever gets the address",
                ctx.world.pod_name(pod)
            );
            let subjects = ctx.scope().subjects(policy);
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.affected = 1;
            finding.help = Some("select the pod by its labels".to_owned());
            finding.witness = subjects.first().map(|subject| {
                let (protocol, port) = a_port(rule);
                let (own, other) = (ask::end(ctx, *subject), Endpoint::Pod(pod));
                let (from, to) = if direction == Direction::Egress { (own, other) } else { (other, own) };
                flow(from, to, protocol, port)
            });
            if let Some(selector) = selector_for(ctx.world, pod) {
                let there = ctx.world.pods[pod.index()].namespace;
                let name = &ctx.world.namespaces[there.index()].name;
                let namespaces = (there != policy.namespace).then(|| write::namespace_named(name));
                let fixed = with_peer(rule, peer, &write::pods(namespaces, selector));
                let title = format!("{} rule {j} with the pod's labels", direction.name());
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            }
            out.push(finding);
        }
    }
}

/// The running pod that a block of one address means.
pub(crate) fn addressed(ctx: &Ctx<'_, '_>, peer: &Peer) -> Option<PodId> {
    let PeerKind::Block(block) = &peer.kind else { return None };
    let cidr = block.cidr.cidr;
    if cidr.prefix_len() != addr::width(cidr.family()) {
        return None;
    }
    match ctx.engine.endpoint_of(cidr.addr()) {
        Endpoint::Pod(pod) => Some(pod),
        Endpoint::Node(_) | Endpoint::External(_) => None,
    }
}

fn with_peer(rule: &Rule, old: &Peer, new: &Peer) -> Rule {
    let Peers::Of(peers) = &rule.peers else { return rule.clone() };
    let peers = peers.iter().map(|p| if p == old { new.clone() } else { p.clone() });
    Rule { peers: Peers::Of(peers.collect()), ..rule.clone() }
}
