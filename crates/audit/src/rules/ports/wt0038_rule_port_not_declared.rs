//! WT0038: a rule for a port that the pods do not declare.

use super::{backing, services, with_entry};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{policy_object, rules};
use crate::rules::receivers::{Declared, names, pod_count, receivers};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::words;
use watertight_model::{PortEntry, PortMatch, Ports, Protocol};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0038",
    name: "rule-port-not-declared",
    severity: Severity::Note,
    summary: "a rule for a port that none of its pods declares, although they declare others",
    page: "Proves that every pod that receives by this rule declares ports, that none declares this one, and \
           that no Service sends traffic there. Container ports are information, not configuration: a process \
           may listen on a port that is not declared, so this is a note.\n\nExample: rule 8443, container \
           8080.\n\nFix: the declared port, if there is one only.\n\nSilent: a pod declares no ports; a Service \
           in front has this target port, or this port of its own (WT0033); the number is declared for another \
           protocol and the rule names none (WT0015).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let declared = Declared::of(ctx);
    let mut fronts: BTreeSet<(ClassId, Protocol, u16)> = BTreeSet::new();
    for id in services(ctx) {
        for b in backing(ctx, id) {
            fronts.extend([(b.class, b.protocol, b.port), (b.class, b.protocol, b.service_port)]);
        }
    }
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Ports::Of(entries) = &rule.ports else { continue };
        let Some(pods) = receivers(ctx, policy, direction, rule).filter(|p| !p.is_empty()) else { continue };
        if !declared.by_every_pod(&pods) {
            continue;
        }
        for entry in entries {
            let PortMatch::Range(first, last) = entry.port else { continue };
            let served = |class: &ClassId| {
                let of = |protocol| {
                    declared.in_range(*class, protocol, first, last).is_some()
                        || fronts.range((*class, protocol, first)..=(*class, protocol, last)).next().is_some()
                };
                of(entry.protocol) || (entry.protocol_defaulted && Protocol::ALL.into_iter().any(of))
            };
            if pods.iter().any(served) {
                continue;
            }
            let all = declared.union(&pods);
            let port = words::ports(&Ports::Of(vec![entry.clone()]));
            let message = format!(
                "allows {port}, which {} do not declare: they declare {}",
                some(&names(ctx, &pods)),
                words::port_set(&all)
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(entry.origin), message);
            finding.affected = pod_count(ctx, &pods);
            finding.help = Some("write the port that the pods listen on, or declare this one".to_owned());
            if all.count() == 1
                && let Some((protocol, number, _)) = all.iter().next()
            {
                let only = PortEntry {
                    protocol,
                    protocol_defaulted: false,
                    port: PortMatch::Range(number, number),
                    origin: entry.origin,
                };
                let title = format!("{} rule {j} with {protocol} {number}", direction.name());
                let fixed = with_entry(rule, entry, &[only]);
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
            }
            out.push(finding);
        }
    }
}
