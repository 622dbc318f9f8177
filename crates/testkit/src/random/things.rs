//! Namespaces, nodes and pods.

use super::vocabulary::{
    NAMESPACE_KEYS, NAMESPACES, NODE_ADDRESSES, NODE_KEYS, NODE_V6, POD_KEYS, POD_V4, POD_V6, PORT_NAMES, PORTS,
    draw_labels,
};
use super::{Mood, Rng, Size};
use crate::build::{cidr, ip, namespace, node, workload};
use std::net::IpAddr;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::pod::Dns;
use watertight_model::{
    ContainerKind, ContainerPort, ForeignPolicy, Labels, NamespaceId, NodeId, Origin, Pod, Protocol, Str, WorkloadId,
    WorkloadKind, World,
};

/// Addresses not yet given away, in random order.
struct Pool(Vec<IpAddr>);

impl Pool {
    fn new(rng: &mut Rng, all: &[&str]) -> Self {
        let mut all: Vec<IpAddr> = all.iter().map(|a| ip(a)).collect();
        rng.shuffle(&mut all);
        Self(all)
    }
}

pub(crate) fn fill(rng: &mut Rng, mood: &Mood, size: &Size, world: &mut World) {
    let count = rng.between(1, size.namespaces.clamp(1, NAMESPACES.len()));
    let mut names = NAMESPACES;
    rng.shuffle(&mut names);
    names[..count].sort_unstable();
    for name in &names[..count] {
        let declared = !(mood.undeclared && rng.chance(40));
        let labels = if declared { draw_labels(rng, &NAMESPACE_KEYS, 65) } else { Labels::default() };
        let mut made = namespace(name, labels.with(NAMESPACE_NAME_LABEL, name), declared);
        made.terminating = declared && rng.chance(4);
        world.namespaces.push(made);
    }
    nodes(rng, mood, size, world);
    pods(rng, mood, size, world);
    if mood.pod_cidrs {
        let choices: [&[&str]; 5] = [
            &["10.1.0.0/16"],
            &["10.0.0.0/8", "fd00::/8"],
            &["10.1.0.0/24"],
            &["10.1.0.0/24", "10.2.0.0/24"],
            &["fd00:1::/64"],
        ];
        world.pod_cidrs = rng.pick(&choices).iter().map(|c| cidr(c)).collect();
    }
    if mood.foreign {
        let kinds = ["AuthorizationPolicy", "CiliumNetworkPolicy"];
        for kind in kinds.iter().take(rng.between(1, 2)) {
            let namespace = rng.chance(70).then(|| NamespaceId::at(rng.below(world.namespaces.len())));
            let (group, name) = (Str::from("example.io"), Str::from("foreign"));
            let origin = Origin::default();
            world.foreign_policies.push(ForeignPolicy { kind: Str::from(*kind), group, namespace, name, origin });
        }
    }
}

fn nodes(rng: &mut Rng, mood: &Mood, size: &Size, world: &mut World) {
    let (mut v4, mut v6) = (Pool::new(rng, &NODE_ADDRESSES), Pool::new(rng, &NODE_V6));
    for i in 0..rng.between(usize::from(size.nodes > 0), size.nodes) {
        let mut addresses = Vec::new();
        if !(mood.no_address && rng.chance(30)) {
            addresses.extend(v4.0.pop());
            addresses.extend(rng.chance(25).then(|| v4.0.pop()).flatten());
            addresses.extend((mood.dual_stack && rng.chance(50)).then(|| v6.0.pop()).flatten());
        }
        let labels = draw_labels(rng, &NODE_KEYS, 60);
        world.nodes.push(node(&format!("node-{i:02}"), &labels, &addresses));
    }
}

fn pods(rng: &mut Rng, mood: &Mood, size: &Size, world: &mut World) {
    let mut per_namespace = vec![0usize; world.namespaces.len()];
    for _ in 0..rng.between(size.pods / 3, size.pods).max(1) {
        let i = rng.below(per_namespace.len());
        per_namespace[i] += 1;
    }
    let (mut v4, mut v6) = (Pool::new(rng, &POD_V4), Pool::new(rng, &POD_V6));
    for (ns, count) in per_namespace.into_iter().enumerate() {
        for i in 0..count {
            let name = format!("pod-{i:02}");
            let labels = draw_labels(rng, &POD_KEYS, 55);
            world.workloads.push(workload(WorkloadKind::Pod, NamespaceId::at(ns), &name, &labels));
            let host_network = mood.host_network && rng.chance(30);
            let no_node = world.nodes.is_empty() || (mood.no_node && rng.chance(40));
            let node = (!no_node).then(|| NodeId::at(rng.below(world.nodes.len())));
            let mut ips = Vec::new();
            if host_network {
                // Often the node's own; else not reported, so that the node's count.
                ips = node.filter(|_| rng.chance(50)).map_or(ips, |n| world.nodes[n.index()].addresses.clone());
            } else if !(mood.no_address && rng.chance(40)) {
                let only_v6 = mood.dual_stack && rng.chance(15);
                ips.extend((!only_v6).then(|| v4.0.pop()).flatten());
                ips.extend((only_v6 || mood.dual_stack && rng.chance(50)).then(|| v6.0.pop()).flatten());
            }
            world.pods.push(Pod {
                name: Str::from(name),
                namespace: NamespaceId::at(ns),
                workload: WorkloadId::at(world.pods.len()),
                labels,
                uid: None,
                node,
                host_network,
                template: ips.is_empty() && node.is_none() && rng.chance(80),
                ips,
                ports: container_ports(rng),
                finished: rng.chance(6),
                terminating: rng.chance(6),
                dns: Dns::default(),
                node_privilege: None,
                origin: Origin::default(),
            });
        }
    }
}

/// Ports with clashing names, numbers and protocols, over all kinds of container.
fn container_ports(rng: &mut Rng) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = (0..rng.below(5))
        .map(|_| ContainerPort {
            name: rng.chance(85).then(|| Str::from(*rng.pick(&PORT_NAMES))),
            port: (*rng.pick(&PORTS)).max(1),
            protocol: draw_protocol(rng),
            host_port: None,
            container: *rng.pick(&[
                ContainerKind::Regular,
                ContainerKind::Regular,
                ContainerKind::Sidecar,
                ContainerKind::Init,
            ]),
        })
        .collect();
    ports.sort_by_key(|p| p.container != ContainerKind::Regular);
    ports
}

/// TCP more often than the others.
pub(crate) fn draw_protocol(rng: &mut Rng) -> Protocol {
    *rng.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Sctp])
}
