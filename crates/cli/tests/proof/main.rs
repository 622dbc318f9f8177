//! What is promised, tried with real packets: `verify`, situations of `cases/scenarios.md`, and faults. Needs root and Linux 6.6:
//! without root these tests say that they did not run, except in continuous integration, where they fail.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, helpers of tests too")]
#![expect(clippy::print_stderr, reason = "a test that does not run says so, and measurements are printed")]

#[path = "../guarded/mod.rs"]
mod guarded;
#[path = "../transcript/mod.rs"]
mod transcript;

mod bed;
mod faults;
mod scenarios;
mod verify;
