//! Real connections through real cables.

use crate::lab::{Lab, can_run, inside, ip};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use watertight_datapath::kernel::Loader;
use watertight_datapath::{Drop, Image, Local, Options};
use watertight_model::{Direction, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::{policy, rule};

const WAIT: Duration = Duration::from_millis(600);

/// Two pods and a stranger on a bridge.
pub(crate) struct Three {
    pub(crate) lab: Lab,
    devices: [(u32, [u8; 6]); 3],
}

pub(crate) const ADDRESSES: [&str; 3] = ["10.1.0.2", "10.1.0.3", "10.1.0.4"];

impl Three {
    pub(crate) fn new() -> Self {
        let mut lab = Lab::new();
        lab.bridge(&["10.1.0.1/24", "fd01::1/64"]);
        let devices = [2, 3, 4].map(|n| {
            let pod = ["a", "b", "c"][n - 2];
            lab.pod(pod, &[&format!("10.1.0.{n}/24"), &format!("fd01::{n}/64")], Some("br0"))
        });
        Self { lab, devices }
    }

    pub(crate) fn locals(&self, world: &World) -> Vec<Local> {
        let shop = world.namespace("shop").unwrap();
        let local = |(name, (ifindex, mac)): (&str, (u32, [u8; 6]))| Local {
            pod: world.pod(shop, name).unwrap(),
            ifindex,
            mac: Some(mac),
            addresses: Vec::new(),
        };
        ["a", "b", "c"].into_iter().zip(self.devices).map(local).collect()
    }

    pub(crate) fn loader(&self) -> Loader {
        let mut loader = Loader::open(&self.lab.dir()).unwrap();
        inside(&self.lab.node, || self.devices.iter().for_each(|(ifindex, _)| loader.attach(*ifindex).unwrap()));
        loader
    }

    pub(crate) fn ifindex(&self, pod: usize) -> u32 {
        self.devices[pod].0
    }

    pub(crate) fn pod(&self, i: usize) -> String {
        self.lab.pod_namespace(["a", "b", "c"][i])
    }

    /// Opens a connection from one namespace to a listener in another, and passes a byte there and back.
    pub(crate) fn tcp(&self, from: &str, to: usize, v6: bool, port: u16) -> bool {
        let to_ip = if v6 { format!("[fd01::{}]", to + 2) } else { ADDRESSES[to].to_owned() };
        let address: SocketAddr = format!("{to_ip}:{port}").parse().unwrap();
        let listener = inside(&self.pod(to), || listen(address));
        listener.set_nonblocking(true).unwrap();
        inside(from, || {
            let Ok(mut client) = TcpStream::connect_timeout(&address, WAIT) else { return false };
            let (mut server, _) = listener.accept().unwrap();
            server.set_nonblocking(false).unwrap();
            exchange(&mut client, &mut server)
        })
    }
}

/// The last listener there may still be on its way out.
fn listen(address: SocketAddr) -> TcpListener {
    for _ in 0..50 {
        match TcpListener::bind(address) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => std::thread::sleep(Duration::from_millis(20)),
            other => return other.unwrap(),
        }
    }
    TcpListener::bind(address).unwrap()
}

pub(crate) fn exchange(client: &mut TcpStream, server: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(WAIT)).unwrap();
    server.set_read_timeout(Some(WAIT)).unwrap();
    let mut byte = [0];
    client.write_all(b"?").is_ok()
        && server.read_exact(&mut byte).is_ok()
        && server.write_all(b"!").is_ok()
        && client.read_exact(&mut byte).is_ok()
}

pub(crate) fn world(policies: impl Fn(WorldBuilder) -> WorldBuilder) -> World {
    let mut builder = WorldBuilder::new().namespace("shop", &[]).node("n1", &[], &["10.1.0.1"]);
    for (i, name) in ["a", "b", "c"].iter().enumerate() {
        builder = builder
            .pod(&format!("shop/{name}"), &[("app", name)])
            .on("n1")
            .ip(ADDRESSES[i])
            .ip(&format!("fd01::{}", i + 2));
    }
    policies(builder).build()
}

fn only_a_to_b_on_80() -> World {
    world(|w| w.policy(policy("shop/b-in").select(&[("app", "b")]).ingress(rule().pods(&[("app", "a")]).tcp(80))))
}

