//! WT0015: a port without a protocol is TCP, and the pods listen on UDP.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::receivers::{Declared, names, openers, pod_count, receivers};
use crate::rules::{Check, Lint};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::half;
use watertight_engine::query::evaluated_half;
use watertight_model::{Endpoint, PortEntry, PortMatch, Ports, Protocol, Rule, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0015",
    name: "absent-protocol-is-tcp",
    severity: Severity::Warning,
    summary: "a port entry without a protocol, for pods that serve this port over UDP or SCTP only",
    page: "An absent `protocol` is TCP. Proves that of the pods that declare the number none does so for TCP, \
           and that the protocol that they do declare is denied to those whom the rule names.\n\nExample: \
           `ports: [{port: 53}]` for a server that declares 53/UDP.\n\nFix: write the protocol, or one entry \
           for each.\n\nSilent: some pod declares the number for TCP; another rule allows the other protocol.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let declared = Declared::of(ctx);
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Ports::Of(entries) = &rule.ports else { continue };
        if !entries.iter().any(|e| e.protocol_defaulted) {
            continue;
        }
        let Some(pods) = receivers(ctx, policy, direction, rule) else { continue };
        let openers = openers(ctx, policy, direction, rule);
        for entry in entries.iter().filter(|e| e.protocol_defaulted) {
            let PortMatch::Range(first, last) = entry.port else { continue };
            let serving = |protocol: Protocol| -> Vec<ClassId> {
                let has = |c: &&ClassId| declared.in_range(**c, protocol, first, last).is_some();
                pods.iter().filter(has).copied().collect()
            };
            if !serving(Protocol::Tcp).is_empty() {
                continue;
            }
            let found =
                [Protocol::Udp, Protocol::Sctp].map(|p| (p, serving(p))).into_iter().find(|(_, c)| !c.is_empty());
            let Some((protocol, classes)) = found else { continue };
            let denied = |class: &ClassId| {
                let port = declared.in_range(*class, protocol, first, last)?;
                let pod = Endpoint::Pod(ctx.engine.classes().representative(*class));
                let opener = openers.iter().find(|o| **o != pod)?;
                let flow = flow(*opener, pod, protocol, port);
                let verdict = evaluated_half(half(&ctx.engine.decide(&flow), direction));
                (verdict == Verdict::Deny).then_some(flow)
            };
            let Some(witness) = classes.iter().find_map(denied) else { continue };
            let message = format!(
                "allows port {first} without a protocol, which is TCP; {protocol} is all that {} serve there, and it stays \
                 denied",
                some(&names(ctx, &classes))
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(entry.origin), message);
            finding.affected = pod_count(ctx, &classes);
            finding.witness = Some(witness);
            finding.help = Some(format!("write `protocol: {protocol}`, or an entry for each protocol"));
            let title = format!("{} rule {j} with {protocol}", direction.name());
            finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, with(rule, entry, &[protocol])));
            let title = format!("{} rule {j} with TCP and {protocol}", direction.name());
            let both = with(rule, entry, &[Protocol::Tcp, protocol]);
            finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, both));
            out.push(finding);
        }
    }
}

/// The rule with an entry for each of these protocols in the place of one.
fn with(rule: &Rule, entry: &PortEntry, protocols: &[Protocol]) -> Rule {
    let Ports::Of(entries) = &rule.ports else { return rule.clone() };
    let written = |e: &PortEntry| -> Vec<PortEntry> {
        if e != entry {
            return vec![e.clone()];
        }
        protocols.iter().map(|p| PortEntry { protocol: *p, protocol_defaulted: false, ..e.clone() }).collect()
    };
    Rule { ports: Ports::Of(entries.iter().flat_map(written).collect()), ..rule.clone() }
}
