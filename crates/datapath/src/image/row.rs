//! One row: what a subject may exchange with everyone in one direction.
//!
//! Peers that the same entries of the subject's rules match get the same answers, so one of each group is asked. Peers that
//! no entry matches share the default. Ports are asked where some rule begins or ends; between those nothing changes.

use super::answer::{Answer, settle};
use super::atoms::Atom;
use super::table::{Place, denies_by_tier};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use watertight_engine::Engine;
use watertight_engine::classes::ClassId;
use watertight_engine::scope::Scope;
use watertight_engine::selector::{matches, readable};
use watertight_model::policy::BlockCidr;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, ContainerKind, Direction, Endpoint, Flow, Half, NodeId, PeerKind, Peers,
    PodId, PortMatch, Ports, Protocol, Reason, Str, Verdict, World,
};

/// Steps with the answer of one engine.
pub(super) type Steps = Arc<Vec<(Place, bool, Arc<Answer>)>>;

/// A peer as rows see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Candidate {
    /// A class of this engine.
    Class(ClassId),
    /// Index into the list of node groups.
    Node(usize),
    /// Index into the list of atoms.
    Atom(usize),
}

/// Nodes that no rule tells apart.
pub(super) struct NodeGroup {
    /// One of them.
    pub(super) example: NodeId,
    /// Its address.
    pub(super) address: IpAddr,
    /// hostNetwork pods that live there.
    pub(super) hosts: Vec<PodId>,
}

/// One row.
pub(super) struct Row {
    /// For every peer that is not listed.
    pub(super) default: Steps,
    /// By peer, sorted.
    pub(super) peers: Vec<(Candidate, Steps)>,
    /// Some policy has a say in this direction.
    pub(super) restricted: bool,
    /// Where to ask about a peer that comes later.
    pub(super) cuts: Cuts,
}

/// Ports at which the answers for a subject may change.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    pub(super) places: BTreeSet<Place>,
    /// Names of ports that the subject's rules look up on its peers.
    pub(super) names: Names,
}

/// Port names, with the protocol if a rule says one.
pub(super) type Names = FxHashSet<(String, Option<Protocol>)>;

/// Asks one engine.
pub(super) struct Rows<'w> {
    engine: &'w Engine<'w>,
    scope: Scope<'w>,
    atoms: &'w [Atom],
    nodes: &'w [NodeGroup],
    other_protocols: bool,
    answers: FxHashSet<Arc<Answer>>,
    known: FxHashMap<(ClassId, Direction), Arc<Row>>,
}

/// What the entries of a subject's rules match.
#[derive(Default)]
struct Matches {
    /// Marks per peer: equal lists, equal answers.
    marks: FxHashMap<Candidate, Vec<u32>>,
    next: u32,
    /// Port names to be looked up on the receiver.
    names: Names,
    cuts: BTreeSet<Place>,
    pods_in_tiers: bool,
}

impl Matches {
    fn mark(&mut self, peers: impl IntoIterator<Item = Candidate>, what: u32) {
        for peer in peers {
            self.marks.entry(peer).or_default().push(what);
        }
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn range(&mut self, protocol: Protocol, first: u16, last: u16) {
        let base = (protocol as u32) << 16;
        self.cuts.insert(Place(base + u32::from(first)));
        self.cuts.insert(Place(base + u32::from(last) + 1));
    }
}

impl<'w> Rows<'w> {
    pub(super) fn new(
        engine: &'w Engine<'w>,
        atoms: &'w [Atom],
        nodes: &'w [NodeGroup],
        other_protocols: bool,
    ) -> Self {
        let scope = Scope::new(engine);
        Self {
            engine,
            scope,
            atoms,
            nodes,
            other_protocols,
            answers: FxHashSet::default(),
            known: FxHashMap::default(),
        }
    }

    pub(super) fn engine(&self) -> &'w Engine<'w> {
        self.engine
    }

    /// The row of a pod of this engine's world; it has a class.
    pub(super) fn row(&mut self, class: ClassId, direction: Direction) -> Arc<Row> {
        if let Some(known) = self.known.get(&(class, direction)) {
            return known.clone();
        }
        let row = Arc::new(self.compute(class, direction));
        self.known.insert((class, direction), row.clone());
        row
    }

