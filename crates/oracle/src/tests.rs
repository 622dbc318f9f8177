//! The small functions, each with its twin. Whole verdicts, row by row: `tests/rows.rs`.

use crate::matching::{blocks_match, labels_match, named, namespace_matches, port_is, unreadable};
use crate::tri::Tri::{self, No, Unclear, Yes};
use std::net::IpAddr;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::pod::Dns;
use watertight_model::policy::BlockCidr;
use watertight_model::*;

fn unclear() -> Tri {
    Tri::unclear(DependsOn::MappedBlock)
}

#[test]
fn kleene() {
    for (a, b, and, or) in [
        (Yes, Yes, Yes, Yes),
        (Yes, No, No, Yes),
        (No, No, No, No),
        (Yes, unclear(), unclear(), Yes),
        (No, unclear(), No, unclear()),
    ] {
        assert_eq!(a.clone().and(b.clone()), and, "{a:?} and {b:?}");
        assert_eq!(b.clone().and(a.clone()), and, "{b:?} and {a:?}");
        assert_eq!(a.clone().or(b.clone()), or, "{a:?} or {b:?}");
        assert_eq!(b.clone().or(a.clone()), or, "{b:?} or {a:?}");
    }
    assert_eq!((Yes.not(), No.not(), unclear().not()), (No, Yes, unclear()));
    assert_eq!(Tri::any([]), No);
    let other = Tri::unclear(DependsOn::DomainName);
    assert_eq!(unclear().and(other), Unclear(vec![DependsOn::MappedBlock, DependsOn::DomainName]));
}

fn selector(key: &str, op: Op) -> Selector {
    Selector { requirements: vec![Requirement { key: key.into(), op, from_labels: false }] }
}

fn values(all: &[&str]) -> Vec<Str> {
    all.iter().map(|v| Str::from(*v)).collect()
}

#[test]
fn requirements_rows_31_to_39() {
    let pod = Labels::of(&[("app", "web"), ("empty", "")]);
    let cases = [
        (selector("app", Op::In(values(&["web"]))), true),
        (selector("app", Op::In(values(&["db"]))), false),
        (selector("app", Op::In(values(&["db", "web"]))), true),
        (selector("none", Op::In(values(&["web"]))), false),
        (selector("app", Op::NotIn(values(&["web"]))), false),
        (selector("app", Op::NotIn(values(&["db"]))), true),
        (selector("none", Op::NotIn(values(&["web"]))), true),
        (selector("app", Op::Exists), true),
        (selector("empty", Op::Exists), true),
        (selector("none", Op::Exists), false),
        (selector("app", Op::DoesNotExist), false),
        (selector("empty", Op::DoesNotExist), false),
        (selector("none", Op::DoesNotExist), true),
        (Selector::of(&[("empty", "")]), true),
        (Selector::of(&[("none", "")]), false),
        (Selector::of(&[("app", "")]), false),
        (Selector::everything(), true),
    ];
    for (selector, expected) in cases {
        assert_eq!(labels_match(&selector, &pod), expected, "{selector:?}");
        assert!(!unreadable(&selector));
        let twice = [selector.requirements.clone(), Selector::of(&[("app", "db")]).requirements].concat();
        assert!(!labels_match(&Selector { requirements: twice }, &pod), "and something that does not hold");
    }
    assert!(unreadable(&selector("app", Op::Unknown("Like".into()))));
}

fn namespace(declared: bool) -> Namespace {
    Namespace {
        name: "shop".into(),
        labels: Labels::of(&[(NAMESPACE_NAME_LABEL, "shop"), ("team", "a")]),
        annotations: Labels::default(),
        declared,
        terminating: false,
        origin: None,
    }
}

#[test]
fn undeclared_namespaces_know_their_name_only() {
    let world = World { namespaces: vec![namespace(true), namespace(false)], ..World::default() };
    let (declared, undeclared) = (NamespaceId(0), NamespaceId(1));
    let doubt = Tri::unclear(DependsOn::NamespaceLabels(undeclared));
    let name = |n: &str| Selector::of(&[(NAMESPACE_NAME_LABEL, n)]);
    let team = Selector::of(&[("team", "a")]);
    for (selector, known, unknown) in [
        (Selector::everything(), Yes, Yes),
        (name("shop"), Yes, Yes),
        (name("bank"), No, No),
        (team, Yes, doubt.clone()),
        (selector("team", Op::DoesNotExist), No, doubt.clone()),
        (Selector::of(&[(NAMESPACE_NAME_LABEL, "bank"), ("team", "a")]), No, No),
        (Selector::of(&[(NAMESPACE_NAME_LABEL, "shop"), ("team", "a")]), Yes, doubt),
    ] {
        assert_eq!(namespace_matches(&world, &selector, declared), known, "{selector:?}");
        assert_eq!(namespace_matches(&world, &selector, undeclared), unknown, "{selector:?}");
    }
}

