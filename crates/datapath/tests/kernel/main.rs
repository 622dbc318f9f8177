//! The programs in this kernel: in network namespaces made for the purpose, with real packets and with test runs.
//!
//! Needs root. Without it the tests say that they were not run; under continuous integration (`CI` is set) they fail instead.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod frame;
mod judged;
mod lab;
mod live;
mod sctp;
mod services;
mod vectors;
#[path = "../worlds/mod.rs"]
mod worlds;
