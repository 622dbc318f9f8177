//! From what the kernel has to what it should have: ordered writes.
//!
//! Everything that changes is there twice, in two banks; one word, the epoch, says which is visible. A plan writes into the
//! bank that is not: first the answers, tables and sets that it needs and nobody has yet, then who has which address, then
//! the pods. Publishing is one write of the epoch. So every packet sees one version or the next (I5), whatever changes:
//! policies, labels, addresses. Sets and tables are shared by both banks, immutable, and removed when neither needs them.
//!
//! Numbers of the kernel are chosen here: an identity keeps the number that its addresses have in the visible bank if it
//! can, so that few sets change. Which numbers are chosen never matters for what they mean, because each bank is whole.

mod alloc;
mod delta;

pub(crate) use delta::{advance, level, level_all};

use crate::abi::{self, AddressKey, Bank, EntryKey, PeerValue, PrefixKey, SlotKey, SlotValue, Step, TableValue};
use crate::bounds;
use crate::image::{Identity, Image, Owner, Refused, Slot};
use alloc::Runs;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One bank: the part that is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// `addresses`.
    pub addresses: BTreeMap<AddressKey, PeerValue>,
    /// `prefixes`.
    pub prefixes: BTreeMap<PrefixKey, PeerValue>,
    /// `slots`.
    pub slots: BTreeMap<SlotKey, SlotValue>,
}

/// What the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What is visible: bank `epoch & 1`.
    pub epoch: u64,
    /// Both banks.
    pub banks: [Arc<Half>; 2],
    /// Sets: table by peer.
    pub sets: BTreeMap<u32, BTreeMap<u32, TableValue>>,
    /// Tables: steps by run in `ports`.
    pub tables: BTreeMap<(u32, u32), Vec<Step>>,
    /// Hash of the text, by number, of the answers that some table gives. 0 is not used.
    pub answers: BTreeMap<u32, u64>,
    /// The lowest number that no answer ever had; 0 stands for 1. Old numbers are taken again only when all were used, because
    /// the ledger still names them.
    pub fresh_answer: u32,
}

/// One map write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Element of `answers`.
    Answer(u32, u64),
    /// Element of `ports`.
    Step(u32, Step),
    /// `entries`.
    Entry(EntryKey, TableValue),
    /// `addresses`.
    Address(AddressKey, PeerValue),
    /// `prefixes`.
    Prefix(PrefixKey, PeerValue),
    /// `slots`.
    Slot(SlotKey, SlotValue),
    /// Removes from `entries`.
    NoEntry(EntryKey),
    /// Removes from `addresses`.
    NoAddress(AddressKey),
    /// Removes from `prefixes`.
    NoPrefix(PrefixKey),
    /// Removes from `slots`.
    NoSlot(SlotKey),
}

/// Writes in order, and the state that they lead to. Its epoch is the one to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In order: removals of what the hidden bank held alone, referents, references.
    pub writes: Vec<Write>,
    /// What the kernel has then.
    pub after: State,
    /// The kernel's numbers.
    pub(crate) names: Names,
}

/// What the kernel calls the parts of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// By place in the image.
    pub(crate) answers: Vec<u32>,
    tables: Vec<TableValue>,
    sets: Vec<u32>,
    identities: FxHashMap<Identity, u32>,
    /// Numbers that neither bank nor any set has ever had.
    next_identity: u32,
    next_set: u32,
    runs: Runs,
    by_steps: FxHashMap<Vec<Step>, (u32, u32)>,
    by_hash: FxHashMap<u64, u32>,
}

impl Names {
    fn number(&self, identity: Option<Identity>) -> u32 {
        identity.and_then(|i| self.identities.get(&i).copied()).unwrap_or(abi::NOBODY)
    }
}

impl State {
    /// The bank that packets see.
    pub fn visible(&self) -> &Half {
        &self.banks[Bank::of(self.epoch).number() as usize]
    }
}

/// Plans the way from `state` to `image`. The caller waits until no packet reads the hidden bank any more, then writes.
pub fn plan(state: &State, image: &Image) -> Result<Plan, Refused> {
    let bank = Bank::of(state.epoch + 1);
    let mut after = state.clone();
    after.epoch += 1;
    after.banks[bank.number() as usize] = Arc::default();
    let mut writes = Vec::new();
    forget(&mut after, None, &mut writes);
    let mut names = Names::default();
    number_answers(image, &mut names, &mut after, &mut writes)?;
    place_tables(image, &mut names, &mut after, &mut writes)?;
    names.identities = number_identities(state, image);
    number_sets(image, &mut names, &mut after, &mut writes);
    let half = half(image, bank, &names);
    turn(&state.banks[bank.number() as usize], &half, &mut writes);
    after.banks[bank.number() as usize] = Arc::new(half);
    names.next_identity = next_identity(state, &after);
    Ok(Plan { writes, after, names })
}

