//! What a lab will consist of, computed before anything is made: nodes, pods, Services, their addresses and who listens where.
//!
//! In: a [`World`] as it was read. Out: a [`Plan`], the same for the same world and options. What the manifests say of
//! addresses is kept where it fits the lab's network; the rest is given out in order. [`Plan::realise`] puts the result back
//! into a world, so that the engine is asked about the addresses that packets will carry.

use crate::addresses::{Pool, Pools, Taken};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use watertight_engine::Engine;
use watertight_engine::service::backends;
use watertight_model::service::ServiceKind;
use watertight_model::{
    Cidr, ClusterPeer, ClusterPort, ClusterPorts, Direction, Endpoint, Labels, Node, NodeId, Origin, PeerKind, Peers,
    Pod, PodId, PortMatch, Ports, Protocol, ServiceId, Str, World,
};

/// Pods of one lab: each is a network namespace and two interfaces, and a laptop makes a thousand in some seconds.
pub const MAX_PODS: usize = 2_000;
/// Nodes of one lab: each has a /24 of the pods' /16, and more show nothing that two do not.
pub const MAX_NODES: usize = 32;
/// Pods of one node: the host addresses of a /24, less the gateway's.
pub const MAX_PODS_PER_NODE: usize = 250;
/// Ports on which a pod listens: the declared ones, and the ends of those that rules name.
pub const MAX_PORTS: usize = 64;
/// Addresses outside the cluster: one in each block and each exception that policies name.
pub const MAX_OUTSIDE: usize = 64;

/// How pods hang on their node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// On a bridge, as Flannel and the `bridge` plugin do.
    #[default]
    Bridge,
    /// On a route each, as Calico and the `ptp` plugin do.
    Routed,
}

/// What the user chooses.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How pods hang on their node.
    pub topology: Topology,
    /// Nodes to make if the world has none.
    pub nodes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { topology: Topology::Bridge, nodes: 2 }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing would run.
    #[error("the input has no pod and no workload to run")]
    NoPods,
    /// More than [`MAX_PODS`] or [`MAX_NODES`], or [`MAX_PODS_PER_NODE`] on one node.
    #[error("{what}: {count}, and a lab takes at most {most}")]
    TooMany {
        /// What there is too much of.
        what: String,
        /// How much.
        count: usize,
        /// The bound.
        most: usize,
    },
    /// A name that does not fit into a file name, which the name of a network namespace is.
    #[error("`{name}` is too long a name for a network namespace")]
    LongName {
        /// The name.
        name: String,
    },
}

/// A whole lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How pods hang on their node.
    pub topology: Topology,
    /// By name.
    pub nodes: Vec<NodePlan>,
    /// By namespace, then name.
    pub pods: Vec<PodPlan>,
    /// By namespace, then name.
    pub services: Vec<ServicePlan>,
    /// Addresses outside the cluster that answer, IPv4 first.
    pub outside: Vec<IpAddr>,
    /// Where those listen.
    pub outside_listens: Vec<(Proto, u16)>,
    /// What manifests asked for and the lab does not give, in words.
    pub left_out: Vec<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// Its network namespace.
    pub netns: String,
    /// Its own addresses.
    pub addresses: (Ipv4Addr, Ipv6Addr),
    /// Where its pods' addresses come from.
    pub pod_cidrs: (Cidr4, Cidr6),
    /// Ports of its hostNetwork pods.
    pub listens: Vec<(Proto, u16)>,
}

/// An IPv4 block: address and prefix length.
pub type Cidr4 = (Ipv4Addr, u8);
/// An IPv6 block: address and prefix length.
pub type Cidr6 = (Ipv6Addr, u8);

/// A pod that does not share its node's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodPlan {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Index into [`Plan::nodes`].
    pub node: usize,
    /// Shares its node's network namespace: everything below is the node's.
    pub host_network: bool,
    /// Its network namespace.
    pub netns: String,
    /// Its interface on the node; empty for hostNetwork.
    pub veth: String,
    /// Its addresses.
    pub addresses: (Ipv4Addr, Ipv6Addr),
    /// Where it listens.
    pub listens: Vec<(Proto, u16)>,
    /// Answers DNS on port 53: it stands behind the cluster's DNS Service.
    pub dns: bool,
}

