//! The few words that random worlds are made of, so that they collide.

use super::{Mood, Rng};
use crate::build::cidr;
use crate::rules::{block, mapped_block};
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::BlockCidr;
use watertight_model::{Family, Labels, Op, Requirement, Selector, Str};

/// Keys of pod labels. One looks like a namespace's (row 45).
pub(crate) const POD_KEYS: [&str; 4] = ["app", "tier", "team", NAMESPACE_NAME_LABEL];
/// Keys of namespace labels, beside the one of the name.
pub(crate) const NAMESPACE_KEYS: [&str; 2] = ["team", "env"];
/// Keys of node labels.
pub(crate) const NODE_KEYS: [&str; 2] = ["zone", "app"];
/// Values of labels of every kind; one is empty.
pub(crate) const VALUES: [&str; 4] = ["a", "b", "c", ""];
/// Names of namespaces, sorted.
pub(crate) const NAMESPACES: [&str; 5] = ["a", "b", "kube-system", "shop", "web"];
/// Names of container ports.
pub(crate) const PORT_NAMES: [&str; 3] = ["http", "dns", "metrics"];
/// Ports: bounds of ranges, their neighbours, and the ends of the space.
pub(crate) const PORTS: [u16; 14] = [0, 1, 52, 53, 54, 79, 80, 81, 89, 90, 91, 8080, 65534, 65535];
/// Names under `domainNames`.
pub(crate) const DOMAINS: [&str; 2] = ["kubernetes.io", "*.example.com"];

/// Addresses that pods are given; each at most once.
pub(crate) const POD_V4: [&str; 14] = [
    "10.1.0.1",
    "10.1.0.2",
    "10.1.0.127",
    "10.1.0.128",
    "10.1.0.255",
    "10.1.1.0",
    "10.1.1.1",
    "10.1.255.255",
    "10.2.0.1",
    "10.2.0.2",
    "10.255.255.255",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
];
/// IPv6 addresses that pods are given.
pub(crate) const POD_V6: [&str; 8] = [
    "fd00:1::1",
    "fd00:1::2",
    "fd00:1:0:1::1",
    "fd00:2::1",
    "::ffff:10.1.0.9",
    "2001:db8::1",
    "fd00:1::ffff",
    "fd00::1",
];
/// Addresses that nodes are given.
pub(crate) const NODE_ADDRESSES: [&str; 8] = [
    "192.168.1.1",
    "192.168.1.2",
    "192.168.2.1",
    "10.1.0.200",
    "203.0.113.200",
    "192.168.1.130",
    "10.2.0.200",
    "172.16.9.9",
];
/// IPv6 addresses that nodes are given.
pub(crate) const NODE_V6: [&str; 4] = ["fd00:9::1", "fd00:9::2", "fd00:1::99", "2001:db8::99"];
/// Addresses outside the cluster; some lie in blocks that hold pods.
pub(crate) const EXTERNAL: [&str; 12] = [
    "203.0.113.1",
    "203.0.113.127",
    "203.0.113.128",
    "198.51.100.1",
    "0.0.0.0",
    "255.255.255.255",
    "10.1.0.77",
    "10.9.9.9",
    "::",
    "2001:db8::77",
    "::ffff:10.1.0.77",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];
/// Blocks, nested in each other.
const BLOCKS: [&str; 24] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.1.0.0/16",
    "10.1.0.0/24",
    "10.1.0.0/25",
    "10.1.0.128/25",
    "10.1.1.0/24",
    "10.1.0.1/32",
    "10.2.0.0/16",
    "10.2.0.0/24",
    "192.168.0.0/16",
    "192.168.1.0/24",
    "192.168.1.1/32",
    "203.0.113.0/24",
    "203.0.113.128/25",
    "172.16.0.0/12",
    "100.64.0.0/10",
    "::/0",
    "fd00::/8",
    "fd00:1::/32",
    "fd00:1::/64",
    "fd00:1::1/128",
    "2001:db8::/32",
];
/// IPv4-mapped blocks.
const MAPPED: [&str; 3] = ["::ffff:10.0.0.0/104", "::ffff:10.1.0.0/112", "::ffff:203.0.113.0/120"];

