//! What makes a plan real: lines for `ip -batch` and rules for `nft -f`, in the order in which they are run. Pure.

use crate::addresses::{ROUTED_GATEWAY, ROUTER, gateway};
use crate::plan::{NodePlan, Plan, PodPlan, Proto, ServicePlan, Topology};
use crate::{LINK_PREFIX, PREFIX};
use std::fmt::Write;
use std::net::IpAddr;

/// The namespace of the wire between nodes, and of the outside.
pub(crate) fn wire_netns() -> String {
    format!("{PREFIX}wire")
}

/// The namespace that stands for everything outside the cluster.
pub(crate) fn outside_netns() -> String {
    format!("{PREFIX}outside")
}

/// One thing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Where; `None`: in the namespace that the lab was started in.
    pub(crate) netns: Option<String>,
    /// What.
    pub(crate) what: What,
}

/// What a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Lines for `ip -batch -`.
    Ip(String),
    /// Rules for `nft -f -`.
    Nft(String),
    /// Files below `/proc/sys/net` and what is written to them.
    Sysctl(Vec<(String, &'static str)>),
}

/// Everything that makes the plan, in order.
pub(crate) fn steps(plan: &Plan) -> Vec<Step> {
    let mut out = vec![Step { netns: None, what: What::Ip(namespaces(plan)) }];
    let mut at = |netns: &str, what| out.push(Step { netns: Some(netns.to_owned()), what });
    at(&wire_netns(), What::Ip(wire(plan)));
    for node in &plan.nodes {
        at(&node.netns, What::Sysctl(forwarding()));
    }
    at(&outside_netns(), What::Sysctl(forwarding()));
    at(&outside_netns(), What::Ip(outside(plan)));
    for (i, node) in plan.nodes.iter().enumerate() {
        at(&node.netns, What::Ip(node_links(plan, i)));
        if plan.topology == Topology::Bridge {
            at(&node.netns, What::Sysctl(bridged()));
        }
        at(&node.netns, What::Nft(services(plan)));
    }
    for pod in plan.pods.iter().filter(|p| !p.host_network) {
        at(&pod.netns, What::Ip(pod_links(plan, pod)));
    }
    out
}

fn namespaces(plan: &Plan) -> String {
    let own = [wire_netns(), outside_netns()];
    let nodes = plan.nodes.iter().map(|n| n.netns.clone());
    let pods = plan.pods.iter().filter(|p| !p.host_network).map(|p| p.netns.clone());
    own.into_iter().chain(nodes).chain(pods).map(|n| format!("netns add {n}\n")).collect()
}

/// A bridge with a port for each node and one for the outside.
fn wire(plan: &Plan) -> String {
    let mut out = format!("link set lo up\nlink add {LINK_PREFIX}wire type bridge\nlink set {LINK_PREFIX}wire up\n");
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("{LINK_PREFIX}n{i}"), n.netns.clone()));
    for (link, peer) in nodes.chain([(format!("{LINK_PREFIX}out"), outside_netns())]) {
        line(&mut out, &format!("link add {link} type veth peer name eth0 netns {peer}"));
        line(&mut out, &format!("link set {link} master {LINK_PREFIX}wire"));
        line(&mut out, &format!("link set {link} up"));
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Answers for every address outside, and knows the way back.
fn outside(plan: &Plan) -> String {
    let mut out = String::from("link set lo up\n");
    line(&mut out, &format!("addr add {}/32 dev eth0", ROUTER.0));
    line(&mut out, &format!("addr add {}/128 dev eth0 nodad", ROUTER.1));
    line(&mut out, "link set eth0 up");
    for ip in &plan.outside {
        line(&mut out, &format!("addr add {} dev lo{}", host(*ip), nodad(*ip)));
    }
    for node in &plan.nodes {
        towards(&mut out, node);
    }
    out
}

/// Routes to a node and, through it, to its pods. Nodes may have any address, so each has a route of its own.
fn towards(out: &mut String, node: &NodePlan) {
    let ((net4, len4), (net6, len6)) = node.pod_cidrs;
    let (ip4, ip6) = node.addresses;
    line(out, &format!("route add {ip4}/32 dev eth0 scope link"));
    line(out, &format!("route add {net4}/{len4} via {ip4} dev eth0 onlink"));
    line(out, &format!("route add {ip6}/128 dev eth0"));
    line(out, &format!("route add {net6}/{len6} via {ip6} dev eth0 onlink"));
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}/32"),
        IpAddr::V6(ip) => format!("{ip}/128"),
    }
}

/// IPv6 addresses are used at once: nobody else can have them.
fn nodad(ip: IpAddr) -> &'static str {
    if ip.is_ipv6() { " nodad" } else { "" }
}

