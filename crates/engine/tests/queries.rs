//! Questions in people's terms: Services decide on their backends (rows 88 to 95), workloads stand for their pods.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use watertight_engine::query::{Answer, Question, Target, answer, distance, near};
use watertight_engine::service::backends;
use watertight_engine::{Engine, query};
use watertight_model::service::{EndpointSlice, ServiceKind, ServicePort, SliceEndpoint, TargetPort};
use watertight_model::{
    Labels, Origin, Protocol, Reason, Selector, Service, ServiceId, Str, Verdict, WorkloadKind, World,
};
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::{admin, deny, policy, rule};

fn service(world: &mut World, name: &str, selector: Option<Labels>, ports: &[(u16, TargetPort)]) {
    let port = |(port, target): &(u16, TargetPort)| ServicePort {
        name: None,
        protocol: Protocol::Tcp,
        port: *port,
        target: target.clone(),
        node_port: None,
        origin: Origin::default(),
    };
    world.services.push(Service {
        namespace: world.namespace("shop").unwrap(),
        name: Str::from(name),
        kind: ServiceKind::ClusterIp,
        headless: false,
        cluster_ips: vec!["10.96.0.10".parse().unwrap()],
        selector,
        ports: ports.iter().map(port).collect(),
        external_ips: Vec::new(),
        source_ranges: Vec::new(),
        local_traffic: false,
        external_name: None,
        origin: Origin::default(),
    });
}

fn cluster(policies: impl FnOnce(WorldBuilder) -> WorldBuilder) -> World {
    let builder = WorldBuilder::new()
        .namespace("shop", &[])
        .pod("shop/client", &[("app", "client")])
        .ip("10.0.0.1")
        .pod("shop/db-0", &[("app", "db"), ("role", "primary")])
        .ip("10.0.0.2")
        .port("sql", 5432)
        .owned_by(WorkloadKind::StatefulSet, "db")
        .pod("shop/db-1", &[("app", "db"), ("role", "replica")])
        .ip("10.0.0.3")
        .port("sql", 5433)
        .owned_by(WorkloadKind::StatefulSet, "db");
    let mut world = policies(builder).build();
    service(&mut world, "db", Some(Labels::of(&[("app", "db")])), &[(80, TargetPort::Named(Str::from("sql")))]);
    world
}

fn ask(world: &World, from: &str, to: &str, port: u16) -> Answer {
    let engine = Engine::new(world);
    let target = |text: &str| Target::parse(&engine, text).unwrap();
    answer(&engine, &Question { from: target(from), to: target(to), protocol: Some(Protocol::Tcp), port })
}

/// Row 88: the Service's port is translated to each pod's own, by name.
#[test]
fn a_service_stands_for_its_backends_and_their_ports() {
    let world = cluster(|b| b);
    let engine = Engine::new(&world);
    let ports: Vec<u16> = backends(&engine, ServiceId(0)).iter().map(|b| b.port).collect();
    assert_eq!(ports, [5432, 5433]);
    assert_eq!(ask(&world, "shop/client", "service:shop/db", 80).verdict, Verdict::Allow);
    let none = ask(&world, "shop/client", "service:shop/db", 81);
    assert_eq!(none.verdict, Verdict::Deny);
    assert!(none.cases.is_empty());
    assert_eq!(
        none.sentence,
        "shop/client to Service shop/db, TCP 81: denied, the Service has no backend on this port"
    );
}

/// Row 89: allowed when one backend is chosen, denied when the other is.
#[test]
fn backends_that_differ_make_it_depend() {
    let to = |role: &'static str| {
        cluster(move |b| {
            b.policy(policy("shop/out").select(&[("app", "client")]).egress(rule().pods(&[("role", role)])))
        })
    };
    let answer = ask(&to("primary"), "shop/client", "service:shop/db", 80);
    assert_eq!((answer.verdict, answer.cases.len()), (Verdict::Depends, 2));
    assert_eq!(ask(&to("nobody"), "shop/client", "service:shop/db", 80).verdict, Verdict::Deny);
}

