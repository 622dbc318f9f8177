//! WT0044: a rule for every address of one family only.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{policy_object, rules};
use crate::rules::{Check, Lint, ask};
use std::net::IpAddr;
use watertight_engine::classes::ClassId;
use watertight_model::policy::BlockCidr;
use watertight_model::{Cidr, Direction, Family, IpBlock, NetworkPolicy, Origin, Peer, PeerKind, Peers, Rule, addr};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0044",
    name: "one-address-family",
    severity: Severity::Note,
    summary: "a rule treats IPv4 and IPv6 differently",
    page: "`0.0.0.0/0` holds no IPv6 address, and `::/0` no IPv4 address (semantics row 76). On clusters with both \
           families the same host answers on one and is denied on the other; and an exception for the IPv4 metadata \
           address leaves the IPv6 one (fd00:ec2::254) in reach. A warning where the pods are known to have both, or \
           where the metadata address is in reach.\n\nExample: egress `0.0.0.0/0` on 443.\n\nFix: the twin block, \
           with its own exceptions; the rule is printed.\n\nSilent: every selected pod is known to have addresses of \
           the rule's family only.",
    check: Check::World(check),
};

const METADATA_FOUR: &str = "169.254.169.254";
const METADATA_SIX: &str = "fd00:ec2::254";

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let found = match (every(peers, Family::V4), every(peers, Family::V6)) {
            (Some((four, _)), None) => one_only(ctx, policy, direction, peers, four, Family::V6),
            (None, Some((six, _))) => one_only(ctx, policy, direction, peers, six, Family::V4),
            (Some((_, four)), Some((peer, six))) if direction == Direction::Egress => metadata(peers, four, peer, six),
            _ => None,
        };
        let Some(Found { message, at, severity, peers }) = found else { continue };
        let mut finding = LINT.finding(policy_object(ctx, i), Some(at), message).at_severity(severity);
        finding.affected = ask::workloads(ctx, ctx.scope().subjects(policy)).len();
        finding.help = Some("write both families, each with its own exceptions".to_owned());
        let fixed = Rule { peers: Peers::Of(peers), ..rule.clone() };
        let title = format!("{} rule {j} for both families", direction.name());
        finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
        out.push(finding);
    }
}

struct Found {
    message: String,
    at: Origin,
    severity: Severity,
    /// The peers as they should be.
    peers: Vec<Peer>,
}

/// The peer for every address of a family.
fn every(peers: &[Peer], family: Family) -> Option<(&Peer, &IpBlock)> {
    peers.iter().find_map(|p| match &p.kind {
        PeerKind::Block(b) if b.cidr.cidr == Cidr::all(family) => Some((p, b)),
        PeerKind::Block(_) | PeerKind::Pods { .. } => None,
    })
}

fn one_only(
    ctx: &Ctx<'_, '_>,
    policy: &NetworkPolicy,
    direction: Direction,
    peers: &[Peer],
    whole: &Peer,
    other: Family,
) -> Option<Found> {
    let named = |p: &Peer| matches!(&p.kind, PeerKind::Block(b) if b.cidr.cidr.family() == other);
    let subjects = ctx.scope().subjects(policy);
    if peers.iter().any(named) || subjects.is_empty() {
        return None;
    }
    let has = |class: &ClassId| {
        let ips = &ctx.world.pods[ask::pod(ctx, *class).index()].ips;
        (ips.is_empty(), ips.iter().any(|ip| addr::number(*ip).0 == other))
    };
    let (mut unknown, mut both) = (false, false);
    for (empty, other) in subjects.iter().map(has) {
        unknown |= empty;
        both |= other;
    }
    if !unknown && !both {
        return None;
    }
    let (this, that) = if other == Family::V6 { ("0.0.0.0/0", "IPv6") } else { ("::/0", "IPv4") };
    let what = match direction {
        Direction::Egress => "what the pods open",
        Direction::Ingress => "what arrives",
    };
    let message = format!("{this} holds no {that} address: {what} over {that} is denied");
    let except = if direction == Direction::Egress { metadata_of(other) } else { Vec::new() };
    let twin = Peer { kind: PeerKind::Block(IpBlock { cidr: plain(Cidr::all(other)), except }), origin: whole.origin };
    let peers = peers.iter().cloned().chain([twin]).collect();
    let severity = if both { Severity::Warning } else { Severity::Note };
    Some(Found { message, at: whole.origin, severity, peers })
}

/// The IPv4 metadata address is excepted, and the IPv6 one is not.
fn metadata(peers: &[Peer], four: &IpBlock, peer: &Peer, six: &IpBlock) -> Option<Found> {
    let excepts = |block: &IpBlock, ip: &str| {
        ip.parse::<IpAddr>().is_ok_and(|ip| block.except.iter().any(|e| e.cidr.contains(ip)))
    };
    if !excepts(four, METADATA_FOUR) || excepts(six, METADATA_SIX) {
        return None;
    }
    let message = format!("{METADATA_FOUR} is excepted, and {METADATA_SIX}, the same over IPv6, is not");
    let mut fixed = six.clone();
    fixed.except.extend(metadata_of(Family::V6));
    let fixed = Peer { kind: PeerKind::Block(fixed), origin: peer.origin };
    let peers = peers.iter().map(|p| if p == peer { fixed.clone() } else { p.clone() }).collect();
    Some(Found { message, at: peer.origin, severity: Severity::Warning, peers })
}

fn metadata_of(family: Family) -> Vec<BlockCidr> {
    let text = if family == Family::V6 { METADATA_SIX } else { METADATA_FOUR };
    text.parse().ok().map(|ip| plain(Cidr::host(ip))).into_iter().collect()
}

fn plain(cidr: Cidr) -> BlockCidr {
    BlockCidr { cidr, mapped: None, sloppy: false, origin: Origin::default() }
}
