//! Addresses outside the cluster as few blocks, within a budget.

use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_model::{Cidr, Family};

/// Blocks that hold all addresses: single ones while they fit into `most`, else neighbours merged, those that add the fewest
/// unseen addresses first. No merged block is wider than `widest` (IPv4, IPv6). `None`: it does not fit.
pub fn blocks(addresses: &BTreeSet<IpAddr>, most: usize, widest: (u8, u8)) -> Option<Vec<Cidr>> {
    let mut blocks: Vec<Cidr> = addresses.iter().map(|ip| Cidr::host(*ip)).collect();
    blocks.sort();
    while blocks.len() > most {
        let merged = (0..blocks.len() - 1).filter_map(|i| {
            let (a, b) = (blocks[i], blocks[i + 1]);
            let both = common(a, b)?;
            let limit = if a.family() == Family::V4 { widest.0 } else { widest.1 };
            (both.prefix_len() >= limit).then_some((std::cmp::Reverse(both.prefix_len()), i, both))
        });
        let (_, i, both) = merged.min()?;
        blocks.retain(|b| !both.covers(b));
        blocks.insert(i.min(blocks.len()), both);
        blocks.sort();
    }
    Some(blocks)
}

/// The smallest block that holds both.
fn common(a: Cidr, b: Cidr) -> Option<Cidr> {
    let longest = a.prefix_len().min(b.prefix_len());
    (0..=longest).rev().filter_map(|len| Cidr::new(a.addr(), len)).find(|c| c.covers(&a) && c.covers(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[&str]) -> BTreeSet<IpAddr> {
        list.iter().map(|s| s.parse().unwrap()).collect()
    }

    fn text(blocks: Option<Vec<Cidr>>) -> Option<Vec<String>> {
        blocks.map(|b| b.iter().map(Cidr::to_string).collect())
    }

    #[test]
    fn single_addresses_while_they_fit() {
        let two = set(&["203.0.113.9", "198.51.100.1"]);
        let expected = Some(vec!["198.51.100.1/32".to_owned(), "203.0.113.9/32".to_owned()]);
        assert_eq!(text(blocks(&two, 8, (24, 64))), expected);
        assert_eq!(blocks(&two, 1, (24, 64)), None);
    }

    #[test]
    fn neighbours_merge_closest_first_and_never_wider_than_allowed() {
        let many = set(&["203.0.113.1", "203.0.113.2", "203.0.113.3", "198.51.100.7"]);
        let expected = Some(vec!["198.51.100.7/32".to_owned(), "203.0.113.0/30".to_owned()]);
        assert_eq!(text(blocks(&many, 2, (24, 64))), expected);
        let far = set(&["203.0.113.1", "203.0.114.1"]);
        assert_eq!(blocks(&far, 1, (24, 64)), None);
        assert!(blocks(&far, 1, (16, 64)).is_some());
        let six = set(&["2001:db8::1", "2001:db8::2", "203.0.113.1"]);
        assert_eq!(text(blocks(&six, 2, (24, 64))).unwrap().len(), 2);
        assert_eq!(blocks(&six, 1, (24, 64)), None);
    }
}
