//! Maps by name: writing a plan, reading it back, reading everything.

use super::error::Error;
use crate::abi;
use crate::plan::{Half, State, Write};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) fn map<'o>(object: &'o Object, name: &'static str) -> Result<libbpf_rs::Map<'o>, Error> {
    object.maps().find(|m| m.name() == name).ok_or(Error::Kernel(name))
}

fn failed(name: &'static str) -> impl Fn(libbpf_rs::Error) -> Error {
    move |e| Error::bpf(format!("map `{name}`"), e)
}

/// Refuses to touch maps of another layout.
pub(super) fn check_version(dir: &Path) -> Result<(), Error> {
    let path = dir.join("maps").join("control");
    if !path.exists() {
        return Ok(());
    }
    let control = MapHandle::from_pinned_path(&path).map_err(failed("control"))?;
    let value = control.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).map_err(failed("control"))?;
    let found = value.as_deref().and_then(|v| v.get(12..16)?.try_into().ok()).map_or(0, u32::from_ne_bytes);
    // 0: whoever made it died before saying so; the layout is checked by libbpf all the same.
    if found == abi::ABI || found == 0 {
        return Ok(());
    }
    Err(Error::Version { dir: dir.to_owned(), found, ours: abi::ABI })
}

/// How many elements a map that is there already holds at most.
pub(super) fn size_of_pinned(path: &Path) -> Result<Option<u32>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let map = MapHandle::from_pinned_path(path).map_err(|e| Error::bpf(format!("open {}", path.display()), e))?;
    Ok(Some(map.max_entries()))
}

/// The epoch, as the kernel says it.
pub(super) fn epoch(object: &Object) -> Result<u64, Error> {
    let value = map(object, "control")?.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).map_err(failed("control"))?;
    let bytes = value.as_deref().and_then(|v| v.get(..8)?.try_into().ok()).ok_or(Error::ReadBack("control"))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The map of a write, its key, and the value it leaves (`None`: the key is gone).
fn target(write: &Write) -> (&'static str, Vec<u8>, Option<Vec<u8>>) {
    match write {
        Write::Answer(id, hash) => ("answers", id.to_ne_bytes().to_vec(), Some(hash.to_ne_bytes().to_vec())),
        Write::Step(at, step) => ("ports", at.to_ne_bytes().to_vec(), Some(abi::step_value(step).to_vec())),
        Write::Entry(key, value) => ("entries", key.to_vec(), Some(value.to_vec())),
        Write::Address(key, value) => ("addresses", key.to_vec(), Some(value.to_vec())),
        Write::Prefix(key, value) => ("prefixes", key.to_vec(), Some(value.to_vec())),
        Write::Slot(key, value) => ("slots", key.to_vec(), Some(value.to_vec())),
        Write::NoEntry(key) => ("entries", key.to_vec(), None),
        Write::NoAddress(key) => ("addresses", key.to_vec(), None),
        Write::NoPrefix(key) => ("prefixes", key.to_vec(), None),
        Write::NoSlot(key) => ("slots", key.to_vec(), None),
    }
}

/// Writes in order; neighbours that go to the same map go in one call.
pub(super) fn write(object: &Object, writes: &[Write]) -> Result<(), Error> {
    let targets: Vec<_> = writes.iter().map(target).collect();
    for run in targets.chunk_by(|a, b| a.0 == b.0 && a.2.is_some() == b.2.is_some()) {
        let name = run[0].0;
        let map = map(object, name)?;
        let keys: Vec<u8> = run.iter().flat_map(|(_, key, _)| key.iter().copied()).collect();
        let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
        if run[0].2.is_none() {
            for (_, key, _) in run {
                match map.delete(key) {
                    // Already gone is gone.
                    Err(e) if e.kind() != libbpf_rs::ErrorKind::NotFound => return Err(failed(name)(e)),
                    Ok(()) | Err(_) => {}
                }
            }
            continue;
        }
        let values: Vec<u8> = run.iter().flat_map(|(_, _, value)| value.iter().flatten().copied()).collect();
        map.update_batch(&keys, &values, count, MapFlags::ANY, MapFlags::ANY).map_err(failed(name))?;
    }
    Ok(())
}

