//! Which device is which pod's: what was found on the node beside what the API server says. Pure.

use super::{Closed, Place};
use crate::find::{Found, Whose};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Pod, World};

/// What follows for the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// By namespace and name.
    pub(crate) pods: Vec<Place>,
    /// By index.
    pub(crate) closed: Vec<Closed>,
    /// Pods that run here and have no device that we know.
    pub(crate) open: Vec<String>,
}

/// Puts the two together.
///
/// A pod is found by its uid. Only where the API server does not know the uid (of a static pod the kubelet uses another one
/// here and there) an address decides, if exactly one pod of this node has it and has no device by its uid.
pub(crate) fn places(world: &World, node: &str, found: &BTreeMap<u32, Found>) -> Places {
    let here: Vec<&Pod> = world.pods.iter().filter(|p| lives_at(world, p, node)).collect();
    let by_uid: BTreeMap<&str, &Pod> = here.iter().filter_map(|p| Some((p.uid.as_deref()?, *p))).collect();
    let mut claims: BTreeMap<(usize, &str), Vec<(&Found, &Pod)>> = BTreeMap::new();
    let mut out = Places::default();
    let close = |f: &Found, why: &str| Closed { ifindex: f.ifindex, device: f.name.clone(), why: why.to_owned() };
    let named: BTreeSet<&str> = found.values().filter_map(|f| uid(f)).collect();
    for f in found.values() {
        let by_address = || {
            let mut pods = here.iter().filter(|p| {
                p.ips.iter().any(|ip| f.addresses.contains(ip)) && p.uid.as_deref().is_none_or(|u| !named.contains(u))
            });
            pods.next().filter(|_| pods.next().is_none()).copied()
        };
        let pod = match &f.whose {
            Whose::Pod(uid) => by_uid.get(uid.as_str()).copied().or_else(by_address),
            Whose::Unborn => {
                out.closed.push(close(f, "a pod is being made"));
                continue;
            }
            Whose::Contested => {
                out.closed.push(close(f, "processes of several pods are in its network namespace"));
                continue;
            }
        };
        match pod {
            Some(pod) if pod.host_network => out.closed.push(close(f, "its pod says that it has the node's network")),
            Some(pod) => claims.entry((pod.namespace.index(), &pod.name)).or_default().push((f, pod)),
            None => out.closed.push(close(f, "the API server does not know its pod")),
        }
    }
    for claim in claims.values() {
        // Further interfaces of a pod (Multus) are no part of what NetworkPolicy is about; the one with the pod's address is.
        let primary = claim.iter().filter(|(f, pod)| pod.ips.iter().any(|ip| f.addresses.contains(ip)));
        let primary: Vec<_> = if claim.len() == 1 { claim.iter().collect() } else { primary.collect() };
        let one = if let [one] = primary.as_slice() { Some(*one) } else { None };
        for (f, pod) in claim {
            if one.is_none() {
                out.closed.push(close(f, "its pod has several devices, and none or several have its address"));
            } else if one.is_some_and(|(other, _)| other.ifindex == f.ifindex) {
                out.pods.push(place(world, f, pod));
            }
        }
    }
    out.closed.sort_by_key(|c| c.ifindex);
    out.pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let placed: BTreeSet<(&str, &str)> = out.pods.iter().map(|p| (p.namespace.as_str(), p.name.as_str())).collect();
    let running = here.iter().filter(|p| !p.host_network && !p.finished && !p.ips.is_empty());
    out.open = running
        .filter(|p| !placed.contains(&(&*world.namespaces[p.namespace.index()].name, &*p.name)))
        .filter(|p| !found.values().any(|f| p.ips.iter().any(|ip| f.addresses.contains(ip))))
        .map(|p| format!("{}/{}", world.namespaces[p.namespace.index()].name, p.name))
        .collect();
    out
}

fn lives_at(world: &World, pod: &Pod, node: &str) -> bool {
    !pod.template && pod.node.is_some_and(|id| &*world.nodes[id.index()].name == node)
}

fn uid(found: &Found) -> Option<&str> {
    match &found.whose {
        Whose::Pod(uid) => Some(uid),
        Whose::Unborn | Whose::Contested => None,
    }
}

fn place(world: &World, found: &Found, pod: &Pod) -> Place {
    Place {
        namespace: world.namespaces[pod.namespace.index()].name.to_string(),
        name: pod.name.to_string(),
        ifindex: found.ifindex,
        mac: found.mac,
        // What the API server says counts as soon as it says something: a pod may give its device other addresses.
        addresses: if pod.ips.is_empty() { found.addresses.clone() } else { Vec::new() },
    }
}

#[cfg(test)]
mod tests;
