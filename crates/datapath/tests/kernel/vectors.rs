//! The parser contract (P1 to P32, docs/datapath.md) as test vectors: frame in, verdict and reason out.

use crate::frame::{ethernet, ipv4, ipv6, transport};
use crate::lab::{Lab, can_run, inside, ip};
use watertight_datapath::kernel::{Hook, Loader, Sizes};
use watertight_datapath::{Drop, Image, Local, Options};
use watertight_model::{Direction, L4, Protocol, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::{policy, rule};

const POD: [u8; 4] = [10, 0, 0, 1];
const PEER: [u8; 4] = [10, 0, 0, 2];
const STRANGER: [u8; 4] = [10, 0, 0, 9];
const NODE: [u8; 4] = [10, 0, 0, 254];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn six(last: u8) -> [u8; 16] {
    let mut out = [0; 16];
    out[..2].copy_from_slice(&[0xfd, 0]);
    out[15] = last;
    out
}

/// The link-local address that goes with [`MAC`].
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1];

fn tcp(port: u16) -> Vec<u8> {
    transport(L4::Port(Protocol::Tcp, port), 4000)
}

fn frame(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&ethernet(kind)[..], packet].concat()
}

fn v4(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x0800, &ipv4(src, dst, protocol, &[], payload))
}

fn v6(src: [u8; 16], dst: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x86dd, &ipv6(src, dst, next, payload))
}

/// An IPv4 frame whose bytes are then changed, counted from the IP header.
fn bent(mut whole: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    whole[14 + at..14 + at + bytes.len()].copy_from_slice(bytes);
    whole
}

/// A fragment: its identifier, its place in bytes, whether more follow.
fn fragment(id: u8, at: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = (at / 8) | if more { 0x2000 } else { 0 };
    bent(v4(PEER, POD, 6, payload), 4, &[&[0, id][..], &field.to_be_bytes()].concat())
}

/// ICMPv6 with the hop limit of the link.
fn neighbour(src: [u8; 16], dst: [u8; 16], kind: u8, target: [u8; 16], hops: u8) -> Vec<u8> {
    let body = [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &target].concat();
    bent(v6(src, dst, 58, &body), 7, &[hops])
}

fn arp(mac: [u8; 6], sender: [u8; 4]) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &sender, &[0; 6], &PEER].concat();
    let mut out = frame(0x0806, &body);
    out[6..12].copy_from_slice(&MAC);
    out
}

/// Pod `in` is isolated for ingress, `out` for egress, `free` not at all.
struct Bench {
    lab: Lab,
    loader: Loader,
    devices: [u32; 3],
}

const IN: usize = 0;
const OUT: usize = 1;
const FREE: usize = 2;
const OUT_POD: [u8; 4] = [10, 0, 0, 11];
const FREE_POD: [u8; 4] = [10, 0, 0, 12];
const SERVICE: [u8; 4] = [10, 96, 0, 1];

fn world() -> World {
    let mut world = WorldBuilder::new()
        .namespace("x", &[])
        .node("n", &[], &["10.0.0.254"])
        .pod("x/free", &[("app", "free")])
        .on("n")
        .ip("10.0.0.12")
        .ip("fd00::12")
        .pod("x/in", &[("app", "in")])
        .on("n")
        .ip("10.0.0.1")
        .ip("fd00::1")
        .pod("x/out", &[("app", "out")])
        .on("n")
        .ip("10.0.0.11")
        .ip("fd00::11")
        .policy(
            policy("x/in")
                .select(&[("app", "in")])
                .ingress(rule().block("10.0.0.2/32", &[]).block("fd00::2/128", &[]).tcp(80)),
        )
        .policy(
            policy("x/out")
                .select(&[("app", "out")])
                .types(&[Direction::Egress])
                .egress(rule().block("10.0.0.2/32", &[]).tcp(80)),
        )
        .build();
    world.services.push(watertight_model::Service {
        namespace: world.namespace("x").unwrap(),
        name: "s".into(),
        kind: watertight_model::service::ServiceKind::ClusterIp,
        headless: false,
        cluster_ips: vec![SERVICE.into()],
        selector: None,
        ports: Vec::new(),
        external_ips: Vec::new(),
        source_ranges: Vec::new(),
        local_traffic: false,
        external_name: None,
        origin: watertight_model::Origin::default(),
    });
    world
}

impl Bench {
    fn new() -> Self {
        Self::sized(&Sizes::default())
    }

