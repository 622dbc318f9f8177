//! Services, their endpoints, and Ingress objects: how traffic finds pods. Policy is about the pods behind them.

use crate::addr::Cidr;
use crate::label::{Labels, Str};
use crate::origin::Origin;
use crate::port::Protocol;
use crate::world::NamespaceId;
use std::net::IpAddr;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// `spec.type`.
    pub kind: ServiceKind,
    /// `clusterIP: None`.
    pub headless: bool,
    /// `spec.clusterIPs`; empty in manifests that were never applied.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.selector`: equality on every pair. `None`: endpoints are written by hand. `Some` of no pairs is read as none.
    pub selector: Option<Labels>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges`; empty: everyone.
    pub source_ranges: Vec<Cidr>,
    /// `externalTrafficPolicy: Local`: the client's address is kept.
    pub local_traffic: bool,
    /// `spec.externalName`.
    pub external_name: Option<Str>,
    /// The object.
    pub origin: Origin,
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// Inside the cluster only.
    #[default]
    ClusterIp,
    /// Also a port on every node.
    NodePort,
    /// Also a load balancer's address.
    LoadBalancer,
    /// A DNS alias; no endpoints.
    ExternalName,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name.
    pub name: Option<Str>,
    /// Protocol.
    pub protocol: Protocol,
    /// The Service's own port.
    pub port: u16,
    /// The pods' port.
    pub target: TargetPort,
    /// Port on the nodes.
    pub node_port: Option<u16>,
    /// Where it is written.
    pub origin: Origin,
}

/// `targetPort`, defaulted to `port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// A number.
    Number(u16),
    /// A container port's name (first match in spec order, same protocol).
    Named(Str),
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: Option<Str>,
    /// Addresses and the pods behind them.
    pub endpoints: Vec<SliceEndpoint>,
    /// Ports: name, protocol, number (`None`: every port).
    pub ports: Vec<(Option<Str>, Protocol, Option<u16>)>,
    /// Written by a controller rather than by hand (label `endpointslice.kubernetes.io/managed-by` names one of Kubernetes' own).
    pub managed: bool,
    /// The object.
    pub origin: Origin,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// `targetRef` to a pod: its name, in the slice's namespace unless another is named.
    pub pod: Option<(Str, Str)>,
    /// `conditions.ready` (absent means ready).
    pub ready: bool,
}

/// An Ingress (`networking.k8s.io/v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// `spec.ingressClassName`.
    pub class: Option<Str>,
    /// Every Service backend it names.
    pub backends: Vec<IngressBackend>,
    /// The object.
    pub origin: Origin,
}

/// A Service port that an Ingress sends traffic to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressBackend {
    /// The Service, in the Ingress's namespace.
    pub service: Str,
    /// Its port, by number or by name.
    pub port: TargetPort,
    /// Where it is written.
    pub origin: Origin,
}
