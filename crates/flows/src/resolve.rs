//! Ledger edges in a world: pods to workloads, addresses to pods, nodes or Services, Service ports to pod ports. What cannot be
//! placed is listed with the reason, never dropped.

use crate::ledger::{EdgeData, EdgeKey, Ledger};
use crate::record::Who;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watertight_model::service::{ServiceKind, TargetPort};
use watertight_model::{NodeId, PodId, Protocol, Service, Str, WorkloadId, WorkloadKind, World};

/// Who talked to whom, on which port, how often and when. Replies are not edges: an edge points the way in which the
/// connection was opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who opened the connections.
    pub from: End,
    /// Who received them.
    pub to: End,
    /// Protocol.
    pub protocol: Protocol,
    /// The port at the receiver: a pod's own port, never a Service's.
    pub port: u16,
    /// Evidence ids of the ledger edges behind it, joined where there are several; stable for the same evidence.
    pub id: Str,
    /// Connections that were seen and not denied.
    pub count: u64,
    /// Attempts that were seen and denied by some policy at the time.
    pub denied: u64,
    /// First time, in seconds since the Unix epoch.
    pub first: i64,
    /// Last time, in seconds since the Unix epoch.
    pub last: i64,
    /// Distinct UTC days on which it was seen.
    pub days: u32,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A pod of this workload.
    Workload(WorkloadId),
    /// A node itself.
    Node(NodeId),
    /// Someone outside.
    External {
        /// The address.
        ip: IpAddr,
        /// DNS names that were seen for it, sorted.
        names: Vec<Str>,
    },
}

impl End {
    /// The workload, if it is one.
    pub fn workload(&self) -> Option<WorkloadId> {
        match self {
            End::Workload(id) => Some(*id),
            End::Node(_) | End::External { .. } => None,
        }
    }
}

/// A ledger edge that could not be placed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unresolved {
    /// Evidence id.
    pub id: String,
    /// The edge in words: `namespace/pod -> address port/protocol`.
    pub words: String,
    /// Why, in words.
    pub why: String,
    /// Records behind it.
    pub count: u64,
}

/// A ledger seen in a world.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// By ends, protocol and port; one entry each.
    pub edges: Vec<Edge>,
    /// What could not be placed, sorted.
    pub unresolved: Vec<Unresolved>,
}

/// Places every edge of the ledger.
pub fn resolve(world: &World, ledger: &Ledger) -> Resolved {
    let names = Names::of(world);
    let mut sum: BTreeMap<Place, (BTreeSet<String>, EdgeData)> = BTreeMap::new();
    let mut out = Resolved::default();
    for (key, data) in ledger.edges() {
        match place(world, &names, key, data) {
            Ok(places) => {
                for (from, to, protocol, port) in places {
                    let entry = sum.entry((from, to, protocol, port)).or_default();
                    entry.0.insert(key.id());
                    entry.1.merge(data.clone());
                }
            }
            Err(why) => out.unresolved.push(Unresolved {
                id: key.id(),
                words: words(key),
                why,
                count: data.count + data.denied,
            }),
        }
    }
    out.edges = sum
        .into_iter()
        .map(|((from, to, protocol, port), (ids, data))| Edge {
            from,
            to,
            protocol,
            port,
            id: join(&ids),
            count: data.count,
            denied: data.denied,
            first: data.first_ns.div_euclid(1_000_000_000),
            last: data.last_ns.div_euclid(1_000_000_000),
            days: u32::try_from(data.days.len()).unwrap_or(u32::MAX),
        })
        .collect();
    out.unresolved.sort();
    out
}

/// One id for several: the first, and a mark of how many stand behind it.
fn join(ids: &BTreeSet<String>) -> Str {
    match (ids.first(), ids.len()) {
        (Some(first), 1) => Str::from(first.as_str()),
        (Some(first), n) => Str::from(format!("{first}+{}", n - 1)),
        (None, _) => Str::from(""),
    }
}

fn words(key: &EdgeKey) -> String {
    let who = |w: &Who| match w {
        Who::Pod { namespace, name, .. } => format!("{namespace}/{name}"),
        Who::Host { node } => format!("node {node}"),
        Who::Address(ip) => ip.to_string(),
    };
    let protocol = protocol(key.protocol).map_or_else(|| key.protocol.to_string(), |p| p.to_string());
    format!("{} -> {} {}/{protocol}", who(&key.from), who(&key.to), key.port)
}

fn protocol(number: u8) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|p| crate::import::number(*p) == number)
}

/// Look-up tables of a world.
struct Names {
    pods_by_ip: BTreeMap<IpAddr, PodId>,
    nodes_by_ip: BTreeMap<IpAddr, NodeId>,
    services_by_ip: BTreeMap<IpAddr, usize>,
}

impl Names {
    fn of(world: &World) -> Self {
        let mut this =
            Self { pods_by_ip: BTreeMap::new(), nodes_by_ip: BTreeMap::new(), services_by_ip: BTreeMap::new() };
        for (i, pod) in world.pods.iter().enumerate().filter(|(_, p)| !p.finished && !p.host_network) {
            for ip in &pod.ips {
                this.pods_by_ip.entry(*ip).or_insert(PodId::at(i));
            }
        }
        for (i, node) in world.nodes.iter().enumerate() {
            for ip in &node.addresses {
                this.nodes_by_ip.entry(*ip).or_insert(NodeId::at(i));
            }
        }
        for (i, service) in world.services.iter().enumerate() {
            for ip in &service.cluster_ips {
                this.services_by_ip.entry(*ip).or_insert(i);
            }
        }
        this
    }
}

