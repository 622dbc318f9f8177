//! The question: may this endpoint open a connection to that one?

use crate::port::Protocol;
use crate::world::{NodeId, PodId};
use std::net::IpAddr;

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// A pod.
    Pod(PodId),
    /// A node itself: kubelet, or any other process of the host.
    Node(NodeId),
    /// An address that is neither a pod's nor a node's.
    External(IpAddr),
}

/// What the first packet carries above IP. Ports are the port at the destination pod (never the Service's port).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum L4 {
    /// TCP, UDP or SCTP to a port.
    Port(Protocol, u16),
    /// Any other IP protocol: an ICMP query, ESP, GRE and so on.
    Other,
}

/// A new connection (or first datagram) from one endpoint to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Who opens it.
    pub from: Endpoint,
    /// Who it is for.
    pub to: Endpoint,
    /// Protocol and destination port.
    pub l4: L4,
    /// The destination was reached through a Service address. It matters only for a pod that reaches itself that way: such
    /// a hairpin is subject to policy (rows 93, 94), a pod's own address never is (row 92).
    pub via_service: bool,
}
