//! The proof: every accepted flow stays allowed, judged by the oracle; and what is open beyond the evidence, by the engine.

use crate::policy::LearnedPolicy;
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::Engine;
use watertight_engine::connections::{Detail, Party, connections};
use watertight_engine::explain::VOLATILE_LABELS;
use watertight_flows::{Edge, End};
use watertight_model::{Endpoint, Flow, FlowVerdict, L4, PodId, PortSet, Verdict, WorkloadId, World};

/// What was proved. Machine-checkable: policies and edges are all it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Connections behind the accepted edges.
    pub flows_observed: u64,
    /// Those that are allowed with the policies in place, for every pod of both sides, today and after the next rollout.
    pub flows_allowed: u64,
    /// Accepted edges that are not allowed, with one flow that shows it. Empty: the certificate holds.
    pub failures: Vec<Failure>,
    /// Pairs of workloads with ports open beyond the evidence, where at least one side has a learned policy.
    pub excess: Vec<Excess>,
    /// Ordered pairs of workloads that were open before.
    pub baseline_pairs: usize,
    /// Ordered pairs that are open with the policies in place.
    pub open_pairs: usize,
    /// Those among them where neither side has a learned policy.
    pub ungoverned_pairs: usize,
    /// Those among them where a side is hostNetwork: no NetworkPolicy closes them for certain (rows 96, 97, 103).
    pub node_pairs: usize,
}

impl Certificate {
    /// True if every accepted flow is allowed.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }
}

/// An accepted edge that would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The edge.
    pub edge: Edge,
    /// A flow of it.
    pub flow: Flow,
    /// Its verdict in the world with the policies.
    pub verdict: FlowVerdict,
    /// It is allowed today and breaks when controllers change their labels.
    pub after_rollout: bool,
}

/// Ports that are open and were not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// From.
    pub from: WorkloadId,
    /// To.
    pub to: WorkloadId,
    /// Ports without evidence.
    pub ports: PortSet,
    /// No port of this pair was seen at all.
    pub whole_pair: bool,
}

pub(crate) fn certify(
    before: &Engine<'_>,
    after: &World,
    policies: &[LearnedPolicy],
    accepted: &[Edge],
) -> Certificate {
    let rolled = next_rollout(after);
    let mut out = Certificate {
        flows_observed: accepted.iter().map(|e| e.count).sum(),
        flows_allowed: 0,
        failures: Vec::new(),
        excess: Vec::new(),
        baseline_pairs: 0,
        open_pairs: 0,
        ungoverned_pairs: 0,
        node_pairs: 0,
    };
    let pods = representatives(after);
    for edge in accepted {
        let failure = flows(after, &pods, edge).into_iter().find_map(|flow| {
            [(after, false), (&rolled, true)].into_iter().find_map(|(world, after_rollout)| {
                let verdict = watertight_oracle::decide(world, &flow);
                let fails = evaluated_denies(&verdict);
                fails.then(|| Failure { edge: edge.clone(), flow, verdict, after_rollout })
            })
        });
        match failure {
            None => out.flows_allowed += edge.count,
            Some(failure) => out.failures.push(failure),
        }
    }
    excess(before, after, policies, accepted, &mut out);
    out
}

/// The evaluated policies do not let it through for sure. What a policy that is not evaluated might do is not our proof.
fn evaluated_denies(verdict: &FlowVerdict) -> bool {
    watertight_engine::query::evaluated(verdict) != Verdict::Allow
}

/// One pod for each workload and set of labels and ports: what policies see of it.
fn representatives(world: &World) -> BTreeMap<WorkloadId, Vec<PodId>> {
    let mut seen = BTreeSet::new();
    let mut out: BTreeMap<WorkloadId, Vec<PodId>> = BTreeMap::new();
    for (i, pod) in world.pods.iter().enumerate() {
        if !pod.finished && seen.insert((pod.workload, &pod.labels, &pod.ports, pod.node)) {
            out.entry(pod.workload).or_default().push(PodId::at(i));
        }
    }
    out
}

