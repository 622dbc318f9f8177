//! Which kinds are read from a cluster, and from which API versions.
//!
//! A table, in the order in which kinds are read. Reads nothing itself. To read a new kind: add a row, and say in
//! [`crate::slim`] which of its fields are kept.

/// What is kept of an object of a kind; see [`crate::slim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Namespace,
    Node,
    Pod,
    /// A controller with a pod template; CronJob included.
    Workload,
    Service,
    EndpointSlice,
    Ingress,
    Gateway,
    /// A route of the Gateway API.
    Route,
    /// `spec` (or `specs`) as it is.
    Policy,
}

/// One kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// API group; empty for the core group.
    pub(crate) group: &'static str,
    /// Versions that are understood, best first.
    pub(crate) versions: &'static [&'static str],
    pub(crate) kind: &'static str,
    /// Plural, as in paths.
    pub(crate) resource: &'static str,
    pub(crate) namespaced: bool,
    /// Every cluster serves it: that it is absent is a gap, not an answer.
    pub(crate) required: bool,
    /// Recognised and not evaluated: any version will do.
    pub(crate) foreign: bool,
    /// Read only where this group is not served (it holds the same objects).
    pub(crate) instead_of: Option<&'static str>,
    pub(crate) shape: Shape,
}

impl Kind {
    /// `pods`, `networkpolicies.networking.k8s.io`.
    pub(crate) fn full_name(&self) -> String {
        if self.group.is_empty() { self.resource.to_owned() } else { format!("{}.{}", self.resource, self.group) }
    }

    /// `v1`, `networking.k8s.io/v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// True if rights in a namespace may cover it there: its objects, or the namespace itself.
    pub(crate) fn has_namespaces(&self) -> bool {
        self.namespaced || self.kind == "Namespace"
    }

    /// The path of the list; of one namespace, if one is given.
    pub(crate) fn path(&self, version: &str, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        match namespace {
            Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{}", self.resource),
            None => format!("{root}/{version}/{}", self.resource),
        }
    }
}

const fn builtin(group: &'static str, kind: &'static str, resource: &'static str, shape: Shape) -> Kind {
    let namespaced = !matches!(shape, Shape::Namespace | Shape::Node);
    Kind {
        group,
        versions: &["v1"],
        kind,
        resource,
        namespaced,
        required: true,
        foreign: false,
        instead_of: None,
        shape,
    }
}

const fn cluster_policy(versions: &'static [&'static str], kind: &'static str, resource: &'static str) -> Kind {
    Kind {
        group: "policy.networking.k8s.io",
        versions,
        kind,
        resource,
        namespaced: false,
        required: false,
        foreign: false,
        instead_of: None,
        shape: Shape::Policy,
    }
}

/// Gateway API: an add-on, and each of its kinds may be left out, or be there in one version only; discovery tells the versions of
/// the group, not of a kind. What is read of them is the same in all.
const fn gateway(kind: &'static str, resource: &'static str, shape: Shape) -> Kind {
    Kind {
        group: "gateway.networking.k8s.io",
        versions: &["v1", "v1beta1", "v1alpha3", "v1alpha2"],
        kind,
        resource,
        namespaced: true,
        required: false,
        foreign: false,
        instead_of: None,
        shape,
    }
}

const fn foreign(
    group: &'static str,
    versions: &'static [&'static str],
    kind: &'static str,
    resource: &'static str,
    namespaced: bool,
) -> Kind {
    Kind {
        group,
        versions,
        kind,
        resource,
        namespaced,
        required: false,
        foreign: true,
        instead_of: None,
        shape: Shape::Policy,
    }
}

const CALICO_CRD: &str = "crd.projectcalico.org";