    fn compute(&mut self, class: ClassId, direction: Direction) -> Row {
        let subject = self.engine.classes().representative(class);
        let world = self.engine.world();
        let mut found = Matches { cuts: Place::PROTOCOLS.into_iter().collect(), ..Matches::default() };
        let v1 = self.engine.classes().policies_of(subject, direction);
        let cluster = self.engine.classes().cluster_policies_of(subject);
        for s in v1 {
            self.network_policy(s.policy as usize, direction, &mut found);
        }
        let mut restricted = !v1.is_empty();
        for s in cluster {
            restricted |= !world.cluster_policies[s.policy as usize].rules(direction).is_empty();
            self.cluster_policy(s.policy as usize, direction, &mut found);
        }
        let names = std::mem::take(&mut found.names);
        self.named_ports(subject, direction, &names, &mut found);
        for (i, _) in self.nodes.iter().enumerate().filter(|(_, n)| !n.hosts.is_empty()) {
            // Asked for themselves, each: what their hostNetwork pods add is nobody else's.
            let what = found.fresh();
            found.mark([Candidate::Node(i)], what);
        }
        let default = match self.someone_else(&found) {
            Some(peer) => self.ask(subject, direction, peer, &found),
            // Everyone is listed: this is never looked up, and closed if it ever were.
            None => self.nobody(),
        };
        let mut groups: FxHashMap<&[u32], Steps> = FxHashMap::default();
        let mut listed: Vec<(&Candidate, &Vec<u32>)> = found.marks.iter().collect();
        listed.retain(|(peer, _)| !self.has_no_address(**peer));
        listed.sort_unstable();
        let mut peers = Vec::with_capacity(listed.len());
        for (peer, marks) in listed {
            let steps = match groups.get(marks.as_slice()) {
                Some(steps) => steps.clone(),
                None => {
                    let steps = self.ask(subject, direction, *peer, &found);
                    groups.insert(marks, steps.clone());
                    steps
                }
            };
            peers.push((*peer, steps));
        }
        if found.pods_in_tiers {
            self.close_where_pods_live(&default, &mut peers);
        }
        peers.retain(|(_, steps)| *steps != default);
        let names = if direction == Direction::Egress { names } else { Names::default() };
        Row { default, peers, restricted, cuts: Cuts { places: found.cuts, names } }
    }

    /// The answers for one class, as a row that was computed without it would have had them.
    pub(super) fn column(&mut self, subject: PodId, direction: Direction, peer: ClassId, cuts: &Cuts) -> Steps {
        let mut found = Matches { cuts: cuts.places.clone(), ..Matches::default() };
        let ports = declared(self.engine.world(), self.engine.classes().representative(peer), &cuts.names);
        ports.iter().for_each(|(_, port, protocol, _)| found.range(*protocol, *port, *port));
        self.ask(subject, direction, Candidate::Class(peer), &found)
    }

    /// An address where pods live and none is known may be a pod's that a cluster tier denies by label: closed.
    fn close_where_pods_live(&mut self, default: &Steps, peers: &mut Vec<(Candidate, Steps)>) {
        for (i, _) in self.atoms.iter().enumerate().filter(|(_, a)| a.pods_live_here) {
            let at = Candidate::Atom(i);
            let place = peers.binary_search_by(|(peer, _)| peer.cmp(&at));
            let steps = place.map_or(default, |p| &peers[p].1).clone();
            let unknown = Answer { reason: Reason::Unclear, rules: Vec::new(), depends_on: vec!["podAddress"] };
            let unknown = self.intern(unknown);
            let close = |(from, allow, answer): &(Place, bool, Arc<Answer>)| match allow {
                true => (*from, false, unknown.clone()),
                false => (*from, false, answer.clone()),
            };
            let steps: Steps = Arc::new(steps.iter().map(close).collect());
            match place {
                Ok(p) => peers[p].1 = steps,
                Err(p) => peers.insert(p, (at, steps)),
            }
        }
    }

    fn network_policy(&self, policy: usize, direction: Direction, found: &mut Matches) {
        let world = self.engine.world();
        let policy = &world.policies[policy];
        if !readable(&policy.subject) {
            return;
        }
        for rule in policy.rules(direction) {
            if let Ports::Of(entries) = &rule.ports {
                for entry in entries {
                    match &entry.port {
                        PortMatch::Any => {}
                        PortMatch::Range(first, last) => found.range(entry.protocol, *first, *last),
                        PortMatch::Named(name) => {
                            found.names.insert((name.to_string(), Some(entry.protocol)));
                        }
                    }
                }
            }
            let Peers::Of(peers) = &rule.peers else { continue };
            for peer in peers {
                let matched = self.scope.peer(policy, peer);
                let (sure, unsure) = (found.fresh(), found.fresh());
                found.mark(matched.sure.iter().copied().map(Candidate::Class), sure);
                let only_possible = matched.possible.iter().filter(|c| matched.sure.binary_search(c).is_err());
                found.mark(only_possible.copied().map(Candidate::Class), unsure);
                if let PeerKind::Block(block) = &peer.kind {
                    self.block(&block.cidr, &block.except, found);
                }
            }
        }
    }

