//! Policies in a few words, for [`crate::build::WorldBuilder`].
//!
//! `policy("shop/db-in").select(&[("app", "db")]).ingress(rule().pods(&[("app", "web")]).tcp(5432))` reads as it would in
//! YAML. A rule without a peer or without a port is a rule without `from`/`to` or `ports`.

use crate::build::{cidr, split};
use watertight_model::cluster_policy::{ClusterPolicyKind, Subject};
use watertight_model::policy::{BlockCidr, Presence, Written};
use watertight_model::{
    Action, Cidr, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, Direction, IpBlock, Labels,
    NamespaceId, NetworkPolicy, Op, Origin, Peer, PeerKind, Peers, PortEntry, PortMatch, Ports, Protocol, Requirement,
    Rule, Selector, Str, Tier,
};

/// `matchExpressions` with one requirement.
pub fn expression(key: &str, op: Op) -> Selector {
    Selector { requirements: vec![Requirement { key: Str::from(key), op, from_labels: false }] }
}

/// `key In values`.
pub fn is_in(key: &str, values: &[&str]) -> Selector {
    expression(key, Op::In(values.iter().map(|v| Str::from(*v)).collect()))
}

/// `key NotIn values`.
pub fn not_in(key: &str, values: &[&str]) -> Selector {
    expression(key, Op::NotIn(values.iter().map(|v| Str::from(*v)).collect()))
}

/// `key Exists`.
pub fn exists(key: &str) -> Selector {
    expression(key, Op::Exists)
}

/// `key DoesNotExist`.
pub fn absent(key: &str) -> Selector {
    expression(key, Op::DoesNotExist)
}

/// A selector with an operator that this version does not know.
pub fn unreadable(key: &str) -> Selector {
    expression(key, Op::Unknown(Str::from("Like")))
}

/// Both conditions.
pub fn both(a: Selector, b: Selector) -> Selector {
    Selector { requirements: [a.requirements, b.requirements].concat() }
}

/// A block as written.
pub fn block(text: &str) -> BlockCidr {
    BlockCidr { cidr: cidr(text), mapped: None, sloppy: false, origin: Origin::default() }
}

/// An IPv4-mapped block such as `::ffff:10.0.0.0/104`, with the IPv4 block that some readers see.
pub fn mapped_block(text: &str) -> BlockCidr {
    let written = cidr(text);
    let v4 = match written.addr() {
        std::net::IpAddr::V6(a) => a.to_ipv4_mapped(),
        std::net::IpAddr::V4(_) => None,
    };
    let mapped = v4.and_then(|a| Cidr::new(a.into(), written.prefix_len().checked_sub(96)?));
    assert!(mapped.is_some(), "`{text}` is not an IPv4-mapped block");
    BlockCidr { cidr: written, mapped, sloppy: true, origin: Origin::default() }
}

/// A NetworkPolicy under construction.
#[derive(Clone, Debug)]
pub struct PolicyDraft {
    pub(crate) namespace: String,
    name: String,
    subject: Selector,
    types: Option<Vec<Direction>>,
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

/// A NetworkPolicy, `namespace/name`, that selects every pod of its namespace and has no rules. Until
/// [`PolicyDraft::types`] is called it isolates as the API's defaults say.
pub fn policy(name: &str) -> PolicyDraft {
    let (namespace, name) = split(name);
    let subject = Selector::everything();
    PolicyDraft { namespace, name, subject, types: None, ingress: Vec::new(), egress: Vec::new() }
}

impl PolicyDraft {
    /// `podSelector.matchLabels`.
    #[must_use]
    pub fn select(self, labels: &[(&str, &str)]) -> Self {
        self.subject(Selector::of(labels))
    }

    /// `podSelector`.
    #[must_use]
    pub fn subject(mut self, selector: Selector) -> Self {
        self.subject = selector;
        self
    }

    /// `policyTypes`.
    #[must_use]
    pub fn types(mut self, types: &[Direction]) -> Self {
        self.types = Some(types.to_vec());
        self
    }

    /// One more ingress rule.
    #[must_use]
    pub fn ingress(mut self, rule: RuleDraft) -> Self {
        self.ingress.push(rule.0);
        self
    }

    /// One more egress rule.
    #[must_use]
    pub fn egress(mut self, rule: RuleDraft) -> Self {
        self.egress.push(rule.0);
        self
    }

