//! What a kind's places say about what is missing of it, in the words of [`crate::read()`].

use super::shared::{Known, OfKind};
use watertight_model::Str;
use watertight_model::world::Unread;

/// The gaps of a kind: one for the cluster, and one for each namespace that is missing beside others that are not.
pub(super) fn of(kind: &OfKind, namespaces: &[Str]) -> Vec<Unread> {
    let gap = |namespace: Option<Str>, why: String| Unread { what: kind.what.clone(), namespace, why: why.into() };
    let (whole, parts) = match kind.places.as_slice() {
        [] => return Vec::new(),
        [whole, parts @ ..] => (whole, parts),
    };
    let Some(why) = missing(whole) else { return Vec::new() };
    let awake = || namespaces.iter().zip(parts).filter(|(_, part)| !part.asleep);
    let found: Vec<&str> = awake().filter(|(_, part)| missing(part).is_none()).map(|(name, _)| &**name).collect();
    if found.is_empty() {
        return vec![gap(None, why)];
    }
    let mut out = vec![gap(None, format!("{why} (read in {} only)", found.join(", ")))];
    out.extend(awake().filter_map(|(name, part)| Some(gap(Some(name.clone()), missing(part)?))));
    out
}

fn missing(known: &Known) -> Option<String> {
    let full = || "more objects than are kept: some were left out".to_owned();
    known.unread.clone().or_else(|| known.overflow.then(full))
}
