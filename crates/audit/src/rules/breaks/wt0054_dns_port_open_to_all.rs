//! WT0054: port 53 to anywhere.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::flow;
use crate::rules::exposure::wt0065_egress_to_anywhere::anywhere;
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::query::rule_names;
use watertight_model::{
    Direction, Endpoint, Flow, NamespaceId, Peers, PolicyRef, PortMatch, Ports, Protocol, Rule, RuleRef, World,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0054",
    name: "dns-port-open-to-all",
    severity: Severity::Warning,
    summary: "port 53 is open to every public address: a channel out",
    page: "Data leaves in DNS queries, and other traffic on port 53 does not have to be DNS. Proves that a rule lets \
           pods isolated for egress send to port 53 of any public address, not only of the DNS servers.\n\nExample: \
           `egress: [{ports: [{port: 53, protocol: UDP}]}]` without `to`.\n\nFix: the DNS pods as peers; the rule is \
           printed where it is for port 53 only.\n\nSilent: the DNS pods or named servers only; pods that may go \
           anywhere on every port (WT0065), or are not isolated for egress (WT0048).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut found: BTreeMap<(NamespaceId, Vec<RuleRef>), (BTreeSet<ClassId>, Flow)> = BTreeMap::new();
    for class in ask::classes(ctx).filter(|c| ask::has_policies(ctx, *c, Direction::Egress)) {
        let open = |protocol| {
            let ip = ask::internet(ctx, class, Direction::Egress, |p| p.sure.contains(protocol, 53))?;
            let witness = flow(ask::end(ctx, class), Endpoint::External(ip), protocol, 53);
            let half = ctx.engine.decide(&witness).egress;
            ask::by_rule(half.reason).then_some((half.decided_by, witness))
        };
        let Some((rules, witness)) = open(Protocol::Udp).or_else(|| open(Protocol::Tcp)) else { continue };
        if anywhere(ctx, class).is_none() {
            let new = || (BTreeSet::new(), witness);
            found.entry((ask::namespace(ctx, class), rules)).or_insert_with(new).0.insert(class);
        }
    }
    for ((_, rules), (classes, witness)) in found {
        let Some(first) = rules.first() else { continue };
        let names = ask::names(ctx, &ask::workloads(ctx, classes));
        let message = format!(
            "{} may send to port 53 of every public address, by {}: a channel out",
            some(&names),
            rule_names(ctx.engine, &rules)
        );
        let (object, at) = ask::rule(ctx, *first);
        let mut finding = LINT.finding(object, Some(at), message);
        finding.affected = names.len();
        finding.witness = Some(witness);
        finding.help = Some("name the DNS pods as the peers of the rule".to_owned());
        if let ([rule], false) = (rules.as_slice(), ctx.dns().is_assumed()) {
            finding.fixes.extend(to_the_servers(ctx, *rule));
        }
        out.push(finding);
    }
}

/// The rule with the DNS servers as peers, if it is for port 53 and has none.
fn to_the_servers(ctx: &Ctx<'_, '_>, at: RuleRef) -> Option<Fix> {
    let (PolicyRef::Namespaced(i), Some(r)) = (at.policy, at.rule) else { return None };
    let (i, r) = (i as usize, r as usize);
    let world: &World = ctx.world;
    let rule = world.policies[i].egress.get(r)?;
    let (Peers::Any(_), Ports::Of(entries)) = (&rule.peers, &rule.ports) else { return None };
    // Servers that listen elsewhere need other ports as well: that is more than this rule says.
    let servers = ctx.dns().rules(ctx);
    let [server] = servers.as_slice() else { return None };
    let plain = |ports: &Ports| match ports {
        Ports::Of(list) => list.iter().all(|e| e.port == PortMatch::Range(53, 53)),
        Ports::Any(_) => false,
    };
    if !plain(&rule.ports) || !plain(&server.ports) || entries.is_empty() {
        return None;
    }
    let fixed = Rule { peers: server.peers.clone(), ..rule.clone() };
    Some(Fix::rule(world, format!("egress rule {r} to the DNS pods"), i, Direction::Egress, r, fixed))
}
