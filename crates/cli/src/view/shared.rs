//! Data that many entries of a long list have in common, held once.

use super::{PartyView, PortView, port_words, ports};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use watertight_engine::connections::Party;
use watertight_model::{PortSet, Str, World};

/// One of many handles to a value.
#[derive(Debug)]
pub struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    /// The first handle.
    pub fn new(value: T) -> Self {
        Self(Rc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// One side of connections.
#[derive(Debug)]
pub struct Side {
    /// The data.
    pub view: PartyView,
    /// For people.
    pub words: Str,
    /// A policy that is not evaluated concerns it.
    pub foreign: bool,
}

impl Serialize for Side {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view.serialize(serializer)
    }
}

/// A set of ports.
#[derive(Debug)]
pub struct PortList {
    /// The data.
    pub list: Vec<PortView>,
    /// For people.
    pub words: Str,
}

impl PortList {
    /// True if there is no port.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Serialize for PortList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

/// Makes each distinct side and set once. The maps are only looked into: their order reaches nobody.
pub struct Pool<'w> {
    world: &'w World,
    sides: HashMap<Party, Shared<Side>>,
    ports: HashMap<PortSet, Shared<PortList>>,
}

impl<'w> Pool<'w> {
    /// An empty pool.
    pub fn new(world: &'w World) -> Self {
        Self { world, sides: HashMap::new(), ports: HashMap::new() }
    }

    /// A side.
    pub fn side(&mut self, party: &Party) -> Shared<Side> {
        if let Some(known) = self.sides.get(party) {
            return known.clone();
        }
        let world = self.world;
        let namespace = match party {
            Party::Workload { workload, .. } => Some(world.workloads[workload.index()].namespace),
            Party::Pod(pod) => Some(world.pods[pod.index()].namespace),
            Party::External(_) => None,
        };
        let concerned = |ns| world.foreign_policies.iter().any(|p| p.namespace.is_none_or(|of| of == ns));
        let view = PartyView::of(world, party);
        let words = Str::from(view.words());
        let side = Shared(Rc::new(Side { view, words, foreign: namespace.is_some_and(concerned) }));
        self.sides.insert(party.clone(), side.clone());
        side
    }

    /// A set of ports.
    pub fn ports(&mut self, set: &PortSet) -> Shared<PortList> {
        if let Some(known) = self.ports.get(set) {
            return known.clone();
        }
        let list = ports(set);
        let words = Str::from(port_words(&list));
        let shared = Shared(Rc::new(PortList { list, words }));
        self.ports.insert(set.clone(), shared.clone());
        shared
    }
}
