//! The open world: a cluster with one imaginary pod for each combination of labels that matters to some selector.
//!
//! A rule that changes nothing for the pods of today may be the only one to admit a pod of tomorrow. Which pods could come
//! is a finite question: per label key only the values that some selector names, one that none names, and the absence of
//! the key can be told apart. Each namespace gets a pod for every combination over the keys of the selectors that can see
//! it, once without ports and once with every port name in use (on numbers that no range of a rule holds). New namespaces
//! are imagined alike, over the keys of namespace selectors.
//!
//! Imaginary pods have no known address and no known node. Not imagined: changed labels of namespaces that exist, new
//! nodes. Where cluster rules name ports the answer is not called exact: they are asked in order, so it matters which names
//! of a pod share a number, and with which rule.

use crate::selector::{matches_namespace, readable};
use crate::tri::Tri;
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::pod::Dns;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, ContainerKind, ContainerPort, Labels, Namespace, NamespaceId, Op, Origin,
    PeerKind, Peers, Pod, PodId, PortMatch, PortSet, Ports, Protocol, Selector, Str, Workload, WorkloadId,
    WorkloadKind, World,
};

/// Imaginary pods of one namespace; past it the namespace gets one without labels, and the answer is not exact.
const PER_NAMESPACE: usize = 1024;
/// Imaginary namespaces.
const NAMESPACES: usize = 256;
/// Imaginary pods in all.
const PODS: usize = 60_000;

/// A name that no label, port, pod or namespace can have, so that nothing names it.
const FRESH: &str = "~";

/// A world and which of its pods are imaginary.
pub struct Open {
    /// The world with the imaginary pods. Ids of namespaces, policies and nodes are those of the world given.
    pub world: World,
    /// Per pod of [`Self::world`] the pod of the world given; `None`: imaginary.
    pub real: Vec<Option<PodId>>,
    /// Every combination that matters is there.
    pub exact: bool,
}

impl Open {
    /// No imaginary pods: what holds in it holds today.
    pub fn closed(world: &World) -> Self {
        let real = (0..world.pods.len()).map(|i| Some(PodId::at(i))).collect();
        Self { world: world.clone(), real, exact: false }
    }

    /// Puts the imaginary pods in.
    pub fn of(world: &World) -> Self {
        let seen = Seen::of(world);
        let mut exact = !seen.ordered_names;
        let new_namespaces = seen.new_namespaces(world, &mut exact);
        let names = seen.fresh_numbers(&mut exact);
        let mut out = World { pods: Vec::with_capacity(world.pods.len()), ..world.clone() };
        out.pods.clear();
        out.namespaces.extend(new_namespaces);
        let mut real = Vec::with_capacity(world.pods.len());
        let mut left = PODS;
        let mut old = world.pods.iter().enumerate().peekable();
        for ns in (0..out.namespaces.len()).map(NamespaceId::at) {
            while let Some((i, pod)) = old.next_if(|(_, p)| p.namespace <= ns) {
                out.pods.push(pod.clone());
                real.push(Some(PodId::at(i)));
            }
            let keys = seen.keys_of(&out, ns);
            let variants = if names.is_empty() { 1 } else { 2 };
            let labels = combinations(&keys, PER_NAMESPACE.min(left) / variants, &mut exact);
            left -= (labels.len() * variants).min(left);
            for labels in labels {
                for ports in [Vec::new(), names.clone()].into_iter().take(variants) {
                    imagine(&mut out, ns, &labels, ports);
                    real.push(None);
                }
            }
        }
        Self { world: out, real, exact }
    }
}

/// Values of a key that are told apart; `None`: the key is absent.
type Values = BTreeMap<Str, BTreeSet<Option<Str>>>;

fn see(keys: &mut Values, selector: &Selector) {
    for requirement in &selector.requirements {
        let values = keys.entry(requirement.key.clone()).or_default();
        values.extend([None, Some(Str::from(FRESH))]);
        match &requirement.op {
            Op::In(named) | Op::NotIn(named) => values.extend(named.iter().cloned().map(Some)),
            Op::Exists | Op::DoesNotExist | Op::Unknown(_) => {}
        }
    }
}

/// All combinations, as labels; one without labels if there are more than `limit`.
fn combinations(keys: &Values, limit: usize, exact: &mut bool) -> Vec<Labels> {
    let count = keys.values().try_fold(1usize, |n, values| n.checked_mul(values.len()).filter(|n| *n <= limit.max(1)));
    if count.is_none() || limit == 0 {
        *exact = false;
        return vec![Labels::default()];
    }
    let mut all: Vec<Vec<(Str, Str)>> = vec![Vec::new()];
    for (key, values) in keys {
        let with = |known: &Vec<(Str, Str)>, value: &Option<Str>| {
            let mut out = known.clone();
            out.extend(value.iter().map(|v| (key.clone(), v.clone())));
            out
        };
        all = all.iter().flat_map(|known| values.iter().map(move |value| with(known, value))).collect();
    }
    all.into_iter().map(Labels::new).collect()
}

/// What selectors and rules name.
struct Seen<'w> {
    world: &'w World,
    /// Pod selectors that look into other namespaces, with the selector of those.
    across: BTreeSet<(&'w Selector, Option<&'w Selector>)>,
    namespaces: Values,
    names: BTreeSet<(Str, Protocol)>,
    /// Ports of ranges that are not the whole protocol.
    numbers: PortSet,
    /// A cluster rule names a port.
    ordered_names: bool,
}

