//! WT0076: a rule, a peer, a port or an exception without which every verdict stays the same.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::refs::{network_rule, rule_names};
use crate::rules::{Check, Lint};
use watertight_engine::explain::words;
use watertight_engine::redundancy::{Item, Redundant, rule_without};
use watertight_model::{Origin, PeerKind, Peers, PolicyRef, Ports, Rule, RuleRef};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0076",
    name: "rule-redundant",
    severity: Severity::Note,
    summary: "a rule, peer, port or except of a NetworkPolicy that can be deleted without any verdict changing",
    page: "Proves the same as WT0075 of a rule, of one peer or one port of a rule, or of an exception that lies in \
           another one.\n\nExample: rule 0 allows `app: web` on port 80, rule 1 allows every pod of the namespace \
           on 80-90; port 80 beside 1-1024; a block inside another one.\n\nFix: delete the entry. Everything that \
           is reported can be deleted together.\n\nSilent: it matches no pod that exists (WT0021); the whole policy \
            is redundant (WT0075, WT0077); an exception that another peer opens again (WT0043).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for found in &ctx.redundancy().redundant {
        let at = match found.item {
            Item::Rule(at) | Item::Peer(at, _) | Item::Port(at, _) | Item::Except(at, ..) => at,
            Item::Policy(_) => continue,
        };
        let (Some((index, policy, rule)), Some(witness)) = (network_rule(ctx, at), found.witness) else { continue };
        let Some((what, origin)) = part(ctx, found.item, policy.namespace, rule, at) else { continue };
        let why = if found.covered_by.is_empty() {
            "the rest of the rule says the same".to_owned()
        } else {
            format!("all that it lets pass is let pass by {}", rule_names(ctx, &found.covered_by))
        };
        let today = if found.always { "" } else { " today (pods that do not exist yet may need it)" };
        let message = format!("{what} changes no verdict{today}: {why}");
        let mut finding = LINT.finding(policy_object(ctx, index), Some(origin), message);
        finding.status = if found.always { Status::Proved } else { Status::InInput };
        finding.witness = Some(witness);
        finding.affected = 1;
        finding.help = Some("delete the entry".to_owned());
        finding.fixes.extend(fix(ctx, found, at));
        out.push(finding);
    }
}

/// What it is, in words, and where; `None`: not for this lint.
fn part(
    ctx: &Ctx<'_, '_>,
    item: Item,
    namespace: watertight_model::NamespaceId,
    rule: &Rule,
    at: RuleRef,
) -> Option<(String, Origin)> {
    let place = format!("{} rule {}", at.direction.name(), at.rule.unwrap_or_default());
    let peers = match &rule.peers {
        Peers::Of(list) => list.as_slice(),
        Peers::Any(_) => &[],
    };
    match item {
        Item::Policy(_) => None,
        Item::Rule(_) => Some((place, rule.origin)),
        Item::Peer(_, i) => {
            let peer = peers.get(i)?;
            Some((format!("peer {i} of {place} ({})", words::peer(ctx.world, namespace, peer)), peer.origin))
        }
        Item::Port(_, i) => {
            let Ports::Of(list) = &rule.ports else { return None };
            let entry = list.get(i)?;
            let said = words::ports(&Ports::Of(vec![entry.clone()]));
            Some((format!("port {i} of {place} ({said})"), entry.origin))
        }
        Item::Except(_, i, e) => {
            let PeerKind::Block(block) = &peers.get(i)?.kind else { return None };
            let this = block.except.get(e)?;
            let others = block.except.iter().enumerate().filter(|(j, _)| *j != e);
            let inside = others.into_iter().any(|(_, o)| o.mapped.is_none() && o.cidr.covers(&this.cidr));
            inside.then(|| (format!("except {} of peer {i} of {place}", this.cidr), this.origin))
        }
    }
}

fn fix(ctx: &Ctx<'_, '_>, found: &Redundant, at: RuleRef) -> Option<Fix> {
    let PolicyRef::Namespaced(policy) = at.policy else { return None };
    let (index, place) = (policy as usize, at.rule? as usize);
    let title = match found.item {
        Item::Rule(_) => {
            let title = format!("delete {} rule {place}", at.direction.name());
            return Some(Fix::delete_rule(ctx.world, title, index, at.direction, place));
        }
        Item::Peer(_, i) => format!("without peer {i}"),
        Item::Port(_, i) => format!("without port {i}"),
        Item::Except(_, _, e) => format!("without except {e}"),
        Item::Policy(_) => return None,
    };
    let rule = rule_without(ctx.world.policies.get(index)?.rules(at.direction).get(place)?, found.item);
    Some(Fix::rule(
        ctx.world,
        format!("{} rule {place} {title}", at.direction.name()),
        index,
        at.direction,
        place,
        rule,
    ))
}
