//! Where an agent's world comes from.

pub mod lab;

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
}
