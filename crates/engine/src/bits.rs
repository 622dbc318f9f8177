//! Sets of classes as bit windows: only the words between the first and the last member are stored. Classes of a namespace
//! are neighbours, so most sets (own-namespace peers) are a few words whatever the size of the cluster.

/// A set of small numbers. Trimmed: the first and last word are non-zero, so equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bits {
    /// Index of the first stored word.
    base: usize,
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// `start..end`.
    pub(crate) fn range(start: usize, end: usize) -> Self {
        if start >= end {
            return Self::none();
        }
        let (base, last) = (start / 64, (end - 1) / 64);
        let mut words = vec![u64::MAX; last - base + 1];
        words[0] &= u64::MAX << (start % 64);
        words[last - base] &= u64::MAX >> (63 - (end - 1) % 64);
        Self { base, words }
    }

    pub(crate) fn from_words(base: usize, words: Vec<u64>) -> Self {
        let mut out = Self { base, words };
        out.trim();
        out
    }

    /// From members in ascending order.
    pub(crate) fn from_sorted(members: &[u32]) -> Self {
        let (Some(first), Some(last)) = (members.first(), members.last()) else { return Self::none() };
        let base = *first as usize / 64;
        let mut words = vec![0u64; *last as usize / 64 - base + 1];
        for m in members {
            words[*m as usize / 64 - base] |= 1 << (m % 64);
        }
        Self { base, words }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn contains(&self, i: usize) -> bool {
        (i / 64).checked_sub(self.base).and_then(|w| self.words.get(w)).is_some_and(|w| w >> (i % 64) & 1 == 1)
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The smallest member.
    pub(crate) fn first(&self) -> Option<usize> {
        self.words.first().map(|w| self.base * 64 + w.trailing_zeros() as usize)
    }

    /// Indices of the stored words.
    pub(crate) fn window(&self) -> std::ops::Range<usize> {
        self.base..self.base + self.words.len()
    }

    /// Puts one member in.
    pub(crate) fn insert(&mut self, i: usize) {
        match (i / 64).checked_sub(self.base).and_then(|w| self.words.get_mut(w)) {
            Some(word) => *word |= 1 << (i % 64),
            None => self.add(&Bits::range(i, i + 1)),
        }
    }

    /// Takes one member out.
    pub(crate) fn take(&mut self, i: usize) {
        if let Some(word) = (i / 64).checked_sub(self.base).and_then(|w| self.words.get_mut(w)) {
            *word &= !(1 << (i % 64));
            self.trim();
        }
    }

    /// Becomes [`Self::from_words`] of these, in the memory that it has.
    pub(crate) fn assign(&mut self, base: usize, words: &[u64]) {
        self.words.clear();
        self.base = 0;
        let is_used = |word: &u64| *word != 0;
        if let (Some(first), Some(last)) = (words.iter().position(is_used), words.iter().rposition(is_used)) {
            self.words.extend_from_slice(&words[first..=last]);
            self.base = base + first;
        }
    }

    /// The word at an absolute index.
    pub(crate) fn word(&self, index: usize) -> u64 {
        index.checked_sub(self.base).and_then(|w| self.words.get(w)).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(move |(w, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    (self.base + w) * 64 + bit
                })
            })
        })
    }

    pub(crate) fn and(&self, other: &Bits) -> Bits {
        let base = self.base.max(other.base);
        let end = (self.base + self.words.len()).min(other.base + other.words.len());
        if base >= end {
            return Bits::none();
        }
        let a = &self.words[base - self.base..end - self.base];
        let b = &other.words[base - other.base..end - other.base];
        Bits::from_words(base, a.iter().zip(b).map(|(x, y)| x & y).collect())
    }

    pub(crate) fn intersects(&self, other: &Bits) -> bool {
        let base = self.base.max(other.base);
        let end = (self.base + self.words.len()).min(other.base + other.words.len());
        base < end
            && self.words[base - self.base..end - self.base]
                .iter()
                .zip(&other.words[base - other.base..end - other.base])
                .any(|(x, y)| x & y != 0)
    }

    pub(crate) fn minus(&self, other: &Bits) -> Bits {
        let mut out = self.clone();
        out.remove(other);
        out
    }

    pub(crate) fn remove(&mut self, other: &Bits) {
        let base = self.base.max(other.base);
        let end = (self.base + self.words.len()).min(other.base + other.words.len());
        if base < end {
            let own = &mut self.words[base - self.base..end - self.base];
            for (x, y) in own.iter_mut().zip(&other.words[base - other.base..end - other.base]) {
                *x &= !y;
            }
            self.trim();
        }
    }

    pub(crate) fn add(&mut self, other: &Bits) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = other.clone();
            return;
        }
        let base = self.base.min(other.base);
        let end = (self.base + self.words.len()).max(other.base + other.words.len());
        if base < self.base {
            self.words.splice(0..0, std::iter::repeat_n(0, self.base - base));
            self.base = base;
        }
        self.words.resize(end - base, 0);
        for (x, y) in self.words[other.base - base..].iter_mut().zip(&other.words) {
            *x |= y;
        }
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
        let zeros = self.words.iter().take_while(|w| **w == 0).count();
        if zeros > 0 {
            self.words.drain(..zeros);
            self.base += zeros;
        }
        if self.words.is_empty() {
            self.base = 0;
        }
    }
}