fn flows(world: &World, pods: &BTreeMap<WorkloadId, Vec<PodId>>, edge: &Edge) -> Vec<Flow> {
    let ends = |end: &End| -> Vec<Endpoint> {
        match end {
            End::Workload(id) => pods.get(id).into_iter().flatten().map(|p| Endpoint::Pod(*p)).collect(),
            End::Node(id) => vec![Endpoint::Node(*id)],
            End::External { ip, .. } => vec![Endpoint::External(*ip)],
        }
    };
    let host = |end: Endpoint| matches!(end, Endpoint::Pod(p) if world.pods[p.index()].host_network);
    let mut out = Vec::new();
    for from in ends(&edge.from) {
        for to in ends(&edge.to) {
            // How a plugin treats hostNetwork pods is its own business: the node's address stands for them.
            let stand_in = |end: Endpoint| match end {
                Endpoint::Pod(p) if host(end) => world.pods[p.index()].node.map_or(end, Endpoint::Node),
                Endpoint::Pod(_) | Endpoint::Node(_) | Endpoint::External(_) => end,
            };
            let (from, to) = (stand_in(from), stand_in(to));
            out.push(Flow { from, to, l4: L4::Port(edge.protocol, edge.port), via_service: false });
        }
    }
    out
}

/// The world as it will be when controllers have replaced every pod.
fn next_rollout(world: &World) -> World {
    let mut next = world.clone();
    for pod in &mut next.pods {
        for key in VOLATILE_LABELS {
            if pod.labels.get(key).is_some() {
                pod.labels = pod.labels.with(key, "next-rollout");
            }
        }
    }
    next
}

fn excess(before: &Engine<'_>, after: &World, policies: &[LearnedPolicy], accepted: &[Edge], out: &mut Certificate) {
    let engine = Engine::new(after);
    let mut evidence: BTreeMap<(WorkloadId, WorkloadId), PortSet> = BTreeMap::new();
    for edge in accepted {
        if let (Some(from), Some(to)) = (edge.from.workload(), edge.to.workload()) {
            let ports = evidence.entry((from, to)).or_default();
            *ports = ports.union(&PortSet::range(edge.protocol, edge.port, edge.port));
        }
    }
    let governed: BTreeSet<WorkloadId> = policies.iter().map(|p| p.workload).collect();
    let on_nodes: BTreeSet<WorkloadId> = after.pods.iter().filter(|p| p.host_network).map(|p| p.workload).collect();
    out.baseline_pairs = open_pairs(before).len();
    for ((from, to), ports) in open_pairs(&engine) {
        out.open_pairs += 1;
        if on_nodes.contains(&from) || on_nodes.contains(&to) {
            out.node_pairs += 1;
            continue;
        }
        if !governed.contains(&from) && !governed.contains(&to) {
            out.ungoverned_pairs += 1;
            continue;
        }
        let seen = evidence.get(&(from, to));
        let extra = seen.map_or_else(|| ports.clone(), |seen| ports.minus(seen));
        if !extra.is_empty() {
            out.excess.push(Excess { from, to, ports: extra, whole_pair: seen.is_none() });
        }
    }
}

/// Ordered pairs of workloads with ports that are open on some reading, between any of their pods.
fn open_pairs(engine: &Engine<'_>) -> BTreeMap<(WorkloadId, WorkloadId), PortSet> {
    let mut out: BTreeMap<(WorkloadId, WorkloadId), PortSet> = BTreeMap::new();
    for connection in connections(engine, Detail::Workloads) {
        if let (Party::Workload { workload: from, .. }, Party::Workload { workload: to, .. }) =
            (&connection.from, &connection.to)
        {
            let ports = out.entry((*from, *to)).or_default();
            *ports = ports.union(&connection.allowed).union(&connection.depends);
        }
    }
    out
}
