//! Trees to typed objects: strict where policies are concerned, in the API server's own words where it would refuse.
//!
//! In: one document. Out: [`Parsed`] objects (namespaces still by name), and diagnostics. Which kinds are read, which are
//! recognised and not evaluated, and which are passed over is decided here ([`document`]).

pub(crate) mod cidr;
mod cluster;
pub(crate) mod cx;
mod gateway;
pub(crate) mod meta;
mod names;
mod netpol;
mod pods;
pub(crate) mod selector;
mod service;
mod workload;

use crate::diagnostic::Diagnostic;
use crate::tree::{Document, Entry, Node};
use cx::{Cx, Path, printable, shared, value};
use meta::Meta;
use std::collections::BTreeMap;
use watertight_model::cluster_policy::ClusterPolicyKind;
use watertight_model::gateway::RouteKind;
use watertight_model::world::Unread;
use watertight_model::{
    Cidr, ClusterPolicy, EndpointSlice, ForeignPolicy, Gateway, Ingress, Labels, NetworkPolicy, Node as ClusterNode,
    Origin, Route, Service, SourceId, Str,
};
pub(crate) use workload::{Controller, ReadPod};

/// An object and the namespace it lives in.
#[derive(Clone, Debug)]
pub(crate) struct In<T> {
    pub(crate) namespace: Str,
    pub(crate) object: T,
}

/// A Namespace object.
#[derive(Clone, Debug)]
pub(crate) struct ReadNamespace {
    pub(crate) name: Str,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) terminating: bool,
    pub(crate) origin: Origin,
}

/// Everything that documents held.
#[derive(Clone, Default)]
pub(crate) struct Parsed {
    pub(crate) namespaces: Vec<ReadNamespace>,
    pub(crate) nodes: Vec<ClusterNode>,
    pub(crate) pods: Vec<In<ReadPod>>,
    pub(crate) controllers: Vec<In<Controller>>,
    pub(crate) services: Vec<In<Service>>,
    pub(crate) slices: Vec<In<EndpointSlice>>,
    pub(crate) ingresses: Vec<In<Ingress>>,
    pub(crate) gateways: Vec<In<Gateway>>,
    pub(crate) routes: Vec<In<Route>>,
    pub(crate) policies: Vec<In<NetworkPolicy>>,
    pub(crate) cluster_policies: Vec<ClusterPolicy>,
    pub(crate) foreign: Vec<(Option<Str>, ForeignPolicy)>,
    pub(crate) unread: Vec<Unread>,
    /// Objects that were read, by kind.
    pub(crate) counts: BTreeMap<Str, usize>,
    /// Objects of other kinds, passed over.
    pub(crate) ignored: BTreeMap<Str, usize>,
    /// Every object that was read: kind, namespace ("" if it has none), name, place, and a mark of its content.
    pub(crate) identities: Vec<Identity>,
    /// Namespaced objects without a namespace of their own, by the place of the first, per source.
    pub(crate) without_namespace: Vec<Origin>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What must not come twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) kind: Str,
    pub(crate) namespace: Str,
    pub(crate) name: Str,
    pub(crate) origin: Origin,
    /// Equal for equal text.
    pub(crate) content: u64,
}

impl Parsed {
    /// Adds a copy of what another part of the input held.
    pub(crate) fn extend_from(&mut self, other: &Parsed) {
        let Parsed {
            namespaces,
            nodes,
            pods,
            controllers,
            services,
            slices,
            ingresses,
            gateways,
            routes,
            policies,
            cluster_policies,
            foreign,
            unread,
            counts,
            ignored,
            identities,
            without_namespace,
            diagnostics,
        } = other;
        self.namespaces.extend_from_slice(namespaces);
        self.nodes.extend_from_slice(nodes);
        self.pods.extend_from_slice(pods);
        self.controllers.extend_from_slice(controllers);
        self.services.extend_from_slice(services);
        self.slices.extend_from_slice(slices);
        self.ingresses.extend_from_slice(ingresses);
        self.gateways.extend_from_slice(gateways);
        self.routes.extend_from_slice(routes);
        self.policies.extend_from_slice(policies);
        self.cluster_policies.extend_from_slice(cluster_policies);
        self.foreign.extend_from_slice(foreign);
        self.unread.extend_from_slice(unread);
        for (ours, theirs) in [(&mut self.counts, counts), (&mut self.ignored, ignored)] {
            for (kind, n) in theirs {
                // The kind is there but for the first of it.
                match ours.get_mut(kind) {
                    Some(known) => *known += n,
                    None => drop(ours.insert(kind.clone(), *n)),
                }
            }
        }
        self.identities.extend_from_slice(identities);
        self.without_namespace.extend_from_slice(without_namespace);
        self.diagnostics.extend_from_slice(diagnostics);
    }