    fn sized(sizes: &Sizes) -> Self {
        let lab = Lab::new();
        let devices = [0, 1, 2].map(|i| {
            ip(&format!("-n {0} link add d{i} type veth peer name p{i} netns {0}", lab.node));
            lab.ifindex(&format!("d{i}"))
        });
        let mut loader = Loader::open_sized(&lab.dir(), sizes).unwrap();
        loader.apply(&image(&world(), devices)).unwrap();
        Self { lab, loader, devices }
    }

    /// Runs one frame toward (`Hook::Egress`) or from (`Hook::Ingress`) a pod; `None`: it passes, else the one reason counted.
    fn run(&self, hook: Hook, pod: usize, brought_by: u32, frame: &[u8]) -> Option<Drop> {
        let before = self.loader.drops().unwrap();
        let passes =
            inside(&self.lab.node, || self.loader.test_run(hook, frame, self.devices[pod], brought_by).unwrap());
        let after = self.loader.drops().unwrap();
        let mut counted = after.iter().filter(|(reason, n)| **n != before[reason]).map(|(reason, _)| *reason);
        let reason = counted.next();
        assert_eq!(passes, reason.is_none(), "passes: {passes}, counted: {reason:?}");
        assert_eq!(counted.next(), None, "one frame, one reason");
        reason
    }

    fn received(&self, pod: usize, frame: &[u8]) -> Option<Drop> {
        self.run(Hook::Egress, pod, 1, frame)
    }

    fn sent(&self, pod: usize, frame: &[u8]) -> Option<Drop> {
        self.run(Hook::Ingress, pod, 0, frame)
    }
}

fn image(world: &World, devices: [u32; 3]) -> Image {
    let x = world.namespace("x").unwrap();
    let locals: Vec<Local> = [("in", IN), ("out", OUT), ("free", FREE)]
        .iter()
        .map(|(name, i)| Local {
            pod: world.pod(x, name).unwrap(),
            ifindex: devices[*i],
            mac: Some(MAC),
            addresses: Vec::new(),
        })
        .collect();
    Image::compile(world, &locals, &Options::default()).unwrap()
}

