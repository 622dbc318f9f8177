//! The short way: from one image of a compiler to the next, where only what was touched is looked at.
//!
//! Both banks are level when it begins: the hidden one says what the visible one says. So the writes for what was touched bring it
//! to the next image, and after publication the same ones bring the other bank there. New identities get numbers that neither
//! bank has had, so entries may be added to sets that packets read: nobody looks them up before an address names them.

use super::alloc::Runs;
use super::{Half, Names, State, Write, forget, half, number_answers, number_sets, place_tables, turn};
use super::{owner_value, slot_value};
use crate::abi::{self, Bank};
use crate::bounds;
use crate::image::{Identity, Image, Refused, Touched};
use std::sync::Arc;

/// Plans the way to the next image, and takes it in `state` and `names`. Refused: both are of no use any more; the long way
/// ([`super::plan`]) may still lead there.
pub(crate) fn advance(
    state: &mut State,
    names: &mut Names,
    image: &Image,
    touched: &Touched,
) -> Result<Vec<Write>, Refused> {
    let mut writes = Vec::new();
    number_answers(image, names, state, &mut writes)?;
    place_tables(image, names, state, &mut writes)?;
    let owned = touched.addresses.iter().filter_map(|ip| image.addresses.get(ip)?.identity);
    let listed = image.sets[names.sets.len()..].iter().flat_map(|s| &s.entries).map(|(identity, _)| *identity);
    let added = touched.entries.iter().map(|(_, identity)| *identity);
    for identity in owned.chain(listed).chain(added) {
        number(identity, names)?;
    }
    for (set, identity) in &touched.entries {
        // Sets that are new have all their entries below.
        let Some(id) = names.sets.get(*set as usize) else { continue };
        let entries = &image.sets[*set as usize].entries;
        let Ok(at) = entries.binary_search_by_key(identity, |(peer, _)| *peer) else { continue };
        let (peer, table) = (names.number(Some(*identity)), names.tables[entries[at].1 as usize]);
        writes.push(Write::Entry(abi::entry_key(*id, peer), table));
        state.sets.entry(*id).or_default().insert(peer, table);
    }
    number_sets(image, names, state, &mut writes);
    state.epoch += 1;
    touch(state, names, image, touched, Bank::of(state.epoch), &mut writes);
    Ok(writes)
}

fn number(identity: Identity, names: &mut Names) -> Result<(), Refused> {
    if names.identities.contains_key(&identity) {
        return Ok(());
    }
    let number = names.next_identity;
    if number == abi::ANYONE_ELSE {
        let bound = abi::ANYONE_ELSE as usize;
        return Err(Refused { what: "identities", have: bound, bound, object: "pods over time".to_owned() });
    }
    names.next_identity += 1;
    names.identities.insert(identity, number);
    Ok(())
}

/// After publication: brings the bank that is hidden now to what [`advance`] published.
pub(crate) fn level(state: &mut State, names: &Names, image: &Image, touched: &Touched) -> Vec<Write> {
    let mut writes = Vec::new();
    touch(state, names, image, touched, Bank::of(state.epoch + 1), &mut writes);
    writes
}

/// After publication of a whole plan: brings the bank that is hidden now to the same image, and removes what nobody needs.
pub(crate) fn level_all(state: &mut State, names: &mut Names, image: &Image) -> Vec<Write> {
    let bank = Bank::of(state.epoch + 1);
    let mut writes = Vec::new();
    let next = half(image, bank, names);
    turn(&state.banks[bank.number() as usize], &next, &mut writes);
    state.banks[bank.number() as usize] = Arc::new(next);
    forget(state, Some(names), &mut writes);
    names.by_steps.retain(|_, run| state.tables.contains_key(run));
    names.by_hash.retain(|_, id| state.answers.contains_key(id));
    names.runs = Runs::new(2 * bounds::STEPS, state.tables.keys().copied());
    writes
}

/// Writes what an image says of what was touched into one bank.
fn touch(state: &mut State, names: &Names, image: &Image, touched: &Touched, bank: Bank, writes: &mut Vec<Write>) {
    let half: &mut Half = Arc::make_mut(&mut state.banks[bank.number() as usize]);
    for ip in &touched.addresses {
        let key = abi::address_key(bank, *ip);
        let value = image.addresses.get(ip).map(|owner| owner_value(owner, names));
        match value {
            Some(value) if half.addresses.insert(key, value) != Some(value) => writes.push(Write::Address(key, value)),
            None if half.addresses.remove(&key).is_some() => writes.push(Write::NoAddress(key)),
            Some(_) | None => {}
        }
    }
    for ifindex in &touched.slots {
        let key = abi::slot_key(bank, *ifindex);
        let value = image.slots.get(ifindex).map(|slot| slot_value(slot, names));
        match value {
            Some(value) if half.slots.insert(key, value) != Some(value) => writes.push(Write::Slot(key, value)),
            None if half.slots.remove(&key).is_some() => writes.push(Write::NoSlot(key)),
            Some(_) | None => {}
        }
    }
}
