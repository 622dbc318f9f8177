//! The words of Watertight: what a cluster is made of, what a policy says, what a verdict is.
//!
//! Plain data, already checked and defaulted. This crate knows neither Kubernetes types nor files, and decides nothing:
//! reading is `watertight-ingest`, meaning is `watertight-engine` (and, slowly and obviously, `watertight-oracle`).
//!
//! Reading order: [`label`], [`selector`], [`addr`], [`port`] are the small words; [`namespace`], [`node`], [`pod`],
//! [`workload`], [`service`] the things; [`policy`] and [`cluster_policy`] the rules; [`world`] holds them all;
//! [`flow`] and [`verdict`] are question and answer.
//!
//! INVARIANT: no list is ever used to mean "everything". *Any* and *none* are said aloud ([`policy::Peers::Any`]).

pub mod addr;
pub mod cluster_policy;
pub mod flow;
pub mod gateway;
pub mod label;
pub mod manifest;
pub mod namespace;
pub mod node;
pub mod origin;
pub mod pod;
pub mod policy;
pub mod port;
pub mod portset;
pub mod selector;
pub mod service;
pub mod spelling;
pub mod verdict;
pub mod workload;
pub mod world;

pub use addr::{Cidr, Family};
pub use cluster_policy::{Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, Tier};
pub use flow::{Endpoint, Flow, L4};
pub use gateway::{Gateway, Route};
pub use label::{Labels, Str};
pub use namespace::Namespace;
pub use node::Node;
pub use origin::{Origin, Source, SourceId};
pub use pod::{ContainerKind, ContainerPort, Pod};
pub use policy::{Direction, IpBlock, NetworkPolicy, Peer, PeerKind, Peers, PortEntry, Ports, Rule};
pub use port::{PortMatch, Protocol};
pub use portset::PortSet;
pub use selector::{Op, Requirement, Selector};
pub use service::{EndpointSlice, Ingress, Service};
pub use verdict::{DependsOn, FlowVerdict, Half, PolicyRef, Reason, RuleRef, Verdict};
pub use workload::{Workload, WorkloadKind};
pub use world::{ForeignPolicy, NamespaceId, NodeId, PodId, ServiceId, WorkloadId, World};
