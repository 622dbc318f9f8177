//! Where pods look names up: the cluster's DNS pods, or, if none were read, an assumed one.

use crate::context::Ctx;
use crate::rules::write;
use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::explain::selector_for;
use watertight_engine::query::evaluated;
use watertight_engine::service::backends;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::pod::{Dns as PodDns, DnsPolicy};
use watertight_model::{
    Cidr, Direction, Endpoint, Flow, L4, Labels, Namespace, NamespaceId, NetworkPolicy, Origin, Peer, Pod, PodId,
    Protocol, Rule, Selector, ServiceId, Str, Verdict, Workload, WorkloadId, WorkloadKind, World,
};

/// The link-local address of NodeLocal DNSCache. Source: its documentation.
pub const NODE_LOCAL: std::net::Ipv4Addr = std::net::Ipv4Addr::new(169, 254, 20, 10);

/// DNS servers of a cluster.
pub struct Dns {
    /// Servers in the world: endpoint, port for UDP, port for TCP.
    servers: Vec<(Endpoint, u16, u16)>,
    /// The Services in front of them.
    services: Vec<ServiceId>,
    /// A world with an assumed DNS pod, if none was read; pods keep their ids, because its namespace and name sort last.
    assumed: Option<World>,
    /// NodeLocal DNSCache runs.
    pub node_local: bool,
}

impl Dns {
    pub(crate) fn of(engine: &Engine<'_>) -> Self {
        let world = engine.world();
        let mut servers: BTreeMap<Endpoint, (u16, u16)> = BTreeMap::new();
        let mut own = Vec::new();
        let systems = ["kube-system", "openshift-dns"];
        for (i, service) in world.services.iter().enumerate() {
            let namespace = &*world.namespaces[service.namespace.index()].name;
            if systems.contains(&namespace) && matches!(&*service.name, "kube-dns" | "coredns" | "dns-default") {
                own.push(ServiceId::at(i));
                for backend in backends(engine, ServiceId::at(i)).into_iter().filter(|b| b.service_port == 53) {
                    let ports = servers.entry(backend.endpoint).or_insert((53, 53));
                    match backend.protocol {
                        Protocol::Udp => ports.0 = backend.port,
                        Protocol::Tcp => ports.1 = backend.port,
                        Protocol::Sctp => {}
                    }
                }
            }
        }
        if servers.is_empty() {
            for (i, pod) in world.pods.iter().enumerate() {
                let system = &*world.namespaces[pod.namespace.index()].name == "kube-system";
                let labelled = pod.labels.get("k8s-app").is_some_and(|v| **v == *"kube-dns");
                if system && labelled && !pod.finished {
                    servers.insert(Endpoint::Pod(PodId::at(i)), (53, 53));
                }
            }
        }
        let node_local = world.workloads.iter().any(|w| {
            w.kind == WorkloadKind::DaemonSet
                && (&*w.name == "node-local-dns" || w.images.iter().any(|i| i.contains("k8s-dns-node-cache")))
        });
        let mut servers: Vec<_> = servers.into_iter().map(|(e, (udp, tcp))| (e, udp, tcp)).collect();
        let assumed = servers.is_empty().then(|| assume(world));
        if let Some(world) = &assumed {
            servers.push((Endpoint::Pod(PodId::at(world.pods.len() - 1)), 53, 53));
        }
        Self { servers, services: own, assumed, node_local }
    }

    /// No DNS pod was read: `k8s-app: kube-dns` in kube-system is assumed.
    pub fn is_assumed(&self) -> bool {
        self.assumed.is_some()
    }

    /// A Service of the cluster's DNS.
    pub(crate) fn is_service(&self, id: ServiceId) -> bool {
        self.services.contains(&id)
    }

