//! The crate against a server of our own: no cluster is needed, and every misbehaviour can be had.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside the test functions"
)]

mod connect;
mod doctor;
mod etcd;
mod fake;
mod probe;
mod read;
mod tls;
mod watch;
mod watch_access;
mod watch_faults;
