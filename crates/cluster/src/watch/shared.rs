//! What the followers of kinds and the maker of worlds share: the store, what is known of each kind, and counters.
//!
//! One lock, held for moments: followers put texts in, the maker takes changes out. Nobody waits for the other's work.

use super::machine::{Cause, Ended};
use super::store::{About, Change, Full, Id, Store};
use super::unread;
use crate::kinds::Kind;
use crate::list::Object;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watertight_model::Str;
use watertight_model::world::Unread;

/// Lags that are remembered: some ten seconds of a busy cluster.
const LAGS: usize = 4_096;

/// Counters of one kind since the watch began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindStats {
    /// The kind: `networkpolicies.networking.k8s.io`.
    pub what: String,
    /// Lists that were begun, by cause.
    pub lists: BTreeMap<Cause, u64>,
    /// Watches that the server accepted.
    pub watches: u64,
    /// Objects added, modified or deleted, as the server says.
    pub events: u64,
    /// Of these, events that changed nothing that is kept (heartbeats, duplicates, deletions of what was not there).
    pub idle_events: u64,
    /// Watches that ended in the middle of an event, which was not applied.
    pub cut: u64,
    /// Watches on which nothing came for too long.
    pub silent: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Objects that were not kept because the store was full.
    pub left_out: u64,
}

/// Counters and sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Per kind, in the order of reading.
    pub kinds: Vec<KindStats>,
    /// Worlds that were published.
    pub worlds: u64,
    /// Objects that changed and are not in a published world yet.
    pub pending: usize,
    /// Objects in the store.
    pub objects: usize,
    /// Bytes of their text and names.
    pub bytes: usize,
    /// From an event's arrival to the world that shows it, of the last 4,096 changed objects; without those of the first world.
    pub lag: Lag,
}

/// A distribution of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// How many it is made from.
    pub samples: usize,
    /// Half are shorter.
    pub p50: Duration,
    /// One in a hundred is longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Lag {
    fn of(lags: &VecDeque<Duration>) -> Self {
        let mut sorted: Vec<Duration> = lags.iter().copied().collect();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get((sorted.len() * part).div_ceil(100).saturating_sub(1)).copied();
        Self {
            samples: sorted.len(),
            p50: at(50).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
            max: sorted.last().copied().unwrap_or_default(),
        }
    }
}

/// A kind whose objects may have changed since it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The kind: `networkpolicies.networking.k8s.io`.
    pub what: Str,
    /// When it was last known to be current.
    pub since: Instant,
    /// What is in the way, in words.
    pub why: String,
}

/// A kind, across the cluster (place 0) or in one of the namespaces to fall back on (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) kind: usize,
    pub(crate) place: usize,
}

/// What is known of one kind in one place.
pub(super) struct Known {
    /// Nobody follows it: the whole cluster is followed, or the kind has no namespaces to fall back on.
    pub(super) asleep: bool,
    /// It was listed, or is known to be absent or forbidden.
    pub(super) settled: bool,
    heard: Instant,
    pub(super) lost: Option<(Instant, String)>,
    /// Why it is not or not wholly read.
    pub(super) unread: Option<String>,
    /// The last list or an event since did not fit.
    pub(super) overflow: bool,
}

/// A kind, and what is known of it: across the cluster, and in namespaces.
pub(super) struct OfKind {
    pub(super) what: Str,
    pub(super) namespaced: bool,
    /// Whether namespaces are worth asking where the cluster is refused.
    pub(super) fallback: bool,
    pub(super) places: Vec<Known>,
    stats: KindStats,
}

struct Inner {
    store: Store,
    kinds: Vec<OfKind>,
    /// To fall back on.
    namespaces: Vec<Str>,
    /// `lost` or `unread` of a kind changed.
    news: bool,
    stop: bool,
    worlds: u64,
    lags: VecDeque<Duration>,
}

/// See the module.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
}

/// What the maker of worlds takes.
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    /// Every kind was listed or is known to be unreadable: there may be a world.
    pub(crate) settled: bool,
    pub(crate) unread: Vec<Unread>,
    pub(crate) lost: Vec<Lost>,
}