/// Every doubtful shape is dropped for a pod with a policy, with its reason, and passes for a pod without.
#[test]
fn shapes() {
    if !can_run("shapes") {
        return;
    }
    let bench = Bench::new();
    let options = |words: &[u8], port| frame(0x0800, &ipv4(PEER, POD, 6, words, &tcp(port)));
    let tagged = |tags: usize, port| {
        let packet = ipv4(PEER, POD, 6, &[], &tcp(port));
        let mut out = ethernet(0x8100);
        for i in 0..tags {
            out.extend([0, 7]);
            out.extend(if i + 1 == tags { [8, 0] } else { [0x81, 0] });
        }
        out.extend(packet);
        out
    };
    let chain = |headers: &[(u8, Vec<u8>)], last: u8, payload: &[u8]| {
        let first = headers.first().map_or(last, |h| h.0);
        let mut body = Vec::new();
        for (i, (_, rest)) in headers.iter().enumerate() {
            body.push(headers.get(i + 1).map_or(last, |h| h.0));
            body.extend(rest);
        }
        body.extend(payload);
        v6(six(2), six(1), first, &body)
    };
    let padding = vec![0, 1, 4, 0, 0, 0, 0];
    let esp = vec![0; 16];
    let policy = Some(Drop::Policy);
    let header = Some(Drop::TransportHeader);
    let vectors: Vec<(&str, Vec<u8>, Option<Drop>)> = vec![
        ("P1 port 80 from the peer", v4(PEER, POD, 6, &tcp(80)), None),
        ("P1 port 22 from the peer", v4(PEER, POD, 6, &tcp(22)), policy),
        ("P1 port 80 from a stranger", v4(STRANGER, POD, 6, &tcp(80)), policy),
        ("P1 UDP 80 from the peer", v4(PEER, POD, 17, &transport(L4::Port(Protocol::Udp, 80), 4000)), policy),
        ("P27 SCTP 80 from the peer", v4(PEER, POD, 132, &transport(L4::Port(Protocol::Sctp, 80), 4000)), policy),
        ("P2 options that read like port 80", options(&[0x0f, 0xa0, 0, 80], 22), policy),
        ("P2 options, port 80", options(&[1, 1, 1, 1], 80), None),
        ("P2 forty bytes of options, port 22", options(&[1; 40], 22), policy),
        ("P3 a header of four words", bent(v4(PEER, POD, 6, &tcp(80)), 0, &[0x44]), Some(Drop::IpHeader)),
        ("P3 shorter than its header", bent(v4(PEER, POD, 6, &tcp(80)), 2, &[0, 19]), Some(Drop::IpHeader)),
        ("P3 longer than the frame", bent(v4(PEER, POD, 6, &tcp(80)), 2, &[0, 200]), Some(Drop::IpHeader)),
        ("P4 version 7", bent(v4(PEER, POD, 6, &tcp(80)), 0, &[0x75]), Some(Drop::IpVersion)),
        ("P4 IPv4 in a frame of IPv6", frame(0x86dd, &ipv4(PEER, POD, 6, &[1; 40], &tcp(80))), Some(Drop::IpVersion)),
        ("P6 a first fragment without ports", fragment(1, 0, true, &tcp(80)[..8]), Some(Drop::FragmentTiny)),
        ("P7 a fragment without its first", fragment(2, 1480, false, &tcp(80)), Some(Drop::FragmentUnknown)),
        ("P8 TCP of 8 bytes", v4(PEER, POD, 6, &tcp(80)[..8]), header),
        ("P8 TCP of 19 bytes", v4(PEER, POD, 6, &tcp(80)[..19]), header),
        ("P8 TCP that says it has 16 bytes", bent(v4(PEER, POD, 6, &tcp(80)), 32, &[0x40]), header),
        ("P8 UDP of 4 bytes", v4(PEER, POD, 17, &tcp(80)[..4]), header),
        ("P8 SCTP of 8 bytes", v4(PEER, POD, 132, &tcp(80)[..8]), header),
        ("P8 ICMP of 4 bytes", v4(PEER, POD, 1, &[8, 0, 0, 0]), header),
        ("P10 a tag, port 22", tagged(1, 22), policy),
        ("P10 two tags, port 80", tagged(2, 80), None),
        ("P10 three tags", tagged(3, 80), Some(Drop::VlanDepth)),
        ("P11 IPv6, port 80", v6(six(2), six(1), 6, &tcp(80)), None),
        ("P11 IPv6, port 22", v6(six(2), six(1), 6, &tcp(22)), policy),
        (
            "P12 hop by hop and options, port 80",
            chain(&[(0, padding.clone()), (60, padding.clone())], 6, &tcp(80)),
            None,
        ),
        (
            "P12 hop by hop and options, port 22",
            chain(&[(0, padding.clone()), (60, padding.clone())], 6, &tcp(22)),
            policy,
        ),
        ("P12 authentication, port 22", chain(&[(51, [&[2][..], &[0; 14]].concat())], 6, &tcp(22)), policy),
        ("P12 mobility", chain(&[(135, padding.clone())], 6, &tcp(80)), Some(Drop::ExtensionHeaders)),
        ("P12 seven of them", chain(&vec![(60, padding.clone()); 7], 6, &tcp(80)), Some(Drop::ExtensionHeaders)),
        ("P12 cut off", v6(six(2), six(1), 60, &[6, 9, 0, 0, 0, 0, 0, 0]), Some(Drop::ExtensionHeaders)),
        (
            "P12 a route with a stop left",
            chain(&[(43, vec![0, 0, 1, 0, 0, 0, 0])], 6, &tcp(80)),
            Some(Drop::RoutingHeader),
        ),
        ("P12 a route at its end", chain(&[(43, vec![0, 0, 0, 0, 0, 0, 0])], 6, &tcp(80)), None),
        ("P13 an atomic fragment, port 80", chain(&[(44, vec![0, 0, 0, 0, 0, 0, 9])], 6, &tcp(80)), None),
        ("P13 an atomic fragment, port 22", chain(&[(44, vec![0, 0, 0, 0, 0, 0, 9])], 6, &tcp(22)), policy),
        (
            "P13 a later fragment",
            chain(&[(44, vec![0, 5, 0xc8, 0, 0, 0, 9])], 6, &tcp(80)),
            Some(Drop::FragmentUnknown),
        ),
        ("P14 ESP", v4(PEER, POD, 50, &esp), policy),
        ("P14 GRE", v4(PEER, POD, 47, &esp), policy),
        ("P14 IGMP", v4(PEER, POD, 2, &esp), policy),
        ("P14 IP in IP", v4(PEER, POD, 4, &esp), policy),
        ("P14 nothing follows", v6(six(2), six(1), 59, &[]), policy),
        ("P15 LLDP", frame(0x88cc, &esp), Some(Drop::EtherType)),
        ("P16 a solicitation", neighbour(six(2), six(1), 135, six(1), 255), None),
        ("P16 an advertisement", neighbour(six(2), six(1), 136, six(2), 255), None),
        ("P16 a router's advertisement", neighbour(LINK_LOCAL, six(1), 134, six(2), 255), None),
        ("P16 a solicitation from afar", neighbour(six(2), six(1), 135, six(1), 64), Some(Drop::SpoofedNeighbour)),
        (
            "P22 an error about nothing",
            v4(PEER, POD, 1, &[&[3, 4, 0, 0, 0, 0, 0, 0][..], &ipv4(POD, PEER, 6, &[], &tcp(80))].concat()),
            Some(Drop::IcmpUnrelated),
        ),
        ("P24 an echo request", v4(PEER, POD, 1, &[8, 0, 0, 0, 0, 5, 0, 1]), policy),
        ("P25 an answer to nothing", bent(v4(PEER, POD, 6, &tcp(22)), 33, &[0x12]), policy),
        ("P25 a reset", bent(v4(PEER, POD, 6, &tcp(22)), 33, &[0x04]), policy),
        ("P32 forwarded, from the node's address", v4(NODE, POD, 6, &tcp(22)), policy),
        ("ARP", arp(MAC, PEER), None),
    ];
    for (name, frame, expected) in &vectors {
        assert_eq!(bench.received(IN, frame), *expected, "{name}");
    }
    // The same frames, to a pod without policies: doubt passes and is counted (rule 2), the rest is allowed.
    let counted = || bench.loader.status().unwrap().counts[&watertight_datapath::Count::DoubtPassed];
    let before = counted();
    for (name, frame, _) in &vectors {
        assert_eq!(bench.received(FREE, frame), None, "{name}, to a pod without policies");
    }
    let doubtful = vectors.iter().filter(|(_, _, e)| e.is_some_and(|reason| reason != Drop::Policy)).count();
    assert_eq!(counted() - before, doubtful as u64);
    assert_eq!(bench.run(Hook::Egress, IN, 0, &v4(NODE, POD, 6, &tcp(22))), None, "P31: from this node");
}