/// A Service with an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its addresses; none for a headless one.
    pub addresses: Option<(Ipv4Addr, Ipv6Addr)>,
    /// By protocol, then port.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service: protocol, number, and the backends, each an index into [`Plan::pods`] and the port there.
pub type ServicePort = (Proto, u16, Vec<(usize, u16)>);

/// [`Protocol`], as the state file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl From<Protocol> for Proto {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Proto::Tcp,
            Protocol::Udp => Proto::Udp,
            Protocol::Sctp => Proto::Sctp,
        }
    }
}

impl From<Proto> for Protocol {
    fn from(protocol: Proto) -> Self {
        match protocol {
            Proto::Tcp => Protocol::Tcp,
            Proto::Udp => Protocol::Udp,
            Proto::Sctp => Protocol::Sctp,
        }
    }
}

/// The network namespace of a pod. A colon is in no name that the API accepts, so no two pods share one.
fn pod_netns(namespace: &str, name: &str) -> Result<String, PlanError> {
    /// `NAME_MAX` of Linux.
    const NAME_MAX: usize = 255;
    let netns = format!("{}pod:{namespace}:{name}", crate::PREFIX);
    if netns.len() > NAME_MAX { Err(PlanError::LongName { name: format!("{namespace}/{name}") }) } else { Ok(netns) }
}

impl Plan {
    /// Plans a lab for a world. Pods that have ended are left out; a template stands for one pod.
    ///
    /// # Errors
    /// [`PlanError`]: nothing to run, or more than a lab takes.
    pub fn of(world: &World, options: &Options) -> Result<Self, PlanError> {
        let mut left_out = Vec::new();
        let nodes = nodes(world, options, &mut left_out)?;
        let mut plan = Self {
            topology: options.topology,
            nodes,
            pods: Vec::new(),
            services: Vec::new(),
            outside: Vec::new(),
            outside_listens: outside_listens(world),
            left_out,
        };
        plan.add_pods(world)?;
        plan.add_services(world);
        plan.outside = outside(world, &plan);
        plan.add_backends(world);
        Ok(plan)
    }

    /// The world with the lab's nodes and addresses in the place of what was read. Policies are not touched.
    pub fn realise(&self, world: &mut World) {
        if world.nodes.is_empty() {
            world.nodes = self.nodes.iter().map(|n| bare_node(&n.name)).collect();
        }
        for (node, plan) in world.nodes.iter_mut().zip(&self.nodes) {
            debug_assert_eq!(*node.name, *plan.name);
            node.addresses = both(plan.addresses);
            let ((v4, len4), (v6, len6)) = plan.pod_cidrs;
            node.pod_cidrs = [Cidr::new(v4.into(), len4), Cidr::new(v6.into(), len6)].into_iter().flatten().collect();
        }
        let blocks: BTreeSet<Cidr> = world.nodes.iter().flat_map(|n| n.pod_cidrs.iter().copied()).collect();
        world.pod_cidrs = blocks.into_iter().collect();
        let planned: BTreeMap<(&str, &str), &PodPlan> =
            self.pods.iter().map(|p| ((&*p.namespace, &*p.name), p)).collect();
        let names: Vec<Str> = world.namespaces.iter().map(|n| n.name.clone()).collect();
        world.pods.retain_mut(|pod| {
            let Some(plan) = planned.get(&(&*names[pod.namespace.index()], &*pod.name)) else { return false };
            pod.node = Some(NodeId::at(plan.node));
            pod.ips = both(plan.addresses);
            pod.template = false;
            true
        });
        for service in &mut world.services {
            let name = (&*names[service.namespace.index()], &*service.name);
            let plan = self.services.iter().find(|s| (&*s.namespace, &*s.name) == name);
            service.cluster_ips = plan.and_then(|p| p.addresses).map(both).unwrap_or_default();
        }
    }

