//! What would have been denied: recorded edges against candidate policies.

use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::query::{Target, evaluated};
use watertight_flows::{Edge, End};
use watertight_model::{Endpoint, Flow, FlowVerdict, L4, PodId, Verdict, WorkloadId, World};

/// An edge that the candidate policies do not let through for every pair of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldDeny {
    /// The edge.
    pub edge: Edge,
    /// The first flow of it that is not allowed.
    pub flow: Flow,
    /// Its verdict: denied, or `depends`.
    pub verdict: FlowVerdict,
}

/// Every edge with connections that were let through, judged in the engine's world; only those that are not allowed come
/// back, in the order of the edges. Linear in edges times the distinct pods of both ends.
pub fn replay(engine: &Engine<'_>, edges: &[Edge]) -> Vec<WouldDeny> {
    let world = engine.world();
    let mut pods: BTreeMap<WorkloadId, Vec<PodId>> = BTreeMap::new();
    for (i, pod) in world.pods.iter().enumerate() {
        let id = PodId::at(i);
        if let Some(class) = engine.classes().class_of(id) {
            let known = pods.entry(pod.workload).or_default();
            let same =
                |p: &PodId| engine.classes().class_of(*p) == Some(class) && world.pods[p.index()].node == pod.node;
            if !known.iter().any(same) {
                known.push(id);
            }
        }
    }
    edges.iter().filter(|e| e.count > 0).filter_map(|edge| would_deny(engine, world, &pods, edge)).collect()
}

fn would_deny(
    engine: &Engine<'_>,
    world: &World,
    pods: &BTreeMap<WorkloadId, Vec<PodId>>,
    edge: &Edge,
) -> Option<WouldDeny> {
    let ends = |end: &End| -> Vec<Endpoint> {
        match end {
            End::Workload(id) => pods.get(id).into_iter().flatten().map(|p| Endpoint::Pod(*p)).collect(),
            End::Node(id) => vec![Endpoint::Node(*id)],
            End::External { ip, .. } => vec![Endpoint::External(*ip)],
        }
    };
    let local = |end: Endpoint, other: Endpoint| match (end, other) {
        // Traffic from a node was seen at a pod of that node: others are reached by their own nodes.
        (Endpoint::Node(node), Endpoint::Pod(pod)) => world.pods[pod.index()].node.is_none_or(|n| n == node),
        _ => true,
    };
    for from in ends(&edge.from) {
        for to in ends(&edge.to).into_iter().filter(|to| local(from, *to)) {
            let flow = Flow { from, to, l4: L4::Port(edge.protocol, edge.port), via_service: false };
            let verdict = engine.decide(&flow);
            if evaluated(&verdict) != Verdict::Allow {
                return Some(WouldDeny { edge: edge.clone(), flow, verdict });
            }
        }
    }
    None
}

/// What an end is called.
pub fn end_name(engine: &Engine<'_>, end: &End) -> String {
    match end {
        End::Workload(id) => engine.world().workload_name(*id),
        End::Node(id) => format!("node:{}", engine.world().nodes[id.index()].name),
        End::External { ip, .. } => format!("ip:{ip}"),
    }
}

/// An end as the target of a question.
pub fn end_target(end: &End) -> Target {
    match end {
        End::Workload(id) => Target::Workload(*id),
        End::Node(id) => Target::Node(*id),
        End::External { ip, .. } => Target::Ip(*ip),
    }
}
