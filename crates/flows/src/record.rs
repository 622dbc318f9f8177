//! What one record of any format says, before anything is concluded from it.

use std::borrow::Cow;
use std::net::IpAddr;

/// One end of a recorded flow, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Who {
    /// A pod.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name; a pattern such as `web-*` where the source aggregates.
        name: String,
        /// Its owner, if the record names one: kind and name.
        owner: Option<(String, String)>,
    },
    /// A node's own process, recorded at that node (kubelet probes have this source).
    Host {
        /// The node.
        node: String,
    },
    /// Only an address.
    Address(IpAddr),
}

/// Transport protocol and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transport {
    /// Protocol.
    pub protocol: watertight_model::Protocol,
    /// Port at the source; 0 if the record does not say.
    pub source_port: u16,
    /// Port at the destination.
    pub destination_port: u16,
}

/// Whether a record shows the opener's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the opener to the server.
    Forward,
    /// An answer.
    Reply,
    /// The record does not say. It is concluded from other records, never from port numbers.
    Unknown,
}

/// What became of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It went through.
    Passed,
    /// A policy denied it: an attempt, no evidence of need.
    Denied,
}

/// The facts of one record.
#[derive(Clone, Debug)]
pub struct Record<'l> {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Source of the packet.
    pub source: End<'l>,
    /// Destination of the packet.
    pub destination: End<'l>,
    /// Protocol and ports.
    pub transport: Transport,
    /// Which way it goes.
    pub direction: Direction,
    /// What became of it.
    pub fate: Fate,
    /// Flows that this record stands for.
    pub weight: u64,
    /// Node on which it was recorded; empty if not said.
    pub node: Cow<'l, str>,
    /// DNS names of the destination.
    pub destination_names: Vec<Cow<'l, str>>,
}

/// One end, borrowed from the line.
#[derive(Clone, Debug)]
pub enum End<'l> {
    /// A pod: namespace, name, owner's kind and name.
    Pod(Cow<'l, str>, Cow<'l, str>, Option<(Cow<'l, str>, Cow<'l, str>)>),
    /// The node on which the record was made.
    Host(Cow<'l, str>),
    /// An address.
    Address(IpAddr),
}

impl End<'_> {
    /// An owned copy.
    pub fn who(&self) -> Who {
        match self {
            End::Pod(namespace, name, owner) => Who::Pod {
                namespace: namespace.to_string(),
                name: name.to_string(),
                owner: owner.as_ref().map(|(kind, name)| (kind.to_string(), name.to_string())),
            },
            End::Host(node) => Who::Host { node: node.to_string() },
            End::Address(ip) => Who::Address(*ip),
        }
    }

    /// Appends bytes that differ for different ends: a tag, then parts that end in zero bytes (names hold none).
    pub(crate) fn key(&self, out: &mut Vec<u8>) {
        let mut part = |tag: u8, parts: &[&str]| {
            out.push(tag);
            for p in parts {
                out.extend_from_slice(p.as_bytes());
                out.push(0);
            }
        };
        match self {
            End::Pod(ns, name, None) => part(1, &[ns, name]),
            End::Pod(ns, name, Some((kind, owner))) => part(2, &[ns, name, kind, owner]),
            End::Host(node) => part(3, &[node]),
            End::Address(IpAddr::V4(ip)) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            End::Address(IpAddr::V6(ip)) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
    }
}

/// What a line is. One at a time is alive, on the stack: boxing the common variant would cost an allocation a line.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the common one")]
pub enum Line<'l> {
    /// A flow.
    Flow(Record<'l>),
    /// The recorder says that it lost this many events.
    Lost(u64),
    /// Nothing to learn from, for this reason.
    Ignored(&'static str),
    /// Not of the format, for this reason.
    Malformed(String),
}
