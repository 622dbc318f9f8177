//! What is kept between two images, and how it is made from nothing.

use super::super::atoms::{Atom, atoms};
use super::super::compile::{atom_of, fits, node_groups, notes, widest};
use super::super::flat::{Nodes, addresses, enforced, rest};
use super::super::out::Out;
use super::super::row::{Cuts, NodeGroup, Rows};
use super::super::{Identity, Image, Local, Note, Options, Owner, Refused, Set, Slot};
use super::Compiled;
use super::ask::{Asking, Made};
use super::few::Few;
use crate::bounds;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use watertight_engine::Engine;
use watertight_engine::likeness::{Likeness, Telling};
use watertight_model::{Direction, NamespaceId, Pod, PodId, Str, World};

/// Pods that are alike to every policy, and all have an address or all have none.
pub(super) struct Kind {
    /// Place in the small world of the pod that stands for it.
    pub(super) pod: usize,
    /// No address is looked up for pods without one, so rows need not name them.
    pub(super) addressed: bool,
}

/// A pod's claim to an address.
pub(super) struct Claim {
    pub(super) namespace: NamespaceId,
    pub(super) name: Str,
    pub(super) kind: usize,
    pub(super) ifindex: Option<u32>,
    pub(super) terminating: bool,
}

/// What holds for a kind in one direction.
pub(super) struct Known {
    pub(super) set: u32,
    pub(super) restricted: bool,
    /// Of the policies that are enforced (if some are not), and of all.
    pub(super) cuts: (Option<Cuts>, Cuts),
}

/// A pod of this node whose slot is to be made.
pub(super) struct Wanted<'a> {
    pub(super) pod: &'a Pod,
    pub(super) local: &'a Local,
    pub(super) kind: usize,
}

/// Everything that the next image may be made from.
pub(super) struct Kept {
    pub(super) compiled: Compiled,
    pub(super) world: Arc<World>,
    pub(super) locals: Vec<Local>,
    pub(super) other_protocols: bool,
    pub(super) kinds: Kinds,
    pub(super) atoms: Vec<Atom>,
    pub(super) groups: Vec<NodeGroup>,
    /// Services and nodes by address: what remains if no pod claims it.
    pub(super) base: BTreeMap<IpAddr, Owner>,
    pub(super) claims: FxHashMap<IpAddr, Vec<Claim>>,
    pub(super) contested: BTreeSet<IpAddr>,
    /// Notes but for contested addresses.
    pub(super) fixed_notes: Vec<Note>,
    pub(super) out: Out,
    pub(super) known: FxHashMap<(usize, Direction), Known>,
    /// Policies that select a kind of `known`, by place in the small world and in the enforced one.
    selecting: [BTreeSet<u32>; 2],
    /// Made when a new kind comes.
    few: Option<Few>,
    /// Kinds and rows that came since everything was made.
    pub(super) grown: usize,
    /// How many there may be.
    pub(super) may_grow: usize,
}

/// Kinds of pods, and a world in which each has one pod.
pub(super) struct Kinds {
    telling: Telling,
    by_likeness: FxHashMap<(Likeness, bool), usize>,
    pub(super) list: Vec<Kind>,
    pub(super) nodes: Nodes,
    /// One pod per kind, and the hostNetwork pods.
    pub(super) small: World,
    /// The same, without the policies in shadow; `None`: none is.
    pub(super) enforced: Option<World>,
    /// By pod of the small world; `None`: a hostNetwork pod.
    pub(super) at: Vec<Option<usize>>,
}

impl Kinds {
    /// The kind of a pod with one address or none, if some pod was of it before.
    pub(super) fn find(&self, pod: &Pod, ip: Option<IpAddr>) -> Result<usize, (Likeness, bool)> {
        let key = (self.telling.likeness(pod, ip.as_slice()), ip.is_some());
        self.by_likeness.get(&key).copied().ok_or(key)
    }