/// An address block; IPv6 is rarer in a world without it.
pub(crate) fn draw_block(rng: &mut Rng, mood: &Mood) -> BlockCidr {
    if mood.mapped && rng.chance(30) {
        return mapped_block(rng.pick::<&str>(&MAPPED));
    }
    loop {
        let drawn = block(rng.pick::<&str>(&BLOCKS));
        if mood.dual_stack || drawn.cidr.family() == Family::V4 || rng.chance(20) {
            return drawn;
        }
    }
}

/// Holes in a block: strict subsets of it, possibly in each other.
pub(crate) fn draw_except(rng: &mut Rng, mood: &Mood, outer: &BlockCidr) -> Vec<BlockCidr> {
    let mapped = if mood.mapped { &MAPPED[..] } else { &[] };
    let strict = |b: &BlockCidr| outer.cidr.covers(&b.cidr) && outer.cidr != b.cidr;
    let mut fitting: Vec<BlockCidr> = BLOCKS.iter().map(|b| block(b)).filter(strict).collect();
    fitting.extend(mapped.iter().map(|b| mapped_block(b)).filter(strict));
    // Both halves of a block leave nothing of it.
    if outer.mapped.is_none() && outer.cidr == cidr("10.1.0.0/24") && rng.chance(20) {
        return vec![block("10.1.0.0/25"), block("10.1.0.128/25")];
    }
    if fitting.is_empty() || rng.chance(50) {
        return Vec::new();
    }
    (0..rng.between(1, 3)).map(|_| *rng.pick(&fitting)).collect()
}

/// Labels: each key present or not.
pub(crate) fn draw_labels(rng: &mut Rng, keys: &[&str], percent: usize) -> Labels {
    let present: Vec<&str> = keys.iter().copied().filter(|_| rng.chance(percent)).collect();
    Labels::new(present.into_iter().map(|key| {
        let names_a_namespace = key == NAMESPACE_NAME_LABEL && rng.chance(80);
        let value = if names_a_namespace { rng.pick(&NAMESPACES) } else { rng.pick(&VALUES) };
        (Str::from(key), Str::from(*value))
    }))
}

/// What a selector selects; namespace selectors also know the name's label.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Pods,
    Namespaces,
    Nodes,
}

/// A selector of every shape; `{}` is common.
pub(crate) fn draw_selector(rng: &mut Rng, mood: &Mood, of: Of) -> Selector {
    let count = *rng.pick(&[0, 0, 0, 1, 1, 1, 1, 1, 2, 2]);
    let mut requirements: Vec<Requirement> = (0..count).map(|_| draw_requirement(rng, mood, of)).collect();
    // As readers leave it: matchLabels by key, each key once, then matchExpressions as written.
    requirements.sort_by(|a, b| match (a.from_labels, b.from_labels) {
        (true, true) => a.key.cmp(&b.key),
        (a, b) => b.cmp(&a),
    });
    requirements.dedup_by(|b, a| a.from_labels && b.from_labels && a.key == b.key);
    Selector { requirements }
}

fn draw_requirement(rng: &mut Rng, mood: &Mood, of: Of) -> Requirement {
    let key = match of {
        Of::Pods => *rng.pick(&["app", "app", "app", "tier", "tier", "team", NAMESPACE_NAME_LABEL, "none"]),
        Of::Namespaces => *rng.pick(&["team", "team", "team", "env", "env", NAMESPACE_NAME_LABEL, "app", "none"]),
        Of::Nodes => *rng.pick(&["zone", "zone", "app", "none"]),
    };
    let mut value = || {
        let names_a_namespace = key == NAMESPACE_NAME_LABEL && rng.chance(90);
        Str::from(if names_a_namespace { *rng.pick(&NAMESPACES) } else { *rng.pick(&VALUES) })
    };
    let values = vec![value(), value()];
    let one = vec![values[0].clone()];
    let from_labels = rng.chance(45);
    let op = match rng.below(10) {
        _ if from_labels => Op::In(one),
        0 if mood.unknown => Op::Unknown(Str::from("Like")),
        0..=2 => Op::In(values),
        3 => Op::In(one),
        4..=5 => Op::NotIn(one),
        6 => Op::NotIn(values),
        7..=8 => Op::Exists,
        _ => Op::DoesNotExist,
    };
    Requirement { key: Str::from(key), op, from_labels }
}
