//! What the followers of kinds and the maker of worlds share: the store, what is known of each kind, and counters.
//!
//! One lock, held for moments: followers put texts in, the maker takes changes out. Nobody waits for the other's work.

use super::machine::{Cause, Ended};
use super::store::{Change, Full, Id, Store};
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
    /// From an event's arrival to the world that shows it, of the last 4,096 changed objects.
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

/// What is known of one kind.
struct Known {
    what: Str,
    /// It was listed, or is known to be absent or forbidden.
    settled: bool,
    heard: Instant,
    lost: Option<(Instant, String)>,
    /// Why it is not or not wholly read.
    unread: Option<String>,
    /// The last list or an event since did not fit.
    overflow: bool,
    stats: KindStats,
}

struct Inner {
    store: Store,
    kinds: Vec<Known>,
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
    pub(crate) fn new(kinds: &[Kind], most: usize) -> Self {
        let now = Instant::now();
        let known = |kind: &Kind| Known {
            what: kind.full_name().into(),
            settled: false,
            heard: now,
            lost: None,
            unread: None,
            overflow: false,
            stats: KindStats { what: kind.full_name(), ..KindStats::default() },
        };
        let inner = Inner {
            store: Store::new(most),
            kinds: kinds.iter().map(known).collect(),
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

    pub(crate) fn counted(&self, kind: usize, count: impl FnOnce(&mut KindStats)) {
        count(&mut self.lock().kinds[kind].stats);
    }

    /// A list was read whole.
    pub(crate) fn listed(&self, kind: usize, objects: Vec<Object>) {
        let now = Instant::now();
        self.change(|inner| {
            let left_out = inner.store.replace(kind, objects, now);
            let known = &mut inner.kinds[kind];
            known.stats.left_out += left_out as u64;
            let overflow = left_out > 0;
            // A kind that may be listed and not watched stays unread: only a watch clears that.
            inner.news |= !known.settled || known.lost.is_some() || known.overflow != overflow;
            (known.settled, known.heard, known.lost, known.overflow) = (true, now, None, overflow);
        });
    }

    /// A watch was accepted: the kind is followed.
    pub(crate) fn followed(&self, kind: usize) {
        self.change(|inner| {
            let known = &mut inner.kinds[kind];
            inner.news |= known.unread.is_some() || known.lost.is_some();
            (known.heard, known.lost, known.unread) = (Instant::now(), None, None);
            known.stats.watches += 1;
        });
    }

    /// The server said something on a watch.
    pub(crate) fn heard(&self, kind: usize) {
        self.lock().kinds[kind].heard = Instant::now();
    }

    pub(crate) fn put(&self, kind: usize, object: Object) {
        let now = Instant::now();
        self.change(|inner| {
            let result = inner.store.put(kind, object, now);
            let known = &mut inner.kinds[kind];
            known.heard = now;
            known.stats.events += 1;
            known.stats.idle_events += u64::from(result == Ok(false));
            if result == Err(Full) {
                known.stats.left_out += 1;
                inner.news |= !known.overflow;
                known.overflow = true;
            }
        });
    }

    pub(crate) fn remove(&self, kind: usize, object: Object) {
        let now = Instant::now();
        let id = Id { kind, namespace: object.namespace.into(), name: object.name.into() };
        self.change(|inner| {
            let was_there = inner.store.remove(&id, now);
            let known = &mut inner.kinds[kind];
            known.heard = now;
            known.stats.events += 1;
            known.stats.idle_events += u64::from(!was_there);
        });
    }

    /// A list or a watch ended. `hopeless`: this has been tried so often that a kind that was never read is unread.
    pub(crate) fn ended(&self, kind: usize, ended: &Ended, hopeless: bool) {
        self.change(|inner| {
            let known = &mut inner.kinds[kind];
            match ended {
                Ended::Listed(_) | Ended::Closed(_) => {}
                Ended::Absent(gap) => {
                    inner.store.replace(kind, Vec::new(), Instant::now());
                    inner.news |= !known.settled || known.unread != *gap || known.lost.is_some();
                    (known.settled, known.lost, known.overflow) = (true, None, false);
                    known.unread.clone_from(gap);
                    known.heard = Instant::now();
                }
                // What was read before stays: the last state, and the word that it is not known to be current.
                Ended::Refused(why) => {
                    inner.news |= !known.settled || known.unread.as_ref() != Some(why);
                    known.settled = true;
                    known.unread = Some(why.clone());
                    known.stats.failures += 1;
                }
                Ended::Busy(_, why) | Ended::Failed(why) | Ended::Expired(why) | Ended::Garbage(why) => {
                    known.stats.failures += 1;
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
        });
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
            settled: inner.kinds.iter().all(|k| k.settled),
            unread: inner.kinds.iter().filter_map(Known::missing).collect(),
            lost: inner.kinds.iter().filter_map(Known::lost).collect(),
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
        self.lock().kinds.iter().filter_map(Known::lost).collect()
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

impl Known {
    fn missing(&self) -> Option<Unread> {
        let full = || "more objects than are kept: some were left out".to_owned();
        let why = self.unread.clone().or_else(|| self.overflow.then(full))?;
        Some(Unread { what: self.what.clone(), namespace: None, why: why.into() })
    }

    fn lost(&self) -> Option<Lost> {
        let (since, why) = self.lost.clone()?;
        Some(Lost { what: self.what.clone(), since, why })
    }
}
