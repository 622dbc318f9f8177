//! Every verdict over many ports or addresses: one question for each stretch that no policy tells apart.

use super::port_cuts;
use crate::Engine;
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Cidr, ClusterPeer, Direction, Endpoint, Family, Flow, FlowVerdict, L4, PeerKind, Peers, PodId, PortSet, Protocol,
    addr,
};

/// Ports that have one verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Protocol.
    pub protocol: Protocol,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
    /// The flow to the first port.
    pub flow: Flow,
    /// Its verdict, and that of all others.
    pub verdict: FlowVerdict,
}

/// The verdicts of one pair over these ports, ascending. Ends of a stretch need not differ in verdict, only in who may decide.
pub fn stretches(engine: &Engine<'_>, from: Endpoint, to: Endpoint, ports: &PortSet) -> Vec<Stretch> {
    let mut out = Vec::new();
    for (protocol, first, last) in ports.iter() {
        let mut cuts: BTreeSet<u16> = port_cuts(engine, from, to, protocol).into_iter().collect();
        cuts.retain(|cut| (first..=last).contains(cut));
        cuts.insert(first);
        let starts: Vec<u16> = cuts.into_iter().collect();
        for (i, start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).map_or(last, |next| next - 1);
            let flow = Flow { from, to, l4: L4::Port(protocol, *start), via_service: false };
            out.push(Stretch { protocol, first: *start, last: end, flow, verdict: engine.decide(&flow) });
        }
    }
    out
}

/// One address for each stretch of `within` that the policies on a pod tell apart in this direction, ascending. Addresses that
/// pods come from, or that are a pod's or a node's, are left out: they are not outside.
pub fn addresses(engine: &Engine<'_>, pod: PodId, direction: Direction, within: &[Cidr]) -> Vec<IpAddr> {
    let world = engine.world();
    let mut cuts: BTreeSet<(Family, u128)> = BTreeSet::new();
    let mut cut = |cidr: &Cidr| {
        let (first, last) = cidr.range();
        cuts.insert((cidr.family(), first));
        cuts.extend(last.checked_add(1).map(|next| (cidr.family(), next)));
    };
    let mut block = |block: &BlockCidr| std::iter::once(&block.cidr).chain(&block.mapped).for_each(&mut cut);
    for s in engine.classes().policies_of(pod, direction) {
        for rule in world.policies[s.policy as usize].rules(direction) {
            let Peers::Of(peers) = &rule.peers else { continue };
            for peer in peers {
                if let PeerKind::Block(b) = &peer.kind {
                    std::iter::once(&b.cidr).chain(&b.except).for_each(&mut block);
                }
            }
        }
    }
    for s in engine.classes().cluster_policies_of(pod) {
        for rule in world.cluster_policies[s.policy as usize].rules(direction) {
            for peer in &rule.peers {
                if let ClusterPeer::Networks { blocks, .. } = peer {
                    blocks.iter().for_each(&mut block);
                }
            }
        }
    }
    let running = world.pods.iter().filter(|p| !p.finished && !p.host_network).flat_map(|p| &p.ips);
    let known = running.chain(world.nodes.iter().flat_map(|n| &n.addresses)).copied().map(Cidr::host);
    known.chain(world.pod_cidrs.iter().copied()).chain(within.iter().copied()).for_each(|cidr| cut(&cidr));
    let inside = |list: &[Cidr], ip: IpAddr| list.iter().any(|cidr| cidr.contains(ip));
    let outside = |ip: &IpAddr| {
        inside(within, *ip)
            && !inside(&world.pod_cidrs, *ip)
            && matches!(engine.endpoint_of(*ip), Endpoint::External(_))
    };
    let last = |family: Family| Cidr::all(family).range().1;
    let all = cuts.into_iter().filter(|(family, value)| *value <= last(*family));
    all.map(|(family, value)| addr::address(family, value)).filter(outside).collect()
}
