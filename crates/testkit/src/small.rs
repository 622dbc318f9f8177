//! All small policies: every NetworkPolicy of at most two rules, two peers and two ports from a small vocabulary, in a
//! world of three namespaces and three pods each, judged on every pair with the subject and on four destinations' ports.
//!
//! Random worlds find what is common; this finds what is small.

use crate::build::WorldBuilder;
use crate::compare::{Judge, Mismatch, compare_world};
use crate::rules::{block, exists, is_in, not_in};
use watertight_model::policy::{Presence, Written};
use watertight_model::{
    ContainerKind, Direction, Endpoint, Flow, IpBlock, L4, Labels, NamespaceId, NetworkPolicy, Origin, Peer, PeerKind,
    Peers, PodId, PortEntry, PortMatch, Ports, Protocol, Rule, Selector, Str, World,
};

/// What was enumerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enumerated {
    /// Policies, each in a world of its own.
    pub policies: u64,
    /// Flows judged.
    pub verdicts: u64,
}

/// Three namespaces of three pods; the pods of `a` differ in labels, those of `b` and `c` also in what they listen on.
pub fn world() -> World {
    let mut builder = WorldBuilder::new().node("node-1", &[], &["192.168.1.1"]);
    for (i, (name, labels)) in
        [("a", [("team", "x")]), ("b", [("team", "y")]), ("c", [("team", "")])].iter().enumerate()
    {
        builder = builder.namespace(name, labels);
        for (j, labels) in [&[("app", "web")][..], &[("app", "")], &[]].iter().enumerate() {
            builder = builder
                .pod(&format!("{name}/pod-{j}"), labels)
                .ip(&format!("10.1.{i}.{}", j * 64 + 1))
                .on("node-1")
                .port("http", if j == 0 { 80 } else { 81 })
                .container_port(ContainerKind::Regular, "http", Protocol::Udp, 80);
        }
    }
    builder.build()
}

fn peers() -> Vec<PeerKind> {
    let pods = |namespaces, pods| PeerKind::Pods { namespaces, pods };
    let hole = IpBlock { cidr: block("10.1.0.0/23"), except: vec![block("10.1.0.0/26")] };
    vec![
        pods(None, Some(not_in("app", &["web"]))),
        pods(Some(not_in("team", &["x", "y"])), None),
        pods(Some(exists("team")), Some(Selector::of(&[("app", "")]))),
        pods(Some(Selector::everything()), Some(is_in("app", &["web", "db"]))),
        PeerKind::Block(hole),
    ]
}

fn ports() -> Vec<PortEntry> {
    let entry = |protocol, port| PortEntry { protocol, protocol_defaulted: false, port, origin: Origin::default() };
    vec![
        entry(Protocol::Tcp, PortMatch::Named(Str::from("http"))),
        entry(Protocol::Tcp, PortMatch::Range(81, 82)),
        entry(Protocol::Udp, PortMatch::Any),
    ]
}

/// None, each one, and each two of a list.
fn up_to_two<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    let mut out = vec![Vec::new()];
    for (i, a) in list.iter().enumerate() {
        out.push(vec![a.clone()]);
        out.extend(list[i + 1..].iter().map(|b| vec![a.clone(), b.clone()]));
    }
    out
}

/// Every rule of at most two peers and two ports.
pub fn rules() -> Vec<Rule> {
    let mut out = Vec::new();
    for peers in up_to_two(&peers()) {
        for ports in up_to_two(&ports()) {
            let of = |kind: &PeerKind| Peer { kind: kind.clone(), origin: Origin::default() };
            out.push(Rule {
                peers: if peers.is_empty() {
                    Peers::Any(Presence::Absent)
                } else {
                    Peers::Of(peers.iter().map(of).collect())
                },
                ports: if ports.is_empty() { Ports::Any(Presence::Empty) } else { Ports::Of(ports.clone()) },
                origin: Origin::default(),
            });
        }
    }
    out
}

fn policy(subject: Selector, direction: Direction, rules: Vec<Rule>) -> NetworkPolicy {
    let (ingress, egress) = match direction {
        Direction::Ingress => (rules, Vec::new()),
        Direction::Egress => (Vec::new(), rules),
    };
    NetworkPolicy {
        namespace: NamespaceId(0),
        name: Str::from("policy"),
        subject,
        isolates_ingress: direction == Direction::Ingress,
        isolates_egress: direction == Direction::Egress,
        ingress,
        egress,
        written: Written::default(),
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    }
}

/// Flows between `a/pod-0` or `a/pod-2` and everyone, in one direction of seeing.
fn flows(world: &World, direction: Direction) -> Vec<Flow> {
    let l4 = [(Protocol::Tcp, 80), (Protocol::Tcp, 81), (Protocol::Udp, 80), (Protocol::Tcp, 83)];
    let mut others: Vec<Endpoint> = (0..world.pods.len()).map(|i| Endpoint::Pod(PodId::at(i))).collect();
    others.push(Endpoint::External("10.1.0.65".parse().unwrap_or(std::net::IpAddr::from([10, 1, 0, 65]))));
    others.push(Endpoint::External(std::net::IpAddr::from([10, 1, 2, 1])));
    let mut out = Vec::new();
    for subject in [PodId(0), PodId(2)].map(Endpoint::Pod) {
        for &other in &others {
            let (from, to) = match direction {
                Direction::Ingress => (other, subject),
                Direction::Egress => (subject, other),
            };
            let flow = |(protocol, port)| Flow { from, to, l4: L4::Port(protocol, port), via_service: true };
            out.extend(l4.into_iter().map(flow));
        }
    }
    out
}

/// Holds the candidate against the oracle on every policy. Of the pairs of rules only every `stride`-th is taken (1: all).
pub fn enumerate<C>(stride: usize, candidate: C) -> Result<Enumerated, Box<Mismatch>>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let mut done = Enumerated::default();
    let mut world = world();
    let rules = rules();
    let subjects = [Selector::everything(), Selector::of(&[("app", "web")]), not_in("app", &["web"]), exists("app")];
    for direction in Direction::BOTH {
        let flows = flows(&world, direction);
        let mut judge = |policy: NetworkPolicy| {
            world.policies = vec![policy];
            done.policies += 1;
            done.verdicts += flows.len() as u64;
            compare_world(&world, &flows, &candidate)
        };
        for subject in &subjects {
            judge(policy(subject.clone(), direction, Vec::new()))?;
            for rule in &rules {
                judge(policy(subject.clone(), direction, vec![rule.clone()]))?;
            }
        }
        let pairs = rules.iter().enumerate().flat_map(|(i, a)| rules[i + 1..].iter().map(move |b| (a, b)));
        for (a, b) in pairs.step_by(stride.max(1)) {
            judge(policy(Selector::of(&[("app", "web")]), direction, vec![a.clone(), b.clone()]))?;
        }
    }
    Ok(done)
}