/// Both ends, protocol and the receiver's port.
type Place = (End, End, Protocol, u16);

fn place(world: &World, names: &Names, key: &EdgeKey, data: &EdgeData) -> Result<Vec<Place>, String> {
    let protocol = protocol(key.protocol).ok_or_else(|| format!("protocol {} has no ports", key.protocol))?;
    let from = end(world, names, &key.from, &BTreeSet::new())?;
    let service = match &key.to {
        Who::Address(ip) => names.services_by_ip.get(ip).map(|i| &world.services[*i]),
        Who::Pod { .. } | Who::Host { .. } => None,
    };
    if let Some(service) = service {
        let backends = behind(world, service, protocol, key.port);
        if backends.is_empty() {
            return Err(format!("Service {} has no backend on this port", service.name));
        }
        let place = |(workload, port)| (from.clone(), End::Workload(workload), protocol, port);
        return Ok(backends.into_iter().map(place).collect());
    }
    Ok(vec![(from, end(world, names, &key.to, &data.names)?, protocol, key.port)])
}

/// Workloads and pod ports behind a Service's port. Which one was chosen was not recorded: all of them are.
fn behind(world: &World, service: &Service, protocol: Protocol, port: u16) -> BTreeSet<(WorkloadId, u16)> {
    let mut out = BTreeSet::new();
    let (Some(selector), false) = (&service.selector, service.kind == ServiceKind::ExternalName) else { return out };
    let ports = service.ports.iter().filter(|p| p.protocol == protocol && p.port == port);
    for wanted in ports {
        let selected = world.pods.iter().filter(|p| p.namespace == service.namespace && !p.finished);
        for pod in selected.filter(|p| selector.iter().all(|(k, v)| p.labels.get(k) == Some(v))) {
            let number = match &wanted.target {
                TargetPort::Number(number) => Some(*number),
                TargetPort::Named(name) => {
                    let named = pod.ports.iter().find(|c| c.name.as_ref() == Some(name) && c.protocol == protocol);
                    named.map(|c| c.port)
                }
            };
            out.extend(number.map(|n| (pod.workload, n)));
        }
    }
    out
}

fn end(world: &World, names: &Names, who: &Who, dns: &BTreeSet<String>) -> Result<End, String> {
    match who {
        Who::Host { node } => world.node(node).map(End::Node).ok_or_else(|| format!("node {node} is not in the input")),
        Who::Address(ip) => Ok(match (names.pods_by_ip.get(ip), names.nodes_by_ip.get(ip)) {
            (Some(pod), _) => End::Workload(world.pods[pod.index()].workload),
            (None, Some(node)) => End::Node(*node),
            (None, None) => End::External { ip: *ip, names: dns.iter().map(|n| Str::from(n.as_str())).collect() },
        }),
        Who::Pod { namespace, name, owner } => {
            let ns = world.namespace(namespace).ok_or_else(|| format!("namespace {namespace} is not in the input"))?;
            if let Some(pod) = world.pod(ns, name) {
                return Ok(End::Workload(world.pods[pod.index()].workload));
            }
            let named = |name: &str| world.workloads_named(ns, name);
            if let Some((kind, owner)) = owner {
                let of_kind = |w: &&WorkloadId| world.workloads[w.index()].kind.name() == kind;
                let same = named(owner);
                let hash_stripped = owner.rsplit_once('-').map(|(deployment, _)| named(deployment)).unwrap_or_default();
                let found = same.iter().find(of_kind).copied().or_else(|| match (kind.as_str(), same.as_slice()) {
                    // The recorder names the ReplicaSet or Job, the world its owner.
                    ("ReplicaSet" | "Job", []) => hash_stripped.first().copied(),
                    _ => None,
                });
                if let Some(workload) = found {
                    return Ok(End::Workload(workload));
                }
            }
            gone(world, &named, name)
                .map(End::Workload)
                .ok_or_else(|| format!("pod {namespace}/{name} is gone and its owner is not known"))
        }
    }
}

/// The workload of a pod that is gone, by the ways in which controllers name pods; none if that is not certain.
fn gone(world: &World, named: &dyn Fn(&str) -> Vec<WorkloadId>, name: &str) -> Option<WorkloadId> {
    let name = name.trim_end_matches('*').trim_end_matches('-');
    let (once, last) = name.rsplit_once('-').unwrap_or((name, ""));
    let twice = once.rsplit_once('-').map_or("", |(head, _)| head);
    let of = |name: &str, kinds: &[WorkloadKind]| {
        let found =
            named(name).into_iter().filter(|w| kinds.contains(&world.workloads[w.index()].kind)).collect::<Vec<_>>();
        match found.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    };
    let ordinal = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    // deployment-hash-random, cronjob-time-random; statefulset-0; daemonset-random, job-random; aggregated `name-*`.
    of(twice, &[WorkloadKind::Deployment, WorkloadKind::CronJob])
        .or_else(|| if ordinal { of(once, &[WorkloadKind::StatefulSet]) } else { None })
        .or_else(|| {
            of(once, &[WorkloadKind::DaemonSet, WorkloadKind::Job, WorkloadKind::ReplicaSet, WorkloadKind::Deployment])
        })
        .or_else(|| {
            of(name, &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet, WorkloadKind::Job])
        })
}