fn node_links(plan: &Plan, index: usize) -> String {
    let node = &plan.nodes[index];
    let (ip4, ip6) = node.addresses;
    let mut out = String::from("link set lo up\n");
    line(&mut out, &format!("addr add {ip4}/32 dev eth0"));
    line(&mut out, &format!("addr add {ip6}/128 dev eth0 nodad"));
    line(&mut out, "link set eth0 up");
    for other in plan.nodes.iter().filter(|n| n.name != node.name) {
        towards(&mut out, other);
    }
    let (router4, router6) = ROUTER;
    line(&mut out, &format!("route add {router4}/32 dev eth0 scope link"));
    line(&mut out, &format!("route add default via {router4} dev eth0 onlink src {ip4}"));
    line(&mut out, &format!("route add {router6}/128 dev eth0"));
    line(&mut out, &format!("route add default via {router6} dev eth0 onlink src {ip6}"));
    let (gateway4, gateway6) = gateway(node.pod_cidrs);
    let (len4, len6) = (node.pod_cidrs.0.1, node.pod_cidrs.1.1);
    if plan.topology == Topology::Bridge {
        line(&mut out, &format!("link add {LINK_PREFIX}br type bridge"));
        line(&mut out, &format!("addr add {gateway4}/{len4} dev {LINK_PREFIX}br"));
        line(&mut out, &format!("addr add {gateway6}/{len6} dev {LINK_PREFIX}br nodad"));
        line(&mut out, &format!("link set {LINK_PREFIX}br up"));
    }
    for pod in plan.pods.iter().filter(|p| p.node == index && !p.host_network) {
        let veth = &pod.veth;
        line(&mut out, &format!("link add {veth} type veth peer name eth0 netns {}", pod.netns));
        match plan.topology {
            Topology::Bridge => line(&mut out, &format!("link set {veth} master {LINK_PREFIX}br")),
            Topology::Routed => {
                line(&mut out, &format!("addr add {}/32 dev {veth} scope link", ROUTED_GATEWAY.0));
                line(&mut out, &format!("addr add {}/64 dev {veth} nodad", ROUTED_GATEWAY.1));
            }
        }
        line(&mut out, &format!("link set {veth} up"));
        if plan.topology == Topology::Routed {
            line(&mut out, &format!("route add {}/32 dev {veth} scope link src {ip4}", pod.addresses.0));
            line(&mut out, &format!("route add {}/128 dev {veth} src {ip6}", pod.addresses.1));
        }
    }
    out
}

fn pod_links(plan: &Plan, pod: &PodPlan) -> String {
    let (ip4, ip6) = pod.addresses;
    let node = &plan.nodes[pod.node];
    let mut out = String::from("link set lo up\n");
    match plan.topology {
        Topology::Bridge => {
            let (len4, len6) = (node.pod_cidrs.0.1, node.pod_cidrs.1.1);
            let (gateway4, gateway6) = gateway(node.pod_cidrs);
            line(&mut out, &format!("addr add {ip4}/{len4} dev eth0"));
            line(&mut out, &format!("addr add {ip6}/{len6} dev eth0 nodad"));
            line(&mut out, "link set eth0 up");
            line(&mut out, &format!("route add default via {gateway4}"));
            line(&mut out, &format!("route add default via {gateway6}"));
        }
        Topology::Routed => {
            let (gateway4, gateway6) = ROUTED_GATEWAY;
            line(&mut out, &format!("addr add {ip4}/32 dev eth0"));
            line(&mut out, &format!("addr add {ip6}/128 dev eth0 nodad"));
            line(&mut out, "link set eth0 up");
            line(&mut out, &format!("route add default via {gateway4} dev eth0 onlink"));
            line(&mut out, &format!("route add default via {gateway6} dev eth0"));
        }
    }
    out
}

fn forwarding() -> Vec<(String, &'static str)> {
    ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].map(|f| (f.to_owned(), "1")).to_vec()
}

/// What the nodes of a cluster have on: bridged packets pass through netfilter, so that Services work between pods of a node.
fn bridged() -> Vec<(String, &'static str)> {
    ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"].map(|f| (f.to_owned(), "1")).to_vec()
}

/// ClusterIPs by destination NAT, before routing and for the node's own connections, as kube-proxy does it.
fn services(plan: &Plan) -> String {
    let mut rules = String::new();
    let mut hairpins = String::new();
    for service in &plan.services {
        service_rules(plan, service, &mut rules);
    }
    for pod in plan.pods.iter().filter(|p| !p.host_network) {
        for (family, ip) in [("ip", IpAddr::from(pod.addresses.0)), ("ip6", IpAddr::from(pod.addresses.1))] {
            // A pod that reaches itself through a Service must see the answer come back the same way.
            let _ = writeln!(hairpins, "    ct status dnat {family} saddr {ip} {family} daddr {ip} masquerade");
        }
    }
    let chain = |name: &str, hook: &str, priority: &str, rules: &str| {
        format!("  chain {name} {{\n    type nat hook {hook} priority {priority};\n{rules}  }}\n")
    };
    let jump = "    jump to_backends\n";
    format!(
        "table inet {LINK_PREFIX}_services {{\n  chain to_backends {{\n{rules}  }}\n{}{}{}}}\n",
        chain("prerouting", "prerouting", "dstnat", jump),
        // The name `dstnat` is not known to nft for this hook; this is its value.
        chain("output", "output", "-100", jump),
        chain("postrouting", "postrouting", "srcnat", &hairpins),
    )
}

fn service_rules(plan: &Plan, service: &ServicePlan, out: &mut String) {
    let Some((ip4, ip6)) = service.addresses else { return };
    for (protocol, port, backends) in &service.ports {
        let protocol = match protocol {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Sctp => "sctp",
        };
        for (family, ip) in [("ip", IpAddr::from(ip4)), ("ip6", IpAddr::from(ip6))] {
            let to: Vec<String> = backends
                .iter()
                .enumerate()
                .map(|(i, (pod, port))| {
                    let addresses = plan.pods[*pod].addresses;
                    let backend = if family == "ip" { IpAddr::from(addresses.0) } else { addresses.1.into() };
                    format!("{i} : {backend} . {port}")
                })
                .collect();
            let _ = if to.is_empty() {
                writeln!(out, "    {family} daddr {ip} {protocol} dport {port} drop")
            } else {
                let (n, map) = (to.len(), to.join(", "));
                writeln!(
                    out,
                    "    {family} daddr {ip} {protocol} dport {port} dnat {family} to numgen random mod {n} map {{ {map} }}"
                )
            };
        }
    }
}
