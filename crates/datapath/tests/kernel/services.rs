//! A Service by nftables, as kube-proxy makes it, on routed cables: the backend decides (rows 88 to 91).

use crate::lab::{Lab, can_run, inside, ip, run};
use crate::live::exchange;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use watertight_datapath::kernel::Loader;
use watertight_datapath::{Count, Drop, Image, Local, Options};
use watertight_model::World;
use watertight_model::service::ServiceKind;
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::{policy, rule};

const PODS: [&str; 3] = ["10.1.0.2", "10.1.0.3", "10.1.0.4"];

fn nft(lab: &Lab, rules: &str) {
    for line in rules.lines() {
        let all: Vec<&str> = ["netns", "exec", &lab.node, "nft"].into_iter().chain(line.split_whitespace()).collect();
        run("ip", &all);
    }
}

fn service(world: &World, name: &str, address: &str) -> watertight_model::Service {
    watertight_model::Service {
        namespace: world.namespace("shop").unwrap(),
        name: name.into(),
        kind: ServiceKind::ClusterIp,
        headless: false,
        cluster_ips: vec![address.parse().unwrap()],
        selector: None,
        ports: Vec::new(),
        external_ips: Vec::new(),
        source_ranges: Vec::new(),
        local_traffic: false,
        external_name: None,
        origin: watertight_model::Origin::default(),
    }
}

/// `a` may send to `backend` only.
fn world(backend: &str) -> World {
    let mut builder = WorldBuilder::new().namespace("shop", &[]).node("n1", &[], &["169.254.1.1"]);
    for (name, address) in ["a", "b", "c"].iter().zip(PODS) {
        builder = builder.pod(&format!("shop/{name}"), &[("app", name)]).on("n1").ip(address);
    }
    let egress = policy("shop/a-out").select(&[("app", "a")]).types(&[watertight_model::Direction::Egress]);
    let mut world = builder.policy(egress.egress(rule().pods(&[("app", backend)]).tcp(8080))).build();
    world.services = vec![
        service(&world, "to-b", "10.96.0.10"),
        service(&world, "to-c", "10.96.0.11"),
        service(&world, "to-none", "10.96.0.12"),
    ];
    world
}

