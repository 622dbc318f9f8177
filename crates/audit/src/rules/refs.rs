//! Rules and flows in words.

use crate::context::Ctx;
use crate::finding::some;
use watertight_engine::query::endpoint_name;
use watertight_model::{ClusterRule, Flow, L4, NetworkPolicy, PolicyRef, Rule, RuleRef};

/// The policy and rule of a reference into NetworkPolicies.
pub(crate) fn network_rule<'w>(ctx: &Ctx<'_, 'w>, at: RuleRef) -> Option<(usize, &'w NetworkPolicy, &'w Rule)> {
    let PolicyRef::Namespaced(i) = at.policy else { return None };
    let policy = ctx.world.policies.get(i as usize)?;
    Some((i as usize, policy, policy.rules(at.direction).get(at.rule? as usize)?))
}

/// The place of its policy, and the rule, of a reference into cluster policies.
pub(crate) fn cluster_rule<'w>(ctx: &Ctx<'_, 'w>, at: RuleRef) -> Option<(usize, &'w ClusterRule)> {
    let PolicyRef::Cluster(i) = at.policy else { return None };
    let policy = ctx.world.cluster_policies.get(i as usize)?;
    Some((i as usize, policy.rules(at.direction).get(at.rule? as usize)?))
}

/// `shop/db-in ingress rule 0`, or the policy's name if it is meant as a whole.
pub(crate) fn rule_name(ctx: &Ctx<'_, '_>, at: RuleRef) -> String {
    let policy = ctx.world.policy_name(at.policy);
    match at.rule {
        None => policy,
        Some(rule) => {
            let name = cluster_rule(ctx, at).and_then(|(_, r)| r.name.as_ref());
            let name = name.map(|n| format!(" (`{n}`)")).unwrap_or_default();
            format!("{policy} {} rule {rule}{name}", at.direction.name())
        }
    }
}

/// Names of several, the first few.
pub(crate) fn rule_names(ctx: &Ctx<'_, '_>, rules: &[RuleRef]) -> String {
    let names: Vec<String> = rules.iter().map(|r| rule_name(ctx, *r)).collect();
    some(&names)
}

/// `dev/shell to shop/db on TCP 5432`.
pub(crate) fn flow_words(ctx: &Ctx<'_, '_>, flow: &Flow) -> String {
    let l4 = match flow.l4 {
        L4::Port(protocol, port) => format!("{protocol} {port}"),
        L4::Other => "a protocol without ports".to_owned(),
    };
    format!("{} to {} on {l4}", endpoint_name(ctx.engine, flow.from), endpoint_name(ctx.engine, flow.to))
}
