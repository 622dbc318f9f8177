//! The items of a world, and what is left of a rule without some of them.

use crate::classes::ClassId;
use crate::reach::columns::Cols;
use crate::redundancy::judge::Judge;
use crate::redundancy::space::{Atom, Parts, Shape};
use crate::redundancy::{Item, live_rules};
use std::borrow::Cow;
use watertight_model::{Direction, Peers, PolicyRef, Ports, Rule, RuleRef};

impl<'w> Judge<'w> {
    /// Rules of a NetworkPolicy that can admit something and are not gone.
    pub(super) fn rules_of(&self, policy: u32, direction: Direction) -> Vec<RuleRef> {
        let this = &self.open.world.policies[policy as usize];
        let policy = PolicyRef::Namespaced(policy);
        if self.gone.contains(&Item::Policy(policy)) {
            return Vec::new();
        }
        let count = live_rules(this, direction).len();
        let all = (0..count).map(|i| RuleRef { policy, direction, rule: u32::try_from(i).ok() });
        all.filter(|r| !self.gone.contains(&Item::Rule(*r))).collect()
    }

    fn rule(&self, at: RuleRef) -> Option<&'w Rule> {
        let PolicyRef::Namespaced(policy) = at.policy else { return None };
        self.open.world.policies.get(policy as usize)?.rules(at.direction).get(at.rule? as usize)
    }

    /// What is left of a rule.
    fn parts(&self, at: RuleRef, but: Option<Item>) -> Option<Parts<'w>> {
        let rule = self.rule(at)?;
        let gone = |item: Item| self.gone.contains(&item) || but == Some(item);
        let mut parts = Parts::whole(rule);
        if let (Some(peers), Peers::Of(list)) = (&mut parts.peers, &rule.peers) {
            let kept = list.iter().enumerate().filter(|(i, _)| !gone(Item::Peer(at, *i)));
            *peers = kept
                .map(|(i, peer)| {
                    let holes = match &peer.kind {
                        watertight_model::PeerKind::Block(block) => block.except.len(),
                        watertight_model::PeerKind::Pods { .. } => 0,
                    };
                    (peer, (0..holes).filter(|e| gone(Item::Except(at, i, *e))).collect())
                })
                .collect();
        }
        if let (Some(ports), Ports::Of(list)) = (&mut parts.ports, &rule.ports) {
            let kept = list.iter().enumerate().filter(|(i, _)| !gone(Item::Port(at, *i)));
            *ports = kept.map(|(_, p)| p).collect();
        }
        Some(parts)
    }

    pub(super) fn shape_without(&mut self, at: RuleRef, but: Option<Item>) -> Shape<'w> {
        let (PolicyRef::Namespaced(policy), Some(parts)) = (at.policy, self.parts(at, but)) else {
            return Shape::default();
        };
        self.space.shape(&self.open.world.policies[policy as usize], &parts)
    }

    /// All items that could go, outer ones first.
    pub(super) fn items(&self) -> Vec<Item> {
        let world = &self.open.world;
        let mut out: Vec<Item> = Vec::new();
        let rules = |policy: PolicyRef, direction: Direction, n: usize| {
            (0..n).map(move |i| RuleRef { policy, direction, rule: u32::try_from(i).ok() })
        };
        let each = |i: usize| ClassId::at(i).0;
        for i in 0..world.policies.len() {
            out.push(Item::Policy(PolicyRef::Namespaced(each(i))));
        }
        for i in 0..world.cluster_policies.len() {
            out.push(Item::Policy(PolicyRef::Cluster(each(i))));
        }
        let mut inner: Vec<Item> = Vec::new();
        for (i, policy) in world.policies.iter().enumerate() {
            for direction in Direction::BOTH {
                for at in rules(PolicyRef::Namespaced(each(i)), direction, live_rules(policy, direction).len()) {
                    out.push(Item::Rule(at));
                    let Some(rule) = self.rule(at) else { continue };
                    if let Ports::Of(list) = &rule.ports {
                        inner.extend((0..list.len()).filter(|_| list.len() > 1).map(|p| Item::Port(at, p)));
                    }
                    let Peers::Of(list) = &rule.peers else { continue };
                    inner.extend((0..list.len()).filter(|_| list.len() > 1).map(|p| Item::Peer(at, p)));
                    for (p, peer) in list.iter().enumerate() {
                        if let watertight_model::PeerKind::Block(block) = &peer.kind {
                            inner.extend((0..block.except.len()).map(|e| Item::Except(at, p, e)));
                        }
                    }
                }
            }
        }
        for (i, policy) in world.cluster_policies.iter().enumerate() {
            for direction in Direction::BOTH {
                let all = rules(PolicyRef::Cluster(each(i)), direction, policy.rules(direction).len());
                out.extend(all.map(Item::Rule));
            }
        }
        out.extend(inner);
        out
    }

    /// The item is gone, or part of one that is, or the last of its list.
    pub(super) fn is_out(&self, item: Item) -> bool {
        let gone = |item: Item| self.gone.contains(&item);
        let last = |at: RuleRef, n: usize, made: fn(RuleRef, usize) -> Item| {
            (0..n).filter(|i| !gone(made(at, *i))).count() < 2
        };
        let outer = |at: RuleRef| gone(Item::Policy(at.policy)) || gone(Item::Rule(at));
        gone(item)
            || match item {
                Item::Policy(_) => false,
                Item::Rule(at) => gone(Item::Policy(at.policy)),
                Item::Peer(at, _) => {
                    let n = self.rule(at).map_or(0, |r| if let Peers::Of(l) = &r.peers { l.len() } else { 0 });
                    outer(at) || last(at, n, Item::Peer)
                }
                Item::Port(at, _) => {
                    let n = self.rule(at).map_or(0, |r| if let Ports::Of(l) = &r.ports { l.len() } else { 0 });
                    outer(at) || last(at, n, Item::Port)
                }
                Item::Except(at, peer, _) => outer(at) || gone(Item::Peer(at, peer)),
            }
    }

    /// What is looked at of an item by itself; `None`: its whole rules.
    pub(super) fn part(&mut self, item: Item) -> Option<Shape<'w>> {
        match item {
            Item::Peer(rule, _) | Item::Port(rule, _) => Some(self.shape_of_part(rule, item)),
            Item::Policy(_) | Item::Rule(_) | Item::Except(..) => None,
        }
    }

    /// What a peer, a port (its [`Self::part`]) or a whole rule admits by itself.
    pub(super) fn part_on<'s>(
        &'s self,
        part: Option<&'s Shape<'w>>,
        rule: RuleRef,
        at: usize,
        atom: Atom,
    ) -> Cow<'s, Cols> {
        match part {
            Some(part) => self.space.on(part, atom, self.stacks[at].direction, self.stacks[at].subject),
            None => self.on(rule, at, atom),
        }
    }

    fn shape_of_part(&mut self, at: RuleRef, item: Item) -> Shape<'w> {
        let (PolicyRef::Namespaced(policy), Some(rule)) = (at.policy, self.rule(at)) else { return Shape::default() };
        let mut parts = Parts::whole(rule);
        match item {
            Item::Peer(_, peer) => parts.peers = parts.peers.map(|l| l.into_iter().skip(peer).take(1).collect()),
            Item::Port(_, port) => parts.ports = parts.ports.map(|l| l.into_iter().skip(port).take(1).collect()),
            Item::Policy(_) | Item::Rule(_) | Item::Except(..) => {}
        }
        self.space.shape(&self.open.world.policies[policy as usize], &parts)
    }
}
