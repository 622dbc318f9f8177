//! What of a world can be deleted together, what covers it, and how the tiers undo each other.

use crate::classes::Classes;
use crate::redundancy::judge::Judge;
use crate::redundancy::{Item, Open, Standing};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Endpoint, Flow, PodId, PolicyRef, RuleRef, World};

/// All of it, each list in the order of the world. Flows and pods are of the world given.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// False: there was no time for all of it. What is listed holds; of the cluster policies nothing is.
    pub finished: bool,
    /// Items that can be deleted, all together; outer ones first, and nothing inside of what is listed.
    pub redundant: Vec<Redundant>,
    /// Policies that another one makes pointless.
    pub undone: Vec<Undone>,
    /// NetworkPolicy rules of which the Admin tier denies everything.
    pub overridden: Vec<Overridden>,
    /// Admin rules that accept what NetworkPolicies deny.
    pub overriding: Vec<Overriding>,
    /// Every rule of every cluster policy.
    pub rules: Vec<ClusterRuleUse>,
    /// Pairs of cluster policies of one priority that say different things of a flow.
    pub ties: Vec<Tie>,
}

/// Something that can be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redundant {
    /// What.
    pub item: Item,
    /// Whoever comes; else only for the pods of today.
    pub always: bool,
    /// Rules that let pass what it lets pass; for a policy that lets nothing pass, policies that isolate the same pods.
    pub covered_by: Vec<RuleRef>,
    /// A flow of today that it admits (for a policy without rules: `None`).
    pub witness: Option<Flow>,
    /// It selects a pod that exists.
    pub selects: bool,
}

/// A policy that admits less than another one on the same pods: as policies only add, it restricts nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Index of the narrow policy.
    pub policy: u32,
    /// The rule that lets others pass on its ports.
    pub by: RuleRef,
    /// A flow that the narrow policy alone would deny.
    pub witness: Flow,
    /// How many pods get in (or out) beyond.
    pub pods: usize,
    /// It restricts if the policy of [`Self::by`] does not select its pods.
    pub restricts_alone: bool,
}

/// A NetworkPolicy rule of which everything is denied before NetworkPolicy is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// It.
    pub rule: RuleRef,
    /// The cluster rules that deny.
    pub by: Vec<RuleRef>,
    /// A flow.
    pub witness: Flow,
}

/// A rule of the Admin tier that accepts what NetworkPolicies on the pod deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overriding {
    /// It.
    pub rule: RuleRef,
    /// Pods whose policies are overridden, one of each class, ascending.
    pub subjects: Vec<PodId>,
    /// A flow.
    pub witness: Flow,
}

/// Whether a cluster rule ever decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRuleUse {
    /// It.
    pub rule: RuleRef,
    /// It matches a flow of pods that exist.
    pub matches_today: bool,
    /// It decides a flow of pods that exist.
    pub decides_today: bool,
    /// It decides a flow of a pod that could come.
    pub decides: bool,
    /// A flow that it matches.
    pub witness: Option<Flow>,
    /// Rules that take the flows that it matches; of cluster policies, in the order of evaluation.
    pub taken_by: Vec<RuleRef>,
    /// NetworkPolicies isolate pods of its subject, so that the Baseline tier is not asked.
    pub isolated: bool,
    /// A flow between pods that exist, or of one with an address outside, that it denies; its effect is Deny, perhaps only
    /// because something in it is not understood.
    pub denies: Option<Flow>,
    /// A flow between pods that exist that it denies.
    pub denies_pods: Option<Flow>,
}

/// Two cluster policies of one tier and priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// Indices.
    pub policies: [u32; 2],
    /// Flows on which they differ, a few.
    pub witnesses: Vec<Flow>,
}

/// Computes it.
pub fn report(world: &World) -> Report {
    report_while(world, &|| true)
}

