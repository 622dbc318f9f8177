//! The live mode against a real API server (`api`), and against real nodes with Flannel (`nodes`).
//!
//! Needs the clusters that `./dev cluster test` starts; nothing here is skipped where they are missing. One test at a time:
//! they share a cluster.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and say what was measured"
)]

mod api;
mod bed;
mod equal;
mod nodes;
mod scale;
#[path = "../../../ingest/tests/online/server.rs"]
mod server;
