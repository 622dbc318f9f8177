//! Worlds without something.

use crate::redundancy::Item;
use watertight_model::{ClusterRule, Direction, Peer, PeerKind, Peers, PolicyRef, Ports, Rule, RuleRef, World};

/// The world without an item. What is not there is not removed; neither is the last peer or port of a rule, because an
/// empty list would mean everything.
pub fn without(world: &World, item: Item) -> World {
    let mut out = world.clone();
    remove(&mut out, item);
    out
}

/// As [`without`], for several.
pub fn without_all(world: &World, items: impl IntoIterator<Item = Item>) -> World {
    let mut items: Vec<Item> = items.into_iter().collect();
    // Inner things first, and later ones before earlier ones, so that places stay what they are.
    items.sort_unstable_by(|a, b| b.cmp(a));
    items.dedup();
    let mut out = world.clone();
    items.into_iter().for_each(|item| remove(&mut out, item));
    out
}

fn remove(world: &mut World, item: Item) {
    match item {
        Item::Policy(PolicyRef::Namespaced(i)) => take(&mut world.policies, i as usize),
        Item::Policy(PolicyRef::Cluster(i)) => take(&mut world.cluster_policies, i as usize),
        Item::Rule(at) => match at.policy {
            PolicyRef::Namespaced(_) => rules(world, at, take),
            PolicyRef::Cluster(_) => cluster_rules(world, at, take),
        },
        Item::Peer(at, _) | Item::Port(at, _) | Item::Except(at, ..) => rules(world, at, |list, i| {
            if let Some(rule) = list.get_mut(i) {
                remove_part(rule, item);
            }
        }),
    }
}

/// A rule without a peer, a port or an exception of it.
pub fn rule_without(rule: &Rule, item: Item) -> Rule {
    let mut out = rule.clone();
    remove_part(&mut out, item);
    out
}

fn remove_part(rule: &mut Rule, item: Item) {
    match (item, &mut rule.peers, &mut rule.ports) {
        (Item::Peer(_, peer), Peers::Of(peers), _) => take_but_last(peers, peer),
        (Item::Port(_, port), _, Ports::Of(ports)) => take_but_last(ports, port),
        (Item::Except(_, peer, except), Peers::Of(peers), _) => {
            if let Some(Peer { kind: PeerKind::Block(block), .. }) = peers.get_mut(peer) {
                take(&mut block.except, except);
            }
        }
        _ => {}
    }
}

fn take<T>(list: &mut Vec<T>, i: usize) {
    if i < list.len() {
        list.remove(i);
    }
}

fn take_but_last<T>(list: &mut Vec<T>, i: usize) {
    if list.len() > 1 {
        take(list, i);
    }
}

fn rules(world: &mut World, at: RuleRef, edit: impl FnOnce(&mut Vec<Rule>, usize)) {
    if let (PolicyRef::Namespaced(policy), Some(rule)) = (at.policy, at.rule)
        && let Some(policy) = world.policies.get_mut(policy as usize)
    {
        let list = match at.direction {
            Direction::Ingress => &mut policy.ingress,
            Direction::Egress => &mut policy.egress,
        };
        edit(list, rule as usize);
    }
}

fn cluster_rules(world: &mut World, at: RuleRef, edit: impl FnOnce(&mut Vec<ClusterRule>, usize)) {
    if let (PolicyRef::Cluster(policy), Some(rule)) = (at.policy, at.rule)
        && let Some(policy) = world.cluster_policies.get_mut(policy as usize)
    {
        let list = match at.direction {
            Direction::Ingress => &mut policy.ingress,
            Direction::Egress => &mut policy.egress,
        };
        edit(list, rule as usize);
    }
}