    fn cluster_policy(&self, policy: usize, direction: Direction, found: &mut Matches) {
        for rule in self.engine.world().cluster_policies[policy].rules(direction) {
            if let ClusterPorts::Of(entries) = &rule.ports {
                for entry in entries {
                    match entry {
                        ClusterPort::Number(protocol, PortMatch::Range(first, last)) => {
                            found.range(*protocol, *first, *last);
                        }
                        ClusterPort::Number(_, PortMatch::Named(name)) | ClusterPort::Named(name) => {
                            found.names.insert((name.to_string(), None));
                        }
                        ClusterPort::Number(_, PortMatch::Any)
                        | ClusterPort::BareProtocol(_)
                        | ClusterPort::Unknown => {}
                    }
                }
            }
            let pods = self.scope.cluster_rule(rule);
            let (sure, unsure) = (found.fresh(), found.fresh());
            found.mark(pods.sure.iter().copied().map(Candidate::Class), sure);
            let only_possible = pods.possible.iter().filter(|c| pods.sure.binary_search(c).is_err());
            found.mark(only_possible.copied().map(Candidate::Class), unsure);
            for peer in &rule.peers {
                match peer {
                    ClusterPeer::Pods { .. } => found.pods_in_tiers = true,
                    ClusterPeer::Networks { blocks, .. } => {
                        for block in blocks {
                            self.block(block, &[], found);
                            let place = found.fresh();
                            found.mark(self.classes_inside(block), place);
                        }
                    }
                    ClusterPeer::Nodes { nodes, .. } => {
                        let world = self.engine.world();
                        let labelled = |g: &NodeGroup| matches(nodes, &world.nodes[g.example.index()].labels);
                        let all = self.nodes.iter().enumerate();
                        let hit: Vec<Candidate> =
                            all.filter(|(_, g)| labelled(g)).map(|(i, _)| Candidate::Node(i)).collect();
                        let place = found.fresh();
                        found.mark(hit, place);
                    }
                    ClusterPeer::DomainNames { .. } => {
                        let place = found.fresh();
                        found.mark((0..self.atoms.len()).map(Candidate::Atom), place);
                    }
                    ClusterPeer::Unknown { .. } => {}
                }
            }
        }
    }

    /// Classes of which some pod's address lies in a block (a class lies inside or outside as a whole).
    fn classes_inside(&self, block: &BlockCidr) -> Vec<Candidate> {
        let classes = self.engine.classes();
        let pods = &self.engine.world().pods;
        let inside = |ip: &IpAddr| block.cidr.contains(*ip) || block.mapped.is_some_and(|m| m.contains(*ip));
        let all = (0..classes.len()).filter_map(|i| u32::try_from(i).ok().map(ClassId));
        all.filter(|c| pods[classes.representative(*c).index()].ips.iter().any(inside)).map(Candidate::Class).collect()
    }

    /// Marks atoms and nodes that lie in a block, apart by the exceptions they lie in.
    fn block(&self, block: &BlockCidr, except: &[BlockCidr], found: &mut Matches) {
        let mapped = block.mapped.is_some() || except.iter().any(|e| e.mapped.is_some());
        let holds = |b: &BlockCidr, ip: IpAddr| b.cidr.contains(ip) || b.mapped.is_some_and(|m| m.contains(ip));
        let (inside, outside) = (found.fresh(), found.fresh());
        let atoms = self.atoms.iter().enumerate().map(|(i, a)| (Candidate::Atom(i), a.example));
        let nodes = self.nodes.iter().enumerate().map(|(i, g)| (Candidate::Node(i), g.address));
        for (peer, ip) in atoms.chain(nodes).filter(|(_, ip)| holds(block, *ip)) {
            // Where readings of a block differ, nobody is taken for another.
            let what = match except.iter().any(|e| holds(e, ip)) {
                _ if mapped => found.fresh(),
                true => outside,
                false => inside,
            };
            found.mark([peer], what);
        }
    }

    /// Names stand for numbers on the receiver: the subject, or each peer.
    fn named_ports(&self, subject: PodId, direction: Direction, names: &Names, found: &mut Matches) {
        if names.is_empty() {
            return;
        }
        let declared = |pod: PodId| declared(self.engine.world(), pod, names);
        match direction {
            Direction::Ingress => {
                declared(subject).iter().for_each(|(_, port, protocol, _)| found.range(*protocol, *port, *port));
            }
            Direction::Egress => {
                let classes = self.engine.classes();
                let mut signatures: FxHashMap<_, u32> = FxHashMap::default();
                for class in (0..classes.len()).filter_map(|i| u32::try_from(i).ok().map(ClassId)) {
                    let ports = declared(classes.representative(class));
                    if ports.is_empty() {
                        continue;
                    }
                    ports.iter().for_each(|(_, port, protocol, _)| found.range(*protocol, *port, *port));
                    let what = match signatures.get(&ports) {
                        Some(known) => *known,
                        None => {
                            let what = found.fresh();
                            signatures.insert(ports, what);
                            what
                        }
                    };
                    found.mark([Candidate::Class(class)], what);
                }
            }
        }
    }

