//! The part of a world that one flow rests on: its two ends and the policies that select them. Deciding there gives the same
//! answer as in the whole, so edits can be tried at once.

use crate::Engine;
use std::collections::BTreeSet;
use watertight_model::{Direction, Endpoint, Flow, PodId, PolicyRef, WorkloadId, World};

/// A small world and the flow in it. Namespaces and nodes keep their ids; pods and policies get new ones.
pub struct Extract {
    /// The small world.
    pub world: World,
    /// The same flow in it.
    pub flow: Flow,
    /// For each NetworkPolicy of the small world, its place in the whole.
    pub policies: Vec<u32>,
    /// For each cluster policy of the small world, its place in the whole.
    pub cluster_policies: Vec<u32>,
}

impl Extract {
    /// Copies what the flow rests on.
    pub fn of(engine: &Engine<'_>, flow: &Flow) -> Self {
        let whole = engine.world();
        let mut pods: Vec<PodId> = Vec::new();
        for end in [flow.from, flow.to] {
            if let Endpoint::Pod(id) = end {
                pods.push(id);
            }
        }
        pods.sort_unstable();
        pods.dedup();
        let (mut policies, mut cluster) = (BTreeSet::new(), BTreeSet::new());
        for id in &pods {
            for direction in Direction::BOTH {
                policies.extend(engine.classes().policies_of(*id, direction).iter().map(|s| s.policy));
            }
            cluster.extend(engine.classes().cluster_policies_of(*id).iter().map(|s| s.policy));
        }
        let world = World {
            sources: Vec::new(),
            namespaces: whole.namespaces.clone(),
            nodes: whole.nodes.clone(),
            workloads: pods.iter().map(|p| whole.workloads[whole.pods[p.index()].workload.index()].clone()).collect(),
            pods: pods
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    let mut pod = whole.pods[p.index()].clone();
                    pod.workload = WorkloadId::at(i);
                    pod
                })
                .collect(),
            policies: policies.iter().map(|i| whole.policies[*i as usize].clone()).collect(),
            cluster_policies: cluster.iter().map(|i| whole.cluster_policies[*i as usize].clone()).collect(),
            foreign_policies: whole.foreign_policies.clone(),
            pod_cidrs: whole.pod_cidrs.clone(),
            ..World::default()
        };
        let place = |end: Endpoint| match end {
            Endpoint::Pod(id) => pods.binary_search(&id).map_or(end, |i| Endpoint::Pod(PodId::at(i))),
            Endpoint::Node(_) | Endpoint::External(_) => end,
        };
        let flow = Flow { from: place(flow.from), to: place(flow.to), ..*flow };
        Self { world, flow, policies: policies.into_iter().collect(), cluster_policies: cluster.into_iter().collect() }
    }

    /// The place in the small world of a policy of the whole one.
    pub fn place(&self, policy: PolicyRef) -> Option<usize> {
        match policy {
            PolicyRef::Namespaced(i) => self.policies.binary_search(&i).ok(),
            PolicyRef::Cluster(i) => self.cluster_policies.binary_search(&i).ok(),
        }
    }
}
