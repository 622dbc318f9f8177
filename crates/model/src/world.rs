//! A cluster as one value: everything a verdict can rest on.

use crate::addr::Cidr;
use crate::cluster_policy::ClusterPolicy;
use crate::gateway::{Gateway, Route};
use crate::label::Str;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::origin::{Origin, Source};
use crate::pod::Pod;
use crate::policy::NetworkPolicy;
use crate::service::{EndpointSlice, Ingress, Service};
use crate::verdict::PolicyRef;
use crate::workload::Workload;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The place in the list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
            /// The id of the `i`-th entry. Lists hold fewer than 2^32 entries (readers bound their input).
            #[expect(clippy::cast_possible_truncation, reason = "readers bound their input far below 2^32 objects")]
            pub fn at(i: usize) -> Self {
                debug_assert!(u32::try_from(i).is_ok());
                Self(i as u32)
            }
        }
    )*};
}

ids! {
    /// Index into [`World::namespaces`].
    NamespaceId;
    /// Index into [`World::nodes`].
    NodeId;
    /// Index into [`World::pods`].
    PodId;
    /// Index into [`World::workloads`].
    WorkloadId;
    /// Index into [`World::services`].
    ServiceId;
}

/// Everything that was read. Lists are sorted as stated, so that the same input gives the same world whatever the order
/// of files and objects.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Inputs, in the order read.
    pub sources: Vec<Source>,
    /// By name; holds every namespace that any object lives in.
    pub namespaces: Vec<Namespace>,
    /// By name.
    pub nodes: Vec<Node>,
    /// By namespace, then name, then kind.
    pub workloads: Vec<Workload>,
    /// By namespace, then name.
    pub pods: Vec<Pod>,
    /// By namespace, then name.
    pub services: Vec<Service>,
    /// By namespace, then name.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// By namespace, then name.
    pub ingresses: Vec<Ingress>,
    /// By namespace, then name.
    pub gateways: Vec<Gateway>,
    /// By namespace, then kind, then name.
    pub routes: Vec<Route>,
    /// By namespace, then name.
    pub policies: Vec<NetworkPolicy>,
    /// By tier, then priority, then kind, then name.
    pub cluster_policies: Vec<ClusterPolicy>,
    /// Policies that were recognised and are not evaluated. By kind, then namespace, then name.
    pub foreign_policies: Vec<ForeignPolicy>,
    /// Where pod addresses come from, if the user or the nodes say so; empty: not known.
    pub pod_cidrs: Vec<Cidr>,
    /// What was asked for and could not be read (a kind, a namespace); empty: the input is whole.
    pub unread: Vec<Unread>,
}

/// A policy of a kind that is recognised and not evaluated (Cilium, Calico, Antrea, Istio).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPolicy {
    /// API kind, such as `CiliumNetworkPolicy`.
    pub kind: Str,
    /// API group, such as `cilium.io`.
    pub group: Str,
    /// Its namespace; `None`: it is cluster-wide and may concern every pod.
    pub namespace: Option<NamespaceId>,
    /// Its name.
    pub name: Str,
    /// The object.
    pub origin: Origin,
}

/// Something that could not be read, so that answers are incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What: a kind (`networkpolicies.networking.k8s.io`), possibly in one namespace.
    pub what: Str,
    /// The namespace, if only one is concerned.
    pub namespace: Option<Str>,
    /// Why, in words.
    pub why: Str,
}

impl World {
    /// The namespace of this name.
    pub fn namespace(&self, name: &str) -> Option<NamespaceId> {
        self.namespaces.binary_search_by(|n| (*n.name).cmp(name)).ok().map(NamespaceId::at)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.binary_search_by(|n| (*n.name).cmp(name)).ok().map(NodeId::at)
    }

    /// The pod of this name.
    pub fn pod(&self, namespace: NamespaceId, name: &str) -> Option<PodId> {
        self.pods.binary_search_by(|p| (p.namespace, &*p.name).cmp(&(namespace, name))).ok().map(PodId::at)
    }

    /// The Service of this name.
    pub fn service(&self, namespace: NamespaceId, name: &str) -> Option<ServiceId> {
        self.services.binary_search_by(|s| (s.namespace, &*s.name).cmp(&(namespace, name))).ok().map(ServiceId::at)
    }

    /// All workloads of this name (kinds may share one), in order.
    pub fn workloads_named(&self, namespace: NamespaceId, name: &str) -> Vec<WorkloadId> {
        let start = self.workloads.partition_point(|w| (w.namespace, &*w.name) < (namespace, name));
        let same = self.workloads[start..].iter().take_while(|w| w.namespace == namespace && *w.name == *name);
        (start..start + same.count()).map(WorkloadId::at).collect()
    }

    /// `namespace/name` of a pod.
    pub fn pod_name(&self, id: PodId) -> String {
        let pod = &self.pods[id.index()];
        format!("{}/{}", self.namespaces[pod.namespace.index()].name, pod.name)
    }

    /// `namespace/name` of a workload.
    pub fn workload_name(&self, id: WorkloadId) -> String {
        let workload = &self.workloads[id.index()];
        format!("{}/{}", self.namespaces[workload.namespace.index()].name, workload.name)
    }

    /// `namespace/name` of a NetworkPolicy, or the name of a cluster policy.
    pub fn policy_name(&self, policy: PolicyRef) -> String {
        match policy {
            PolicyRef::Namespaced(i) => {
                let policy = &self.policies[i as usize];
                format!("{}/{}", self.namespaces[policy.namespace.index()].name, policy.name)
            }
            PolicyRef::Cluster(i) => self.cluster_policies[i as usize].name.to_string(),
        }
    }
}
