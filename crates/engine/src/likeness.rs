//! What makes a class, one pod at a time: for those who keep classes while pods come and go.
//!
//! Input: a world's policies. Output: for any pod a [`Likeness`]; two pods of that world are of one class ([`crate::classes`])
//! exactly if theirs are equal. It stays so while policies and namespaces stay: pods may come that the world did not have.

use crate::classes::Keys;
use rustc_hash::FxHashSet;
use std::net::IpAddr;
use watertight_model::{ContainerKind, Family, NamespaceId, NodeId, Pod, Protocol, Str, World, addr};

/// What the policies of a world can tell about a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Likeness {
    namespace: NamespaceId,
    /// Values of the labels that some selector names, in the order of [`Telling`].
    labels: Box<[Option<Str>]>,
    ports: Box<[(Str, u16, Protocol, ContainerKind)]>,
    /// For a hostNetwork pod, its node.
    host: Option<Option<NodeId>>,
    /// Elementary ranges that hold its addresses.
    ranges: Box<[usize]>,
}

/// What the policies of a world name, so what tells pods apart. Owns what it needs: the world may go.
#[derive(Clone, Debug)]
pub struct Telling {
    labels: Vec<Str>,
    port_names: FxHashSet<Str>,
    cuts: Vec<(Family, u128)>,
}

impl Telling {
    /// Of all policies of a world.
    pub fn of(world: &World) -> Self {
        let keys = Keys::of(world);
        let mut labels: Vec<Str> = keys.labels.into_iter().map(Str::from).collect();
        labels.sort_unstable();
        Self { labels, port_names: keys.port_names.into_iter().map(Str::from).collect(), cuts: keys.cuts }
    }

    fn range(&self, ip: IpAddr) -> usize {
        let (family, value, _) = addr::number(ip);
        self.cuts.partition_point(|cut| *cut <= (family, value))
    }

    /// Whether a pod at one address and a pod at another are alike for sure: cheap, and for the replicas of one workload true.
    pub fn plainly_alike(&self, (a, at): (&Pod, IpAddr), (b, there): (&Pod, IpAddr)) -> bool {
        let same = a.namespace == b.namespace && a.labels == b.labels && a.ports == b.ports;
        same && !a.host_network && !b.host_network && (self.cuts.is_empty() || self.range(at) == self.range(there))
    }

    /// What can be told about a pod if these are its addresses. Finished pods have no class, and nobody should ask.
    pub fn likeness(&self, pod: &Pod, ips: &[IpAddr]) -> Likeness {
        let named = pod.ports.iter().filter_map(|p| p.name.as_ref().map(|name| (name, p)));
        let compared = if self.cuts.is_empty() { &[][..] } else { ips };
        let mut ranges: Vec<usize> = compared.iter().map(|ip| self.range(*ip)).collect();
        ranges.sort_unstable();
        ranges.dedup();
        Likeness {
            namespace: pod.namespace,
            labels: self.labels.iter().map(|key| pod.labels.get(key).cloned()).collect(),
            ports: named
                .filter(|(name, _)| self.port_names.contains(*name))
                .map(|(name, p)| (name.clone(), p.port, p.protocol, p.container))
                .collect(),
            host: pod.host_network.then_some(pod.node),
            ranges: ranges.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::{ClassId, Classes};
    use rustc_hash::FxHashMap;
    use watertight_model::PodId;
    use watertight_testkit::random::{self, Rng, Size};

    /// Both ways: alike pods are of one class, and pods of one class are alike.
    #[test]
    fn alike_is_being_of_one_class() {
        let (mut pods, mut shared) = (0, 0);
        for seed in 0..600 {
            let (mut world, _) = random::world(&mut Rng::new(seed), &Size::default());
            // Every pod has a twin, with another address in every third world.
            let twin = |pod: &Pod| {
                let ips = if seed.is_multiple_of(3) { vec![IpAddr::from([10, 9, 9, 9])] } else { pod.ips.clone() };
                [pod.clone(), Pod { name: format!("{}-twin", pod.name).into(), ips, ..pod.clone() }]
            };
            world.pods = world.pods.iter().flat_map(twin).collect();
            let classes = Classes::of(&world);
            let telling = Telling::of(&world);
            let mut by_likeness: FxHashMap<Likeness, ClassId> = FxHashMap::default();
            let mut by_class: FxHashMap<ClassId, Likeness> = FxHashMap::default();
            for (i, pod) in world.pods.iter().enumerate() {
                let Some(class) = classes.class_of(PodId::at(i)) else { continue };
                let likeness = telling.likeness(pod, &pod.ips);
                shared += usize::from(by_class.contains_key(&class));
                assert_eq!(*by_likeness.entry(likeness.clone()).or_insert(class), class, "seed {seed}, pod {i}");
                assert_eq!(
                    *by_class.entry(class).or_insert_with(|| likeness.clone()),
                    likeness,
                    "seed {seed}, pod {i}"
                );
                pods += 1;
            }
        }
        assert!(
            pods > 6_000 && shared > 2_000 && shared < pods / 2,
            "{pods} pods, {shared} of them in a class with others"
        );
    }
}
