//! Which observed edges become policy, which a person should see first, and which are left out.

use crate::options::LearnOptions;
use crate::select::Selectors;
use watertight_engine::Engine;
use watertight_flows::{Edge, End};
use watertight_model::{NamespaceId, Str, WorkloadId, World};

/// What was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excluded {
    /// An edge.
    Edge {
        /// The edge.
        edge: Edge,
        /// Why.
        why: Why,
    },
    /// A workload that cannot have a policy.
    Workload {
        /// The workload.
        workload: WorkloadId,
        /// Why.
        why: Why,
    },
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Only denied attempts were seen: they are no evidence of need.
    OnlyDenied,
    /// From the pod's own node: allowed whatever policies say (row 96).
    LocalNode,
    /// Neither end is a workload.
    NoWorkload,
    /// hostNetwork pods: NetworkPolicy is not made for them.
    HostNetwork,
    /// A node on the other side has no known address to allow.
    NodeAddressUnknown,
    /// The workload has no labels that survive a rollout.
    NoStableLabels,
    /// No selector tells its pods from those of this workload: labels are the same.
    SameLabelsAs(String),
    /// The workload has no running pods and no template.
    NoPods,
    /// Addresses outside are more than the budget of blocks holds.
    TooManyAddresses,
}

impl Why {
    /// In words, lower case, no full stop.
    pub fn words(&self) -> String {
        match self {
            Why::OnlyDenied => "only denied attempts were seen, which are no evidence of need".to_owned(),
            Why::LocalNode => "a pod's own node always reaches it".to_owned(),
            Why::NoWorkload => "neither end is a workload".to_owned(),
            Why::HostNetwork => "hostNetwork pods are outside NetworkPolicy".to_owned(),
            Why::NodeAddressUnknown => "the node on the other side has no known address".to_owned(),
            Why::NoStableLabels => "the pods have no labels that survive a rollout".to_owned(),
            Why::SameLabelsAs(other) => format!("no label tells its pods from those of {other}"),
            Why::NoPods => "no pod and no template is known".to_owned(),
            Why::TooManyAddresses => "the addresses outside do not fit the budget of blocks".to_owned(),
        }
    }
}

/// An edge for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Review {
    /// The edge.
    pub edge: Edge,
    /// Why.
    pub why: Doubt,
    /// Whether the policies allow it.
    pub accepted: bool,
}

/// Why a person should look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It crosses from one environment to another.
    CrossEnvironment(Str, Str),
    /// It was seen on fewer days than asked for.
    TooFewDays,
    /// It was seen only once.
    SeenOnce,
}

impl Doubt {
    /// In words, lower case, no full stop.
    pub fn words(&self) -> String {
        match self {
            Doubt::CrossEnvironment(a, b) => format!("it crosses from environment {a} to {b}"),
            Doubt::TooFewDays => "it was seen on fewer days than asked for".to_owned(),
            Doubt::SeenOnce => "it was seen only once".to_owned(),
        }
    }
}

pub(crate) struct Accepted {
    pub(crate) accepted: Vec<Edge>,
    pub(crate) review: Vec<Review>,
    pub(crate) excluded: Vec<Excluded>,
}

pub(crate) fn accept(engine: &Engine<'_>, selectors: &Selectors, edges: &[Edge], options: &LearnOptions) -> Accepted {
    let world = engine.world();
    let mut out = Accepted { accepted: Vec::new(), review: Vec::new(), excluded: Vec::new() };
    for edge in edges {
        if let Some(why) = cannot(world, selectors, edge) {
            out.excluded.push(Excluded::Edge { edge: edge.clone(), why });
            continue;
        }
        let crossing = crossing(world, edge, options);
        let (why, accepted) = match crossing {
            Some((a, b)) => (Some(Doubt::CrossEnvironment(a, b)), options.accept_cross_environment),
            None if edge.days < options.min_days => (Some(Doubt::TooFewDays), false),
            None if edge.count == 1 => (Some(Doubt::SeenOnce), true),
            None => (None, true),
        };
        if let Some(why) = why {
            out.review.push(Review { edge: edge.clone(), why, accepted });
        }
        if accepted {
            out.accepted.push(edge.clone());
        }
    }
    out
}

fn cannot(world: &World, selectors: &Selectors, edge: &Edge) -> Option<Why> {
    if edge.count == 0 {
        return Some(Why::OnlyDenied);
    }
    let ends = [&edge.from, &edge.to];
    if ends.iter().all(|e| e.workload().is_none()) {
        return Some(Why::NoWorkload);
    }
    if let (End::Node(node), End::Workload(to)) = (&edge.from, &edge.to) {
        let mut pods = world.pods.iter().filter(|p| p.workload == *to && !p.finished).peekable();
        // Observed at a pod of this node; pods elsewhere are reached by their own nodes.
        if pods.peek().is_some() && pods.any(|p| p.node == Some(*node) || p.node.is_none()) {
            return Some(Why::LocalNode);
        }
    }
    let mut governed = 0;
    for workload in ends.iter().filter_map(|e| e.workload()) {
        match selectors.get(workload) {
            Ok(_) => governed += usize::from(selectors.governs(world, workload)),
            Err(Why::HostNetwork) => {}
            Err(why) => return Some(why),
        }
    }
    let host = |end: &End| end.workload().is_some_and(|w| matches!(selectors.get(w), Err(Why::HostNetwork)));
    if governed == 0 && ends.iter().any(|e| host(e)) {
        return Some(Why::HostNetwork);
    }
    if governed > 0 && ends.iter().any(|e| crate::policy::node_like(world, selectors, e) == Some(Vec::new())) {
        return Some(Why::NodeAddressUnknown);
    }
    None
}

/// Environments on the two sides, if both have one and they differ.
fn crossing(world: &World, edge: &Edge, options: &LearnOptions) -> Option<(Str, Str)> {
    let environment = |end: &End| {
        let ns: NamespaceId = world.workloads[end.workload()?.index()].namespace;
        let labels = &world.namespaces[ns.index()].labels;
        options.environment_keys.iter().find_map(|key| labels.get(key).cloned())
    };
    let (a, b) = (environment(&edge.from)?, environment(&edge.to)?);
    (a != b).then_some((a, b))
}
