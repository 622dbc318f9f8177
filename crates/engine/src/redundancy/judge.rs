//! Whether one thing can go: for each stack of policies, what it alone lets pass.
//!
//! A *stack* is what decides for a subject in one direction: the policies that select it, and for ingress its named ports.
//! Subjects with the same stack are judged once. An item is needed if, on some ports, someone is let pass by it and by
//! nothing else in the stack, where no cluster tier and no node decides before NetworkPolicy is asked.

use crate::bits::Bits;
use crate::classes::{ClassId, Classes, Selected};
use crate::reach::columns::Cols;
use crate::redundancy::space::{Atom, OTHER, Shape, Space};
use crate::redundancy::{Item, Open, Standing};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::rc::Rc;
use watertight_model::{Direction, Endpoint, Flow, NodeId, Pod, PodId, PolicyRef, Protocol, RuleRef, Tier};

/// Subjects that the same policies decide for, in one direction.
pub(super) struct Stack<'w> {
    pub(super) direction: Direction,
    pub(super) v1: &'w [Selected],
    pub(super) cluster: &'w [Selected],
    /// One of them: its named ports are those of all.
    pub(super) subject: &'w Pod,
    pub(super) classes: Vec<ClassId>,
    /// They exist.
    pub(super) real: bool,
    /// Whether NetworkPolicy selects them at all is unclear (hostNetwork).
    unclear: bool,
    /// Nodes that they run on; `None`: somebody's is not known.
    nodes: BTreeSet<Option<NodeId>>,
    pub(super) atoms: Vec<Atom>,
}

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
    of_policy: FxHashMap<PolicyRef, Vec<usize>>,
    /// Columns that do not exist today.
    imaginary: Bits,
    pub(super) shapes: FxHashMap<RuleRef, Rc<Shape<'w>>>,
    masks: FxHashMap<(usize, Atom), Rc<Mask>>,
    pub(super) gone: FxHashSet<Item>,
    /// Rules that covered what was asked about.
    pub(super) cover: Vec<RuleRef>,
}

type Key<'w> = (&'w [Selected], &'w [Selected], Vec<(Option<&'w str>, u16, Protocol)>, bool, bool, Direction);

impl<'w> Judge<'w> {
    pub(super) fn new(open: &'w Open, classes: &'w Classes) -> Self {
        let world = &open.world;
        let space = Space::new(world, classes);
        let imaginary = space.classes_without(|p| open.real[p.index()].is_some());
        let mut known: FxHashMap<Key<'w>, usize> = FxHashMap::default();
        let mut stacks: Vec<Stack<'w>> = Vec::new();
        for direction in Direction::BOTH {
            for class in (0..classes.len()).map(ClassId::at) {
                let first = classes.representative(class);
                let (v1, cluster) = (classes.policies_of_class(class, direction), classes.cluster_policies_of(first));
                if v1.is_empty() && cluster.is_empty() {
                    continue;
                }
                let subject = &world.pods[first.index()];
                let names = match direction {
                    Direction::Ingress => {
                        let named = subject.ports.iter().filter(|p| p.name.is_some());
                        named.map(|p| (p.name.as_deref(), p.port, p.protocol)).collect()
                    }
                    Direction::Egress => Vec::new(),
                };
                let real = !imaginary.contains(class.0 as usize);
                let nodes = classes.members(class).iter().map(|p| world.pods[p.index()].node);
                let key = (v1, cluster, names, subject.host_network, real, direction);
                let at = *known.entry(key).or_insert_with(|| {
                    stacks.push(Stack {
                        direction,
                        v1,
                        cluster,
                        subject,
                        classes: Vec::new(),
                        real,
                        unclear: v1.iter().any(|s| !s.causes.is_empty()),
                        nodes: BTreeSet::new(),
                        atoms: Vec::new(),
                    });
                    stacks.len() - 1
                });
                stacks[at].classes.push(class);
                stacks[at].nodes.extend(nodes);
            }
        }
        stacks.sort_by_key(|s| !s.real);
        let mut of_policy: FxHashMap<PolicyRef, Vec<usize>> = FxHashMap::default();
        for (i, stack) in stacks.iter().enumerate() {
            let v1 = stack.v1.iter().map(|s| PolicyRef::Namespaced(s.policy));
            let cluster = stack.cluster.iter().map(|s| PolicyRef::Cluster(s.policy));
            v1.chain(cluster).for_each(|p| of_policy.entry(p).or_default().push(i));
        }
        let mut this = Self {
            space,
            stacks,
            open,
            classes,
            of_policy,
            imaginary,
            shapes: FxHashMap::default(),
            masks: FxHashMap::default(),
            gone: FxHashSet::default(),
            cover: Vec::new(),
        };
        for i in 0..this.stacks.len() {
            this.stacks[i].atoms = this.atoms(i);
        }
        this
    }

