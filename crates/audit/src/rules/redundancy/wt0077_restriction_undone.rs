//! WT0077: a narrow policy beside a wide one on the same pods.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::fix::Fix;
use crate::rules::common::policy_object;
use crate::rules::refs::{flow_words, network_rule, rule_name};
use crate::rules::{Check, Lint};
use watertight_engine::redundancy::Undone;
use watertight_model::{Direction, NetworkPolicy, Op, Requirement, Selector};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0077",
    name: "restriction-undone",
    severity: Severity::Warning,
    summary: "a policy that lets few pass, on pods to which another policy lets more pass on the same ports",
    page: "Policies only add. Proves that all which the policy lets pass is let pass by others too, so that it \
           restricts nothing, and that another policy lets further pods pass on its ports, to its pods.\n\nExample: \
            `db-from-api` beside `allow-same-namespace`: every pod of the namespace reaches the database.\n\nFix: \
           take its pods out of the wide policy's `podSelector`, or a cluster policy that denies. The narrowed \
           selector is printed where it can be written.\n\nSilent: the policy opens something of its own; the wide \
           policy opens the same peers, and only more ports (WT0075).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for undone in &ctx.redundancy().undone {
        let Some((wide, _, _)) = network_rule(ctx, undone.by) else { continue };
        let index = undone.policy as usize;
        let policy = &ctx.world.policies[index];
        let way = match undone.by.direction {
            Direction::Ingress => "in to",
            Direction::Egress => "out of",
        };
        let message = format!(
            "restricts nothing: {} lets {} more pods {way} the same pods on the same ports, such as {}",
            rule_name(ctx, undone.by),
            undone.pods,
            flow_words(ctx, &undone.witness),
        );
        let message = if undone.pods == 1 { message.replacen("1 more pods", "1 more pod", 1) } else { message };
        let mut finding = LINT.finding(policy_object(ctx, index), Some(policy.origin), message);
        finding.witness = Some(undone.witness);
        finding.affected = undone.pods;
        finding.help = Some(format!(
            "policies only add: take these pods out of the podSelector of {}",
            ctx.world.policy_name(undone.by.policy)
        ));
        finding.fixes.extend(narrowed(ctx, undone, policy, wide));
        out.push(finding);
    }
}

/// The wide policy without the pods of the narrow one, if one requirement says which those are.
fn narrowed(ctx: &Ctx<'_, '_>, undone: &Undone, narrow: &NetworkPolicy, wide: usize) -> Option<Fix> {
    if narrow.isolates_egress || !undone.restricts_alone {
        // What the wide policy lets out of these pods (name lookups, say) would be lost; or another one is as wide.
        return None;
    }
    let [one] = narrow.subject.requirements.as_slice() else { return None };
    let Op::In(values) = &one.op else { return None };
    let mut policy = ctx.world.policies[wide].clone();
    // A selector that asks for the key already would be left with nothing, or says something else than this.
    if policy.subject.requirements.iter().any(|r| r.key == one.key) {
        return None;
    }
    let but = Requirement { key: one.key.clone(), op: Op::NotIn(values.clone()), from_labels: false };
    policy.subject = Selector { requirements: [policy.subject.requirements, vec![but]].concat() };
    Some(Fix::put(ctx.world, format!("{} without the pods of {}", policy.name, narrow.name), policy))
}
