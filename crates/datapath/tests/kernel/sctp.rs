//! The three upstream `Netpol` specs that connect by SCTP, by test runs of the programs: many kernels, and those of most test
//! machines, have no SCTP sockets, so the suite itself cannot ask them there.
//!
//! Source: kubernetes/test/e2e/network/netpol/network_policy.go, "NetworkPolicy between server and client using SCTP". Each
//! spec is its policy, its port, and its pairs; TCP to the same port has the negated twin where the policy names SCTP.

use crate::frame::opening;
use crate::lab::{Lab, can_run, inside, ip};
use watertight_datapath::kernel::{Hook, Loader};
use watertight_datapath::{Image, Local, Options};
use watertight_ingest::{Input, read};
use watertight_model::{L4, Protocol, World};

const PODS: [(&str, &str); 5] = [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"), ("z", "a")];

fn address(pod: usize) -> std::net::IpAddr {
    format!("10.0.0.{}", pod + 1).parse().unwrap()
}

/// Namespaces with the label that Kubernetes gives them, pods with the labels of the suite, and one policy.
fn world(policy: &str) -> World {
    let mut text = String::from("apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\n");
    for name in ["x", "y", "z"] {
        text += &format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: \"{name}\", labels: {{kubernetes.io/metadata.name: \"{name}\"}}}}\n---\n"
        );
    }
    for (i, (namespace, name)) in PODS.iter().enumerate() {
        text += &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: \"{namespace}\", labels: {{pod: {name}}}}}\n\
             spec: {{nodeName: n1, containers: [{{name: c, image: i}}]}}\nstatus: {{podIPs: [{{ip: {}}}]}}\n---\n",
            address(i)
        );
    }
    text += &format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: x}}\nspec: {policy}\n"
    );
    read(&[Input::Text { name: "spec".into(), text }], &watertight_ingest::Options::default()).unwrap().world
}

/// Who reaches whom, as `x/a>y/b`, for every ordered pair of different pods.
fn reached(lab: &Lab, devices: &[u32], policy: &str, protocol: Protocol, port: u16, sport: u16) -> Vec<String> {
    let world = world(policy);
    let local = |i: usize, (namespace, name): &(&str, &str)| Local {
        pod: world.pod(world.namespace(namespace).unwrap(), name).unwrap(),
        ifindex: devices[i],
        mac: None,
        addresses: Vec::new(),
    };
    let locals: Vec<Local> = PODS.iter().enumerate().map(|(i, pod)| local(i, pod)).collect();
    let image = Image::compile(&world, &locals, &Options::default()).unwrap();
    let mut loader = Loader::open(&lab.dir()).unwrap();
    inside(&lab.node, || {
        loader.apply(&image).unwrap();
        let mut out = Vec::new();
        for from in 0..PODS.len() {
            for to in (0..PODS.len()).filter(|to| *to != from) {
                let frame = opening(address(from), address(to), L4::Port(protocol, port), sport);
                let passes = loader.test_run(Hook::Ingress, &frame, devices[from], 0).unwrap()
                    && loader.test_run(Hook::Egress, &frame, devices[to], devices[from]).unwrap();
                if passes {
                    out.push(format!("{}/{}>{}/{}", PODS[from].0, PODS[from].1, PODS[to].0, PODS[to].1));
                }
            }
        }
        out
    })
}

/// All ordered pairs of different pods but those that `denied` names.
fn all_but(denied: impl Fn(usize, usize) -> bool) -> Vec<String> {
    let pairs = (0..PODS.len()).flat_map(|from| (0..PODS.len()).map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from != to && !denied(*from, *to))
        .map(|(from, to)| format!("{}/{}>{}/{}", PODS[from].0, PODS[from].1, PODS[to].0, PODS[to].1))
        .collect()
}

#[test]
fn the_sctp_specs_hold() {
    if !can_run("the_sctp_specs_hold") {
        return;
    }
    let lab = Lab::new();
    let devices: Vec<u32> = (0..PODS.len())
        .map(|i| {
            ip(&format!("-n {} link add d{i} type veth peer name p{i}", lab.node));
            lab.ifindex(&format!("d{i}"))
        })
        .collect();
    let ask = |policy: &str, protocol, port, sport| reached(&lab, &devices, policy, protocol, port, sport);
    let (in_x, x_a) = (|pod: usize| PODS[pod].0 == "x", 0);

    // "should support a 'default-deny-ingress' policy"
    let deny = "{podSelector: {}, policyTypes: [Ingress]}";
    assert_eq!(ask(deny, Protocol::Sctp, 80, 1001), all_but(|_, to| in_x(to)));

    // "should enforce policy based on Ports"
    let ports = "{podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{protocol: SCTP, port: 81}], \
                 from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: \"y\"}}}]}]}";
    assert_eq!(ask(ports, Protocol::Sctp, 81, 1002), all_but(|from, to| to == x_a && PODS[from].0 != "y"));
    assert_eq!(ask(ports, Protocol::Sctp, 80, 1003), all_but(|_, to| to == x_a), "another port");
    assert_eq!(ask(ports, Protocol::Tcp, 81, 1004), all_but(|_, to| to == x_a), "SCTP is not TCP");

    // "should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and
    // NamespaceSelector"
    let both = "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: \
                {matchLabels: {kubernetes.io/metadata.name: \"y\"}}, podSelector: {matchLabels: {pod: a}}}]}]}";
    let only = |from: usize, to: usize| to == x_a && PODS[from] != ("y", "a");
    assert_eq!(ask(both, Protocol::Sctp, 80, 1005), all_but(only));

    // No policy at all: nothing is in the way.
    let elsewhere = "{podSelector: {matchLabels: {pod: none}}, policyTypes: [Ingress]}";
    assert_eq!(ask(elsewhere, Protocol::Sctp, 80, 1006), all_but(|_, _| false));
}
