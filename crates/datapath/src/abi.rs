//! The contract with the programs in Rust: the numbers and layouts of `bpf/wt.h`. Bytes in, bytes out; no meaning.
//!
//! A test reads `bpf/wt.h` and holds every name, number, size and place against this file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use watertight_model::{Direction, Protocol};

/// Layouts that pinned maps were made with.
pub const ABI: u32 = 1;
/// The identity of nobody.
pub const NOBODY: u32 = 0;
/// The peer under which a set keeps what holds for everyone it does not name.
pub const ANYONE_ELSE: u32 = u32::MAX;
/// Longest table of ports.
pub const TABLE_MAX: usize = 4096;
/// Index of "any other IP protocol" in a table of ports.
pub const OTHER_PROTOCOL: u32 = 3;
/// `enum wt_verdict`.
pub const ALLOW: u8 = 1;
/// `enum wt_verdict`.
pub const DENY: u8 = 2;
/// `enum wt_peer_flag`.
pub const PEER_SERVICE: u32 = 1;
/// `enum wt_slot_flag`.
pub const SLOT_EGRESS: u32 = 1;
/// `enum wt_slot_flag`.
pub const SLOT_INGRESS: u32 = 2;
/// `enum wt_table_flag`.
pub const TABLE_TIER_DENY: u8 = 1;
/// `enum wt_control_flag`.
pub const CONTROL_DEFER: u32 = 1;

/// Key of `addresses`.
pub type AddressKey = [u8; 20];
/// Value of `addresses` and `prefixes`.
pub type PeerValue = [u8; 16];
/// Key of `prefixes`.
pub type PrefixKey = [u8; 24];
/// Key of `slots`.
pub type SlotKey = [u8; 8];
/// Value of `slots`.
pub type SlotValue = [u8; 20];
/// Key of `entries`.
pub type EntryKey = [u8; 8];
/// Value of `entries`.
pub type TableValue = [u8; 8];
/// Element of `ports`.
pub type StepValue = [u8; 16];

/// Which of the two copies of everything that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// Even epochs.
    Even,
    /// Odd epochs.
    Odd,
}

impl Bank {
    /// The bank that this epoch makes visible.
    pub fn of(epoch: u64) -> Self {
        if epoch & 1 == 0 { Bank::Even } else { Bank::Odd }
    }

    /// Its number.
    pub fn number(self) -> u32 {
        match self {
            Bank::Even => 0,
            Bank::Odd => 1,
        }
    }
}

fn put<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let mut at = 0;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    out
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(four)
}

/// Family (`enum wt_family`) and the address in network order, padded with zeros.
pub fn address(ip: IpAddr) -> (u32, [u8; 16]) {
    match ip {
        IpAddr::V4(a) => (1, put(&[&a.octets()])),
        IpAddr::V6(a) => (2, a.octets()),
    }
}

/// The reverse of [`address`]; `None` for a family that is neither.
pub fn ip(family: u8, addr: &[u8]) -> Option<IpAddr> {
    match family {
        1 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(addr.get(..4)?).ok()?))),
        2 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(addr.get(..16)?).ok()?))),
        _ => None,
    }
}

/// `struct wt_address`.
pub fn address_key(bank: Bank, ip: IpAddr) -> AddressKey {
    let (family, addr) = address(ip);
    put(&[&(bank.number() + 2 * family).to_ne_bytes(), &addr])
}

/// `struct wt_prefix`.
pub fn prefix_key(bank: Bank, cidr: &watertight_model::Cidr) -> PrefixKey {
    let (family, addr) = address(cidr.addr());
    let len = 32 + u32::from(cidr.prefix_len());
    put(&[&len.to_ne_bytes(), &(bank.number() + 2 * family).to_ne_bytes(), &addr])
}

/// `struct wt_peer`.
pub fn peer_value(identity: u32, ifindex: u32, flags: u32) -> PeerValue {
    put(&[&identity.to_ne_bytes(), &ifindex.to_ne_bytes(), &flags.to_ne_bytes()])
}

/// The identity in a `struct wt_peer`.
pub fn identity_of(value: &PeerValue) -> u32 {
    word(value, 0)
}

/// `struct wt_slot_key`.
pub fn slot_key(bank: Bank, ifindex: u32) -> SlotKey {
    put(&[&ifindex.to_ne_bytes(), &bank.number().to_ne_bytes()])
}

/// `struct wt_slot`.
pub fn slot_value(egress: u32, ingress: u32, flags: u32, mac: Option<[u8; 6]>) -> SlotValue {
    put(&[&egress.to_ne_bytes(), &ingress.to_ne_bytes(), &flags.to_ne_bytes(), &mac.unwrap_or_default()])
}

/// Egress and ingress set of a `struct wt_slot`.
pub fn sets_of(value: &SlotValue) -> (u32, u32) {
    (word(value, 0), word(value, 4))
}