/// Row 90: a block that covers the Service's address and not the backends admits nothing; a cluster Deny on it denies.
#[test]
fn the_service_address_does_not_admit_but_a_deny_on_it_closes() {
    let admits = |block: &'static str| {
        cluster(move |b| b.policy(policy("shop/out").select(&[("app", "client")]).egress(rule().block(block, &[]))))
    };
    for to in ["service:shop/db", "ip:10.96.0.10"] {
        assert_eq!(ask(&admits("10.96.0.0/16"), "shop/client", to, 80).verdict, Verdict::Deny, "{to}");
        assert_eq!(ask(&admits("10.0.0.0/24"), "shop/client", to, 80).verdict, Verdict::Allow, "{to}");
    }
    let closed = |block: &'static str| {
        cluster(move |b| {
            let everyone = Selector::everything();
            let rule = deny().networks(&[block]);
            b.cluster_policy(admin("no-services", 5).subject(everyone.clone(), everyone).egress(rule))
        })
    };
    let denied = ask(&closed("10.96.0.0/16"), "shop/client", "service:shop/db", 80);
    assert_eq!((denied.verdict, denied.cases[0].verdict.egress.reason), (Verdict::Deny, Reason::AdminDeny));
    assert_eq!(ask(&closed("10.97.0.0/16"), "shop/client", "service:shop/db", 80).verdict, Verdict::Allow);
}

/// Row 91: hand-written endpoints are judged by who stands there.
#[test]
fn hand_written_endpoints_are_the_real_destination() {
    let build = |block: &'static str| {
        let mut world = cluster(move |b| {
            b.policy(policy("shop/out").select(&[("app", "client")]).egress(rule().block(block, &[])))
        });
        world.services.clear();
        service(&mut world, "outside", None, &[(80, TargetPort::Number(80))]);
        world.endpoint_slices.push(EndpointSlice {
            namespace: world.namespace("shop").unwrap(),
            name: Str::from("outside-1"),
            service: Some(Str::from("outside")),
            endpoints: vec![SliceEndpoint { addresses: vec!["203.0.113.9".parse().unwrap()], pod: None, ready: true }],
            ports: vec![(None, Protocol::Tcp, Some(8443))],
            managed: false,
            origin: Origin::default(),
        });
        world
    };
    assert_eq!(ask(&build("203.0.113.0/24"), "shop/client", "service:shop/outside", 80).verdict, Verdict::Allow);
    assert_eq!(ask(&build("10.96.0.0/16"), "shop/client", "service:shop/outside", 80).verdict, Verdict::Deny);
}

/// Rows 92 to 94: a pod's own address is open, the same pod through its Service is not.
#[test]
fn a_hairpin_is_subject_to_policy() {
    let world = cluster(|b| b.policy(policy("shop/closed").select(&[("role", "primary")])));
    assert_eq!(ask(&world, "shop/db-0", "ip:10.0.0.2", 5432).verdict, Verdict::Allow);
    let through = ask(&world, "shop/db-0", "service:shop/db", 80);
    assert_eq!(through.verdict, Verdict::Depends, "{through:?}");
    let own = through.cases.iter().find(|c| c.flow.from == c.flow.to).unwrap();
    assert_eq!((own.verdict.verdict, own.verdict.ingress.reason), (Verdict::Deny, Reason::PolicyDeny));
}

#[test]
fn a_workload_stands_for_its_pods() {
    let world = cluster(|b| b.policy(policy("shop/closed").select(&[("role", "primary")])));
    let answer = ask(&world, "shop/client", "shop/db", 5432);
    assert_eq!((answer.verdict, answer.cases.len()), (Verdict::Depends, 2));
    assert_eq!(answer.cases.iter().map(|c| c.count).sum::<usize>(), 2);
    assert!(answer.sentence.contains("the pods differ"), "{}", answer.sentence);
    assert_eq!(ask(&world, "shop/client", "StatefulSet/shop/db", 5432).verdict, Verdict::Depends);
}

#[test]
fn unknown_names_offer_near_ones() {
    let world = cluster(|b| b);
    let engine = Engine::new(&world);
    let unknown = |text: &str| Target::parse(&engine, text).unwrap_err();
    assert_eq!(unknown("shop/clinet").near[0], "shop/client");
    assert_eq!(unknown("shpo/client").why, "no such namespace");
    assert_eq!(unknown("shpo/client").near, ["shop/client"]);
    assert_eq!(unknown("ip:10.0.0").why, "not an IP address");
    assert_eq!(unknown("client").near, Vec::<String>::new());
    assert_eq!(unknown("service:shop/dbb").near, ["service:shop/db"]);
    assert_eq!((distance("kitten", "sitting"), distance("ab", "ba"), distance("", "abc")), (3, 1, 3));
    assert!(near("zzz", ["shop/db".to_owned()].into_iter()).is_empty());
    let sentence = query::why(&engine, &engine.decide(&ask(&world, "shop/client", "shop/db-0", 1).cases[0].flow));
    assert_eq!(sentence, "no policy has a say");
}
