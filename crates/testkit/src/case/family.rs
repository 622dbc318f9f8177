//! One case, three address families: as written, with every IPv4 address replaced by an IPv6 one, and with both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use watertight_model::policy::BlockCidr;
use watertight_model::{Cidr, ClusterPeer, Peer, PeerKind, Peers, World};

/// Which addresses a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Families {
    /// As the case writes them (IPv4, as a rule).
    AsWritten,
    /// Every IPv4 address and block of the manifests becomes the one that `v6` maps it to, in the text, before reading.
    V6,
    /// Pods, nodes and blocks have both; a flow from or to an external address is asked for each.
    Dual,
}

impl Families {
    /// `v4`, `v6` or `dual`.
    pub fn name(self) -> &'static str {
        match self {
            Families::AsWritten => "v4",
            Families::V6 => "v6",
            Families::Dual => "dual",
        }
    }

    /// Reads one of the three names.
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Families::AsWritten, Families::V6, Families::Dual].into_iter().find(|f| f.name() == name)
    }

    /// The addresses that an address of a table stands for.
    pub(super) fn addresses(self, written: IpAddr) -> Vec<IpAddr> {
        match (self, written) {
            (Families::V6, IpAddr::V4(a)) => vec![IpAddr::V6(v6(a))],
            (Families::Dual, IpAddr::V4(a)) => vec![written, IpAddr::V6(v6(a))],
            (Families::AsWritten, _) | (_, IpAddr::V6(_)) => vec![written],
        }
    }
}

/// 10.0.0.5 becomes fd00::a00:5: the IPv4 address in the last 32 bits, so that blocks stay nested as they were.
pub(super) fn v6(address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from((0xfd00u128 << 112) | u128::from(u32::from(address)))
}

fn v6_block(block: Cidr) -> Option<Cidr> {
    match block.addr() {
        IpAddr::V4(_) if block.prefix_len() == 0 => Some(Cidr::all(watertight_model::Family::V6)),
        IpAddr::V4(a) => Cidr::new(IpAddr::V6(v6(a)), 96 + block.prefix_len()),
        IpAddr::V6(_) => None,
    }
}

/// The text with every IPv4 address and block replaced. Nothing else in a manifest looks like one.
pub(super) fn rewrite(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_');
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let token = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
        match mapped(token) {
            // Quoted, because `::/0` and the like mean something else to YAML when bare, unless it was quoted already.
            Some(new) if out.ends_with(['"', '\'']) => out.push_str(&new),
            Some(new) => out.push_str(&format!("\"{new}\"")),
            None => out.push_str(token),
        }
        rest = &rest[token.len()..];
    }
    out.push_str(rest);
    out
}

fn mapped(token: &str) -> Option<String> {
    let (address, len) = match token.split_once('/') {
        Some((address, len)) => (address, Some(len.parse::<u8>().ok().filter(|l| *l <= 32)?)),
        None => (token, None),
    };
    let address: Ipv4Addr = address.parse().ok()?;
    Some(match len {
        Some(0) if address.is_unspecified() => "::/0".to_owned(),
        Some(len) => format!("{}/{}", v6(address), 96 + len),
        None => v6(address).to_string(),
    })
}

/// Gives everything that has an IPv4 address its IPv6 one as well.
pub(super) fn make_dual(world: &mut World) {
    let double = |list: &mut Vec<IpAddr>| {
        let more: Vec<IpAddr> = list.iter().flat_map(|a| Families::Dual.addresses(*a)).collect();
        *list = more;
    };
    world.pods.iter_mut().for_each(|p| double(&mut p.ips));
    world.nodes.iter_mut().for_each(|n| double(&mut n.addresses));
    world.services.iter_mut().for_each(|s| double(&mut s.cluster_ips));
    let more: Vec<Cidr> = world.pod_cidrs.iter().filter_map(|c| v6_block(*c)).collect();
    world.pod_cidrs.extend(more);
    let block = |b: &BlockCidr| v6_block(b.cidr).map(|cidr| BlockCidr { cidr, ..*b });
    for rule in world.policies.iter_mut().flat_map(|p| p.ingress.iter_mut().chain(&mut p.egress)) {
        if let Peers::Of(peers) = &mut rule.peers {
            let twins: Vec<Peer> = peers.iter().filter_map(|p| twin(p, &block)).collect();
            peers.extend(twins);
        }
    }
    for rule in world.cluster_policies.iter_mut().flat_map(|p| p.ingress.iter_mut().chain(&mut p.egress)) {
        for peer in &mut rule.peers {
            if let ClusterPeer::Networks { blocks, .. } = peer {
                let twins: Vec<BlockCidr> = blocks.iter().filter_map(&block).collect();
                blocks.extend(twins);
            }
        }
    }
}

fn twin(peer: &Peer, block: &dyn Fn(&BlockCidr) -> Option<BlockCidr>) -> Option<Peer> {
    match &peer.kind {
        PeerKind::Block(b) => {
            let except = b.except.iter().filter_map(block).collect();
            let kind = PeerKind::Block(watertight_model::IpBlock { cidr: block(&b.cidr)?, except });
            Some(Peer { kind, origin: peer.origin })
        }
        PeerKind::Pods { .. } => None,
    }
}