impl Shared {
    pub(crate) fn new(kinds: &[Kind], namespaces: Vec<Str>, most: usize) -> Self {
        let now = Instant::now();
        let known = |asleep| Known { asleep, settled: false, heard: now, lost: None, unread: None, overflow: false };
        let of_kind = |kind: &Kind| OfKind {
            what: kind.full_name().into(),
            namespaced: kind.namespaced,
            fallback: !namespaces.is_empty() && kind.has_namespaces(),
            places: std::iter::once(false).chain(namespaces.iter().map(|_| true)).map(known).collect(),
            stats: KindStats { what: kind.full_name(), ..KindStats::default() },
        };
        let inner = Inner {
            store: Store::new(most),
            kinds: kinds.iter().map(of_kind).collect(),
            namespaces: namespaces.clone(),
            news: false,
            stop: false,
            worlds: 0,
            lags: VecDeque::new(),
        };
        Self { inner: Mutex::new(inner), wake: Condvar::new() }
    }

    /// A thread that panicked leaves counters behind at worst: every change to the store is made whole or not at all.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and wakes the maker if it concerns it.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let out = change(&mut inner);
        if inner.news || inner.stop || inner.store.since().is_some() {
            self.wake.notify_all();
        }
        out
    }

    pub(crate) fn counted(&self, slot: Slot, count: impl FnOnce(&mut KindStats)) {
        count(&mut self.lock().kinds[slot.kind].stats);
    }

    /// A list was read whole.
    pub(crate) fn listed(&self, slot: Slot, objects: Vec<Object>) {
        let now = Instant::now();
        self.change(|inner| {
            let left_out = inner.replace(slot, objects, now);
            let kind = &mut inner.kinds[slot.kind];
            kind.stats.left_out += left_out as u64;
            if slot.place == 0 {
                // Who follows the whole needs no parts.
                kind.places[1..].iter_mut().for_each(|part| part.asleep = true);
            }
            let known = &mut kind.places[slot.place];
            let overflow = left_out > 0;
            // A kind that may be listed and not watched stays unread: only a watch clears that.
            inner.news |= !known.settled || known.lost.is_some() || known.overflow != overflow;
            (known.settled, known.heard, known.lost, known.overflow) = (true, now, None, overflow);
        });
    }

    /// A watch was accepted: the kind is followed.
    pub(crate) fn followed(&self, slot: Slot) {
        self.change(|inner| {
            let kind = &mut inner.kinds[slot.kind];
            let known = &mut kind.places[slot.place];
            inner.news |= known.unread.is_some() || known.lost.is_some();
            (known.heard, known.lost, known.unread) = (Instant::now(), None, None);
            kind.stats.watches += 1;
        });
    }

    /// The server said something on a watch.
    pub(crate) fn heard(&self, slot: Slot) {
        self.lock().kinds[slot.kind].places[slot.place].heard = Instant::now();
    }

    pub(crate) fn put(&self, slot: Slot, object: Object) {
        let now = Instant::now();
        self.change(|inner| {
            let result = inner.store.put(slot.kind, object, now);
            let OfKind { places, stats, .. } = &mut inner.kinds[slot.kind];
            let known = &mut places[slot.place];
            known.heard = now;
            stats.events += 1;
            stats.idle_events += u64::from(result == Ok(false));
            if result == Err(Full) {
                stats.left_out += 1;
                inner.news |= !known.overflow;
                known.overflow = true;
            }
        });
    }

    pub(crate) fn remove(&self, slot: Slot, object: Object) {
        let now = Instant::now();
        let id = Id { kind: slot.kind, namespace: object.namespace.into(), name: object.name.into() };
        self.change(|inner| {
            let was_there = inner.store.remove(&id, now);
            let OfKind { places, stats, .. } = &mut inner.kinds[slot.kind];
            places[slot.place].heard = now;
            stats.events += 1;
            stats.idle_events += u64::from(!was_there);
        });
    }

    /// A list or a watch ended. `hopeless`: this has been tried so often that a kind that was never read is unread. `true`: the
    /// namespaces are to be followed instead.
    pub(crate) fn ended(&self, slot: Slot, ended: &Ended, listing: bool, hopeless: bool) -> bool {
        self.change(|inner| {
            let now = Instant::now();
            if matches!(ended, Ended::Absent(_)) {
                inner.replace(slot, Vec::new(), now);
            }
            let OfKind { places, stats, fallback, .. } = &mut inner.kinds[slot.kind];
            let fall_back = *fallback && slot.place == 0 && listing && matches!(ended, Ended::Refused(_));
            if fall_back {
                for part in places[1..].iter_mut().filter(|part| part.asleep) {
                    *part =
                        Known { asleep: false, settled: false, heard: now, lost: None, unread: None, overflow: false };
                }
            }
            if slot.place == 0 && matches!(ended, Ended::Absent(_)) {
                places[1..].iter_mut().for_each(|part| part.asleep = true);
            }
            let known = &mut places[slot.place];
            match ended {
                Ended::Listed(_) | Ended::Closed(_) => {}
                Ended::Absent(gap) => {
                    inner.news |= !known.settled || known.unread != *gap || known.lost.is_some();
                    (known.settled, known.lost, known.overflow) = (true, None, false);
                    known.unread.clone_from(gap);
                    known.heard = now;
                }
                // What was read before stays: the last state, and the word that it is not known to be current.
                Ended::Refused(why) => {
                    inner.news |= !known.settled || known.lost.is_some() || known.unread.as_ref() != Some(why);
                    (known.settled, known.lost) = (true, None);
                    known.unread = Some(why.clone());
                    stats.failures += 1;
                }
                Ended::Busy(_, why) | Ended::Failed(why) | Ended::Expired(why) | Ended::Garbage(why) => {
                    stats.failures += 1;
                    let since = known.lost.as_ref().map_or(known.heard, |(since, _)| *since);
                    let lost = Some((since, why.clone()));
                    inner.news |= known.lost != lost;
                    known.lost = lost;
                    if hopeless && !known.settled && matches!(ended, Ended::Busy(..)) {
                        inner.news = true;
                        known.settled = true;
                        known.unread = Some(why.clone());
                    }
                }
            }
            fall_back
        })
    }

    pub(crate) fn stop(&self) {
        self.change(|inner| inner.stop = true);
    }

    /// Waits for changes, and then until nothing comes for `quiet`, or the first is `most` old. `None`: it is over.
    pub(crate) fn batch(&self, quiet: Duration, most: Duration) -> Option<Batch> {
        let mut inner = self.lock();
        loop {
            if inner.stop {
                return None;
            }
            let wait = match inner.store.since() {
                None if inner.news => break,
                None => None,
                Some((first, last)) => {
                    let now = Instant::now();
                    let end = (last + quiet).min(first + most);
                    if end <= now {
                        break;
                    }
                    Some(end - now)
                }
            };
            inner = match wait {
                None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => self.wake.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        inner.news = false;
        Some(Batch {
            changes: inner.store.take(),
            settled: inner.kinds.iter().flat_map(|k| &k.places).all(|known| known.settled || known.asleep),
            unread: inner.kinds.iter().flat_map(|kind| unread::of(kind, &inner.namespaces)).collect(),
            lost: inner.lost(),
        })
    }

    /// A world was published that shows changes received at these times.
    pub(crate) fn published(&self, received: impl Iterator<Item = Instant>) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.worlds += 1;
        for received in received {
            if inner.lags.len() == LAGS {
                inner.lags.pop_front();
            }
            inner.lags.push_back(now.saturating_duration_since(received));
        }
    }

    pub(crate) fn lost(&self) -> Vec<Lost> {
        self.lock().lost()
    }

    pub(crate) fn stats(&self) -> Stats {
        let inner = self.lock();
        let (objects, bytes) = inner.store.size();
        Stats {
            kinds: inner.kinds.iter().map(|k| k.stats.clone()).collect(),
            worlds: inner.worlds,
            pending: inner.store.pending(),
            objects,
            bytes,
            lag: Lag::of(&inner.lags),
        }
    }
}

impl Inner {
    fn replace(&mut self, slot: Slot, objects: Vec<Object>, now: Instant) -> usize {
        let about = match slot.place.checked_sub(1).map(|place| &self.namespaces[place]) {
            None => About::All,
            Some(namespace) if self.kinds[slot.kind].namespaced => About::Namespace(namespace),
            Some(name) => About::Name(name),
        };
        self.store.replace(slot.kind, about, objects, now)
    }

    /// A kind is as current as the place that was longest not heard of.
    fn lost(&self) -> Vec<Lost> {
        let of_kind = |kind: &OfKind| {
            let places = kind.places.iter().filter(|known| !known.asleep).filter_map(|known| known.lost.clone());
            let (since, why) = places.min_by_key(|(since, _)| *since)?;
            Some(Lost { what: kind.what.clone(), since, why })
        };
        self.kinds.iter().filter_map(of_kind).collect()
    }
}
