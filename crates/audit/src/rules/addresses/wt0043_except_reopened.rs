//! WT0043: an exception that another rule opens again.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::half;
use watertight_engine::query::rule_names;
use watertight_model::policy::BlockCidr;
use watertight_model::{Cidr, Direction, Endpoint, Flow, PeerKind, Peers, PortSet, RuleRef};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0043",
    name: "except-reopened",
    severity: Severity::Warning,
    summary: "addresses in `except` are allowed by another peer, rule or policy",
    page: "`except` takes addresses out of its own block and denies nothing: rules only add. Proves that an address in \
           an exception is allowed on the same ports by something else, and names it.\n\nExample: `except: \
           [10.1.0.0/16]`, and a second peer `10.1.2.0/24`.\n\nFix: take the exception into the other rule too; to \
           deny for certain, a Deny of the Admin tier.\n\nSilent: nothing else allows the address; what allows it is \
           for DNS (port 53) only; pods in the exception that a selector allows, which is the usual way to write \
           \"the outside, and these pods\".",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let mut subjects = None;
        for peer in peers {
            let PeerKind::Block(block) = &peer.kind else { continue };
            for except in &block.except {
                let subjects = subjects.get_or_insert_with(|| ctx.scope().subjects(policy));
                let mut found: Found = BTreeMap::new();
                let mut first: Option<(Cidr, Flow)> = None;
                for class in subjects.iter() {
                    let own = ctx.scope().ports(rule, ask::pod(ctx, *class));
                    let Some((cidr, witness, by)) = reopened(ctx, *class, direction, except, &own) else { continue };
                    first.get_or_insert((cidr, witness));
                    found.entry(by).or_default().insert(*class);
                }
                let Some((cidr, witness)) = first else { continue };
                let by: BTreeSet<RuleRef> = found.keys().flatten().copied().collect();
                let by: Vec<RuleRef> = by.into_iter().collect();
                let workloads = ask::workloads(ctx, found.values().flatten().copied());
                let message = format!(
                    "the exception {} does not hold: {} {cidr} to {} all the same",
                    except.cidr,
                    match direction {
                        Direction::Egress => format!("{} allows", rule_names(ctx.engine, &by)),
                        Direction::Ingress => format!("{} opens", rule_names(ctx.engine, &by)),
                    },
                    some(&ask::names(ctx, &workloads))
                );
                let mut finding = LINT.finding(policy_object(ctx, i), Some(except.origin), message);
                finding.status = Status::Proved;
                finding.witness = Some(witness);
                finding.affected = workloads.len();
                finding.help = Some(
                    "except it there as well; to deny for certain, add a Deny of the Admin tier (ClusterNetworkPolicy)"
                        .to_owned(),
                );
                out.push(finding);
            }
        }
    }
}

/// Which rules open, and for whom.
type Found = BTreeMap<Vec<RuleRef>, BTreeSet<ClassId>>;

/// Addresses of the exception that are open on some of these ports, a flow, and the rules that let it.
fn reopened(
    ctx: &Ctx<'_, '_>,
    class: ClassId,
    direction: Direction,
    except: &BlockCidr,
    own: &PortSet,
) -> Option<(Cidr, Flow, Vec<RuleRef>)> {
    for part in ctx.outside(class, direction).iter() {
        let ports = part.ports.sure.intersect(own);
        let Some((protocol, port, _)) = ports.iter().find(|(_, a, b)| (*a, *b) != (53, 53)) else { continue };
        let Some(cidr) = part.cidrs.iter().find(|c| c.overlaps(&except.cidr)) else { continue };
        let cidr = if except.cidr.covers(cidr) { *cidr } else { except.cidr };
        let (pod, there) = (ask::end(ctx, class), Endpoint::External(cidr.addr()));
        let asked = match direction {
            Direction::Egress => flow(pod, there, protocol, port),
            Direction::Ingress => flow(there, pod, protocol, port),
        };
        let verdict = ctx.engine.decide(&asked);
        let this = half(&verdict, direction);
        if ask::by_rule(this.reason) {
            return Some((cidr, asked, this.decided_by.clone()));
        }
    }
    None
}