    /// Adds what another part of the input held.
    pub(crate) fn extend(&mut self, other: Parsed) {
        let Parsed {
            namespaces,
            nodes,
            pods,
            controllers,
            services,
            slices,
            ingresses,
            gateways,
            routes,
            policies,
            cluster_policies,
            foreign,
            unread,
            counts,
            ignored,
            identities,
            without_namespace,
            diagnostics,
        } = other;
        self.namespaces.extend(namespaces);
        self.nodes.extend(nodes);
        self.pods.extend(pods);
        self.controllers.extend(controllers);
        self.services.extend(services);
        self.slices.extend(slices);
        self.ingresses.extend(ingresses);
        self.gateways.extend(gateways);
        self.routes.extend(routes);
        self.policies.extend(policies);
        self.cluster_policies.extend(cluster_policies);
        self.foreign.extend(foreign);
        self.unread.extend(unread);
        for (kind, n) in counts {
            *self.counts.entry(kind).or_default() += n;
        }
        for (kind, n) in ignored {
            *self.ignored.entry(kind).or_default() += n;
        }
        self.identities.extend(identities);
        self.without_namespace.extend(without_namespace);
        self.diagnostics.extend(diagnostics);
    }
}

/// What the reader of a document needs to know besides it.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) source: SourceId,
    pub(crate) default_namespace: Str,
    pub(crate) strict_cidr: bool,
}

/// Reads one document: an object, or a list of objects.
pub(crate) fn document(document: &Document<'_>, text: &str, settings: &Settings) -> Parsed {
    let mut out = Parsed::default();
    node(&document.root, None, text, settings, &mut out, 0);
    out
}

/// Lists inside lists; the API has none, tools that concatenate make one or two.
const LIST_DEPTH: usize = 4;

/// `inherited`: apiVersion and kind of items in a typed list.
fn node(
    this: &Node<'_>,
    inherited: Option<(&str, &str)>,
    text: &str,
    settings: &Settings,
    out: &mut Parsed,
    depth: usize,
) {
    if this.is_null() {
        return;
    }
    let mut diagnostics = std::mem::take(&mut out.diagnostics);
    let mut cx = Cx {
        source: settings.source,
        object: String::new(),
        strict_cidr: settings.strict_cidr,
        ours: false,
        diagnostics: &mut diagnostics,
    };
    let root = Path::ROOT;
    if let Some(items) = this.as_seq() {
        // A bare list of objects, as some tools print.
        out.diagnostics = diagnostics;
        if depth < LIST_DEPTH {
            items.iter().for_each(|item| node(item, None, text, settings, out, depth + 1));
        }
        return;
    }
    let Some(entries) = this.as_map() else {
        let message = format!("not a Kubernetes object: found a bare {}", this.kind_name());
        let help = Some("an object has `apiVersion`, `kind` and `metadata`".to_owned());
        cx.error("not-an-object", &root, this.span, message, help);
        out.diagnostics = diagnostics;
        return;
    };
    let version_written = cx.text(&root.field("apiVersion"), value(entries, "apiVersion"));
    let kind_written = cx.text(&root.field("kind"), value(entries, "kind"));
    let version = version_written.or(inherited.map(|i| i.0));
    let kind = kind_written.or(inherited.map(|i| i.1));
    let (Some(version), Some(kind)) = (version, kind) else {
        let missing = if kind.is_none() { "kind" } else { "apiVersion" };
        cx.no_slips(&root, entries, &["apiVersion", "kind", "metadata"], &[]);
        let help = Some("every Kubernetes object has `apiVersion` and `kind`".to_owned());
        cx.error("not-an-object", &root, this.span, format!("not a Kubernetes object: `{missing}` is missing"), help);
        out.diagnostics = diagnostics;
        return;
    };
    let (version, kind) = (version.to_owned(), kind.to_owned());
    if let Some(of) = kind.strip_suffix("List").filter(|_| value(entries, "items").is_some()) {
        let items = cx.list(&root.field("items"), value(entries, "items")).unwrap_or_default();
        out.diagnostics = diagnostics;
        let inherited = (!of.is_empty()).then_some((version.as_str(), of));
        if depth < LIST_DEPTH {
            items.into_iter().for_each(|(_, item)| node(item, inherited, text, settings, out, depth + 1));
        }
        return;
    }
    object(&mut cx, &version, &kind, entries, this, text, settings, out);
    diagnostics.append(&mut out.diagnostics);
    out.diagnostics = diagnostics;
}

