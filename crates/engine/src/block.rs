//! Address blocks against endpoints whose addresses may be several, or unknown (`docs/semantics.md`, U1 to U3, U7).

use crate::tri::Tri;
use std::net::{IpAddr, Ipv4Addr};
use watertight_model::policy::BlockCidr;
use watertight_model::{Cidr, DependsOn, Endpoint, Family, IpBlock, World};

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

/// A set of addresses as sorted, disjoint ranges of one or both families.
pub(crate) type Ranges = Vec<(Family, u128, u128)>;

/// A block and its exceptions, as written.
pub type Block<'w> = (&'w BlockCidr, &'w [BlockCidr]);

/// The blocks of one rule, taken as one set, against whereabouts. `cause` is what "only partly inside" rests on.
pub fn blocks_match(blocks: &[Block<'_>], place: &Whereabouts, cause: Option<DependsOn>) -> Tri {
    if blocks.is_empty() {
        return Tri::No;
    }
    match place {
        Whereabouts::At(addresses) => {
            let inside = |ip: &IpAddr| Tri::any(blocks.iter().map(|(block, except)| inside_block(block, except, *ip)));
            let each: Vec<Tri> = addresses.iter().map(inside).collect();
            if each.iter().all(|t| *t == Tri::Yes) {
                return Tri::Yes;
            }
            if each.iter().all(|t| *t == Tri::No) {
                return Tri::No;
            }
            let unclear = each.iter().filter_map(|t| match t {
                Tri::Maybe(causes) => Some(causes),
                Tri::Yes | Tri::No => None,
            });
            let mut causes: Vec<DependsOn> = unclear.flatten().copied().collect();
            if each.contains(&Tri::Yes) || causes.is_empty() {
                causes.extend(cause);
            }
            causes.sort_unstable();
            causes.dedup();
            Tri::Maybe(causes)
        }
        Whereabouts::Within(space) => {
            let (mut sure, mut possible) = (Ranges::new(), Ranges::new());
            for (block, except) in blocks {
                let (s, p) = block_ranges(block, except);
                sure.extend(s);
                possible.extend(p);
            }
            let (sure, possible) = (normal(sure), normal(possible));
            let span = |c: &Cidr| (c.family(), c.range().0, c.range().1);
            if space.iter().all(|s| minus(vec![span(s)], sure.clone()).is_empty()) {
                return Tri::Yes;
            }
            if space.iter().all(|s| minus(vec![span(s)], possible.clone()) == [span(s)]) {
                return Tri::No;
            }
            let mapped =
                blocks.iter().any(|(b, except)| std::iter::once(*b).chain(*except).any(|b| b.mapped.is_some()));
            let mut causes: Vec<DependsOn> =
                cause.into_iter().chain(mapped.then_some(DependsOn::MappedBlock)).collect();
            causes.sort_unstable();
            Tri::Maybe(causes)
        }
    }
}

/// One address and one block.
fn inside_block(block: &BlockCidr, except: &[BlockCidr], ip: IpAddr) -> Tri {
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

/// Whether the ranges hold an address.
pub(crate) fn holds(ranges: &Ranges, family: Family, value: u128) -> bool {
    let i = ranges.partition_point(|(f, _, last)| (*f, *last) < (family, value));
    ranges.get(i).is_some_and(|(f, first, _)| *f == family && *first <= value)
}

/// True for a block whose exceptions leave no address of it, on any reading.
pub fn holds_nothing(block: &IpBlock) -> bool {
    block_ranges(&block.cidr, &block.except).1.is_empty()
}

/// Addresses of a block: for sure, and possibly (IPv4-mapped blocks, U7).
pub(crate) fn block_ranges(block: &BlockCidr, except: &[BlockCidr]) -> (Ranges, Ranges) {
    let span = |cidr: &Cidr| {
        let (first, last) = cidr.range();
        (cidr.family(), first, last)
    };
    let plain: Vec<_> = except.iter().filter(|e| e.mapped.is_none()).map(|e| span(&e.cidr)).collect();
    let every: Vec<_> = except.iter().flat_map(|e| std::iter::once(e.cidr).chain(e.mapped)).map(|c| span(&c)).collect();
    match block.mapped {
        None => (minus(vec![span(&block.cidr)], every), minus(vec![span(&block.cidr)], plain)),
        Some(mapped) => (Ranges::new(), minus(normal(vec![span(&block.cidr), span(&mapped)]), plain)),
    }
}

/// Sorted, disjoint, non-touching.
pub(crate) fn normal(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut out: Ranges = Vec::with_capacity(ranges.len());
    for (family, first, last) in ranges {
        match out.last_mut() {
            Some((f, _, end)) if *f == family && (first <= *end || end.checked_add(1) == Some(first)) => {
                *end = (*end).max(last)
            }
            _ => out.push((family, first, last)),
        }
    }
    out
}

/// What is left without the holes.
fn minus(from: Ranges, holes: Ranges) -> Ranges {
    let holes = normal(holes);
    let mut out = Ranges::new();
    for (family, first, last) in from {
        let mut next = Some(first);
        let here = holes.iter().filter(|(f, a, b)| *f == family && *b >= first && *a <= last);
        for (_, a, b) in here {
            if let Some(start) = next.filter(|start| start < a) {
                out.push((family, start, a - 1));
            }
            next = b.checked_add(1).filter(|n| *n <= last);
        }
        if let Some(start) = next {
            out.push((family, start, last));
        }
    }
    out
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

    fn one(block: &BlockCidr, except: &[BlockCidr], place: &Whereabouts, cause: Option<DependsOn>) -> Tri {
        blocks_match(&[(block, except)], place, cause)
    }

    const CAUSE: Option<DependsOn> = Some(DependsOn::DomainName);

    #[test]
    fn unknown_address() {
        let maybe = Tri::maybe(DependsOn::DomainName);
        let private = Whereabouts::Within(default_pod_space().to_vec());
        assert_eq!(one(&b("0.0.0.0/0"), &[], &private, CAUSE), Tri::Yes);
        assert_eq!(one(&b("0.0.0.0/0"), &[b("169.254.169.254/32")], &private, CAUSE), Tri::Yes);
        assert_eq!(one(&b("0.0.0.0/0"), &[b("10.0.0.0/8")], &private, CAUSE), maybe);
        assert_eq!(one(&b("203.0.113.0/24"), &[], &private, CAUSE), Tri::No);
        assert_eq!(one(&b("::/0"), &[], &private, CAUSE), Tri::No);
        let node = space(&["10.244.0.0/16"]);
        assert_eq!(one(&b("10.0.0.0/8"), &[], &node, CAUSE), Tri::Yes);
        assert_eq!(one(&b("10.0.0.0/8"), &[b("10.244.0.0/17")], &node, CAUSE), maybe);
        assert_eq!(one(&b("10.0.0.0/8"), &[b("10.244.0.0/17"), b("10.244.128.0/17")], &node, CAUSE), Tri::No);
    }

    #[test]
    fn known_addresses() {
        let at = |list: &[&str]| Whereabouts::At(list.iter().map(|s| s.parse().unwrap()).collect());
        assert_eq!(one(&b("10.0.0.0/8"), &[], &at(&["10.1.1.1"]), CAUSE), Tri::Yes);
        assert_eq!(one(&b("10.0.0.0/8"), &[b("10.1.0.0/16")], &at(&["10.1.1.1"]), CAUSE), Tri::No);
        let dual = at(&["10.1.1.1", "fd00::1"]);
        assert_eq!(one(&b("10.0.0.0/8"), &[], &dual, CAUSE), Tri::maybe(DependsOn::DomainName));
        assert_eq!(one(&b("11.0.0.0/8"), &[], &dual, CAUSE), Tri::No);
    }

    /// Row 82.
    #[test]
    fn mapped_blocks_are_unclear_for_both_readings() {
        let mapped = BlockCidr { mapped: Some("10.0.0.0/8".parse().unwrap()), ..b("::ffff:10.0.0.0/104") };
        let at = |s: &str| Whereabouts::At(vec![s.parse().unwrap()]);
        let unclear = Tri::maybe(DependsOn::MappedBlock);
        assert_eq!(one(&mapped, &[], &at("10.9.9.9"), CAUSE), unclear);
        assert_eq!(one(&mapped, &[], &at("::ffff:10.9.9.9"), CAUSE), unclear);
        assert_eq!(one(&mapped, &[], &at("11.9.9.9"), CAUSE), Tri::No);
        assert_eq!(one(&b("0.0.0.0/0"), &[mapped], &at("10.9.9.9"), CAUSE), unclear);
        assert_eq!(one(&b("0.0.0.0/0"), &[mapped], &at("11.9.9.9"), CAUSE), Tri::Yes);
    }

    /// The blocks of a rule are one set: together they may hold what none holds alone.
    #[test]
    fn blocks_of_a_rule_are_one_set() {
        let dual = Whereabouts::At(vec!["10.1.1.1".parse().unwrap(), "fd00::1".parse().unwrap()]);
        let (four, six, half, rest) = (b("0.0.0.0/0"), b("::/0"), b("10.0.0.0/9"), b("10.128.0.0/9"));
        assert_eq!(blocks_match(&[(&four, &[]), (&six, &[])], &dual, CAUSE), Tri::Yes);
        assert_eq!(blocks_match(&[(&four, &[])], &dual, CAUSE), Tri::maybe(DependsOn::DomainName));
        let ten = space(&["10.0.0.0/8"]);
        assert_eq!(blocks_match(&[(&half, &[]), (&rest, &[])], &ten, CAUSE), Tri::Yes);
        assert_eq!(blocks_match(&[(&half, &[])], &ten, CAUSE), Tri::maybe(DependsOn::DomainName));
        assert_eq!(blocks_match(&[], &ten, CAUSE), Tri::No);
    }
}
