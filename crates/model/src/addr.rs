//! Address blocks in one canonical form: host bits cleared, family known. The only key type for addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IP version. Families never match across: `0.0.0.0/0` holds no IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A CIDR block with host bits cleared. An IPv4-mapped IPv6 block stays IPv6 here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    family: Family,
    /// First address as a number (IPv4 in the low 32 bits).
    first: u128,
    len: u8,
}

/// The text is not a CIDR block in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCanonical;

impl Cidr {
    /// The block of `len` leading bits around `addr`; host bits are cleared. `None` if `len` exceeds the family's width.
    pub fn new(addr: IpAddr, len: u8) -> Option<Self> {
        let (family, bits, width) = number(addr);
        if len > width {
            return None;
        }
        let host = u32::from(width - len);
        let first = if host >= 128 { 0 } else { (bits >> host) << host };
        Some(Self { family, first, len })
    }

    /// The block that holds just this address.
    pub fn host(addr: IpAddr) -> Self {
        let (family, first, len) = number(addr);
        Self { family, first, len }
    }

    /// `0.0.0.0/0` or `::/0`.
    pub fn all(family: Family) -> Self {
        Self { family, first: 0, len: 0 }
    }

    /// IP version.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Prefix length in bits.
    pub fn prefix_len(&self) -> u8 {
        self.len
    }

    /// First address.
    pub fn addr(&self) -> IpAddr {
        address(self.family, self.first)
    }

    /// First and last address as numbers, both inside.
    pub fn range(&self) -> (u128, u128) {
        let host = u32::from(width(self.family) - self.len);
        let span = if host >= 128 { u128::MAX } else { (1u128 << host) - 1 };
        (self.first, self.first + span)
    }

    /// True if the address lies in the block (and has its family).
    pub fn contains(&self, addr: IpAddr) -> bool {
        let (family, bits, _) = number(addr);
        let (first, last) = self.range();
        family == self.family && (first..=last).contains(&bits)
    }

    /// True if every address of `other` lies in this block.
    pub fn covers(&self, other: &Cidr) -> bool {
        self.family == other.family && self.len <= other.len && self.contains(other.addr())
    }

    /// True if the two blocks share an address.
    pub fn overlaps(&self, other: &Cidr) -> bool {
        self.covers(other) || other.covers(self)
    }
}

/// Family, value and width in bits of an address.
pub fn number(addr: IpAddr) -> (Family, u128, u8) {
    match addr {
        IpAddr::V4(a) => (Family::V4, u128::from(u32::from(a)), 32),
        IpAddr::V6(a) => (Family::V6, u128::from(a), 128),
    }
}

/// The address with this value. An IPv4 value is taken modulo 2^32.
pub fn address(family: Family, value: u128) -> IpAddr {
    match family {
        #[expect(clippy::cast_possible_truncation, reason = "IPv4 values are kept in the low 32 bits")]
        Family::V4 => IpAddr::V4(Ipv4Addr::from(value as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(value)),
    }
}

/// Bits in an address of the family.
pub fn width(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// The fewest blocks that cover exactly `first..=last`, in ascending order.
pub fn cover(family: Family, first: u128, last: u128) -> Vec<Cidr> {
    let mut out = Vec::new();
    let mut at = first;
    loop {
        let aligned = if at == 0 { u32::from(width(family)) } else { at.trailing_zeros() };
        let mut host = aligned.min(u32::from(width(family)));
        while host > 0 && (host >= 128 || at + ((1u128 << host) - 1) > last) {
            if host >= 128 && at == 0 && last == u128::MAX {
                break;
            }
            host -= 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "host <= 128")]
        let block = Cidr { family, first: at, len: width(family) - host as u8 };
        let end = block.range().1;
        out.push(block);
        if end >= last {
            return out;
        }
        at = end + 1;
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr(), self.len)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cidr {
    type Err = NotCanonical;

    /// Reads a canonical block: no leading zeros, no host bits. (Sloppy forms are the reader's business.)
    fn from_str(s: &str) -> Result<Self, NotCanonical> {
        let (addr, len) = s.split_once('/').ok_or(NotCanonical)?;
        let addr: IpAddr = addr.parse().map_err(|_| NotCanonical)?;
        if len.is_empty() || (len.len() > 1 && len.starts_with('0')) || !len.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotCanonical);
        }
        let block = Self::new(addr, len.parse().map_err(|_| NotCanonical)?).ok_or(NotCanonical)?;
        if block.addr() == addr { Ok(block) } else { Err(NotCanonical) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(s: &str) -> Cidr {
        s.parse().unwrap()
    }

    #[test]
    fn canonical_text_only() {
        assert_eq!(c("10.0.0.0/8").to_string(), "10.0.0.0/8");
        assert_eq!(c("::/0").range(), (0, u128::MAX));
        for bad in
            ["10.1.2.3/8", "010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/33", "10.0.0.0", "10.0.0/8", " 10.0.0.0/8", "::/129"]
        {
            assert_eq!(bad.parse::<Cidr>(), Err(NotCanonical), "{bad}");
        }
    }

    #[test]
    fn families_never_match_across() {
        assert!(c("0.0.0.0/0").contains("203.0.113.7".parse().unwrap()));
        assert!(!c("0.0.0.0/0").contains("::ffff:203.0.113.7".parse().unwrap()));
        assert!(!c("::/0").contains("203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn cover_is_exact_and_minimal() {
        assert_eq!(cover(Family::V4, 0, u128::from(u32::MAX)), [c("0.0.0.0/0")]);
        assert_eq!(cover(Family::V6, 0, u128::MAX), [c("::/0")]);
        let (a, b) =
            (u128::from(u32::from(Ipv4Addr::new(10, 0, 0, 1))), u128::from(u32::from(Ipv4Addr::new(10, 0, 0, 6))));
        let blocks: Vec<String> = cover(Family::V4, a, b).iter().map(Cidr::to_string).collect();
        assert_eq!(blocks, ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
        assert_eq!(cover(Family::V6, 1, u128::MAX).len(), 128);
    }

    #[test]
    fn covers_and_overlaps() {
        assert!(c("10.0.0.0/8").covers(&c("10.1.0.0/16")));
        assert!(!c("10.1.0.0/16").covers(&c("10.0.0.0/8")));
        assert!(c("10.1.0.0/16").overlaps(&c("10.0.0.0/8")));
        assert!(!c("10.1.0.0/16").overlaps(&c("10.2.0.0/16")));
    }
}