    /// A kind of its own, at a place of the small world (its namespace's pods are neighbours there).
    pub(super) fn add(&mut self, key: (Likeness, bool), pod: &Pod, ip: Option<IpAddr>, at: usize) -> usize {
        let one = self.nodes.one(pod, ip.into_iter().collect());
        if at < self.small.pods.len() {
            self.list.iter_mut().filter(|k| k.pod >= at).for_each(|k| k.pod += 1);
        }
        if let Some(enforced) = &mut self.enforced {
            enforced.pods.insert(at, one.clone());
        }
        self.small.pods.insert(at, one);
        let kind = self.list.len();
        self.at.insert(at, Some(kind));
        self.list.push(Kind { pod: at, addressed: key.1 });
        self.by_likeness.insert(key, kind);
        kind
    }
}

/// Atoms and node groups have the first identities, so that kinds can be added.
pub(super) fn identity(before: usize, i: usize) -> Identity {
    Identity(u32::try_from(before + i + 1).unwrap_or(crate::abi::NOBODY))
}

impl Kept {
    pub(super) fn new(world: &Arc<World>, locals: &[Local], options: &Options) -> Result<Self, Refused> {
        bounds::at_most("pods of this node", locals.len(), bounds::SLOTS, || "this node".to_owned())?;
        let mut small = rest(world);
        let nodes = Nodes::of(world);
        small.nodes.clone_from(&nodes.list);
        let telling = Telling::of(&small);
        let mut kinds = Kinds {
            telling,
            by_likeness: FxHashMap::default(),
            list: Vec::new(),
            nodes,
            small,
            enforced: None,
            at: Vec::new(),
        };
        let here: FxHashMap<PodId, &Local> = locals.iter().map(|l| (l.pod, l)).collect();
        let mut claims: FxHashMap<IpAddr, Vec<Claim>> = FxHashMap::default();
        let mut wanted = Vec::new();
        // Replicas are neighbours, and mostly alike.
        let mut before: Option<(&Pod, IpAddr, usize)> = None;
        for (i, pod) in world.pods.iter().enumerate() {
            if pod.host_network && !pod.finished {
                kinds.nodes.host(world, pod, &mut kinds.small.pods);
                kinds.at.resize(kinds.small.pods.len(), None);
                continue;
            }
            let local = here.get(&PodId::at(i)).copied();
            let Some(ips) = addresses(pod, local) else { continue };
            let mut first = None;
            for ip in ips.iter().copied().map(Some).chain(ips.is_empty().then_some(None)) {
                let known = before.zip(ip).filter(|((p, at, _), ip)| kinds.telling.plainly_alike((p, *at), (pod, *ip)));
                let kind = match known {
                    Some(((_, _, kind), _)) => kind,
                    None => {
                        let end = kinds.small.pods.len();
                        kinds.find(pod, ip).unwrap_or_else(|key| kinds.add(key, pod, ip, end))
                    }
                };
                before = ip.map(|ip| (pod, ip, kind)).or(before);
                first = first.or(Some(kind));
                if let Some(ip) = ip {
                    claims.entry(ip).or_default().push(claim(pod, kind, local));
                }
            }
            wanted.extend(local.zip(first).map(|(local, kind)| Wanted { pod, local, kind }));
        }
        let mut fixed_notes = Vec::new();
        kinds.enforced = enforced(&kinds.small, options.shadow, &mut fixed_notes);
        let fixed_notes = notes(world, fixed_notes);
        let atoms = atoms(&kinds.small);
        let (groups, group_of) = node_groups(&kinds.small, &kinds.nodes, &atoms);
        let mut this = Self {
            compiled: Compiled::new(Image {
                addresses: BTreeMap::new(),
                prefixes: atoms.iter().enumerate().map(|(i, a)| (a.cidr, identity(0, i))).collect(),
                slots: BTreeMap::new(),
                sets: Vec::new(),
                tables: Vec::new(),
                answers: Vec::new(),
                notes: Vec::new(),
            }),
            world: world.clone(),
            locals: locals.to_vec(),
            other_protocols: options.other_protocols,
            base: base(world, &atoms, &group_of),
            may_grow: 256 + kinds.list.len() / 4,
            kinds,
            atoms,
            groups,
            claims,
            contested: BTreeSet::new(),
            fixed_notes,
            out: Out::default(),
            known: FxHashMap::default(),
            selecting: Default::default(),
            few: None,
            grown: 0,
        };
        this.compiled.image.addresses = this.all_addresses();
        let image = &this.compiled.image;
        bounds::at_most("addresses", image.addresses.len(), bounds::ADDRESSES, || {
            "the pods of the cluster".to_owned()
        })?;
        bounds::at_most("address blocks", image.prefixes.len(), bounds::PREFIXES, || widest(world))?;
        // In order of their devices, so that the same input gives the same image.
        wanted.sort_by_key(|w| w.local.ifindex);
        this.rows(&wanted, &[]);
        this.slots(&wanted);
        this.say_notes();
        fits(&this.compiled.image)?;
        Ok(this)
    }

