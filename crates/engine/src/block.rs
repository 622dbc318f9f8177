//! Address blocks against endpoints whose addresses may be several, or unknown (`docs/semantics.md`, U1 to U3, U7).

use crate::tri::Tri;
use std::net::{IpAddr, Ipv4Addr};
use watertight_model::policy::BlockCidr;
use watertight_model::{Cidr, DependsOn, Endpoint, Family, World};

/// Where an endpoint can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// At all of these addresses (never empty).
    At(Vec<IpAddr>),
    /// Somewhere in these blocks (never empty).
    Within(Vec<Cidr>),
}

/// Where pods can be when nobody says: the private ranges of RFC 1918 and the shared range of RFC 6598.
pub fn default_pod_space() -> [Cidr; 4] {
    let block = |a, b, c, d, len| match Cidr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), len) {
        Some(cidr) => cidr,
        None => Cidr::all(Family::V4),
    };
    [block(10, 0, 0, 0, 8), block(100, 64, 0, 0, 10), block(172, 16, 0, 0, 12), block(192, 168, 0, 0, 16)]
}

/// Where this endpoint can be, and what a comparison rests on if only part of that is inside a block.
pub fn whereabouts(world: &World, endpoint: Endpoint) -> (Whereabouts, Option<DependsOn>) {
    match endpoint {
        Endpoint::External(ip) => (Whereabouts::At(vec![ip]), None),
        Endpoint::Node(id) => (at_or_anywhere(&world.nodes[id.index()].addresses), Some(DependsOn::NodeAddress(id))),
        Endpoint::Pod(id) => {
            let pod = &world.pods[id.index()];
            let place = if !pod.ips.is_empty() {
                Whereabouts::At(pod.ips.clone())
            } else if pod.host_network {
                pod.node
                    .map_or_else(|| at_or_anywhere(&[]), |node| at_or_anywhere(&world.nodes[node.index()].addresses))
            } else if world.pod_cidrs.is_empty() {
                Whereabouts::Within(default_pod_space().to_vec())
            } else {
                Whereabouts::Within(world.pod_cidrs.clone())
            };
            (place, Some(DependsOn::PodAddress(id)))
        }
    }
}

fn at_or_anywhere(addresses: &[IpAddr]) -> Whereabouts {
    if addresses.is_empty() {
        Whereabouts::Within(vec![Cidr::all(Family::V4)])
    } else {
        Whereabouts::At(addresses.to_vec())
    }
}

/// A block with its exceptions against whereabouts. `cause` is what "only partly inside" rests on.
pub fn block_matches(block: &BlockCidr, except: &[BlockCidr], place: &Whereabouts, cause: Option<DependsOn>) -> Tri {
    match place {
        Whereabouts::At(addresses) => {
            let each: Vec<Tri> = addresses.iter().map(|ip| holds(block, except, *ip)).collect();
            if each.iter().all(|t| *t == Tri::Yes) {
                Tri::Yes
            } else if each.iter().all(|t| *t == Tri::No) {
                Tri::No
            } else {
                let mut causes: Vec<DependsOn> = Vec::new();
                for tri in &each {
                    if let Tri::Maybe(more) = tri {
                        causes.extend(more);
                    }
                }
                if each.contains(&Tri::Yes) || causes.is_empty() {
                    causes.extend(cause);
                }
                causes.sort_unstable();
                causes.dedup();
                Tri::Maybe(causes)
            }
        }
        Whereabouts::Within(space) => {
            if block.mapped.is_some() {
                let touches =
                    space.iter().any(|s| block.cidr.overlaps(s) || block.mapped.is_some_and(|m| m.overlaps(s)));
                return if touches { Tri::maybe(DependsOn::MappedBlock) } else { Tri::No };
            }
            let pieces: Vec<Inside> = space.iter().map(|s| inside(&block.cidr, except, s)).collect();
            if pieces.iter().all(|p| *p == Inside::All) {
                Tri::Yes
            } else if pieces.iter().all(|p| *p == Inside::Nothing) {
                Tri::No
            } else {
                Tri::Maybe(cause.into_iter().collect())
            }
        }
    }
}

