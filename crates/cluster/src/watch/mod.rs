//! A cluster that is watched: a world that stays current.
//!
//! Input: a [`Client`]. Output: a [`State`] after each change. Every kind of the table is followed by a small state machine
//! of its own (`machine`): one list, then watches from its version on, and a new list only where the server has forgotten
//! the place. What arrives is dropped to what verdicts need (`slim`) and kept as text (`store`); one thread turns changed
//! texts into the next world, through [`watertight_ingest::Objects`].
//!
//! What a caller can rely on:
//! * No world before every kind was listed or is known to be absent or forbidden, and never half a list.
//! * The world depends on what the server last said, not on the order or number of events by which it said it.
//! * A kind that may not be read, or an object that cannot be understood, is named in [`World::unread`]; objects that were
//!   read before a right was taken away stay.
//! * A server that is not ready has no say in what is absent, and a kind that disappears is believed to be gone only after
//!   [`WatchOptions::confirm`].
//! * While the server is away, the last world stays, and [`State::lost`] says since when and why it may be old. A connection
//!   that died without a sign is noticed after [`WatchOptions::idle`].
//! * One pending change per object: a slow receiver gets fewer and newer worlds.
//!
//! * Credentials that run out are had again, as [`crate::connect`] had them: the kubeconfig and its files are read, its plugin
//!   is run (without asking anybody), at most every ten seconds. A pod's token, which lives for an hour, is read again each minute.
//! * A kind that may not be listed across the cluster is followed in [`WatchOptions::namespaces`] instead, and is named in
//!   [`World::unread`], as [`crate::read()`] does. The cluster is asked again every [`WatchOptions::seldom`].
//!
//! Rights beyond `get`, `list` and `watch` are not used; `get` only for those namespaces themselves.

mod follow;
mod frames;
mod machine;
mod shared;
mod store;
mod unread;

pub use machine::Cause;
pub use shared::{KindStats, Lag, Lost, Stats};

use crate::client::Client;
use crate::error::AccessError;
use crate::kinds::KINDS;
use follow::{Context, follow};
use shared::{Batch, Shared, Slot};
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use watertight_ingest::{Diagnostic, Key, Objects, Options};
use watertight_model::{Str, World};

/// How to watch.
#[derive(Clone)]
pub struct WatchOptions {
    /// How objects are read.
    pub read: Options,
    /// Namespaces to fall back on where a kind may not be listed across the cluster; `None`: the context's own.
    pub namespaces: Option<Vec<String>>,
    /// How often those namespaces themselves are looked at: they can be read by name, not watched.
    pub look: Duration,
    /// A world is made when nothing has changed for so long,
    pub quiet: Duration,
    /// and at the latest so long after the first change.
    pub most: Duration,
    /// A watch on which nothing came for so long is opened again where it was. Servers send bookmarks about every minute,
    /// so quiet kinds do this: it is one request, and shows that the server is still there.
    pub idle: Duration,
    /// The longest pause between attempts.
    pub retry: Duration,
    /// The pause before asking again for what is forbidden or absent.
    pub seldom: Duration,
    /// A kind that was read and is absent now is believed to be gone when it is still absent after so long.
    pub confirm: Duration,
    /// A watch that lasted so long clears the count of failures.
    pub healthy: Duration,
    /// Bytes of text that are kept; objects beyond are left out, counted, and their kinds named as unread.
    pub max_bytes: usize,
    /// Chance, between 0 and 1, to spread attempts of many watchers. Called once per attempt.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl WatchOptions {
    /// The usual bounds. `jitter` gives a new random number between 0 and 1 with each call.
    pub fn new(jitter: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self {
            read: Options::default(),
            namespaces: None,
            look: Duration::from_secs(5),
            quiet: Duration::from_millis(5),
            most: Duration::from_millis(40),
            idle: Duration::from_secs(50),
            retry: Duration::from_secs(10),
            seldom: Duration::from_secs(60),
            confirm: Duration::from_secs(5),
            healthy: Duration::from_secs(10),
            max_bytes: 1 << 30,
            jitter: Arc::new(jitter),
        }
    }
}

impl fmt::Debug for WatchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchOptions").field("quiet", &self.quiet).field("most", &self.most).finish_non_exhaustive()
    }
}

/// The cluster as it is known.
#[derive(Clone, Debug)]
pub struct State {
    /// The world.
    pub world: Arc<World>,
    /// What the reader has to say about it, faults of objects that are named in `unread` included.
    pub diagnostics: Arc<Vec<Diagnostic>>,
    /// Counts worlds, from 1.
    pub revision: u64,
    /// Kinds that may have changed without our knowledge; empty: all are followed.
    pub lost: Vec<Lost>,
}

