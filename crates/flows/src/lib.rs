//! Recorded flows to edges with evidence: importers, an edge ledger in one file, and what the ledger says of a world.
//!
//! Input: flow records (Hubble JSON, Calico flow logs). Output: edges with counts, times and evidence ids; how complete the
//! recording was; the edges of a world's workloads ([`resolve()`]). Facts are stored, conclusions are drawn later: an
//! import needs no world. Nothing is lost uncounted: the parts of [`ImportStats`] add up to the lines read.
//!
//! Reading order: [`record`] (one line's facts), [`hubble`] and [`calico`] (formats), [`import`](mod@import) (lines to
//! edges, on two threads), [`ledger`], [`resolve`](mod@resolve), [`completeness`](mod@completeness), [`cron`].

pub mod calico;
pub mod completeness;
pub mod cron;
pub mod hubble;
pub mod import;
pub mod ledger;
pub mod record;
pub mod resolve;

pub use completeness::{Completeness, completeness};
pub use import::{Format, ImportStats, import};
pub use ledger::{EdgeData, EdgeKey, Ledger, LedgerError};
pub use record::Who;
pub use resolve::{Edge, End, Resolved, Unresolved, resolve};
