//! Answers as plain data. Field names are the keys of the JSON contract (`docs/json.md`): adding one is fine, renaming or
//! removing one breaks programs.

#[cfg(target_os = "linux")]
pub mod agent;
pub mod audit;
pub mod blast;
pub mod connections;
pub mod diff;
pub mod entry;
pub mod explain;
pub mod exposure;
pub mod finding;
pub mod flows;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod learn;
#[cfg(target_os = "linux")]
pub mod probe;
pub mod query;
pub mod replay;
pub mod shared;
pub mod test;
#[cfg(target_os = "linux")]
pub mod verify;
pub mod watch;

use crate::diagnostics::PlaceView;
use serde::Serialize;
use watertight_engine::connections::Party;
use watertight_model::world::Unread;
use watertight_model::{Cidr, ForeignPolicy, Origin, PolicyRef, PortSet, RuleRef, WorkloadId, World};

/// `apiVersion` of everything we print.
pub const API_VERSION: &str = "watertight.dev/v1";

/// The head of every document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    api_version: &'static str,
    kind: &'static str,
}

impl Head {
    /// A document of this kind.
    pub fn new(kind: &'static str) -> Self {
        Self { api_version: API_VERSION, kind }
    }
}

/// Ports of one protocol, `from` and `to` inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortView {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'static str,
    /// First port.
    pub from: u16,
    /// Last port.
    pub to: u16,
}

/// A set of ports.
pub fn ports(set: &PortSet) -> Vec<PortView> {
    set.iter().map(|(protocol, from, to)| PortView { protocol: protocol.name(), from, to }).collect()
}

/// Ports in words: `TCP 80, 8080-8090; UDP 53`, `all ports`, `all TCP ports`.
pub fn port_words(ports: &[PortView]) -> String {
    if ports.is_empty() {
        return "none".to_owned();
    }
    if ports.len() == 3 && ports.iter().all(|p| (p.from, p.to) == (0, u16::MAX)) {
        return "all ports".to_owned();
    }
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for port in ports {
        let text = match (port.from, port.to) {
            (0, u16::MAX) => "all ports".to_owned(),
            (a, b) if a == b => a.to_string(),
            (a, b) => format!("{a}-{b}"),
        };
        match groups.last_mut() {
            Some((protocol, list)) if *protocol == port.protocol => list.push(text),
            _ => groups.push((port.protocol, vec![text])),
        }
    }
    groups.iter().map(|(protocol, list)| format!("{protocol} {}", list.join(", "))).collect::<Vec<_>>().join("; ")
}

/// One side of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PartyView {
    /// A workload, a part of one, or a pod.
    Inside {
        /// API kind.
        kind: &'static str,
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Pods of this part, where the pods of the workload differ.
        #[serde(skip_serializing_if = "Option::is_none")]
        part: Option<Vec<String>>,
    },
    /// Addresses outside the cluster.
    Outside {
        /// `External`.
        kind: &'static str,
        /// The fewest blocks.
        cidrs: Vec<String>,
    },
}

impl PartyView {
    /// A party of the engine's.
    pub fn of(world: &World, party: &Party) -> Self {
        let namespace = |id: watertight_model::NamespaceId| world.namespaces[id.index()].name.to_string();
        match party {
            Party::Workload { workload, part } => {
                let this = &world.workloads[workload.index()];
                let pods = |ids: &Vec<watertight_model::PodId>| {
                    ids.iter().map(|p| world.pods[p.index()].name.to_string()).collect()
                };
                Self::Inside {
                    kind: this.kind.name(),
                    namespace: namespace(this.namespace),
                    name: this.name.to_string(),
                    part: part.as_ref().map(pods),
                }
            }
            Party::Pod(pod) => {
                let this = &world.pods[pod.index()];
                Self::Inside {
                    kind: "Pod",
                    namespace: namespace(this.namespace),
                    name: this.name.to_string(),
                    part: None,
                }
            }
            Party::External(cidrs) => Self::Outside { kind: "External", cidrs: self::cidrs(cidrs) },
        }
    }

