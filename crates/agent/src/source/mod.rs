//! Where an agent's world comes from.

pub mod kubernetes;
pub mod lab;
mod places;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use watertight_model::World;

/// A state of the cluster, as one node needs it.
#[derive(Clone)]
pub struct View {
    /// How many states the source has seen; the first is 1.
    pub revision: u64,
    /// The cluster.
    pub world: Arc<World>,
    /// Pods of the node, by name, with their devices.
    pub pods: Arc<Vec<Place>>,
    /// Devices that are pods', and not known whose: they are closed until they are.
    pub closed: Arc<Vec<Closed>>,
    /// Pods of the node that cannot be guarded, with the reason, in words.
    pub open: Arc<Vec<String>>,
    /// When the change was noticed.
    pub since: Instant,
}

/// A pod of this node and its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Index of the device on the node's side.
    pub ifindex: u32,
    /// MAC address of the pod's side, if it is known.
    pub mac: Option<[u8; 6]>,
    /// Its addresses, where they are known before the pod's status says so; otherwise empty.
    pub addresses: Vec<IpAddr>,
}

/// A device that stays closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Index on the node's side.
    pub ifindex: u32,
    /// Name on the node's side.
    pub device: String,
    /// Why, in words.
    pub why: String,
}

/// How much is known of what the source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What may have changed without our knowledge, since when and why, in words; empty: nothing.
    pub lost: Vec<Lost>,
    /// Why the newest state is not brought into force. The last one stays.
    pub held: Option<String>,
    /// What users should know, in words.
    pub notes: Vec<String>,
}

/// A kind of object that the source may have missed changes of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The kind: `networkpolicies.networking.k8s.io`.
    pub what: String,
    /// When it was last known to be current.
    pub since: Instant,
    /// What is in the way, in words.
    pub why: String,
}
