//! A world kept current is the world computed anew: after every edit, every observable answer is compared.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::classes::ClassId;
use watertight_engine::connections::{Detail, connections};
use watertight_engine::live::{Live, Update};
use watertight_engine::reach::{PortPair, Reach};
use watertight_model::{ContainerKind, Direction, NamespaceId, PodId, PortSet, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::edits::{edit, is_orderly};
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{policy, rule};
use watertight_testkit::synthetic::{self, Scale};

/// Groups in order, with the classes of each.
fn rows(reach: &Reach, classes: usize) -> Vec<Vec<(PortPair, Vec<ClassId>)>> {
    let row = |to| reach.sources(to).map(|(ports, from)| (ports.clone(), from.iter().collect())).collect();
    (0..classes).map(|i| row(class(i))).collect()
}

fn class(i: usize) -> ClassId {
    ClassId(u32::try_from(i).unwrap())
}

/// Classes, their policies and all reachability equal a fresh computation, in numbers and order too.
fn assert_current(live: &Live, said: &str) {
    let fresh = Engine::new(live.world());
    let reach = Reach::of(&fresh);
    let engine = live.engine();
    let (kept, new) = (engine.classes(), fresh.classes());
    assert_eq!(kept.len(), new.len(), "{said}");
    for c in (0..new.len()).map(class) {
        assert_eq!(kept.members(c), new.members(c), "{said}");
    }
    for pod in (0..live.world().pods.len()).map(PodId::at) {
        assert_eq!(kept.class_of(pod), new.class_of(pod), "{said}");
        assert_eq!(kept.cluster_policies_of(pod), new.cluster_policies_of(pod), "{said}");
        for direction in Direction::BOTH {
            assert_eq!(kept.policies_of(pod, direction), new.policies_of(pod, direction), "{said}");
        }
    }
    assert_eq!(rows(live.reach(), new.len()), rows(&reach, new.len()), "{said}");
}

/// Ports between the pods of a world, by their names; pods without a class are left out.
type Named = BTreeMap<(String, String), PortPair>;

fn by_name(world: &World, engine: &Engine<'_>, reach: &Reach) -> Named {
    let mut out = BTreeMap::new();
    let pods = || (0..world.pods.len()).map(PodId::at);
    for from in pods() {
        for to in pods() {
            if let (Some(a), Some(b)) = (engine.classes().class_of(from), engine.classes().class_of(to)) {
                out.insert((world.pod_name(from), world.pod_name(to)), reach.ports(a, b).clone());
            }
        }
    }
    out
}

/// What an update reports is true, and nothing that changed is missing from it: between pods that were not moved to
/// another class, ports differ exactly where a change says so.
fn assert_reported(before: &Named, live: &Live, update: &Update, said: &str) -> usize {
    let engine = live.engine();
    let after = by_name(live.world(), &engine, live.reach());
    let mut told = BTreeMap::new();
    for change in &update.changes {
        assert_ne!(change.before, change.after, "{said}");
        assert!(change.from.is_sorted() && !change.from.is_empty(), "{said}");
        for from in &change.from {
            let again = told.insert((*from, change.to), (&change.before, &change.after));
            assert!(again.is_none(), "{said}: told twice");
            assert_eq!(live.reach().ports(*from, change.to), &change.after, "{said}");
        }
    }
    let mut seen = 0;
    let world = live.world();
    let ids = |name: &str| {
        let (namespace, pod) = name.split_once('/').unwrap();
        engine.classes().class_of(world.pod(world.namespace(namespace).unwrap(), pod).unwrap()).unwrap()
    };
    for ((from, to), now) in &after {
        let Some(was) = before.get(&(from.clone(), to.clone())) else { continue };
        let pair = (ids(from), ids(to));
        if update.fresh.contains(&pair.0) || update.fresh.contains(&pair.1) || update.gone > 0 {
            continue;
        }
        seen += 1;
        match told.get(&pair) {
            Some((b, a)) => assert_eq!((*b, *a), (was, now), "{said}: {from} {to}"),
            None => assert_eq!(was, now, "{said}: {from} {to} changed untold"),
        }
    }
    seen
}

#[test]
fn after_every_edit_everything_is_as_computed_anew() {
    let (mut edits, mut compared, mut changes, mut verdicts) = (0, 0, 0, 0);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..120 {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &Size::default());
        let mut live = Live::new(world);
        for step in 0..25 {
            let (donor, _) = random::world(&mut Rng::new(seed * 1000 + step), &Size::default());
            let mut next = live.world().clone();
            let done = edit(&mut rng, &mut next, &donor);
            assert!(is_orderly(&next), "seed {seed} step {step}: {done}");
            let said = format!("seed {seed} step {step}: {done}");
            let before = by_name(live.world(), &live.engine(), live.reach());
            let update = live.update(next);
            assert_current(&live, &said);
            compared += assert_reported(&before, &live, &update, &said);
            changes += update.changes.len();
            let (engine, fresh) = (live.engine(), Engine::new(live.world()));
            if !live.world().pods.is_empty() {
                for _ in 0..10 {
                    let flow = random::flow(&mut rng, live.world(), &mood);
                    assert_eq!(engine.decide(&flow), fresh.decide(&flow), "{said} {flow:?}");
                    verdicts += 1;
                }
            }
            assert_eq!(connections(&engine, Detail::Pods), connections(&fresh, Detail::Pods), "{said}");
            edits += usize::from(done != "nothing");
            *kinds.entry(done).or_default() += 1;
        }
    }
    assert!(
        edits > 2_500 && compared > 100_000 && changes > 2_000 && verdicts > 20_000,
        "{edits} {compared} {changes}"
    );
    assert!(kinds.len() >= 18 && kinds.values().all(|n| *n > 10), "{kinds:?}");
}

