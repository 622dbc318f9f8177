//! Selectors that hold: for each workload the fewest stable labels that select its pods and nobody else's.

use crate::accept::{Excluded, Why};
use crate::options::LearnOptions;
use std::collections::BTreeMap;
use watertight_engine::explain::{selector_for, stable_labels};
use watertight_engine::selector::matches;
use watertight_model::{NamespaceId, PodId, Selector, WorkloadId, World};

/// A selector for each workload, or the reason why there is none.
pub struct Selectors {
    by_workload: BTreeMap<WorkloadId, Result<Selector, Why>>,
    skipped: Vec<bool>,
}

impl Selectors {
    pub(crate) fn of(world: &World, options: &LearnOptions) -> Self {
        let mut pods: BTreeMap<WorkloadId, Vec<PodId>> = BTreeMap::new();
        for (i, pod) in world.pods.iter().enumerate() {
            if !pod.finished {
                pods.entry(pod.workload).or_default().push(PodId::at(i));
            }
        }
        let by_workload = pods.iter().map(|(w, own)| (*w, find(world, *w, own))).collect();
        let skipped = world.namespaces.iter().map(|n| skip(&n.name, options)).collect();
        Self { by_workload, skipped }
    }

    /// The selector of a workload.
    pub fn get(&self, workload: WorkloadId) -> Result<&Selector, Why> {
        self.by_workload.get(&workload).map_or(Err(Why::NoPods), |found| found.as_ref().map_err(Clone::clone))
    }

    /// Whether a namespace is left alone.
    pub(crate) fn skips(&self, ns: NamespaceId) -> bool {
        self.skipped[ns.index()]
    }

    /// Whether a workload gets a policy.
    pub(crate) fn governs(&self, world: &World, workload: WorkloadId) -> bool {
        self.get(workload).is_ok() && !self.skips(world.workloads[workload.index()].namespace)
    }

    /// Workloads that can have a policy, skipped namespaces included.
    pub(crate) fn learnable(&self) -> impl Iterator<Item = WorkloadId> + '_ {
        self.by_workload.iter().filter(|(_, found)| found.is_ok()).map(|(w, _)| *w)
    }

    /// Workloads that cannot.
    pub(crate) fn excluded(&self) -> Vec<Excluded> {
        let failed = self.by_workload.iter().filter_map(|(w, found)| found.as_ref().err().map(|why| (*w, why.clone())));
        failed.map(|(workload, why)| Excluded::Workload { workload, why }).collect()
    }
}

fn skip(namespace: &str, options: &LearnOptions) -> bool {
    let listed = |list: &[String]| list.iter().any(|n| n == namespace);
    listed(&options.skip_namespaces) || !(options.only_namespaces.is_empty() || listed(&options.only_namespaces))
}

/// Starts from the owner's own selector, adds stable labels of the pods until nobody else matches.
fn find(world: &World, workload: WorkloadId, own: &[PodId]) -> Result<Selector, Why> {
    if own.iter().any(|p| world.pods[p.index()].host_network) {
        return Err(Why::HostNetwork);
    }
    let first = own[0];
    let base = selector_for(world, first).ok_or(Why::NoStableLabels)?;
    let labels = stable_labels(&world.pods[first.index()].labels);
    // Labels that all pods of the workload share: only these select all of them.
    let shared: Vec<(&str, &str)> = labels
        .iter()
        .filter(|(k, v)| own.iter().all(|p| world.pods[p.index()].labels.get(k) == Some(v)))
        .map(|(k, v)| (&**k, &**v))
        .collect();
    let mut selector = if own.iter().all(|p| matches(&base, &world.pods[p.index()].labels)) {
        base
    } else if shared.is_empty() {
        return Err(Why::NoStableLabels);
    } else {
        Selector::of(&shared)
    };
    let namespace = world.workloads[workload.index()].namespace;
    let start = world.pods.partition_point(|p| p.namespace < namespace);
    let neighbours: Vec<_> = world.pods[start..]
        .iter()
        .take_while(|p| p.namespace == namespace)
        .filter(|p| p.workload != workload && !p.finished && !p.host_network)
        .collect();
    loop {
        let Some(intruder) = neighbours.iter().find(|p| matches(&selector, &p.labels)) else { return Ok(selector) };
        // A label that keeps this one out; the first by key, so that the same world gives the same selector.
        let telling = shared.iter().find(|(k, v)| intruder.labels.get(k).is_none_or(|have| **have != **v));
        let Some((key, value)) = telling else {
            return Err(Why::SameLabelsAs(world.workload_name(intruder.workload)));
        };
        let mut pairs: Vec<(String, String)> = selector
            .requirements
            .iter()
            .filter_map(|r| match &r.op {
                watertight_model::Op::In(values) => values.first().map(|v| (r.key.to_string(), v.to_string())),
                _ => None,
            })
            .collect();
        pairs.push(((*key).to_owned(), (*value).to_owned()));
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        selector = Selector::of(&pairs);
    }
}
