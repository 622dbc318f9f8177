//! From what was observed to what is allowed: least-privilege NetworkPolicies with evidence, and a certificate.
//!
//! Input: a world, and edges that were observed in it ([`Edge`], resolved to workloads by `watertight-flows`). Output:
//! [`Learned`]: one policy per workload, each rule citing its edges; a certificate, checked with the oracle, that every
//! accepted flow stays allowed; the exact excess over what was observed; and everything that was *not* turned into policy,
//! with the reason. Pure: the window and its end come with the evidence, there is no clock.
//!
//! Reading order: [`options`]; [`accept`] (which edges count), [`select`] (labels), [`external`] (blocks),
//! [`policy`] (rules); [`certificate`]; [`replay`].

pub mod accept;
pub mod certificate;
pub mod external;
pub mod options;
pub mod policy;
pub mod replay;
pub mod select;

pub use accept::{Doubt, Excluded, Review, Why};
pub use certificate::{Certificate, Excess, Failure};
pub use options::LearnOptions;
pub use policy::{LearnedPolicy, RuleEvidence};
pub use watertight_flows::{Edge, End};

use accept::Accepted;
use select::Selectors;
use watertight_engine::Engine;
use watertight_model::{WorkloadId, World};

/// Everything that was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// One per workload, by namespace and name.
    pub policies: Vec<LearnedPolicy>,
    /// Edges that became rules, or that need none because what they touch is not isolated.
    pub accepted: Vec<Edge>,
    /// Edges that a person should look at, with the reason. Those with `accepted: false` are not in the policies.
    pub review: Vec<Review>,
    /// Edges and workloads that were left out, with the reason.
    pub excluded: Vec<Excluded>,
    /// Workloads without a policy because nothing was seen of them.
    pub idle: Vec<WorkloadId>,
    /// The proof.
    pub certificate: Certificate,
}

/// Learns. The same world and edges give the same bytes, whatever the order of the edges.
pub fn learn(engine: &Engine<'_>, edges: &[Edge], options: &LearnOptions) -> Learned {
    let world = engine.world();
    let mut edges = edges.to_vec();
    edges.sort();
    let selectors = Selectors::of(world, options);
    let Accepted { mut accepted, review, mut excluded } = accept::accept(engine, &selectors, &edges, options);
    let policies = policy::policies(engine, &selectors, &mut accepted, &mut excluded, options);
    let after = with_policies(world, &policies);
    let certificate = certificate::certify(engine, &after, &policies, &accepted);
    let seen: std::collections::BTreeSet<WorkloadId> =
        edges.iter().flat_map(|e| [&e.from, &e.to]).filter_map(End::workload).collect();
    let idle = selectors.learnable().filter(|w| !seen.contains(w)).collect();
    excluded.extend(selectors.excluded());
    excluded.sort();
    Learned { policies, accepted, review, excluded, idle, certificate }
}

/// The world with the learned policies in it. One of the same namespace and name is replaced.
pub fn with_policies(world: &World, policies: &[LearnedPolicy]) -> World {
    let mut after = world.clone();
    let replaced = |p: &watertight_model::NetworkPolicy| {
        policies.iter().any(|l| (l.policy.namespace, &l.policy.name) == (p.namespace, &p.name))
    };
    after.policies.retain(|p| !replaced(p));
    after.policies.extend(policies.iter().map(|l| l.policy.clone()));
    after.policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    after
}