    pub(crate) fn finish(&self, namespace: NamespaceId) -> NetworkPolicy {
        let isolates = |direction| match &self.types {
            Some(types) => types.contains(&direction),
            None => direction == Direction::Ingress || !self.egress.is_empty(),
        };
        NetworkPolicy {
            namespace,
            name: Str::from(&*self.name),
            subject: self.subject.clone(),
            isolates_ingress: isolates(Direction::Ingress),
            isolates_egress: isolates(Direction::Egress),
            ingress: self.ingress.clone(),
            egress: self.egress.clone(),
            written: Written {
                spec: Presence::Filled,
                pod_selector: if self.subject.is_everything() { Presence::Empty } else { Presence::Filled },
                policy_types: if self.types.is_some() { Presence::Filled } else { Presence::Absent },
                ingress: if self.ingress.is_empty() { Presence::Absent } else { Presence::Filled },
                egress: if self.egress.is_empty() { Presence::Absent } else { Presence::Filled },
            },
            annotations: Labels::default(),
            origin: Origin::default(),
            subject_origin: Origin::default(),
        }
    }
}

/// A rule of a NetworkPolicy under construction.
#[derive(Clone, Debug)]
pub struct RuleDraft(Rule);

/// The rule `{}`: every peer, every port.
pub fn rule() -> RuleDraft {
    RuleDraft(Rule {
        peers: Peers::Any(Presence::Absent),
        ports: Ports::Any(Presence::Absent),
        origin: Origin::default(),
    })
}

impl RuleDraft {
    /// One more peer.
    #[must_use]
    pub fn peer(mut self, kind: PeerKind) -> Self {
        let peer = Peer { kind, origin: Origin::default() };
        match &mut self.0.peers {
            Peers::Any(_) => self.0.peers = Peers::Of(vec![peer]),
            Peers::Of(peers) => peers.push(peer),
        }
        self
    }

    /// Pods of the policy's own namespace with these labels.
    #[must_use]
    pub fn pods(self, labels: &[(&str, &str)]) -> Self {
        self.peer(PeerKind::Pods { namespaces: None, pods: Some(Selector::of(labels)) })
    }

    /// All pods of these namespaces.
    #[must_use]
    pub fn namespaces(self, labels: &[(&str, &str)]) -> Self {
        self.peer(PeerKind::Pods { namespaces: Some(Selector::of(labels)), pods: None })
    }

    /// `namespaceSelector` and `podSelector` in one entry.
    #[must_use]
    pub fn select(self, namespaces: Selector, pods: Selector) -> Self {
        self.peer(PeerKind::Pods { namespaces: Some(namespaces), pods: Some(pods) })
    }

    /// An `ipBlock`.
    #[must_use]
    pub fn block(self, cidr: &str, except: &[&str]) -> Self {
        let except = except.iter().map(|e| block(e)).collect();
        self.peer(PeerKind::Block(IpBlock { cidr: block(cidr), except }))
    }

    /// One more entry of `ports`.
    #[must_use]
    pub fn port(mut self, protocol: Protocol, port: PortMatch) -> Self {
        let entry = PortEntry { protocol, protocol_defaulted: false, port, origin: Origin::default() };
        match &mut self.0.ports {
            Ports::Any(_) => self.0.ports = Ports::Of(vec![entry]),
            Ports::Of(ports) => ports.push(entry),
        }
        self
    }

    /// One TCP port.
    #[must_use]
    pub fn tcp(self, port: u16) -> Self {
        self.port(Protocol::Tcp, PortMatch::Range(port, port))
    }

    /// One UDP port.
    #[must_use]
    pub fn udp(self, port: u16) -> Self {
        self.port(Protocol::Udp, PortMatch::Range(port, port))
    }

    /// A named port.
    #[must_use]
    pub fn named(self, protocol: Protocol, name: &str) -> Self {
        self.port(protocol, PortMatch::Named(Str::from(name)))
    }
}

/// A cluster policy under construction.
#[derive(Clone, Debug)]
pub struct ClusterDraft(ClusterPolicy);

/// A ClusterNetworkPolicy of the Admin tier that selects every pod and has no rules.
pub fn admin(name: &str, priority: u16) -> ClusterDraft {
    cluster(name, Tier::Admin, priority)
}

/// A ClusterNetworkPolicy of the Baseline tier that selects every pod and has no rules.
pub fn baseline(name: &str, priority: u16) -> ClusterDraft {
    cluster(name, Tier::Baseline, priority)
}

fn cluster(name: &str, tier: Tier, priority: u16) -> ClusterDraft {
    ClusterDraft(ClusterPolicy {
        kind: ClusterPolicyKind::ClusterNetworkPolicy,
        name: Str::from(name),
        tier,
        priority,
        subject: Subject { namespaces: Selector::everything(), pods: Selector::everything() },
        ingress: Vec::new(),
        egress: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    })
}

impl ClusterDraft {
    /// `subject`.
    #[must_use]
    pub fn subject(mut self, namespaces: Selector, pods: Selector) -> Self {
        self.0.subject = Subject { namespaces, pods };
        self
    }