#[test]
fn fragments_follow_their_first() {
    if !can_run("fragments_follow_their_first") {
        return;
    }
    let bench = Bench::new();
    let rest = vec![0; 64];
    assert_eq!(bench.received(IN, &fragment(1, 0, true, &[tcp(80), vec![0; 44]].concat())), None);
    assert_eq!(bench.received(IN, &fragment(1, 64, true, &rest)), None);
    assert_eq!(bench.received(IN, &fragment(1, 96, false, &rest)), Some(Drop::FragmentOverlap));
    assert_eq!(bench.received(IN, &fragment(1, 128, false, &rest)), None);
    assert_eq!(bench.received(IN, &fragment(2, 64, false, &rest)), Some(Drop::FragmentUnknown), "another packet's");
    assert_eq!(bench.received(IN, &fragment(3, 0, true, &[tcp(22), vec![0; 44]].concat())), Some(Drop::Policy));
    assert_eq!(bench.received(IN, &fragment(3, 64, false, &rest)), Some(Drop::Policy), "its first was denied");
    // The identifier comes again with another verdict.
    assert_eq!(bench.received(IN, &fragment(1, 0, true, &[tcp(22), vec![0; 44]].concat())), Some(Drop::Policy));
    assert_eq!(bench.received(IN, &fragment(1, 64, false, &rest)), Some(Drop::Policy));
}

