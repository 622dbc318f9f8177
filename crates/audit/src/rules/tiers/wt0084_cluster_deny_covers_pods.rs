//! WT0084: a Deny of address blocks that denies pods too.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::cluster_policy_object;
use crate::rules::refs::{cluster_rule, flow_words};
use crate::rules::{Check, Lint};
use watertight_engine::block::default_pod_space;
use watertight_model::{
    Action, Cidr, ClusterPeer, ClusterPolicy, ClusterPorts, ClusterRule, Direction, Origin, Selector, Str,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0084",
    name: "cluster-deny-covers-pods",
    severity: Severity::Warning,
    summary: "a Deny of `networks` meant for the outside denies flows between pods",
    page: "`networks` are addresses, and pods have addresses. Proves that a Deny rule whose only peers are blocks \
           that reach beyond private addresses also denies a flow between two pods that exist. Without ports it \
           denies ICMP too.\n\nExample: `action: Deny, to: [{networks: [\"0.0.0.0/0\"]}]`, meant as \"no \
           Internet\".\n\nFix: a Pass rule for pods above it.\n\nSilent: a rule before it takes the flows between \
           pods; its blocks are private ones only; it names pods as well.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for found in &ctx.redundancy().rules {
        let (Some((index, rule)), Some(witness)) = (cluster_rule(ctx, found.rule), found.denies_pods) else { continue };
        if rule.action != Action::Deny || !reaches_outside(ctx, rule) {
            continue;
        }
        let icmp = if rule.ports == ClusterPorts::Any { ", ICMP included" } else { "" };
        let place = found.rule.rule.unwrap_or_default();
        let message =
            format!("egress rule {place} denies addresses, and with them pods{icmp}: {}", flow_words(ctx, &witness));
        let policy = &ctx.world.cluster_policies[index];
        let mut finding = LINT.finding(cluster_policy_object(ctx, index), Some(rule.origin), message);
        finding.witness = Some(witness);
        finding.affected = 1;
        finding.help = Some("put a Pass rule for pods above it: `to: [{namespaces: {}}]`".to_owned());
        finding.fixes.push(pass_pods(policy, place as usize));
        out.push(finding);
    }
}

/// Only blocks are its peers, and one of them is not a part of the addresses that pods have.
fn reaches_outside(ctx: &Ctx<'_, '_>, rule: &ClusterRule) -> bool {
    let mut private: Vec<Cidr> = default_pod_space().to_vec();
    private.extend(&ctx.world.pod_cidrs);
    private.extend(["fc00::/7"].iter().filter_map(|c| c.parse::<Cidr>().ok()));
    let outside = |c: &Cidr| !private.iter().any(|p| p.covers(c));
    let blocks = |peer: &ClusterPeer| match peer {
        ClusterPeer::Networks { blocks, .. } => Some(blocks.iter().any(|b| outside(&b.cidr))),
        ClusterPeer::Pods { .. }
        | ClusterPeer::Nodes { .. }
        | ClusterPeer::DomainNames { .. }
        | ClusterPeer::Unknown { .. } => None,
    };
    let all: Option<Vec<bool>> = rule.peers.iter().map(blocks).collect();
    all.is_some_and(|list| list.contains(&true))
}

fn pass_pods(policy: &ClusterPolicy, before: usize) -> Fix {
    let everywhere = ClusterPeer::Pods {
        namespaces: Selector::everything(),
        pods: Selector::everything(),
        origin: Origin::default(),
    };
    let pass = ClusterRule {
        name: Some(Str::from("pods")),
        action: Action::Pass,
        peers: vec![everywhere],
        ports: ClusterPorts::Any,
        origin: Origin::default(),
    };
    let mut edited = policy.clone();
    edited.egress.insert(before.min(edited.egress.len()), pass);
    let yaml = "- name: pods\n  action: Pass\n  to:\n  - namespaces: {}\n";
    Fix::put_cluster(format!("a Pass rule for pods before {} rule {before}", Direction::Egress.name()), yaml, edited)
}