    /// One more ingress rule.
    #[must_use]
    pub fn ingress(mut self, rule: ClusterRuleDraft) -> Self {
        self.0.ingress.push(rule.0);
        self
    }

    /// One more egress rule.
    #[must_use]
    pub fn egress(mut self, rule: ClusterRuleDraft) -> Self {
        self.0.egress.push(rule.0);
        self
    }

    pub(crate) fn finish(&self) -> ClusterPolicy {
        let rules = self.0.ingress.iter().chain(&self.0.egress);
        assert!(rules.clone().all(|r| !r.peers.is_empty()), "a rule of `{}` has no peer", self.0.name);
        self.0.clone()
    }
}

/// A rule of a cluster policy under construction.
#[derive(Clone, Debug)]
pub struct ClusterRuleDraft(ClusterRule);

/// An Accept rule for every protocol, as yet without a peer.
pub fn accept() -> ClusterRuleDraft {
    cluster_rule(Action::Accept)
}

/// A Deny rule for every protocol, as yet without a peer.
pub fn deny() -> ClusterRuleDraft {
    cluster_rule(Action::Deny)
}

/// A Pass rule for every protocol, as yet without a peer.
pub fn pass() -> ClusterRuleDraft {
    cluster_rule(Action::Pass)
}

/// A rule with this action for every protocol, as yet without a peer.
pub fn cluster_rule(action: Action) -> ClusterRuleDraft {
    let ports = ClusterPorts::Any;
    ClusterRuleDraft(ClusterRule { name: None, action, peers: Vec::new(), ports, origin: Origin::default() })
}

impl ClusterRuleDraft {
    /// One more peer.
    #[must_use]
    pub fn peer(mut self, peer: ClusterPeer) -> Self {
        self.0.peers.push(peer);
        self
    }

    /// Pods with these labels in namespaces with those.
    #[must_use]
    pub fn pods(self, namespaces: Selector, pods: Selector) -> Self {
        self.peer(ClusterPeer::Pods { namespaces, pods, origin: Origin::default() })
    }

    /// Every pod.
    #[must_use]
    pub fn all_pods(self) -> Self {
        self.pods(Selector::everything(), Selector::everything())
    }

    /// Nodes.
    #[must_use]
    pub fn nodes(self, nodes: Selector) -> Self {
        self.peer(ClusterPeer::Nodes { nodes, origin: Origin::default() })
    }

    /// `networks`.
    #[must_use]
    pub fn networks(self, blocks: &[&str]) -> Self {
        let blocks = blocks.iter().map(|b| block(b)).collect();
        self.peer(ClusterPeer::Networks { blocks, origin: Origin::default() })
    }

    /// `domainNames`.
    #[must_use]
    pub fn domain_names(self, names: &[&str]) -> Self {
        let names = names.iter().map(|n| Str::from(*n)).collect();
        self.peer(ClusterPeer::DomainNames { names, origin: Origin::default() })
    }

    /// A peer of a newer kind.
    #[must_use]
    pub fn unknown_peer(self) -> Self {
        self.peer(ClusterPeer::Unknown { origin: Origin::default() })
    }

    /// One more entry of `protocols`.
    #[must_use]
    pub fn port(mut self, port: ClusterPort) -> Self {
        match &mut self.0.ports {
            ClusterPorts::Any => self.0.ports = ClusterPorts::Of(vec![port]),
            ClusterPorts::Of(ports) => ports.push(port),
        }
        self
    }

    /// One TCP port.
    #[must_use]
    pub fn tcp(self, port: u16) -> Self {
        self.port(ClusterPort::Number(Protocol::Tcp, PortMatch::Range(port, port)))
    }

    /// A named port.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.port(ClusterPort::Named(Str::from(name)))
    }
}
