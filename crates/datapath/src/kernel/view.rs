//! What the programs have seen: edges, drops, counters; and whether all is as it should be.

use super::error::Error;
use super::{Hook, Loader, maps, sys};
use crate::abi::{self, Count, Drop, EdgeKey};
use libbpf_rs::{MapCore, MapFlags, Object, RingBufferBuilder};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An edge of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who, whom, how, and with which answer.
    pub key: EdgeKey,
    /// Flows opened; for a denied edge, packets dropped.
    pub times: u64,
    /// Nanoseconds of the monotonic clock (coarse).
    pub first_ns: u64,
    /// As `first_ns`.
    pub last_ns: u64,
}

/// What does not hold. Empty: all is as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attestation {
    /// Devices of which a gate is missing.
    pub detached: BTreeSet<u32>,
    /// Devices where someone else's program runs before a gate, and may pass what it would drop.
    pub not_first: BTreeSet<u32>,
    /// Devices that the visible bank holds and that have no gates: pods that nobody guards.
    pub unguarded: BTreeSet<u32>,
    /// The kernel's maps are not what was written.
    pub maps_differ: bool,
}

impl Attestation {
    /// True if everything holds.
    pub fn holds(&self) -> bool {
        *self == Self::default()
    }
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The epoch that packets see.
    pub epoch: u64,
    /// Devices with both gates.
    pub attached: BTreeSet<u32>,
    /// Devices for which the visible bank holds a pod.
    pub published: BTreeSet<u32>,
    /// Dropped packets by reason.
    pub drops: BTreeMap<Drop, u64>,
    /// Other counters.
    pub counts: BTreeMap<Count, u64>,
}

impl Loader {
    /// All edges, allowed and denied, in order.
    pub fn edges(&self) -> Result<Vec<Edge>, Error> {
        let mut out = Vec::new();
        for name in ["edges", "denied"] {
            out.extend(maps::dump(&self.object, name)?.iter().filter_map(|(k, v)| edge(k, v)));
        }
        out.sort_by_key(|e| e.key);
        Ok(out)
    }

    /// How many edges there are: allowed and denied.
    pub fn edge_counts(&self) -> Result<(usize, usize), Error> {
        let count = |name| Ok::<_, Error>(maps::map(&self.object, name)?.keys().count());
        Ok((count("edges")?, count("denied")?))
    }

    /// Edges that are new since the last call, waiting for the first of them at most `timeout`. An edge whose event was lost
    /// (`eventLost`) is in [`Loader::edges`] all the same.
    pub fn new_edges(&self, timeout: Duration) -> Result<Vec<EdgeKey>, Error> {
        let failed = |e| Error::bpf("map `events`", e);
        let events = maps::map(&self.object, "events")?;
        let found = RefCell::new(Vec::new());
        {
            let mut builder = RingBufferBuilder::new();
            let take = |bytes: &[u8]| {
                found.borrow_mut().extend(abi::edge_of(bytes));
                0
            };
            builder.add(&events, take).map_err(failed)?;
            builder.build().map_err(failed)?.poll(timeout).map_err(failed)?;
        }
        Ok(found.into_inner())
    }

    /// Takes the denied edges out of the ledger, so that a flood leaves room for new ones.
    pub fn take_denied(&self) -> Result<Vec<Edge>, Error> {
        drain(&self.object, "denied", |_| true)
    }

    /// Dropped packets by reason, since the maps were made.
    pub fn drops(&self) -> Result<BTreeMap<Drop, u64>, Error> {
        Drop::ALL.iter().map(|d| Ok((*d, sum(&self.object, "drops", d.number())?))).collect()
    }

