//! Does a selector, an address block or a port match? One function per question, no memory between them.

use crate::tri::Tri;
use std::net::IpAddr;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Cidr, ContainerKind, DependsOn, Endpoint, Family, Labels, NamespaceId, Node, NodeId, Op, Pod, PodId, PortMatch,
    Protocol, Requirement, Selector, World, addr, label::NAMESPACE_NAME_LABEL,
};

/// True if some operator is not known: the selector as a whole means nothing then (row 47).
pub(crate) fn unreadable(selector: &Selector) -> bool {
    selector.requirements.iter().any(|r| matches!(r.op, Op::Unknown(_)))
}

/// `Requirement.Matches` of apimachinery, for one requirement (rows 31 to 39). Unknown operators match nothing here;
/// whoever asks checks [`unreadable`] first.
fn holds(requirement: &Requirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    match &requirement.op {
        Op::In(values) => value.is_some_and(|v| values.contains(v)),
        Op::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
        Op::Exists => value.is_some(),
        Op::DoesNotExist => value.is_none(),
        Op::Unknown(_) => false,
    }
}

/// All requirements hold for these labels.
pub(crate) fn labels_match(selector: &Selector, labels: &Labels) -> bool {
    selector.requirements.iter().all(|r| holds(r, labels))
}

/// A namespace selector; only the name of an undeclared namespace is known (U4).
pub(crate) fn namespace_matches(world: &World, selector: &Selector, id: NamespaceId) -> Tri {
    let namespace = &world.namespaces[id.index()];
    Tri::all(selector.requirements.iter().map(|r| {
        if namespace.declared || *r.key == *NAMESPACE_NAME_LABEL {
            Tri::from_bool(holds(r, &namespace.labels))
        } else {
            Tri::unclear(DependsOn::NamespaceLabels(id))
        }
    }))
}

/// One block against one address. IPv4-mapped blocks: U7.
fn in_block(block: &BlockCidr, address: IpAddr) -> Tri {
    match block.mapped {
        None => Tri::from_bool(block.cidr.contains(address)),
        Some(mapped) if block.cidr.contains(address) || mapped.contains(address) => {
            Tri::unclear(DependsOn::MappedBlock)
        }
        Some(_) => Tri::No,
    }
}

/// In the block and in none of its holes (rows 71, 72, 81).
fn in_block_except(block: &BlockCidr, except: &[BlockCidr], address: IpAddr) -> Tri {
    in_block(block, address).and(Tri::any(except.iter().map(|hole| in_block(hole, address))).not())
}

/// The whole space of IPv4: where a host of which nothing is known may be (U2, U3).
fn anywhere() -> Vec<Cidr> {
    vec![Cidr::all(Family::V4)]
}

/// Where pods live if the world does not say: the private ranges and the shared one (U1).
fn private_space() -> Vec<Cidr> {
    let private = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([100, 64, 0, 0], 10)];
    private.into_iter().filter_map(|(first, len)| Cidr::new(IpAddr::from(first), len)).collect()
}

/// An address block against an endpoint (U1, U2, U3).
pub(crate) fn block_matches(world: &World, block: &BlockCidr, except: &[BlockCidr], end: Endpoint) -> Tri {
    let one_by_one = |addresses: &[IpAddr], space: Vec<Cidr>, unknown: DependsOn| {
        let asked = if addresses.is_empty() { sample(&space, block, except) } else { addresses.to_vec() };
        unanimous(asked.iter().map(|a| in_block_except(block, except, *a)), unknown)
    };
    match end {
        Endpoint::External(address) => in_block_except(block, except, address),
        Endpoint::Node(id) => one_by_one(&world.nodes[id.index()].addresses, anywhere(), DependsOn::NodeAddress(id)),
        Endpoint::Pod(id) => match (&world.pods[id.index()], node_of(world, id)) {
            (pod, Some((node_id, node))) if pod.host_network && pod.ips.is_empty() => {
                one_by_one(&node.addresses, anywhere(), DependsOn::NodeAddress(node_id))
            }
            (pod, _) if pod.host_network => one_by_one(&pod.ips, anywhere(), DependsOn::PodAddress(id)),
            (pod, _) => {
                let space = if world.pod_cidrs.is_empty() { private_space() } else { world.pod_cidrs.clone() };
                one_by_one(&pod.ips, space, DependsOn::PodAddress(id))
            }
        },
    }
}

/// Yes if all are, no if none is, else unclear.
fn unanimous(answers: impl Iterator<Item = Tri>, unknown: DependsOn) -> Tri {
    let answers: Vec<Tri> = answers.collect();
    if answers.iter().all(|a| *a == Tri::Yes) {
        Tri::Yes
    } else if answers.iter().all(|a| *a == Tri::No) {
        Tri::No
    } else {
        let missing = answers.into_iter().filter_map(|a| if let Tri::Unclear(on) = a { Some(on) } else { None });
        Tri::Unclear([vec![unknown], missing.flatten().collect()].concat())
    }
}

/// Addresses that stand for a whole space: wherever the space, the block or a hole begins, or one of them has just
/// ended. Between two of these the answer cannot change.
fn sample(space: &[Cidr], block: &BlockCidr, except: &[BlockCidr]) -> Vec<IpAddr> {
    let written = std::iter::once(block).chain(except).flat_map(|b| std::iter::once(b.cidr).chain(b.mapped));
    let edges = space.iter().copied().chain(written).flat_map(|cidr| {
        let (first, last) = cidr.range();
        let (_, end, _) = addr::number(Cidr::all(cidr.family()).addr());
        let after = if last == Cidr::all(cidr.family()).range().1 { end } else { last + 1 };
        [addr::address(cidr.family(), first), addr::address(cidr.family(), after)]
    });
    edges.filter(|edge| space.iter().any(|s| s.contains(*edge))).collect()
}

/// The node that a pod runs on, if it is known.
pub(crate) fn node_of(world: &World, pod: PodId) -> Option<(NodeId, &Node)> {
    let id = world.pods[pod.index()].node?;
    Some((id, &world.nodes[id.index()]))
}

/// A number or a range against a port of the right protocol. Names: see [`named`] and [`named_deny`].
pub(crate) fn number_matches(port: &PortMatch, actual: u16) -> bool {
    match port {
        PortMatch::Any => true,
        PortMatch::Range(first, last) => (*first..=*last).contains(&actual),
        PortMatch::Named(_) => false,
    }
}

/// A port name in a rule that allows or passes: the first port of this name and protocol in spec order, regular
/// containers before sidecars, other init containers never (rows 54 to 60).
pub(crate) fn named(receiver: Option<&Pod>, name: &str, protocol: Protocol, actual: u16) -> bool {
    let of = |kind: ContainerKind| receiver.into_iter().flat_map(|p| &p.ports).filter(move |p| p.container == kind);
    of(ContainerKind::Regular)
        .chain(of(ContainerKind::Sidecar))
        .find(|p| p.name.as_deref() == Some(name) && p.protocol == protocol)
        .is_some_and(|p| p.port == actual)
}

/// A port name in a rule that denies: every port of this name, whatever the container (rows 59, 60).
pub(crate) fn named_deny(receiver: Option<&Pod>, name: &str, protocol: Protocol, actual: u16) -> bool {
    let mut ports = receiver.into_iter().flat_map(|p| &p.ports);
    ports.any(|p| p.name.as_deref() == Some(name) && p.protocol == protocol && p.port == actual)
}