/// As [`report`], as long as there is time for more: asked between steps of some milliseconds at most.
pub fn report_while(world: &World, more: &dyn Fn() -> bool) -> Report {
    let open = Open::of(world);
    let classes = Classes::of(&open.world);
    let mut judge = Judge::new(&open, &classes, more);
    let mut out = Report { finished: true, ..Report::default() };
    let mut reporter = Reporter { open: &open, judge: &mut judge };
    if !world.cluster_policies.is_empty() && reporter.tiers(&mut out).is_none() {
        return Report::default();
    }
    out.finished = reporter.redundant(&mut out);
    out
}

/// What is gathered along the way.
pub(super) struct Reporter<'a, 'w> {
    open: &'w Open,
    pub(super) judge: &'a mut Judge<'w>,
}

impl Reporter<'_, '_> {
    /// A flow of the open world in the world given.
    pub(super) fn real(&self, flow: Flow) -> Option<Flow> {
        let end = |e: Endpoint| match e {
            Endpoint::Pod(id) => self.open.real[id.index()].map(Endpoint::Pod),
            Endpoint::Node(_) | Endpoint::External(_) => Some(e),
        };
        Some(Flow { from: end(flow.from)?, to: end(flow.to)?, ..flow })
    }

    /// False: there was no time for all of it.
    fn redundant(&mut self, out: &mut Report) -> bool {
        let mut found: Vec<Redundant> = Vec::new();
        let taken = self.take_all(&mut found, out);
        let finished = taken.and_then(|()| self.restrict_alone(&mut out.undone)).is_some();
        let outer: BTreeSet<Item> = found.iter().map(|r| r.item).collect();
        let inside = |item: Item| match item {
            Item::Policy(_) => false,
            Item::Rule(at) => outer.contains(&Item::Policy(at.policy)),
            Item::Peer(at, _) | Item::Port(at, _) => {
                outer.contains(&Item::Policy(at.policy)) || outer.contains(&Item::Rule(at))
            }
            Item::Except(at, peer, _) => {
                [Item::Policy(at.policy), Item::Rule(at), Item::Peer(at, peer)].iter().any(|i| outer.contains(i))
            }
        };
        found.retain(|r| !inside(r.item));
        found.sort_by_key(|r| r.item);
        out.redundant = found;
        out.undone.sort_by_key(|u| (u.policy, u.by));
        finished
    }

    /// Takes one item after the other; `None`: there was no time for all.
    fn take_all(&mut self, found: &mut Vec<Redundant>, out: &mut Report) -> Option<()> {
        let items = self.judge.items();
        let mut always = Vec::new();
        let mut today = Vec::new();
        for item in items {
            match self.judge.standing(item)? {
                Standing::Always => always.push(item),
                Standing::Today(_) => today.push(item),
                Standing::Needed(_) => {}
            }
        }
        // Of two that cover each other the later one goes; what is inside of something comes after it.
        let backwards = |list: &mut Vec<Item>| {
            let level = |i: &Item| match i {
                Item::Policy(_) => 0,
                Item::Rule(_) => 1,
                Item::Peer(..) | Item::Port(..) => 2,
                // Without an exception more is let pass, which may cover others: last.
                Item::Except(..) => 3,
            };
            list.sort_by(|a, b| level(a).cmp(&level(b)).then_with(|| b.cmp(a)));
        };
        backwards(&mut always);
        let mut later = Vec::new();
        for item in always {
            if !self.judge.is_out(item) {
                match self.judge.standing(item)? {
                    Standing::Always => self.take(item, true, found, out),
                    // What covered it is gone, and today that does not matter.
                    Standing::Today(_) => later.push(item),
                    Standing::Needed(_) => {}
                }
            }
        }
        today.append(&mut later);
        backwards(&mut today);
        for item in today {
            if !self.judge.is_out(item) && !matches!(self.judge.standing(item)?, Standing::Needed(_)) {
                self.take(item, false, found, out);
            }
        }
        Some(())
    }

    /// Tells which of the policies would restrict if the one that undoes them did not select their pods, whatever else can go.
    fn restrict_alone(&mut self, undone: &mut [Undone]) -> Option<()> {
        self.judge.restore();
        for one in undone {
            let (policy, wide) = (Item::Policy(PolicyRef::Namespaced(one.policy)), Item::Policy(one.by.policy));
            let standing = self.judge.without(wide, |judge| judge.standing(policy))?;
            one.restricts_alone = matches!(standing, Standing::Needed(_));
        }
        Some(())
    }

