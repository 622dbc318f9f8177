//! WT0032: a port by name, for addresses.

use super::with_entry;
use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::receivers::{first_address, openers};
use crate::rules::{Check, Lint};
use watertight_engine::explain::words;
use watertight_model::{Direction, Endpoint, IpBlock, PeerKind, Peers, PortEntry, PortMatch, Ports};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0032",
    name: "named-port-on-address",
    severity: Severity::Warning,
    summary: "a named port in an egress rule whose peers are all ipBlocks: it matches nothing",
    page: "A name is looked up on the pod that receives; an address has no named ports, not even if a pod has \
           it. Proves that the entry admits nothing.\n\nExample: `to: [{ipBlock: {cidr: 203.0.113.0/24}}], \
           ports: [{port: https}]`.\n\nFix: the number; for names that IANA registered it is printed. Or \
           without the entry, which changes nothing.\n\nSilent: some peer is by label; the rule is about \
           ingress, where the selected pods are asked.",
    check: Check::World(check),
};

/// IANA's service names, as far as they are common.
const REGISTERED: [(&str, u16); 12] = [
    ("amqp", 5672),
    ("domain", 53),
    ("http", 80),
    ("https", 443),
    ("imaps", 993),
    ("ldap", 389),
    ("ldaps", 636),
    ("mysql", 3306),
    ("ntp", 123),
    ("postgresql", 5432),
    ("smtp", 25),
    ("ssh", 22),
];

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let (Peers::Of(peers), Ports::Of(entries)) = (&rule.peers, &rule.ports) else { continue };
        let blocks: Vec<&IpBlock> = peers
            .iter()
            .filter_map(|p| match &p.kind {
                PeerKind::Block(block) => Some(block),
                PeerKind::Pods { .. } => None,
            })
            .collect();
        if direction == Direction::Ingress || blocks.len() != peers.len() {
            continue;
        }
        for entry in entries {
            let PortMatch::Named(name) = &entry.port else { continue };
            let to: Vec<String> = peers.iter().map(|p| words::peer(ctx.world, policy.namespace, p)).collect();
            let message = format!(
                "allows {} port `{name}` to {}: addresses have no named ports, so this lets nothing out",
                entry.protocol,
                crate::finding::some(&to)
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(entry.origin), message);
            let subjects = openers(ctx, policy, direction, rule);
            finding.affected = subjects.len();
            finding.help = Some("write the number".to_owned());
            if let Some((_, number)) = REGISTERED.iter().find(|(n, _)| **n == **name) {
                let numbered = PortEntry { port: PortMatch::Range(*number, *number), ..entry.clone() };
                let fixed = with_entry(rule, entry, &[numbered]);
                let title = format!("egress rule {j} with {} {number}", entry.protocol);
                finding.help = Some(format!("write {number}"));
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
                finding.witness = subjects.first().zip(blocks.first()).map(|(from, block)| {
                    flow(*from, Endpoint::External(first_address(block.cidr.cidr)), entry.protocol, *number)
                });
            }
            finding.fixes.push(if entries.len() == 1 {
                Fix::delete_rule(ctx.world, format!("without egress rule {j}, which lets nothing out"), i, direction, j)
            } else {
                let fixed = with_entry(rule, entry, &[]);
                Fix::rule(ctx.world, format!("egress rule {j} without this port"), i, direction, j, fixed)
            });
            out.push(finding);
        }
    }
}
