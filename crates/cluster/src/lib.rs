//! A live Kubernetes cluster, read once or watched: objects as JSON text for the reader of files, worlds that stay current,
//! and the checks of `doctor`.
//!
//! Takes a kubeconfig (or a pod's service account) and gives [`Snapshot`]s, or a [`State`] after each change ([`watch()`]).
//! Async inside, synchronous outside; every
//! wait is bounded. Understands no object: `watertight-ingest` does, from the same text that a saved snapshot holds.
//! Never writes to a cluster (but for `probe`, in a namespace of its own, where that is asked for), never reads a Secret,
//! never keeps an environment value, never shows a credential.
//!
//! Reading order: [`Access`] says where to look, [`connect`] finds a context and its credentials, [`read()`] lists every
//! kind of the table in `kinds`, `slim` drops what nobody needs, [`Snapshot`] is what is left, [`save`] writes it.
//! [`mod@watch`] keeps a world current.

mod access;
mod client;
mod config;
mod doctor;
mod error;
mod fault;
mod kinds;
mod kubeconfig;
mod list;
mod plugin;
mod probe;
mod proxy;
mod read;
mod renew;
mod slim;
mod snapshot;
pub mod watch;
mod words;

pub use access::{Access, Environment, Timeouts};
pub use client::{Client, connect};
pub use doctor::{Check, Group, Status, doctor};
pub use error::{AccessError, Place, TlsFault};
pub use probe::{ProbeOptions, probe};
pub use read::{ReadOptions, read, read_with_progress};
pub use snapshot::{Snapshot, save};
pub use watch::{State, WatchOptions, Watching, watch};
