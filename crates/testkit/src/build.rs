//! Worlds in a few lines, for tests.
//!
//! In: names, labels and rules as chained calls; out: a sorted, valid [`World`]. [`WorldBuilder`] holds the objects by name
//! and gives them their ids at the end, so that the order of calls does not matter. Settings such as
//! [`WorldBuilder::ip`] apply to the pod added last. A name that is not known, or comes twice, is a mistake in the test:
//! [`WorldBuilder::build`] panics and says which.

use crate::rules::{ClusterDraft, PolicyDraft};
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::pod::Dns;
use watertight_model::{
    Cidr, ContainerKind, ContainerPort, ForeignPolicy, Labels, Namespace, NamespaceId, Node, NodeId, Origin, Pod,
    Protocol, Str, Workload, WorkloadId, WorkloadKind, World,
};

/// A world under construction. See the module.
#[derive(Clone, Debug, Default)]
pub struct WorldBuilder {
    namespaces: Vec<(String, Labels, bool)>,
    nodes: Vec<(String, Labels, Vec<IpAddr>)>,
    pods: Vec<PodDraft>,
    policies: Vec<PolicyDraft>,
    cluster_policies: Vec<ClusterDraft>,
    foreign: Vec<(String, Option<String>, String)>,
    pod_cidrs: Vec<Cidr>,
}

#[derive(Clone, Debug)]
struct PodDraft {
    namespace: String,
    name: String,
    labels: Labels,
    node: Option<String>,
    ips: Vec<IpAddr>,
    ports: Vec<ContainerPort>,
    owner: Option<(WorkloadKind, String)>,
    host_network: bool,
    finished: bool,
    terminating: bool,
    template: bool,
}

/// `namespace/name`, in its parts.
#[expect(clippy::panic, reason = "a mistake in the test that builds the world")]
pub(crate) fn split(name: &str) -> (String, String) {
    match name.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => panic!("`{name}` is not `namespace/name`"),
    }
}

/// An address from text; panics if it is none.
#[expect(clippy::panic, reason = "a mistake in the test that builds the world")]
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not an address"))
}

/// A canonical block from text; panics if it is none.
#[expect(clippy::panic, reason = "a mistake in the test that builds the world")]
pub(crate) fn cidr(text: &str) -> Cidr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not a canonical CIDR block"))
}

impl WorldBuilder {
    /// The empty world.
    pub fn new() -> Self {
        Self::default()
    }

    /// A namespace whose object was read, with these labels and `kubernetes.io/metadata.name`.
    #[must_use]
    pub fn namespace(mut self, name: &str, labels: &[(&str, &str)]) -> Self {
        self.namespaces.push((name.to_owned(), Labels::of(labels).with(NAMESPACE_NAME_LABEL, name), true));
        self
    }

    /// A namespace whose object was not read. (So is every namespace that an object merely lives in.)
    #[must_use]
    pub fn undeclared(mut self, name: &str) -> Self {
        self.namespaces.push((name.to_owned(), Labels::of(&[(NAMESPACE_NAME_LABEL, name)]), false));
        self
    }

    /// A node with these labels and addresses.
    #[must_use]
    pub fn node(mut self, name: &str, labels: &[(&str, &str)], addresses: &[&str]) -> Self {
        self.nodes.push((name.to_owned(), Labels::of(labels), addresses.iter().map(|a| ip(a)).collect()));
        self
    }

    /// A pod, `namespace/name`, with these labels: running, no known address, on no known node, without an owner.
    #[must_use]
    pub fn pod(mut self, name: &str, labels: &[(&str, &str)]) -> Self {
        let (namespace, name) = split(name);
        self.pods.push(PodDraft {
            namespace,
            name,
            labels: Labels::of(labels),
            node: None,
            ips: Vec::new(),
            ports: Vec::new(),
            owner: None,
            host_network: false,
            finished: false,
            terminating: false,
            template: false,
        });
        self
    }

    #[expect(clippy::panic, reason = "a mistake in the test that builds the world")]
    fn last(mut self, edit: impl FnOnce(&mut PodDraft)) -> Self {
        match self.pods.last_mut() {
            Some(pod) => edit(pod),
            None => panic!("there is no pod yet"),
        }
        self
    }

