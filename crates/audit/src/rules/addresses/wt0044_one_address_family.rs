//! WT0044: a rule for every address of one family only.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::rules::common::{policy_object, rules, subjects};
use crate::rules::{Check, Lint};
use std::net::IpAddr;
use watertight_model::{Direction, Family, PeerKind, Peers, PodId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0044",
    name: "one-address-family",
    severity: Severity::Note,
    summary: "a rule for every IPv4 address says nothing of IPv6",
    page: "`0.0.0.0/0` holds no IPv6 address. On clusters with both families the same host answers on one and is \
           denied on the other.\n\nExample: egress `0.0.0.0/0` on 443.\n\nFix: the twin `::/0`, with its own \
           exceptions (fd00:ec2::254 for metadata).\n\nSilent: every selected pod is known to have IPv4 addresses \
           only.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let blocks: Vec<_> = peers
            .iter()
            .filter_map(|p| match &p.kind {
                PeerKind::Block(block) => Some((p, block)),
                PeerKind::Pods { .. } => None,
            })
            .collect();
        let whole = blocks.iter().find(|(_, b)| b.cidr.cidr.prefix_len() == 0 && b.cidr.cidr.family() == Family::V4);
        let Some((peer, _)) = whole else { continue };
        if blocks.iter().any(|(_, b)| b.cidr.cidr.family() == Family::V6) {
            continue;
        }
        let pods = subjects(ctx, policy);
        let only_four = |id: &PodId| {
            let pod = &ctx.world.pods[id.index()];
            !pod.ips.is_empty() && pod.ips.iter().all(IpAddr::is_ipv4)
        };
        if pods.is_empty() || pods.iter().all(only_four) {
            continue;
        }
        let message = format!(
            "0.0.0.0/0 holds no IPv6 address: {} over IPv6 is denied",
            match direction {
                Direction::Egress => "what the pods open",
                Direction::Ingress => "what arrives",
            }
        );
        let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
        finding.affected = pods.len();
        finding.help = Some("add `::/0` with its own exceptions, if the pods have IPv6 addresses".to_owned());
        out.push(finding);
    }
}