    fn all_addresses(&mut self) -> BTreeMap<IpAddr, Owner> {
        let mut out: Vec<(IpAddr, Owner)> = self.base.iter().map(|(ip, o)| (*ip, *o)).collect();
        let claimed = std::mem::take(&mut self.claims);
        for (ip, claims) in &claimed {
            out.extend(self.owner(*ip, claims).map(|owner| (*ip, owner)));
        }
        self.claims = claimed;
        // Of two owners the later counts: a pod's address is the pod's.
        out.into_iter().collect()
    }

    /// Whose an address is that pods claim; what is said about it is kept.
    pub(super) fn owner(&mut self, ip: IpAddr, claims: &[Claim]) -> Option<Owner> {
        let mut staying = claims.iter().filter(|c| !c.terminating);
        let owner = match (claims, staying.next(), staying.next()) {
            ([], _, _) => {
                self.contested.remove(&ip);
                return self.base.get(&ip).copied();
            }
            ([one], _, _) | (_, Some(one), None) => Some(one),
            _ => None,
        };
        match owner {
            Some(_) => self.contested.remove(&ip),
            None => self.contested.insert(ip),
        };
        let identity = owner.map(|claim| self.identity_of(claim.kind));
        Some(Owner { identity, ifindex: owner.and_then(|claim| claim.ifindex), service: false })
    }

    pub(super) fn identity_of(&self, kind: usize) -> Identity {
        identity(self.atoms.len() + self.groups.len(), kind)
    }