impl<'w> Seen<'w> {
    fn of(world: &'w World) -> Self {
        let mut this = Self {
            world,
            across: BTreeSet::new(),
            namespaces: Values::new(),
            names: BTreeSet::new(),
            numbers: PortSet::none(),
            ordered_names: false,
        };
        for policy in &world.policies {
            for rule in policy.ingress.iter().chain(&policy.egress) {
                if let Peers::Of(peers) = &rule.peers {
                    for peer in peers {
                        if let PeerKind::Pods { namespaces: Some(namespaces), pods } = &peer.kind {
                            this.across(namespaces, pods.as_ref());
                        }
                    }
                }
                if let Ports::Of(entries) = &rule.ports {
                    entries.iter().for_each(|e| this.port(e.protocol, &e.port));
                }
            }
        }
        for policy in &world.cluster_policies {
            this.across(&policy.subject.namespaces, Some(&policy.subject.pods));
            for rule in policy.ingress.iter().chain(&policy.egress) {
                for peer in &rule.peers {
                    if let ClusterPeer::Pods { namespaces, pods, .. } = peer {
                        this.across(namespaces, Some(pods));
                    }
                }
                if let ClusterPorts::Of(entries) = &rule.ports {
                    for entry in entries {
                        match entry {
                            ClusterPort::Number(protocol, port) => this.port(*protocol, port),
                            ClusterPort::Named(name) => {
                                this.ordered_names = true;
                                this.names.extend(Protocol::ALL.map(|p| (name.clone(), p)));
                            }
                            ClusterPort::BareProtocol(_) | ClusterPort::Unknown => {}
                        }
                    }
                }
            }
        }
        this
    }

    fn across(&mut self, namespaces: &'w Selector, pods: Option<&'w Selector>) {
        see(&mut self.namespaces, namespaces);
        self.across.insert((namespaces, pods));
    }

    fn port(&mut self, protocol: Protocol, port: &PortMatch) {
        match port {
            PortMatch::Any | PortMatch::Range(0 | 1, u16::MAX) => {}
            PortMatch::Range(a, b) => self.numbers = self.numbers.union(&PortSet::range(protocol, *a, *b)),
            PortMatch::Named(name) => {
                self.names.insert((name.clone(), protocol));
            }
        }
    }

    /// Ports of a pod that declares every name in use, each on a number of its own that no range holds.
    fn fresh_numbers(&self, exact: &mut bool) -> Vec<ContainerPort> {
        let mut out = Vec::new();
        for protocol in Protocol::ALL {
            let mut free = (1..=u16::MAX).rev().filter(|n| !self.numbers.contains(protocol, *n));
            for (name, _) in self.names.iter().filter(|(_, p)| *p == protocol) {
                match free.next() {
                    Some(port) => out.push(ContainerPort {
                        name: Some(name.clone()),
                        port,
                        protocol,
                        host_port: None,
                        container: ContainerKind::Regular,
                    }),
                    None => *exact = false,
                }
            }
        }
        out
    }

    /// Namespaces that do not exist, for every combination of labels that a selector can see.
    fn new_namespaces(&self, world: &World, exact: &mut bool) -> Vec<Namespace> {
        let mut keys = self.namespaces.clone();
        let name = keys.entry(Str::from(NAMESPACE_NAME_LABEL)).or_default();
        // Every namespace has its name as a label, and names that exist are taken.
        name.insert(Some(Str::from(FRESH)));
        name.retain(|value| value.as_ref().is_some_and(|v| world.namespace(v).is_none()));
        let named = |(i, labels): (usize, Labels)| Namespace {
            // Sorts after every name that the API accepts.
            name: Str::from(format!("{FRESH}{i:04}")),
            labels: if labels.get(NAMESPACE_NAME_LABEL).is_some() {
                labels
            } else {
                labels.with(NAMESPACE_NAME_LABEL, FRESH)
            },
            annotations: Labels::default(),
            declared: true,
            terminating: false,
            origin: None,
        };
        combinations(&keys, NAMESPACES, exact).into_iter().enumerate().map(named).collect()
    }

    /// Keys of pod labels that matter in a namespace.
    fn keys_of(&self, world: &World, ns: NamespaceId) -> Values {
        let mut keys = Values::new();
        let policies = &self.world.policies;
        let start = policies.partition_point(|p| p.namespace < ns);
        for policy in policies[start..].iter().take_while(|p| p.namespace == ns) {
            see(&mut keys, &policy.subject);
            for rule in policy.ingress.iter().chain(&policy.egress) {
                let Peers::Of(peers) = &rule.peers else { continue };
                for peer in peers {
                    if let PeerKind::Pods { namespaces: None, pods: Some(pods) } = &peer.kind {
                        see(&mut keys, pods);
                    }
                }
            }
        }
        for (namespaces, pods) in &self.across {
            let Some(pods) = pods.filter(|p| !p.is_everything()) else { continue };
            if !readable(namespaces) || matches_namespace(world, ns, namespaces) != Tri::No {
                see(&mut keys, pods);
            }
        }
        keys
    }
}

fn imagine(world: &mut World, namespace: NamespaceId, labels: &Labels, ports: Vec<ContainerPort>) {
    let workload = WorkloadId::at(world.workloads.len());
    let name = Str::from(format!("{FRESH}{}", world.pods.len()));
    world.workloads.push(Workload {
        kind: WorkloadKind::Pod,
        namespace,
        name: name.clone(),
        template_labels: labels.clone(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
    });
    world.pods.push(Pod {
        name,
        namespace,
        workload,
        labels: labels.clone(),
        uid: None,
        node: None,
        host_network: false,
        ips: Vec::new(),
        ports,
        finished: false,
        terminating: false,
        template: true,
        dns: Dns::default(),
        node_privilege: None,
        origin: Origin::default(),
    });
}
