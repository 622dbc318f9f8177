//! Edges to rules: one policy per workload, peers with the same ports in one rule, each rule with its evidence.

use crate::accept::{Excluded, Why};
use crate::external::blocks;
use crate::options::LearnOptions;
use crate::select::Selectors;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watertight_engine::Engine;
use watertight_engine::block::default_pod_space;
use watertight_engine::explain::words;
use watertight_engine::service::selected;
use watertight_flows::{Edge, End};
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::{BlockCidr, Written};
use watertight_model::service::{ServiceKind, TargetPort};
use watertight_model::{
    Cidr, Direction, Family, IpBlock, Labels, NamespaceId, NetworkPolicy, Origin, Peer, PeerKind, Peers, PortEntry,
    PortMatch, Ports, Protocol, Rule, Selector, Str, WorkloadId, World, manifest,
};

/// A policy that was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedPolicy {
    /// Whose pods it selects.
    pub workload: WorkloadId,
    /// The policy.
    pub policy: NetworkPolicy,
    /// As text.
    pub yaml: String,
    /// Evidence for each rule, egress rules after ingress rules.
    pub rules: Vec<RuleEvidence>,
}

/// What a rule rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleEvidence {
    /// Which list of rules.
    pub direction: Direction,
    /// Index in it.
    pub rule: usize,
    /// Ids of the edges, sorted; empty for the DNS rule of a workload that was not seen asking.
    pub edges: Vec<Str>,
    /// Connections seen.
    pub count: u64,
    /// First and last time, in seconds since the Unix epoch; 0 without edges.
    pub first: i64,
    /// See `first`.
    pub last: i64,
    /// What the rule is for, in words.
    pub words: String,
}

type PortKey = (Protocol, u16);

/// One side of a workload's traffic: who, on which ports, with which evidence.
#[derive(Default)]
struct Traffic<'e> {
    peers: BTreeMap<PeerOf, BTreeMap<PortKey, Vec<&'e Edge>>>,
    outside: BTreeMap<PortKey, BTreeMap<IpAddr, Vec<&'e Edge>>>,
}

/// A peer that a rule can name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PeerOf {
    Workload(WorkloadId),
    /// Everyone outside the cluster.
    Everyone,
    Block(Cidr),
    /// DNS servers that are not in the input.
    AssumedDns,
}

/// Builds the policies. Edges whose addresses do not fit the budget move from `accepted` to `excluded`.
pub(crate) fn policies(
    engine: &Engine<'_>,
    selectors: &Selectors,
    accepted: &mut Vec<Edge>,
    excluded: &mut Vec<Excluded>,
    options: &LearnOptions,
) -> Vec<LearnedPolicy> {
    let world = engine.world();
    let exposed = exposed(engine);
    let refused = over_budget(world, selectors, accepted, &exposed, options);
    accepted.retain(|e| !refused.contains(e));
    excluded.extend(refused.into_iter().map(|edge| Excluded::Edge { edge, why: Why::TooManyAddresses }));
    let mut traffic: BTreeMap<(WorkloadId, bool), Traffic<'_>> = BTreeMap::new();
    for edge in accepted.iter() {
        for (own, other, egress) in [(&edge.to, &edge.from, false), (&edge.from, &edge.to, true)] {
            let Some(own) = own.workload().filter(|w| selectors.governs(world, *w)) else { continue };
            let side = traffic.entry((own, egress)).or_default();
            let port = (edge.protocol, edge.port);
            if let Some(addresses) = node_like(world, selectors, other) {
                for ip in addresses {
                    side.outside.entry(port).or_default().entry(ip).or_default().push(edge);
                }
                continue;
            }
            match other {
                End::Workload(peer) => {
                    side.peers.entry(PeerOf::Workload(*peer)).or_default().entry(port).or_default().push(edge);
                }
                End::External { .. } if !egress && exposed.contains(&(own, edge.protocol, edge.port)) => {
                    side.peers.entry(PeerOf::Everyone).or_default().entry(port).or_default().push(edge);
                }
                End::External { ip, .. } => {
                    side.outside.entry(port).or_default().entry(*ip).or_default().push(edge);
                }
                End::Node(_) => {}
            }
        }
    }
    let dns = DnsServers::of(engine);
    let governed: BTreeSet<WorkloadId> = traffic.keys().map(|(w, _)| *w).collect();
    let mut names: BTreeMap<(NamespaceId, Str), usize> = BTreeMap::new();
    for workload in &governed {
        let this = &world.workloads[workload.index()];
        *names.entry((this.namespace, this.name.clone())).or_default() += 1;
    }
    let mut out = Vec::new();
    for workload in governed {
        let this = &world.workloads[workload.index()];
        let Ok(selector) = selectors.get(workload) else { continue };
        let shared_name = names[&(this.namespace, this.name.clone())] > 1;
        let name = if shared_name {
            Str::from(format!("{}-{}", this.name, this.kind.name().to_lowercase()))
        } else {
            this.name.clone()
        };
        let mut evidence = Vec::new();
        let mut rules = |egress: bool| {
            let wanted = if egress { options.egress } else { options.ingress };
            if !wanted {
                return Vec::new();
            }
            let mut side = traffic.remove(&(workload, egress)).unwrap_or_default();
            if egress && options.dns {
                dns.add(&mut side);
            }
            rules_of(world, selectors, this.namespace, side, egress, options, &mut evidence)
        };
        let (ingress, egress) = (rules(false), rules(true));
        let policy = NetworkPolicy {
            namespace: this.namespace,
            name,
            subject: selector.clone(),
            isolates_ingress: options.ingress,
            isolates_egress: options.egress,
            ingress,
            egress,
            written: Written::default(),
            annotations: Labels::default(),
            origin: Origin::default(),
            subject_origin: Origin::default(),
        };
        let comments = |egress: bool, index: usize| -> Vec<String> {
            let own = |e: &&RuleEvidence| (e.direction == Direction::Egress) == egress && e.rule == index;
            evidence.iter().find(own).filter(|_| options.comments).map(comment).unwrap_or_default()
        };
        let yaml = manifest::network_policy(&world.namespaces[this.namespace.index()].name, &policy, &comments);
        out.push(LearnedPolicy { workload, policy, yaml, rules: evidence });
    }
    out
}