    /// Ports that the stack's rules tell apart: where rules begin, one that none names for each protocol, and those
    /// without ports.
    fn atoms(&mut self, at: usize) -> Vec<Atom> {
        let world = &self.open.world;
        let (direction, v1, cluster) = (self.stacks[at].direction, self.stacks[at].v1, self.stacks[at].cluster);
        let subject = self.stacks[at].subject;
        let mut out: Vec<Atom> = Vec::new();
        for s in v1 {
            for rule in self.rules_of(s.policy, direction) {
                let shape = self.shape(rule);
                self.space.bounds(&shape.ports, direction, subject, &mut out);
            }
        }
        for s in cluster {
            for rule in world.cluster_policies[s.policy as usize].rules(direction) {
                self.space.cluster_bounds(rule, direction, subject, &mut out);
            }
        }
        out.sort_unstable();
        out.dedup();
        let rest: Vec<Atom> = Protocol::ALL.iter().filter_map(|p| self.space.another(*p, &out)).collect();
        out.extend(rest);
        out.push(OTHER);
        out.sort_unstable();
        out
    }

    /// From now on the item does not exist.
    pub(super) fn remove(&mut self, item: Item) {
        self.gone.insert(item);
        if let Item::Peer(at, _) | Item::Port(at, _) | Item::Except(at, ..) = item {
            self.shapes.remove(&at);
        }
        if matches!(item.policy(), PolicyRef::Cluster(_)) {
            self.masks.clear();
        }
    }

