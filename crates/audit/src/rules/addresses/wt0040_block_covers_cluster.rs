//! WT0040: an address block that holds the cluster's own pods too.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{a_port, flow, policy_object, rules, subjects, workload_names};
use crate::rules::{Check, Lint};
use watertight_engine::block::{blocks_match, whereabouts};
use watertight_engine::tri::Tri;
use watertight_model::{Direction, Endpoint, PeerKind, Peers, PodId, Verdict, addr};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0040",
    name: "block-covers-cluster",
    severity: Severity::Warning,
    summary: "an ipBlock that looks like the outside holds the cluster's own pods too",
    page: "The API means ipBlock for addresses outside, and its conformance tests match pod addresses as well. Proves \
           that a block holds pod addresses, known ones or the space in which pods live, and that pods are reached by \
           this rule.\n\nExample: egress `0.0.0.0/0` except `169.254.169.254/32`: every pod is reachable too.\n\nFix: \
           except the pod and Service ranges; selectors for peers in the cluster.\n\nSilent: single addresses; blocks \
           that hold no pod for certain.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let targets = subjects(ctx, policy);
        let Some(target) = targets.first() else { continue };
        for peer in peers {
            let PeerKind::Block(block) = &peer.kind else { continue };
            let host = addr::width(block.cidr.cidr.family());
            if block.cidr.cidr.prefix_len() == host {
                continue;
            }
            let inside: Vec<PodId> = (0..ctx.world.pods.len())
                .map(PodId::at)
                .filter(|id| {
                    let pod = &ctx.world.pods[id.index()];
                    let (place, cause) = whereabouts(ctx.world, Endpoint::Pod(*id));
                    !pod.finished
                        && id != target
                        && blocks_match(&[(&block.cidr, &block.except)], &place, cause) == Tri::Yes
                })
                .collect();
            let (protocol, port) = a_port(rule);
            let passes = |other: &PodId| {
                let (from, to) = if direction == Direction::Egress { (*target, *other) } else { (*other, *target) };
                let verdict = ctx.engine.decide(&flow(Endpoint::Pod(from), Endpoint::Pod(to), protocol, port));
                watertight_engine::explain::half(&verdict, direction).verdict == Verdict::Allow
            };
            let open: Vec<PodId> = inside.into_iter().filter(passes).collect();
            if open.is_empty() {
                continue;
            }
            let names = workload_names(ctx, &open);
            let verb = if direction == Direction::Egress { "be reached" } else { "get in" };
            let message = format!(
                "{} holds the cluster's own addresses as well: {} can {verb} by this rule",
                block.cidr.cidr,
                some(&names)
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.affected = open.len();
            finding.help =
                Some("except the pod and Service ranges, and name peers in the cluster by selector".to_owned());
            out.push(finding);
        }
    }
}
