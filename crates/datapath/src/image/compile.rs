//! Putting an image together: identities for everyone, rows for the pods of this node, everything said once.

use super::atoms::{Atom, atoms};
use super::flat::{Flat, Nodes, enforced};
use super::out::Out;
use super::row::{Candidate, NodeGroup, Row, Rows, Steps};
use super::{Identity, Image, Local, Note, Owner, Refused, Slot};
use crate::abi;
use crate::bounds;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight_engine::Engine;
use watertight_engine::classes::ClassId;
use watertight_engine::selector::{matches, readable};
use watertight_model::{Cidr, ClusterPeer, Direction, NodeId, PodId, Selector, World};

/// Switches. The defaults are never more open than the API demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Policies without an annotation of their own or of their namespace are in shadow: nothing is enforced until asked for.
    pub shadow: bool,
    /// A NetworkPolicy rule without ports opens every IP protocol, ICMP echo included (semantics row 68).
    pub other_protocols: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { shadow: false, other_protocols: true }
    }
}

/// Identities in order: classes, groups of nodes, atoms.
struct Identities {
    classes: usize,
    nodes: usize,
}

impl Identities {
    fn of(&self, peer: Candidate) -> Identity {
        let i = match peer {
            Candidate::Class(class) => class.0 as usize,
            Candidate::Node(i) => self.classes + i,
            Candidate::Atom(i) => self.classes + self.nodes + i,
        };
        // 0 is nobody's.
        Identity(u32::try_from(i + 1).unwrap_or(abi::NOBODY))
    }
}

pub(super) fn compile(world: &World, locals: &[Local], options: &Options) -> Result<Image, Refused> {
    let mut flat = Flat::of(world, locals);
    let enforced = enforced(&flat.world, options.shadow, &mut flat.notes);
    let atoms = atoms(&flat.world);
    let (nodes, group_of) = node_groups(&flat.world, &flat.nodes, &atoms);
    let all = Engine::new(&flat.world);
    let engine_enforced = enforced.as_ref().map(Engine::new);
    let identities = Identities { classes: all.classes().len(), nodes: nodes.len() };
    let mut image = Image {
        addresses: addresses(world, &flat, &all, &identities, &group_of, &atoms)?,
        prefixes: atoms.iter().enumerate().map(|(i, a)| (a.cidr, identities.of(Candidate::Atom(i)))).collect(),
        slots: BTreeMap::new(),
        sets: Vec::new(),
        tables: Vec::new(),
        answers: Vec::new(),
        notes: notes(world, flat.notes.clone()),
    };
    bounds::at_most("address blocks", image.prefixes.len(), bounds::PREFIXES, || widest(&flat.world))?;
    bounds::at_most("pods of this node", locals.len(), bounds::SLOTS, || "this node".to_owned())?;
    let shadow_rows = Rows::new(&all, &atoms, &nodes, options.other_protocols);
    let rows = engine_enforced.as_ref().map(|e| Rows::new(e, &atoms, &nodes, options.other_protocols));
    let mut builder = Builder { rows, shadow_rows, identities, out: Out::default(), known: FxHashMap::default() };
    let mut order: Vec<usize> = (0..locals.len()).collect();
    order.sort_by_key(|i| locals[*i].ifindex);
    for i in order {
        let Some(subject) = flat.subjects[i] else { continue };
        let egress = builder.set(subject, Direction::Egress);
        let ingress = builder.set(subject, Direction::Ingress);
        let (Some(egress), Some(ingress)) = (egress, ingress) else { continue };
        let slot = Slot {
            name: world.pod_name(locals[i].pod),
            egress: egress.0,
            ingress: ingress.0,
            egress_restricted: egress.1,
            ingress_restricted: ingress.1,
            mac: locals[i].mac,
        };
        image.slots.insert(locals[i].ifindex, slot);
    }
    builder.out.finish(&mut image);
    fits(&image)?;
    Ok(image)
}

/// Refuses what the maps cannot hold.
pub(super) fn fits(image: &Image) -> Result<(), Refused> {
    let entries = image.sets.iter().map(|s| s.entries.len() + 1).sum();
    bounds::at_most("pairs of pod set and peer", entries, bounds::ENTRIES, || busiest(image))?;
    let steps = image.tables.iter().map(|t| t.steps().len()).sum();
    bounds::at_most("port ranges", steps, bounds::STEPS, || busiest(image))?;
    let longest = image.tables.iter().map(|t| t.steps().len()).max().unwrap_or(0);
    bounds::at_most("port ranges between one pair", longest, abi::TABLE_MAX, || busiest(image))?;
    bounds::at_most("answers", image.answers.len(), bounds::ANSWERS, || busiest(image))?;
    Ok(())
}

