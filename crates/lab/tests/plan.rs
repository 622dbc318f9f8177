//! What a lab will consist of: addresses, homes, and the world that the engine is asked about. No privileges needed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_ingest::{Input, read};
use watertight_lab::plan::{MAX_NODES, MAX_PODS_PER_NODE, Options, Plan, PlanError, Proto, Topology};
use watertight_model::World;

fn world(yaml: &str) -> World {
    let input = Input::Text { name: "test.yaml".to_owned(), text: yaml.to_owned() };
    read(&[input], &watertight_ingest::Options::default()).unwrap().world
}

const SHOP: &str = include_str!("shop.yaml");

fn addresses(plan: &Plan) -> Vec<IpAddr> {
    let pods = plan.pods.iter().filter(|p| !p.host_network).map(|p| p.addresses);
    pods.chain(plan.nodes.iter().map(|n| n.addresses)).flat_map(|(a, b)| [IpAddr::from(a), b.into()]).collect()
}

#[test]
fn everyone_has_an_address_of_each_family_and_nobody_shares_one() {
    let plan = Plan::of(&world(SHOP), &Options::default()).unwrap();
    let names: Vec<String> = plan.pods.iter().map(|p| format!("{}/{}", p.namespace, p.name)).collect();
    assert_eq!(names, ["shop/agent", "shop/db", "shop/web"], "what has ended is not there, a template is a pod");
    let all = addresses(&plan);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    assert_eq!(plan, Plan::of(&world(SHOP), &Options::default()).unwrap(), "the same input, the same plan");
}

#[test]
fn an_address_that_fits_its_node_is_kept_and_one_that_does_not_is_replaced() {
    // The second pod goes to the second node, whose block is 10.244.1.0/24.
    let kept = Plan::of(&world(SHOP), &Options::default()).unwrap();
    assert_eq!(kept.pod("shop", "db").unwrap().addresses.0.to_string(), "10.244.1.9");
    let elsewhere = SHOP.replace("10.244.1.9", "172.16.0.9");
    let replaced = Plan::of(&world(&elsewhere), &Options::default()).unwrap();
    assert_eq!(replaced.pod("shop", "db").unwrap().addresses.0.to_string(), "10.244.1.2");
    // The gateway's address is nobody's.
    let gateway = SHOP.replace("10.244.1.9", "10.244.1.1");
    assert_eq!(
        Plan::of(&world(&gateway), &Options::default()).unwrap().pod("shop", "db").unwrap().addresses.0.octets(),
        [10, 244, 1, 2]
    );
}

#[test]
fn a_pod_on_the_host_network_is_its_node() {
    let plan = Plan::of(&world(SHOP), &Options::default()).unwrap();
    let agent = plan.pod("shop", "agent").unwrap();
    assert!(agent.host_network && agent.veth.is_empty());
    assert_eq!(agent.netns, plan.nodes[agent.node].netns);
    assert_eq!(agent.addresses, plan.nodes[agent.node].addresses);
    assert_eq!(plan.nodes[agent.node].listens, [(Proto::Tcp, 9100)]);
}

#[test]
fn services_lead_to_the_pods_port_and_headless_ones_have_no_address() {
    let plan = Plan::of(&world(SHOP), &Options::default()).unwrap();
    let web = plan.pods.iter().position(|p| p.name == "web").unwrap();
    let service = |name: &str| plan.services.iter().find(|s| s.name == name).unwrap();
    assert_eq!(service("web").ports, [(Proto::Tcp, 80, vec![(web, 8080)])]);
    assert!(service("web").addresses.is_some());
    assert_eq!(service("peers").addresses, None);
}

#[test]
fn the_engine_is_asked_about_the_addresses_that_packets_carry() {
    let mut world = world(SHOP);
    let plan = Plan::of(&world, &Options { topology: Topology::Routed, nodes: 3 }).unwrap();
    plan.realise(&mut world);
    assert_eq!(world.pods.len(), plan.pods.len());
    for (pod, planned) in world.pods.iter().zip(&plan.pods) {
        assert_eq!(*pod.name, *planned.name);
        assert_eq!(pod.ips, [IpAddr::from(planned.addresses.0), planned.addresses.1.into()]);
        assert_eq!(pod.node.map(watertight_model::NodeId::index), Some(planned.node));
        assert!(!pod.template);
    }
    assert_eq!(world.nodes.len(), 3);
    assert_eq!(world.pod_cidrs.len(), 6);
}

#[test]
fn blocks_of_policies_and_their_holes_have_someone_outside() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n\
                  spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: \
                  [169.254.169.254/32, 198.51.100.0/24]}}], ports: [{port: 8443}]}]}\n";
    let plan = Plan::of(&world(&format!("{SHOP}{policy}")), &Options::default()).unwrap();
    let outside: Vec<String> = plan.outside.iter().map(ToString::to_string).collect();
    assert_eq!(outside, ["169.254.169.254", "198.51.100.1", "203.0.113.7", "2001:db8::7"]);
    assert!(plan.outside_listens.contains(&(Proto::Tcp, 8443)));
    assert!(plan.pod("shop", "web").unwrap().listens.contains(&(Proto::Tcp, 8443)), "what a rule names can be tried");
}

#[test]
fn what_is_too_much_or_nothing_is_refused_by_name() {
    let none = Plan::of(&world("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"), &Options::default());
    assert_eq!(none, Err(PlanError::NoPods));
    let nodes = Options { nodes: MAX_NODES + 1, ..Options::default() };
    assert!(matches!(Plan::of(&world(SHOP), &nodes), Err(PlanError::TooMany { most: MAX_NODES, .. })));
    let pods: String = (0..=MAX_PODS_PER_NODE)
        .map(|i| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{i}, namespace: a}}\nspec: {{containers: []}}\n"
            )
        })
        .collect();
    let full = Plan::of(&world(&pods), &Options { nodes: 1, ..Options::default() });
    assert!(matches!(full, Err(PlanError::TooMany { most: MAX_PODS_PER_NODE, .. })), "{full:?}");
    assert!(Plan::of(&world(&pods), &Options::default()).is_ok(), "two nodes hold them");
}