    /// The pod of this name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&PodPlan> {
        let key = |p: &PodPlan| (p.namespace.clone(), p.name.clone());
        self.pods.binary_search_by_key(&(namespace.to_owned(), name.to_owned()), key).ok().map(|i| &self.pods[i])
    }

    fn add_pods(&mut self, world: &World) -> Result<(), PlanError> {
        let pods: Vec<(PodId, &Pod)> =
            world.pods.iter().enumerate().filter(|(_, p)| !p.finished).map(|(i, p)| (PodId::at(i), p)).collect();
        let too_many = |what: &str, count, most| PlanError::TooMany { what: what.to_owned(), count, most };
        match pods.len() {
            0 => return Err(PlanError::NoPods),
            count if count > MAX_PODS => return Err(too_many("pods", count, MAX_PODS)),
            _ => {}
        }
        let named = named_ports(world);
        let dns = dns_pods(world);
        let mut pools: Vec<Pools> = self.nodes.iter().map(|n| Pools::of_node(n.pod_cidrs)).collect();
        let mut on_node = vec![0usize; self.nodes.len()];
        // Addresses that manifests give come first, so that nobody else gets them.
        let mut taken = Taken::default();
        let placed: Vec<usize> = pods
            .iter()
            .enumerate()
            .map(|(i, (_, pod))| pod.node.map_or(i % self.nodes.len(), |n| n.index() % self.nodes.len()))
            .collect();
        let given: Vec<(Option<Ipv4Addr>, Option<Ipv6Addr>)> = pods
            .iter()
            .zip(&placed)
            .map(
                |((_, pod), node)| {
                    if pod.host_network { (None, None) } else { pools[*node].given(&pod.ips, &mut taken) }
                },
            )
            .collect();
        for (((id, pod), node), given) in pods.into_iter().zip(placed).zip(given) {
            let namespace = world.namespaces[pod.namespace.index()].name.to_string();
            let listens = listens(pod, &named, &mut self.left_out, &namespace);
            let home = &mut self.nodes[node];
            if pod.host_network {
                let (mine, double): (Vec<_>, Vec<_>) = listens.into_iter().partition(|l| !home.listens.contains(l));
                for (protocol, port) in double {
                    let protocol = Protocol::from(protocol).name();
                    let name = format!("{namespace}/{}", pod.name);
                    self.left_out.push(format!("{name} {port}/{protocol}: another pod has it on node {}", home.name));
                }
                home.listens.extend(&mine);
                self.pods.push(PodPlan {
                    namespace,
                    name: pod.name.to_string(),
                    node,
                    host_network: true,
                    netns: home.netns.clone(),
                    veth: String::new(),
                    addresses: home.addresses,
                    listens: mine,
                    dns: dns.contains(&id),
                });
                continue;
            }
            on_node[node] += 1;
            if on_node[node] > MAX_PODS_PER_NODE {
                return Err(too_many(&format!("pods on node {}", home.name), on_node[node], MAX_PODS_PER_NODE));
            }
            let addresses = pools[node].complete(given, &mut taken);
            self.pods.push(PodPlan {
                netns: pod_netns(&namespace, &pod.name)?,
                namespace,
                name: pod.name.to_string(),
                node,
                host_network: false,
                veth: format!("{}{}", crate::LINK_PREFIX, self.pods.len()),
                addresses,
                listens,
                dns: dns.contains(&id),
            });
        }
        Ok(())
    }

    fn add_services(&mut self, world: &World) {
        let mut taken = Taken::default();
        let mut pools = Pools::of_services();
        let wants = |s: &watertight_model::Service| !s.headless && s.kind != ServiceKind::ExternalName;
        let given: Vec<_> = world
            .services
            .iter()
            .map(|s| if wants(s) { pools.given(&s.cluster_ips, &mut taken) } else { (None, None) })
            .collect();
        for (service, given) in world.services.iter().zip(given) {
            self.services.push(ServicePlan {
                namespace: world.namespaces[service.namespace.index()].name.to_string(),
                name: service.name.to_string(),
                addresses: wants(service).then(|| pools.complete(given, &mut taken)),
                ports: Vec::new(),
            });
        }
    }

    /// Backends are the engine's answer, on the world as it will be.
    fn add_backends(&mut self, world: &World) {
        let mut realised = world.clone();
        self.realise(&mut realised);
        let engine = Engine::new(&realised);
        let index: BTreeMap<(String, String), usize> =
            self.pods.iter().enumerate().map(|(i, p)| ((p.namespace.clone(), p.name.clone()), i)).collect();
        for (i, plan) in self.services.iter_mut().enumerate() {
            let mut ports: BTreeMap<(Proto, u16), Vec<(usize, u16)>> = BTreeMap::new();
            for port in &realised.services[i].ports {
                ports.entry((port.protocol.into(), port.port)).or_default();
            }
            for backend in backends(&engine, ServiceId::at(i)) {
                let Endpoint::Pod(pod) = backend.endpoint else { continue };
                let pod = &realised.pods[pod.index()];
                let key = (realised.namespaces[pod.namespace.index()].name.to_string(), pod.name.to_string());
                if let Some(at) = index.get(&key) {
                    ports.entry((backend.protocol.into(), backend.service_port)).or_default().push((*at, backend.port));
                }
            }
            plan.ports = ports.into_iter().map(|((protocol, port), to)| (protocol, port, to)).collect();
        }
    }
}

