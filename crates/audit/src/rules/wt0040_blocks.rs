//! WT0040, WT0044, WT0064: address blocks that hold more, or less, than meant.

use super::Lint;
use super::common::{
    a_port, flow, in_namespace, one_per_class, policy_object, rules, subjects, verdict, workload_names,
};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_engine::block::{blocks_match, whereabouts};
use watertight_engine::tri::Tri;
use watertight_model::{
    Direction, Endpoint, Family, NamespaceId, PeerKind, Peers, PodId, PolicyRef, Protocol, Reason, RuleRef, Verdict,
    addr,
};

/// A block with the cluster in it.
pub(super) const COVERS_CLUSTER: Lint = Lint {
    code: "WT0040",
    name: "block-covers-cluster",
    severity: Severity::Warning,
    summary: "an ipBlock that looks like the outside holds the cluster's own pods too",
    page: "The API means ipBlock for addresses outside, and its conformance tests match pod addresses as well. Proves \
           that a block holds pod addresses, known ones or the space in which pods live, and that pods are reached by \
           this rule.\n\nExample: egress `0.0.0.0/0` except `169.254.169.254/32`: every pod is reachable too.\n\nFix: \
           except the pod and Service ranges; selectors for peers in the cluster.\n\nSilent: single addresses; blocks \
           that hold no pod for certain.",
    check: covers_cluster,
};

/// One family only.
pub(super) const ONE_FAMILY: Lint = Lint {
    code: "WT0044",
    name: "one-address-family",
    severity: Severity::Note,
    summary: "a rule for every IPv4 address says nothing of IPv6",
    page: "`0.0.0.0/0` holds no IPv6 address. On clusters with both families the same host answers on one and is \
           denied on the other.\n\nExample: egress `0.0.0.0/0` on 443.\n\nFix: the twin `::/0`, with its own \
           exceptions (fd00:ec2::254 for metadata).\n\nSilent: every selected pod is known to have IPv4 addresses \
           only.",
    check: one_family,
};

/// The cloud's keys.
pub(super) const METADATA: Lint = Lint {
    code: "WT0064",
    name: "metadata-reachable",
    severity: Severity::Error,
    summary: "pods isolated for egress reach the cloud's metadata address by a rule",
    page: "The instance metadata service hands out the node's credentials. Proves that a rule allows a pod to reach \
           one of its addresses (169.254.169.254, fd00:ec2::254) on TCP 80. Hop limits and metadata proxies are \
           outside of what policy says.\n\nExample: egress `0.0.0.0/0`.\n\nFix: `except: [169.254.169.254/32]`, and \
           see that no other rule opens it again. Workload identity agents have addresses of their own, which this \
           does not touch.\n\nSilent: pods that are not isolated for egress (WT0048 lists what follows from that).",
    check: metadata,
};

fn covers_cluster(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
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
            let mut finding = COVERS_CLUSTER.finding(policy_object(ctx, i), Some(peer.origin), message);
            finding.affected = open.len();
            finding.help =
                Some("except the pod and Service ranges, and name peers in the cluster by selector".to_owned());
            out.push(finding);
        }
    }
}

fn one_family(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
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
        let mut finding = ONE_FAMILY.finding(policy_object(ctx, i), Some(peer.origin), message);
        finding.affected = pods.len();
        finding.help = Some("add `::/0` with its own exceptions, if the pods have IPv6 addresses".to_owned());
        out.push(finding);
    }
}

/// Workloads that reach it, the rules that let them, and the address: for one namespace.
struct Reaching {
    pods: Vec<PodId>,
    rules: BTreeSet<RuleRef>,
    ip: IpAddr,
}

fn metadata(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let addresses = [IpAddr::from([169, 254, 169, 254]), IpAddr::from([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254])];
    for ns in (0..ctx.world.namespaces.len()).map(NamespaceId::at) {
        let mut found: Option<Reaching> = None;
        let pods: Vec<PodId> = in_namespace(ctx, ns).collect();
        for pod in one_per_class(ctx, &pods) {
            for ip in addresses {
                let asked = flow(Endpoint::Pod(pod), Endpoint::External(ip), Protocol::Tcp, 80);
                let half = ctx.engine.decide(&asked).egress;
                let by_rule = matches!(half.reason, Reason::PolicyAllow | Reason::AdminAccept | Reason::BaselineAccept);
                if by_rule && verdict(ctx, &asked) == Verdict::Allow {
                    let entry = found.get_or_insert_with(|| Reaching { pods: Vec::new(), rules: BTreeSet::new(), ip });
                    let class = ctx.engine.classes().class_of(pod);
                    entry.pods.extend(class.map(|c| ctx.engine.classes().members(c)).unwrap_or_default());
                    entry.rules.extend(half.decided_by);
                    break;
                }
            }
        }
        out.extend(found.map(|found| metadata_finding(ctx, &found)));
    }
}

fn metadata_finding(ctx: &Ctx<'_, '_>, found: &Reaching) -> Finding {
    let Reaching { pods, rules, ip } = found;
    let names = workload_names(ctx, pods);
    let place = |rule: &RuleRef| match (rule.policy, rule.rule) {
        (PolicyRef::Namespaced(i), Some(r)) => ctx.world.policies[i as usize].egress.get(r as usize).map(|r| r.origin),
        (PolicyRef::Namespaced(i), None) => Some(ctx.world.policies[i as usize].origin),
        (PolicyRef::Cluster(i), _) => Some(ctx.world.cluster_policies[i as usize].origin),
    };
    let first = rules.first();
    let object = first.map_or_else(String::new, |rule| match rule.policy {
        PolicyRef::Namespaced(i) => policy_object(ctx, i as usize),
        PolicyRef::Cluster(i) => {
            let policy = &ctx.world.cluster_policies[i as usize];
            format!("{} {}", policy.kind.name(), policy.name)
        }
    });
    let more = match rules.len() {
        0 | 1 => String::new(),
        n => format!(", by this rule and {} more", n - 1),
    };
    let message =
        format!("{} can reach the metadata address {ip}, which hands out the node's credentials{more}", some(&names));
    let mut finding = METADATA.finding(object, first.and_then(place), message);
    finding.affected = names.len();
    finding.help = Some(format!(
        "except {ip} from the block, in every rule that holds it; a rule without `to` needs blocks first"
    ));
    finding
}