#[test]
fn a_pod_speaks_for_itself_only() {
    if !can_run("a_pod_speaks_for_itself_only") {
        return;
    }
    let bench = Bench::new();
    let spoofed = Some(Drop::SpoofedSource);
    for (name, src, expected) in [
        ("its own", FREE_POD, None),
        ("another pod's", POD, spoofed),
        ("the node's", NODE, spoofed),
        ("a Service's", SERVICE, spoofed),
        ("loopback", [127, 0, 0, 1], spoofed),
        ("nobody's", [0, 0, 0, 0], spoofed),
        ("multicast", [224, 0, 0, 1], spoofed),
    ] {
        assert_eq!(bench.sent(FREE, &v4(src, PEER, 6, &tcp(80))), expected, "P18: {name}");
    }
    assert_eq!(bench.sent(FREE, &v6(six(1), six(2), 6, &tcp(80))), spoofed, "P18: IPv6");
    // P19: the forged frame leaves nothing behind that an answer could use.
    let mut answer = v4(PEER, POD, 6, &tcp(4000));
    answer = bent(answer, 20, &[0, 80]);
    answer = bent(answer, 33, &[0x12]);
    assert_eq!(bench.sent(FREE, &v4(POD, PEER, 6, &tcp(80))), spoofed);
    assert_eq!(bench.received(IN, &answer), Some(Drop::Policy));
    assert_eq!(bench.sent(IN, &v4(POD, PEER, 6, &tcp(80))), None, "the pod itself may");
    assert_eq!(bench.received(IN, &answer), None, "and is answered");

    let twelve = six(0x12);
    let neighbour_spoofed = Some(Drop::SpoofedNeighbour);
    assert_eq!(bench.sent(FREE, &neighbour(twelve, six(2), 135, six(2), 255)), None);
    assert_eq!(bench.sent(FREE, &neighbour([0; 16], six(2), 135, twelve, 255)), None, "duplicate detection");
    assert_eq!(bench.sent(FREE, &neighbour(LINK_LOCAL, six(2), 136, LINK_LOCAL, 255)), None);
    assert_eq!(bench.sent(FREE, &neighbour(twelve, six(2), 136, twelve, 255)), None);
    assert_eq!(bench.sent(FREE, &neighbour(twelve, six(2), 136, six(2), 255)), neighbour_spoofed, "P20");
    assert_eq!(bench.sent(FREE, &neighbour(six(2), six(1), 135, six(1), 255)), neighbour_spoofed, "P20");
    let mut other = LINK_LOCAL;
    other[15] = 9;
    assert_eq!(bench.sent(FREE, &neighbour(other, six(2), 136, other, 255)), neighbour_spoofed, "P20, link-local");
    let router = Some(Drop::RouterMessage);
    assert_eq!(bench.sent(FREE, &neighbour(twelve, six(2), 134, twelve, 255)), router, "P17");
    assert_eq!(bench.sent(FREE, &neighbour(twelve, six(2), 137, twelve, 255)), router, "P17");

    let arp_spoofed = Some(Drop::SpoofedArp);
    assert_eq!(bench.sent(FREE, &arp(MAC, FREE_POD)), None);
    assert_eq!(bench.sent(FREE, &arp(MAC, [0; 4])), None, "a probe");
    assert_eq!(bench.sent(FREE, &arp(MAC, POD)), arp_spoofed, "P21: another address");
    assert_eq!(bench.sent(FREE, &arp([2, 0, 0, 0, 0, 9], FREE_POD)), arp_spoofed, "P21: another MAC");
    assert_eq!(bench.sent(FREE, &frame(0x0806, &[0, 1])), arp_spoofed, "P21: cut off");
}