fn both((v4, v6): (Ipv4Addr, Ipv6Addr)) -> Vec<IpAddr> {
    vec![v4.into(), v6.into()]
}

fn bare_node(name: &str) -> Node {
    Node {
        name: Str::from(name),
        labels: Labels::of(&[("kubernetes.io/hostname", name)]),
        annotations: Labels::default(),
        addresses: Vec::new(),
        pod_cidrs: Vec::new(),
        origin: Origin::default(),
    }
}

fn nodes(world: &World, options: &Options, left_out: &mut Vec<String>) -> Result<Vec<NodePlan>, PlanError> {
    let made: Vec<Node> = (1..=options.nodes.max(1)).map(|i| bare_node(&format!("node-{i:02}"))).collect();
    let nodes = if world.nodes.is_empty() { &made } else { &world.nodes };
    if nodes.len() > MAX_NODES {
        return Err(PlanError::TooMany { what: "nodes".to_owned(), count: nodes.len(), most: MAX_NODES });
    }
    let (mut own, mut taken) = (Pools::of_nodes(), Taken::default());
    // A node's own address may be any: it is reached by a route of its own.
    let given: Vec<_> = nodes.iter().map(|n| own.any(&n.addresses, &mut taken)).collect();
    let mut blocks = BTreeSet::new();
    let mut out = Vec::new();
    for (i, (node, given)) in nodes.iter().zip(given).enumerate() {
        let (default4, default6) = Pool::pod_blocks(i);
        let fits4 = node.pod_cidrs.iter().find_map(|c| match c.addr() {
            IpAddr::V4(ip) if (16..=24).contains(&c.prefix_len()) => Some((ip, c.prefix_len())),
            _ => None,
        });
        let fits6 = node.pod_cidrs.iter().find_map(|c| match c.addr() {
            IpAddr::V6(ip) if (48..=112).contains(&c.prefix_len()) => Some((ip, c.prefix_len())),
            _ => None,
        });
        let block4 = fits4.filter(|b| blocks.insert(IpAddr::from(b.0))).unwrap_or(default4);
        let block6 = fits6.filter(|b| blocks.insert(IpAddr::from(b.0))).unwrap_or(default6);
        if fits4.is_some_and(|b| b != block4) || fits6.is_some_and(|b| b != block6) {
            left_out.push(format!("node {}: its pod block is another node's too; it has one of the lab's", node.name));
        }
        out.push(NodePlan {
            name: node.name.to_string(),
            netns: format!("{}node:{}", crate::PREFIX, node.name),
            addresses: own.complete(given, &mut taken),
            pod_cidrs: (block4, block6),
            listens: Vec::new(),
        });
    }
    Ok(out)
}

/// Pods behind a Service that looks like the cluster's DNS: port 53 over UDP, in the system's namespace.
fn dns_pods(world: &World) -> BTreeSet<PodId> {
    let engine = Engine::new(world);
    let mut out = BTreeSet::new();
    for (i, service) in world.services.iter().enumerate() {
        let is_dns = service.ports.iter().any(|p| p.port == 53 && p.protocol == Protocol::Udp);
        if is_dns {
            out.extend(backends(&engine, ServiceId::at(i)).iter().filter_map(|b| match b.endpoint {
                Endpoint::Pod(id) => Some(id),
                Endpoint::Node(_) | Endpoint::External(_) => None,
            }));
        }
    }
    out
}

