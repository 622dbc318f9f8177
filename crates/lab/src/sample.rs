//! A part of many connections that still meets every kind: which to try when there is no time for all.
//!
//! Pods of a class are the same to every policy, so one connection between two classes says what all of them should do. The
//! choice depends on nothing but the connections: the same lab gives the same sample.

use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_model::{Endpoint, Flow, L4, Protocol};

/// What a connection stands for: who to whom, as far as policies can tell them apart, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    ends: (Kind, Kind),
    l4: (Option<Protocol>, u16),
    ipv4: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A class of pods, and whether it is the same pod on both ends: nobody forbids a pod its own address.
    Class(u32, bool),
    Node(u32),
    Outside(std::net::IpAddr),
}

impl Group {
    /// `ipv4`: over which family it goes.
    pub(crate) fn of(engine: &Engine<'_>, flow: &Flow, ipv4: bool) -> Self {
        let kind = |end: Endpoint| match end {
            Endpoint::Pod(pod) => {
                Kind::Class(engine.classes().class_of(pod).map_or(u32::MAX, |class| class.0), flow.from == flow.to)
            }
            Endpoint::Node(node) => Kind::Node(node.0),
            Endpoint::External(ip) => Kind::Outside(ip),
        };
        let l4 = match flow.l4 {
            L4::Port(protocol, port) => (Some(protocol), port),
            L4::Other => (None, 0),
        };
        Self { ends: (kind(flow.from), kind(flow.to)), l4, ipv4 }
    }
}

/// How many pairs of kinds there are.
pub(crate) fn pairs(groups: impl Iterator<Item = Group>) -> usize {
    let mut ends: Vec<_> = groups.map(|g| g.ends).collect();
    ends.sort_unstable();
    ends.dedup();
    ends.len()
}

/// At most `most` of them, in their order. Each pair of kinds has its turn before one has a second; within a pair each port has,
/// and within a port one connection after the other, spread over all that there are.
pub(crate) fn choose<T: Copy>(all: Vec<T>, most: usize, group: impl Fn(&T) -> Group) -> Vec<T> {
    let mut by_pair: BTreeMap<(Kind, Kind), BTreeMap<Group, Vec<usize>>> = BTreeMap::new();
    for (i, one) in all.iter().enumerate() {
        let group = group(one);
        by_pair.entry(group.ends).or_default().entry(group).or_default().push(i);
    }
    let turns: Vec<Vec<usize>> = by_pair.into_values().map(in_turn).collect();
    let mut chosen = Vec::with_capacity(most);
    let mut round = 0;
    while chosen.len() < most && turns.iter().any(|t| round < t.len()) {
        // A sample smaller than the pairs begins somewhere else in each round, and reaches from the first pair to the last.
        let here: Vec<usize> = turns.iter().filter_map(|t| t.get(round).copied()).collect();
        let left = most - chosen.len();
        if left >= here.len() {
            chosen.extend(here);
        } else {
            chosen.extend((0..left).map(|i| here[i * here.len() / left]));
        }
        round += 1;
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|i| all[i]).collect()
}

/// One of each group, then a second one of each, and so on; the first of a group is not always its first.
fn in_turn(groups: BTreeMap<Group, Vec<usize>>) -> Vec<usize> {
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    for (n, group) in groups.iter_mut().enumerate() {
        let by = n % group.len();
        group.rotate_left(by);
    }
    let longest = groups.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|i| groups.iter().filter_map(move |g| g.get(i).copied()).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(from: u32, to: u32, port: u16) -> Group {
        Group { ends: (Kind::Class(from, false), Kind::Class(to, false)), l4: (Some(Protocol::Tcp), port), ipv4: false }
    }

    /// Three classes of four pods each; two ports.
    fn all() -> Vec<(u32, u32, u16, u32)> {
        let mut out = Vec::new();
        for from in 0..3 {
            for to in 0..3 {
                for port in [80, 443] {
                    out.extend((0..16).map(|pods| (from, to, port, pods)));
                }
            }
        }
        out
    }

    fn chosen(most: usize) -> Vec<(u32, u32, u16, u32)> {
        choose(all(), most, |(from, to, port, _)| group(*from, *to, *port))
    }

    #[test]
    fn every_pair_of_kinds_comes_before_one_comes_twice() {
        let ends = |some: &[(u32, u32, u16, u32)]| pairs(some.iter().map(|(a, b, p, _)| group(*a, *b, *p)));
        assert_eq!(ends(&all()), 9);
        assert_eq!((chosen(9).len(), ends(&chosen(9))), (9, 9));
        assert_eq!((chosen(5).len(), ends(&chosen(5))), (5, 5), "fewer than pairs: none twice");
        let both = chosen(18);
        let mut ports: Vec<_> = both.iter().map(|(a, b, p, _)| (*a, *b, *p)).collect();
        ports.dedup();
        assert_eq!(ports.len(), 18, "each pair with each port: {both:?}");
    }

    #[test]
    fn the_same_choice_every_time_and_never_more_than_there_is() {
        assert_eq!(chosen(20), chosen(20));
        assert_eq!(chosen(1000), all());
        assert_eq!(chosen(0), []);
        let pods = |n| chosen(n).iter().map(|c| c.3).collect::<std::collections::BTreeSet<_>>().len();
        assert!(pods(100) > 4, "not always the same pods");
    }
}