/// A number that nobody has, nor any number above it.
fn next_identity(before: &State, after: &State) -> u32 {
    let banks = before.banks.iter().chain(&after.banks);
    let values = banks.flat_map(|b| b.addresses.values().chain(b.prefixes.values())).map(abi::identity_of);
    let listed = after.sets.values().flat_map(BTreeMap::keys).copied().filter(|peer| *peer != abi::ANYONE_ELSE);
    values.chain(listed).max().unwrap_or(0).saturating_add(1)
}

/// Drops the sets that neither bank needs, and their tables and answers with them; but nothing that `names` names.
fn forget(state: &mut State, names: Option<&Names>, writes: &mut Vec<Write>) {
    let mut used: FxHashSet<u32> =
        state.banks.iter().flat_map(|b| b.slots.values()).flat_map(|v| <[u32; 2]>::from(abi::sets_of(v))).collect();
    used.extend(names.iter().flat_map(|n| &n.sets));
    state.sets.retain(|id, entries| {
        let keep = used.contains(id);
        if !keep {
            writes.extend(entries.keys().map(|peer| Write::NoEntry(abi::entry_key(*id, *peer))));
        }
        keep
    });
    let runs: FxHashSet<(u32, u32)> = state.sets.values().flat_map(|s| s.values()).map(abi::table_of).collect();
    state.tables.retain(|run, _| runs.contains(run));
    let answers: FxHashSet<u32> =
        state.tables.values().flatten().flat_map(|step| [step.answer, step.shadow_answer]).collect();
    state.answers.retain(|id, _| answers.contains(id));
}

/// Numbers the answers of an image that have none yet.
fn number_answers(image: &Image, names: &mut Names, after: &mut State, writes: &mut Vec<Write>) -> Result<(), Refused> {
    if names.answers.is_empty() {
        names.by_hash = after.answers.iter().map(|(id, hash)| (*hash, *id)).collect();
    }
    let end = u32::try_from(2 * bounds::ANSWERS).unwrap_or(u32::MAX);
    // Old numbers are taken again only when all were used; then whoever looks for one looks at all.
    let mut again = 1..end;
    for answer in &image.answers[names.answers.len()..] {
        let hash = answer.hash();
        let id = match names.by_hash.get(&hash) {
            Some(id) => *id,
            None => {
                let fresh = Some(after.fresh_answer.max(1)).filter(|id| *id < end);
                let Some(id) = fresh.or_else(|| again.find(|id| !after.answers.contains_key(id))) else {
                    let (have, bound) = (after.answers.len() + 1, 2 * bounds::ANSWERS - 1);
                    return Err(Refused { what: "answers", have, bound, object: answer.text() });
                };
                after.fresh_answer = after.fresh_answer.max(id + 1);
                writes.push(Write::Answer(id, hash));
                after.answers.insert(id, hash);
                names.by_hash.insert(hash, id);
                id
            }
        };
        names.answers.push(id);
    }
    Ok(())
}

/// Places the tables of an image that have no place yet.
fn place_tables(image: &Image, names: &mut Names, after: &mut State, writes: &mut Vec<Write>) -> Result<(), Refused> {
    if names.tables.is_empty() {
        names.by_steps = after.tables.iter().map(|(run, steps)| (steps.clone(), *run)).collect();
        names.runs = Runs::new(2 * bounds::STEPS, after.tables.keys().copied());
    }
    for table in &image.tables[names.tables.len()..] {
        let steps: Vec<Step> = table
            .steps()
            .iter()
            .map(|s| Step {
                from: s.from.0,
                answer: names.answers[s.answer as usize],
                shadow_answer: names.answers[s.shadow_answer as usize],
                allow: s.allow,
                shadow_allow: s.shadow_allow,
                flags: if s.tier_deny { abi::TABLE_TIER_DENY } else { 0 },
            })
            .collect();
        let run = match names.by_steps.get(&steps) {
            Some(run) => *run,
            None => {
                let Some(run) = names.runs.take(steps.len()) else {
                    let have = after.tables.values().map(Vec::len).sum::<usize>() + steps.len();
                    let object = "two versions of the policies together".to_owned();
                    return Err(Refused { what: "port ranges", have, bound: 2 * bounds::STEPS, object });
                };
                writes.extend((run.0..).zip(&steps).map(|(at, step)| Write::Step(at, *step)));
                names.by_steps.insert(steps.clone(), run);
                after.tables.insert(run, steps);
                run
            }
        };
        names.tables.push(abi::table_value(run.0, run.1));
    }
    Ok(())
}