#[test]
fn a_policy_allows_and_denies_real_connections() {
    if !can_run("a_policy_allows_and_denies_real_connections") {
        return;
    }
    let three = Three::new();
    let mut loader = three.loader();
    assert!(!three.tcp(&three.pod(0), 1, false, 80), "closed before any image");
    assert!(loader.drops().unwrap()[&Drop::UnknownEndpoint] > 0);

    let flat = world(|w| w);
    let image = Image::compile(&flat, &three.locals(&flat), &Options::default()).unwrap();
    let applied = loader.apply(&image).unwrap();
    assert_eq!(loader.status().unwrap().epoch, applied.epoch);
    for v6 in [false, true] {
        for (from, to, port) in [(0, 1, 80), (0, 1, 81), (2, 1, 80), (1, 0, 80)] {
            assert!(three.tcp(&three.pod(from), to, v6, port), "flat: {from} to {to} port {port}, IPv6: {v6}");
        }
    }

    let world = only_a_to_b_on_80();
    let image = Image::compile(&world, &three.locals(&world), &Options::default()).unwrap();
    loader.apply(&image).unwrap();
    for v6 in [false, true] {
        assert!(three.tcp(&three.pod(0), 1, v6, 80), "the rule admits it, IPv6: {v6}");
        assert!(!three.tcp(&three.pod(0), 1, v6, 81), "another port, IPv6: {v6}");
        assert!(!three.tcp(&three.pod(2), 1, v6, 80), "another pod, IPv6: {v6}");
        assert!(three.tcp(&three.pod(1), 2, v6, 80), "egress is not isolated, IPv6: {v6}");
        assert!(three.tcp(&three.lab.node, 1, v6, 81), "the node always may, IPv6: {v6}");
    }

    let denied = loader.edges().unwrap().into_iter().find(|e| {
        !e.key.allow && e.key.peer.to_string() == ADDRESSES[2] && e.key.port == 80 && e.key.ifindex == three.ifindex(1)
    });
    let denied = denied.expect("the denied edge is in the ledger");
    assert_eq!(denied.key.direction, Direction::Ingress);
    let answer = loader.answer(denied.key.answer).unwrap();
    assert_eq!(answer.text(), "policyDeny NetworkPolicy shop/b-in ingress");
    let texts: Vec<String> = loader
        .edges()
        .unwrap()
        .iter()
        .filter(|e| e.key.allow && e.key.peer.to_string() == ADDRESSES[0] && e.key.port == 80)
        .filter(|e| e.key.ifindex == three.ifindex(1) && e.key.direction == Direction::Ingress)
        .map(|e| loader.answer(e.key.answer).unwrap().text())
        .collect();
    assert_eq!(texts, ["defaultAllow", "policyAllow NetworkPolicy shop/b-in ingress[0]"], "before and after");
}

#[test]
fn a_tightened_policy_cuts_a_live_flow_and_a_loosened_one_does_not() {
    if !can_run("a_tightened_policy_cuts_a_live_flow_and_a_loosened_one_does_not") {
        return;
    }
    let three = Three::new();
    let mut loader = three.loader();
    let open = only_a_to_b_on_80();
    let compile = |world: &World| Image::compile(world, &three.locals(world), &Options::default()).unwrap();
    loader.apply(&compile(&open)).unwrap();
    let listener = inside(&three.pod(1), || TcpListener::bind((ADDRESSES[1], 80)).unwrap());
    let (mut client, mut server) = inside(&three.pod(0), || {
        let client = TcpStream::connect((ADDRESSES[1], 80)).unwrap();
        (client, listener.accept().unwrap().0)
    });
    assert!(exchange(&mut client, &mut server));

    let looser = world(|w| {
        w.policy(policy("shop/b-in").select(&[("app", "b")]).ingress(rule().pods(&[("app", "a")]).tcp(80)))
            .policy(policy("shop/more").select(&[("app", "b")]).ingress(rule().pods(&[("app", "c")])))
    });
    loader.apply(&compile(&looser)).unwrap();
    assert!(exchange(&mut client, &mut server), "a loosened policy breaks nothing");

    let closed = world(|w| w.policy(policy("shop/b-in").select(&[("app", "b")]).types(&[Direction::Ingress])));
    loader.apply(&compile(&closed)).unwrap();
    assert!(!exchange(&mut client, &mut server), "cut at the next packet");
    assert!(loader.drops().unwrap()[&Drop::FlowCut] > 0);

    // The other side cannot open it again from its end, though its egress is free.
    server.set_write_timeout(Some(WAIT)).unwrap();
    let _ = server.write_all(b"!");
    let mut byte = [0];
    client.set_read_timeout(Some(WAIT)).unwrap();
    assert!(client.read_exact(&mut byte).is_err());
}

#[test]
fn enforcement_outlives_the_process_and_is_taken_over() {
    if !can_run("enforcement_outlives_the_process_and_is_taken_over") {
        return;
    }
    let three = Three::new();
    let mut loader = three.loader();
    let world = only_a_to_b_on_80();
    let image = Image::compile(&world, &three.locals(&world), &Options::default()).unwrap();
    let applied = loader.apply(&image).unwrap();
    let socket = inside(&three.pod(1), || UdpSocket::bind((ADDRESSES[1], 53)).unwrap());
    socket.set_read_timeout(Some(WAIT)).unwrap();
    drop(loader);
    assert!(three.tcp(&three.pod(0), 1, false, 80), "allowed while nobody is there");
    assert!(!three.tcp(&three.pod(2), 1, false, 80), "denied while nobody is there");
    inside(&three.pod(0), || UdpSocket::bind(("0.0.0.0", 0)).unwrap().send_to(b"?", (ADDRESSES[1], 53)).unwrap());
    assert!(socket.recv(&mut [0; 8]).is_err(), "UDP is denied as well");

    let mut loader = Loader::open(&three.lab.dir()).unwrap();
    assert_eq!(loader.status().unwrap().epoch, applied.epoch, "what was published is still in force");
    let again = loader.apply(&image).unwrap();
    let third = loader.apply(&image).unwrap();
    assert_eq!(third.writes, 0, "both banks hold it: nothing to write ({} before)", again.writes);
    loader.uninstall().unwrap();
    assert!(!three.lab.dir().exists());
    assert!(three.tcp(&three.pod(2), 1, false, 80), "no trace is left");
}

