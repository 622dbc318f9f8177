//! One row: what a subject may exchange with every other class in one direction, all ports at once.
//!
//! A row is a partition of classes by allowed ports. Rows depend on the policies that select the subject (its stack) and,
//! for ingress, on its named ports; subjects with the same stack share one row.

use crate::bits::Bits;
use crate::classes::{ClassId, Classes, Selected};
use crate::reach::columns::Columns;
use crate::reach::may::May;
use crate::reach::meaning::{self, Meaning};
use crate::reach::ports::{ALL, NONE, PairId, Table};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_model::{ContainerKind, Direction, Pod, PortSet, Protocol, Tier, World};

/// Classes by allowed ports; the sets are disjoint, and classes that are in none are not reached.
pub(crate) type Row = Vec<(PairId, Bits)>;

/// Rows of one direction, shared between subjects with the same stack.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Arc<Row>>,
    /// Row of each class.
    pub(crate) of_class: Vec<u32>,
}

/// Meanings of policies by place in the world, one list per direction; `None`: not asked for yet.
#[derive(Default)]
pub(crate) struct Meanings {
    policies: [Vec<Option<Meaning>>; 2],
    cluster: [Vec<Option<Meaning>>; 2],
}

impl Meanings {
    pub(crate) fn get(&self, direction: Direction, cluster: bool, policy: u32) -> Option<&Meaning> {
        let lists = if cluster { &self.cluster } else { &self.policies };
        lists[direction as usize].get(policy as usize)?.as_ref()
    }

    /// Hands it over.
    pub(crate) fn take(&mut self, direction: Direction, cluster: bool, policy: u32) -> Option<Meaning> {
        let lists = if cluster { &mut self.cluster } else { &mut self.policies };
        lists[direction as usize].get_mut(policy as usize)?.take()
    }
}

/// Names of a subject's ports, as far as a rule may look them up.
pub(crate) type Names<'c> = Vec<(&'c str, u16, Protocol, ContainerKind)>;

pub(crate) struct Builder<'w, 't> {
    world: &'w World,
    classes: &'w Classes,
    pub(crate) columns: Columns<'w>,
    table: &'t mut Table,
    meanings: Meanings,
}

impl<'w, 't> Builder<'w, 't> {
    pub(crate) fn new(world: &'w World, classes: &'w Classes, table: &'t mut Table) -> Self {
        let none = |n: usize| [vec![None; n], vec![None; n]];
        let meanings = Meanings { policies: none(world.policies.len()), cluster: none(world.cluster_policies.len()) };
        Self { world, classes, columns: Columns::new(world, classes), table, meanings }
    }

    pub(crate) fn into_meanings(self) -> Meanings {
        self.meanings
    }