/// `notes` and those that need nothing but the world, in order.
pub(super) fn notes(world: &World, mut notes: Vec<Note>) -> Vec<Note> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    world.foreign_policies.iter().for_each(|p| *kinds.entry(&p.kind).or_default() += 1);
    notes.extend(kinds.into_iter().map(|(kind, n)| Note::NotEvaluated(kind.to_owned(), n)));
    notes.sort();
    notes.dedup();
    notes
}

/// Nodes by the atom of their address, by the selectors of `nodes` peers that match them, and by the ports that their
/// hostNetwork pods name.
pub(super) fn node_groups(world: &World, nodes: &Nodes, atoms: &[Atom]) -> (Vec<NodeGroup>, BTreeMap<IpAddr, usize>) {
    let rules = world.cluster_policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress));
    let selectors: Vec<&Selector> = rules
        .flat_map(|rule| &rule.peers)
        .filter_map(|peer| match peer {
            ClusterPeer::Nodes { nodes, .. } if readable(nodes) => Some(nodes),
            ClusterPeer::Nodes { .. }
            | ClusterPeer::Pods { .. }
            | ClusterPeer::Networks { .. }
            | ClusterPeer::DomainNames { .. }
            | ClusterPeer::Unknown { .. } => None,
        })
        .collect();
    type Named = Vec<watertight_model::ContainerPort>;
    let mut known: FxHashMap<(usize, Vec<bool>, Named), usize> = FxHashMap::default();
    let (mut groups, mut of) = (Vec::new(), BTreeMap::new());
    for (address, id) in &nodes.by_address {
        let labels = &world.nodes[NodeId::index(*id)].labels;
        let hosts = nodes.hosts.get(address).cloned().unwrap_or_default();
        let ports = hosts.iter().flat_map(|pod| &world.pods[pod.index()].ports);
        let mut named: Named = ports.filter(|p| p.name.is_some()).cloned().collect();
        named.sort_unstable();
        named.dedup();
        let key = (atom_of(atoms, *address), selectors.iter().map(|s| matches(s, labels)).collect(), named);
        let group = *known.entry(key).or_insert_with(|| {
            groups.push(NodeGroup { example: *id, address: *address, hosts });
            groups.len() - 1
        });
        of.insert(*address, group);
    }
    (groups, of)
}

/// The longest prefix that holds an address. The two roots hold every address.
pub(super) fn atom_of(atoms: &[Atom], ip: IpAddr) -> usize {
    let host = Cidr::host(ip);
    let key = |c: &Cidr| (c.family(), c.range().0, c.prefix_len());
    let mut at = atoms.partition_point(|a| key(&a.cidr) <= key(&host));
    while at > 0 {
        at -= 1;
        if atoms[at].cidr.contains(ip) {
            break;
        }
    }
    at
}

fn addresses(
    world: &World,
    flat: &Flat,
    engine: &Engine<'_>,
    identities: &Identities,
    group_of: &BTreeMap<IpAddr, usize>,
    atoms: &[Atom],
) -> Result<BTreeMap<IpAddr, Owner>, Refused> {
    let mut out: BTreeMap<IpAddr, Owner> = BTreeMap::new();
    for service in &world.services {
        for ip in service.cluster_ips.iter().chain(&service.external_ips) {
            let identity = Some(identities.of(Candidate::Atom(atom_of(atoms, *ip))));
            out.insert(*ip, Owner { identity, ifindex: None, service: true });
        }
    }
    for (ip, group) in group_of {
        let identity = Some(identities.of(Candidate::Node(*group)));
        out.insert(*ip, Owner { identity, ifindex: None, service: false });
    }
    for (ip, pod) in &flat.pods {
        let class = pod.and_then(|pod| engine.classes().class_of(pod));
        let identity = class.map(|class| identities.of(Candidate::Class(class)));
        // Its owner's device, not that of a pod on its way out that still claims it; a contested address is no pod's own.
        let ifindex = identity.and(*pod).and_then(|pod| flat.devices.get(&pod).copied());
        out.insert(*ip, Owner { identity, ifindex, service: false });
    }
    bounds::at_most("addresses", out.len(), bounds::ADDRESSES, || "the pods of the cluster".to_owned())?;
    Ok(out)
}