fn routed() -> (Lab, Vec<(u32, [u8; 6])>) {
    let mut lab = Lab::new();
    let devices = ["a", "b", "c"].iter().zip(PODS).map(|(pod, address)| {
        let device = lab.pod(pod, &[&format!("{address}/32")], None);
        let (node, namespace) = (lab.node.clone(), lab.pod_namespace(pod));
        ip(&format!("-n {node} addr add 169.254.1.1/32 dev v{pod}"));
        ip(&format!("-n {node} route add {address}/32 dev v{pod}"));
        ip(&format!("-n {namespace} route add 169.254.1.1 dev eth0 scope link"));
        ip(&format!("-n {namespace} route add default via 169.254.1.1"));
        device
    });
    let devices = devices.collect();
    // A Service without endpoints goes where the default route goes; here toward `c`.
    ip(&format!("-n {} route add 10.96.0.12/32 dev vc", lab.node));
    run("ip", &["netns", "exec", &lab.node, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    nft(
        &lab,
        "add table ip nat
add chain ip nat pre { type nat hook prerouting priority -100 ; }
add rule ip nat pre ip daddr 10.96.0.10 tcp dport 80 dnat to 10.1.0.3:8080
add rule ip nat pre ip daddr 10.96.0.11 tcp dport 80 dnat to 10.1.0.4:8080",
    );
    (lab, devices)
}

/// From `a` to a Service; the listener stands at the backend.
fn connect(lab: &Lab, service: &str, backend: usize) -> Option<(TcpStream, TcpStream)> {
    let pod = lab.pod_namespace(["a", "b", "c"][backend]);
    let listener = inside(&pod, || TcpListener::bind((PODS[backend], 8080)).unwrap());
    listener.set_nonblocking(true).unwrap();
    inside(&lab.pod_namespace("a"), || {
        let address = format!("{service}:80").parse().unwrap();
        let mut client = TcpStream::connect_timeout(&address, Duration::from_millis(600)).ok()?;
        let (mut server, _) = listener.accept().unwrap();
        server.set_nonblocking(false).unwrap();
        exchange(&mut client, &mut server).then_some((client, server))
    })
}

#[test]
fn the_backend_decides_and_nobody_else() {
    if !can_run("the_backend_decides_and_nobody_else") {
        return;
    }
    let (lab, devices) = routed();
    let mut loader = Loader::open(&lab.dir()).unwrap();
    inside(&lab.node, || devices.iter().for_each(|(ifindex, _)| loader.attach(*ifindex).unwrap()));
    let compile = |world: &World| {
        let shop = world.namespace("shop").unwrap();
        let locals: Vec<Local> = ["a", "b", "c"]
            .iter()
            .zip(&devices)
            .map(|(name, (ifindex, mac))| Local {
                pod: world.pod(shop, name).unwrap(),
                ifindex: *ifindex,
                mac: Some(*mac),
                addresses: Vec::new(),
            })
            .collect();
        Image::compile(world, &locals, &Options::default()).unwrap()
    };
    loader.apply(&compile(&world("b"))).unwrap();
    assert!(connect(&lab, "10.96.0.10", 1).is_none(), "closed without the netfilter programs");
    assert!(loader.drops().unwrap()[&Drop::ServiceUndecided] > 0);

    inside(&lab.node, || loader.attach_services().unwrap());
    let (mut client, mut server) = connect(&lab, "10.96.0.10", 1).expect("the backend is allowed");
    assert!(connect(&lab, "10.96.0.11", 2).is_none(), "another backend");
    let status = loader.status().unwrap();
    assert!(status.counts[&Count::Decided] >= 2, "{:?}", status.counts);
    assert!(status.drops[&Drop::Policy] > 0);
    let undecided = status.drops[&Drop::ServiceUndecided];
    assert!(connect(&lab, "10.96.0.12", 1).is_none(), "a Service without endpoints");
    assert!(loader.drops().unwrap()[&Drop::ServiceUndecided] > undecided, "and nobody could judge it");
    let edge = loader.edges().unwrap().into_iter().find(|e| e.key.peer.to_string() == PODS[1] && e.key.port == 8080);
    let edge = edge.expect("the ledger has the backend and its port");
    assert_eq!(loader.answer(edge.key.answer).unwrap().text(), "policyAllow NetworkPolicy shop/a-out egress[0]");

    // Live flows are judged again by their backends, whatever the Service.
    loader.apply(&compile(&world("b"))).unwrap();
    assert!(exchange(&mut client, &mut server), "still allowed");
    loader.apply(&compile(&world("c"))).unwrap();
    assert!(!exchange(&mut client, &mut server), "cut");
    assert!(connect(&lab, "10.96.0.11", 2).is_some(), "and the other is open");
}

/// A flow to a Service from before egress was restricted: its backend is asked for now, and it goes on.
#[test]
fn a_flow_from_before_the_policy_is_judged_by_its_backend() {
    if !can_run("a_flow_from_before_the_policy_is_judged_by_its_backend") {
        return;
    }
    let (lab, devices) = routed();
    let mut loader = Loader::open(&lab.dir()).unwrap();
    inside(&lab.node, || {
        devices.iter().for_each(|(ifindex, _)| loader.attach(*ifindex).unwrap());
        loader.attach_services().unwrap();
    });
    let compile = |world: &World| {
        let shop = world.namespace("shop").unwrap();
        let pods = ["a", "b", "c"].iter().zip(&devices);
        let local = |(name, (ifindex, mac)): (&&str, &(u32, [u8; 6]))| Local {
            pod: world.pod(shop, name).unwrap(),
            ifindex: *ifindex,
            mac: Some(*mac),
            addresses: Vec::new(),
        };
        Image::compile(world, &pods.map(local).collect::<Vec<_>>(), &Options::default()).unwrap()
    };
    let mut free = world("b");
    free.policies.clear();
    loader.apply(&compile(&free)).unwrap();
    let (mut client, mut server) = connect(&lab, "10.96.0.10", 1).expect("egress is free");
    let (mut other, mut its_server) = connect(&lab, "10.96.0.11", 2).expect("egress is free");
    loader.apply(&compile(&world("b"))).unwrap();
    assert!(exchange(&mut client, &mut server), "its backend is allowed");
    assert!(!exchange(&mut other, &mut its_server), "its backend is not");
}