/// From one world to one that has nothing to do with it, and back.
#[test]
fn any_world_may_follow_any_other() {
    let mut live = Live::new(World::default());
    for seed in 0..300 {
        let size = Size { pods: 3 + 5 * usize::try_from(seed % 5).unwrap(), ..Size::default() };
        let (next, _) = random::world(&mut Rng::new(seed), &size);
        live.update(next);
        assert_current(&live, &format!("seed {seed}"));
    }
    live.update(World::default());
    assert_current(&live, "the empty world");
}

fn team(live: &Live, namespace: usize, team: &str) -> World {
    let mut next = live.world().clone();
    next.namespaces[namespace].labels = next.namespaces[namespace].labels.with("team", team);
    next
}

/// At a size at which rows are patched, renamed and joined in pieces; what is not touched is not computed.
#[test]
fn an_edit_of_a_large_world_touches_what_it_touches() {
    let scale = Scale { pods: 3000, replicas: 3, policies: 1000, namespaces: 40 };
    let mut live = Live::new(synthetic::world(scale));
    type Edit = fn(&Live) -> World;
    let edits: [(&str, Edit); 8] = [
        ("one policy gone", |live| {
            let mut next = live.world().clone();
            next.policies.remove(500);
            next
        }),
        ("a replica gone", |live| {
            let mut next = live.world().clone();
            next.pods.remove(0);
            next
        }),
        ("an application gone", |live| {
            let mut next = live.world().clone();
            let workload = next.pods[700].workload;
            next.pods.retain(|p| p.workload != workload);
            next
        }),
        ("an application of another kind", |live| {
            let mut next = live.world().clone();
            next.pods[100].labels = next.pods[100].labels.with("app", "stranger");
            next
        }),
        ("a namespace of another team", |live| team(live, 7, "t11")),
        ("a policy with a label that none named before", |live| {
            let mut next = live.world().clone();
            next.policies[3].subject = watertight_model::Selector::of(&[("pod-template-hash", "x")]);
            next
        }),
        ("no ingress rules at all", |live| {
            let mut next = live.world().clone();
            next.policies.iter_mut().for_each(|p| p.isolates_ingress = false);
            next
        }),
        ("nothing", |live| live.world().clone()),
    ];
    let mut work = BTreeMap::new();
    for (said, next) in edits {
        let next = next(&live);
        let update = live.update(next);
        assert_current(&live, said);
        work.insert(said, (update.rows, update.whole, update.changes.is_empty()));
    }
    assert_eq!(work["nothing"], (0, false, true));
    assert_eq!(work["a replica gone"], (0, false, true), "its siblings are still of the class");
    assert!(work["one policy gone"].0 < 20 && !work["one policy gone"].1, "{work:?}");
    assert!(work["an application of another kind"].0 < 400 && !work["an application of another kind"].1, "{work:?}");
    assert!(work["no ingress rules at all"].1, "{work:?}");
}