/// A pod that ended while no agent ran leaves the names of its gates, and they must not be in the way of the next agent.
#[test]
fn a_device_that_went_away_meanwhile_is_forgotten() {
    if !can_run("a_device_that_went_away_meanwhile_is_forgotten") {
        return;
    }
    let mut lab = Lab::new();
    let (gone, _) = lab.pod("gone", &["10.2.0.8/24"], None);
    let (here, _) = lab.pod("here", &["10.2.0.9/24"], None);
    inside(&lab.node, || {
        let mut loader = Loader::open(&lab.dir()).unwrap();
        loader.attach(gone).unwrap();
        loader.attach(here).unwrap();
    });
    ip(&format!("-n {} link del vgone", lab.node));
    inside(&lab.node, || {
        let mut loader = Loader::open(&lab.dir()).unwrap();
        assert_eq!(loader.attached().unwrap().into_iter().collect::<Vec<_>>(), [here]);
        assert!(!loader.release(here).unwrap(), "it is there, and stays closed");
        assert!(loader.attest().unwrap().detached.is_empty());
    });
    // The same while an agent runs.
    let mut loader = inside(&lab.node, || Loader::open(&lab.dir()).unwrap());
    ip(&format!("-n {} link del vhere", lab.node));
    inside(&lab.node, || {
        assert!(loader.release(here).unwrap());
        assert!(loader.attached().unwrap().is_empty());
    });
}

#[test]
fn attestation_sees_what_is_wrong() {
    if !can_run("attestation_sees_what_is_wrong") {
        return;
    }
    let three = Three::new();
    let mut loader = three.loader();
    let world = only_a_to_b_on_80();
    loader.apply(&Image::compile(&world, &three.locals(&world), &Options::default()).unwrap()).unwrap();
    let attest = |loader: &Loader| inside(&three.lab.node, || loader.attest().unwrap());
    assert!(attest(&loader).holds(), "{:?}", attest(&loader));

    let other_dir = three.lab.dir().with_file_name("other");
    let mut other = Loader::open(&other_dir).unwrap();
    inside(&three.lab.node, || other.attach(three.ifindex(1)).unwrap());
    assert_eq!(attest(&loader).not_first.into_iter().collect::<Vec<_>>(), [three.ifindex(1)]);
    other.uninstall().unwrap();
    assert!(attest(&loader).holds());

    inside(&three.lab.node, || loader.detach(three.ifindex(2)).unwrap());
    assert_eq!(attest(&loader).unguarded.into_iter().collect::<Vec<_>>(), [three.ifindex(2)]);
    inside(&three.lab.node, || loader.attach(three.ifindex(2)).unwrap());
    assert!(attest(&loader).holds());
    let new = loader.new_edges(Duration::ZERO).unwrap();
    assert!(three.tcp(&three.pod(0), 1, false, 80));
    let told = loader.new_edges(WAIT).unwrap();
    assert!(told.iter().any(|e| e.port == 80 && e.ifindex == three.ifindex(1) && e.allow), "{new:?} {told:?}");
}

/// What does not fit is not published: the error says so, and the last image stays in force, whole.
#[test]
fn a_full_map_leaves_the_last_image_in_force() {
    if !can_run("a_full_map_leaves_the_last_image_in_force") {
        return;
    }
    let three = Three::new();
    let sizes = watertight_datapath::kernel::Sizes { entries: 16, ..Default::default() };
    let mut loader = Loader::open_sized(&three.lab.dir(), &sizes).unwrap();
    inside(&three.lab.node, || (0..3).for_each(|i| loader.attach(three.ifindex(i)).unwrap()));
    let compile = |world: &World| Image::compile(world, &three.locals(world), &Options::default()).unwrap();
    let good = loader.apply(&compile(&only_a_to_b_on_80())).unwrap();
    let large = world(|mut w| {
        for i in 0..30u16 {
            let blocks = rule().block(&format!("192.0.2.{i}/32"), &[]).tcp(i);
            w = w.policy(policy(&format!("shop/p{i}")).select(&[("app", "b")]).ingress(blocks));
        }
        w
    });
    assert!(loader.apply(&compile(&large)).is_err());
    assert_eq!(loader.status().unwrap().epoch, good.epoch);
    assert!(inside(&three.lab.node, || loader.attest().unwrap()).holds());
    assert!(three.tcp(&three.pod(0), 1, false, 80), "still allowed");
    assert!(!three.tcp(&three.pod(2), 1, false, 80), "still denied");
    assert_eq!(loader.apply(&compile(&only_a_to_b_on_80())).unwrap().epoch, good.epoch + 1, "and the next one fits");
}