fn comment(evidence: &RuleEvidence) -> Vec<String> {
    /// Ids that stand in a comment; all of them are in the report.
    const SHOWN: usize = 3;
    let mut ids: Vec<String> = evidence.edges.iter().take(SHOWN).map(|id| id.to_string()).collect();
    if evidence.edges.len() > SHOWN {
        ids.push(format!("and {} more", evidence.edges.len() - SHOWN));
    }
    let seen = if evidence.edges.is_empty() {
        "not seen, needed to look up names".to_owned()
    } else {
        format!("{} connections seen, evidence {}", evidence.count, ids.join(", "))
    };
    wrapped(&format!("{}: {seen}", evidence.words))
}

/// Lines of at most 110 characters, as long as the words allow.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 110;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Peers with the same ports share a rule.
fn rules_of(
    world: &World,
    selectors: &Selectors,
    namespace: NamespaceId,
    mut side: Traffic<'_>,
    egress: bool,
    options: &LearnOptions,
    evidence: &mut Vec<RuleEvidence>,
) -> Vec<Rule> {
    for (port, addresses) in std::mem::take(&mut side.outside) {
        let all: BTreeSet<IpAddr> = addresses.keys().copied().collect();
        for block in blocks(&all, options.max_blocks, options.widest).unwrap_or_default() {
            let edges = addresses.iter().filter(|(ip, _)| block.contains(**ip)).flat_map(|(_, e)| e.iter().copied());
            side.peers.entry(PeerOf::Block(block)).or_default().entry(port).or_default().extend(edges);
        }
    }
    let mut by_ports: BTreeMap<Vec<PortKey>, Vec<(PeerOf, Vec<&Edge>)>> = BTreeMap::new();
    for (peer, ports) in side.peers {
        let keys: Vec<PortKey> = ports.keys().copied().collect();
        by_ports.entry(keys).or_default().push((peer, ports.into_values().flatten().collect()));
    }
    let direction = if egress { Direction::Egress } else { Direction::Ingress };
    let mut out = Vec::new();
    for (ports, peers) in by_ports {
        let (mut entries, mut edges): (Vec<Peer>, Vec<&Edge>) = (Vec::new(), Vec::new());
        for (peer, seen) in peers {
            entries.extend(peer_entries(world, selectors, namespace, &peer));
            edges.extend(seen);
        }
        let port = |(protocol, port): &PortKey| PortEntry {
            protocol: *protocol,
            protocol_defaulted: false,
            port: PortMatch::Range(*port, *port),
            origin: Origin::default(),
        };
        let rule = Rule {
            peers: Peers::Of(entries),
            ports: Ports::Of(ports.iter().map(port).collect()),
            origin: Origin::default(),
        };
        let ids: BTreeSet<Str> = edges.iter().map(|e| e.id.clone()).collect();
        let counted: BTreeSet<&Edge> = edges.iter().copied().collect();
        evidence.push(RuleEvidence {
            direction,
            rule: out.len(),
            edges: ids.into_iter().collect(),
            count: counted.iter().map(|e| e.count).sum(),
            first: counted.iter().map(|e| e.first).min().unwrap_or(0),
            last: counted.iter().map(|e| e.last).max().unwrap_or(0),
            words: format!("{} on {}", words::peers(world, namespace, &rule.peers), words::ports(&rule.ports)),
        });
        out.push(rule);
    }
    out
}

