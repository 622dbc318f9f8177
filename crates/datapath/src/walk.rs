//! What an image says about a packet that opens a flow: the same way as in the kernel, written again in Rust.
//!
//! Shares no code with the programs, so that the two can be held against each other; uses neither the engine nor the rows.

use crate::abi::Drop;
use crate::image::{Image, Owner, PortStep};
use std::net::IpAddr;
use watertight_model::{Cidr, Direction, L4};

/// A packet that opens a flow, at the device of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The device.
    pub ifindex: u32,
    /// Seen from the pod.
    pub direction: Direction,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol and destination port.
    pub l4: L4,
    /// A process of this node sent it (no device brought it).
    pub from_this_node: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Passes without a policy having been asked: it comes from this node.
    Local,
    /// A policy decided.
    Decided(PortStep),
    /// Dropped before a policy was asked.
    Dropped(Drop),
    /// Egress to a Service: the backend decides, in netfilter.
    Deferred,
}

impl Outcome {
    /// Whether the packet passes here.
    pub fn passes(&self) -> bool {
        match self {
            Outcome::Local | Outcome::Deferred => true,
            Outcome::Decided(step) => step.allow,
            Outcome::Dropped(_) => false,
        }
    }
}

/// Walks the image for one packet. `can_defer`: the netfilter programs are attached.
pub fn walk(image: &Image, packet: &Packet, can_defer: bool) -> Outcome {
    let Some(slot) = image.slots.get(&packet.ifindex) else { return Outcome::Dropped(Drop::UnknownEndpoint) };
    let (set, peer) = match packet.direction {
        Direction::Egress => (slot.egress, packet.dst),
        Direction::Ingress => (slot.ingress, packet.src),
    };
    match packet.direction {
        Direction::Egress => {
            let own = image.addresses.get(&packet.src).and_then(|o| o.ifindex) == Some(packet.ifindex);
            if !own {
                return Outcome::Dropped(Drop::SpoofedSource);
            }
        }
        Direction::Ingress if packet.from_this_node => return Outcome::Local,
        Direction::Ingress => {}
    }
    let step = lookup(image, set, peer, packet.l4);
    let service = image.addresses.get(&peer).is_some_and(|o| o.service);
    if packet.direction == Direction::Egress && slot.egress_restricted && service {
        return match step {
            Ok(step) if !step.allow && step.tier_deny => Outcome::Decided(step),
            _ if can_defer => Outcome::Deferred,
            _ => Outcome::Dropped(Drop::ServiceUndecided),
        };
    }
    step.map_or_else(Outcome::Dropped, Outcome::Decided)
}

/// The step that holds for an address and a port in a set.
fn lookup(image: &Image, set: u32, peer: IpAddr, l4: L4) -> Result<PortStep, Drop> {
    let identity = match image.addresses.get(&peer) {
        Some(Owner { identity, .. }) => *identity,
        None => longest(image, peer),
    };
    let identity = identity.ok_or(Drop::UnknownPeer)?;
    let set = &image.sets[set as usize];
    let at = set.entries.binary_search_by_key(&identity, |(peer, _)| *peer);
    let table = at.map_or(set.default, |i| set.entries[i].1);
    let steps = image.tables[table as usize].steps();
    let place = crate::image::Place::of(l4);
    steps.iter().rev().find(|step| step.from <= place).copied().ok_or(Drop::NoTable)
}

/// The identity of the longest prefix that holds an address.
fn longest(image: &Image, ip: IpAddr) -> Option<crate::image::Identity> {
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    (0..=longest).rev().find_map(|len| Cidr::new(ip, len).and_then(|cidr| image.prefixes.get(&cidr)).copied())
}
