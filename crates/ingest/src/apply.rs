//! Objects over a cluster: what there would be after `kubectl apply` of them.
//!
//! In: what was parsed of the cluster, and of the objects. Out: both as one. An object takes the place of the one of its kind,
//! namespace and name. Labels of a namespace are added to those it has (apply does not remove what others have set). Pods of a
//! controller stay, unless its template would make other pods: then the template stands for those to come. Nothing is ever
//! removed: `kubectl apply` does not prune.

use crate::typed::{Controller, In, Parsed, ReadPod};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Labels, Str};

/// The cluster with the objects applied.
pub(crate) fn applied(mut cluster: Parsed, mut over: Parsed) -> Parsed {
    let replaced = replaced_controllers(&cluster, &over);
    let stale = |namespace: &Str, pod: &ReadPod| {
        pod.owner.as_ref().is_some_and(|owner| {
            let named = |kind: &str, name: &str| replaced.contains(&(kind.into(), namespace.clone(), name.into()));
            let hash = pod.labels.get("pod-template-hash").filter(|_| *owner.kind == *"ReplicaSet");
            let deployment = hash.and_then(|hash| owner.name.strip_suffix(&**hash)?.strip_suffix('-'));
            named(&owner.kind, &owner.name) || deployment.is_some_and(|name| named("Deployment", name))
        })
    };
    cluster.pods.retain(|p| !stale(&p.namespace, &p.object));
    let named = |namespace: &Str, name: &Str| (namespace.clone(), name.clone());
    give_way(&mut cluster.pods, &over.pods, |o| named(&o.namespace, &o.object.name));
    give_way(&mut cluster.controllers, &over.controllers, key);
    give_way(&mut cluster.services, &over.services, |o| named(&o.namespace, &o.object.name));
    give_way(&mut cluster.slices, &over.slices, |o| named(&o.namespace, &o.object.name));
    give_way(&mut cluster.ingresses, &over.ingresses, |o| named(&o.namespace, &o.object.name));
    give_way(&mut cluster.policies, &over.policies, |o| named(&o.namespace, &o.object.name));
    give_way(&mut cluster.cluster_policies, &over.cluster_policies, |p| (p.kind, p.name.clone()));
    give_way(&mut cluster.foreign, &over.foreign, |(namespace, p)| {
        (p.kind.clone(), p.group.clone(), namespace.clone(), p.name.clone())
    });
    give_way(&mut cluster.nodes, &over.nodes, |n| n.name.clone());
    give_way(&mut cluster.identities, &over.identities, |i| (i.kind.clone(), i.namespace.clone(), i.name.clone()));
    for namespace in &mut over.namespaces {
        if let Some(have) = cluster.namespaces.iter().find(|n| n.name == namespace.name) {
            let own: Labels = namespace.labels.clone();
            namespace.labels = own.iter().fold(have.labels.clone(), |all, (key, value)| all.with(key, value));
        }
    }
    give_way(&mut cluster.namespaces, &over.namespaces, |n| n.name.clone());
    cluster.extend(over);
    cluster
}

/// Leaves out what is brought anew under the same name.
fn give_way<T, K: Ord>(have: &mut Vec<T>, brought: &[T], key: impl Fn(&T) -> K) {
    let brought: BTreeSet<K> = brought.iter().map(&key).collect();
    have.retain(|one| !brought.contains(&key(one)));
}

/// A controller by kind, namespace and name.
type Key = (Str, Str, Str);

fn key(o: &In<Controller>) -> Key {
    (Str::from(o.object.kind.name()), o.namespace.clone(), o.object.name.clone())
}

/// Both make pods that look the same to policies.
fn same_pods(a: &Controller, b: &Controller) -> bool {
    let ports = |c: &Controller| c.spec.ports.iter().map(|p| (p.name.clone(), p.port, p.protocol)).collect::<Vec<_>>();
    a.template_labels == b.template_labels && a.spec.host_network == b.spec.host_network && ports(a) == ports(b)
}

/// Controllers whose pods give way: the template changed, or that of the controller above.
fn replaced_controllers(cluster: &Parsed, over: &Parsed) -> BTreeSet<Key> {
    let known: BTreeMap<Key, &Controller> = cluster.controllers.iter().map(|c| (key(c), &c.object)).collect();
    let changed = |c: &&In<Controller>| known.get(&key(c)).is_some_and(|old| !same_pods(old, &c.object));
    let mut out: BTreeSet<Key> = over.controllers.iter().filter(changed).map(key).collect();
    // A ReplicaSet of a Deployment, a Job of a CronJob: one level is all there is between a controller and its pods.
    let below = cluster.controllers.iter().filter(|c| {
        let owner = c.object.owner.as_ref();
        owner.is_some_and(|o| out.contains(&(o.kind.clone(), c.namespace.clone(), o.name.clone())))
    });
    let below: Vec<Key> = below.map(key).collect();
    out.extend(below);
    out
}