/// An identity keeps the number that one of its addresses or prefixes has in the visible bank, if nobody else took it.
fn number_identities(state: &State, image: &Image) -> FxHashMap<Identity, u32> {
    let bank = Bank::of(state.epoch);
    let visible = state.visible();
    let mut out: FxHashMap<Identity, u32> = FxHashMap::default();
    let mut taken: FxHashSet<u32> = [abi::NOBODY, abi::ANYONE_ELSE].into_iter().collect();
    let owners = image.addresses.iter().filter(|(_, o)| !o.service);
    let by_address =
        owners.filter_map(|(ip, o)| Some((o.identity?, visible.addresses.get(&abi::address_key(bank, *ip)))));
    let by_prefix = image.prefixes.iter().map(|(c, id)| (*id, visible.prefixes.get(&abi::prefix_key(bank, c))));
    let mut without: BTreeSet<Identity> = BTreeSet::new();
    for (identity, known) in by_address.chain(by_prefix) {
        if out.contains_key(&identity) {
            continue;
        }
        match known.map(abi::identity_of) {
            Some(number) if taken.insert(number) => {
                out.insert(identity, number);
                without.remove(&identity);
            }
            _ => {
                without.insert(identity);
            }
        }
    }
    // Peers without any address (the subject's own class, before its address is known) have a number too.
    let listed = image.sets.iter().flat_map(|s| &s.entries).map(|(identity, _)| *identity);
    without.extend(listed.filter(|identity| !out.contains_key(identity)));
    let mut free = (1..abi::ANYONE_ELSE).filter(|n| !taken.contains(n));
    for identity in without {
        // There are far more numbers than bounds allow identities.
        out.insert(identity, free.next().unwrap_or(abi::NOBODY));
    }
    out
}

/// Numbers the sets of an image that have none yet; their identities have numbers.
fn number_sets(image: &Image, names: &mut Names, after: &mut State, writes: &mut Vec<Write>) {
    let mut known: FxHashMap<BTreeMap<u32, TableValue>, u32> = FxHashMap::default();
    if names.sets.is_empty() {
        known = after.sets.iter().map(|(id, entries)| (entries.clone(), *id)).collect();
        names.next_set = 1;
    }
    for set in &image.sets[names.sets.len()..] {
        let mut entries: BTreeMap<u32, TableValue> = BTreeMap::new();
        for (identity, table) in &set.entries {
            if let Some(number) = names.identities.get(identity) {
                entries.insert(*number, names.tables[*table as usize]);
            }
        }
        entries.insert(abi::ANYONE_ELSE, names.tables[set.default as usize]);
        let id = match known.get(&entries) {
            Some(id) => *id,
            None => {
                while after.sets.contains_key(&names.next_set) {
                    names.next_set += 1;
                }
                let id = names.next_set;
                writes.extend(entries.iter().map(|(peer, table)| Write::Entry(abi::entry_key(id, *peer), *table)));
                after.sets.insert(id, entries);
                id
            }
        };
        names.sets.push(id);
    }
}

fn half(image: &Image, bank: Bank, names: &Names) -> Half {
    let addresses = image.addresses.iter().map(|(ip, owner)| (abi::address_key(bank, *ip), owner_value(owner, names)));
    let prefixes = image
        .prefixes
        .iter()
        .map(|(cidr, identity)| (abi::prefix_key(bank, cidr), abi::peer_value(names.number(Some(*identity)), 0, 0)));
    let slots = image.slots.iter().map(|(ifindex, slot)| (abi::slot_key(bank, *ifindex), slot_value(slot, names)));
    Half { addresses: addresses.collect(), prefixes: prefixes.collect(), slots: slots.collect() }
}

fn owner_value(owner: &Owner, names: &Names) -> PeerValue {
    let flags = if owner.service { abi::PEER_SERVICE } else { 0 };
    abi::peer_value(names.number(owner.identity), owner.ifindex.unwrap_or(0), flags)
}

fn slot_value(slot: &Slot, names: &Names) -> SlotValue {
    let egress = if slot.egress_restricted { abi::SLOT_EGRESS } else { 0 };
    let ingress = if slot.ingress_restricted { abi::SLOT_INGRESS } else { 0 };
    let (out_set, in_set) = (names.sets[slot.egress as usize], names.sets[slot.ingress as usize]);
    abi::slot_value(out_set, in_set, egress | ingress, slot.mac)
}

/// Writes for one bank: what is gone goes first, to make room.
fn turn(before: &Half, after: &Half, writes: &mut Vec<Write>) {
    fn changes<K: Ord + Copy, V: PartialEq + Copy>(
        before: &BTreeMap<K, V>,
        after: &BTreeMap<K, V>,
        gone: impl Fn(K) -> Write,
        set: impl Fn(K, V) -> Write,
        writes: &mut Vec<Write>,
    ) {
        writes.extend(before.keys().filter(|k| !after.contains_key(k)).map(|k| gone(*k)));
        writes.extend(after.iter().filter(|(k, v)| before.get(k) != Some(v)).map(|(k, v)| set(*k, *v)));
    }
    changes(&before.addresses, &after.addresses, Write::NoAddress, Write::Address, writes);
    changes(&before.prefixes, &after.prefixes, Write::NoPrefix, Write::Prefix, writes);
    changes(&before.slots, &after.slots, Write::NoSlot, Write::Slot, writes);
}
