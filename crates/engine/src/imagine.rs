//! Pods that do not exist, put into a copy of a world, so that the engine can be asked about them.

use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::pod::Dns;
use watertight_model::{
    Labels, Namespace, NamespaceId, Op, Origin, Pod, PodId, Selector, Str, Workload, WorkloadId, WorkloadKind, World,
};

/// A pod to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imagined {
    /// Where.
    pub(crate) home: Home,
    /// Its labels.
    pub(crate) labels: Labels,
}

/// Where an imagined pod lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In a namespace of the world.
    In(NamespaceId),
    /// In a namespace of its own with these labels, and the one that the control plane sets unless it is among them.
    New(Labels),
}

/// A copy with the imagined pods in it; per pod of the world its id there; and the ids of the imagined pods, in order. Ids of
/// workloads, namespaces and policies of the world stay as they are. Imagined names begin with `~`, which no real name does, and
/// sort last.
pub(crate) fn with(world: &World, wanted: &[Imagined]) -> (World, Vec<PodId>, Vec<PodId>) {
    let mut out = World { pods: Vec::with_capacity(world.pods.len() + wanted.len()), ..world.clone() };
    out.pods.clear();
    let mut moved = Vec::with_capacity(world.pods.len());
    let mut made = vec![PodId(0); wanted.len()];
    let mut real = world.pods.iter().peekable();
    for i in 0..world.namespaces.len() {
        let namespace = NamespaceId::at(i);
        while let Some(pod) = real.next_if(|p| p.namespace <= namespace) {
            moved.push(PodId::at(out.pods.len()));
            out.pods.push(pod.clone());
        }
        for (j, one) in wanted.iter().enumerate().filter(|(_, w)| w.home == Home::In(namespace)) {
            made[j] = pod(&mut out, namespace, &one.labels, j);
        }
    }
    for (j, one) in wanted.iter().enumerate() {
        if let Home::New(labels) = &one.home {
            let id = NamespaceId::at(out.namespaces.len());
            let name = name(j);
            let labels = if labels.get(NAMESPACE_NAME_LABEL).is_some() {
                labels.clone()
            } else {
                labels.with(NAMESPACE_NAME_LABEL, &name)
            };
            out.namespaces.push(Namespace {
                name,
                labels,
                annotations: Labels::default(),
                declared: true,
                terminating: false,
                origin: None,
            });
            made[j] = pod(&mut out, id, &one.labels, j);
        }
    }
    (out, moved, made)
}

/// Sorts as the number does.
fn name(n: usize) -> Str {
    Str::from(format!("~{n:08}"))
}

fn pod(world: &mut World, namespace: NamespaceId, labels: &Labels, n: usize) -> PodId {
    let workload = WorkloadId::at(world.workloads.len());
    world.workloads.push(Workload {
        kind: WorkloadKind::Pod,
        namespace,
        name: name(n),
        template_labels: labels.clone(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
    });
    let id = PodId::at(world.pods.len());
    world.pods.push(Pod {
        name: name(n),
        namespace,
        workload,
        labels: labels.clone(),
        uid: None,
        node: None,
        host_network: false,
        ips: Vec::new(),
        ports: Vec::new(),
        finished: false,
        terminating: false,
        template: true,
        dns: Dns::default(),
        node_privilege: None,
        origin: Origin::default(),
    });
    id
}

/// The fewest labels that satisfy a selector; `None` if none do, or it cannot be read.
pub(crate) fn labels_for(selector: &Selector) -> Option<Labels> {
    let mut out = Labels::default();
    for requirement in &selector.requirements {
        let key = &requirement.key;
        match &requirement.op {
            Op::In(values) if out.get(key).is_none() => {
                // A value that the whole selector takes.
                let fits = |v: &&Str| {
                    let alike = selector.requirements.iter().filter(|r| r.key == *key);
                    alike.into_iter().all(|r| crate::selector::holds(r, Some(v)))
                };
                out = out.with(key, values.iter().find(fits)?);
            }
            Op::Exists if out.get(key).is_none() => {
                let named = selector.requirements.iter().any(|r| r.key == *key && matches!(r.op, Op::In(_)));
                if !named {
                    // Any value that no other requirement of the key excludes.
                    let fits = |v: &String| {
                        selector
                            .requirements
                            .iter()
                            .filter(|r| r.key == *key)
                            .all(|r| crate::selector::holds(r, Some(v)))
                    };
                    let value = (0..=selector.requirements.len() + 1000).map(|n| format!("x{n}")).find(fits)?;
                    out = out.with(key, &value);
                }
            }
            Op::In(_) | Op::Exists | Op::NotIn(_) | Op::DoesNotExist => {}
            Op::Unknown(_) => return None,
        }
    }
    crate::selector::matches(selector, &out).then_some(out)
}
