//! Cluster tiers over stacks: which rule takes which flow, and what a verdict is with and without a rule or a policy.

use crate::bits::Bits;
use crate::peers::Effect;
use crate::reach::columns::Cols;
use crate::redundancy::Item;
use crate::redundancy::judge::{Difference, Judge, differing};
use crate::redundancy::space::Atom;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use watertight_model::{PolicyRef, RuleRef, Tier};

/// What tiers do, by group of stacks and port, as long as nothing is removed.
#[derive(Default)]
pub(super) struct Memo {
    known: FxHashMap<(u32, Atom, Tier), Rc<BitMay>>,
    /// The same without one item.
    without: FxHashMap<(u32, Atom, Tier), Rc<BitMay>>,
    item: Option<Item>,
    /// Whether that item makes a difference in some tier.
    differs: FxHashMap<(u32, Atom), bool>,
}

impl Memo {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// From now on, until [`Self::leave`], answers are those without the item.
    pub(super) fn enter(&mut self, item: Item) {
        if self.item != Some(item) {
            self.item = Some(item);
            self.without.clear();
            self.differs.clear();
        }
        std::mem::swap(&mut self.known, &mut self.without);
    }

    pub(super) fn leave(&mut self) {
        std::mem::swap(&mut self.known, &mut self.without);
    }
}

/// Columns by what a tier may do to them; each column is in at least one of the four.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct BitMay {
    pub(super) accept: Bits,
    pub(super) deny: Bits,
    pub(super) pass: Bits,
    pub(super) nothing: Bits,
}

/// A rule that is asked, in the order of evaluation.
pub(super) struct Asked<'a> {
    pub(super) rule: RuleRef,
    pub(super) effect: Effect,
    /// Whom it matches.
    pub(super) matches: &'a Cols,
    /// Those of them that nothing before has taken.
    pub(super) reached: &'a Cols,
}

/// What policies of one priority do each for themselves, on those whom nothing before has taken.
pub(super) type Group = Vec<(u32, BitMay)>;

fn union(a: &Bits, b: &Bits) -> Bits {
    let mut out = a.clone();
    out.add(b);
    out
}

impl BitMay {
    fn untouched(everyone: Bits) -> Self {
        Self { nothing: everyone, ..Self::default() }
    }

    /// Row 143: Deny before Pass before Accept.
    fn most_restrictive(a: &Self, b: &Self) -> Self {
        let open = |m: &Self| union(&m.accept, &m.nothing);
        let kept = |m: &Self| union(&open(m), &m.pass);
        Self {
            deny: union(&a.deny, &b.deny),
            pass: union(&a.pass.and(&kept(b)), &b.pass.and(&kept(a))),
            accept: union(&a.accept.and(&open(b)), &b.accept.and(&open(a))),
            nothing: a.nothing.and(&b.nothing),
        }
    }

    /// The second is asked where the first did nothing.
    fn then(a: &Self, b: &Self) -> Self {
        let on = |set: &Bits| a.nothing.and(set);
        Self {
            accept: union(&a.accept, &on(&b.accept)),
            deny: union(&a.deny, &on(&b.deny)),
            pass: union(&a.pass, &on(&b.pass)),
            nothing: on(&b.nothing),
        }
    }

    fn by_effect(&self) -> [(Effect, &Bits); 3] {
        [(Effect::Accept, &self.accept), (Effect::Pass, &self.pass), (Effect::Deny, &self.deny)]
    }

    /// Where two policies may do different things.
    pub(super) fn conflict(&self, other: &Self) -> Bits {
        let mut out = Bits::none();
        for (mine, columns) in self.by_effect() {
            for (theirs, others) in other.by_effect() {
                if mine != theirs {
                    out.add(&columns.and(others));
                }
            }
        }
        out
    }
}

