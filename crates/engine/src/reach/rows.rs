//! One row: what a subject may exchange with every other class in one direction, all ports at once.
//!
//! A row is a partition of classes by allowed ports. Rows depend on the policies that select the subject (its stack) and,
//! for ingress, on its named ports; subjects with the same stack share one row.

use crate::bits::Bits;
use crate::block::Block;
use crate::classes::{ClassId, Classes, Selected};
use crate::peers::{Effect, effect_of, named_port, named_ports_all, not_understood};
use crate::reach::columns::{Cols, Columns, NameReading};
use crate::reach::may::May;
use crate::reach::ports::{ALL, NONE, PairId, Table};
use crate::selector::readable;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::rc::Rc;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, ClusterRule, Direction, PeerKind, Peers, Pod, PortMatch, PortSet, Ports,
    Protocol, Rule, Str, Tier, World,
};

/// Classes by allowed ports; the sets are disjoint, and classes that are in none are not reached.
pub(crate) type Row = Vec<(PairId, Bits)>;

/// Rows of one direction, shared between subjects with the same stack.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// Row of each class.
    pub(crate) of_class: Vec<u32>,
}

/// Ports of a rule: numbers, and names to be looked up on the receiver.
struct RulePorts<'w> {
    numbers: PortSet,
    names: Vec<(&'w Str, Protocol)>,
}

/// A NetworkPolicy rule with its peers as classes.
struct RuleCols<'w> {
    ports: RulePorts<'w>,
    /// Peers by label, or everyone.
    pods: Cols,
    /// Peers by address.
    blocks: Cols,
}

/// Some classes on some ports.
struct Piece {
    ports: PortSet,
    cols: Cols,
}

pub(crate) struct Builder<'w, 't> {
    world: &'w World,
    classes: &'w Classes,
    columns: Columns<'w>,
    table: &'t mut Table,
    rules: FxHashMap<(u32, Direction), Rc<Vec<RuleCols<'w>>>>,
}

impl<'w, 't> Builder<'w, 't> {
    pub(crate) fn new(world: &'w World, classes: &'w Classes, table: &'t mut Table) -> Self {
        Self { world, classes, columns: Columns::new(world, classes), table, rules: FxHashMap::default() }
    }

