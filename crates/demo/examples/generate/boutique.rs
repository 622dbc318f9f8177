//! Flows of Online Boutique, the demonstration shop of <https://github.com/GoogleCloudPlatform/microservices-demo>, as its
//! published call graph and its manifests' ports have them. The manifests are that project's; these are only flows.

use crate::cluster::Protocol;
use crate::flows::{client_port, moments, sorted};
use crate::hubble::{End, HOST, Payload, Peer, Point, Record, WORLD, opening};
use crate::rng::Rng;
use std::fmt::Write;

/// The services, each a Deployment of one pod in the namespace `default`, with the port that kubelet probes.
const SERVICES: [(&str, Option<u16>); 12] = [
    ("adservice", Some(9555)),
    ("cartservice", Some(7070)),
    ("checkoutservice", Some(5050)),
    ("currencyservice", Some(7000)),
    ("emailservice", Some(8080)),
    ("frontend", Some(8080)),
    ("loadgenerator", None),
    ("paymentservice", Some(50051)),
    ("productcatalogservice", Some(3550)),
    ("recommendationservice", Some(8080)),
    ("redis-cart", Some(6379)),
    ("shippingservice", Some(50051)),
];

/// Who calls whom, with the port of the pod.
const CALLS: [(&str, &str, u16); 16] = [
    ("frontend", "productcatalogservice", 3550),
    ("frontend", "currencyservice", 7000),
    ("frontend", "cartservice", 7070),
    ("frontend", "recommendationservice", 8080),
    ("frontend", "shippingservice", 50051),
    ("frontend", "checkoutservice", 5050),
    ("frontend", "adservice", 9555),
    ("checkoutservice", "cartservice", 7070),
    ("checkoutservice", "emailservice", 8080),
    ("checkoutservice", "paymentservice", 50051),
    ("checkoutservice", "shippingservice", 50051),
    ("checkoutservice", "currencyservice", 7000),
    ("checkoutservice", "productcatalogservice", 3550),
    ("recommendationservice", "productcatalogservice", 3550),
    ("cartservice", "redis-cart", 6379),
    ("loadgenerator", "frontend", 8080),
];

const NODES: [&str; 2] = ["node-1", "node-2"];

/// `flows.jsonl` and `intended.csv`.
pub(crate) fn files() -> (String, String) {
    let mut lines = Vec::new();
    let mut csv = String::from("source,destination,protocol,port,kind,seen,name\n");
    let mut add = |from: &str, to: &str, protocol: Protocol, port: u16, kind: &str, count: u64| {
        let seen = if count == 0 { "never" } else { "often" };
        // Writing to a String cannot fail.
        let _ = writeln!(csv, "{},{},{},{port},{kind},{seen},", place(from), place(to), protocol.name());
        let mut rng = Rng::of(&format!("boutique {from} {to} {} {port}", protocol.name()));
        if count > 0 {
            for at in moments(&mut rng, count) {
                connection(&mut lines, from, to, protocol, port, at, &mut rng);
            }
        }
    };
    CALLS.iter().for_each(|(from, to, port)| add(from, to, Protocol::Tcp, *port, "call", 12));
    add("internet", "frontend", Protocol::Tcp, 8080, "internet", 30);
    for (name, _) in SERVICES {
        add(name, "coredns", Protocol::Udp, 53, "dns", 8);
        let tcp = if ["checkoutservice", "frontend"].contains(&name) { 4 } else { 0 };
        add(name, "coredns", Protocol::Tcp, 53, "dns", tcp);
    }
    for (name, probe) in SERVICES {
        if let Some(port) = probe {
            add("kubelet", name, Protocol::Tcp, port, "probe", 4);
        }
    }
    (sorted(lines), csv)
}

fn place(what: &str) -> String {
    match what {
        "internet" => "ip:0.0.0.0/0".to_owned(),
        "kubelet" => "kubelet".to_owned(),
        "coredns" => "kube-system/coredns".to_owned(),
        name => format!("default/{name}"),
    }
}

fn connection(
    lines: &mut Vec<(u64, String)>,
    from: &str,
    to: &str,
    protocol: Protocol,
    port: u16,
    at: u64,
    rng: &mut Rng,
) {
    let node = node_of(if SERVICES.iter().any(|(n, _)| *n == from) { from } else { to });
    let mut source = end(from, node, rng);
    source.port = client_port(rng);
    let mut target = end(to, node, rng);
    target.port = port;
    let from_pod = matches!(source.peer, Peer::Pod { .. });
    let payload = match opening(protocol) {
        Payload::Tcp(_) if rng.chance(20) => Payload::Tcp(&["PSH", "ACK"]),
        other => other,
    };
    let point = if from_pod { Point::FromPod } else { Point::ToPod };
    let record =
        Record { at, node: NODES[node], point, from: source, to: target, payload, reply: Some(false), dropped: false };
    lines.push((at, record.json()));
    if rng.chance(30) {
        let answer = record.answer(NODES[node_of(to)], 700_000 + rng.below(9_000_000));
        lines.push((answer.at, answer.json()));
    }
}

fn node_of(name: &str) -> usize {
    SERVICES.iter().position(|(n, _)| *n == name).unwrap_or_default() % 2
}

fn end(what: &str, node: usize, rng: &mut Rng) -> End {
    let plain = |address, peer| End { address, port: 0, peer, names: Vec::new(), service: None };
    let pod = |namespace: &str, name: &str, label: &str, address| {
        let mut hash = Rng::of(&format!("boutique {name}"));
        let peer = Peer::Pod {
            namespace: namespace.to_owned(),
            pod: format!("{name}-{}-{}", hash.suffix(10), hash.suffix(5)),
            kind: "Deployment",
            workload: name.to_owned(),
            labels: vec![
                format!("k8s:{label}"),
                format!("k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={namespace}"),
                format!("k8s:io.kubernetes.pod.namespace={namespace}"),
            ],
        };
        plain(address, peer)
    };
    match what {
        "internet" => plain(format!("203.0.113.{}", 1 + rng.below(254)), WORLD),
        "kubelet" => plain(format!("10.244.{node}.1"), HOST),
        "coredns" => pod("kube-system", "coredns", "k8s-app=kube-dns", "10.244.0.3".to_owned()),
        name => {
            let index = SERVICES.iter().position(|(n, _)| *n == name).unwrap_or_default();
            pod("default", name, &format!("app={name}"), format!("10.244.{}.{}", index % 2, 10 + index))
        }
    }
}