impl Judge<'_> {
    /// What a tier may do to whom, for one stack and one port.
    pub(super) fn tier(&mut self, tier: Tier, at: usize, atom: Atom) -> Rc<BitMay> {
        let key = (self.stacks[at].group, atom, tier);
        if let Some(known) = self.memo.known.get(&key) {
            return known.clone();
        }
        let sum = Rc::new(self.tier_by_priority(tier, at, atom, &mut |_| {}, &mut |_| {}));
        self.memo.known.insert(key, sum.clone());
        sum
    }

    /// As [`Self::tier`], telling which rule is asked about whom, and the policies of each priority apart.
    pub(super) fn tier_by_priority(
        &mut self,
        tier: Tier,
        at: usize,
        atom: Atom,
        asked: &mut dyn FnMut(Asked<'_>),
        groups: &mut dyn FnMut(Group),
    ) -> BitMay {
        let world = self.space.world;
        let everyone = self.space.everyone();
        let selected = self.stacks[at].cluster;
        let policy = |s: &crate::classes::Selected| &world.cluster_policies[s.policy as usize];
        let of_tier: Vec<_> = selected
            .iter()
            .filter(|s| policy(s).tier == tier && !self.is_gone(Item::Policy(PolicyRef::Cluster(s.policy))))
            .collect();
        let (direction, subject) = (self.stacks[at].direction, self.stacks[at].subject);
        let mut sum = BitMay::untouched(everyone.clone());
        for same in of_tier.chunk_by(|a, b| policy(a).priority == policy(b).priority) {
            let mut together: Option<BitMay> = None;
            let mut group = Group::new();
            for s in same {
                let mut own = BitMay::untouched(everyone.clone());
                for (i, rule) in policy(s).rules(direction).iter().enumerate() {
                    let reference =
                        RuleRef { policy: PolicyRef::Cluster(s.policy), direction, rule: u32::try_from(i).ok() };
                    if self.is_gone(Item::Rule(reference)) {
                        continue;
                    }
                    let (matches, effect) = self.space.cluster_on(tier, (reference, rule), atom, subject);
                    let live = own.nothing.and(&matches.possible);
                    let before = sum.nothing.and(&own.nothing);
                    let reached = matches.and(&before);
                    asked(Asked { rule: reference, effect, matches: &matches, reached: &reached });
                    match effect {
                        Effect::Accept => own.accept.add(&live),
                        Effect::Deny => own.deny.add(&live),
                        Effect::Pass => own.pass.add(&live),
                    }
                    own.nothing.remove(&matches.sure);
                }
                if !s.causes.is_empty() {
                    own.nothing = everyone.clone();
                }
                together = Some(together.map_or_else(|| own.clone(), |t| BitMay::most_restrictive(&t, &own)));
                if same.len() > 1 {
                    let on = |set: &Bits| sum.nothing.and(set);
                    let seen = BitMay {
                        accept: on(&own.accept),
                        deny: on(&own.deny),
                        pass: on(&own.pass),
                        nothing: on(&own.nothing),
                    };
                    group.push((s.policy, seen));
                }
            }
            if let Some(next) = together {
                sum = BitMay::then(&sum, &next);
            }
            if !group.is_empty() {
                groups(group);
            }
        }
        sum
    }

    /// Who may pass and who may be denied, on one side, whatever is local.
    fn half(&mut self, at: usize, atom: Atom) -> (Bits, Bits) {
        let admin = self.tier(Tier::Admin, at, atom);
        let on = union(&admin.pass, &admin.nothing);
        let isolates = |p: u32| !self.is_gone(Item::Policy(PolicyRef::Namespaced(p)));
        let (opens, denied) = if !self.stacks[at].v1.iter().any(|s| isolates(s.policy)) {
            let tier = self.tier(Tier::Baseline, at, atom);
            (union(&union(&tier.accept, &tier.pass), &tier.nothing), tier.deny.clone())
        } else {
            let admitted = self.network_policies(at, atom);
            (admitted.possible, self.space.everyone().minus(&admitted.sure))
        };
        (union(&admin.accept, &on.and(&opens)), union(&admin.deny, &on.and(&denied)))
    }

    /// What the NetworkPolicies of a stack admit together.
    pub(super) fn network_policies(&self, at: usize, atom: Atom) -> Cols {
        let mut sum = Cols::default();
        for rule in self.rules_at(at, atom) {
            sum.add(&self.on(rule, at, atom));
        }
        sum
    }

    /// Where the verdict is another one without a cluster policy or one of its rules.
    pub(super) fn cluster_difference(&mut self, item: Item, at: usize, atom: Atom) -> Difference {
        let key = (self.stacks[at].group, atom);
        // Most stacks share what their tiers do, and in most places one rule less makes no difference there.
        let known = self.memo.differs.get(&key).copied().filter(|_| self.memo.item == Some(item));
        let differs = known.unwrap_or_else(|| {
            let tiers = [Tier::Admin, Tier::Baseline];
            let before = tiers.map(|tier| self.tier(tier, at, atom));
            let after = self.without(item, |this| tiers.map(|tier| this.tier(tier, at, atom)));
            let differs = before != after;
            self.memo.differs.insert(key, differs);
            differs
        });
        if !differs {
            return Difference::default();
        }
        let (opens, denied) = self.half(at, atom);
        let (opens_after, denied_after) = self.without(item, |this| this.half(at, atom));
        let mask = self.local(at);
        Difference {
            sure: differing(&denied, &denied_after).and(&mask.sure),
            possible: differing(&opens, &opens_after).and(&mask.possible),
        }
    }
}
