//! Whether one thing can go: for each stack of policies, what it alone lets pass.
//!
//! An item is needed if, on some ports, someone is let pass by it and by nothing else in the stack, where no cluster tier and
//! no node decides before NetworkPolicy is asked.

use crate::bits::Bits;
use crate::classes::{ClassId, Classes};
use crate::reach::columns::Cols;
use crate::redundancy::space::{Atom, OTHER, Shape, Space};
use crate::redundancy::stacks::{Known, Place, Stack};
use crate::redundancy::tiers::Memo;
use crate::redundancy::{Item, Open, Standing, live_rules};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use watertight_model::{Direction, Endpoint, Flow, PodId, PolicyRef, Protocol, RuleRef, Tier};

/// Where an item makes a difference that nothing else in the stack makes.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) sure: Bits,
    pub(super) possible: Bits,
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.sure.is_empty() && self.possible.is_empty()
    }

    pub(super) fn columns(&self) -> Bits {
        let mut out = self.sure.clone();
        out.add(&self.possible);
        out
    }
}

/// Columns for which NetworkPolicy's answer counts.
#[derive(Clone)]
pub(super) struct Mask {
    /// Where it matters whether a rule matches for sure.
    pub(super) sure: Bits,
    /// Where it matters whether one may match.
    pub(super) possible: Bits,
}

pub(super) struct Judge<'w> {
    pub(super) space: Space<'w>,
    pub(super) stacks: Vec<Stack<'w>>,
    pub(super) open: &'w Open,
    classes: &'w Classes,
    /// Stacks of each policy, those of pods that exist first.
    of_policy: FxHashMap<PolicyRef, Rc<[usize]>>,
    /// Columns that do not exist today.
    imaginary: Bits,
    /// Rules of NetworkPolicies that can admit something, by policy, direction and place.
    pub(super) rules: Vec<RuleRef>,
    pub(super) shapes: Vec<Shape<'w>>,
    /// Places in [`Self::rules`].
    of_rules: Vec<[Range<u32>; 2]>,
    locals: FxHashMap<Place, Rc<Mask>>,
    masks: FxHashMap<(Place, u32, Atom), Rc<Mask>>,
    pub(super) memo: Memo,
    pub(super) gone: FxHashSet<Item>,
    /// Rules that covered what was asked about.
    pub(super) cover: Vec<RuleRef>,
    /// Whether there is time left.
    pub(super) more: &'w dyn Fn() -> bool,
}

impl<'w> Judge<'w> {
    pub(super) fn new(open: &'w Open, classes: &'w Classes, more: &'w dyn Fn() -> bool) -> Self {
        let world = &open.world;
        let space = Space::new(world, classes);
        let imaginary = space.classes_without(|p| open.real[p.index()].is_some());
        let stacks = Stack::all(world, classes, &imaginary);
        let mut lists: FxHashMap<PolicyRef, Vec<usize>> = FxHashMap::default();
        for (i, stack) in stacks.iter().enumerate() {
            let v1 = stack.v1.iter().map(|s| PolicyRef::Namespaced(s.policy));
            let cluster = stack.cluster.iter().map(|s| PolicyRef::Cluster(s.policy));
            v1.chain(cluster).for_each(|p| lists.entry(p).or_default().push(i));
        }
        let mut this = Self {
            space,
            stacks,
            open,
            classes,
            of_policy: lists.into_iter().map(|(policy, list)| (policy, list.into())).collect(),
            imaginary,
            rules: Vec::new(),
            shapes: Vec::new(),
            of_rules: Vec::with_capacity(world.policies.len()),
            locals: FxHashMap::default(),
            masks: FxHashMap::default(),
            memo: Memo::default(),
            gone: FxHashSet::default(),
            cover: Vec::new(),
            more,
        };
        for (i, policy) in world.policies.iter().enumerate() {
            let reference = PolicyRef::Namespaced(ClassId::at(i).0);
            let mut ranges = [0..0, 0..0];
            for direction in Direction::BOTH {
                let start = ClassId::at(this.rules.len()).0;
                for rule in 0..live_rules(policy, direction).len() {
                    this.rules.push(RuleRef { policy: reference, direction, rule: u32::try_from(rule).ok() });
                }
                ranges[direction as usize] = start..ClassId::at(this.rules.len()).0;
            }
            this.of_rules.push(ranges);
        }
        for at in this.rules.clone() {
            let shape = this.shape_without(at, None);
            this.shapes.push(shape);
        }
        for i in 0..this.stacks.len() {
            this.fill(i);
        }
        this
    }

