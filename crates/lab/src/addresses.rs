//! Addresses of a lab: given out in order, from blocks of its own, around those that manifests name.
//!
//! Everything lives in network namespaces that the lab makes, so no block can meet the host's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use watertight_model::Cidr;

/// Addresses outside the cluster that no policy names (RFC 5737 and RFC 3849: for documentation).
pub(crate) const OUTSIDE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7))];

/// The router between nodes and the outside (RFC 6598 and RFC 4193).
pub(crate) const ROUTER: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(100, 127, 255, 254), Ipv6Addr::new(0xfd00, 0xffff, 0, 0, 0, 0, 0, 0xfe));

/// The gateway of pods that hang on a route each: the same on every interface (RFC 3927, RFC 4291).
pub(crate) const ROUTED_GATEWAY: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(169, 254, 1, 1), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

/// First address of a block as a number, and how many follow it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    first4: u32,
    last4: u32,
    first6: u128,
    last6: u128,
}

/// Addresses that somebody has.
#[derive(Default)]
pub(crate) struct Taken(BTreeSet<IpAddr>);

/// A pool with its place in both families.
pub(crate) struct Pools {
    pool: Pool,
    next4: u32,
    next6: u128,
}

impl Pool {
    /// The blocks of the `i`-th node's pods.
    pub(crate) fn pod_blocks(i: usize) -> ((Ipv4Addr, u8), (Ipv6Addr, u8)) {
        let i = u16::try_from(i).unwrap_or(u16::MAX);
        let low = u8::try_from(i).unwrap_or(u8::MAX);
        ((Ipv4Addr::new(10, 244, low, 0), 24), (Ipv6Addr::new(0xfd00, 0x10, 0x244, i, 0, 0, 0, 0), 64))
    }

    fn of(v4: (Ipv4Addr, u8), v6: (Ipv6Addr, u8)) -> Self {
        let (first4, first6) = (u32::from(v4.0), u128::from(v6.0));
        let size4 = 1u64 << (32 - u32::from(v4.1).min(32));
        // Enough for any lab, and never the whole of a /64.
        let size6 = 0xffff;
        let last4 = u32::try_from(u64::from(first4) + size4 - 1).unwrap_or(u32::MAX);
        Self { first4, last4, first6, last6: first6.saturating_add(size6) }
    }
}

impl Pools {
    fn new(pool: Pool, skip: u32) -> Self {
        Self { pool, next4: pool.first4 + skip, next6: pool.first6 + u128::from(skip) }
    }

    /// For pods of a node: the first address is the network's, the second the gateway's.
    pub(crate) fn of_node((v4, v6): ((Ipv4Addr, u8), (Ipv6Addr, u8))) -> Self {
        Self::new(Pool::of(v4, v6), 2)
    }

    /// For nodes themselves.
    pub(crate) fn of_nodes() -> Self {
        Self::new(
            Pool::of((Ipv4Addr::new(100, 64, 0, 0), 16), (Ipv6Addr::new(0xfd00, 0x100, 0x64, 0, 0, 0, 0, 0), 64)),
            1,
        )
    }

    /// For Services.
    pub(crate) fn of_services() -> Self {
        Self::new(
            Pool::of((Ipv4Addr::new(10, 96, 0, 0), 16), (Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0), 112)),
            10,
        )
    }

    /// The blocks of [`Self::of_services`].
    pub(crate) fn service_blocks() -> [Cidr; 2] {
        let block = |ip: IpAddr, len| Cidr::new(ip, len).unwrap_or(Cidr::host(ip));
        [
            block(Ipv4Addr::new(10, 96, 0, 0).into(), 16),
            block(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0).into(), 112),
        ]
    }

    /// What was asked for, where it is in the pool and free; it is taken.
    pub(crate) fn given(&mut self, asked: &[IpAddr], taken: &mut Taken) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let Pool { first4, last4, first6, last6 } = self.pool;
        self.pick(
            asked,
            taken,
            |ip| (first4 + 2..last4).contains(&u32::from(ip)),
            |ip| (first6 + 2..=last6).contains(&u128::from(ip)),
        )
    }

    /// What was asked for, wherever it is, if it is free and can be a host's.
    pub(crate) fn any(&mut self, asked: &[IpAddr], taken: &mut Taken) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let host4 = |ip: Ipv4Addr| !(ip.is_loopback() || ip.is_multicast() || ip.is_unspecified() || ip.is_broadcast());
        let host6 = |ip: Ipv6Addr| !(ip.is_loopback() || ip.is_multicast() || ip.is_unspecified());
        self.pick(asked, taken, host4, host6)
    }

    fn pick(
        &mut self,
        asked: &[IpAddr],
        taken: &mut Taken,
        ok4: impl Fn(Ipv4Addr) -> bool,
        ok6: impl Fn(Ipv6Addr) -> bool,
    ) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let (mut v4, mut v6) = (None, None);
        for ip in asked {
            match ip {
                IpAddr::V4(a) if v4.is_none() && ok4(*a) && taken.0.insert(*ip) => v4 = Some(*a),
                IpAddr::V6(a) if v6.is_none() && ok6(*a) && taken.0.insert(*ip) => v6 = Some(*a),
                IpAddr::V4(_) | IpAddr::V6(_) => {}
            }
        }
        (v4, v6)
    }

    /// Adds the next free address of each family that is missing. The callers bound how often: a pool is larger.
    pub(crate) fn complete(
        &mut self,
        (v4, v6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
        taken: &mut Taken,
    ) -> (Ipv4Addr, Ipv6Addr) {
        let v4 = v4.unwrap_or_else(|| {
            loop {
                let ip = Ipv4Addr::from(self.next4);
                self.next4 = self.next4.wrapping_add(1);
                if taken.0.insert(ip.into()) {
                    return ip;
                }
            }
        });
        let v6 = v6.unwrap_or_else(|| {
            loop {
                let ip = Ipv6Addr::from(self.next6);
                self.next6 = self.next6.wrapping_add(1);
                if taken.0.insert(ip.into()) {
                    return ip;
                }
            }
        });
        (v4, v6)
    }
}

/// The address of the gateway of a node's pods: the first host of the block.
pub(crate) fn gateway(((v4, _), (v6, _)): ((Ipv4Addr, u8), (Ipv6Addr, u8))) -> (Ipv4Addr, Ipv6Addr) {
    (Ipv4Addr::from(u32::from(v4) + 1), Ipv6Addr::from(u128::from(v6) + 1))
}
