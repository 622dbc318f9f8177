//! What of a world can be deleted together, what covers it, and how the tiers undo each other.

use crate::bits::Bits;
use crate::classes::Classes;
use crate::peers::Effect;
use crate::redundancy::judge::Judge;
use crate::redundancy::space::Atom;
use crate::redundancy::{Item, Open, Standing};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Direction, Endpoint, Flow, PodId, PolicyRef, RuleRef, Tier, World};

/// All of it, each list in the order of the world. Flows and pods are of the world given.
#[derive(Clone, Debug, Default)]
pub struct Report {
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

/// Flows of a tie that are kept.
const TIE_FLOWS: usize = 16;

/// Computes it.
pub fn report(world: &World) -> Report {
    let open = Open::of(world);
    let classes = Classes::of(&open.world);
    let mut judge = Judge::new(&open, &classes);
    let mut out = Report::default();
    let mut reporter = Reporter { open: &open, judge: &mut judge };
    if !world.cluster_policies.is_empty() {
        reporter.tiers(&mut out);
    }
    reporter.redundant(&mut out);
    out
}

/// What is gathered along the way.
struct Reporter<'a, 'w> {
    open: &'w Open,
    judge: &'a mut Judge<'w>,
}

/// What is gathered about one cluster rule.
#[derive(Default)]
struct Use {
    matches_today: Option<Flow>,
    decides_today: bool,
    decides: bool,
    isolated: bool,
    denies: Option<Flow>,
    denies_pods: Option<Flow>,
    taken_by: Vec<RuleRef>,
}

impl Reporter<'_, '_> {
    /// A flow of the open world in the world given.
    fn real(&self, flow: Flow) -> Option<Flow> {
        let end = |e: Endpoint| match e {
            Endpoint::Pod(id) => self.open.real[id.index()].map(Endpoint::Pod),
            Endpoint::Node(_) | Endpoint::External(_) => Some(e),
        };
        Some(Flow { from: end(flow.from)?, to: end(flow.to)?, ..flow })
    }

