//! The live mode against a real API server (`api`), and against real nodes with Flannel (`nodes`).
//!
//! Needs the clusters that `./dev cluster test` starts; nothing here is skipped where they are missing. One test at a time:
//! they share a cluster.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "measurements are printed")]

mod agents;
mod api;
mod bed;
mod equal;
mod nodes;
mod scale;
#[path = "../../../ingest/tests/online/server.rs"]
mod server;
mod watching;
