//! Cluster-wide tiers: ClusterNetworkPolicy (`policy.networking.k8s.io/v1alpha2`) and its predecessors
//! AdminNetworkPolicy and BaselineAdminNetworkPolicy (`v1alpha1`), in one shape.

use crate::label::{Labels, Str};
use crate::origin::Origin;
use crate::port::{PortMatch, Protocol};
use crate::selector::Selector;

/// Which API object it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClusterPolicyKind {
    /// ClusterNetworkPolicy.
    ClusterNetworkPolicy,
    /// AdminNetworkPolicy.
    AdminNetworkPolicy,
    /// BaselineAdminNetworkPolicy.
    BaselineAdminNetworkPolicy,
}

impl ClusterPolicyKind {
    /// The API kind.
    pub fn name(self) -> &'static str {
        match self {
            ClusterPolicyKind::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            ClusterPolicyKind::AdminNetworkPolicy => "AdminNetworkPolicy",
            ClusterPolicyKind::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
        }
    }
}

/// Admin decides before NetworkPolicy, Baseline after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Before NetworkPolicy.
    Admin,
    /// After NetworkPolicy, for directions in which no NetworkPolicy isolates the pod.
    Baseline,
}

/// A cluster policy. Rules are ordered: the first that matches acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterPolicy {
    /// Which API object it was.
    pub kind: ClusterPolicyKind,
    /// Its name.
    pub name: Str,
    /// Its tier.
    pub tier: Tier,
    /// 0 to 1000, lower first; 0 for a BaselineAdminNetworkPolicy (it is a singleton).
    pub priority: u16,
    /// The pods it applies to; hostNetwork pods are never selected (semantics row 145).
    pub subject: Subject,
    /// Ingress rules, in order.
    pub ingress: Vec<ClusterRule>,
    /// Egress rules, in order.
    pub egress: Vec<ClusterRule>,
    /// Annotations, as far as the reader keeps them (`watertight.dev/*`).
    pub annotations: Labels,
    /// The object.
    pub origin: Origin,
    /// `spec.subject`.
    pub subject_origin: Origin,
}

impl ClusterPolicy {
    /// The rules of one direction.
    pub fn rules(&self, direction: crate::policy::Direction) -> &[ClusterRule] {
        match direction {
            crate::policy::Direction::Ingress => &self.ingress,
            crate::policy::Direction::Egress => &self.egress,
        }
    }
}

/// Pods of these namespaces with these labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `namespaces` or `pods.namespaceSelector`.
    pub namespaces: Selector,
    /// `pods.podSelector`; `{}` for the `namespaces` form.
    pub pods: Selector,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRule {
    /// Its name.
    pub name: Option<Str>,
    /// What it does to traffic that it matches.
    pub action: Action,
    /// At least one; traffic matches if any does.
    pub peers: Vec<ClusterPeer>,
    /// Ports and protocols; AND with the peers.
    pub ports: ClusterPorts,
    /// Its place.
    pub origin: Origin,
}

/// What a rule does. `Allow` of v1alpha1 is `Accept`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Allowed in this direction; nothing after it is asked.
    Accept,
    /// Denied; nothing after it is asked.
    Deny,
    /// The rest of this tier is skipped.
    Pass,
    /// A newer action: acts as Deny for what the rule matches (semantics row 168).
    Unknown(Str),
}

/// One peer of a cluster rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterPeer {
    /// `namespaces` (pods `{}`) or `pods`.
    Pods {
        /// Namespaces, by label.
        namespaces: Selector,
        /// Pods in them, by label.
        pods: Selector,
        /// Its place.
        origin: Origin,
    },
    /// `nodes`: every address of every node that matches; egress only.
    Nodes {
        /// Nodes, by label. Pods with these labels never match.
        nodes: Selector,
        /// Its place.
        origin: Origin,
    },
    /// `networks`: addresses, pods' and nodes' included; egress only.
    Networks {
        /// Blocks; `mapped` as in [`crate::policy::BlockCidr`].
        blocks: Vec<crate::policy::BlockCidr>,
        /// Its place.
        origin: Origin,
    },
    /// `domainNames`: external addresses that such a name resolves to; egress Accept rules of the Admin tier only.
    DomainNames {
        /// Names, possibly starting with `*.`.
        names: Vec<Str>,
        /// Its place.
        origin: Origin,
    },
    /// A kind of peer that this version does not know: an Accept rule matches nothing through it, and a Deny or Pass
    /// rule that holds one is "Deny all" (semantics row 167).
    Unknown {
        /// Its place.
        origin: Origin,
    },
}

/// The ports of a cluster rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterPorts {
    /// `protocols`/`ports` absent: any protocol at all, ICMP included (semantics row 147).
    Any,
    /// At least one entry; traffic matches if any does.
    Of(Vec<ClusterPort>),
}

/// One entry of `protocols` (v1alpha2) or `ports` (v1alpha1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterPort {
    /// A number or range of one protocol. ([`PortMatch::Named`] does not occur here.)
    Number(Protocol, PortMatch),
    /// A container port's name on the destination pod, whatever its protocol.
    Named(Str),
    /// `{tcp: {}}`: a protocol without a port. The CRD refuses it; at run time Accept matches nothing, and Deny and Pass
    /// act as Deny for all ports of the protocol (semantics row 149).
    BareProtocol(Protocol),
    /// A newer kind of entry: as an unknown peer.
    Unknown,
}