#[expect(clippy::too_many_arguments, reason = "one call, from the function above")]
fn object(
    cx: &mut Cx<'_>,
    version: &str,
    kind: &str,
    entries: &[Entry<'_>],
    whole: &Node<'_>,
    text: &str,
    settings: &Settings,
    out: &mut Parsed,
) {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let Some(read) = Kind::of(version, group, kind) else {
        if let Some(served) = Kind::served(group, kind) {
            // Read for its name only.
            let namespaced =
                !matches!(kind, "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" | "ClusterNetworkPolicy");
            meta::read(cx, kind, namespaced, entries, whole, &settings.default_namespace);
            let message = format!("{kind} of {} is not served any more", printable(version));
            cx.error(
                "WT0009",
                &Path::ROOT.field("apiVersion"),
                whole.span,
                message,
                Some(format!("use `apiVersion: {served}`")),
            );
            return;
        }
        *out.ignored.entry(shared(kind)).or_default() += 1;
        return;
    };
    if matches!(read, Kind::SnapshotInfo) {
        snapshot_info(cx, entries, out);
        return;
    }
    let namespaced = read.namespaced(group, kind);
    let Some(meta) = meta::read(cx, kind, namespaced, entries, whole, &settings.default_namespace) else { return };
    let origin = cx.origin(whole.span);
    if namespaced && !meta.namespace_written {
        out.without_namespace.push(origin);
    }
    let counted =
        if group.is_empty() || !matches!(read, Kind::Foreign) { kind.to_owned() } else { format!("{kind}.{group}") };
    *out.counts.entry(shared(&counted)).or_default() += 1;
    out.identities.push(Identity {
        kind: shared(&counted),
        namespace: if namespaced { meta.namespace.clone() } else { shared("") },
        name: meta.name.clone(),
        origin,
        content: mark(text.get(whole.span.range()).unwrap_or("")),
    });
    let namespace = meta.namespace.clone();
    match read {
        Kind::NetworkPolicy => {
            let object = netpol::read(cx, &meta, entries, origin);
            out.policies.push(In { namespace, object });
        }
        Kind::Cluster(kind) => out.cluster_policies.push(cluster::read(cx, kind, &meta, entries, whole)),
        Kind::Namespace => out.namespaces.push(workload::namespace(cx, &meta, entries, origin)),
        Kind::Node => out.nodes.push(workload::node(cx, &meta, entries, origin)),
        Kind::Pod => {
            let object = workload::pod(cx, &meta, entries, origin);
            out.pods.push(In { namespace, object });
        }
        Kind::Controller(kind) => {
            let object = workload::controller(cx, kind, &meta, entries, origin);
            out.controllers.push(In { namespace, object });
        }
        Kind::Service => {
            let object = service::service(cx, &meta, entries, origin);
            out.services.push(In { namespace, object });
        }
        Kind::EndpointSlice => {
            let object = service::endpoint_slice(cx, &meta, entries, origin);
            out.slices.push(In { namespace, object });
        }
        Kind::Ingress => {
            let object = service::ingress(cx, &meta, entries, origin);
            out.ingresses.push(In { namespace, object });
        }
        Kind::Gateway => {
            let object = gateway::gateway(cx, &meta, entries, origin);
            out.gateways.push(In { namespace, object });
        }
        Kind::Route(kind) => {
            let object = gateway::route(cx, kind, &meta, entries, origin);
            out.routes.push(In { namespace, object });
        }
        Kind::Foreign => {
            let policy = ForeignPolicy {
                kind: shared(kind),
                group: shared(group),
                namespace: None,
                name: meta.name.clone(),
                origin,
            };
            out.foreign.push((namespaced.then_some(namespace), policy));
        }
        Kind::SnapshotInfo => {}
    }
}

/// FNV-1a over the text: tells identical copies from different objects, no more.
fn mark(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NetworkPolicy,
    Cluster(ClusterPolicyKind),
    Namespace,
    Node,
    Pod,
    Controller(workload::ControllerKind),
    Service,
    EndpointSlice,
    Ingress,
    Gateway,
    Route(RouteKind),
    Foreign,
    SnapshotInfo,
}

impl Kind {
    fn of(version: &str, group: &str, kind: &str) -> Option<Self> {
        use workload::ControllerKind as C;
        Some(match (version, kind) {
            ("networking.k8s.io/v1", "NetworkPolicy") => Kind::NetworkPolicy,
            ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy") => {
                Kind::Cluster(ClusterPolicyKind::ClusterNetworkPolicy)
            }
            ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy") => {
                Kind::Cluster(ClusterPolicyKind::AdminNetworkPolicy)
            }
            ("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy") => {
                Kind::Cluster(ClusterPolicyKind::BaselineAdminNetworkPolicy)
            }
            ("v1", "Namespace") => Kind::Namespace,
            ("v1", "Node") => Kind::Node,
            ("v1", "Pod") => Kind::Pod,
            ("v1", "Service") => Kind::Service,
            ("discovery.k8s.io/v1", "EndpointSlice") => Kind::EndpointSlice,
            ("networking.k8s.io/v1", "Ingress") => Kind::Ingress,
            ("apps/v1", "Deployment") => Kind::Controller(C::Deployment),
            ("apps/v1", "StatefulSet") => Kind::Controller(C::StatefulSet),
            ("apps/v1", "DaemonSet") => Kind::Controller(C::DaemonSet),
            ("apps/v1", "ReplicaSet") => Kind::Controller(C::ReplicaSet),
            ("batch/v1", "Job") => Kind::Controller(C::Job),
            ("batch/v1", "CronJob") => Kind::Controller(C::CronJob),
            ("watertight.dev/v1", "SnapshotInfo") => Kind::SnapshotInfo,
            _ if group == gateway::GROUP && GATEWAY_VERSIONS.iter().any(|v| version.ends_with(v)) => {
                return Self::of_gateway(kind);
            }
            _ => return FOREIGN.contains(&(group, kind)).then_some(Kind::Foreign),
        })
    }

    /// Kinds of the Gateway API; the others (classes, grants, policies) say nothing of where traffic goes.
    fn of_gateway(kind: &str) -> Option<Self> {
        Some(match kind {
            "Gateway" => Kind::Gateway,
            "HTTPRoute" => Kind::Route(RouteKind::Http),
            "GRPCRoute" => Kind::Route(RouteKind::Grpc),
            "TLSRoute" => Kind::Route(RouteKind::Tls),
            "TCPRoute" => Kind::Route(RouteKind::Tcp),
            "UDPRoute" => Kind::Route(RouteKind::Udp),
            _ => return None,
        })
    }

    /// The version of a kind that servers have today, if it is only the version that is old.
    fn served(group: &str, kind: &str) -> Option<&'static str> {
        Some(match (group, kind) {
            ("extensions" | "networking.k8s.io", "NetworkPolicy") => "networking.k8s.io/v1",
            ("extensions" | "networking.k8s.io", "Ingress") => "networking.k8s.io/v1",
            ("extensions" | "apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => "apps/v1",
            ("batch", "CronJob" | "Job") => "batch/v1",
            ("discovery.k8s.io", "EndpointSlice") => "discovery.k8s.io/v1",
            ("policy.networking.k8s.io", "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy") => {
                "policy.networking.k8s.io/v1alpha1"
            }
            ("policy.networking.k8s.io", "ClusterNetworkPolicy") => "policy.networking.k8s.io/v1alpha2",
            _ => return None,
        })
    }

    fn namespaced(self, group: &str, kind: &str) -> bool {
        match self {
            Kind::Cluster(_) | Kind::Namespace | Kind::Node | Kind::SnapshotInfo => false,
            Kind::Foreign => {
                let wide = kind.starts_with("Global") || kind.starts_with("StagedGlobal") || kind.contains("Cluster");
                // An Istio policy in the root namespace concerns the whole mesh; where that is, is not read here.
                !wide && !group.is_empty()
            }
            Kind::NetworkPolicy
            | Kind::Pod
            | Kind::Controller(_)
            | Kind::Service
            | Kind::EndpointSlice
            | Kind::Ingress
            | Kind::Gateway
            | Kind::Route(_) => true,
        }
    }
}