fn pod(ips: &[&str]) -> Pod {
    Pod {
        name: "web".into(),
        namespace: NamespaceId(0),
        workload: WorkloadId(0),
        labels: Labels::default(),
        uid: None,
        node: None,
        host_network: false,
        ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        ports: Vec::new(),
        finished: false,
        terminating: false,
        template: false,
        dns: Dns::default(),
        node_privilege: None,
        origin: Origin::default(),
    }
}

fn block(text: &str) -> BlockCidr {
    BlockCidr { cidr: text.parse().unwrap(), mapped: None, sloppy: false, origin: Origin::default() }
}

fn ask(world: &World, cidr: &str, except: &[&str], end: Endpoint) -> Tri {
    let except: Vec<BlockCidr> = except.iter().map(|e| block(e)).collect();
    blocks_match(world, &[(&block(cidr), &except)], end)
}

#[test]
fn known_addresses_are_compared_one_by_one() {
    let world = World { pods: vec![pod(&["10.1.0.1"]), pod(&["10.1.0.1", "fd00::1"])], ..World::default() };
    let (one, both) = (Endpoint::Pod(PodId(0)), Endpoint::Pod(PodId(1)));
    let some = Tri::unclear(DependsOn::PodAddress(PodId(1)));
    assert_eq!(ask(&world, "10.1.0.0/24", &[], one), Yes);
    assert_eq!(ask(&world, "10.2.0.0/24", &[], one), No);
    assert_eq!(ask(&world, "10.1.0.0/24", &["10.1.0.0/31"], one), No, "row 72");
    assert_eq!(ask(&world, "10.1.0.0/24", &["10.1.0.2/31"], one), Yes, "row 71");
    assert_eq!(ask(&world, "10.1.0.0/24", &["10.1.0.2/31", "10.1.0.0/30"], one), No, "row 81");
    assert_eq!(ask(&world, "0.0.0.0/0", &[], both), some, "row 76: no IPv6 in it");
    assert_eq!(ask(&world, "fd00::/8", &[], both), some);
    assert_eq!(ask(&world, "192.168.0.0/16", &[], both), No);
    let outside: IpAddr = "203.0.113.1".parse().unwrap();
    assert_eq!(ask(&world, "0.0.0.0/0", &[], Endpoint::External(outside)), Yes);
    assert_eq!(ask(&world, "::/0", &[], Endpoint::External(outside)), No);
}

#[test]
fn an_unknown_address_is_somewhere_in_the_space_of_pods() {
    let mut world = World { pods: vec![pod(&[])], ..World::default() };
    let end = Endpoint::Pod(PodId(0));
    let doubt = Tri::unclear(DependsOn::PodAddress(PodId(0)));
    // No space is given: the private ranges.
    assert_eq!(ask(&world, "0.0.0.0/0", &[], end), Yes);
    assert_eq!(ask(&world, "0.0.0.0/0", &["203.0.113.0/24"], end), Yes, "the hole touches no pod");
    assert_eq!(ask(&world, "0.0.0.0/0", &["192.168.7.0/24"], end), doubt);
    assert_eq!(ask(&world, "203.0.113.0/24", &[], end), No);
    assert_eq!(ask(&world, "10.0.0.0/8", &[], end), doubt);
    assert_eq!(ask(&world, "::/0", &[], end), No);
    // A space of two blocks.
    world.pod_cidrs = vec!["10.1.0.0/24".parse().unwrap(), "10.9.0.0/24".parse().unwrap()];
    assert_eq!(ask(&world, "10.0.0.0/8", &[], end), Yes);
    assert_eq!(ask(&world, "10.1.0.0/16", &[], end), doubt);
    assert_eq!(ask(&world, "10.2.0.0/16", &[], end), No);
    assert_eq!(ask(&world, "10.0.0.0/8", &["10.2.0.0/16"], end), Yes);
    assert_eq!(ask(&world, "10.1.0.0/16", &["10.1.0.0/25", "10.1.0.128/25"], end), No, "holes cover what it shares");
    assert_eq!(ask(&world, "10.1.0.0/16", &["10.1.0.0/25", "10.1.0.192/26"], end), doubt);
    assert_eq!(ask(&world, "10.1.0.255/32", &[], end), doubt, "the last address");
    // The ends of the number space.
    world.pod_cidrs = vec![Cidr::all(Family::V4)];
    assert_eq!(ask(&world, "0.0.0.0/0", &[], end), Yes);
    assert_eq!(ask(&world, "0.0.0.0/0", &["255.255.255.255/32"], end), doubt);
    world.pod_cidrs = vec![Cidr::all(Family::V6)];
    assert_eq!(ask(&world, "::/0", &[], end), Yes);
    assert_eq!(ask(&world, "ffff::/16", &[], end), doubt);
}

