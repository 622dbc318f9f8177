//! Runs of elements in a flat array: first fit over what is free.

use std::collections::BTreeMap;

/// Free runs by first element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    free: BTreeMap<u32, u32>,
}

impl Runs {
    /// An array of `size` elements of which these runs (first, length) are taken; they do not overlap.
    pub(super) fn new(size: usize, taken: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut taken: Vec<(u32, u32)> = taken.collect();
        taken.sort_unstable();
        let mut free = BTreeMap::new();
        let mut at = 0;
        for (first, len) in taken {
            if first > at {
                free.insert(at, first - at);
            }
            at = at.max(first + len);
        }
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        if at < size {
            free.insert(at, size - at);
        }
        Self { free }
    }

    /// A run of this length, or `None` if none is free.
    pub(super) fn take(&mut self, len: usize) -> Option<(u32, u32)> {
        let len = u32::try_from(len).ok()?;
        let (first, have) = self.free.iter().find(|(_, have)| **have >= len).map(|(f, h)| (*f, *h))?;
        self.free.remove(&first);
        if have > len {
            self.free.insert(first + len, have - len);
        }
        Some((first, len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_fill_gaps_and_never_overlap() {
        let mut runs = Runs::new(10, [(2, 3), (7, 1)].into_iter());
        assert_eq!(runs.take(2), Some((0, 2)));
        assert_eq!(runs.take(2), Some((5, 2)));
        assert_eq!(runs.take(2), Some((8, 2)));
        assert_eq!(runs.take(1), None);
    }
}