fn peer_entries(world: &World, selectors: &Selectors, namespace: NamespaceId, peer: &PeerOf) -> Vec<Peer> {
    let named = |ns: &str| Selector::of(&[(NAMESPACE_NAME_LABEL, ns)]);
    let kinds = match peer {
        PeerOf::Workload(id) => {
            let there = world.workloads[id.index()].namespace;
            let namespaces = (there != namespace).then(|| named(&world.namespaces[there.index()].name));
            selectors.get(*id).ok().map(|s| PeerKind::Pods { namespaces, pods: Some(s.clone()) }).into_iter().collect()
        }
        PeerOf::AssumedDns => vec![PeerKind::Pods {
            namespaces: Some(named("kube-system")),
            pods: Some(Selector::of(&[("k8s-app", "kube-dns")])),
        }],
        PeerOf::Block(cidr) => vec![PeerKind::Block(IpBlock { cidr: plain(*cidr), except: Vec::new() })],
        PeerOf::Everyone => {
            let space: Vec<Cidr> =
                if world.pod_cidrs.is_empty() { default_pod_space().to_vec() } else { world.pod_cidrs.clone() };
            let outside = |family| {
                let all = Cidr::all(family);
                let inside: Vec<BlockCidr> =
                    space.iter().filter(|c| c.family() == family && **c != all).map(|c| plain(*c)).collect();
                PeerKind::Block(IpBlock { cidr: plain(all), except: inside })
            };
            let six = space.iter().any(|c| c.family() == Family::V6);
            std::iter::once(outside(Family::V4)).chain(six.then(|| outside(Family::V6))).collect()
        }
    };
    kinds.into_iter().map(|kind| Peer { kind, origin: Origin::default() }).collect()
}

fn plain(cidr: Cidr) -> BlockCidr {
    BlockCidr { cidr, mapped: None, sloppy: false, origin: Origin::default() }
}

/// Addresses of an end that policies see as a node: a node, or a hostNetwork workload. `None`: it is something else.
pub(crate) fn node_like(world: &World, selectors: &Selectors, end: &End) -> Option<Vec<IpAddr>> {
    match end {
        End::Node(id) => Some(world.nodes[id.index()].addresses.clone()),
        End::Workload(id) if matches!(selectors.get(*id), Err(Why::HostNetwork)) => {
            let pods = world.pods.iter().filter(|p| p.workload == *id && !p.finished);
            let mut out: Vec<IpAddr> = pods
                .flat_map(|p| {
                    let node = p.node.map(|n| world.nodes[n.index()].addresses.clone()).unwrap_or_default();
                    if p.ips.is_empty() { node } else { p.ips.clone() }
                })
                .collect();
            out.sort_unstable();
            out.dedup();
            Some(out)
        }
        End::Workload(_) | End::External { .. } => None,
    }
}