/// Versions of the Gateway API whose fields that are read here are the same.
const GATEWAY_VERSIONS: [&str; 4] = ["/v1", "/v1beta1", "/v1alpha3", "/v1alpha2"];

/// Policies that are recognised and not evaluated: API group and kind.
const FOREIGN: [(&str, &str); 20] = [
    ("cilium.io", "CiliumNetworkPolicy"),
    ("cilium.io", "CiliumClusterwideNetworkPolicy"),
    ("crd.projectcalico.org", "NetworkPolicy"),
    ("crd.projectcalico.org", "GlobalNetworkPolicy"),
    ("crd.projectcalico.org", "StagedNetworkPolicy"),
    ("crd.projectcalico.org", "StagedGlobalNetworkPolicy"),
    ("crd.projectcalico.org", "StagedKubernetesNetworkPolicy"),
    ("projectcalico.org", "NetworkPolicy"),
    ("projectcalico.org", "GlobalNetworkPolicy"),
    ("projectcalico.org", "StagedNetworkPolicy"),
    ("projectcalico.org", "StagedGlobalNetworkPolicy"),
    ("projectcalico.org", "StagedKubernetesNetworkPolicy"),
    ("crd.antrea.io", "NetworkPolicy"),
    ("crd.antrea.io", "ClusterNetworkPolicy"),
    ("security.istio.io", "AuthorizationPolicy"),
    ("security.istio.io", "PeerAuthentication"),
    ("k8s.cni.cncf.io", "MultiNetworkPolicy"),
    ("policy.linkerd.io", "AuthorizationPolicy"),
    ("policy.linkerd.io", "Server"),
    ("k8s.ovn.org", "EgressFirewall"),
];

