//! Whom policies, rules and peers mean, as classes: for tools that ask about rules rather than about flows.
//!
//! Each distinct selector and block is looked at once. Two readings throughout: classes that match for sure are among those
//! that may match (labels of a namespace not known, an address not known).

pub use crate::peers::named_port;

use crate::Engine;
use crate::bits::Bits;
use crate::classes::ClassId;
use crate::reach::columns::{Cols, Columns};
use crate::reach::external::entry_ports;
use crate::selector::readable;
use std::cell::RefCell;
use watertight_model::{
    ClusterPeer, ClusterRule, Direction, NetworkPolicy, Peer, Peers, PodId, PortSet, Ports, Rule, World,
};

/// Classes on two readings, ascending; `sure` is a part of `possible`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Those that match whatever is not known.
    pub sure: Vec<ClassId>,
    /// Those that match on some reading.
    pub possible: Vec<ClassId>,
}

impl Matched {
    /// No class on any reading.
    pub fn is_empty(&self) -> bool {
        self.possible.is_empty()
    }
}

/// Answers whom rules mean, and remembers.
pub struct Scope<'w> {
    world: &'w World,
    engine: &'w Engine<'w>,
    columns: RefCell<Columns<'w>>,
}

impl<'w> Scope<'w> {
    /// Prepares; linear in classes.
    pub fn new(engine: &'w Engine<'w>) -> Self {
        let columns = RefCell::new(Columns::new(engine.world, engine.classes()));
        Self { world: engine.world, engine, columns }
    }

    /// Classes that a NetworkPolicy of this world selects, hostNetwork pods left out.
    pub fn subjects(&self, policy: &NetworkPolicy) -> Vec<ClassId> {
        if !readable(&policy.subject) {
            return Vec::new();
        }
        let range = self.engine.classes().of_namespace(policy.namespace);
        let mut bits = self.engine.classes().index.select(&policy.subject, range);
        bits.remove(&self.columns.borrow().host_network);
        ids(&bits)
    }

    /// Classes that a cluster policy selects.
    pub fn cluster_subjects(&self, policy: usize) -> Matched {
        let Some(subject) = self.world.cluster_policies.get(policy).map(|p| &p.subject) else {
            return Matched::default();
        };
        if !readable(&subject.namespaces) || !readable(&subject.pods) {
            return Matched { sure: Vec::new(), possible: ids(&self.columns.borrow().everyone) };
        }
        matched(&self.columns.borrow_mut().cluster_pods(&subject.namespaces, &subject.pods))
    }

    /// Classes that a peer of a NetworkPolicy of this world means; pods by address for a block.
    pub fn peer(&self, policy: &NetworkPolicy, peer: &'w Peer) -> Matched {
        matched(&self.columns.borrow_mut().peer(policy, peer))
    }

    /// Classes that some peer of a rule means; everyone for a rule without peers.
    pub fn rule(&self, policy: &NetworkPolicy, rule: &'w Rule) -> Matched {
        match &rule.peers {
            Peers::Any(_) => matched(&Cols::certain(self.columns.borrow().everyone.clone())),
            Peers::Of(peers) => {
                let mut all = Cols::default();
                peers.iter().for_each(|p| all.add(&self.columns.borrow_mut().peer(policy, p)));
                matched(&all)
            }
        }
    }

    /// Ports that a rule of a NetworkPolicy means on a pod that receives the traffic; names are looked up there.
    pub fn ports(&self, rule: &Rule, receiver: PodId) -> PortSet {
        let Ports::Of(entries) = &rule.ports else { return PortSet::all() };
        let pod = &self.world.pods[receiver.index()];
        entries.iter().fold(PortSet::none(), |sum, entry| sum.union(&entry_ports(entry, Direction::Ingress, pod)))
    }

    /// Classes that the pod peers of a cluster rule mean (its blocks, nodes and names are left out).
    pub fn cluster_rule(&self, rule: &'w ClusterRule) -> Matched {
        let mut all = Cols::default();
        for peer in &rule.peers {
            if let ClusterPeer::Pods { namespaces, pods, .. } = peer
                && readable(namespaces)
                && readable(pods)
            {
                all.add(&self.columns.borrow_mut().cluster_pods(namespaces, pods));
            }
        }
        matched(&all)
    }
}

fn ids(bits: &Bits) -> Vec<ClassId> {
    bits.iter().map(ClassId::at).collect()
}

fn matched(cols: &Cols) -> Matched {
    Matched { sure: ids(&cols.sure), possible: ids(&cols.possible) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::peer_matches;
    use crate::tri::Tri;
    use watertight_model::Endpoint;
    use watertight_testkit::random::{self, Rng, Size};

    /// What a peer means is what matching says pod by pod.
    #[test]
    fn peers_mean_what_matching_says() {
        let (mut sure, mut maybe) = (0, 0);
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (world, _) = random::world(&mut rng, &Size::default());
            let engine = Engine::new(&world);
            let scope = Scope::new(&engine);
            for policy in &world.policies {
                for rule in Direction::BOTH.iter().flat_map(|d| policy.rules(*d)) {
                    let Peers::Of(peers) = &rule.peers else { continue };
                    for peer in peers {
                        let found = scope.peer(policy, peer);
                        for class in (0..engine.classes().len()).map(ClassId::at) {
                            let pod = Endpoint::Pod(engine.classes().representative(class));
                            let tri = peer_matches(&world, policy.namespace, peer, pod);
                            assert_eq!(found.sure.contains(&class), tri == Tri::Yes, "seed {seed}: {peer:?} {tri:?}");
                            assert_eq!(
                                found.possible.contains(&class),
                                tri.possible(),
                                "seed {seed}: {peer:?} {tri:?}"
                            );
                            sure += usize::from(tri == Tri::Yes);
                            maybe += usize::from(tri.possible());
                        }
                    }
                }
            }
        }
        assert!(sure > 500 && maybe > sure, "{sure} {maybe}");
    }
}