/// Ports of workloads that a Service offers to the outside: sources there are not a list that could be learned.
fn exposed(engine: &Engine<'_>) -> BTreeSet<(WorkloadId, Protocol, u16)> {
    let world = engine.world();
    let mut out = BTreeSet::new();
    for service in world.services.iter().filter(|s| matches!(s.kind, ServiceKind::LoadBalancer | ServiceKind::NodePort))
    {
        let Some(labels) = &service.selector else { continue };
        for (_, pod) in selected(engine, service, labels) {
            for port in &service.ports {
                let number = match &port.target {
                    TargetPort::Number(number) => Some(*number),
                    TargetPort::Named(name) => {
                        let named =
                            pod.ports.iter().find(|p| p.name.as_ref() == Some(name) && p.protocol == port.protocol);
                        named.map(|p| p.port)
                    }
                };
                out.extend(number.map(|n| (pod.workload, port.protocol, n)));
            }
        }
    }
    let host_ports =
        world.pods.iter().flat_map(|p| p.ports.iter().filter(|c| c.host_port.is_some()).map(move |c| (p, c)));
    out.extend(host_ports.map(|(pod, port)| (pod.workload, port.protocol, port.port)));
    out
}

/// Edges to addresses outside that no budgeted set of blocks holds.
fn over_budget(
    world: &World,
    selectors: &Selectors,
    accepted: &[Edge],
    exposed: &BTreeSet<(WorkloadId, Protocol, u16)>,
    options: &LearnOptions,
) -> BTreeSet<Edge> {
    // Per workload, direction (egress?) and port: addresses, and the edges that bring them.
    type Group<'e> = (BTreeSet<IpAddr>, Vec<&'e Edge>);
    let mut groups: BTreeMap<(WorkloadId, bool, PortKey), Group<'_>> = BTreeMap::new();
    for edge in accepted {
        for (own, other, egress) in [(&edge.to, &edge.from, false), (&edge.from, &edge.to, true)] {
            let Some(own) = own.workload().filter(|w| selectors.governs(world, *w)) else { continue };
            let addresses = match (node_like(world, selectors, other), other) {
                (Some(addresses), _) => addresses,
                (None, End::External { ip, .. }) if egress || !exposed.contains(&(own, edge.protocol, edge.port)) => {
                    vec![*ip]
                }
                (None, _) => continue,
            };
            let group = groups.entry((own, egress, (edge.protocol, edge.port))).or_default();
            group.0.extend(addresses);
            group.1.push(edge);
        }
    }
    let over = groups.into_values().filter(|(ips, _)| blocks(ips, options.max_blocks, options.widest).is_none());
    over.flat_map(|(_, edges)| edges.into_iter().cloned()).collect()
}

/// Where names are looked up.
struct DnsServers {
    workloads: Vec<(WorkloadId, Vec<PortKey>)>,
}

impl DnsServers {
    /// Backends of the cluster DNS Service, else pods that carry its label.
    fn of(engine: &Engine<'_>) -> Self {
        let world = engine.world();
        let mut found: BTreeMap<WorkloadId, BTreeSet<PortKey>> = BTreeMap::new();
        let system = world.namespace("kube-system");
        for (i, service) in world.services.iter().enumerate() {
            if Some(service.namespace) == system && matches!(&*service.name, "kube-dns" | "coredns") {
                for backend in watertight_engine::service::backends(engine, watertight_model::ServiceId::at(i)) {
                    if let (watertight_model::Endpoint::Pod(pod), 53) = (backend.endpoint, backend.service_port) {
                        let ports = found.entry(world.pods[pod.index()].workload).or_default();
                        ports.insert((backend.protocol, backend.port));
                    }
                }
            }
        }
        if found.is_empty() {
            let labelled = |p: &&watertight_model::Pod| {
                Some(p.namespace) == system && p.labels.get("k8s-app").is_some_and(|v| **v == *"kube-dns")
            };
            for pod in world.pods.iter().filter(labelled) {
                found.entry(pod.workload).or_default().extend([(Protocol::Tcp, 53), (Protocol::Udp, 53)]);
            }
        }
        Self { workloads: found.into_iter().map(|(w, ports)| (w, ports.into_iter().collect())).collect() }
    }

    /// Allows lookups over both protocols: an answer that does not fit comes back over TCP.
    fn add(&self, side: &mut Traffic<'_>) {
        if self.workloads.is_empty() {
            let ports = side.peers.entry(PeerOf::AssumedDns).or_default();
            ports.entry((Protocol::Tcp, 53)).or_default();
            ports.entry((Protocol::Udp, 53)).or_default();
        }
        for (workload, ports) in &self.workloads {
            let entry = side.peers.entry(PeerOf::Workload(*workload)).or_default();
            for port in ports {
                entry.entry(*port).or_default();
            }
        }
    }
}
