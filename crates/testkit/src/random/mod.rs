//! Worlds and flows from a seed.
//!
//! Small worlds in which everything nearly collides: few label keys and values, nested address blocks, ports next to the
//! bounds of ranges. What makes a match unclear (a namespace that was not read, a pod without an address, ...) is switched
//! on per world ([`Mood`]), so that many worlds have nothing unclear and can be compared strictly.
//!
//! The same seed and [`Size`] give the same world and flows on every machine.

mod flows;
mod policies;
mod rng;
mod things;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use flows::flow;
pub use rng::Rng;

use watertight_model::{Rule, World};

/// How much a world holds at most. At least one namespace and one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Namespaces.
    pub namespaces: usize,
    /// Pods.
    pub pods: usize,
    /// Nodes.
    pub nodes: usize,
    /// NetworkPolicies.
    pub policies: usize,
    /// Cluster policies.
    pub cluster_policies: usize,
    /// Rules of a policy in one direction.
    pub rules: usize,
    /// Peers of a rule, and ports of a rule.
    pub entries: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { namespaces: 4, pods: 9, nodes: 3, policies: 7, cluster_policies: 4, rules: 3, entries: 3 }
    }
}

/// Which sources of doubt and which rare shapes a world may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mood {
    /// Namespaces whose object was not read.
    pub undeclared: bool,
    /// Pods whose address, and nodes whose addresses, are not known; templates.
    pub no_address: bool,
    /// hostNetwork pods.
    pub host_network: bool,
    /// Pods whose node is not known, beside those that have one.
    pub no_node: bool,
    /// IPv6, dual stack, nodes with several addresses.
    pub dual_stack: bool,
    /// IPv4-mapped blocks.
    pub mapped: bool,
    /// Operators, actions, peers and ports that are not known.
    pub unknown: bool,
    /// Domain names.
    pub domain_names: bool,
    /// Policies that are not evaluated.
    pub foreign: bool,
    /// IP protocols other than TCP, UDP and SCTP.
    pub other_protocols: bool,
    /// The world says where pods live.
    pub pod_cidrs: bool,
    /// Cluster policies.
    pub cluster: bool,
}

impl Mood {
    /// Each by chance. One world in three has none of what is unclear.
    fn draw(rng: &mut Rng) -> Self {
        let clean = rng.chance(33);
        let mut sometimes = |percent: usize| rng.chance(percent) && !clean;
        Self {
            undeclared: sometimes(35),
            no_address: sometimes(30),
            host_network: sometimes(40),
            no_node: sometimes(30),
            mapped: sometimes(30),
            unknown: sometimes(30),
            domain_names: sometimes(40),
            foreign: sometimes(12),
            other_protocols: sometimes(50),
            dual_stack: rng.chance(40),
            pod_cidrs: rng.chance(40),
            cluster: rng.chance(70),
        }
    }
}

/// A NetworkPolicy rule, as worlds of this mood hold them.
pub fn allow_rule(rng: &mut Rng, size: &Size, mood: &Mood) -> Rule {
    policies::rule(rng, mood, size)
}

/// A valid world: namespaces, nodes, pods and policies of every shape. `rng` then draws the flows.
pub fn world(rng: &mut Rng, size: &Size) -> (World, Mood) {
    let mood = Mood::draw(rng);
    let mut world = World::default();
    things::fill(rng, &mood, size, &mut world);
    policies::fill(rng, &mood, size, &mut world);
    (world, mood)
}
