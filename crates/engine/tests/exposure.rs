//! Exposure against brute force: pods and namespaces over a small vocabulary of labels, really added, as the oracle decides.

use watertight_engine::connections::Party;
use watertight_engine::exposure::{Exposed, Future, exposure};
use watertight_model::{
    Direction, Endpoint, Flow, L4, Labels, Namespace, NamespaceId, PodId, PolicyRef, Protocol, RuleRef, Selector, Str,
    Verdict, World, label,
};
use watertight_testkit::WorldBuilder;
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{policy, rule};

const PORTS: [u16; 8] = [53, 79, 80, 90, 443, 5432, 8080, u16::MAX];

/// The world with one more pod, last of its namespace or in a namespace of its own; the real pods' ids there; its id.
fn added(world: &World, home: Result<NamespaceId, &Labels>, labels: &Labels) -> (World, Vec<PodId>, PodId) {
    let mut out = world.clone();
    let namespace = match home {
        Ok(ns) => ns,
        Err(labels) => {
            let labels = if labels.get(label::NAMESPACE_NAME_LABEL).is_some() {
                labels.clone()
            } else {
                labels.with(label::NAMESPACE_NAME_LABEL, "~~")
            };
            out.namespaces.push(Namespace {
                name: Str::from("~~"),
                labels,
                annotations: Labels::default(),
                declared: true,
                terminating: false,
                origin: None,
            });
            NamespaceId::at(out.namespaces.len() - 1)
        }
    };
    let mut pod = out.pods[0].clone();
    pod.namespace = namespace;
    pod.name = Str::from("~~");
    pod.labels = labels.clone();
    (pod.ips, pod.ports, pod.node) = (Vec::new(), Vec::new(), None);
    (pod.host_network, pod.finished, pod.terminating, pod.template) = (false, false, false, true);
    let at = out.pods.partition_point(|p| p.namespace <= namespace);
    out.pods.insert(at, pod);
    let ids = (0..world.pods.len()).map(|i| PodId::at(if i < at { i } else { i + 1 })).collect();
    (out, ids, PodId::at(at))
}

fn pods_of(world: &World, party: &Party) -> Vec<PodId> {
    match party {
        Party::Workload { workload, part: None } => {
            let all = world.pods.iter().enumerate().filter(|(_, p)| p.workload == *workload && !p.finished);
            all.map(|(i, _)| PodId::at(i)).collect()
        }
        Party::Workload { part: Some(pods), .. } => pods.clone(),
        _ => Vec::new(),
    }
}

fn verdict(world: &World, future: PodId, real: PodId, direction: Direction, port: u16) -> Verdict {
    let (from, to) = match direction {
        Direction::Ingress => (future, real),
        Direction::Egress => (real, future),
    };
    let l4 = L4::Port(Protocol::Tcp, port);
    watertight_oracle::decide(world, &Flow { from: Endpoint::Pod(from), to: Endpoint::Pod(to), l4, via_service: false })
        .verdict
}

fn worlds() -> impl Iterator<Item = (u64, World)> {
    (0..120).filter_map(|seed| {
        let (mut world, _) = random::world(&mut Rng::new(seed), &Size::default());
        // Policies that are not evaluated make everything depend, and are told apart by whoever shows the list.
        world.foreign_policies.clear();
        (!world.pods.is_empty()).then_some((seed, world))
    })
}

/// Every port that is told is open to such a pod when it is really there.
#[test]
fn what_is_told_is_so() {
    let mut checked = 0;
    for (seed, world) in worlds() {
        for e in exposure(&world) {
            let none = Labels::default();
            let (copy, ids, new) = match &e.future {
                Future::Anyone => added(&world, Err(&none), &none),
                Future::In(ns) => added(&world, Ok(*ns), &none),
                Future::Labelled(ns, labels) => added(&world, Ok(*ns), labels),
                Future::Elsewhere(home, labels) => added(&world, Err(home), labels),
            };
            for pod in pods_of(&world, &e.party) {
                for port in PORTS {
                    let found = verdict(&copy, new, ids[pod.index()], e.direction, port);
                    if e.ports.sure.contains(Protocol::Tcp, port) {
                        assert_eq!(found, Verdict::Allow, "seed {seed} port {port}: {e:?}");
                        checked += 1;
                    }
                }
            }
        }
    }
    assert!(checked > 1_000, "{checked}");
}

