//! Ways in from outside, against brute force: every address at which anything could change, one by one, as the oracle decides.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_engine::Engine;
use watertight_engine::entry::{By, Doubt, Entry, entries};
use watertight_model::policy::Peers;
use watertight_model::service::{ServiceKind, ServicePort, TargetPort};
use watertight_model::{
    ClusterPeer, Endpoint, Flow, L4, Labels, NodeId, Origin, PeerKind, PodId, Protocol, Service, Str, Verdict, World,
    addr,
};
use watertight_testkit::WorldBuilder;
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{policy, rule};

fn balancer(world: &World, pod: PodId, name: &str, kept: bool, ranges: &[&str]) -> Service {
    let pod = &world.pods[pod.index()];
    let port = |number| ServicePort {
        name: Some(Str::from(format!("p{number}"))),
        protocol: Protocol::Tcp,
        port: number,
        target: TargetPort::Number(number),
        node_port: None,
        origin: Origin::default(),
    };
    Service {
        namespace: pod.namespace,
        name: Str::from(name),
        kind: ServiceKind::LoadBalancer,
        headless: false,
        cluster_ips: Vec::new(),
        selector: Some(pod.labels.clone()).filter(|l| !l.is_empty()),
        ports: [80, 443, 8080].map(port).to_vec(),
        external_ips: Vec::new(),
        source_ranges: ranges.iter().map(|r| r.parse().unwrap()).collect(),
        local_traffic: kept,
        external_name: None,
        origin: Origin::default(),
    }
}

/// Addresses just inside and outside of every block that any rule names.
fn corners(world: &World) -> Vec<IpAddr> {
    let mut blocks = Vec::new();
    for rule in world.policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)) {
        if let Peers::Of(peers) = &rule.peers {
            for peer in peers {
                if let PeerKind::Block(block) = &peer.kind {
                    blocks.push(block.cidr.cidr);
                    blocks.extend(block.except.iter().map(|e| e.cidr));
                }
            }
        }
    }
    for rule in world.cluster_policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)) {
        blocks.extend(rule.peers.iter().flat_map(|p| match p {
            ClusterPeer::Networks { blocks, .. } => blocks.iter().map(|b| b.cidr).collect(),
            _ => Vec::new(),
        }));
    }
    let mut out: BTreeSet<IpAddr> = ["203.0.113.7", "1.2.3.4", "2001:db8::7"].map(|a| a.parse().unwrap()).into();
    for cidr in blocks {
        let (first, last) = cidr.range();
        let most = addr::Cidr::all(cidr.family()).range().1;
        for at in [first.saturating_sub(1), first, first + 1, last.saturating_sub(1), last, last.saturating_add(1)] {
            out.insert(addr::address(cidr.family(), at.min(most)));
        }
    }
    out.into_iter().collect()
}

fn best(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let all: Vec<Verdict> = verdicts.collect();
    [Verdict::Allow, Verdict::Depends].into_iter().find(|v| all.contains(v)).unwrap_or(Verdict::Deny)
}

#[test]
fn a_load_balancer_that_keeps_addresses_is_what_the_oracle_says_of_every_address() {
    let (mut allowed, mut denied) = (0, 0);
    for seed in 0..150 {
        let (mut world, _) = random::world(&mut Rng::new(seed), &Size::default());
        if world.pods.is_empty() {
            continue;
        }
        world.services = vec![balancer(&world, PodId(0), "lb", true, &[])];
        let engine = Engine::new(&world);
        let corners = corners(&world);
        for entry in entries(&engine) {
            let to = Endpoint::Pod(entry.pod);
            let l4 = L4::Port(entry.protocol, entry.port);
            let flow = |ip: &IpAddr| Flow { from: Endpoint::External(*ip), to, l4, via_service: true };
            let expected = best(corners.iter().map(|ip| watertight_oracle::decide(&world, &flow(ip)).verdict));
            assert_eq!(entry.verdict, expected, "seed {seed}: {entry:?}");
            assert_eq!(entry.verdict == Verdict::Depends, !entry.doubts.is_empty());
            allowed += usize::from(expected == Verdict::Allow);
            denied += usize::from(expected == Verdict::Deny);
        }
    }
    assert!(allowed > 50 && denied > 5, "{allowed} {denied}");
}

/// With a node in between the verdict is never surer than what both addresses give.
#[test]
fn a_forwarding_node_never_makes_an_answer_of_a_doubt() {
    for seed in 0..150 {
        let (mut world, _) = random::world(&mut Rng::new(seed), &Size::default());
        if world.pods.is_empty() {
            continue;
        }
        world.services = vec![balancer(&world, PodId(0), "lb", false, &[])];
        let engine = Engine::new(&world);
        for entry in entries(&engine) {
            let l4 = L4::Port(entry.protocol, entry.port);
            let from = |from| Flow { from, to: Endpoint::Pod(entry.pod), l4, via_service: true };
            let nodes = (0..world.nodes.len()).map(|i| from(Endpoint::Node(NodeId::at(i))));
            let outside = corners(&world).into_iter().map(|ip| from(Endpoint::External(ip)));
            if entry.verdict == Verdict::Allow {
                let open = |flow: Flow| watertight_oracle::decide(&world, &flow).verdict == Verdict::Allow;
                assert!(outside.clone().any(open), "seed {seed}");
                assert!(nodes.clone().next().is_none_or(|_| nodes.clone().all(open)) || outside.clone().all(open));
            }
            assert_ne!(entry.verdict, Verdict::Deny, "the node may be the pod's own");
        }
    }
}

fn shop(ranges: &[&str], kept: bool) -> World {
    let builder = WorldBuilder::new()
        .namespace("shop", &[])
        .node("n1", &[], &["10.9.0.1"])
        .pod("shop/web", &[("app", "web")])
        .ip("10.0.0.1")
        .policy(policy("shop/web").select(&[("app", "web")]).ingress(rule().block("198.51.100.0/24", &[])));
    let mut world = builder.build();
    world.services = vec![balancer(&world, PodId(0), "lb", kept, ranges)];
    world
}

fn first(world: &World) -> Entry {
    entries(&Engine::new(world))[0].clone()
}

#[test]
fn source_ranges_narrow_who_is_outside() {
    assert_eq!(first(&shop(&[], true)).verdict, Verdict::Allow);
    assert_eq!(first(&shop(&["198.51.100.128/25"], true)).verdict, Verdict::Allow);
    let elsewhere = first(&shop(&["203.0.113.0/24"], true));
    assert_eq!((elsewhere.verdict, elsewhere.by), (Verdict::Deny, By::LoadBalancer(watertight_model::ServiceId(0))));
    let hidden = first(&shop(&[], false));
    assert_eq!((hidden.verdict, hidden.doubts), (Verdict::Depends, vec![Doubt::ClientAddressHidden]));
}

#[test]
fn without_a_policy_every_way_is_open() {
    let mut world = shop(&[], false);
    world.policies.clear();
    assert_eq!(first(&world).verdict, Verdict::Allow);
    world.services[0].selector = Some(Labels::of(&[("app", "gone")]));
    assert!(entries(&Engine::new(&world)).is_empty());
}