/// `struct wt_entry_key`.
pub fn entry_key(set: u32, peer: u32) -> EntryKey {
    put(&[&set.to_ne_bytes(), &peer.to_ne_bytes()])
}

/// Set and peer of a `struct wt_entry_key`.
pub fn entry_of(key: &EntryKey) -> (u32, u32) {
    (word(key, 0), word(key, 4))
}

/// `struct wt_table`.
pub fn table_value(first: u32, count: u32) -> TableValue {
    put(&[&first.to_ne_bytes(), &count.to_ne_bytes()])
}

/// First step and number of steps of a `struct wt_table`.
pub fn table_of(value: &TableValue) -> (u32, u32) {
    (word(value, 0), word(value, 4))
}

/// One step of a table of ports, with answers as the kernel numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    /// First place (protocol * 65536 + port) for which it holds.
    pub from: u32,
    /// What decided.
    pub answer: u32,
    /// What decided with the policies in shadow.
    pub shadow_answer: u32,
    /// Whether it is allowed.
    pub allow: bool,
    /// Whether it would be, with the policies in shadow.
    pub shadow_allow: bool,
    /// `enum wt_table_flag`.
    pub flags: u8,
}

/// `struct wt_step`.
pub fn step_value(step: &Step) -> StepValue {
    let verdict = |allow| if allow { ALLOW } else { DENY };
    put(&[
        &step.from.to_ne_bytes(),
        &step.answer.to_ne_bytes(),
        &step.shadow_answer.to_ne_bytes(),
        &[verdict(step.allow), verdict(step.shadow_allow), step.flags, 0],
    ])
}

/// The reverse of [`step_value`]. A verdict that is not "allow" is "deny".
pub fn step_of(value: &StepValue) -> Step {
    Step {
        from: word(value, 0),
        answer: word(value, 4),
        shadow_answer: word(value, 8),
        allow: value[12] == ALLOW,
        shadow_allow: value[13] == ALLOW,
        flags: value[14],
    }
}

/// Place of a protocol and port in a table of ports; `None`: any other IP protocol.
pub fn place(l4: Option<(Protocol, u16)>) -> u32 {
    match l4 {
        Some((protocol, port)) => (protocol as u32) << 16 | u32::from(port),
        None => OTHER_PROTOCOL << 16,
    }
}

/// `enum wt_direction`.
pub fn direction(direction: Direction) -> u8 {
    match direction {
        Direction::Egress => 1,
        Direction::Ingress => 2,
    }
}

/// A `struct wt_edge_key`, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// Device of the pod.
    pub ifindex: u32,
    /// Deciding answer of the enforced policies.
    pub answer: u32,
    /// Deciding answer with those in shadow.
    pub shadow_answer: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port; 0 for protocols without.
    pub port: u16,
    /// Seen from the pod, in the direction in which the flow was opened.
    pub direction: Direction,
    /// Enforced verdict.
    pub allow: bool,
    /// Verdict with the policies in shadow.
    pub shadow_allow: bool,
    /// `peer` is the /24 or /64 around the address.
    pub prefix: bool,
    /// The other side.
    pub peer: IpAddr,
}

/// Reads a `struct wt_edge_key`; `None` if it is not one.
pub fn edge_of(key: &[u8]) -> Option<EdgeKey> {
    if key.len() != 36 {
        return None;
    }
    Some(EdgeKey {
        ifindex: word(key, 0),
        answer: word(key, 4),
        shadow_answer: word(key, 8),
        protocol: key[13],
        port: u16::from_ne_bytes([key[14], key[15]]),
        direction: if key[16] == 1 { Direction::Egress } else { Direction::Ingress },
        allow: key[17] == ALLOW,
        shadow_allow: key[18] == ALLOW,
        prefix: key[19] != 0,
        peer: ip(key[12], &key[20..36])?,
    })
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$vdoc:meta])* $variant:ident = $number:literal, $c:literal, $text:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant = $number),* }
        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            /// Stable name, as in events and metrics.
            pub fn name(self) -> &'static str { match self { $($name::$variant => $text),* } }
            /// Its name in `bpf/wt.h`.
            pub fn c_name(self) -> &'static str { match self { $($name::$variant => $c),* } }
            /// Its number.
            pub fn number(self) -> u32 { self as u32 }
        }
    };
}