fn covers(world: &World, future: &Future, home: Option<NamespaceId>, home_labels: &Labels, labels: &Labels) -> bool {
    let part = |some: &Labels, all: &Labels| some.iter().all(|(k, v)| all.get(k) == Some(v));
    let _ = world;
    match future {
        Future::Anyone => true,
        Future::In(ns) => home == Some(*ns),
        Future::Labelled(ns, l) => home == Some(*ns) && part(l, labels),
        Future::Elsewhere(h, l) => part(h, home_labels) && part(l, labels),
    }
}

/// Where NetworkPolicies alone decide and select by equality, nobody who is let in is missing from the list.
#[test]
fn nobody_who_is_let_in_is_missing() {
    let plain = |s: &Option<Selector>| s.as_ref().is_none_or(|s| s.requirements.iter().all(|r| r.from_labels));
    let mut checked = 0;
    for (seed, mut world) in worlds() {
        world.cluster_policies.clear();
        let simple = world.policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)).all(|r| match &r.peers {
            watertight_model::Peers::Any(_) => true,
            watertight_model::Peers::Of(peers) => peers.iter().all(|p| match &p.kind {
                watertight_model::PeerKind::Pods { namespaces, pods } => plain(namespaces) && plain(pods),
                watertight_model::PeerKind::Block(_) => false,
            }),
        });
        if !simple {
            continue;
        }
        let list = exposure(&world);
        // Labels that occur on pods and in selectors, and none.
        let mut vocabulary: Vec<Labels> = world.pods.iter().map(|p| p.labels.clone()).collect();
        vocabulary.push(Labels::default());
        for labels in &vocabulary {
            for ns in 0..=world.namespaces.len() {
                let none = Labels::default();
                let home = (ns < world.namespaces.len()).then(|| NamespaceId::at(ns));
                let (copy, ids, new) = added(&world, home.ok_or(&none), labels);
                let home_labels = &copy.namespaces[copy.pods[new.index()].namespace.index()].labels;
                for (i, real) in world.pods.iter().enumerate().filter(|(_, p)| !p.finished) {
                    let id = PodId::at(i);
                    let told = |e: &&Exposed| {
                        pods_of(&world, &e.party).contains(&id) && covers(&world, &e.future, home, home_labels, labels)
                    };
                    for (direction, port) in [(Direction::Ingress, 80), (Direction::Egress, 443)] {
                        if verdict(&copy, new, ids[i], direction, port) == Verdict::Allow {
                            let mut entries = list.iter().filter(told).filter(|e| e.direction == direction);
                            let found = entries.any(|e| e.ports.possible.contains(Protocol::Tcp, port));
                            assert!(found, "seed {seed}: {} {direction:?} {port} {labels:?} {home:?}", real.name);
                            checked += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn a_label_that_anyone_may_put_on_a_pod_is_an_exposure() {
    let world = WorldBuilder::new()
        .namespace("shop", &[])
        .namespace("dev", &[])
        .pod("shop/db", &[("app", "db")])
        .policy(policy("shop/db").select(&[("app", "db")]).ingress(rule().pods(&[("app", "api")]).tcp(5432)))
        .build();
    let list = exposure(&world);
    let ingress: Vec<&Exposed> = list.iter().filter(|e| e.direction == Direction::Ingress).collect();
    let shop = world.namespace("shop").unwrap();
    assert_eq!(ingress.len(), 1, "{ingress:?}");
    assert_eq!(ingress[0].future, Future::Labelled(shop, Labels::of(&[("app", "api")])));
    assert!(ingress[0].ports.sure.contains(Protocol::Tcp, 5432) && !ingress[0].ports.sure.contains(Protocol::Tcp, 80));
    let rule = RuleRef { policy: PolicyRef::Namespaced(0), direction: Direction::Ingress, rule: Some(0) };
    assert_eq!((ingress[0].decided_by.as_slice(), ingress[0].by_default), ([rule].as_slice(), false));
    // Not isolated for egress: open to anyone, said once.
    let egress: Vec<&Exposed> = list.iter().filter(|e| e.direction == Direction::Egress).collect();
    assert_eq!(egress.iter().map(|e| &e.future).collect::<Vec<_>>(), [&Future::Anyone]);
    assert!(egress[0].ports.sure.is_all() && egress[0].decided_by.is_empty() && egress[0].by_default);
}
