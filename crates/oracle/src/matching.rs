//! Does a selector, an address block or a port match? One function per question, no memory between them.

use crate::tri::Tri;
use std::net::IpAddr;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::BlockCidr;
use watertight_model::*;

/// True if some operator is not known: the selector as a whole means nothing then (row 47).
pub(crate) fn unreadable(selector: &Selector) -> bool {
    selector.requirements.iter().any(|r| matches!(r.op, Op::Unknown(_)))
}

/// `Requirement.Matches` of apimachinery, for one requirement (rows 31 to 39). Unknown operators match nothing here;
/// whoever asks checks [`unreadable`] first.
fn holds(requirement: &Requirement, labels: &Labels) -> bool {
    match (&requirement.op, labels.get(&requirement.key)) {
        (Op::In(values), value) => value.is_some_and(|v| values.contains(v)),
        (Op::NotIn(values), value) => value.is_none_or(|v| !values.contains(v)),
        (Op::Exists, value) => value.is_some(),
        (Op::DoesNotExist, value) => value.is_none(),
        (Op::Unknown(_), _) => false,
    }
}

/// All requirements hold for these labels.
pub(crate) fn labels_match(selector: &Selector, labels: &Labels) -> bool {
    selector.requirements.iter().all(|r| holds(r, labels))
}

/// A namespace selector; only the name of an undeclared namespace is known (U4).
pub(crate) fn namespace_matches(world: &World, selector: &Selector, id: NamespaceId) -> Tri {
    let namespace = &world.namespaces[id.index()];
    let known = |r: &Requirement| namespace.declared || *r.key == *NAMESPACE_NAME_LABEL;
    let answers = selector.requirements.iter().map(|r| match known(r) {
        true => Tri::from_bool(holds(r, &namespace.labels)),
        false => Tri::unclear(DependsOn::NamespaceLabels(id)),
    });
    answers.fold(Tri::Yes, Tri::and)
}

/// One block against one address. IPv4-mapped blocks: U7.
fn in_block(block: &BlockCidr, address: IpAddr) -> Tri {
    match (block.mapped, block.cidr.contains(address)) {
        (None, inside) => Tri::from_bool(inside),
        (Some(mapped), inside) if inside || mapped.contains(address) => Tri::unclear(DependsOn::MappedBlock),
        (Some(_), _) => Tri::No,
    }
}

/// In the block and in none of its holes (rows 71, 72, 81).
fn in_block_except(block: &BlockCidr, except: &[BlockCidr], address: IpAddr) -> Tri {
    in_block(block, address).and(Tri::any(except.iter().map(|hole| in_block(hole, address))).not())
}

/// Where pods live if the world does not say: the private ranges and the shared one (U1).
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/// A block and its exceptions.
pub(crate) type Block<'w> = (&'w BlockCidr, &'w [BlockCidr]);

/// Inside at least one of them.
fn in_any(blocks: &[Block<'_>], address: IpAddr) -> Tri {
    Tri::any(blocks.iter().map(|(block, except)| in_block_except(block, except, address)))
}

/// The blocks of one rule against an endpoint: its addresses one by one; if none is known, the space where it may be.
pub(crate) fn blocks_match(world: &World, blocks: &[Block<'_>], end: Endpoint) -> Tri {
    let (addresses, unknown, of_host) = match end {
        Endpoint::External(address) => return in_any(blocks, address),
        Endpoint::Node(id) => (&world.nodes[id.index()].addresses, DependsOn::NodeAddress(id), true), // U3
        Endpoint::Pod(id) => match &world.pods[id.index()] {
            // U2: its own listed addresses, else its node's
            Pod { host_network: true, ips, node: Some(node), .. } if ips.is_empty() => {
                (&world.nodes[node.index()].addresses, DependsOn::NodeAddress(*node), true)
            }
            pod => (&pod.ips, DependsOn::PodAddress(id), pod.host_network),
        },
    };
    let space: Vec<Cidr> = match (of_host, &world.pod_cidrs) {
        (true, _) => vec![Cidr::all(Family::V4)],
        (false, cidrs) if cidrs.is_empty() => PRIVATE.iter().filter_map(|text| text.parse().ok()).collect(),
        (false, cidrs) => cidrs.clone(),
    };
    let asked = if addresses.is_empty() { sample(&space, blocks) } else { addresses.clone() };
    unanimous(asked.iter().map(|a| in_any(blocks, *a)).collect(), unknown)
}

/// Yes if all are, no if none is, else unclear.
fn unanimous(answers: Vec<Tri>, unknown: DependsOn) -> Tri {
    let all = |wanted: Tri| answers.iter().all(|answer| *answer == wanted);
    match (all(Tri::Yes), all(Tri::No)) {
        (true, _) => Tri::Yes,
        (_, true) => Tri::No,
        _ => answers.into_iter().filter(|a| matches!(a, Tri::Unclear(_))).fold(Tri::unclear(unknown), Tri::and),
    }
}

/// Addresses that stand for a whole space: wherever the space, a block or a hole begins, or one of them has just
/// ended. Between two of these the answer cannot change.
fn sample(space: &[Cidr], blocks: &[Block<'_>]) -> Vec<IpAddr> {
    let each = blocks.iter().flat_map(|(block, except)| std::iter::once(*block).chain(*except));
    let written = each.flat_map(|b| std::iter::once(b.cidr).chain(b.mapped));
    let edges = space.iter().copied().chain(written).flat_map(|cidr| {
        let (first, last) = cidr.range();
        [first, last.saturating_add(1)].map(|edge| addr::address(cidr.family(), edge))
    });
    edges.filter(|edge| space.iter().any(|s| s.contains(*edge))).collect()
}

/// Pods by namespace and labels, as cluster policies select them, as subject or as peer: hostNetwork pods never
/// (row 145), finished pods never (107).
pub(crate) fn cluster_selects(world: &World, namespaces: &Selector, pods: &Selector, id: PodId) -> Tri {
    let pod = &world.pods[id.index()];
    let may = !pod.host_network && !pod.finished && labels_match(pods, &pod.labels);
    Tri::from_bool(may).and(namespace_matches(world, namespaces, pod.namespace))
}

/// A port of the right protocol against the port of a rule; a name is looked up on the pod that receives the traffic.
pub(crate) fn port_is(port: &PortMatch, receiver: Option<&Pod>, protocol: Protocol, actual: u16) -> bool {
    match port {
        PortMatch::Any => true,
        PortMatch::Range(first, last) => (*first..=*last).contains(&actual),
        PortMatch::Named(name) => named(receiver, name, protocol, false).contains(&actual),
    }
}

/// The numbers that a name stands for. In a rule that denies: every port of this name and protocol; else the first in spec
/// order, regular containers before sidecars, other init containers never (rows 54 to 60).
pub(crate) fn named(receiver: Option<&Pod>, name: &str, protocol: Protocol, denies: bool) -> Vec<u16> {
    let called = |p: &&ContainerPort| p.name.as_deref() == Some(name) && p.protocol == protocol;
    let called = receiver.into_iter().flat_map(|pod| &pod.ports).filter(called);
    if denies {
        return called.map(|p| p.port).collect();
    }
    let counted = called.filter(|p| p.container != ContainerKind::Init);
    counted.min_by_key(|p| p.container == ContainerKind::Sidecar).map(|p| p.port).into_iter().collect()
}
