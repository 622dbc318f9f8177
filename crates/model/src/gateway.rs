//! Gateway API (`gateway.networking.k8s.io`): Gateways and the routes that send their traffic to Services. As with Ingress,
//! policy is about the pods: of the gateway, and behind the Services.

use crate::label::Str;
use crate::origin::Origin;
use crate::selector::Selector;
use crate::world::NamespaceId;

/// A Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// `spec.gatewayClassName`.
    pub class: Str,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// The object.
    pub origin: Origin,
}

/// A listener of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, which a route may ask for (`sectionName`).
    pub name: Str,
    /// The port.
    pub port: u16,
    /// From which namespaces routes may attach (`allowedRoutes.namespaces`).
    pub routes_from: RoutesFrom,
}

/// `allowedRoutes.namespaces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutesFrom {
    /// The Gateway's own namespace (the default).
    Same,
    /// All namespaces.
    All,
    /// Namespaces with these labels.
    Selector(Selector),
    /// None (`None`).
    Nowhere,
}

/// Kinds of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteKind {
    /// HTTPRoute.
    Http,
    /// GRPCRoute.
    Grpc,
    /// TLSRoute.
    Tls,
    /// TCPRoute.
    Tcp,
    /// UDPRoute.
    Udp,
}

impl RouteKind {
    /// The kind in the API.
    pub fn name(self) -> &'static str {
        match self {
            RouteKind::Http => "HTTPRoute",
            RouteKind::Grpc => "GRPCRoute",
            RouteKind::Tls => "TLSRoute",
            RouteKind::Tcp => "TCPRoute",
            RouteKind::Udp => "UDPRoute",
        }
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// Its kind.
    pub kind: RouteKind,
    /// The Gateways that it wants to attach to. Parents of other kinds (a Service, for a mesh) are left out: they bring nothing
    /// in from outside.
    pub parents: Vec<ParentRef>,
    /// Every Service that it names, in any rule; weight 0 is left out.
    pub backends: Vec<RouteBackend>,
    /// The object.
    pub origin: Origin,
}

/// A Gateway that a route names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentRef {
    /// Its namespace; `None`: the route's.
    pub namespace: Option<Str>,
    /// Its name.
    pub name: Str,
    /// One listener, by name.
    pub section: Option<Str>,
    /// One listener, by port.
    pub port: Option<u16>,
}

/// A Service port that a route sends traffic to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBackend {
    /// The Service's namespace; `None`: the route's. In another one a ReferenceGrant must allow it.
    pub namespace: Option<Str>,
    /// The Service.
    pub service: Str,
    /// Its port.
    pub port: u16,
    /// Where it is written.
    pub origin: Origin,
}