    /// One more address of the last pod.
    #[must_use]
    pub fn ip(self, address: &str) -> Self {
        let address = ip(address);
        self.last(|pod| pod.ips.push(address))
    }

    /// The node of the last pod.
    #[must_use]
    pub fn on(self, node: &str) -> Self {
        self.last(|pod| pod.node = Some(node.to_owned()))
    }

    /// One more TCP port of the last pod, declared by a regular container.
    #[must_use]
    pub fn port(self, name: &str, port: u16) -> Self {
        self.container_port(ContainerKind::Regular, name, Protocol::Tcp, port)
    }

    /// One more port of the last pod; no name if `name` is empty.
    #[must_use]
    pub fn container_port(self, container: ContainerKind, name: &str, protocol: Protocol, port: u16) -> Self {
        let name = (!name.is_empty()).then(|| Str::from(name));
        self.last(|pod| pod.ports.push(ContainerPort { name, port, protocol, host_port: None, container }))
    }

    /// The owner of the last pod. Pods of one owner share a workload; its template labels are those of the first.
    #[must_use]
    pub fn owned_by(self, kind: WorkloadKind, name: &str) -> Self {
        self.last(|pod| pod.owner = Some((kind, name.to_owned())))
    }

    /// The last pod shares its node's network namespace.
    #[must_use]
    pub fn host_network(self) -> Self {
        self.last(|pod| pod.host_network = true)
    }

    /// The last pod has succeeded or failed.
    #[must_use]
    pub fn finished(self) -> Self {
        self.last(|pod| pod.finished = true)
    }

    /// The last pod is being deleted.
    #[must_use]
    pub fn terminating(self) -> Self {
        self.last(|pod| pod.terminating = true)
    }

    /// The last pod stands for pods to come.
    #[must_use]
    pub fn template(self) -> Self {
        self.last(|pod| pod.template = true)
    }

    /// A NetworkPolicy; see [`crate::rules::policy`].
    #[must_use]
    pub fn policy(mut self, policy: PolicyDraft) -> Self {
        self.policies.push(policy);
        self
    }

    /// A cluster policy; see [`crate::rules::admin`] and [`crate::rules::baseline`].
    #[must_use]
    pub fn cluster_policy(mut self, policy: ClusterDraft) -> Self {
        self.cluster_policies.push(policy);
        self
    }

    /// A policy that is recognised and not evaluated; `namespace` `None`: cluster-wide.
    #[must_use]
    pub fn foreign(mut self, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        self.foreign.push((kind.to_owned(), namespace.map(str::to_owned), name.to_owned()));
        self
    }

    /// One more block in which pods live.
    #[must_use]
    pub fn pod_cidr(mut self, block: &str) -> Self {
        self.pod_cidrs.push(cidr(block));
        self
    }

