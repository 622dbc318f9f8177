//! The Admin and Baseline tiers for one flow: first match per policy, most restrictive action among equals.

use crate::classes::Selected;
use crate::peers::{Effect, cluster_rule_matches};
use crate::tri::Tri;
use watertight_model::{ClusterPolicy, DependsOn, Direction, Flow, PolicyRef, RuleRef, Tier, World};

/// What a policy, or a group of policies of equal priority, may do to a flow. Exactly one of the four happens on each
/// reading; if more than one is set, it is unclear which.
#[derive(Clone, Debug, Default)]
pub(crate) struct May {
    pub(crate) accept: Option<Vec<RuleRef>>,
    pub(crate) deny: Option<Vec<RuleRef>>,
    pub(crate) pass: Option<Vec<RuleRef>>,
    pub(crate) nothing: bool,
    pub(crate) causes: Vec<DependsOn>,
    pub(crate) unclear: Vec<RuleRef>,
}

/// The outcome of a whole tier, policies in order of priority. `selected` is sorted by place in the world, which is by
/// tier and priority.
pub(crate) fn tier(world: &World, tier: Tier, selected: &[Selected], direction: Direction, flow: &Flow) -> May {
    let of_tier: Vec<(&Selected, &ClusterPolicy)> = selected
        .iter()
        .map(|s| (s, &world.cluster_policies[s.policy as usize]))
        .filter(|(_, policy)| policy.tier == tier)
        .collect();
    let mut sum = May { nothing: true, ..May::default() };
    for group in of_tier.chunk_by(|a, b| a.1.priority == b.1.priority) {
        let each: Vec<May> = group.iter().map(|(s, policy)| first_match(world, s, policy, direction, flow)).collect();
        let next = most_restrictive(each);
        sum.causes.extend(next.causes);
        sum.unclear.extend(next.unclear);
        // The group is asked only where everything before it did nothing. What an earlier group may do stays possible.
        sum.accept = sum.accept.or(next.accept);
        sum.deny = sum.deny.or(next.deny);
        sum.pass = sum.pass.or(next.pass);
        sum.nothing = next.nothing;
        if !sum.nothing {
            break;
        }
    }
    sum
}

fn first_match(world: &World, selected: &Selected, policy: &ClusterPolicy, direction: Direction, flow: &Flow) -> May {
    let reference = |rule: Option<usize>| RuleRef {
        policy: PolicyRef::Cluster(selected.policy),
        direction,
        rule: rule.and_then(|i| u32::try_from(i).ok()),
    };
    let mut may = May::default();
    let rules = policy.rules(direction);
    let mut decided = false;
    for (i, rule) in rules.iter().enumerate() {
        let (matched, effect) = cluster_rule_matches(world, policy.tier, rule, direction, flow);
        if matched == Tri::No {
            continue;
        }
        let cited = match effect {
            Effect::Accept => &mut may.accept,
            Effect::Deny => &mut may.deny,
            Effect::Pass => &mut may.pass,
        };
        cited.get_or_insert_default().push(reference(Some(i)));
        match matched {
            Tri::Yes => {
                decided = true;
                break;
            }
            Tri::Maybe(causes) => {
                may.causes.extend(causes);
                may.unclear.push(reference(Some(i)));
            }
            Tri::No => {}
        }
    }
    may.nothing = !decided;
    let acts = may.accept.is_some() || may.deny.is_some() || may.pass.is_some();
    if acts && !selected.causes.is_empty() {
        may.nothing = true;
        may.causes.extend(&selected.causes);
        may.unclear.push(reference(None));
    }
    may
}

/// Row 143: Deny before Pass before Accept, whatever the order of the policies.
fn most_restrictive(each: Vec<May>) -> May {
    let pass = each.iter().any(|m| m.pass.is_some())
        && each.iter().all(|m| m.pass.is_some() || m.accept.is_some() || m.nothing);
    let accept = each.iter().any(|m| m.accept.is_some()) && each.iter().all(|m| m.accept.is_some() || m.nothing);
    let mut sum = May { nothing: each.iter().all(|m| m.nothing), ..May::default() };
    for may in each {
        if let Some(rules) = may.deny {
            sum.deny.get_or_insert_default().extend(rules);
        }
        if let (true, Some(rules)) = (pass, may.pass) {
            sum.pass.get_or_insert_default().extend(rules);
        }
        if let (true, Some(rules)) = (accept, may.accept) {
            sum.accept.get_or_insert_default().extend(rules);
        }
        sum.causes.extend(may.causes);
        sum.unclear.extend(may.unclear);
    }
    sum
}