    /// Whether the item can go. What covers it is in [`Self::cover`] afterwards, if it can.
    pub(super) fn standing(&mut self, item: Item) -> Standing {
        self.cover.clear();
        let stacks = self.of_policy.get(&item.policy()).cloned().unwrap_or_default();
        let mut tomorrow = None;
        for at in stacks {
            if item.direction().is_some_and(|d| d != self.stacks[at].direction) {
                continue;
            }
            let mut atoms = self.stacks[at].atoms.clone();
            if let Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) = item
                && matches!(rule.policy, PolicyRef::Namespaced(_))
            {
                let shape = self.shape(rule);
                atoms.retain(|a| shape.ports.concern(self.space.protocol(*a), *a));
            }
            for atom in atoms {
                let found = self.difference(item, at, atom);
                if found.is_empty() {
                    continue;
                }
                let columns = found.columns();
                let today = columns.minus(&self.imaginary);
                if self.stacks[at].real && !today.is_empty() {
                    return Standing::Needed(self.witness(at, atom, &today));
                }
                if tomorrow.is_none() {
                    tomorrow = Some(self.witness(at, atom, &columns));
                }
            }
        }
        match tomorrow {
            Some(flow) => Standing::Today(Some(flow)),
            None if self.open.exact => Standing::Always,
            None => Standing::Today(None),
        }
    }

    /// Where the verdict is another one without the item.
    fn difference(&mut self, item: Item, at: usize, atom: Atom) -> Difference {
        let PolicyRef::Namespaced(policy) = item.policy() else { return self.cluster_difference(item, at, atom) };
        let mask = self.mask(at, atom);
        let direction = self.stacks[at].direction;
        let subject = self.stacks[at].subject;
        let mut out = match item {
            Item::Policy(_) => self.admitted(policy, at, atom),
            Item::Rule(rule) => self.on(rule, at, atom),
            Item::Peer(rule, _) | Item::Port(rule, _) => {
                let after = self.shape_without(rule, Some(item));
                let (before, after) = (self.on(rule, at, atom), self.space.on(&after, atom, direction, subject));
                lost(&before, &after)
            }
            Item::Except(rule, ..) => {
                let after = self.shape_without(rule, Some(item));
                let (before, after) = (self.on(rule, at, atom), self.space.on(&after, atom, direction, subject));
                lost(&after, &before)
            }
        };
        if self.stacks[at].unclear {
            return self.unclear_difference(item, policy, &out, at, atom, &mask);
        }
        let whole = matches!(item, Item::Policy(_));
        let others = self.others(policy, at);
        if whole && others.is_empty() {
            // Nothing isolates the subject any more: the Baseline tier or the default answers.
            let (opens, denied) = self.baseline(at, atom);
            let everyone = self.space.everyone();
            let sure = differing(&out.sure, &everyone.minus(&denied)).and(&mask.sure);
            return Difference { sure, possible: differing(&out.possible, &opens).and(&mask.possible) };
        }
        out.sure = out.sure.and(&mask.sure);
        out.possible = out.possible.and(&mask.possible);
        let mut rules: Vec<RuleRef> = self.cover.clone();
        for other in others.iter().copied().chain((!whole).then_some(policy)) {
            rules.extend(self.rules_of(other, direction));
        }
        let own = match item {
            Item::Policy(_) => None,
            Item::Rule(rule) | Item::Peer(rule, _) | Item::Port(rule, _) | Item::Except(rule, ..) => Some(rule),
        };
        let selected = |r: &RuleRef| match r.policy {
            PolicyRef::Namespaced(p) => r.rule.is_some() && (others.contains(&p) || (!whole && p == policy)),
            PolicyRef::Cluster(_) => false,
        };
        if whole && !self.cover.iter().any(|c| selected_policy(c, &others)) {
            self.cover.extend(others.first().map(|p| RuleRef {
                policy: PolicyRef::Namespaced(*p),
                direction,
                rule: None,
            }));
        }
        for rule in rules {
            if out.sure.is_empty() && out.possible.is_empty() {
                break;
            }
            if Some(rule) == own || !selected(&rule) {
                continue;
            }
            let covers = self.on(rule, at, atom);
            if covers.sure.intersects(&out.sure) || covers.possible.intersects(&out.possible) {
                out.sure.remove(&covers.sure);
                out.possible.remove(&covers.possible);
                if !self.cover.contains(&rule) {
                    self.cover.push(rule);
                }
            }
        }
        Difference { sure: out.sure, possible: out.possible }
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
        let inner = match item {
            Item::Peer(at, _) | Item::Port(at, _) | Item::Except(at, ..) => Some(at),
            Item::Policy(_) | Item::Rule(_) => None,
        };
        self.gone.insert(item);
        inner.iter().for_each(|at| drop(self.shapes.remove(at)));
        let answer = ask(self);
        self.gone.remove(&item);
        inner.iter().for_each(|at| drop(self.shapes.remove(at)));
        answer
    }

    /// Other policies of the stack that are not gone.
    fn others(&self, policy: u32, at: usize) -> Vec<u32> {
        let all = self.stacks[at].v1.iter().map(|s| s.policy).filter(|p| *p != policy);
        all.filter(|p| !self.gone.contains(&Item::Policy(PolicyRef::Namespaced(*p)))).collect()
    }

    pub(super) fn on(&mut self, rule: RuleRef, at: usize, atom: Atom) -> Cols {
        let shape = self.shape(rule);
        self.space.on(&shape, atom, self.stacks[at].direction, self.stacks[at].subject)
    }

    /// What the rules of one policy admit.
    pub(super) fn admitted(&mut self, policy: u32, at: usize, atom: Atom) -> Cols {
        let mut sum = Cols::default();
        for rule in self.rules_of(policy, self.stacks[at].direction) {
            let cols = self.on(rule, at, atom);
            sum.add(&cols);
        }
        sum
    }

    /// Where NetworkPolicy is asked at all.
    pub(super) fn mask(&mut self, at: usize, atom: Atom) -> Rc<Mask> {
        if let Some(known) = self.masks.get(&(at, atom)) {
            return known.clone();
        }
        let mut mask = self.local(at);
        if !self.stacks[at].cluster.is_empty() {
            let admin = self.tier(Tier::Admin, at, atom, &mut |_| {});
            let mut on = admin.pass.clone();
            on.add(&admin.nothing);
            mask.sure = mask.sure.and(&on.minus(&admin.deny));
            mask.possible = mask.possible.and(&on.minus(&admin.accept));
        }
        let mask = Rc::new(mask);
        self.masks.insert((at, atom), mask.clone());
        mask
    }

    /// Everyone but those who always get in because they are, or may be, on the subject's own node.
    pub(super) fn local(&self, at: usize) -> Mask {
        let everyone = self.space.everyone();
        let mut mask = Mask { sure: everyone.clone(), possible: everyone };
        if self.stacks[at].direction == Direction::Egress {
            return mask;
        }
        let nodes = &self.stacks[at].nodes;
        for column in self.space.on_nodes.iter() {
            let bit = Bits::range(column, column + 1);
            let Some(source) = self.space.node_of(column) else { continue };
            let elsewhere = source.is_some() && nodes.iter().any(|n| n.is_some() && *n != source);
            if !elsewhere {
                mask.possible.remove(&bit);
                if source.is_some() && !nodes.contains(&None) {
                    mask.sure.remove(&bit);
                }
            }
        }
        mask
    }

    /// Without a policy that isolates the subject.
    fn baseline(&mut self, at: usize, atom: Atom) -> (Bits, Bits) {
        if self.stacks[at].cluster.is_empty() {
            return (self.space.everyone(), Bits::none());
        }
        let tier = self.tier(Tier::Baseline, at, atom, &mut |_| {});
        let mut opens = tier.accept;
        opens.add(&tier.pass);
        opens.add(&tier.nothing);
        (opens, tier.deny)
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

    pub(super) fn stacks_of(&self, policy: PolicyRef) -> Vec<usize> {
        self.of_policy.get(&policy).cloned().unwrap_or_default()
    }

    pub(super) fn existing(&self, columns: &Bits) -> Bits {
        columns.minus(&self.imaginary)
    }

    pub(super) fn is_gone(&self, item: Item) -> bool {
        self.gone.contains(&item)
    }
}

fn selected_policy(at: &RuleRef, others: &[u32]) -> bool {
    matches!(at.policy, PolicyRef::Namespaced(p) if others.contains(&p))
}

fn lost(before: &Cols, after: &Cols) -> Cols {
    Cols { sure: before.sure.minus(&after.sure), possible: before.possible.minus(&after.possible) }
}

pub(super) fn differing(a: &Bits, b: &Bits) -> Bits {
    let mut out = a.minus(b);
    out.add(&b.minus(a));
    out
}
