//! Who opens and who receives the connections that a rule is about, and which ports the receivers declare.

use crate::context::Ctx;
use crate::rules::trial::OUTSIDE;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use watertight_engine::classes::ClassId;
use watertight_model::{
    Cidr, ContainerKind, Direction, Endpoint, Family, NetworkPolicy, PeerKind, Peers, PodId, PortSet, Protocol, Rule,
    WorkloadId,
};

/// Classes of the pods on which a rule's ports are looked up: those that the policy selects for ingress, those that the rule
/// names for egress. `None`: the rule also names others than pods, of whom no port is known.
pub(crate) fn receivers<'w>(
    ctx: &Ctx<'_, 'w>,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &'w Rule,
) -> Option<Vec<ClassId>> {
    let is_pods = |peers: &Peers| match peers {
        Peers::Any(_) => false,
        Peers::Of(list) => list.iter().all(|p| matches!(p.kind, PeerKind::Pods { .. })),
    };
    match direction {
        Direction::Ingress => Some(ctx.scope().subjects(policy)),
        Direction::Egress => is_pods(&rule.peers).then(|| ctx.scope().rule(policy, rule).sure),
    }
}

/// Someone whose connections the rule is about: for ingress those that it names, for egress a pod that the policy selects.
/// At most one of each class.
pub(crate) fn openers<'w>(
    ctx: &Ctx<'_, 'w>,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &'w Rule,
) -> Vec<Endpoint> {
    let pods = |classes: Vec<ClassId>| -> Vec<Endpoint> {
        classes.iter().map(|c| Endpoint::Pod(ctx.engine.classes().representative(*c))).collect()
    };
    let named = match (direction, &rule.peers) {
        (Direction::Egress, _) => return pods(ctx.scope().subjects(policy)),
        (Direction::Ingress, Peers::Any(_)) => return vec![OUTSIDE],
        (Direction::Ingress, Peers::Of(peers)) => peers,
    };
    let blocks = named.iter().filter_map(|p| match &p.kind {
        PeerKind::Block(block) => Some(Endpoint::External(first_address(block.cidr.cidr))),
        PeerKind::Pods { .. } => None,
    });
    pods(ctx.scope().rule(policy, rule).sure).into_iter().chain(blocks).collect()
}

/// The first address of a block.
pub(crate) fn first_address(cidr: Cidr) -> IpAddr {
    let first = cidr.range().0;
    match cidr.family() {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(first).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(first)),
    }
}

/// Ports that the pods of each class declare; those of init containers, which do not serve, are left out.
pub(crate) struct Declared {
    by_class: Vec<BTreeSet<(Protocol, u16)>>,
    /// Some pod of the class declares no port.
    bare: Vec<bool>,
}

impl Declared {
    /// Linear in pods.
    pub(crate) fn of(ctx: &Ctx<'_, '_>) -> Self {
        let classes = ctx.engine.classes();
        let (mut by_class, mut bare) = (vec![BTreeSet::new(); classes.len()], vec![false; classes.len()]);
        for (i, pod) in ctx.world.pods.iter().enumerate() {
            let Some(class) = classes.class_of(PodId::at(i)) else { continue };
            let class = class.0 as usize;
            let mut serving = pod.ports.iter().filter(|p| p.container != ContainerKind::Init).peekable();
            bare[class] |= serving.peek().is_none();
            by_class[class].extend(serving.map(|p| (p.protocol, p.port)));
        }
        Self { by_class, bare }
    }

    /// What the pods of a class declare.
    pub(crate) fn ports(&self, class: ClassId) -> &BTreeSet<(Protocol, u16)> {
        &self.by_class[class.0 as usize]
    }

    /// Every pod of these classes declares some port.
    pub(crate) fn by_every_pod(&self, classes: &[ClassId]) -> bool {
        classes.iter().all(|c| !self.bare[c.0 as usize])
    }

    /// What the pods of these classes declare, as a set.
    pub(crate) fn union(&self, classes: &[ClassId]) -> PortSet {
        let all: BTreeSet<(Protocol, u16)> = classes.iter().flat_map(|c| self.ports(*c)).copied().collect();
        all.into_iter().fold(PortSet::none(), |sum, (p, n)| sum.union(&PortSet::range(p, n, n)))
    }

    /// The first declared port of a range.
    pub(crate) fn in_range(&self, class: ClassId, protocol: Protocol, first: u16, last: u16) -> Option<u16> {
        self.ports(class).range((protocol, first)..=(protocol, last)).next().map(|(_, port)| *port)
    }
}

/// Names of the workloads of these classes, sorted.
pub(crate) fn names(ctx: &Ctx<'_, '_>, classes: &[ClassId]) -> Vec<String> {
    let members = classes.iter().flat_map(|c| ctx.engine.classes().members(*c));
    let workloads: BTreeSet<WorkloadId> = members.map(|p| ctx.world.pods[p.index()].workload).collect();
    workloads.into_iter().map(|w| ctx.world.workload_name(w)).collect()
}

/// How many pods these classes have.
pub(crate) fn pod_count(ctx: &Ctx<'_, '_>, classes: &[ClassId]) -> usize {
    classes.iter().map(|c| ctx.engine.classes().members(*c).len()).sum()
}
