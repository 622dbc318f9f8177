//! A small world as text that a person can read, for the report of a disagreement.
//!
//! One line an object, one line a rule. Not YAML: it also shows what no manifest can say (an operator that is not known).

use std::fmt::Write;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, Direction, Endpoint, Flow, L4, Labels, NamespaceId, Op, PeerKind, Peers,
    PortMatch, Ports, Selector, World,
};

/// The world, then the flow.
pub fn describe(world: &World, flow: &Flow) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = things(&mut out, world);
    let _ = policies(&mut out, world);
    let l4 = match flow.l4 {
        L4::Port(protocol, port) => format!("{protocol} {port}"),
        L4::Other => "another IP protocol".to_owned(),
    };
    let via = if flow.via_service { ", through a Service" } else { "" };
    let _ = writeln!(out, "flow {} -> {}: {l4}{via}", endpoint(world, flow.from), endpoint(world, flow.to));
    out
}

fn things(out: &mut String, world: &World) -> std::fmt::Result {
    for namespace in &world.namespaces {
        let read = if namespace.declared { "" } else { " (its object was not read)" };
        writeln!(out, "namespace {} {}{read}", namespace.name, labels(&namespace.labels))?;
    }
    for node in &world.nodes {
        writeln!(out, "node {} {} addresses {:?}", node.name, labels(&node.labels), node.addresses)?;
    }
    if !world.pod_cidrs.is_empty() {
        writeln!(out, "pods live in {:?}", world.pod_cidrs)?;
    }
    for pod in &world.pods {
        let namespace = name(world, pod.namespace);
        write!(out, "pod {namespace}/{} {} addresses {:?}", pod.name, labels(&pod.labels), pod.ips)?;
        if let Some(node) = pod.node {
            write!(out, " on {}", world.nodes[node.index()].name)?;
        }
        let flags = [
            (pod.host_network, " hostNetwork"),
            (pod.finished, " finished"),
            (pod.terminating, " terminating"),
            (pod.template, " template"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, text)| out.write_str(text))?;
        for port in &pod.ports {
            let called = port.name.as_deref().unwrap_or("-");
            write!(out, " {:?}:{called}={}/{}", port.container, port.port, port.protocol)?;
        }
        writeln!(out)?;
    }
    for foreign in &world.foreign_policies {
        let place = foreign.namespace.map_or("the cluster", |id| name(world, id));
        writeln!(out, "not evaluated: {} {} in {place}", foreign.kind, foreign.name)?;
    }
    Ok(())
}

fn policies(out: &mut String, world: &World) -> std::fmt::Result {
    for policy in &world.cluster_policies {
        let (tier, priority) = (policy.tier, policy.priority);
        let (namespaces, pods) = (selector(&policy.subject.namespaces), selector(&policy.subject.pods));
        writeln!(out, "{tier:?} {priority} {}: pods {pods} in namespaces {namespaces}", policy.name)?;
        for direction in Direction::BOTH {
            for (i, rule) in policy.rules(direction).iter().enumerate() {
                let peers: Vec<String> = rule.peers.iter().map(cluster_peer).collect();
                let ports = match &rule.ports {
                    ClusterPorts::Any => "any protocol".to_owned(),
                    ClusterPorts::Of(ports) => ports.iter().map(cluster_port).collect::<Vec<_>>().join(", "),
                };
                writeln!(out, "  {} {i}: {:?} [{}] on {ports}", direction.name(), rule.action, peers.join(" | "))?;
            }
        }
    }
    for policy in &world.policies {
        let isolates: Vec<&str> =
            Direction::BOTH.into_iter().filter(|d| policy.isolates(*d)).map(Direction::name).collect();
        let (namespace, subject) = (name(world, policy.namespace), selector(&policy.subject));
        writeln!(out, "NetworkPolicy {namespace}/{}: pods {subject}, isolates {isolates:?}", policy.name)?;
        for direction in Direction::BOTH {
            for (i, rule) in policy.rules(direction).iter().enumerate() {
                let peers = match &rule.peers {
                    Peers::Any(_) => "anyone".to_owned(),
                    Peers::Of(peers) => peers.iter().map(|p| peer(&p.kind)).collect::<Vec<_>>().join(" | "),
                };
                let ports = match &rule.ports {
                    Ports::Any(_) => "any port".to_owned(),
                    Ports::Of(ports) => {
                        let all = ports.iter().map(|p| format!("{} {}", p.protocol, port_match(&p.port)));
                        all.collect::<Vec<_>>().join(", ")
                    }
                };
                writeln!(out, "  {} {i}: [{peers}] on {ports}", direction.name())?;
            }
        }
    }
    Ok(())
}