#[test]
fn a_change_is_told_with_its_ports() {
    let world = WorldBuilder::new()
        .namespace("shop", &[])
        .pod("shop/api", &[("app", "api")])
        .pod("shop/db", &[("app", "db")])
        .pod("shop/web", &[("app", "web")])
        .policy(policy("shop/db-in").select(&[("app", "db")]).ingress(rule().pods(&[("app", "api")]).tcp(5432)))
        .policy(policy("shop/web-in").select(&[("app", "web")]).ingress(rule().pods(&[("app", "api")]).tcp(80)))
        .build();
    let mut live = Live::new(world);
    let mut next = live.world().clone();
    next.policies.remove(0);
    let update = live.update(next);
    let engine = live.engine();
    let of = |name: &str| engine.classes().class_of(live.world().pod(NamespaceId(0), name).unwrap()).unwrap();
    let told: Vec<_> = update.changes.iter().flat_map(|c| c.from.iter().map(move |from| (*from, c.to))).collect();
    // Towards the database all ports open; to the others nothing changes. (A class is told with itself: replicas may come.)
    assert!(told.contains(&(of("api"), of("db"))) && told.contains(&(of("web"), of("db"))), "{update:?}");
    assert!(told.iter().all(|(_, to)| *to == of("db")), "{update:?}");
    for change in &update.changes {
        assert_eq!(change.after, PortPair { sure: PortSet::all(), possible: PortSet::all() });
        assert!(!change.before.possible.is_all());
    }
}

/// Two pods that differ only in the kind of container that declares a named port do not share a row: a rule that allows
/// never means the port of an init container (semantics row 60).
#[test]
fn rows_tell_the_kind_of_container_of_a_named_port() {
    let world = WorldBuilder::new()
        .namespace("shop", &[])
        .pod("shop/a", &[("app", "db")])
        .pod("shop/b", &[("app", "db")])
        .pod("shop/web", &[("app", "web")])
        .policy(
            policy("shop/db-in")
                .select(&[("app", "db")])
                .ingress(rule().pods(&[("app", "web")]).named(watertight_model::Protocol::Tcp, "pg")),
        )
        .build();
    let mut world = world;
    for (pod, container) in [(0, ContainerKind::Regular), (1, ContainerKind::Init)] {
        world.pods[pod].ports = vec![watertight_model::ContainerPort {
            name: Some("pg".into()),
            port: 5432,
            protocol: watertight_model::Protocol::Tcp,
            host_port: None,
            container,
        }];
    }
    let engine = Engine::new(&world);
    let reach = Reach::of(&engine);
    let ports = |to: usize| {
        let class = |i| engine.classes().class_of(PodId::at(i)).unwrap();
        reach.ports(class(2), class(to)).sure.clone()
    };
    assert!(ports(0).contains(watertight_model::Protocol::Tcp, 5432));
    assert!(ports(1).is_empty(), "{:?}", ports(1));
}