/// Reads back what was written. The last write to a key counts.
pub(super) fn verify(object: &Object, writes: &[Write]) -> Result<(), Error> {
    let mut last: BTreeMap<(&'static str, Vec<u8>), Option<Vec<u8>>> = BTreeMap::new();
    for (name, key, value) in writes.iter().map(target) {
        last.insert((name, key), value);
    }
    for ((name, key), expected) in &last {
        let map = map(object, name)?;
        // A trie answers with what holds the key; that of a removed prefix is another's.
        if expected.is_none() && *name == "prefixes" {
            continue;
        }
        if map.lookup(key, MapFlags::ANY).map_err(failed(name))? != *expected {
            return Err(Error::ReadBack(name));
        }
    }
    Ok(())
}

/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// Every key and value of a map.
pub(super) fn dump(object: &Object, name: &'static str) -> Result<Vec<Pair>, Error> {
    let map = map(object, name)?;
    let mut out = Vec::new();
    for key in map.keys() {
        if let Some(value) = map.lookup(&key, MapFlags::ANY).map_err(failed(name))? {
            out.push((key, value));
        }
    }
    Ok(out)
}

fn fixed<const N: usize>(name: &'static str, bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::ReadBack(name))
}

/// Everything that the kernel has, from its maps alone.
pub(super) fn read_state(object: &Object, epoch: u64) -> Result<State, Error> {
    let mut state = State { epoch, ..State::default() };
    let mut banks = [Half::default(), Half::default()];
    // The bank is the lowest bit of `space`, and the second word of a slot's key.
    let bank = |word: &[u8]| usize::from(word.first().is_some_and(|b| b & 1 == 1));
    let first = if cfg!(target_endian = "big") { 3 } else { 0 };
    for (key, value) in dump(object, "addresses")? {
        let half = &mut banks[bank(&key[first..])];
        half.addresses.insert(fixed("addresses", &key)?, fixed("addresses", &value)?);
    }
    for (key, value) in dump(object, "prefixes")? {
        let half = &mut banks[bank(&key[4 + first..])];
        half.prefixes.insert(fixed("prefixes", &key)?, fixed("prefixes", &value)?);
    }
    for (key, value) in dump(object, "slots")? {
        let half = &mut banks[bank(&key[4 + first..])];
        half.slots.insert(fixed("slots", &key)?, fixed("slots", &value)?);
    }
    state.banks = banks.map(Arc::new);
    for (key, value) in dump(object, "entries")? {
        let (set, peer) = abi::entry_of(&fixed("entries", &key)?);
        state.sets.entry(set).or_default().insert(peer, fixed("entries", &value)?);
    }
    let runs: Vec<(u32, u32)> = state.sets.values().flat_map(|s| s.values()).map(abi::table_of).collect();
    let ports = map(object, "ports")?;
    for (run, count) in runs {
        if state.tables.contains_key(&(run, count)) {
            continue;
        }
        let mut steps = Vec::new();
        for at in run..run.saturating_add(count) {
            let value = ports.lookup(&at.to_ne_bytes(), MapFlags::ANY).map_err(failed("ports"))?;
            steps.push(abi::step_of(&fixed("ports", &value.unwrap_or_default())?));
        }
        state.tables.insert((run, count), steps);
    }
    let answers = map(object, "answers")?;
    let used: std::collections::BTreeSet<u32> =
        state.tables.values().flatten().flat_map(|s| [s.answer, s.shadow_answer]).collect();
    for id in used {
        let value = answers.lookup(&id.to_ne_bytes(), MapFlags::ANY).map_err(failed("answers"))?;
        state.answers.insert(id, u64::from_ne_bytes(fixed("answers", &value.unwrap_or_default())?));
    }
    // Numbers are given out from 1 on, so the first without a hash was never used.
    let end = answers.max_entries();
    let unused = |id: &u32| match answers.lookup(&id.to_ne_bytes(), MapFlags::ANY) {
        Ok(Some(hash)) => hash.iter().all(|b| *b == 0),
        Ok(None) | Err(_) => true,
    };
    state.fresh_answer = (1..end).find(unused).unwrap_or(end);
    if state.fresh_answer == 1 {
        state.fresh_answer = 0;
    }
    Ok(state)
}

/// Removes the flows of a device that is no more.
pub(super) fn forget_flows(object: &Object, ifindex: u32) -> Result<(), Error> {
    let flows = map(object, "flows")?;
    for key in flows.keys().filter(|k| k.starts_with(&ifindex.to_ne_bytes())).collect::<Vec<_>>() {
        match flows.delete(&key) {
            Err(e) if e.kind() != libbpf_rs::ErrorKind::NotFound => return Err(failed("flows")(e)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