/// One address.
fn holds(block: &BlockCidr, except: &[BlockCidr], ip: IpAddr) -> Tri {
    let one = |b: &BlockCidr| match b.mapped {
        None => Tri::of(b.cidr.contains(ip)),
        Some(mapped) if mapped.contains(ip) || b.cidr.contains(ip) => Tri::maybe(DependsOn::MappedBlock),
        Some(_) => Tri::No,
    };
    match one(block) {
        Tri::No => Tri::No,
        yes => yes.and(Tri::any(except.iter().map(one)).negated()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    All,
    Some,
    Nothing,
}

/// How much of `space` lies in `cidr` and in none of `except`.
fn inside(cidr: &Cidr, except: &[BlockCidr], space: &Cidr) -> Inside {
    if !cidr.overlaps(space) {
        return Inside::Nothing;
    }
    // The blocks nest: what they share is the smaller one.
    let shared = if cidr.covers(space) { space } else { cidr };
    let unclear = except.iter().any(|e| e.mapped.is_some_and(|m| m.overlaps(shared)));
    let mut holes: Vec<(u128, u128)> =
        except.iter().filter(|e| e.mapped.is_none() && e.cidr.overlaps(shared)).map(|e| e.cidr.range()).collect();
    holes.sort_unstable();
    let (first, last) = shared.range();
    let mut next = first;
    let mut covered = false;
    for (a, b) in &holes {
        if *a > next {
            break;
        }
        if *b >= last {
            covered = true;
            break;
        }
        next = next.max(b + 1);
    }
    if covered {
        Inside::Nothing
    } else if holes.is_empty() && !unclear && cidr.covers(space) {
        Inside::All
    } else {
        Inside::Some
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_model::Origin;

    fn b(text: &str) -> BlockCidr {
        BlockCidr { cidr: text.parse().unwrap(), mapped: None, sloppy: false, origin: Origin::default() }
    }

    fn space(list: &[&str]) -> Whereabouts {
        Whereabouts::Within(list.iter().map(|s| s.parse().unwrap()).collect())
    }

    const CAUSE: Option<DependsOn> = Some(DependsOn::DomainName);

    #[test]
    fn unknown_address() {
        let maybe = Tri::maybe(DependsOn::DomainName);
        let private = Whereabouts::Within(default_pod_space().to_vec());
        assert_eq!(block_matches(&b("0.0.0.0/0"), &[], &private, CAUSE), Tri::Yes);
        assert_eq!(block_matches(&b("0.0.0.0/0"), &[b("169.254.169.254/32")], &private, CAUSE), Tri::Yes);
        assert_eq!(block_matches(&b("0.0.0.0/0"), &[b("10.0.0.0/8")], &private, CAUSE), maybe);
        assert_eq!(block_matches(&b("203.0.113.0/24"), &[], &private, CAUSE), Tri::No);
        assert_eq!(block_matches(&b("::/0"), &[], &private, CAUSE), Tri::No);
        let node = space(&["10.244.0.0/16"]);
        assert_eq!(block_matches(&b("10.0.0.0/8"), &[], &node, CAUSE), Tri::Yes);
        assert_eq!(block_matches(&b("10.0.0.0/8"), &[b("10.244.0.0/17")], &node, CAUSE), maybe);
        assert_eq!(block_matches(&b("10.0.0.0/8"), &[b("10.244.0.0/17"), b("10.244.128.0/17")], &node, CAUSE), Tri::No);
    }

    #[test]
    fn known_addresses() {
        let at = |list: &[&str]| Whereabouts::At(list.iter().map(|s| s.parse().unwrap()).collect());
        assert_eq!(block_matches(&b("10.0.0.0/8"), &[], &at(&["10.1.1.1"]), CAUSE), Tri::Yes);
        assert_eq!(block_matches(&b("10.0.0.0/8"), &[b("10.1.0.0/16")], &at(&["10.1.1.1"]), CAUSE), Tri::No);
        let dual = at(&["10.1.1.1", "fd00::1"]);
        assert_eq!(block_matches(&b("10.0.0.0/8"), &[], &dual, CAUSE), Tri::maybe(DependsOn::DomainName));
        assert_eq!(block_matches(&b("11.0.0.0/8"), &[], &dual, CAUSE), Tri::No);
    }

    /// Row 82.
    #[test]
    fn mapped_blocks_are_unclear_for_both_readings() {
        let mapped = BlockCidr { mapped: Some("10.0.0.0/8".parse().unwrap()), ..b("::ffff:10.0.0.0/104") };
        let at = |s: &str| Whereabouts::At(vec![s.parse().unwrap()]);
        let unclear = Tri::maybe(DependsOn::MappedBlock);
        assert_eq!(block_matches(&mapped, &[], &at("10.9.9.9"), CAUSE), unclear);
        assert_eq!(block_matches(&mapped, &[], &at("::ffff:10.9.9.9"), CAUSE), unclear);
        assert_eq!(block_matches(&mapped, &[], &at("11.9.9.9"), CAUSE), Tri::No);
        assert_eq!(block_matches(&b("0.0.0.0/0"), &[mapped], &at("10.9.9.9"), CAUSE), unclear);
        assert_eq!(block_matches(&b("0.0.0.0/0"), &[mapped], &at("11.9.9.9"), CAUSE), Tri::Yes);
    }
}
