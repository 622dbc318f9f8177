//! Nodes.

use crate::addr::Cidr;
use crate::label::{Labels, Str};
use crate::origin::Origin;
use std::net::IpAddr;

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Str,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations (they tell which network plugin runs).
    pub annotations: Labels,
    /// All IP addresses in `status.addresses`, whatever their type, in the order written, without repeats.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<Cidr>,
    /// The Node object.
    pub origin: Origin,
}
