//! Sets of TCP, UDP and SCTP ports as sorted, disjoint, non-touching intervals.

use crate::port::Protocol;

/// A set of (protocol, port) pairs. Equal sets compare equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortSet {
    by_protocol: [Vec<(u16, u16)>; 3],
}

impl PortSet {
    /// The empty set.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every port of TCP, UDP and SCTP.
    pub fn all() -> Self {
        Self { by_protocol: [vec![(0, u16::MAX)], vec![(0, u16::MAX)], vec![(0, u16::MAX)]] }
    }

    /// `first..=last` of one protocol. Empty if `first > last`.
    pub fn range(protocol: Protocol, first: u16, last: u16) -> Self {
        let mut set = Self::default();
        if first <= last {
            set.by_protocol[protocol as usize].push((first, last));
        }
        set
    }

    /// Every port of one protocol.
    pub fn protocol(protocol: Protocol) -> Self {
        Self::range(protocol, 0, u16::MAX)
    }

    /// True if nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.by_protocol.iter().all(Vec::is_empty)
    }

    /// True if every port of all three protocols is in the set.
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// True if the pair is in the set.
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        let list = &self.by_protocol[protocol as usize];
        let i = list.partition_point(|&(_, last)| last < port);
        list.get(i).is_some_and(|&(first, _)| first <= port)
    }

    /// The intervals: protocol (TCP, UDP, SCTP), first and last port, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, u16, u16)> + '_ {
        Protocol::ALL.into_iter().flat_map(|p| self.by_protocol[p as usize].iter().map(move |&(a, b)| (p, a, b)))
    }

    /// How many (protocol, port) pairs are in the set.
    pub fn count(&self) -> u32 {
        self.iter().map(|(_, a, b)| u32::from(b - a) + 1).sum()
    }

    /// Ports in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for p in 0..3 {
            let mut all: Vec<_> = self.by_protocol[p].iter().chain(&other.by_protocol[p]).copied().collect();
            all.sort_unstable();
            for (first, last) in all {
                match out.by_protocol[p].last_mut() {
                    Some(end) if u32::from(first) <= u32::from(end.1) + 1 => end.1 = end.1.max(last),
                    _ => out.by_protocol[p].push((first, last)),
                }
            }
        }
        out
    }

    /// Ports in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for p in 0..3 {
            let (a, b) = (&self.by_protocol[p], &other.by_protocol[p]);
            let (mut i, mut j) = (0, 0);
            while i < a.len() && j < b.len() {
                let (first, last) = (a[i].0.max(b[j].0), a[i].1.min(b[j].1));
                if first <= last {
                    out.by_protocol[p].push((first, last));
                }
                if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
            }
        }
        out
    }

    /// Ports in this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.intersect(&other.complement())
    }

    /// Every pair that is not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut out = Self::default();
        for p in 0..3 {
            let mut next = 0u32;
            for &(first, last) in &self.by_protocol[p] {
                push(&mut out.by_protocol[p], next, u32::from(first));
                next = u32::from(last) + 1;
            }
            push(&mut out.by_protocol[p], next, 65536);
        }
        out
    }
}

/// Adds `from..until` if it holds anything; both are at most 65536.
fn push(list: &mut Vec<(u16, u16)>, from: u32, until: u32) {
    if let (true, Ok(first), Ok(last)) = (from < until, u16::try_from(from), u16::try_from(until.wrapping_sub(1))) {
        list.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protocol::{Tcp, Udp};

    #[test]
    fn algebra() {
        let web = PortSet::range(Tcp, 80, 90);
        let more = web.union(&PortSet::range(Tcp, 91, 95)).union(&PortSet::range(Udp, 53, 53));
        assert_eq!(more.iter().collect::<Vec<_>>(), [(Tcp, 80, 95), (Udp, 53, 53)]);
        assert_eq!(more.count(), 17);
        assert_eq!(more.intersect(&web), web);
        assert_eq!(more.minus(&web).iter().collect::<Vec<_>>(), [(Tcp, 91, 95), (Udp, 53, 53)]);
        assert!(more.contains(Tcp, 95) && !more.contains(Tcp, 96) && !more.contains(Udp, 80));
        assert!(PortSet::all().complement().is_empty());
        assert!(PortSet::none().complement().is_all());
        assert!(PortSet::all().minus(&PortSet::all()).is_empty());
    }
}
