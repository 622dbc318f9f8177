//! What changes no verdict: policies, rules, peers, ports and exceptions that could be deleted, exactly.
//!
//! In: a world. Out: per *item* (something that can be deleted) its [`Standing`]. Judged by halves: an item can go if
//! without it every subject's side of every flow, of every pod, node and outside address, has the same verdict as with it.
//! (What the other side of a flow denies does not make a rule redundant: it is needed as soon as that side opens.)
//!
//! An item that changes nothing *today* may be all that a pod of tomorrow has, so everything is asked in an [`Open`] world
//! too, in which there is a pod for every combination of labels that policies can tell apart.
//!
//! Policies that are not evaluated have no influence. Reading order: this file, `open` (who could come), `space` (rules as
//! sets), `stacks` (subjects by what decides for them), `items` and `judge` (whether an item can go), `cluster` and `tiers`
//! (the same for cluster tiers), `walk` (how the tiers undo each other), `report` (what can go together, and what covers it).

mod cluster;
mod edit;
mod items;
mod judge;
mod open;
mod report;
mod space;
mod stacks;
mod tiers;
mod walk;

pub use edit::{rule_without, without, without_all};
pub use open::Open;
pub use report::{ClusterRuleUse, Overridden, Overriding, Redundant, Report, Tie, Undone, report, report_while};

use crate::classes::Classes;
use crate::selector::readable;
use judge::Judge;
use watertight_model::{Direction, Flow, NetworkPolicy, PolicyRef, Rule, RuleRef};

/// Something that can be deleted. Numbers are places in the lists of the rule, which has a number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Item {
    /// A policy of either kind.
    Policy(PolicyRef),
    /// A rule of either kind; of a NetworkPolicy only in a direction that it isolates.
    Rule(RuleRef),
    /// A peer of a NetworkPolicy rule that has several.
    Peer(RuleRef, usize),
    /// A port of a NetworkPolicy rule that has several.
    Port(RuleRef, usize),
    /// An exception of a block: the peer, and its place in `except`.
    Except(RuleRef, usize, usize),
}

impl Item {
    /// The policy that it is, or is in.
    pub fn policy(self) -> PolicyRef {
        match self {
            Item::Policy(policy) => policy,
            Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) => rule.policy,
        }
    }

    /// The direction of its rule; `None` for a policy.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Item::Policy(_) => None,
            Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) => {
                Some(rule.direction)
            }
        }
    }
}

/// Whether an item can go. Flows are of the open world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No verdict changes without it, whoever comes.
    Always,
    /// No verdict changes today. The flow is one of a pod that could come, for which one does; `None`: there were too many
    /// combinations of labels to ask about all of them.
    Today(Option<Flow>),
    /// The verdict of this flow changes.
    Needed(Flow),
}

/// Every item of a world with its standing, each as if it alone were deleted.
pub fn standings(open: &Open) -> Vec<(Item, Standing)> {
    let classes = Classes::of(&open.world);
    let mut judge = Judge::new(open, &classes, &|| true);
    let items = judge.items();
    items.into_iter().filter_map(|item| Some((item, judge.standing(item)?))).collect()
}

/// Rules of a policy that can admit something.
fn live_rules(policy: &NetworkPolicy, direction: Direction) -> &[Rule] {
    if readable(&policy.subject) && policy.isolates(direction) { policy.rules(direction) } else { &[] }
}
