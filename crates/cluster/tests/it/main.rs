//! The crate against a server of our own: no cluster is needed, and every misbehaviour can be had.

mod connect;
mod fake;
mod read;
mod tls;
