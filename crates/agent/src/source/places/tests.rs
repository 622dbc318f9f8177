use super::*;
use watertight_ingest::{Input, Options, read};

const UID: [&str; 2] = ["4c0f1f0e-9a45-4b1e-8c55-0a6a3a1b2c3d", "11111111-2222-4333-8444-555555555555"];

/// A cluster of two nodes: `web` and `db` on `n1`, `far` on `n2`; `status` is put into the status of `web`.
fn world(status: &str, more: &str) -> World {
    let pod = |name: &str, node: &str, uid: &str, status: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, uid: {uid}}}\n\
             spec: {{nodeName: {node}, containers: [{{name: c, image: i}}]{more}}}\nstatus: {{{status}}}\n---\n"
        )
    };
    let text = ["n1", "n2"].map(|n| format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {n}}}\n---\n")).concat()
        + "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
        + &pod("web", "n1", UID[0], status)
        + &pod("db", "n1", UID[1], "podIP: 10.1.0.2, podIPs: [{ip: 10.1.0.2}]")
        + &pod("far", "n2", "far", "podIP: 10.2.0.1, podIPs: [{ip: 10.2.0.1}]");
    read(&[Input::Text { name: "test".into(), text }], &Options::default()).unwrap().world
}

fn found(ifindex: u32, whose: Whose, ip: &str) -> (u32, Found) {
    let addresses = vec![ip.parse().unwrap()];
    let name = format!("veth{ifindex}");
    (ifindex, Found { ifindex, name, netns: u64::from(ifindex), mac: Some([2; 6]), addresses, whose })
}

fn pod(uid: &str) -> Whose {
    Whose::Pod(uid.to_owned())
}

fn names(places: &Places) -> Vec<(&str, u32)> {
    places.pods.iter().map(|p| (p.name.as_str(), p.ifindex)).collect()
}

fn whys(places: &Places) -> Vec<(u32, &str)> {
    places.closed.iter().map(|c| (c.ifindex, c.why.as_str())).collect()
}

#[test]
fn a_uid_names_the_pod_before_it_has_an_address() {
    let devices = BTreeMap::from([found(7, pod(UID[0]), "10.1.0.1"), found(8, pod(UID[1]), "10.1.0.2")]);
    let places = places(&world("phase: Pending", ""), "n1", &devices);
    assert_eq!(names(&places), [("db", 8), ("web", 7)]);
    assert_eq!(places.pods[1].addresses, ["10.1.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert!(places.pods[0].addresses.is_empty(), "the API server has said which address `db` has");
    assert!(places.closed.is_empty() && places.open.is_empty());
}

#[test]
fn what_the_api_server_says_counts_over_what_the_device_has() {
    let devices = BTreeMap::from([found(7, pod(UID[0]), "10.9.9.9"), found(8, pod(UID[1]), "10.1.0.2")]);
    let places = places(&world("podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", ""), "n1", &devices);
    assert_eq!(names(&places), [("db", 8), ("web", 7)]);
    assert!(places.pods.iter().all(|p| p.addresses.is_empty()));
}

#[test]
fn a_device_that_nobody_knows_is_closed() {
    let other = "99999999-2222-4333-8444-555555555555";
    let devices = BTreeMap::from([
        found(5, Whose::Unborn, "10.1.0.8"),
        found(6, Whose::Contested, "10.1.0.1"),
        found(7, pod(other), "10.1.0.9"),
        found(8, pod(UID[1]), "10.1.0.2"),
    ]);
    let places = places(&world("podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", ""), "n1", &devices);
    assert_eq!(names(&places), [("db", 8)]);
    let wanted = [
        (5, "a pod is being made"),
        (6, "processes of several pods are in its network namespace"),
        (7, "the API server does not know its pod"),
    ];
    assert_eq!(whys(&places), wanted);
    // The device of `web` is there, and closed: the pod is not open.
    assert!(places.open.is_empty());
}

#[test]
fn an_address_decides_only_for_a_uid_that_the_api_server_does_not_know() {
    let own = "b7a0f1de1b6a4cd2b0aa6d1b1f3c9e55";
    let world = world("podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", "");
    let alone = BTreeMap::from([found(7, pod(own), "10.1.0.1"), found(8, pod(UID[1]), "10.1.0.2")]);
    assert_eq!(names(&places(&world, "n1", &alone)), [("db", 8), ("web", 7)]);
    // A pod that gives itself the address of another one does not become it.
    let thief = BTreeMap::from([
        found(7, pod(own), "10.1.0.1"),
        found(8, pod(UID[1]), "10.1.0.2"),
        found(9, pod(UID[0]), "10.1.0.1"),
    ]);
    let got = places(&world, "n1", &thief);
    assert_eq!(names(&got), [("db", 8), ("web", 9)]);
    assert_eq!(whys(&got), [(7, "the API server does not know its pod")]);
}

#[test]
fn pods_of_other_nodes_have_no_device_here() {
    let devices = BTreeMap::from([found(7, pod("far"), "10.2.0.1"), found(8, pod(UID[1]), "10.1.0.2")]);
    let places = places(&world("phase: Pending", ""), "n1", &devices);
    assert_eq!(names(&places), [("db", 8)]);
    assert_eq!(whys(&places), [(7, "the API server does not know its pod")]);
}

#[test]
fn a_pod_that_runs_without_a_device_is_named() {
    let devices = BTreeMap::from([found(8, pod(UID[1]), "10.1.0.2")]);
    let running = world("podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", "");
    assert_eq!(places(&running, "n1", &devices).open, ["shop/web"]);
    let finished = world("phase: Succeeded, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", "");
    assert!(places(&finished, "n1", &devices).open.is_empty());
    let not_yet = world("phase: Pending", "");
    assert!(places(&not_yet, "n1", &devices).open.is_empty());
    let of_the_host = world("podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", ", hostNetwork: true");
    assert!(places(&of_the_host, "n1", &BTreeMap::new()).open.is_empty());
}

#[test]
fn a_second_interface_is_left_alone_if_the_first_is_known() {
    let devices = BTreeMap::from([
        found(7, pod(UID[0]), "10.1.0.1"),
        found(8, pod(UID[1]), "10.1.0.2"),
        found(9, pod(UID[0]), "192.168.7.1"),
    ]);
    let with = places(&world("podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]", ""), "n1", &devices);
    assert_eq!(names(&with), [("db", 8), ("web", 7)]);
    assert!(whys(&with).is_empty());
    // Which is which is not known before the status is: both wait.
    let without = places(&world("phase: Pending", ""), "n1", &devices);
    assert_eq!(names(&without), [("db", 8)]);
    assert_eq!(without.closed.len(), 2);
}