#[test]
fn hosts() {
    let mut host = pod(&[]);
    host.host_network = true;
    host.node = Some(NodeId(0));
    let lost = Pod { node: None, ..host.clone() };
    let node = |addresses: &[&str]| Node {
        name: "node".into(),
        labels: Labels::default(),
        annotations: Labels::default(),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        pod_cidrs: Vec::new(),
        origin: Origin::default(),
    };
    let nodes = vec![node(&["192.168.1.1", "203.0.113.9"]), node(&[])];
    let world = World { pods: vec![host, lost], nodes, pod_cidrs: vec![Cidr::all(Family::V4)], ..World::default() };
    let (first, second) = (Endpoint::Node(NodeId(0)), Endpoint::Node(NodeId(1)));
    let (host, lost) = (Endpoint::Pod(PodId(0)), Endpoint::Pod(PodId(1)));
    for end in [first, host] {
        assert_eq!(ask(&world, "0.0.0.0/0", &[], end), Yes);
        assert_eq!(ask(&world, "192.168.1.0/24", &[], end), Tri::unclear(DependsOn::NodeAddress(NodeId(0))));
        assert_eq!(ask(&world, "10.0.0.0/8", &[], end), No);
    }
    assert_eq!(ask(&world, "0.0.0.0/0", &[], second), Yes);
    assert_eq!(ask(&world, "10.0.0.0/8", &[], second), Tri::unclear(DependsOn::NodeAddress(NodeId(1))));
    assert_eq!(ask(&world, "203.0.113.0/24", &[], lost), Tri::unclear(DependsOn::PodAddress(PodId(1))));
    assert_eq!(ask(&world, "::/0", &[], lost), No);
}

#[test]
fn mapped_blocks_row_82() {
    let mapped = BlockCidr { mapped: Some("10.0.0.0/8".parse().unwrap()), ..block("::ffff:10.0.0.0/104") };
    let world = World::default();
    let asked = |block: &BlockCidr, except: &[BlockCidr], address: &str| {
        blocks_match(&world, &[(block, except)], Endpoint::External(address.parse().unwrap()))
    };
    assert_eq!(asked(&mapped, &[], "10.9.9.9"), unclear());
    assert_eq!(asked(&mapped, &[], "::ffff:10.9.9.9"), unclear());
    assert_eq!(asked(&mapped, &[], "11.0.0.1"), No);
    assert_eq!(asked(&mapped, &[], "fd00::1"), No);
    assert_eq!(asked(&block("::/0"), &[mapped], "::ffff:10.9.9.9"), unclear(), "as a hole");
    assert_eq!(asked(&block("::/0"), &[mapped], "fd00::1"), Yes);
    assert_eq!(asked(&block("::/0"), &[mapped], "10.9.9.9"), No);
}

#[test]
fn named_ports_rows_54_to_60() {
    let port = |container, name: &str, protocol, port| ContainerPort {
        name: Some(name.into()),
        port,
        protocol,
        host_port: None,
        container,
    };
    use ContainerKind::{Init, Regular, Sidecar};
    let mut pod = pod(&[]);
    pod.ports = vec![
        port(Regular, "dns", Protocol::Udp, 53),
        port(Regular, "dns", Protocol::Tcp, 5353),
        port(Regular, "dns", Protocol::Tcp, 5454),
        port(Init, "setup", Protocol::Tcp, 1),
        port(Sidecar, "dns", Protocol::Sctp, 99),
    ];
    let pod = Some(&pod);
    assert_eq!(named(pod, "dns", Protocol::Tcp, false), [5353]);
    assert_eq!(named(pod, "dns", Protocol::Tcp, true), [5353, 5454]);
    assert_eq!(named(pod, "dns", Protocol::Udp, false), [53]);
    assert_eq!(named(pod, "dns", Protocol::Sctp, false), [99]);
    assert_eq!(named(pod, "setup", Protocol::Tcp, false), []);
    assert_eq!(named(pod, "setup", Protocol::Tcp, true), [1]);
    assert_eq!(named(pod, "http", Protocol::Tcp, true), []);
    assert_eq!(named(None, "dns", Protocol::Tcp, true), []);
    let is = |port: &PortMatch, actual| port_is(port, pod, Protocol::Tcp, actual);
    assert!(is(&PortMatch::Named("dns".into()), 5353) && !is(&PortMatch::Named("dns".into()), 53));
    let range = PortMatch::Range(80, 90);
    assert!(is(&range, 80) && is(&range, 90) && !is(&range, 79) && !is(&range, 91));
    assert!(is(&PortMatch::Any, 0) && is(&PortMatch::Any, u16::MAX));
}