    /// Looks at the kernel: are the gates on the devices, first in their chains, and are the maps what was written? To be
    /// called in the network namespace of the devices.
    pub fn attest(&self) -> Result<Attestation, Error> {
        let mut out = Attestation::default();
        let pinned = self.pinned()?;
        for (ifindex, hook) in &pinned {
            let ours = self.program_id(*hook)?;
            let chain = match sys::chain(*ifindex, *hook) {
                Ok(chain) => chain,
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Vec::new(),
                Err(e) => return Err(Error::call(format!("query device {ifindex}"), e)),
            };
            if !chain.contains(&ours) {
                out.detached.insert(*ifindex);
            } else if chain.first() != Some(&ours) {
                out.not_first.insert(*ifindex);
            }
        }
        let published = self.status()?.published;
        let guarded = |i: &u32| pinned.contains(&(*i, Hook::Ingress)) && pinned.contains(&(*i, Hook::Egress));
        out.unguarded = published.into_iter().filter(|i| !guarded(i)).collect();
        out.maps_differ = maps::read_state(&self.object, maps::epoch(&self.object)?)? != self.state;
        Ok(out)
    }

    /// Epoch, devices and counters.
    pub fn status(&self) -> Result<Status, Error> {
        let pinned = self.pinned()?;
        let both =
            |ifindex: &u32| pinned.contains(&(*ifindex, Hook::Ingress)) && pinned.contains(&(*ifindex, Hook::Egress));
        let slots = self.state.visible().slots.keys();
        Ok(Status {
            epoch: maps::epoch(&self.object)?,
            attached: pinned.iter().map(|(ifindex, _)| *ifindex).filter(both).collect(),
            published: slots.map(|k| u32::from_ne_bytes([k[0], k[1], k[2], k[3]])).collect(),
            drops: self.drops()?,
            counts: Count::ALL
                .iter()
                .map(|c| Ok((*c, sum(&self.object, "counts", c.number())?)))
                .collect::<Result<_, Error>>()?,
        })
    }
}

fn sum(object: &Object, name: &'static str, key: u32) -> Result<u64, Error> {
    let per_cpu = maps::map(object, name)?
        .lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY)
        .map_err(|e| Error::bpf(format!("map `{name}`"), e))?;
    let values = per_cpu.iter().flatten().filter_map(|v| v.get(..8)?.try_into().ok());
    Ok(values.map(u64::from_ne_bytes).sum())
}

fn edge(key: &[u8], value: &[u8]) -> Option<Edge> {
    let at = |i: usize| value.get(i..i + 8)?.try_into().ok().map(u64::from_ne_bytes);
    Some(Edge { key: abi::edge_of(key)?, times: at(0)?, first_ns: at(8)?, last_ns: at(16)? })
}

/// Takes the edges of a device out of the ledger.
pub(super) fn drain_edges(object: &Object, ifindex: u32) -> Result<Vec<Edge>, Error> {
    let of_device = |key: &[u8]| key.starts_with(&ifindex.to_ne_bytes());
    let mut out = drain(object, "edges", of_device)?;
    out.extend(drain(object, "denied", of_device)?);
    out.sort_by_key(|e| e.key);
    Ok(out)
}

fn drain(object: &Object, name: &'static str, which: impl Fn(&[u8]) -> bool) -> Result<Vec<Edge>, Error> {
    let map = maps::map(object, name)?;
    let mut out = Vec::new();
    for key in map.keys().filter(|k| which(k)).collect::<Vec<_>>() {
        let value = map.lookup_and_delete(&key).map_err(|e| Error::bpf(format!("map `{name}`"), e))?;
        out.extend(value.and_then(|v| edge(&key, &v)));
    }
    out.sort_by_key(|e| e.key);
    Ok(out)
}

/// A `struct __sk_buff` for a test run: the device that the frame is at, and the one that brought it (0: this node).
pub(super) fn test_context(ifindex: u32, ingress_ifindex: u32) -> Vec<u8> {
    const SIZE: usize = 192;
    let mut context = vec![0; SIZE];
    context[36..40].copy_from_slice(&ingress_ifindex.to_ne_bytes());
    context[40..44].copy_from_slice(&ifindex.to_ne_bytes());
    context
}