/// Transposes a 64 x 64 bit matrix in place: bit `j` of word `i` becomes bit `i` of word `j`.
pub(crate) fn transpose64(m: &mut [u64; 64]) {
    let mut j = 32;
    let mut mask = 0x0000_0000_FFFF_FFFFu64;
    while j != 0 {
        let mut k = 0;
        while k < 64 {
            let t = ((m[k] >> j) ^ m[k | j]) & mask;
            m[k] ^= t << j;
            m[k | j] ^= t;
            k = ((k | j) + 1) & !j;
        }
        j >>= 1;
        mask ^= mask << j;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn set(bits: &Bits) -> BTreeSet<usize> {
        bits.iter().collect()
    }

    #[test]
    fn agrees_with_a_plain_set() {
        let mut seed = 7u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u32 % 400
        };
        for _ in 0..500 {
            let mut draw = || {
                let members: BTreeSet<u32> = (0..next() % 12).map(|_| next()).collect();
                let list: Vec<u32> = members.into_iter().collect();
                Bits::from_sorted(&list)
            };
            let (a, b) = (draw(), draw());
            let (x, y) = (set(&a), set(&b));
            assert_eq!(set(&a.and(&b)), &x & &y);
            assert_eq!(set(&a.minus(&b)), &x - &y);
            let mut sum = a.clone();
            sum.add(&b);
            assert_eq!(set(&sum), &x | &y);
            assert_eq!(a.intersects(&b), !x.is_disjoint(&y));
            assert_eq!(a.count(), x.len());
            assert_eq!(a.minus(&a), Bits::none());
            assert!(x.iter().all(|i| a.contains(*i)) && y.difference(&x).all(|i| !a.contains(*i)));
            let (mut one_by_one, mut assigned) = (a.clone(), a.clone());
            y.iter().for_each(|i| one_by_one.insert(*i));
            assert_eq!(one_by_one, sum);
            x.iter().for_each(|i| one_by_one.take(*i));
            assert_eq!(one_by_one, b.minus(&a));
            let words: Vec<u64> = (0..10).map(|w| b.word(w)).collect();
            assigned.assign(0, &words);
            assert_eq!(assigned, b);
        }
        assert_eq!(set(&Bits::range(60, 130)), (60..130).collect());
        assert_eq!(Bits::range(5, 5), Bits::none());
    }

    #[test]
    fn transpose() {
        let mut m = [0u64; 64];
        m[3] = 1 << 17 | 1 << 63;
        m[63] = 1;
        transpose64(&mut m);
        assert_eq!((m[17], m[63], m[0]), (1 << 3, 1 << 3, 1 << 63));
        assert_eq!(m.iter().map(|w| w.count_ones()).sum::<u32>(), 3);
    }
}