/// Ports that rules name by number, the ends of ranges: pods answer there too, so that a rule on a port that nobody declares
/// can be seen to work.
fn named_ports(world: &World) -> BTreeSet<(Proto, u16)> {
    let mut out = BTreeSet::new();
    let mut add = |protocol: Protocol, port: PortMatch| {
        if let PortMatch::Range(first, last) = port {
            out.extend([first, last].into_iter().filter(|p| *p > 0).map(|p| (Proto::from(protocol), p)));
        }
    };
    for direction in [Direction::Ingress, Direction::Egress] {
        for rule in world.policies.iter().flat_map(|p| p.rules(direction)) {
            if let Ports::Of(entries) = &rule.ports {
                entries.iter().for_each(|e| add(e.protocol, e.port.clone()));
            }
        }
        for rule in world.cluster_policies.iter().flat_map(|p| p.rules(direction)) {
            let ClusterPorts::Of(entries) = &rule.ports else { continue };
            for entry in entries {
                if let ClusterPort::Number(protocol, port) = entry {
                    add(*protocol, port.clone());
                }
            }
        }
    }
    out
}

fn listens(
    pod: &Pod,
    named: &BTreeSet<(Proto, u16)>,
    left_out: &mut Vec<String>,
    namespace: &str,
) -> Vec<(Proto, u16)> {
    let declared: BTreeSet<(Proto, u16)> = pod.ports.iter().map(|p| (p.protocol.into(), p.port)).collect();
    let mut out: Vec<(Proto, u16)> = declared.iter().copied().collect();
    // On the node the ports of rules would meet the host's own programs.
    if !pod.host_network {
        out.extend(named.difference(&declared));
    }
    if out.len() > MAX_PORTS {
        left_out.push(format!("{namespace}/{}: listens on {MAX_PORTS} of {} ports", pod.name, out.len()));
        out.truncate(MAX_PORTS);
    }
    out
}

/// What the outside answers on: the web, DNS, and what rules name.
fn outside_listens(world: &World) -> Vec<(Proto, u16)> {
    let usual = [(Proto::Tcp, 80), (Proto::Tcp, 443), (Proto::Udp, 53), (Proto::Tcp, 53)];
    let all: BTreeSet<(Proto, u16)> = named_ports(world).into_iter().chain(usual).collect();
    all.into_iter().take(MAX_PORTS).collect()
}

/// One address in each block and each exception that policies name, and one that none does.
fn outside(world: &World, plan: &Plan) -> Vec<IpAddr> {
    let mut blocks: BTreeSet<Cidr> = BTreeSet::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        for rule in world.policies.iter().flat_map(|p| p.rules(direction)) {
            let Peers::Of(peers) = &rule.peers else { continue };
            for peer in peers {
                if let PeerKind::Block(block) = &peer.kind {
                    blocks.insert(block.cidr.cidr);
                    blocks.extend(block.except.iter().map(|e| e.cidr));
                }
            }
        }
        for rule in world.cluster_policies.iter().flat_map(|p| p.rules(direction)) {
            for peer in &rule.peers {
                if let ClusterPeer::Networks { blocks: named, .. } = peer {
                    blocks.extend(named.iter().map(|b| b.cidr));
                }
            }
        }
    }
    let ours: Vec<Cidr> = plan
        .nodes
        .iter()
        .flat_map(|n| {
            [Cidr::new(n.pod_cidrs.0.0.into(), n.pod_cidrs.0.1), Cidr::new(n.pod_cidrs.1.0.into(), n.pod_cidrs.1.1)]
        })
        .flatten()
        .chain(plan.nodes.iter().flat_map(|n| both(n.addresses)).map(Cidr::host))
        .chain(Pools::service_blocks())
        .collect();
    let mut out: BTreeSet<IpAddr> = crate::addresses::OUTSIDE.into_iter().collect();
    for block in blocks {
        let (first, last) = block.range();
        // The second address: the first of a block is its network's. A host has only one.
        let ip = watertight_model::addr::address(block.family(), if last > first { first + 1 } else { first });
        let usable = !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && first != 0;
        if usable && !ours.iter().any(|c| c.contains(ip)) && out.len() < MAX_OUTSIDE {
            out.insert(ip);
        }
    }
    out.into_iter().collect()
}