    /// The rows of all classes. `known` may offer the row of a class, so that it need not be computed.
    pub(crate) fn rows(
        &mut self,
        direction: Direction,
        mut offered: impl FnMut(&mut Self, ClassId) -> Option<Arc<Row>>,
    ) -> Rows {
        type Key<'c> = (&'c [Selected], &'c [Selected], Names<'c>, bool);
        let mut known: FxHashMap<Key<'w>, u32> = FxHashMap::default();
        let mut out = Rows { rows: Vec::new(), of_class: Vec::new() };
        for class in (0..self.classes.len()).map(ClassId::at) {
            let pod = &self.world.pods[self.classes.representative(class).index()];
            let v1 = self.classes.policies_of_class(class, direction);
            let cluster = self.classes.cluster_policies_of_class(class);
            let key = (v1, cluster, names(direction, pod, v1, cluster), pod.host_network);
            let id = match known.get(&key) {
                Some(id) => *id,
                None => {
                    let row = match offered(self, class) {
                        Some(row) => row,
                        None => Arc::new(self.row(direction, class, pod)),
                    };
                    let id = ClassId::at(out.rows.len()).0;
                    out.rows.push(row);
                    known.insert(key, id);
                    id
                }
            };
            out.of_class.push(id);
        }
        out
    }

    /// Says what a policy means, where that is known already.
    pub(crate) fn set_meaning(&mut self, direction: Direction, cluster: bool, policy: u32, meaning: Meaning) {
        let lists = if cluster { &mut self.meanings.cluster } else { &mut self.meanings.policies };
        lists[direction as usize][policy as usize] = Some(meaning);
    }

    /// What a policy means, looked up once.
    pub(crate) fn meaning(&mut self, direction: Direction, cluster: bool, policy: u32) -> Meaning {
        let at = policy as usize;
        let lists = if cluster { &mut self.meanings.cluster } else { &mut self.meanings.policies };
        let slot = &mut lists[direction as usize][at];
        if let Some(known) = slot {
            return known.clone();
        }
        let made = if cluster {
            meaning::of_cluster_policy(&mut self.columns, &self.world.cluster_policies[at], direction)
        } else {
            meaning::of_policy(&mut self.columns, &self.world.policies[at], direction)
        };
        slot.insert(made).clone()
    }

    fn row(&mut self, direction: Direction, class: ClassId, pod: &'w Pod) -> Row {
        let cluster = self.classes.cluster_policies_of_class(class);
        let selected = self.classes.policies_of_class(class, direction);
        let mut row = if cluster.is_empty() {
            self.network_policies(direction, selected, pod)
        } else {
            self.tiers(direction, cluster, selected, pod)
        };
        if direction == Direction::Ingress && !self.columns.host_network.is_empty() {
            // A hostNetwork source may run on the subject's own node (rows 96, 97): not the same for all pods of a class.
            let possible = self.table.id(PortSet::none(), PortSet::all());
            let host = self.columns.host_network.clone();
            add(self.table, &mut row, &host, possible);
        }
        // One order for equal rows, so that they compare equal.
        row.sort_unstable_by_key(|(ports, _)| *ports);
        row
    }

    fn network_policies(&mut self, direction: Direction, selected: &[Selected], pod: &'w Pod) -> Row {
        if selected.is_empty() {
            return vec![(ALL, self.columns.everyone.clone())];
        }
        if selected.iter().all(|s| s.causes.is_empty()) {
            let mut by_ports: BTreeMap<PairId, Bits> = BTreeMap::new();
            for s in selected {
                self.admitted(s, direction, pod, &mut by_ports);
            }
            return self.partition(by_ports);
        }
        // Selection itself is unclear (hostNetwork): open on the reading that nothing selects the pod, and for sure only
        // what every single policy admits on the reading that it alone does.
        let mut row = vec![(ALL, self.columns.everyone.clone())];
        for s in selected {
            let mut by_ports = BTreeMap::new();
            self.admitted(s, direction, pod, &mut by_ports);
            let alone = self.partition(by_ports);
            row = self.product(&row, &alone, |table, sum, own| {
                let sure = table.get(sum).sure.intersect(&table.get(own).sure);
                table.id(sure, PortSet::all())
            });
        }
        row
    }

    /// What the rules of one policy admit.
    fn admitted(&mut self, s: &Selected, direction: Direction, pod: &'w Pod, sum: &mut BTreeMap<PairId, Bits>) {
        let meaning = self.meaning(direction, false, s.policy);
        for part in meaning.iter() {
            let (ports, cols) = (part.ports(pod), &part.cols);
            let sure = self.table.id(ports.clone(), ports.clone());
            sum.entry(sure).or_default().add(&cols.sure);
            let unclear = cols.possible.minus(&cols.sure);
            if !unclear.is_empty() {
                let possible = self.table.id(PortSet::none(), ports);
                sum.entry(possible).or_default().add(&unclear);
            }
        }
    }

    /// Overlapping sets to disjoint ones.
    fn partition(&mut self, by_ports: BTreeMap<PairId, Bits>) -> Row {
        let mut row = Row::new();
        for (ports, bits) in by_ports {
            add(self.table, &mut row, &bits, ports);
        }
        row
    }

    /// Both rows together; a class that is in none of a row has [`NONE`] there.
    fn product(&mut self, a: &Row, b: &Row, mut join: impl FnMut(&mut Table, PairId, PairId) -> PairId) -> Row {
        let whole = |row: &Row, everyone: &Bits| {
            let mut rest = everyone.clone();
            row.iter().for_each(|(_, bits)| rest.remove(bits));
            let mut row = row.clone();
            if !rest.is_empty() {
                row.push((NONE, rest));
            }
            row
        };
        let (a, b) = (whole(a, &self.columns.everyone), whole(b, &self.columns.everyone));
        let mut sum: BTreeMap<PairId, Bits> = BTreeMap::new();
        for (x, xs) in &a {
            for (y, ys) in &b {
                let both = xs.and(ys);
                if !both.is_empty() {
                    sum.entry(join(self.table, *x, *y)).or_default().add(&both);
                }
            }
        }
        sum.into_iter().filter(|(ports, _)| *ports != NONE).collect()
    }

    /// Admin tier, NetworkPolicy, Baseline tier.
    fn tiers(&mut self, direction: Direction, cluster: &[Selected], selected: &[Selected], pod: &'w Pod) -> Row {
        let admin = self.tier(Tier::Admin, direction, cluster, pod);
        let isolated = !selected.is_empty() && selected.iter().all(|s| s.causes.is_empty());
        let after: Vec<(May, Bits)> = if isolated {
            let row = self.network_policies(direction, selected, pod);
            let mut rest = self.columns.everyone.clone();
            let mut parts: Vec<(May, Bits)> = Vec::new();
            for (pair, bits) in row {
                rest.remove(&bits);
                let pair = self.table.get(pair);
                let may = May { accept: pair.possible.clone(), deny: pair.sure.complement(), ..May::default() };
                parts.push((may, bits));
            }
            parts.push((May { deny: PortSet::all(), ..May::default() }, rest));
            parts
        } else {
            self.tier(Tier::Baseline, direction, cluster, pod)
        };
        let mut sum: BTreeMap<PairId, Bits> = BTreeMap::new();
        for (first, xs) in &admin {
            for (then, ys) in &after {
                let both = xs.and(ys);
                if both.is_empty() {
                    continue;
                }
                let on = first.pass.union(&first.nothing);
                let opens = then.accept.union(&then.pass).union(&then.nothing);
                let possible = first.accept.union(&on.intersect(&opens));
                let denied = first.deny.union(&on.intersect(&then.deny));
                let pair = self.table.id(denied.complement(), possible);
                sum.entry(pair).or_default().add(&both);
            }
        }
        sum.into_iter().filter(|(ports, _)| *ports != NONE).collect()
    }

    /// What a tier may do, classes by outcome. Policies come in order; those of equal priority are asked together.
    fn tier(&mut self, tier: Tier, direction: Direction, cluster: &[Selected], pod: &'w Pod) -> Vec<(May, Bits)> {
        let world = self.world;
        let of_tier: Vec<&Selected> =
            cluster.iter().filter(|s| world.cluster_policies[s.policy as usize].tier == tier).collect();
        let priority = |s: &Selected| world.cluster_policies[s.policy as usize].priority;
        let mut sum = vec![(May::untouched(), self.columns.everyone.clone())];
        for group in of_tier.chunk_by(|a, b| priority(a) == priority(b)) {
            let mut together: Option<Vec<(May, Bits)>> = None;
            for s in group {
                let own = self.first_match(direction, s, pod);
                together = Some(match together {
                    None => own,
                    Some(others) => May::product(&others, &own, May::most_restrictive),
                });
            }
            if let Some(group) = together {
                sum = May::product(&sum, &group, May::then);
            }
        }
        sum
    }

    fn first_match(&mut self, direction: Direction, s: &Selected, pod: &'w Pod) -> Vec<(May, Bits)> {
        let mut parts = vec![(May::untouched(), self.columns.everyone.clone())];
        for part in self.meaning(direction, true, s.policy).iter() {
            May::hit_classes(&mut parts, &part.cols, &part.ports(pod), part.effect);
        }
        if !s.causes.is_empty() {
            for (may, _) in &mut parts {
                may.nothing = PortSet::all();
            }
        }
        parts
    }
}