/// What a saved snapshot says of itself.
fn snapshot_info(cx: &mut Cx<'_>, entries: &[Entry<'_>], out: &mut Parsed) {
    let path = Path::ROOT.field("unread");
    for (i, item) in cx.list(&path, value(entries, "unread")).unwrap_or_default() {
        let at = path.index(i);
        let fields = cx.object(&at, Some(item)).unwrap_or_default();
        let mut text = |field: &str| cx.text(&at.field(field), value(fields, field)).map(shared);
        if let (Some(what), why) = (text("what"), text("why")) {
            out.unread.push(Unread { what, namespace: text("namespace"), why: why.unwrap_or_else(|| shared("")) });
        }
    }
}

/// The blocks in a list of texts, canonical or not; others are errors.
fn blocks(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Vec<Cidr> {
    let mut out = Vec::new();
    for (i, item) in cx.list(path, node).unwrap_or_default() {
        let at = path.index(i);
        if let Some(text) = cx.text(&at, Some(item)) {
            out.extend(cidr::block(cx, &at, text, item.span).map(|b| b.cidr));
        }
    }
    out
}

impl Meta {
    /// Labels of a namespace, with the one that the control plane sets.
    fn namespace_labels(&self) -> Labels {
        self.labels.with(watertight_model::label::NAMESPACE_NAME_LABEL, &self.name)
    }
}