    /// Makes the rows that the wanted pods need and nobody has, and adds new kinds to the rows that are there. False: a set's
    /// pods differ over a new kind, and it would have to be split.
    pub(super) fn rows(&mut self, wanted: &[Wanted<'_>], fresh: &[usize]) -> bool {
        let known = &self.known;
        let missing = wanted.iter().map(|w| w.kind).filter(|k| !known.contains_key(&(*k, Direction::Egress)));
        let mut missing: Vec<usize> = missing.collect();
        let mut seen = BTreeSet::new();
        missing.retain(|kind| seen.insert(*kind));
        let fresh: Vec<usize> = fresh.iter().copied().filter(|k| self.kinds.list[*k].addressed).collect();
        if missing.is_empty() && fresh.is_empty() {
            return true;
        }
        let before = self.atoms.len() + self.groups.len();
        if !fresh.is_empty() && !self.known.is_empty() {
            let subjects = || self.known.keys().map(|(kind, _)| *kind).collect();
            let few = self.few.get_or_insert_with(|| Few::of(&self.kinds, &subjects(), &self.selecting));
            let around = (&self.atoms[..], &self.groups[..], self.other_protocols);
            let made = few.columns(&self.kinds, &fresh, &self.known, around, &mut self.out);
            let Some(columns) = made else { return false };
            for (set, peer, table) in columns {
                let peer = identity(before, peer);
                let set_of = &mut self.compiled.image.sets[set as usize];
                if set_of.default == table {
                    continue;
                }
                // A new identity is the largest.
                set_of.entries.push((peer, table));
                if let Some((_, touched)) = &mut self.compiled.since {
                    touched.entries.push((set, peer));
                }
            }
        }
        if missing.is_empty() {
            self.out.sync(&mut self.compiled.image);
            return true;
        }
        self.few = None;
        let all = Engine::new(&self.kinds.small);
        let enforced = self.kinds.enforced.as_ref().map(Engine::new);
        let rows = |engine| Rows::new(engine, &self.atoms, &self.groups, self.other_protocols);
        let mut asking = Asking::new(rows(&all), enforced.as_ref().map(rows), &self.kinds, self.atoms.len(), before);
        let image = &mut self.compiled.image;
        let mut places: FxHashMap<Set, u32> = FxHashMap::default();
        for kind in missing {
            for (all, these) in self.selecting.iter_mut().zip(asking.selecting(kind)) {
                all.extend(these);
            }
            for direction in Direction::BOTH {
                let Some(made) = asking.row(kind, direction, &mut self.out) else { return false };
                let Made { set, restricted, cuts } = made;
                let set = place(&mut image.sets, &mut places, set);
                self.known.insert((kind, direction), Known { set, restricted, cuts });
            }
            self.grown += 1;
        }
        self.out.sync(image);
        true
    }

    pub(super) fn slots(&mut self, wanted: &[Wanted<'_>]) {
        for w in wanted {
            let known = (self.known.get(&(w.kind, Direction::Egress)), self.known.get(&(w.kind, Direction::Ingress)));
            let (Some(egress), Some(ingress)) = known else { continue };
            let namespace = &self.kinds.small.namespaces[w.pod.namespace.index()].name;
            let slot = Slot {
                name: format!("{namespace}/{}", w.pod.name),
                egress: egress.set,
                ingress: ingress.set,
                egress_restricted: egress.restricted,
                ingress_restricted: ingress.restricted,
                mac: w.local.mac,
            };
            self.compiled.image.slots.insert(w.local.ifindex, slot);
        }
    }

    pub(super) fn say_notes(&mut self) {
        let mut notes = self.fixed_notes.clone();
        notes.extend(self.contested.iter().map(|ip| Note::Contested(*ip)));
        notes.sort();
        self.compiled.image.notes = notes;
    }
}

pub(super) fn claim(pod: &Pod, kind: usize, local: Option<&Local>) -> Claim {
    Claim {
        namespace: pod.namespace,
        name: pod.name.clone(),
        kind,
        ifindex: local.map(|l| l.ifindex),
        terminating: pod.terminating,
    }
}

/// The place of an equal set, or a new one.
fn place(sets: &mut Vec<Set>, places: &mut FxHashMap<Set, u32>, set: Set) -> u32 {
    if let Some(known) = places.get(&set) {
        return *known;
    }
    let at = sets.iter().position(|s| *s == set).unwrap_or_else(|| {
        sets.push(set.clone());
        sets.len() - 1
    });
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    places.insert(set, at);
    at
}

/// Services and nodes by address.
fn base(world: &World, atoms: &[Atom], group_of: &BTreeMap<IpAddr, usize>) -> BTreeMap<IpAddr, Owner> {
    let mut out = BTreeMap::new();
    for ip in world.services.iter().flat_map(|s| s.cluster_ips.iter().chain(&s.external_ips)) {
        let identity = Some(identity(0, atom_of(atoms, *ip)));
        out.insert(*ip, Owner { identity, ifindex: None, service: true });
    }
    for (ip, group) in group_of {
        out.insert(*ip, Owner { identity: Some(identity(atoms.len(), *group)), ifindex: None, service: false });
    }
    out
}
