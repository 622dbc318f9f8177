//! The gate at a pod's start: a CNI plugin that comes after the network's own, and lets a pod begin only when the agent of the node
//! says that it is isolated.
//!
//! ```text
//!   runtime --ADD--> bridge, ptp, ... --result--> watertight-cni --question--> agent of the node (Unix socket)
//!                                                       |  <---- isolated, or why not
//!                                                       +--> the same result, or an error: the pod does not start
//! ```
//!
//! It knows no policy and makes no network. It is a program of its own, small and without BPF, because it runs on the host, whatever
//! that is. [`protocol`] is what it says to the agent, [`plugin`] the CNI side, [`install`] puts it into a node's configuration.

pub mod install;
pub mod plugin;
pub mod protocol;