    /// The world: sorted, with ids and workloads. Panics if a name comes twice or a pod's node does not exist.
    pub fn build(&self) -> World {
        let mut world = World { pod_cidrs: self.pod_cidrs.clone(), ..World::default() };
        world.namespaces = self.all_namespaces();
        let ns = |world: &World, name: &str| id(world.namespace(name), "namespace", name);
        world.nodes = self.nodes.iter().map(|(name, labels, ips)| node(name, labels, ips)).collect();
        world.nodes.sort_by(|a, b| a.name.cmp(&b.name));

        for pod in &self.pods {
            let (kind, name) = pod.owner.clone().unwrap_or((WorkloadKind::Pod, pod.name.clone()));
            let namespace = ns(&world, &pod.namespace);
            let known = world.workloads.iter().any(|w| (w.kind, w.namespace, &*w.name) == (kind, namespace, &*name));
            if !known {
                world.workloads.push(workload(kind, namespace, &name, &pod.labels));
            }
        }
        world.workloads.sort_by(|a, b| (a.namespace, &a.name, a.kind).cmp(&(b.namespace, &b.name, b.kind)));
        for pod in &self.pods {
            let (kind, owner) = pod.owner.clone().unwrap_or((WorkloadKind::Pod, pod.name.clone()));
            let namespace = ns(&world, &pod.namespace);
            let found =
                world.workloads.iter().position(|w| (w.kind, w.namespace, &*w.name) == (kind, namespace, &*owner));
            let workload = id(found.map(WorkloadId::at), "workload", &owner);
            let node = pod.node.as_ref().map(|name| id(world.node(name), "node", name));
            world.pods.push(finish_pod(pod, namespace, workload, node));
        }
        world.pods.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));

        for draft in &self.policies {
            world.policies.push(draft.finish(ns(&world, &draft.namespace)));
        }
        world.policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
        world.cluster_policies = self.cluster_policies.iter().map(ClusterDraft::finish).collect();
        world
            .cluster_policies
            .sort_by(|a, b| (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name)));
        for (kind, namespace, name) in &self.foreign {
            world.foreign_policies.push(ForeignPolicy {
                kind: Str::from(&**kind),
                group: Str::from("cilium.io"),
                namespace: namespace.as_ref().map(|n| ns(&world, n)),
                name: Str::from(&**name),
                origin: Origin::default(),
            });
        }
        world.foreign_policies.sort_by(|a, b| (&a.kind, a.namespace, &a.name).cmp(&(&b.kind, b.namespace, &b.name)));
        assert_valid(&world);
        world
    }

    /// Declared namespaces, and an undeclared one for each name that is only used.
    fn all_namespaces(&self) -> Vec<Namespace> {
        let mut all: Vec<Namespace> = self.namespaces.iter().map(|(n, l, d)| namespace(n, l.clone(), *d)).collect();
        let used = self.pods.iter().map(|p| &p.namespace).chain(self.policies.iter().map(|p| &p.namespace));
        let used: BTreeSet<&String> = used.chain(self.foreign.iter().filter_map(|(_, n, _)| n.as_ref())).collect();
        for name in used {
            if !all.iter().any(|n| *n.name == **name) {
                all.push(namespace(name, Labels::of(&[(NAMESPACE_NAME_LABEL, name)]), false));
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

#[expect(clippy::panic, reason = "a mistake in the test that builds the world")]
fn id<T>(found: Option<T>, what: &str, name: &str) -> T {
    found.unwrap_or_else(|| panic!("there is no {what} `{name}` in this world"))
}

/// A namespace without anything unusual.
pub(crate) fn namespace(name: &str, labels: Labels, declared: bool) -> Namespace {
    Namespace {
        name: Str::from(name),
        labels,
        annotations: Labels::default(),
        declared,
        terminating: false,
        origin: declared.then(Origin::default),
    }
}

/// A node without anything unusual.
pub(crate) fn node(name: &str, labels: &Labels, addresses: &[IpAddr]) -> Node {
    Node {
        name: Str::from(name),
        labels: labels.clone(),
        annotations: Labels::default(),
        addresses: addresses.to_vec(),
        pod_cidrs: Vec::new(),
        origin: Origin::default(),
    }
}

/// A workload without anything unusual.
pub(crate) fn workload(kind: WorkloadKind, namespace: NamespaceId, name: &str, labels: &Labels) -> Workload {
    Workload {
        kind,
        namespace,
        name: Str::from(name),
        template_labels: labels.clone(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
    }
}

fn finish_pod(draft: &PodDraft, namespace: NamespaceId, workload: WorkloadId, node: Option<NodeId>) -> Pod {
    let mut ports = draft.ports.clone();
    ports.sort_by_key(|p| p.container != ContainerKind::Regular); // containers before init containers, else as written
    Pod {
        name: Str::from(&*draft.name),
        namespace,
        workload,
        labels: draft.labels.clone(),
        uid: None,
        node,
        host_network: draft.host_network,
        ips: draft.ips.clone(),
        ports,
        finished: draft.finished,
        terminating: draft.terminating,
        template: draft.template,
        dns: Dns::default(),
        node_privilege: None,
        origin: Origin::default(),
    }
}

/// Panics unless the world's lists are sorted as [`World`] says, names are unique and ids point at something.
pub fn assert_valid(world: &World) {
    fn sorted<K: Ord + std::fmt::Debug>(what: &str, keys: Vec<K>) {
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1], "{what}: {:?} and {:?} are not in order, or the same", pair[0], pair[1]);
        }
    }
    sorted("namespaces", world.namespaces.iter().map(|n| &n.name).collect());
    sorted("nodes", world.nodes.iter().map(|n| &n.name).collect());
    sorted("workloads", world.workloads.iter().map(|w| (w.namespace, &w.name, w.kind)).collect());
    sorted("pods", world.pods.iter().map(|p| (p.namespace, &p.name)).collect());
    sorted("policies", world.policies.iter().map(|p| (p.namespace, &p.name)).collect());
    sorted("cluster policies", world.cluster_policies.iter().map(|p| (p.tier, p.priority, p.kind, &p.name)).collect());
    sorted("foreign policies", world.foreign_policies.iter().map(|p| (&p.kind, p.namespace, &p.name)).collect());
    let namespace = |id: NamespaceId| assert!(id.index() < world.namespaces.len(), "namespace {id:?} is not there");
    world.workloads.iter().for_each(|w| namespace(w.namespace));
    world.policies.iter().for_each(|p| namespace(p.namespace));
    world.foreign_policies.iter().filter_map(|p| p.namespace).for_each(namespace);
    for pod in &world.pods {
        namespace(pod.namespace);
        assert!(pod.workload.index() < world.workloads.len(), "workload of `{}` is not there", pod.name);
        assert_eq!(world.workloads[pod.workload.index()].namespace, pod.namespace, "workload of `{}`", pod.name);
        assert!(pod.node.is_none_or(|n| n.index() < world.nodes.len()), "node of `{}` is not there", pod.name);
    }
    for namespace in &world.namespaces {
        assert_eq!(namespace.labels.get(NAMESPACE_NAME_LABEL), Some(&namespace.name), "label of its name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{admin, baseline, deny, policy, rule};
    use watertight_model::{Direction, Tier};

    #[test]
    fn worlds_are_sorted_and_wired_whatever_the_order_of_calls() {
        let world = WorldBuilder::new()
            .pod("shop/web-1", &[("app", "web")])
            .owned_by(WorkloadKind::Deployment, "web")
            .on("node-2")
            .pod("bank/teller", &[])
            .container_port(ContainerKind::Init, "setup", Protocol::Tcp, 1)
            .port("http", 80)
            .pod("shop/web-0", &[("app", "web")])
            .owned_by(WorkloadKind::Deployment, "web")
            .node("node-2", &[], &["192.168.1.2"])
            .node("node-1", &[], &["192.168.1.1"])
            .namespace("shop", &[("team", "a")])
            .cluster_policy(baseline("b", 0))
            .cluster_policy(admin("a", 9).ingress(deny().all_pods()))
            .policy(policy("shop/z").egress(rule()))
            .policy(policy("shop/a").types(&[Direction::Egress]))
            .build();
        assert_eq!(
            world.namespaces.iter().map(|n| (&*n.name, n.declared)).collect::<Vec<_>>(),
            [("bank", false), ("shop", true)]
        );
        let names: Vec<String> =
            (0..world.pods.len()).map(|i| world.pod_name(watertight_model::PodId::at(i))).collect();
        assert_eq!(names, ["bank/teller", "shop/web-0", "shop/web-1"]);
        assert_eq!(
            world.workloads.iter().map(|w| (w.kind, &*w.name)).collect::<Vec<_>>(),
            [(WorkloadKind::Pod, "teller"), (WorkloadKind::Deployment, "web")]
        );
        assert_eq!(world.pods[1].workload, world.pods[2].workload);
        assert_eq!((world.pods[1].node, world.pods[2].node), (None, Some(NodeId(1))));
        assert_eq!(world.pods[0].ports[0].container, ContainerKind::Regular, "init containers come last");
        assert_eq!(world.cluster_policies.iter().map(|p| p.tier).collect::<Vec<_>>(), [Tier::Admin, Tier::Baseline]);
        let isolates: Vec<_> =
            world.policies.iter().map(|p| (&*p.name, p.isolates_ingress, p.isolates_egress)).collect();
        assert_eq!(isolates, [("a", false, true), ("z", true, true)], "row 18");
    }

    #[test]
    #[should_panic(expected = "there is no node `node-9` in this world")]
    fn an_unknown_node_is_named() {
        let _ = WorldBuilder::new().pod("shop/web", &[]).on("node-9").build();
    }

    #[test]
    #[should_panic(expected = "pods: ")]
    fn a_name_that_comes_twice_is_refused() {
        let _ = WorldBuilder::new().pod("shop/web", &[]).pod("shop/web", &[]).build();
    }
}