named! {
    /// Why a packet was dropped (`enum wt_reason`).
    Drop {
        /// A policy, or the lack of a rule that admits it: the answer names which.
        Policy = 1, "WT_DROP_POLICY", "policy";
        /// No policy has been published for this device: closed until one is.
        UnknownEndpoint = 2, "WT_DROP_UNKNOWN_ENDPOINT", "unknownEndpoint";
        /// The other side has an address that two pods claim.
        UnknownPeer = 3, "WT_DROP_UNKNOWN_PEER", "unknownPeer";
        /// A set or table is not where it should be. Never in sound maps.
        NoTable = 4, "WT_DROP_NO_TABLE", "noTable";
        /// The pod sent from an address that is not its own (P18, P19).
        SpoofedSource = 5, "WT_DROP_SPOOFED_SOURCE", "spoofedSource";
        /// The pod spoke ARP for an address that is not its own (P21).
        SpoofedArp = 6, "WT_DROP_SPOOFED_ARP", "spoofedArp";
        /// Neighbour discovery for an address that is not the pod's own, or from beyond the link (P20).
        SpoofedNeighbour = 7, "WT_DROP_SPOOFED_NEIGHBOUR", "spoofedNeighbour";
        /// A router advertisement or redirect from a pod (P17).
        RouterMessage = 8, "WT_DROP_ROUTER_MESSAGE", "routerMessage";
        /// Neither IPv4, IPv6 nor ARP (P15).
        EtherType = 9, "WT_DROP_ETHER_TYPE", "etherType";
        /// More than two VLAN tags (P10).
        VlanDepth = 10, "WT_DROP_VLAN_DEPTH", "vlanDepth";
        /// The version of the header is not that of the frame (P4).
        IpVersion = 11, "WT_DROP_IP_VERSION", "ipVersion";
        /// The lengths of the IP header do not hold together (P3).
        IpHeader = 12, "WT_DROP_IP_HEADER", "ipHeader";
        /// The transport header is cut off (P8).
        TransportHeader = 13, "WT_DROP_TRANSPORT_HEADER", "transportHeader";
        /// A first fragment without the ports (P6).
        FragmentTiny = 14, "WT_DROP_FRAGMENT_TINY", "fragmentTiny";
        /// A fragment whose first was not seen (P7).
        FragmentUnknown = 15, "WT_DROP_FRAGMENT_UNKNOWN", "fragmentUnknown";
        /// A fragment that overlaps an earlier one, or comes out of order (P7).
        FragmentOverlap = 16, "WT_DROP_FRAGMENT_OVERLAP", "fragmentOverlap";
        /// IPv6 extension headers that are unknown, too many or cut off (P12).
        ExtensionHeaders = 17, "WT_DROP_EXTENSION_HEADERS", "extensionHeaders";
        /// An IPv6 routing header with segments left: its destination is not the one in the header.
        RoutingHeader = 18, "WT_DROP_ROUTING_HEADER", "routingHeader";
        /// An ICMP error about no flow of this pod (P22).
        IcmpUnrelated = 19, "WT_DROP_ICMP_UNRELATED", "icmpUnrelated";
        /// The table of flows is full.
        FlowTableFull = 20, "WT_DROP_FLOW_TABLE_FULL", "flowTableFull";
        /// A flow that was allowed once and is denied now.
        FlowCut = 21, "WT_DROP_FLOW_CUT", "flowCut";
        /// To a Service, and netfilter cannot decide on its backend.
        ServiceUndecided = 22, "WT_DROP_SERVICE_UNDECIDED", "serviceUndecided";
        /// The kernel could not read the bytes that the header promises (P9).
        Unreadable = 23, "WT_DROP_UNREADABLE", "unreadable";
        /// To a Service's address, and about to reach a pod: sent past the router, so that no backend was judged.
        ServiceAddress = 24, "WT_DROP_SERVICE_ADDRESS", "serviceAddress";
    }
}

named! {
    /// What is counted and is not a drop (`enum wt_count`).
    Count {
        /// Packets seen.
        Packets = 0, "WT_COUNT_PACKETS", "packets";
        /// Doubtful packets that passed because no policy has a say for this pod.
        DoubtPassed = 1, "WT_COUNT_DOUBT_PASSED", "doubtPassed";
        /// Flows that passed without being remembered: the table was full.
        FlowUntracked = 2, "WT_COUNT_FLOW_UNTRACKED", "flowUntracked";
        /// Flows opened.
        FlowsNew = 3, "WT_COUNT_FLOWS_NEW", "flowsNew";
        /// Flows judged again because the epoch had moved.
        FlowsJudgedAgain = 4, "WT_COUNT_FLOWS_JUDGED_AGAIN", "flowsJudgedAgain";
        /// Flows that the sweeper removed.
        FlowsExpired = 5, "WT_COUNT_FLOWS_EXPIRED", "flowsExpired";
        /// Edges that the ledger had no room for.
        EdgeLost = 6, "WT_COUNT_EDGE_LOST", "edgeLost";
        /// New edges whose event was lost; the ledger has them.
        EventLost = 7, "WT_COUNT_EVENT_LOST", "eventLost";
        /// Allowed, and denied by policies in shadow.
        ShadowDenied = 8, "WT_COUNT_SHADOW_DENIED", "shadowDenied";
        /// Egress decisions left to netfilter.
        Deferred = 9, "WT_COUNT_DEFERRED", "deferred";
        /// Egress decisions made there.
        Decided = 10, "WT_COUNT_DECIDED", "decided";
    }
}

#[cfg(test)]
mod tests;
