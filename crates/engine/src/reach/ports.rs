//! Interned port sets in pairs: what is allowed on every reading, and what is allowed on at least one.

use rustc_hash::FxHashMap;
use watertight_model::PortSet;

/// Ports between two classes. `sure` is a subset of `possible`; where they are equal nothing is unclear.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortPair {
    /// Allowed on every reading.
    pub sure: PortSet,
    /// Allowed on at least one reading.
    pub possible: PortSet,
}

/// Place of a pair in a [`Table`].
pub(crate) type PairId = u32;

/// Nothing is allowed.
pub(crate) const NONE: PairId = 0;
/// Everything is allowed.
pub(crate) const ALL: PairId = 1;

/// Pairs by number; unions and intersections are computed once per pair of numbers.
#[derive(Clone)]
pub(crate) struct Table {
    items: Vec<PortPair>,
    ids: FxHashMap<PortPair, PairId>,
    unions: FxHashMap<(PairId, PairId), PairId>,
    intersections: FxHashMap<(PairId, PairId), PairId>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let mut this = Self {
            items: Vec::new(),
            ids: FxHashMap::default(),
            unions: FxHashMap::default(),
            intersections: FxHashMap::default(),
        };
        this.id(PortSet::none(), PortSet::none());
        this.id(PortSet::all(), PortSet::all());
        this
    }

    pub(crate) fn id(&mut self, sure: PortSet, possible: PortSet) -> PairId {
        let pair = PortPair { sure, possible };
        if let Some(id) = self.ids.get(&pair) {
            return *id;
        }
        let id = crate::classes::ClassId::at(self.items.len()).0;
        self.items.push(pair.clone());
        self.ids.insert(pair, id);
        id
    }

    pub(crate) fn get(&self, id: PairId) -> &PortPair {
        &self.items[id as usize]
    }

    pub(crate) fn union(&mut self, a: PairId, b: PairId) -> PairId {
        if a == b || b == NONE {
            return a;
        }
        if a == NONE {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(id) = self.unions.get(&key) {
            return *id;
        }
        let (x, y) = (self.get(a), self.get(b));
        let (sure, possible) = (x.sure.union(&y.sure), x.possible.union(&y.possible));
        let id = self.id(sure, possible);
        self.unions.insert(key, id);
        id
    }

    pub(crate) fn intersect(&mut self, a: PairId, b: PairId) -> PairId {
        if a == b || b == ALL {
            return a;
        }
        if a == ALL {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(id) = self.intersections.get(&key) {
            return *id;
        }
        let (x, y) = (self.get(a), self.get(b));
        let (sure, possible) = (x.sure.intersect(&y.sure), x.possible.intersect(&y.possible));
        let id = self.id(sure, possible);
        self.intersections.insert(key, id);
        id
    }

    /// Pairs by number. A number stays what it is for as long as the table lives.
    pub(crate) fn items(&self) -> &[PortPair] {
        &self.items
    }

    pub(crate) fn into_items(self) -> Vec<PortPair> {
        self.items
    }
}