/// The policy that names the most blocks.
pub(super) fn widest(world: &World) -> String {
    let count = |p: &watertight_model::NetworkPolicy| {
        let rules = p.ingress.iter().chain(&p.egress);
        let blocks = |rule: &watertight_model::Rule| match &rule.peers {
            watertight_model::Peers::Any(_) => 0,
            watertight_model::Peers::Of(peers) => peers
                .iter()
                .map(|peer| match &peer.kind {
                    watertight_model::PeerKind::Block(b) => 1 + b.except.len(),
                    watertight_model::PeerKind::Pods { .. } => 0,
                })
                .sum::<usize>(),
        };
        rules.map(blocks).sum::<usize>()
    };
    let name = |p: &watertight_model::NetworkPolicy| {
        format!("NetworkPolicy {}/{}", world.namespaces[p.namespace.index()].name, p.name)
    };
    world.policies.iter().max_by_key(|p| count(p)).map_or_else(|| "cluster policies".to_owned(), name)
}

/// The policy that most of the answers in the largest set are due to.
fn busiest(image: &Image) -> String {
    let mut by_policy: BTreeMap<&str, usize> = BTreeMap::new();
    for set in &image.sets {
        for (_, table) in &set.entries {
            for step in image.tables[*table as usize].steps() {
                for rule in &image.answers[step.answer as usize].rules {
                    *by_policy.entry(&rule.policy).or_default() += 1;
                }
            }
        }
    }
    let most = by_policy.into_iter().max_by_key(|(_, n)| *n);
    most.map_or_else(|| "no policy in particular".to_owned(), |(name, _)| format!("policy {name}"))
}

struct Builder<'w> {
    /// `None`: nothing is in shadow, and one row is both.
    rows: Option<Rows<'w>>,
    shadow_rows: Rows<'w>,
    identities: Identities,
    out: Out,
    known: FxHashMap<(ClassId, Direction), (u32, bool)>,
}

impl Builder<'_> {
    /// The set of a pod, and whether an enforced policy has a say. `None`: the pod has no class (it has finished).
    fn set(&mut self, subject: PodId, direction: Direction) -> Option<(u32, bool)> {
        let class = self.shadow_rows.engine().classes().class_of(subject)?;
        if let Some(known) = self.known.get(&(class, direction)) {
            return Some(*known);
        }
        let shadow = self.shadow_rows.row(class, direction);
        let made = match &mut self.rows {
            None => (self.same(&shadow), shadow.restricted),
            Some(rows) => {
                let class = rows.engine().classes().class_of(subject)?;
                let enforced = rows.row(class, direction);
                (self.both(&enforced, &shadow), enforced.restricted)
            }
        };
        self.known.insert((class, direction), made);
        Some(made)
    }

    fn same(&mut self, row: &Row) -> u32 {
        let default = self.out.table(&row.default, &row.default);
        let entries = row.peers.iter().map(|(peer, steps)| (self.identities.of(*peer), self.out.table(steps, steps)));
        let entries = entries.filter(|(_, table)| *table != default).collect();
        self.out.set(default, entries)
    }

    /// Both rows, by identity. The enforced world tells fewer classes apart; its rows are spread over the finer ones.
    fn both(&mut self, enforced: &Row, shadow: &Row) -> u32 {
        let Some(rows) = &self.rows else { return self.same(shadow) };
        let coarse: FxHashMap<Candidate, &Steps> = enforced.peers.iter().map(|(p, s)| (*p, s)).collect();
        let fine: FxHashMap<Candidate, &Steps> = shadow.peers.iter().map(|(p, s)| (*p, s)).collect();
        let all = self.shadow_rows.engine().classes();
        let classes = (0..all.len()).filter_map(|i| u32::try_from(i).ok().map(ClassId));
        let pairs = classes.filter_map(|class| {
            let there = rows.engine().classes().class_of(all.representative(class))?;
            Some((Candidate::Class(class), coarse.get(&Candidate::Class(there)).copied()))
        });
        let others: std::collections::BTreeSet<Candidate> = enforced
            .peers
            .iter()
            .chain(&shadow.peers)
            .map(|(p, _)| *p)
            .filter(|p| !matches!(p, Candidate::Class(_)))
            .collect();
        let pairs = pairs.chain(others.into_iter().map(|p| (p, coarse.get(&p).copied())));
        let default = self.out.table(&enforced.default, &shadow.default);
        let mut entries = Vec::new();
        for (peer, now) in pairs {
            let then = fine.get(&peer).copied();
            if now.is_none() && then.is_none() {
                continue;
            }
            let table = self.out.table(now.unwrap_or(&enforced.default), then.unwrap_or(&shadow.default));
            if table != default {
                entries.push((self.identities.of(peer), table));
            }
        }
        self.out.set(default, entries)
    }
}
