//! A cluster of network namespaces on one Linux host, from ordinary manifests, without Kubernetes: nodes, pods, Services, DNS and
//! real packets. For packet tests, benches, and to show what a policy does.
//!
//! In: a [`watertight_model::World`]. Out: network namespaces, and for [`probe`] what connections really did beside what the
//! engine says. Needs root and Linux. Everything it makes carries the prefix [`PREFIX`] or [`LINK_PREFIX`], lives in
//! namespaces of its own, and is found by that prefix, so that [`down`] removes it also after a crash. It touches nothing
//! else, and decides no verdict.
//!
//! Reading order: [`plan`] (what there will be: pure), `addresses` and `script` (pure as well), `netns` and `up` (the kernel),
//! `respond` and `dns` (who answers), `probe`, `sample`, `dial` and [`canary`] (who asks), `state` (what is remembered between commands).

mod addresses;
pub mod plan;
mod script;
pub mod state;

#[cfg(target_os = "linux")]
pub mod canary;
#[cfg(target_os = "linux")]
mod dial;
#[cfg(target_os = "linux")]
mod dns;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod netns;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
mod respond;
#[cfg(target_os = "linux")]
mod sample;
#[cfg(target_os = "linux")]
mod up;

#[cfg(target_os = "linux")]
pub use error::LabError;
#[cfg(target_os = "linux")]
pub use netns::within;
#[cfg(target_os = "linux")]
pub use respond::respond;
#[cfg(target_os = "linux")]
pub use up::{Removed, Started, down, is_answering, is_root, up};

/// Begins the name of every network namespace of a lab.
pub const PREFIX: &str = "wtl:";
/// Begins the name of every interface and nftables table of a lab.
pub const LINK_PREFIX: &str = "wtl";