fn name(world: &World, id: NamespaceId) -> &str {
    &world.namespaces[id.index()].name
}

fn endpoint(world: &World, end: Endpoint) -> String {
    match end {
        Endpoint::Pod(id) => format!("pod {}", world.pod_name(id)),
        Endpoint::Node(id) => format!("node {}", world.nodes[id.index()].name),
        Endpoint::External(address) => format!("address {address}"),
    }
}

fn labels(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn selector(selector: &Selector) -> String {
    let all: Vec<String> = selector
        .requirements
        .iter()
        .map(|r| match &r.op {
            Op::In(values) => format!("{} in {values:?}", r.key),
            Op::NotIn(values) => format!("{} not in {values:?}", r.key),
            Op::Exists => format!("{} exists", r.key),
            Op::DoesNotExist => format!("{} does not exist", r.key),
            Op::Unknown(op) => format!("{} {op}?", r.key),
        })
        .collect();
    format!("{{{}}}", all.join(", "))
}

fn block(block: &BlockCidr) -> String {
    let mapped = if block.mapped.is_some() { " (mapped)" } else { "" };
    format!("{}{mapped}", block.cidr)
}

fn peer(kind: &PeerKind) -> String {
    match kind {
        PeerKind::Pods { namespaces, pods } => {
            let place = namespaces.as_ref().map_or("here".to_owned(), |s| format!("in namespaces {}", selector(s)));
            format!("pods {} {place}", pods.as_ref().map_or("(all)".to_owned(), selector))
        }
        PeerKind::Block(b) if b.except.is_empty() => block(&b.cidr),
        PeerKind::Block(b) => {
            let holes: Vec<String> = b.except.iter().map(block).collect();
            format!("{} except {}", block(&b.cidr), holes.join(", "))
        }
    }
}

fn port_match(port: &PortMatch) -> String {
    match port {
        PortMatch::Any => "any".to_owned(),
        PortMatch::Range(first, last) if first == last => first.to_string(),
        PortMatch::Range(first, last) => format!("{first}-{last}"),
        PortMatch::Named(name) => format!("`{name}`"),
    }
}

fn cluster_peer(peer: &ClusterPeer) -> String {
    match peer {
        ClusterPeer::Pods { namespaces, pods, .. } => {
            format!("pods {} in namespaces {}", selector(pods), selector(namespaces))
        }
        ClusterPeer::Nodes { nodes, .. } => format!("nodes {}", selector(nodes)),
        ClusterPeer::Networks { blocks, .. } => blocks.iter().map(block).collect::<Vec<_>>().join(" + "),
        ClusterPeer::DomainNames { names, .. } => format!("domain names {names:?}"),
        ClusterPeer::Unknown { .. } => "a peer of unknown kind".to_owned(),
    }
}

fn cluster_port(port: &ClusterPort) -> String {
    match port {
        ClusterPort::Number(protocol, port) => format!("{protocol} {}", port_match(port)),
        ClusterPort::Named(name) => format!("`{name}`"),
        ClusterPort::BareProtocol(protocol) => format!("{protocol} without a port"),
        ClusterPort::Unknown => "a port of unknown kind".to_owned(),
    }
}