    pub(crate) fn rows(&mut self, direction: Direction) -> Rows {
        type Key<'c> = (&'c [Selected], &'c [Selected], Vec<(Option<&'c str>, u16, Protocol)>, bool);
        let mut known: FxHashMap<Key<'w>, u32> = FxHashMap::default();
        let mut out = Rows { rows: Vec::new(), of_class: Vec::new() };
        for class in (0..self.classes.len()).map(ClassId::at) {
            let pod = &self.world.pods[self.classes.representative(class).index()];
            let v1 = self.classes.policies_of_class(class, direction);
            let cluster = self.classes.cluster_policies_of(self.classes.representative(class));
            let names = match direction {
                Direction::Ingress if !(v1.is_empty() && cluster.is_empty()) => pod
                    .ports
                    .iter()
                    .filter(|p| p.name.is_some())
                    .map(|p| (p.name.as_deref(), p.port, p.protocol))
                    .collect(),
                Direction::Ingress | Direction::Egress => Vec::new(),
            };
            let key = (v1, cluster, names, pod.host_network);
            let id = match known.get(&key) {
                Some(id) => *id,
                None => {
                    let row = self.row(direction, class, pod);
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

    fn row(&mut self, direction: Direction, class: ClassId, pod: &'w Pod) -> Row {
        let cluster = self.classes.cluster_policies_of(self.classes.representative(class));
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
        let rules = self.rule_cols(s.policy, direction);
        for rule in rules.iter() {
            for Piece { ports, cols } in self.pieces(rule, direction, pod) {
                let sure = self.table.id(ports.clone(), ports.clone());
                sum.entry(sure).or_default().add(&cols.sure);
                let unclear = cols.possible.minus(&cols.sure);
                if !unclear.is_empty() {
                    let possible = self.table.id(PortSet::none(), ports);
                    sum.entry(possible).or_default().add(&unclear);
                }
            }
        }
    }

    fn rule_cols(&mut self, policy: u32, direction: Direction) -> Rc<Vec<RuleCols<'w>>> {
        if let Some(known) = self.rules.get(&(policy, direction)) {
            return known.clone();
        }
        let this = &self.world.policies[policy as usize];
        let rules = if readable(&this.subject) { this.rules(direction) } else { &[] };
        let mut out = Vec::with_capacity(rules.len());
        for rule in rules {
            let (mut pods, mut blocks) = (Cols::default(), Cols::default());
            match &rule.peers {
                Peers::Any(_) => pods = Cols::certain(self.columns.everyone.clone()),
                Peers::Of(list) => {
                    let mut written: Vec<Block<'_>> = Vec::new();
                    for peer in list {
                        match &peer.kind {
                            PeerKind::Block(block) => written.push((&block.cidr, &block.except)),
                            PeerKind::Pods { .. } => pods.add(&self.columns.peer(this, peer)),
                        }
                    }
                    if !written.is_empty() {
                        blocks = self.columns.blocks(&written);
                    }
                }
            }
            out.push(RuleCols { ports: rule_ports(rule), pods, blocks });
        }
        let out = Rc::new(out);
        self.rules.insert((policy, direction), out.clone());
        out
    }

    /// A rule as pieces with plain numbers.
    fn pieces(&mut self, rule: &RuleCols<'w>, direction: Direction, pod: &'w Pod) -> Vec<Piece> {
        let mut both = rule.pods.clone();
        both.add(&rule.blocks);
        let RulePorts { numbers, names } = &rule.ports;
        match direction {
            Direction::Ingress => {
                let mut ports = numbers.clone();
                for (name, protocol) in names {
                    if let Some(number) = named_port(pod, name, *protocol) {
                        ports = ports.union(&PortSet::range(*protocol, number, number));
                    }
                }
                vec![Piece { ports, cols: both }]
            }
            Direction::Egress => {
                let mut out = vec![Piece { ports: numbers.clone(), cols: both }];
                for (name, protocol) in names {
                    for (number, classes) in self.columns.named(name, *protocol, NameReading::First) {
                        let ports = PortSet::range(*protocol, *number, *number);
                        out.push(Piece { ports, cols: rule.pods.and(classes) });
                    }
                }
                out
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
        let policy = &self.world.cluster_policies[s.policy as usize];
        let mut parts = vec![(May::untouched(), self.columns.everyone.clone())];
        for rule in policy.rules(direction) {
            for (effect, Piece { ports, cols }) in self.cluster_pieces(rule, direction, pod) {
                May::hit_classes(&mut parts, &cols, &ports, effect);
            }
        }
        if !s.causes.is_empty() {
            for (may, _) in &mut parts {
                may.nothing = PortSet::all();
            }
        }
        parts
    }

    /// A cluster rule as pieces with plain numbers, those that deny first.
    fn cluster_pieces(&mut self, rule: &'w ClusterRule, direction: Direction, pod: &'w Pod) -> Vec<(Effect, Piece)> {
        let effect = effect_of(&rule.action);
        let closes = effect != Effect::Accept;
        if not_understood(rule) {
            let cols = Cols::certain(self.columns.everyone.clone());
            return if closes { vec![(Effect::Deny, Piece { ports: PortSet::all(), cols })] } else { Vec::new() };
        }
        let (mut pods, mut others) = (Cols::default(), Cols::default());
        let mut networks: Vec<Block<'_>> = Vec::new();
        let mut effect = effect;
        for peer in &rule.peers {
            match peer {
                ClusterPeer::Pods { namespaces, pods: labels, .. } => {
                    pods.add(&self.columns.cluster_pods(namespaces, labels))
                }
                ClusterPeer::Nodes { nodes, .. } => others.add(&self.columns.cluster_nodes(nodes)),
                ClusterPeer::Networks { blocks, .. } => networks.extend(blocks.iter().map(|block| (block, &[][..]))),
                ClusterPeer::DomainNames { .. } if closes => {
                    effect = Effect::Deny;
                    pods.add(&Cols::certain(self.columns.everyone.clone()));
                }
                // A name never stands for a pod (row 165).
                ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {}
            }
        }
        if !networks.is_empty() {
            others.add(&self.columns.blocks(&networks));
        }
        let mut both = pods.clone();
        both.add(&others);
        let ClusterPorts::Of(list) = &rule.ports else {
            return vec![(effect, Piece { ports: PortSet::all(), cols: both })];
        };
        let mut numbers = PortSet::none();
        let mut out = Vec::new();
        for entry in list {
            match entry {
                ClusterPort::Number(protocol, PortMatch::Any) => numbers = numbers.union(&PortSet::protocol(*protocol)),
                ClusterPort::Number(protocol, PortMatch::Range(a, b)) => {
                    numbers = numbers.union(&PortSet::range(*protocol, *a, *b));
                }
                ClusterPort::Number(_, PortMatch::Named(name)) | ClusterPort::Named(name) => {
                    self.cluster_named(name, effect, direction, pod, &pods, &mut out);
                }
                ClusterPort::BareProtocol(protocol) if closes => {
                    out.insert(0, (Effect::Deny, Piece { ports: PortSet::protocol(*protocol), cols: both.clone() }));
                }
                ClusterPort::BareProtocol(_) | ClusterPort::Unknown => {}
            }
        }
        out.push((effect, Piece { ports: numbers, cols: both }));
        out
    }

    fn cluster_named(
        &mut self,
        name: &'w Str,
        effect: Effect,
        direction: Direction,
        pod: &'w Pod,
        pods: &Cols,
        out: &mut Vec<(Effect, Piece)>,
    ) {
        for protocol in Protocol::ALL {
            match (direction, effect) {
                (Direction::Ingress, Effect::Deny) => {
                    for (p, number) in named_ports_all(pod, name).filter(|(p, _)| *p == protocol) {
                        out.push((effect, Piece { ports: PortSet::range(p, number, number), cols: pods.clone() }));
                    }
                }
                (Direction::Ingress, _) => {
                    if let Some(number) = named_port(pod, name, protocol) {
                        out.push((
                            effect,
                            Piece { ports: PortSet::range(protocol, number, number), cols: pods.clone() },
                        ));
                    }
                }
                (Direction::Egress, _) => {
                    let reading = if effect == Effect::Deny { NameReading::Every } else { NameReading::First };
                    for (number, classes) in self.columns.named(name, protocol, reading) {
                        let ports = PortSet::range(protocol, *number, *number);
                        out.push((effect, Piece { ports, cols: pods.and(classes) }));
                    }
                }
            }
        }
    }
}

fn rule_ports(rule: &Rule) -> RulePorts<'_> {
    match &rule.ports {
        Ports::Any(_) => RulePorts { numbers: PortSet::all(), names: Vec::new() },
        Ports::Of(entries) => {
            let mut out = RulePorts { numbers: PortSet::none(), names: Vec::new() };
            for entry in entries {
                match &entry.port {
                    PortMatch::Any => out.numbers = out.numbers.union(&PortSet::protocol(entry.protocol)),
                    PortMatch::Range(a, b) => {
                        out.numbers = out.numbers.union(&PortSet::range(entry.protocol, *a, *b));
                    }
                    PortMatch::Named(name) => out.names.push((name, entry.protocol)),
                }
            }
            out
        }
    }
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