/// A subject's named ports, where rules may look them up: without a policy, and for egress, none do.
pub(crate) fn names<'c>(direction: Direction, pod: &'c Pod, v1: &[Selected], cluster: &[Selected]) -> Names<'c> {
    if direction == Direction::Egress || (v1.is_empty() && cluster.is_empty()) {
        return Names::new();
    }
    pod.ports.iter().filter_map(|p| p.name.as_deref().map(|name| (name, p.port, p.protocol, p.container))).collect()
}

/// Adds ports for some classes to a row, keeping its sets disjoint.
fn add(table: &mut Table, row: &mut Row, bits: &Bits, ports: PairId) {
    if ports == NONE || bits.is_empty() {
        return;
    }
    let mut rest = bits.clone();
    let mut changed: Row = Vec::new();
    for (known, members) in row.iter_mut() {
        if rest.is_empty() {
            break;
        }
        if !members.intersects(&rest) {
            continue;
        }
        let both = members.and(&rest);
        rest.remove(&both);
        let union = table.union(*known, ports);
        if union != *known {
            members.remove(&both);
            changed.push((union, both));
        }
    }
    if !rest.is_empty() {
        changed.push((ports, rest));
    }
    row.retain(|(_, members)| !members.is_empty());
    for (ports, bits) in changed {
        match row.iter_mut().find(|(known, _)| *known == ports) {
            Some((_, members)) => members.add(&bits),
            None => row.push((ports, bits)),
        }
    }
}
