//! Which pods differ between two worlds. Anything else that differs is for somebody else.

use super::super::Local;
use std::cmp::Ordering;
use watertight_model::{Namespace, Node, Pod, PodId, Service, World};

/// A pod, and how it is attached if it lives here.
pub(super) type Here<'a> = (&'a Pod, Option<&'a Local>);

/// A pod as it was and as it is; one of them at least is there.
pub(super) struct Changed<'a> {
    pub(super) before: Option<Here<'a>>,
    pub(super) after: Option<Here<'a>>,
}

/// A world and its pods of this node.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) world: &'a World,
    pub(super) locals: &'a [Local],
}

/// The pods that differ; `None`: something else may.
pub(super) fn changes<'a>(old: Side<'a>, new: Side<'a>) -> Option<Vec<Changed<'a>>> {
    if !std::ptr::eq(old.world, new.world) && !alike_but_for_pods(old.world, new.world) {
        return None;
    }
    let (mut old, mut new) = (Pods::new(old)?, Pods::new(new)?);
    let mut out = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Some(out),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => by_name(a, b),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        if let (Some(a), Some(b)) = (before, after)
            && same_pod(a.0, b.0)
            && same_place(a.1, b.1)
        {
            continue;
        }
        // A hostNetwork pod is a part of its node.
        let host = |side: Option<Here<'_>>| side.is_some_and(|(pod, _)| pod.host_network && !pod.finished);
        if host(before) || host(after) {
            return None;
        }
        out.push(Changed { before, after });
    }
}

/// Pods in order, each with how it is attached.
struct Pods<'a> {
    pods: &'a [Pod],
    locals: Vec<&'a Local>,
    at: usize,
    next_local: usize,
}

impl<'a> Pods<'a> {
    /// `None`: two of the pods here are one, or share a device.
    fn new(side: Side<'a>) -> Option<Self> {
        let mut locals: Vec<&Local> = side.locals.iter().collect();
        locals.sort_unstable_by_key(|l| l.ifindex);
        if locals.windows(2).any(|w| w[0].ifindex == w[1].ifindex) {
            return None;
        }
        locals.sort_unstable_by_key(|l| l.pod);
        if locals.windows(2).any(|w| w[0].pod == w[1].pod) {
            return None;
        }
        Some(Self { pods: &side.world.pods, locals, at: 0, next_local: 0 })
    }

    fn peek(&self) -> Option<&'a Pod> {
        self.pods.get(self.at)
    }

    fn next(&mut self) -> Option<Here<'a>> {
        let pod = self.pods.get(self.at)?;
        let local = self.locals.get(self.next_local).filter(|l| l.pod == PodId::at(self.at)).copied();
        self.next_local += usize::from(local.is_some());
        self.at += 1;
        Some((pod, local))
    }
}

fn by_name(a: &Pod, b: &Pod) -> Ordering {
    // Most names are one string in memory: a world is mostly a copy of the one before.
    a.namespace.cmp(&b.namespace).then_with(|| match std::ptr::eq(&*a.name, &*b.name) {
        true => Ordering::Equal,
        false => a.name.cmp(&b.name),
    })
}

fn same_pod(a: &Pod, b: &Pod) -> bool {
    a.labels == b.labels
        && a.ips == b.ips
        && a.ports == b.ports
        && a.node == b.node
        && (a.host_network, a.finished, a.terminating) == (b.host_network, b.finished, b.terminating)
}

fn same_place(a: Option<&Local>, b: Option<&Local>) -> bool {
    let place = |l: &Local| (l.ifindex, l.mac);
    a.map(place) == b.map(place) && a.map(|l| &l.addresses) == b.map(|l| &l.addresses)
}

/// Everything that an image rests on, but for pods.
fn alike_but_for_pods(a: &World, b: &World) -> bool {
    all(&a.namespaces, &b.namespaces, |a: &Namespace, b| {
        (&a.name, &a.labels, &a.annotations, a.declared) == (&b.name, &b.labels, &b.annotations, b.declared)
    }) && all(&a.nodes, &b.nodes, |a: &Node, b| {
        (&a.name, &a.labels, &a.addresses) == (&b.name, &b.labels, &b.addresses)
    }) && all(&a.services, &b.services, |a: &Service, b| {
        (&a.cluster_ips, &a.external_ips) == (&b.cluster_ips, &b.external_ips)
    }) && all(&a.foreign_policies, &b.foreign_policies, |a, b| a.kind == b.kind)
        && a.pod_cidrs == b.pod_cidrs
        && a.policies == b.policies
        && a.cluster_policies == b.cluster_policies
}

fn all<T>(a: &[T], b: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
