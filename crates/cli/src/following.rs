//! A live cluster that is followed: what is new since the last question.
//!
//! In: a watch of the cluster, which calls from its own thread as often as it likes. Out: [`News`], one at a time, always the
//! latest: a burst of changes is one, and whoever takes long misses the states in between, never the last.

use crate::exit::{Exit, Failure};
use crate::source::unreachable;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use watertight_cluster::watch::{KindStats, Lost};
use watertight_cluster::{Client, State, WatchOptions, Watching, watch};

/// Nothing changes for so long before a state is looked at: a rollout is many changes.
const SETTLED: Duration = Duration::from_millis(200);
/// A cluster that never settles is looked at anyway after this time.
const UNSETTLED: Duration = Duration::from_secs(2);
/// Looking at a state may take this part of the time: a cluster that never rests must not keep a processor busy,
const SHARE: u32 = 4;
/// but is looked at so often at least.
const SELDOM: Duration = Duration::from_secs(10);
/// A connection that is back so soon is not worth a word.
const GRACE: Duration = Duration::from_secs(2);
/// While a cluster is not followed, this is said again so often.
const REMIND: Duration = Duration::from_secs(60);
/// How long the first state may take.
const FIRST: Duration = Duration::from_secs(120);
/// How long a signal may wait.
const SLICE: Duration = Duration::from_millis(20);

/// What happened.
pub enum News {
    /// Objects changed.
    Changed(State),
    /// The cluster is not followed.
    Lost {
        /// What was known last.
        state: State,
        /// That was said before.
        again: bool,
    },
    /// It is followed again.
    Found(State),
    /// It was told to stop.
    Stopped,
}

/// A watch of a cluster.
pub struct Following {
    watching: Watching,
    latest: Arc<Mutex<Option<State>>>,
    stop: Arc<AtomicBool>,
    /// The state that was given out last.
    revision: u64,
    /// Since when something is lost, as far as we have looked.
    lost: Option<Instant>,
    /// When that was last said.
    said: Option<Instant>,
    /// When the last state was given out.
    given: Option<Instant>,
    /// Before this there is no other.
    rest: Option<Instant>,
}

impl Following {
    /// Begins. SIGINT and SIGTERM stop it from here on.
    ///
    /// # Errors
    /// A thread cannot be started, or the process does not get to handle signals.
    pub fn start(client: Client, options: WatchOptions) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())
                .map_err(|e| Failure::new(Exit::Unreachable, "signals", format!("cannot handle signals: {e}"), None))?;
        }
        let latest: Arc<Mutex<Option<State>>> = Arc::default();
        let slot = Arc::clone(&latest);
        let receive = move |state: &State| *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
        let watching = watch(client, options, receive).map_err(|e| unreachable(&e))?;
        Ok(Self { watching, latest, stop, revision: 0, lost: None, said: None, given: None, rest: None })
    }

    /// Options of a watch, with chance of this process.
    pub fn options() -> WatchOptions {
        WatchOptions::new(chance)
    }

    /// The first state; `None`: it was told to stop before there was one.
    ///
    /// # Errors
    /// There is none in time: what is in the way.
    pub fn first(&mut self) -> Result<Option<State>, Failure> {
        let begun = Instant::now();
        while !self.stopped() {
            if let Some(state) = self.latest() {
                self.revision = state.revision;
                self.given = Some(Instant::now());
                return Ok(Some(state));
            }
            if begun.elapsed() > FIRST {
                let lost = self.watching.lost();
                let why = lost.first().map_or_else(|| "no answer".to_owned(), |l| format!("{}: {}", l.what, l.why));
                let message = format!("the cluster was not read whole within {} s: {why}", FIRST.as_secs());
                return Err(Failure::new(Exit::Unreachable, "watch", message, None));
            }
            std::thread::sleep(SLICE);
        }
        Ok(None)
    }

    /// Waits for what is new.
    pub fn wait(&mut self) -> News {
        if let Some(given) = self.given.take() {
            self.rest = Some(Instant::now() + (given.elapsed() * SHARE).min(SELDOM));
        }
        loop {
            if self.stopped() {
                return News::Stopped;
            }
            if let Some(news) = self.latest().and_then(|state| self.news(state)) {
                return news;
            }
            std::thread::sleep(SLICE);
        }
    }

    fn news(&mut self, state: State) -> Option<News> {
        let rested = self.rest.is_none_or(|until| Instant::now() >= until);
        if state.revision != self.revision && rested {
            let state = self.settled(state);
            self.revision = state.revision;
            self.given = Some(Instant::now());
            return Some(News::Changed(state));
        }
        if state.lost.is_empty() {
            self.lost = None;
            return self.said.take().map(|_| News::Found(state));
        }
        let since = *self.lost.get_or_insert_with(Instant::now);
        let again = match self.said {
            None if since.elapsed() < GRACE => return None,
            Some(said) if said.elapsed() < REMIND => return None,
            said => said.is_some(),
        };
        self.said = Some(Instant::now());
        Some(News::Lost { state, again })
    }

    /// The latest state once nothing has come for a while.
    fn settled(&self, mut state: State) -> State {
        let begun = Instant::now();
        let mut last = begun;
        while last.elapsed() < SETTLED && begun.elapsed() < UNSETTLED && !self.stopped() {
            std::thread::sleep(SLICE);
            if let Some(next) = self.latest().filter(|next| next.revision != state.revision) {
                (state, last) = (next, Instant::now());
            }
        }
        // What is lost may have changed without a new world.
        self.latest().unwrap_or(state)
    }

    /// How it went, in one line.
    pub fn summary(&self) -> String {
        let stats = self.watching.stats();
        let lists: Vec<u64> = stats.kinds.iter().map(|kind| kind.lists.values().sum()).collect();
        let sum = |of: fn(&KindStats) -> u64| stats.kinds.iter().map(of).sum::<u64>();
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        format!(
            "watch: {} lists of {} kinds, at most {} of one; {} events ({} without a difference), {} failures; {} worlds; \
             from event to world p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms of the last {}; {} objects, {} bytes of text",
            lists.iter().sum::<u64>(),
            lists.len(),
            lists.iter().max().copied().unwrap_or_default(),
            sum(|k| k.events),
            sum(|k| k.idle_events),
            sum(|k| k.failures),
            stats.worlds,
            ms(stats.lag.p50),
            ms(stats.lag.p99),
            ms(stats.lag.max),
            stats.lag.samples,
            stats.objects,
            stats.bytes,
        )
    }

    /// Kinds that are not followed now.
    pub fn lost(&self) -> Vec<Lost> {
        self.watching.lost()
    }

    fn latest(&self) -> Option<State> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A number between 0 and 1: what the standard library seeds its hash maps with.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
