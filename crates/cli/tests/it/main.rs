//! Tests of the command line, in this process except where transcripts want the real program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

mod behaviour;
mod ci;
mod common;
mod diff;
mod docs;
mod findings;
mod formats;
mod live;
mod observed;
mod published;
mod rendered;
mod schema;
mod suppress;
mod test;
#[path = "../transcript/mod.rs"]
mod transcript;
mod watch;