    /// Ports that the stack's rules tell apart (where rules begin, one that none names for each protocol, and those without
    /// ports), and the rules on each.
    fn fill(&mut self, at: usize) {
        let world = &self.open.world;
        let (direction, v1, cluster) = (self.stacks[at].direction, self.stacks[at].v1, self.stacks[at].cluster);
        let subject = self.stacks[at].subject;
        let mut atoms: Vec<Atom> = Vec::new();
        let rules: Vec<u32> = v1.iter().flat_map(|s| self.places(s.policy, direction)).collect();
        for rule in &rules {
            self.space.bounds(&self.shapes[*rule as usize].ports, direction, subject, &mut atoms);
        }
        for s in cluster {
            for rule in world.cluster_policies[s.policy as usize].rules(direction) {
                self.space.cluster_bounds(rule, direction, subject, &mut atoms);
            }
        }
        atoms.sort_unstable();
        atoms.dedup();
        let rest: Vec<Atom> = Protocol::ALL.iter().filter_map(|p| self.space.another(*p, &atoms)).collect();
        atoms.extend(rest);
        atoms.push(OTHER);
        atoms.sort_unstable();
        let (space, shapes) = (&self.space, &self.shapes);
        self.stacks[at].fill(atoms, |atom, out| {
            let protocol = space.protocol(atom);
            out.extend(rules.iter().filter(|r| shapes[**r as usize].ports.concern(protocol, atom)));
        });
    }

    /// Rules of a NetworkPolicy, as places in [`Self::rules`]; those that are gone too.
    fn places(&self, policy: u32, direction: Direction) -> Range<u32> {
        self.of_rules[policy as usize][direction as usize].clone()
    }

    /// The place of a rule of a NetworkPolicy.
    pub(super) fn place(&self, rule: RuleRef) -> Option<u32> {
        let PolicyRef::Namespaced(policy) = rule.policy else { return None };
        let range = self.places(policy, rule.direction);
        let place = range.start.checked_add(rule.rule?)?;
        range.contains(&place).then_some(place)
    }

    /// From now on the item does not exist.
    pub(super) fn remove(&mut self, item: Item) {
        self.gone.insert(item);
        self.reshape(item);
        if matches!(item.policy(), PolicyRef::Cluster(_)) {
            self.masks.clear();
            self.memo.clear();
        }
    }

    /// Everything is there again.
    pub(super) fn restore(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        gone.into_iter().for_each(|item| self.reshape(item));
        self.masks.clear();
        self.memo.clear();
    }

    /// What is left of a rule of which a part has gone, or come back.
    fn reshape(&mut self, item: Item) {
        if let Item::Peer(at, _) | Item::Port(at, _) | Item::Except(at, ..) = item
            && let Some(place) = self.place(at)
        {
            self.shapes[place as usize] = self.shape_without(at, None);
        }
    }