impl State {
    /// How old what is known may be: zero if all kinds are followed (see [`WatchOptions::idle`]).
    pub fn age(&self, now: Instant) -> Duration {
        self.lost.iter().map(|lost| now.saturating_duration_since(lost.since)).max().unwrap_or_default()
    }
}

/// A watch that goes on until it is stopped or dropped.
pub struct Watching {
    shared: Arc<Shared>,
    over: Arc<Notify>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watching").field(&self.shared.stats()).finish()
    }
}

impl Watching {
    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Kinds that may have changed without our knowledge, also before there is a world.
    pub fn lost(&self) -> Vec<Lost> {
        self.shared.lost()
    }

    /// Ends the watch; the receiver is not called afterwards.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop();
        self.over.notify_one();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.end();
    }
}

/// Watches the cluster. `receive` is called on a thread of the watch with each state: a new world, or the same world and news
/// of what is lost. It may take its time, and must not call [`Watching::stop`].
///
/// # Errors
/// A thread cannot be started. Everything that goes wrong later is part of a [`State`].
pub fn watch(
    mut client: Client,
    options: WatchOptions,
    receive: impl FnMut(&State) + Send + 'static,
) -> Result<Watching, AccessError> {
    let runtime = client.take_runtime()?;
    let name = format!("cluster:{}", client.place().context);
    let namespaces = options.namespaces.clone().unwrap_or_else(|| vec![client.namespace().to_owned()]);
    let mut namespaces: Vec<Str> = namespaces.into_iter().map(Str::from).collect();
    namespaces.sort();
    namespaces.dedup();
    let shared = Arc::new(Shared::new(KINDS, namespaces.clone(), options.max_bytes));
    let over = Arc::new(Notify::new());
    let mut watching = Watching { shared: Arc::clone(&shared), over: Arc::clone(&over), threads: Vec::new() };
    let cannot = |e: std::io::Error| AccessError::Host { why: format!("cannot start a thread: {e}") };

    let maker = Maker {
        objects: Objects::new(&name, options.read.clone()),
        what: KINDS.iter().map(|kind| Str::from(kind.full_name())).collect(),
        shared: Arc::clone(&shared),
        state: None,
    };
    let (quiet, most) = (options.quiet, options.most);
    let making = std::thread::Builder::new().name("worlds".into());
    watching.threads.push(making.spawn(move || maker.run(quiet, most, receive)).map_err(cannot)?);

    let context = Arc::new(Context::new(client, shared, options, namespaces));
    let following = std::thread::Builder::new().name("watches".into());
    let run = move || {
        runtime.block_on(async {
            for (index, kind) in KINDS.iter().enumerate() {
                tokio::spawn(follow(Arc::clone(&context), kind, Slot { kind: index, place: 0 }));
            }
            over.notified().await;
        });
        // A name lookup may hang on a thread of the runtime.
        runtime.shutdown_background();
    };
    watching.threads.push(following.spawn(run).map_err(cannot)?);
    Ok(watching)
}

/// Makes worlds of changes.
struct Maker {
    objects: Objects,
    /// Names of kinds, by index.
    what: Vec<Str>,
    shared: Arc<Shared>,
    state: Option<State>,
}

impl Maker {
    fn run(mut self, quiet: Duration, most: Duration, mut receive: impl FnMut(&State)) {
        // Changes that came before there could be a world, and are not in one yet.
        let mut waiting: Vec<Instant> = Vec::new();
        let mut unread = Vec::new();
        while let Some(batch) = self.shared.batch(quiet, most) {
            waiting.extend(batch.changes.iter().map(|change| change.received));
            let Batch { changes, settled, unread: missing, lost } = batch;
            for change in changes {
                let key = Key {
                    what: self.what[change.id.kind].clone(),
                    namespace: change.id.namespace,
                    name: change.id.name,
                };
                match change.text {
                    Some(text) => self.objects.put(key, &text),
                    None => self.objects.remove(&key),
                }
            }
            if !settled {
                continue;
            }
            match &mut self.state {
                Some(state) if waiting.is_empty() && unread == missing => {
                    if state.lost == lost {
                        continue;
                    }
                    state.lost = lost;
                }
                state => {
                    let loaded = self.objects.world(&missing);
                    unread = missing;
                    *state = Some(State {
                        world: Arc::new(loaded.world),
                        diagnostics: Arc::new(loaded.diagnostics),
                        revision: state.as_ref().map_or(0, |s| s.revision) + 1,
                        lost,
                    });
                    // The first world shows lists; from when on they were waited for says nothing about a watch.
                    let first = state.as_ref().is_none_or(|s| s.revision == 1);
                    self.shared.published(waiting.drain(..).filter(|_| !first));
                }
            }
            if let Some(state) = &self.state {
                receive(state);
            }
        }
    }
}