    /// The rules that let a pod ask the servers, over both protocols: one for each namespace and port they have.
    pub(crate) fn rules(&self, ctx: &Ctx<'_, '_>) -> Vec<Rule> {
        let mut by_port: BTreeMap<(u16, u16), Vec<Peer>> = BTreeMap::new();
        for (server, udp, tcp) in &self.servers {
            let peer = match server {
                Endpoint::Pod(pod) if !self.is_assumed() => {
                    let Some(selector) = selector_for(ctx.world, *pod) else { continue };
                    let namespace = ctx.world.pods[pod.index()].namespace;
                    let name = &ctx.world.namespaces[namespace.index()].name;
                    write::pods(Some(write::namespace_named(name)), selector)
                }
                Endpoint::Pod(_) => {
                    let labels = Selector::of(&[("k8s-app", "kube-dns")]);
                    write::pods(Some(write::namespace_named("kube-system")), labels)
                }
                Endpoint::External(ip) => write::block(Cidr::host(*ip)),
                Endpoint::Node(node) => match ctx.world.nodes[node.index()].addresses.first() {
                    Some(ip) => write::block(Cidr::host(*ip)),
                    None => continue,
                },
            };
            let peers = by_port.entry((*udp, *tcp)).or_default();
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        let ports = |udp, tcp| vec![write::port(Protocol::Udp, udp), write::port(Protocol::Tcp, tcp)];
        by_port.into_iter().map(|((udp, tcp), peers)| write::rule(peers, ports(udp, tcp))).collect()
    }

    /// The policy that lets every pod of a namespace look up names.
    pub(crate) fn policy(&self, ctx: &Ctx<'_, '_>, namespace: NamespaceId) -> NetworkPolicy {
        write::policy(namespace, "allow-dns", Selector::everything(), Direction::Egress, self.rules(ctx))
    }

    /// The servers, with their ports for UDP and TCP.
    pub(crate) fn servers(&self) -> &[(Endpoint, u16, u16)] {
        &self.servers
    }

    /// Whether a pod may reach an address of the DNS Service, though perhaps none of the servers behind it (WT0041).
    pub(crate) fn allows_address(&self, ctx: &Ctx<'_, '_>, pod: PodId) -> bool {
        let addresses = self.services.iter().flat_map(|s| &ctx.world.services[s.index()].cluster_ips);
        addresses.into_iter().any(|ip| {
            let to = Endpoint::External(*ip);
            let flow = Flow { from: Endpoint::Pod(pod), to, l4: L4::Port(Protocol::Udp, 53), via_service: false };
            evaluated(&ctx.engine.decide(&flow)) == Verdict::Allow
        })
    }

    /// The engine to ask with.
    pub(crate) fn engine<'a>(&'a self) -> Option<Engine<'a>> {
        self.assumed.as_ref().map(Engine::new)
    }

    /// Whether a pod reaches at least one of the servers that it uses; `None`: it does not use the cluster's DNS, or what it
    /// uses is not known.
    pub(crate) fn reached(
        &self,
        ctx: &Ctx<'_, '_>,
        assumed: Option<&Engine<'_>>,
        pod: PodId,
        protocol: Protocol,
    ) -> Option<Verdict> {
        let this = &ctx.world.pods[pod.index()];
        let ask = |to: Endpoint, port: u16| {
            let flow = Flow { from: Endpoint::Pod(pod), to, l4: L4::Port(protocol, port), via_service: false };
            evaluated(&assumed.map_or_else(|| ctx.engine.decide(&flow), |e| e.decide(&flow)))
        };
        let verdicts: Vec<Verdict> = match this.dns.policy {
            DnsPolicy::None if this.dns.nameservers.is_empty() => return None,
            DnsPolicy::None => this.dns.nameservers.iter().map(|ip| ask(ctx.engine.endpoint_of(*ip), 53)).collect(),
            DnsPolicy::Default => return None,
            DnsPolicy::ClusterFirst | DnsPolicy::ClusterFirstWithHostNet => self
                .servers
                .iter()
                .map(|(to, udp, tcp)| ask(*to, if protocol == Protocol::Udp { *udp } else { *tcp }))
                .collect(),
        };
        let best = |wanted| verdicts.contains(&wanted);
        Some(if best(Verdict::Allow) {
            Verdict::Allow
        } else if best(Verdict::Depends) {
            Verdict::Depends
        } else {
            Verdict::Deny
        })
    }
}

/// The world with an assumed DNS pod at the end of its list, in its own entry for namespace kube-system.
fn assume(world: &World) -> World {
    let mut out = world.clone();
    let namespace = NamespaceId::at(out.namespaces.len());
    out.namespaces.push(Namespace {
        // Sorts last, and is kube-system to every selector.
        name: Str::from("~kube-system"),
        labels: Labels::of(&[(NAMESPACE_NAME_LABEL, "kube-system")]),
        annotations: Labels::default(),
        declared: true,
        terminating: false,
        origin: None,
    });
    let labels = Labels::of(&[("k8s-app", "kube-dns")]);
    let workload = WorkloadId::at(out.workloads.len());
    out.workloads.push(Workload {
        kind: WorkloadKind::Deployment,
        namespace,
        name: Str::from("coredns"),
        template_labels: labels.clone(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
    });
    let port = |name: &str, protocol| watertight_model::ContainerPort {
        name: Some(Str::from(name)),
        port: 53,
        protocol,
        host_port: None,
        container: watertight_model::ContainerKind::Regular,
    };
    out.pods.push(Pod {
        name: Str::from("coredns"),
        namespace,
        workload,
        labels,
        uid: None,
        node: None,
        host_network: false,
        ips: Vec::new(),
        ports: vec![port("dns", Protocol::Udp), port("dns-tcp", Protocol::Tcp)],
        finished: false,
        terminating: false,
        template: true,
        dns: PodDns::default(),
        node_privilege: None,
        origin: Origin::default(),
    });
    out
}