/// Every kind that is read. Secrets and ConfigMaps are not among them and never will be.
pub(crate) const KINDS: &[Kind] = &[
    builtin("", "Namespace", "namespaces", Shape::Namespace),
    builtin("", "Node", "nodes", Shape::Node),
    builtin("apps", "Deployment", "deployments", Shape::Workload),
    builtin("apps", "StatefulSet", "statefulsets", Shape::Workload),
    builtin("apps", "DaemonSet", "daemonsets", Shape::Workload),
    builtin("apps", "ReplicaSet", "replicasets", Shape::Workload),
    builtin("batch", "CronJob", "cronjobs", Shape::Workload),
    builtin("batch", "Job", "jobs", Shape::Workload),
    builtin("", "Pod", "pods", Shape::Pod),
    builtin("", "Service", "services", Shape::Service),
    builtin("discovery.k8s.io", "EndpointSlice", "endpointslices", Shape::EndpointSlice),
    builtin("networking.k8s.io", "Ingress", "ingresses", Shape::Ingress),
    builtin("networking.k8s.io", "NetworkPolicy", "networkpolicies", Shape::Policy),
    gateway("Gateway", "gateways", Shape::Gateway),
    gateway("HTTPRoute", "httproutes", Shape::Route),
    gateway("GRPCRoute", "grpcroutes", Shape::Route),
    gateway("TLSRoute", "tlsroutes", Shape::Route),
    gateway("TCPRoute", "tcproutes", Shape::Route),
    gateway("UDPRoute", "udproutes", Shape::Route),
    cluster_policy(&["v1alpha2"], "ClusterNetworkPolicy", "clusternetworkpolicies"),
    cluster_policy(&["v1alpha1"], "AdminNetworkPolicy", "adminnetworkpolicies"),
    cluster_policy(&["v1alpha1"], "BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies"),
    foreign("cilium.io", &["v2"], "CiliumNetworkPolicy", "ciliumnetworkpolicies", true),
    foreign("cilium.io", &["v2"], "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", false),
    foreign(CALICO_CRD, &["v1"], "NetworkPolicy", "networkpolicies", true),
    foreign(CALICO_CRD, &["v1"], "GlobalNetworkPolicy", "globalnetworkpolicies", false),
    Kind {
        instead_of: Some(CALICO_CRD),
        ..foreign("projectcalico.org", &["v3"], "NetworkPolicy", "networkpolicies", true)
    },
    Kind {
        instead_of: Some(CALICO_CRD),
        ..foreign("projectcalico.org", &["v3"], "GlobalNetworkPolicy", "globalnetworkpolicies", false)
    },
    foreign("crd.antrea.io", &["v1beta1", "v1alpha1"], "NetworkPolicy", "networkpolicies", true),
    foreign("crd.antrea.io", &["v1beta1", "v1alpha1"], "ClusterNetworkPolicy", "clusternetworkpolicies", false),
    foreign("security.istio.io", &["v1", "v1beta1"], "AuthorizationPolicy", "authorizationpolicies", true),
    foreign("security.istio.io", &["v1", "v1beta1"], "PeerAuthentication", "peerauthentications", true),
];

/// The rules of a ClusterRole that lets `watertight` list these kinds, as YAML.
pub(crate) fn cluster_role(kinds: &[&Kind]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for kind in kinds {
        match groups.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, resources)) => resources.push(kind.resource),
            None => groups.push((kind.group, vec![kind.resource])),
        }
    }
    let mut text = String::from(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: watertight-read\nrules:\n",
    );
    for (group, resources) in groups {
        let line = format!("- apiGroups: [\"{group}\"]\n  resources: [{}]\n  verbs: [list]\n", resources.join(", "));
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The role that is handed out is the one that this program needs, no more and no less. To write it anew: WATERTIGHT_UPDATE=1.
    #[test]
    fn the_role_in_deploy_is_of_these_kinds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/read-only.yaml");
        let written = std::fs::read_to_string(path).unwrap();
        let comments: String = written.lines().take_while(|l| l.starts_with('#')).map(|l| format!("{l}\n")).collect();
        let all: Vec<&Kind> = KINDS.iter().collect();
        // Reading once takes `list`; to fall back on single namespaces, `get`; to stay current, `watch`.
        let role = cluster_role(&all).replace("verbs: [list]", "verbs: [get, list, watch]");
        let wanted = format!("{comments}{role}");
        if std::env::var_os("WATERTIGHT_UPDATE").is_some() {
            std::fs::write(path, &wanted).unwrap();
        } else {
            assert_eq!(written, wanted, "WATERTIGHT_UPDATE=1 cargo test -p watertight-cluster");
        }
    }

    /// The agent of a node reads the same kinds.
    #[test]
    fn the_agents_in_deploy_may_read_these_kinds_and_nothing_else() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        let role = read("read-only.yaml");
        let rules = &role[role.find("\nrules:\n").unwrap()..];
        let agent = read("agent.yaml");
        assert!(agent.contains(&format!("{rules}---\n")), "copy the rules of read-only.yaml to agent.yaml");
        assert_eq!(agent.matches("\nrules:\n").count(), 1, "and it has no others");
    }
}
