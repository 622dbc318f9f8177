//! The agent of a node: keeps what the kernel enforces equal to what the cluster's policies say of the pods of this node.
//!
//! ```text
//!   source (lab, kubernetes) --View: world, pods of this node--> node --Image--> kernel (datapath)
//!                                                      |  ^
//!                                     local socket: status, flows, drops
//! ```
//!
//! In: a [`source::View`] whenever something changed. Out: an image in force, read back, and a local API that says so
//! ([`api`]). It has no policy meaning of its own: `datapath` compiles, `engine` decides. Everything in the kernel is pinned, so
//! that the agent may stop, by itself or not, and nothing opens or breaks.
//!
//! Reading order: [`api`] (what can be asked), [`source`] (where the world comes from), `node` (one pass of the loop), `run` (the
//! threads), `server` and [`client`] (the socket), `gate` (pods that begin), `find` and `links` (whose devices there are), `log` and
//! `metrics` (what is told to machines).

pub mod api;
#[cfg(target_os = "linux")]
pub mod client;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod find;
#[cfg(target_os = "linux")]
mod gate;
#[cfg(target_os = "linux")]
mod links;
#[cfg(target_os = "linux")]
mod log;
#[cfg(target_os = "linux")]
mod metrics;
#[cfg(target_os = "linux")]
mod node;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
pub mod source;

#[cfg(target_os = "linux")]
pub use error::AgentError;
#[cfg(target_os = "linux")]
pub use log::{Log, LogFormat};
#[cfg(target_os = "linux")]
pub use run::{From, Settings, run, uninstall};