#[test]
fn answers_errors_and_echoes_belong_to_their_flow() {
    if !can_run("answers_errors_and_echoes_belong_to_their_flow") {
        return;
    }
    let mut bench = Bench::new();
    let error = |quoted: &[u8]| v4(STRANGER, POD, 1, &[&[3, 4, 0, 0, 0, 0, 0, 0][..], quoted].concat());
    let sent = ipv4(POD, PEER, 6, &[], &tcp(443));
    assert_eq!(bench.received(IN, &error(&sent)), Some(Drop::IcmpUnrelated));
    assert_eq!(bench.sent(IN, &frame(0x0800, &sent)), None);
    assert_eq!(bench.received(IN, &error(&sent)), None, "P22: about a flow of this pod");
    assert_eq!(bench.received(IN, &error(&sent[..27])), Some(Drop::IcmpUnrelated), "P22: a quote that is cut off");
    let other = ipv4(POD, PEER, 6, &[], &tcp(444));
    assert_eq!(bench.received(IN, &error(&other)), Some(Drop::IcmpUnrelated), "P22: about another port");

    let echo = |src, dst, kind| v4(src, dst, 1, &[kind, 0, 0, 0, 0, 77, 0, 1]);
    assert_eq!(bench.received(IN, &echo(PEER, POD, 0)), Some(Drop::Policy), "an answer that nobody asked for");
    assert_eq!(bench.sent(IN, &echo(POD, PEER, 8)), None);
    assert_eq!(bench.received(IN, &echo(PEER, POD, 0)), None, "the answer");
    assert_eq!(
        bench.received(IN, &echo(PEER, POD, 8)),
        Some(Drop::Policy),
        "P23: the same identifier, asked by the other"
    );

    // A connection in the reverse direction over the same ports is another one.
    let syn = bent(v4(PEER, POD, 6, &tcp(4000)), 20, &443u16.to_be_bytes());
    assert_eq!(bench.received(IN, &bent(syn.clone(), 33, &[0x12])), None, "its answer");
    assert_eq!(bench.received(IN, &syn), Some(Drop::Policy), "a new one over the same ports");

    // The middle of a connection that nobody saw begin: each direction on its own merits, and no way back.
    let middle = bent(v4(PEER, POD, 6, &transport(L4::Port(Protocol::Tcp, 80), 5000)), 33, &[0x10]);
    assert_eq!(bench.received(IN, &middle), None, "the rule admits it");
    let out = bent(v4(OUT_POD, STRANGER, 6, &tcp(80)), 33, &[0x10]);
    assert_eq!(bench.received(OUT, &bent(bent(v4(STRANGER, OUT_POD, 6, &tcp(4000)), 20, &[0, 80]), 33, &[0x10])), None);
    assert_eq!(bench.sent(OUT, &out), Some(Drop::Policy), "P25: no answer to what was not opened");

    // A flow that is cut stays cut from both ends, until the policy admits it again.
    let inbound = v4(PEER, POD, 6, &transport(L4::Port(Protocol::Tcp, 80), 6000));
    assert_eq!(bench.received(IN, &inbound), None);
    let mut closed = world();
    closed.policies[0].ingress.clear();
    bench.loader.apply(&image(&closed, bench.devices)).unwrap();
    let data = bent(inbound.clone(), 33, &[0x10]);
    assert_eq!(bench.received(IN, &data), Some(Drop::FlowCut));
    let back = bent(bent(v4(POD, PEER, 6, &tcp(6000)), 20, &[0, 80]), 33, &[0x10]);
    assert_eq!(bench.sent(IN, &back), Some(Drop::FlowCut), "the other end cannot open it again");
    bench.loader.apply(&image(&world(), bench.devices)).unwrap();
    assert_eq!(bench.received(IN, &data), None, "admitted again");
    assert_eq!(bench.sent(IN, &back), None);
}

/// A full table of flows: refused where a policy has a say, passed unremembered elsewhere, counted in both cases.
#[test]
fn a_full_table_of_flows_closes_isolated_pods_only() {
    if !can_run("a_full_table_of_flows_closes_isolated_pods_only") {
        return;
    }
    let bench = Bench::sized(&Sizes { flows: 16, ..Sizes::default() });
    let udp = |src, dst, port| v4(src, dst, 17, &transport(L4::Port(Protocol::Udp, 9), port));
    let refused = (0..100).filter_map(|port| bench.sent(IN, &udp(POD, PEER, 2000 + port))).collect::<Vec<_>>();
    assert!(!refused.is_empty() && refused.iter().all(|r| *r == Drop::FlowTableFull), "{refused:?}");
    for port in 0..10 {
        assert_eq!(bench.sent(FREE, &udp(FREE_POD, PEER, 3000 + port)), None);
    }
    let counts = bench.loader.status().unwrap().counts;
    assert!(counts[&watertight_datapath::Count::FlowUntracked] >= 10, "{counts:?}");
    assert_eq!(bench.sent(IN, &udp(POD, PEER, 2000)), None, "a flow that is remembered is not touched");
}

#[test]
fn services_are_closed_unless_somebody_judges_the_backend() {
    if !can_run("services_are_closed_unless_somebody_judges_the_backend") {
        return;
    }
    let mut bench = Bench::new();
    let to_service = v4(OUT_POD, SERVICE, 6, &tcp(80));
    assert_eq!(bench.sent(FREE, &v4(FREE_POD, SERVICE, 6, &tcp(80))), None, "egress is free");
    assert_eq!(bench.sent(OUT, &to_service), Some(Drop::ServiceUndecided));
    inside(&bench.lab.node, || bench.loader.attach_services().unwrap());
    assert_eq!(bench.sent(OUT, &to_service), None, "left to netfilter");
    let past = v4(OUT_POD, SERVICE, 6, &tcp(81));
    assert_eq!(bench.received(FREE, &past), Some(Drop::ServiceAddress), "sent past the router to an accomplice");
    inside(&bench.lab.node, || bench.loader.attach_services().unwrap());
    assert_eq!(std::fs::read_dir(bench.lab.dir().join("links")).unwrap().count(), 4, "replaced, not added");
}
