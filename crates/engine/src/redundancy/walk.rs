//! How the tiers undo each other: which rules of cluster policies ever decide, and what they take from NetworkPolicies.

use crate::bits::Bits;
use crate::peers::Effect;
use crate::redundancy::report::{ClusterRuleUse, Overridden, Overriding, Report, Reporter, Tie};
use crate::redundancy::space::Atom;
use crate::redundancy::stacks::Place;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use watertight_model::{Direction, Flow, PodId, PolicyRef, RuleRef, Tier};

/// Flows of a tie that are kept.
const TIE_FLOWS: usize = 16;

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
    /// One walk over all stacks with cluster policies.
    ///
    /// `None`: there was no time for all; then nothing is said, as "never decides" holds only of the whole.
    pub(super) fn tiers(&mut self, out: &mut Report) -> Option<()> {
        let world = &self.judge.open.world;
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
        let mut walks: FxHashMap<Same, Rc<Walk>> = FxHashMap::default();
        for at in 0..self.judge.stacks.len() {
            if !(self.judge.more)() {
                return None;
            }
            for atom in self.judge.stacks[at].atoms.clone() {
                if self.judge.stacks[at].cluster.is_empty() {
                    self.not_overridden(at, atom, &mut overridden);
                    continue;
                }
                let stack = &self.judge.stacks[at];
                let isolated = !stack.v1.is_empty() && !stack.unclear;
                let same = (stack.group, atom, stack.place, isolated, stack.real);
                let asked = match walks.get(&same) {
                    Some(known) => known.clone(),
                    None => {
                        let new = Rc::new(self.walk(at, atom, isolated, &mut uses));
                        walks.insert(same, new.clone());
                        new
                    }
                };
                self.ties(at, atom, &asked, &mut ties);
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
        Some(())
    }

    /// Who is asked about whom, Admin then Baseline, for one stack and port.
    fn walk(&mut self, at: usize, atom: Atom, isolated: bool, uses: &mut BTreeMap<RuleRef, Use>) -> Walk {
        let local = self.judge.local(at).possible.clone();
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
        let mut conflicts = Vec::new();
        for group in groups.iter().filter(|_| real) {
            for (i, (p, a)) in group.iter().enumerate() {
                for (q, b) in &group[i + 1..] {
                    let columns = self.judge.existing(&a.conflict(b).and(&local));
                    if !columns.is_empty() {
                        conflicts.push(([*p, *q], columns));
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
        Walk { accepts, denies, accepted, denied, local, conflicts }
    }

    fn ties(&self, at: usize, atom: Atom, walk: &Walk, sum: &mut BTreeMap<[u32; 2], Vec<Flow>>) {
        for (policies, columns) in &walk.conflicts {
            let list = sum.entry(*policies).or_default();
            if list.len() < TIE_FLOWS {
                list.extend(self.real(self.judge.witness(at, atom, columns)));
            }
        }
    }

    fn overriding(
        &mut self,
        at: usize,
        atom: Atom,
        admin: &Walk,
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
        &self,
        at: usize,
        atom: Atom,
        admin: &Walk,
        sum: &mut BTreeMap<RuleRef, Option<(Flow, Vec<RuleRef>)>>,
    ) {
        for rule in self.judge.rules_at(at, atom) {
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

    /// No cluster policy: what the rules of the stack admit is admitted.
    fn not_overridden(&self, at: usize, atom: Atom, sum: &mut BTreeMap<RuleRef, Option<(Flow, Vec<RuleRef>)>>) {
        if !self.judge.stacks[at].real {
            return;
        }
        for rule in self.judge.rules_at(at, atom) {
            if matches!(sum.get(&rule), Some(None)) {
                continue;
            }
            let covers = &self.judge.on(rule, at, atom).possible;
            if !self.judge.existing(covers).is_empty() {
                sum.insert(rule, None);
            }
        }
    }
}

/// What the tiers do for one stack and port.
struct Walk {
    /// Of the Admin tier.
    accepts: Vec<(RuleRef, Bits)>,
    denies: Vec<(RuleRef, Bits)>,
    accepted: Bits,
    denied: Bits,
    local: Bits,
    /// Policies of one priority, and where they do different things.
    conflicts: Vec<([u32; 2], Bits)>,
}

/// What a walk depends on: the cluster policies with the port, where the subjects run, whether NetworkPolicies isolate them
/// and whether they exist.
type Same = (u32, Atom, Place, bool, bool);