    /// A peer that no entry matches.
    fn someone_else(&self, found: &Matches) -> Option<Candidate> {
        let classes = (0..self.engine.classes().len()).filter_map(|i| u32::try_from(i).ok().map(ClassId));
        let all = classes
            .map(Candidate::Class)
            .chain((0..self.atoms.len()).map(Candidate::Atom))
            .chain((0..self.nodes.len()).map(Candidate::Node));
        let mut others = all.filter(|peer| !found.marks.contains_key(peer) && !self.has_no_address(*peer));
        others.next()
    }

    /// A class that no address stands for, so that nobody looks it up: hostNetwork pods, and pods whose address is not known
    /// yet. Whether blocks hold those is unclear, so they must not speak for anyone else either.
    fn has_no_address(&self, peer: Candidate) -> bool {
        match peer {
            // Where no policy names a block, those with an address and those without are of one class.
            Candidate::Class(class) => self.engine.classes().members(class).iter().all(|id| {
                let pod = &self.engine.world().pods[id.index()];
                pod.host_network || pod.ips.is_empty()
            }),
            Candidate::Node(_) | Candidate::Atom(_) => false,
        }
    }

    fn nobody(&mut self) -> Steps {
        let nobody = self.intern(Answer { reason: Reason::PolicyDeny, rules: Vec::new(), depends_on: Vec::new() });
        Arc::new(vec![(Place(0), false, nobody)])
    }

    fn intern(&mut self, answer: Answer) -> Arc<Answer> {
        match self.answers.get(&answer) {
            Some(known) => known.clone(),
            None => {
                let answer = Arc::new(answer);
                self.answers.insert(answer.clone());
                answer
            }
        }
    }

    /// The engine's answers for one peer, at every port where they could change.
    fn ask(&mut self, subject: PodId, direction: Direction, peer: Candidate, found: &Matches) -> Steps {
        let other = match peer {
            Candidate::Class(class) => Endpoint::Pod(self.engine.classes().representative(class)),
            // Toward a pod a node counts by its address: what it sends itself is known by where it comes from (P31).
            Candidate::Node(i) if direction == Direction::Ingress => Endpoint::External(self.nodes[i].address),
            Candidate::Node(i) => Endpoint::Node(self.nodes[i].example),
            Candidate::Atom(i) => Endpoint::External(self.atoms[i].example),
        };
        let (from, to) = match direction {
            Direction::Egress => (Endpoint::Pod(subject), other),
            Direction::Ingress => (other, Endpoint::Pod(subject)),
        };
        let mut steps: Vec<(Place, bool, Arc<Answer>)> = Vec::with_capacity(found.cuts.len());
        for place in found.cuts.iter().filter(|p| **p <= Place::PROTOCOLS[3]) {
            // A pod's own class holds others too, and itself through a Service (rows 93, 94).
            let verdict = self.engine.decide(&Flow { from, to, l4: place.l4(), via_service: true });
            let mut half = match direction {
                Direction::Egress => verdict.egress,
                Direction::Ingress => verdict.ingress,
            };
            if let (Candidate::Node(i), Direction::Egress) = (peer, direction) {
                // A port that a hostNetwork pod names is a port of its node: what a rule says of that pod on every reading it says
                // of the node, a denial before anything else. That no rule admits a pod says nothing about its neighbours.
                let there = self.nodes[i].hosts.iter().map(|pod| {
                    let to = Endpoint::Pod(*pod);
                    self.engine.decide(&Flow { from, to, l4: place.l4(), via_service: true }).egress
                });
                let settled: Vec<Half> = there.filter(|h| h.verdict != Verdict::Depends).collect();
                let denied = settled.iter().find(|h| denies_by_tier(h.reason));
                let allowed = settled.iter().find(|h| h.verdict == Verdict::Allow);
                half = denied.or(allowed).cloned().unwrap_or(half);
            }
            let (allow, answer) = settle(self.engine, &half, self.other_protocols);
            let answer = self.intern(answer);
            if steps.last().is_none_or(|(_, a, b)| (*a, b) != (allow, &answer)) {
                steps.push((*place, allow, answer));
            }
        }
        Arc::new(steps)
    }
}

/// The ports of a pod that have one of these names.
fn declared(world: &World, pod: PodId, names: &Names) -> Vec<(Option<Str>, u16, Protocol, ContainerKind)> {
    let named = |name: &str, p: Protocol| {
        names.contains(&(name.to_owned(), None)) || names.contains(&(name.to_owned(), Some(p)))
    };
    let ports = world.pods[pod.index()].ports.iter();
    let ports = ports.filter(|p| p.name.as_deref().is_some_and(|name| named(name, p.protocol)));
    ports.map(|p| (p.name.clone(), p.port, p.protocol, p.container)).collect()
}
