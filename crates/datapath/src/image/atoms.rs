//! The rest of the world: the address space cut at every block that some policy names.
//!
//! Each block becomes a prefix with an address to ask the engine about: one that lies in no longer prefix. What the blocks
//! around it say is thereby inherited (row 86), because the engine knows them all.

use rustc_hash::FxHashSet;
use std::net::IpAddr;
use watertight_model::policy::BlockCidr;
use watertight_model::{Cidr, ClusterPeer, Family, PeerKind, Peers, World, addr};

/// A prefix and who speaks for it.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) cidr: Cidr,
    /// An address in it and in no longer prefix; the first address if longer ones cover all of it (nobody is asked then).
    pub(super) example: IpAddr,
    /// Pods live here: an address without a pod may be that of a pod that is not known yet.
    pub(super) pods_live_here: bool,
}

fn blocks(world: &World) -> impl Iterator<Item = &BlockCidr> {
    let v1 = world.policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)).flat_map(|rule| {
        let peers: &[_] = match &rule.peers {
            Peers::Of(peers) => peers,
            Peers::Any(_) => &[],
        };
        peers.iter().filter_map(|peer| match &peer.kind {
            PeerKind::Block(block) => Some(std::iter::once(&block.cidr).chain(&block.except)),
            PeerKind::Pods { .. } => None,
        })
    });
    let cluster = world.cluster_policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress));
    let networks = cluster.flat_map(|rule| &rule.peers).filter_map(|peer| match peer {
        ClusterPeer::Networks { blocks, .. } => Some(blocks),
        ClusterPeer::Pods { .. }
        | ClusterPeer::Nodes { .. }
        | ClusterPeer::DomainNames { .. }
        | ClusterPeer::Unknown { .. } => None,
    });
    v1.flatten().chain(networks.flatten())
}

/// All prefixes, sorted (a shorter one before the longer ones inside it).
pub(super) fn atoms(world: &World) -> Vec<Atom> {
    let mut cidrs: FxHashSet<Cidr> = [Cidr::all(Family::V4), Cidr::all(Family::V6)].into_iter().collect();
    for block in blocks(world) {
        cidrs.insert(block.cidr);
        cidrs.extend(block.mapped);
    }
    cidrs.extend(&world.pod_cidrs);
    let mut sorted: Vec<Cidr> = cidrs.into_iter().collect();
    sorted.sort_by_key(|c| (c.family(), c.range().0, c.prefix_len()));
    (0..sorted.len())
        .map(|i| {
            let cidr = sorted[i];
            let example = gap(&sorted, i).unwrap_or(cidr.range().0);
            let pods_live_here = world.pod_cidrs.iter().any(|p| p.covers(&cidr));
            Atom { cidr, example: addr::address(cidr.family(), example), pods_live_here }
        })
        .collect()
}

/// The first address of prefix `i` that is in none of the longer ones inside it.
fn gap(sorted: &[Cidr], i: usize) -> Option<u128> {
    let (mut at, last) = sorted[i].range();
    let inside = sorted[i + 1..].iter().take_while(|c| sorted[i].covers(c));
    for (first, end) in inside.map(Cidr::range) {
        if first > at {
            return Some(at);
        }
        if end >= at {
            at = end.checked_add(1)?;
        }
        if at > last {
            return None;
        }
    }
    Some(at)
}