    /// Whether the item can go; `None`: there was no time to say. What covers it is in [`Self::cover`] afterwards, if it
    /// can.
    pub(super) fn standing(&mut self, item: Item) -> Option<Standing> {
        self.cover.clear();
        let part = match item {
            Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) => {
                Some(self.shape_without(rule, Some(item)))
            }
            Item::Policy(_) | Item::Rule(_) => None,
        };
        let mut tomorrow = None;
        for at in self.stacks_of(item.policy()).iter().copied() {
            if !(self.more)() {
                return None;
            }
            if item.direction().is_some_and(|d| d != self.stacks[at].direction) {
                continue;
            }
            let concerned = self.concerned(item, at);
            for i in 0..self.stacks[at].atoms.len() {
                let atom = self.stacks[at].atoms[i];
                if concerned.as_ref().is_some_and(|rules| !self.stacks[at].concerns(atom, rules)) {
                    continue;
                }
                let found = self.difference(item, part.as_ref(), at, atom);
                if found.is_empty() {
                    continue;
                }
                let columns = found.columns();
                let today = columns.minus(&self.imaginary);
                if self.stacks[at].real && !today.is_empty() {
                    return Some(Standing::Needed(self.witness(at, atom, &today)));
                }
                if tomorrow.is_none() {
                    tomorrow = Some(self.witness(at, atom, &columns));
                }
            }
        }
        Some(match tomorrow {
            Some(flow) => Standing::Today(Some(flow)),
            None if self.open.exact => Standing::Always,
            None => Standing::Today(None),
        })
    }

    /// The rules of which one has to be on a port for the item to matter there; `None`: it may matter on all.
    fn concerned(&mut self, item: Item, at: usize) -> Option<Range<u32>> {
        let PolicyRef::Namespaced(policy) = item.policy() else { return None };
        let direction = self.stacks[at].direction;
        match item {
            Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) => {
                let place = self.place(rule)?;
                Some(place..place + 1)
            }
            Item::Policy(_) if self.stacks[at].unclear => None,
            Item::Policy(_) => {
                let other = self.others(policy, at).next()?;
                // Others isolate the subjects as well.
                let here = |c: &RuleRef| self.others(policy, at).any(|p| c.policy == PolicyRef::Namespaced(p));
                if !self.cover.iter().any(here) {
                    self.cover.push(RuleRef { policy: PolicyRef::Namespaced(other), direction, rule: None });
                }
                Some(self.places(policy, direction))
            }
        }
    }

    /// Where the verdict is another one without the item; `part` is what would be left of its rule.
    fn difference(&mut self, item: Item, part: Option<&Shape<'w>>, at: usize, atom: Atom) -> Difference {
        let PolicyRef::Namespaced(policy) = item.policy() else { return self.cluster_difference(item, at, atom) };
        let mask = self.mask(at, atom);
        let (direction, subject) = (self.stacks[at].direction, self.stacks[at].subject);
        let lost = match (item, part) {
            (Item::Policy(_), _) => Cow::Owned(self.admitted(policy, at, atom)),
            (Item::Peer(rule, _) | Item::Port(rule, _), Some(part)) => {
                Cow::Owned(lost(&self.on(rule, at, atom), &self.space.on(part, atom, direction, subject)))
            }
            (Item::Except(rule, ..), Some(part)) => {
                Cow::Owned(lost(&self.space.on(part, atom, direction, subject), &self.on(rule, at, atom)))
            }
            (Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..), _) => {
                self.on(rule, at, atom)
            }
        };
        if self.stacks[at].unclear {
            let lost = lost.into_owned();
            return self.unclear_difference(item, policy, &lost, at, atom, &mask);
        }
        let whole = matches!(item, Item::Policy(_));
        if whole && self.others(policy, at).next().is_none() {
            // Nothing isolates the subject any more: the Baseline tier or the default answers.
            let lost = lost.into_owned();
            let (opens, denied) = self.baseline(at, atom);
            let everyone = self.space.everyone();
            let sure = differing(&lost.sure, &everyone.minus(&denied)).and(&mask.sure);
            return Difference { sure, possible: differing(&lost.possible, &opens).and(&mask.possible) };
        }
        let (mut sure, mut possible) = (lost.sure.and(&mask.sure), lost.possible.and(&mask.possible));
        let own = match item {
            Item::Policy(_) => None,
            Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) => Some(rule),
        };
        // Rules that cover something already, then those of other policies, then of the same.
        let cell = self.stacks[at].cell(atom);
        let here = |r: &RuleRef| self.place(*r).is_some_and(|place| cell.binary_search(&place).is_ok());
        let (rules, of_item) = (&self.rules, item.policy());
        let of = |mine: bool| {
            let all = cell.iter().map(move |place| rules[*place as usize]);
            all.filter(move |r| (r.policy == of_item) == mine)
        };
        let known = self.cover.iter().copied().filter(here);
        let mut new: Vec<RuleRef> = Vec::new();
        for rule in known.chain(of(false)).chain(of(true).filter(|_| !whole)) {
            if sure.is_empty() && possible.is_empty() {
                break;
            }
            if Some(rule) == own || !self.is_there(rule) {
                continue;
            }
            let covers = self.on(rule, at, atom);
            if covers.sure.intersects(&sure) || covers.possible.intersects(&possible) {
                sure.remove(&covers.sure);
                possible.remove(&covers.possible);
                new.push(rule);
            }
        }
        for rule in new {
            if !self.cover.contains(&rule) {
                self.cover.push(rule);
            }
        }
        Difference { sure, possible }
    }

    /// hostNetwork subjects: on the reading that a policy selects them it does so alone, so what is sure is what every one
    /// admits; that nothing selects them is possible always.
    fn unclear_difference(
        &mut self,
        item: Item,
        policy: u32,
        lost: &Cols,
        at: usize,
        atom: Atom,
        mask: &Mask,
    ) -> Difference {
        let mut common = self.space.everyone().and(&mask.sure);
        for other in self.others(policy, at) {
            common = common.and(&self.admitted(other, at, atom).sure);
        }
        let sure = match item {
            Item::Policy(_) => common.minus(&lost.sure),
            Item::Rule(_) | Item::Peer(..) | Item::Port(..) => {
                self.without(item, |this| common.minus(&this.admitted(policy, at, atom).sure)).and(&lost.sure)
            }
            Item::Except(..) => common.and(&lost.sure).minus(&self.admitted(policy, at, atom).sure),
        };
        Difference { sure, possible: Bits::none() }
    }

    /// Asks as if the item did not exist.
    pub(super) fn without<T>(&mut self, item: Item, ask: impl FnOnce(&mut Self) -> T) -> T {
        let cluster = matches!(item.policy(), PolicyRef::Cluster(_));
        self.gone.insert(item);
        self.reshape(item);
        if cluster {
            self.memo.enter(item);
        }
        let answer = ask(self);
        if cluster {
            self.memo.leave();
        }
        self.gone.remove(&item);
        self.reshape(item);
        answer
    }

    /// Other policies of the stack that are not gone.
    fn others(&self, policy: u32, at: usize) -> impl Iterator<Item = u32> + '_ {
        let all = self.stacks[at].v1.iter().map(|s| s.policy).filter(move |p| *p != policy);
        all.filter(|p| !self.gone.contains(&Item::Policy(PolicyRef::Namespaced(*p))))
    }

    /// Neither the rule nor its policy is gone.
    fn is_there(&self, rule: RuleRef) -> bool {
        self.gone.is_empty()
            || !(self.gone.contains(&Item::Policy(rule.policy)) || self.gone.contains(&Item::Rule(rule)))
    }

    /// Whom a rule admits; nobody if it can admit no one.
    pub(super) fn on(&self, rule: RuleRef, at: usize, atom: Atom) -> Cow<'_, Cols> {
        let Some(place) = self.place(rule) else { return Cow::Owned(Cols::default()) };
        let stack = &self.stacks[at];
        self.space.on(&self.shapes[place as usize], atom, stack.direction, stack.subject)
    }

    /// The rule is one of the stack's and may match on the port.
    pub(super) fn concerns(&self, rule: RuleRef, at: usize, atom: Atom) -> bool {
        self.place(rule).is_some_and(|place| self.stacks[at].concerns(atom, &(place..place + 1)))
    }

    /// Rules of a stack on a port that are not gone.
    pub(super) fn rules_at(&self, at: usize, atom: Atom) -> impl Iterator<Item = RuleRef> + '_ {
        let all = self.stacks[at].cell(atom).iter().map(|place| self.rules[*place as usize]);
        all.filter(|r| self.is_there(*r))
    }

    /// What the rules of one policy admit.
    pub(super) fn admitted(&self, policy: u32, at: usize, atom: Atom) -> Cols {
        let mut sum = Cols::default();
        for rule in self.rules_at(at, atom).filter(|r| r.policy == PolicyRef::Namespaced(policy)) {
            sum.add(&self.on(rule, at, atom));
        }
        sum
    }

    /// Where NetworkPolicy is asked at all.
    pub(super) fn mask(&mut self, at: usize, atom: Atom) -> Rc<Mask> {
        if self.stacks[at].cluster.is_empty() {
            return self.local(at);
        }
        let key = (self.stacks[at].place, self.stacks[at].group, atom);
        if let Some(known) = self.masks.get(&key) {
            return known.clone();
        }
        let mut mask = (*self.local(at)).clone();
        let admin = self.tier(Tier::Admin, at, atom);
        let mut on = admin.pass.clone();
        on.add(&admin.nothing);
        mask.sure = mask.sure.and(&on.minus(&admin.deny));
        mask.possible = mask.possible.and(&on.minus(&admin.accept));
        let mask = Rc::new(mask);
        self.masks.insert(key, mask.clone());
        mask
    }

    /// Everyone but those who always get in because they are, or may be, on the subject's own node.
    pub(super) fn local(&mut self, at: usize) -> Rc<Mask> {
        let place = self.stacks[at].place;
        if let Some(known) = self.locals.get(&place) {
            return known.clone();
        }
        let everyone = self.space.everyone();
        let mut mask = Mask { sure: everyone.clone(), possible: everyone };
        if place.direction == Direction::Ingress {
            for column in self.space.on_nodes.iter() {
                let bit = Bits::range(column, column + 1);
                let Some(source) = self.space.node_of(column) else { continue };
                let elsewhere = match (source, place.known) {
                    (None, _) | (_, Known::No) => false,
                    (Some(source), Known::One(node)) => source != node,
                    (Some(_), Known::Several) => true,
                };
                if !elsewhere {
                    mask.possible.remove(&bit);
                    if source.is_some() && !place.somewhere {
                        mask.sure.remove(&bit);
                    }
                }
            }
        }
        let mask = Rc::new(mask);
        self.locals.insert(place, mask.clone());
        mask
    }

    /// Without a policy that isolates the subject.
    fn baseline(&mut self, at: usize, atom: Atom) -> (Bits, Bits) {
        if self.stacks[at].cluster.is_empty() {
            return (self.space.everyone(), Bits::none());
        }
        let tier = self.tier(Tier::Baseline, at, atom);
        let mut opens = tier.accept.clone();
        opens.add(&tier.pass);
        opens.add(&tier.nothing);
        (opens, tier.deny.clone())
    }

    /// A flow of a stack's subject with someone of these columns, on these ports.
    pub(super) fn witness(&self, at: usize, atom: Atom, columns: &Bits) -> Flow {
        let stack = &self.stacks[at];
        let column = columns.iter().next().unwrap_or(0);
        let other = self.space.endpoint(column);
        let from_node = self.space.node_of(column).flatten();
        let members = || stack.classes.iter().flat_map(|c| self.classes.members(*c)).copied();
        let elsewhere = |p: &PodId| from_node.is_none() || self.open.world.pods[p.index()].node != from_node;
        let real = |p: &PodId| !stack.real || self.open.real[p.index()].is_some();
        let subject = members().find(|p| real(p) && elsewhere(p)).or_else(|| members().next());
        let subject = Endpoint::Pod(subject.unwrap_or(PodId(0)));
        let (from, to) = match stack.direction {
            Direction::Ingress => (other, subject),
            Direction::Egress => (subject, other),
        };
        Flow { from, to, l4: self.space.l4(atom), via_service: from == to }
    }

    /// Pods of a column that exist; one for what is not a class.
    pub(super) fn pods_in(&self, column: usize) -> usize {
        if column >= self.classes.len() {
            return 1;
        }
        let members = self.classes.members(ClassId::at(column));
        members.iter().filter(|p| self.open.real[p.index()].is_some()).count()
    }

    /// One pod of each class of the stack, of those that exist, in the world given.
    pub(super) fn real_subjects(&self, at: usize) -> Vec<PodId> {
        let first = |c: &ClassId| self.classes.members(*c).iter().find_map(|p| self.open.real[p.index()]);
        self.stacks[at].classes.iter().filter_map(first).collect()
    }

    /// Classes of the stack's subjects that are one pod: their traffic with themselves is no other pod's.
    pub(super) fn alone(&self, at: usize) -> Bits {
        let mut single: Vec<u32> =
            self.stacks[at].classes.iter().filter(|c| self.pods_in(c.0 as usize) == 1).map(|c| c.0).collect();
        single.sort_unstable();
        Bits::from_sorted(&single)
    }

    pub(super) fn is_unclear(&self, at: usize) -> bool {
        self.stacks[at].unclear
    }

    pub(super) fn stacks_of(&self, policy: PolicyRef) -> Rc<[usize]> {
        self.of_policy.get(&policy).cloned().unwrap_or_default()
    }

    pub(super) fn existing(&self, columns: &Bits) -> Bits {
        columns.minus(&self.imaginary)
    }

    pub(super) fn is_gone(&self, item: Item) -> bool {
        self.gone.contains(&item)
    }
}

fn lost(before: &Cols, after: &Cols) -> Cols {
    Cols { sure: before.sure.minus(&after.sure), possible: before.possible.minus(&after.possible) }
}

pub(super) fn differing(a: &Bits, b: &Bits) -> Bits {
    let mut out = a.minus(b);
    out.add(&b.minus(a));
    out
}