    fn take(&mut self, item: Item, always: bool, found: &mut Vec<Redundant>, out: &mut Report) {
        let mut covered_by = self.judge.cover.clone();
        if covered_by.iter().any(|r| r.rule.is_some()) {
            covered_by.retain(|r| r.rule.is_some());
        }
        covered_by.sort_unstable();
        let (witness, selects) = self.admits_today(item);
        found.push(Redundant { item, always, covered_by, witness, selects });
        out.undone.extend(self.undone(item));
        self.judge.remove(item);
    }

    /// A flow of today that an item admits, and whether it selects anyone.
    fn admits_today(&mut self, item: Item) -> (Option<Flow>, bool) {
        let rules = |this: &Self, direction| match (item, item.policy()) {
            (Item::Policy(_), PolicyRef::Namespaced(p)) => this.judge.rules_of(p, direction),
            (Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..), _) => vec![rule],
            (Item::Policy(_), PolicyRef::Cluster(_)) => Vec::new(),
        };
        let mut selects = false;
        let part = self.judge.part(item);
        for at in self.judge.stacks_of(item.policy()).iter().copied() {
            let direction = self.judge.stacks[at].direction;
            if !self.judge.stacks[at].real || item.direction().is_some_and(|d| d != direction) {
                continue;
            }
            selects = true;
            if matches!(item.policy(), PolicyRef::Cluster(_)) {
                continue;
            }
            for rule in rules(self, direction) {
                for atom in self.judge.stacks[at].atoms.clone() {
                    if !self.judge.concerns(rule, at, atom) {
                        continue;
                    }
                    let found = self.judge.part_on(part.as_ref(), rule, at, atom);
                    let found = self.judge.existing(&found.possible);
                    if !found.is_empty() {
                        return (self.real(self.judge.witness(at, atom, &found)), true);
                    }
                }
            }
        }
        (None, selects)
    }

    /// Whether a policy that can go was meant to restrict: on its own ports, others pass that it does not let pass.
    fn undone(&mut self, item: Item) -> Option<Undone> {
        let Item::Policy(PolicyRef::Namespaced(policy)) = item else { return None };
        let cover = self.judge.cover.clone();
        let mut beyond: BTreeMap<RuleRef, (Flow, BTreeSet<usize>)> = BTreeMap::new();
        for at in self.judge.stacks_of(item.policy()).iter().copied() {
            if !self.judge.stacks[at].real {
                continue;
            }
            let direction = self.judge.stacks[at].direction;
            let selected: Vec<u32> = self.judge.stacks[at].v1.iter().map(|s| s.policy).collect();
            let others = |r: &&RuleRef| {
                r.rule.is_some()
                    && r.direction == direction
                    && matches!(r.policy, PolicyRef::Namespaced(p) if p != policy && selected.contains(&p))
            };
            let by: Vec<RuleRef> = cover.iter().filter(others).copied().collect();
            if by.is_empty() {
                continue;
            }
            for atom in self.judge.stacks[at].atoms.clone() {
                let own = self.judge.admitted(policy, at, atom);
                if self.judge.existing(&own.possible).is_empty() {
                    continue;
                }
                for rule in &by {
                    let mut extra = self.judge.on(*rule, at, atom).sure.minus(&own.possible);
                    extra.remove(&self.judge.space.outside());
                    extra.remove(&self.judge.alone(at));
                    let extra = self.judge.existing(&extra);
                    if extra.is_empty() {
                        continue;
                    }
                    let Some(flow) = self.real(self.judge.witness(at, atom, &extra)) else { continue };
                    beyond.entry(*rule).or_insert_with(|| (flow, BTreeSet::new())).1.extend(extra.iter());
                }
            }
        }
        let (by, (witness, columns)) = beyond.into_iter().max_by_key(|(_, (_, columns))| columns.len())?;
        let pods = columns.iter().map(|c| self.judge.pods_in(*c)).sum();
        Some(Undone { policy, by, witness, pods, restricts_alone: false })
    }
}