    /// The namespace, if it is inside.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Inside { namespace, .. } => Some(namespace),
            Self::Outside { .. } => None,
        }
    }

    /// `Deployment shop/web`, `StatefulSet shop/db (db-0, db-1)`, `outside 0.0.0.0/0`.
    pub fn words(&self) -> String {
        /// Names that are written out.
        const SHOWN: usize = 4;
        let some = |list: &[String]| match list.len() {
            n if n <= SHOWN => list.join(", "),
            n => format!("{}, {} more", list[..SHOWN].join(", "), n - SHOWN),
        };
        match self {
            Self::Inside { kind, namespace, name, part: None } => format!("{kind} {namespace}/{name}"),
            Self::Inside { kind, namespace, name, part: Some(pods) } => {
                format!("{kind} {namespace}/{name} ({})", some(pods))
            }
            Self::Outside { cidrs, .. } => format!("outside {}", some(cidrs)),
        }
    }
}

/// Blocks as text.
pub fn cidrs(list: &[Cidr]) -> Vec<String> {
    list.iter().map(Cidr::to_string).collect()
}

/// A rule that decided, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// `namespace/name` of a NetworkPolicy, or the name of a cluster policy.
    pub policy: String,
    /// API kind of the policy.
    pub kind: &'static str,
    /// `ingress` or `egress`.
    pub direction: &'static str,
    /// Index of the rule; `null`: the policy isolates the pod, and none of its rules admits the traffic.
    pub rule: Option<u32>,
    /// Where it is written.
    #[serde(flatten)]
    pub place: PlaceView,
}

impl RuleView {
    /// A rule of the world.
    pub fn of(world: &World, rule: &RuleRef) -> Self {
        let place = PlaceView::of(&world.sources, rule_origin(world, rule));
        Self {
            policy: world.policy_name(rule.policy),
            kind: policy_kind(world, rule.policy),
            direction: rule.direction.name(),
            rule: rule.rule,
            place: place.unwrap_or(PlaceView { file: String::new(), line: 0, column: 0 }),
        }
    }

    /// `shop/db-in rule 0 (db.yaml:12:5)`.
    pub fn words(&self) -> String {
        let rule = self.rule.map_or_else(String::new, |r| format!(" {} rule {r}", self.direction));
        format!("{}{rule} ({})", self.policy, self.place.words())
    }
}

/// The API kind of a policy.
pub fn policy_kind(world: &World, policy: PolicyRef) -> &'static str {
    match policy {
        PolicyRef::Namespaced(_) => "NetworkPolicy",
        PolicyRef::Cluster(i) => world.cluster_policies[i as usize].kind.name(),
    }
}

/// Where a rule is written; for a policy that isolates, its pod selector.
pub fn rule_origin(world: &World, rule: &RuleRef) -> Origin {
    match (rule.policy, rule.rule) {
        (PolicyRef::Namespaced(p), Some(i)) => world.policies[p as usize].rules(rule.direction)[i as usize].origin,
        (PolicyRef::Namespaced(p), None) => world.policies[p as usize].subject_origin,
        (PolicyRef::Cluster(p), Some(i)) => world.cluster_policies[p as usize].rules(rule.direction)[i as usize].origin,
        (PolicyRef::Cluster(p), None) => world.cluster_policies[p as usize].subject_origin,
    }
}

/// A policy that was recognised and is not evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForeignView {
    /// API kind.
    pub kind: String,
    /// API group.
    pub group: String,
    /// Namespace; `null` for a cluster-wide one.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ForeignView {
    /// One of the world.
    pub fn of(world: &World, policy: &ForeignPolicy) -> Self {
        Self {
            kind: policy.kind.to_string(),
            group: policy.group.to_string(),
            namespace: policy.namespace.map(|n| world.namespaces[n.index()].name.to_string()),
            name: policy.name.to_string(),
        }
    }

    /// `CiliumNetworkPolicy shop/l7`.
    pub fn words(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    /// All of the world.
    pub fn all(world: &World) -> Vec<Self> {
        world.foreign_policies.iter().map(|p| Self::of(world, p)).collect()
    }
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadView {
    /// The kind, such as `networkpolicies.networking.k8s.io`.
    pub what: String,
    /// The namespace, if only one is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Why.
    pub why: String,
}

impl UnreadView {
    /// All of the world.
    pub fn all(world: &World) -> Vec<Self> {
        let one = |u: &Unread| Self {
            what: u.what.to_string(),
            namespace: u.namespace.as_ref().map(ToString::to_string),
            why: u.why.to_string(),
        };
        world.unread.iter().map(one).collect()
    }
}

/// `Deployment shop/web`.
pub fn workload_words(world: &World, id: WorkloadId) -> String {
    format!("{} {}", world.workloads[id.index()].kind.name(), world.workload_name(id))
}
