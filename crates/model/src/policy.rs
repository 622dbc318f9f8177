//! `networking.k8s.io/v1` NetworkPolicy, checked and defaulted.

use crate::addr::Cidr;
use crate::label::{Labels, Str};
use crate::origin::Origin;
use crate::port::{PortMatch, Protocol};
use crate::selector::Selector;
use crate::world::NamespaceId;

/// Which way traffic goes, seen from the pod that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Into the pod.
    Ingress,
    /// Out of the pod.
    Egress,
}

impl Direction {
    /// Both, in the order in which a packet meets them: out of the source, into the destination.
    pub const BOTH: [Direction; 2] = [Direction::Egress, Direction::Ingress];

    /// `ingress` or `egress`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

/// Whether a field was there in the input, and whether it held anything. Meaning never depends on it (defaults are
/// already applied); lints do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Not written.
    #[default]
    Absent,
    /// Written as `[]` or `{}`, or with nothing after the colon (`null`).
    Empty,
    /// Written with content.
    Filled,
}

/// A NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Its namespace; it selects pods of this namespace only.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// The pods it applies to. An absent `podSelector` is `{}`: every pod of the namespace.
    pub subject: Selector,
    /// `policyTypes` holds Ingress (after defaulting): selected pods are isolated for ingress.
    pub isolates_ingress: bool,
    /// `policyTypes` holds Egress (after defaulting): selected pods are isolated for egress.
    pub isolates_egress: bool,
    /// Ingress rules, in the order written. Without effect unless `isolates_ingress`.
    pub ingress: Vec<Rule>,
    /// Egress rules, in the order written. Without effect unless `isolates_egress`.
    pub egress: Vec<Rule>,
    /// What was written, before defaulting.
    pub written: Written,
    /// Annotations, as far as the reader keeps them (`watertight.dev/*`).
    pub annotations: Labels,
    /// The object.
    pub origin: Origin,
    /// `spec.podSelector` (the object, if absent).
    pub subject_origin: Origin,
}

impl NetworkPolicy {
    /// True if the policy isolates the pods it selects in this direction.
    pub fn isolates(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.isolates_ingress,
            Direction::Egress => self.isolates_egress,
        }
    }

    /// The rules of one direction. They admit traffic only if [`Self::isolates`] that direction.
    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// Which fields of a NetworkPolicy's spec were in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// `spec`.
    pub spec: Presence,
    /// `spec.podSelector`.
    pub pod_selector: Presence,
    /// `spec.policyTypes`.
    pub policy_types: Presence,
    /// `spec.ingress`.
    pub ingress: Presence,
    /// `spec.egress`.
    pub egress: Presence,
}

/// One allow rule: these peers AND these ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `from` or `to`.
    pub peers: Peers,
    /// `ports`.
    pub ports: Ports,
    /// The rule's place.
    pub origin: Origin,
}

/// The peers of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// `from`/`to` absent ([`Presence::Absent`]) or written with nothing in it ([`Presence::Empty`]): no restriction.
    Any(Presence),
    /// At least one entry; traffic matches if any entry does.
    Of(Vec<Peer>),
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it selects.
    pub kind: PeerKind,
    /// Its place.
    pub origin: Origin,
}

/// What a peer entry selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// Pods, by labels.
    Pods {
        /// `namespaceSelector`; `None`: the policy's own namespace.
        namespaces: Option<Selector>,
        /// `podSelector`; `None` (absent) selects all pods of those namespaces, like `{}`.
        pods: Option<Selector>,
    },
    /// Addresses.
    Block(IpBlock),
}

/// `ipBlock`: addresses in `cidr` and in none of `except`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpBlock {
    /// The block.
    pub cidr: BlockCidr,
    /// Holes, each a strict subset of `cidr`.
    pub except: Vec<BlockCidr>,
}

/// A block as written in an `ipBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCidr {
    /// The canonical block (host bits cleared).
    pub cidr: Cidr,
    /// Set for an IPv4-mapped block such as `::ffff:10.0.0.0/104`, which only servers without strict checks accept:
    /// the IPv4 block that some readers see (semantics row 82: unclear).
    pub mapped: Option<Cidr>,
    /// The text was not canonical (host bits, leading zeros, mapped).
    pub sloppy: bool,
    /// Its place.
    pub origin: Origin,
}

/// The ports of a NetworkPolicy rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// `ports` absent ([`Presence::Absent`]) or written with nothing in it ([`Presence::Empty`]): every port of every
    /// protocol. (Whether protocols other than TCP, UDP and SCTP are included, the API leaves open: semantics row 68.)
    Any(Presence),
    /// At least one entry; traffic matches if any entry does.
    Of(Vec<PortEntry>),
}

/// One entry of `ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortEntry {
    /// Protocol; TCP when absent.
    pub protocol: Protocol,
    /// The `protocol` field was absent.
    pub protocol_defaulted: bool,
    /// `port` and `endPort`.
    pub port: PortMatch,
    /// Its place.
    pub origin: Origin,
}
