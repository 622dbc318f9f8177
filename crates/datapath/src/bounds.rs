//! How much fits, and why. What does not fit is refused before anything is published ([`Refused`]).
//!
//! Every bound of something that changes is half of its map: the visible copy and the next one are there together.

use crate::image::Refused;

/// Addresses of pods, nodes and Services. The map holds two copies; 131,072 is the size of the largest clusters that are
/// supported elsewhere, at about 80 bytes each.
pub const ADDRESSES: usize = 131_072;
/// Address blocks that policies name. A trie is slow where it is deep, not where it is wide.
pub const PREFIXES: usize = 65_536;
/// Pods of one node; the kubelet's default is 110, large nodes have 500.
pub const SLOTS: usize = 4_096;
/// Pairs of a set and a peer.
pub const ENTRIES: usize = 131_072;
/// Steps of all tables of ports.
pub const STEPS: usize = 65_536;
/// Distinct answers.
pub const ANSWERS: usize = 32_768;

/// Refuses more than `bound`. `object` names who is to blame.
pub(crate) fn at_most(
    what: &'static str,
    have: usize,
    bound: usize,
    object: impl FnOnce() -> String,
) -> Result<(), Refused> {
    if have <= bound { Ok(()) } else { Err(Refused { what, have, bound, object: object() }) }
}