    fn redundant(&mut self, out: &mut Report) {
        let items = self.judge.items();
        let mut always = Vec::new();
        let mut today = Vec::new();
        for item in items {
            match self.judge.standing(item) {
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
        backwards(&mut today);
        let mut found: Vec<Redundant> = Vec::new();
        let mut later = Vec::new();
        for item in always {
            if !self.judge.is_out(item) {
                match self.judge.standing(item) {
                    Standing::Always => self.take(item, true, &mut found, out),
                    // What covered it is gone, and today that does not matter.
                    Standing::Today(_) => later.push(item),
                    Standing::Needed(_) => {}
                }
            }
        }
        today.append(&mut later);
        backwards(&mut today);
        for item in today {
            if !self.judge.is_out(item) && !matches!(self.judge.standing(item), Standing::Needed(_)) {
                self.take(item, false, &mut found, out);
            }
        }
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
        for at in self.judge.stacks_of(item.policy()) {
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
                    let found = self.judge.part_on(item, rule, at, atom);
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
        for at in self.judge.stacks_of(item.policy()) {
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
        Some(Undone { policy, by, witness, pods })
    }

    /// One walk over all stacks with cluster policies.
    fn tiers(&mut self, out: &mut Report) {
        let world = &self.open.world;
        let mut uses: BTreeMap<RuleRef, Use> = BTreeMap::new();
        for (i, policy) in world.cluster_policies.iter().enumerate() {
            for direction in Direction::BOTH {
                for j in 0..policy.rules(direction).len() {
                    let policy = PolicyRef::Cluster(PodId::at(i).0);
                    uses.insert(RuleRef { policy, direction, rule: u32::try_from(j).ok() }, Use::default());
                }
            }
        }
        let mut ties: BTreeMap<[u32; 2], Vec<Flow>> = BTreeMap::new();
        let mut overriding: BTreeMap<RuleRef, (Flow, BTreeSet<PodId>)> = BTreeMap::new();
        let mut overridden: BTreeMap<RuleRef, Option<(Flow, Vec<RuleRef>)>> = BTreeMap::new();
        for at in 0..self.judge.stacks.len() {
            for atom in self.judge.stacks[at].atoms.clone() {
                if self.judge.stacks[at].cluster.is_empty() {
                    self.not_overridden(at, atom, &mut overridden);
                    continue;
                }
                let asked = self.walk(at, atom, &mut uses, &mut ties);
                if self.judge.stacks[at].real && !self.judge.stacks[at].v1.is_empty() {
                    self.overriding(at, atom, &asked, &mut overriding);
                    self.overridden(at, atom, &asked, &mut overridden);
                }
            }
        }
        out.rules = uses
            .into_iter()
            .map(|(rule, u)| ClusterRuleUse {
                rule,
                matches_today: u.matches_today.is_some(),
                decides_today: u.decides_today,
                decides: u.decides,
                witness: u.matches_today,
                taken_by: u.taken_by,
                isolated: u.isolated,
                denies: u.denies,
                denies_pods: u.denies_pods,
            })
            .collect();
        out.ties = ties.into_iter().map(|(policies, witnesses)| Tie { policies, witnesses }).collect();
        out.overriding = overriding
            .into_iter()
            .map(|(rule, (witness, pods))| Overriding { rule, subjects: pods.into_iter().collect(), witness })
            .collect();
        out.overridden = overridden
            .into_iter()
            .filter_map(|(rule, found)| found.map(|(witness, by)| Overridden { rule, by, witness }))
            .collect();
    }

    /// Who is asked about whom, Admin then Baseline, for one stack and port.
    fn walk(
        &mut self,
        at: usize,
        atom: Atom,
        uses: &mut BTreeMap<RuleRef, Use>,
        ties: &mut BTreeMap<[u32; 2], Vec<Flow>>,
    ) -> Admin {
        let local = self.judge.local(at).possible;
        let mut asked: Vec<(RuleRef, Effect, Bits, Bits, Bits)> = Vec::new();
        let mut groups = Vec::new();
        let admin = self.judge.tier_by_priority(
            Tier::Admin,
            at,
            atom,
            &mut |a| {
                let (possible, reached) = (a.matches.possible.clone(), a.reached.possible.clone());
                asked.push((a.rule, a.effect, possible, reached, a.reached.sure.clone()));
            },
            &mut |g| groups.push(g),
        );
        let count = asked.len();
        let mut on = admin.pass.clone();
        on.add(&admin.nothing);
        let isolated = !self.judge.stacks[at].v1.is_empty() && !self.judge.is_unclear(at);
        self.judge.tier_by_priority(
            Tier::Baseline,
            at,
            atom,
            &mut |a| {
                let reached = if isolated { Bits::none() } else { a.reached.possible.and(&on) };
                let sure = if isolated { Bits::none() } else { a.reached.sure.and(&on) };
                asked.push((a.rule, a.effect, a.matches.possible.clone(), reached, sure));
            },
            &mut |g| groups.push(g),
        );
        let real = self.judge.stacks[at].real;
        for (i, (rule, effect, matches, reached, _)) in asked.iter().enumerate() {
            let Some(this) = uses.get_mut(rule) else { continue };
            let today = self.judge.existing(&matches.and(&local));
            if this.matches_today.is_none() && real && !today.is_empty() {
                let flow = self.judge.witness(at, atom, &today);
                this.matches_today = self.real(flow);
            }
            this.decides |= !reached.is_empty();
            this.decides_today |= real && !self.judge.existing(&reached.and(&local)).is_empty();
            if real && *effect == Effect::Deny {
                let hit = self.judge.existing(&reached.and(&local));
                let pods = hit.minus(&self.judge.space.outside());
                for (place, columns) in [(&mut this.denies, hit), (&mut this.denies_pods, pods)] {
                    if place.is_none() && !columns.is_empty() {
                        *place = self.real(self.judge.witness(at, atom, &columns));
                    }
                }
            }
            this.isolated |= real && isolated && i >= count && !today.is_empty();
            let taken = matches.minus(reached);
            if real && !today.is_empty() && !taken.is_empty() && !this.decides_today {
                let takes = asked[..i].iter().filter(|(_, _, _, _, sure)| sure.intersects(&taken));
                for (by, ..) in takes {
                    if !this.taken_by.contains(by) {
                        this.taken_by.push(*by);
                    }
                }
            }
        }
        if real {
            for group in &groups {
                for (i, (p, a)) in group.iter().enumerate() {
                    for (q, b) in &group[i + 1..] {
                        let columns = self.judge.existing(&a.conflict(b).and(&local));
                        if columns.is_empty() {
                            continue;
                        }
                        let list = ties.entry([*p, *q]).or_default();
                        if list.len() < TIE_FLOWS {
                            list.extend(self.real(self.judge.witness(at, atom, &columns)));
                        }
                    }
                }
            }
        }
        let mut accepts: Vec<(RuleRef, Bits)> = Vec::new();
        let mut denies: Vec<(RuleRef, Bits)> = Vec::new();
        for (rule, effect, _, _, sure) in asked.into_iter().take(count) {
            match effect {
                Effect::Accept => accepts.push((rule, sure)),
                Effect::Deny => denies.push((rule, sure)),
                Effect::Pass => {}
            }
        }
        let accepted = admin.accept.minus(&admin.deny).minus(&on);
        let denied = admin.deny.minus(&admin.accept).minus(&on);
        Admin { accepts, denies, accepted, denied, local }
    }

    fn overriding(
        &mut self,
        at: usize,
        atom: Atom,
        admin: &Admin,
        sum: &mut BTreeMap<RuleRef, (Flow, BTreeSet<PodId>)>,
    ) {
        if self.judge.is_unclear(at) || admin.accepted.is_empty() {
            return;
        }
        let own = self.judge.network_policies(at, atom);
        let gain = self.judge.existing(&admin.accepted.minus(&own.possible).and(&admin.local));
        for (rule, sure) in &admin.accepts {
            let columns = sure.and(&gain);
            if columns.is_empty() {
                continue;
            }
            let Some(flow) = self.real(self.judge.witness(at, atom, &columns)) else { continue };
            let subjects = self.judge.real_subjects(at);
            sum.entry(*rule).or_insert_with(|| (flow, BTreeSet::new())).1.extend(subjects);
        }
    }

    fn overridden(
        &mut self,
        at: usize,
        atom: Atom,
        admin: &Admin,
        sum: &mut BTreeMap<RuleRef, Option<(Flow, Vec<RuleRef>)>>,
    ) {
        let stack = &self.judge.stacks[at];
        let (v1, direction) = (stack.v1, stack.direction);
        for s in v1 {
            for rule in self.judge.rules_of(s.policy, direction) {
                if matches!(sum.get(&rule), Some(None)) {
                    continue;
                }
                let covers = self.judge.on(rule, at, atom).possible.and(&admin.local);
                let covers = self.judge.existing(&covers);
                if covers.is_empty() {
                    continue;
                }
                if !covers.minus(&admin.denied).is_empty() {
                    sum.insert(rule, None);
                    continue;
                }
                let Some(flow) = self.real(self.judge.witness(at, atom, &covers)) else { continue };
                let entry = sum.entry(rule).or_insert_with(|| Some((flow, Vec::new())));
                if let Some((_, by)) = entry {
                    let deniers = admin.denies.iter().filter(|(_, sure)| sure.intersects(&covers)).map(|(r, _)| *r);
                    let new: Vec<RuleRef> = deniers.filter(|r| !by.contains(r)).collect();
                    by.extend(new);
                }
            }
        }
    }

    /// No cluster policy: what the rules of the stack admit is admitted.
    fn not_overridden(&mut self, at: usize, atom: Atom, sum: &mut BTreeMap<RuleRef, Option<(Flow, Vec<RuleRef>)>>) {
        let stack = &self.judge.stacks[at];
        if !stack.real {
            return;
        }
        let (v1, direction) = (stack.v1, stack.direction);
        for s in v1 {
            for rule in self.judge.rules_of(s.policy, direction) {
                if matches!(sum.get(&rule), Some(None)) {
                    continue;
                }
                let covers = self.judge.on(rule, at, atom).possible;
                if !self.judge.existing(&covers).is_empty() {
                    sum.insert(rule, None);
                }
            }
        }
    }
}

/// What the Admin tier does for one stack and port.
struct Admin {
    accepts: Vec<(RuleRef, Bits)>,
    denies: Vec<(RuleRef, Bits)>,
    accepted: Bits,
    denied: Bits,
    local: Bits,
}
