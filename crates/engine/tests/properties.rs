//! Properties of the engine: metamorphic ones, all small policies, explanations and blast radius.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::Engine;
use watertight_engine::blast::{BlastOptions, blast, rank};
use watertight_engine::explain::{Extract, RuleSays, explain};
use watertight_model::{Endpoint, Flow, L4, PodId, PolicyRef, Protocol, Reason, Verdict, WorkloadId, World};
use watertight_testkit::compare::Judge;
use watertight_testkit::metamorphic::{self, Property};
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{policy, rule};
use watertight_testkit::{WorldBuilder, small};

fn engine(world: &World) -> Judge<'_> {
    let engine = Engine::new(world);
    Box::new(move |flow| engine.decide(flow))
}

#[test]
fn metamorphic_properties_hold() {
    if let Err(broken) = metamorphic::check(&Property::ALL, 0..400, 60, engine) {
        panic!("{broken}");
    }
}

#[test]
fn every_small_policy() {
    match small::enumerate(7, engine) {
        Ok(done) => assert!(done.verdicts > 100_000, "{} verdicts", done.verdicts),
        Err(mismatch) => panic!("{mismatch}"),
    }
}

/// An explanation's steps agree with its verdict, its extract decides alike, and its changes open the flow.
#[test]
fn explanations_hold_what_they_say() {
    let (mut denied, mut changed, mut near) = (0, 0, 0);
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &Size::default());
        let engine = Engine::new(&world);
        for _ in 0..40 {
            let flow = random::flow(&mut rng, &world, &mood);
            let explanation = explain(&engine, &flow);
            let extract = Extract::of(&engine, &flow);
            let small = Engine::new(&extract.world).decide(&extract.flow);
            assert_eq!(small.verdict, explanation.verdict.verdict, "seed {seed} {flow:?}");
            assert_eq!(small.egress.reason, explanation.verdict.egress.reason);
            assert_eq!(small.ingress.reason, explanation.verdict.ingress.reason);
            for half in [&explanation.verdict.egress, &explanation.verdict.ingress] {
                if half.reason == Reason::PolicyAllow && half.verdict == Verdict::Allow {
                    for cited in &half.decided_by {
                        let says = explanation.steps.iter().flat_map(|s| &s.rules).find(|(r, _)| r == cited);
                        assert_eq!(says.map(|(_, s)| s), Some(&RuleSays::Matches), "seed {seed} {flow:?} {cited:?}");
                    }
                }
            }
            if explanation.verdict.verdict == Verdict::Deny {
                denied += 1;
                changed += usize::from(!explanation.changes.is_empty());
                near += usize::from(!explanation.near_misses.is_empty());
            } else {
                assert!(explanation.changes.is_empty());
            }
        }
    }
    assert!(denied > 1_000 && changed > denied / 4 && near > denied / 8, "{denied} {changed} {near}");
}

fn shop() -> World {
    WorldBuilder::new()
        .namespace("shop", &[])
        .pod("shop/web", &[("app", "web")])
        .pod("shop/api", &[("app", "api")])
        .pod("shop/db", &[("app", "db")])
        .pod("shop/idle", &[("app", "idle")])
        .policy(policy("shop/api-in").select(&[("app", "api")]).ingress(rule().pods(&[("app", "web")]).tcp(8080)))
        .policy(policy("shop/db-in").select(&[("app", "db")]).ingress(rule().pods(&[("app", "api")]).tcp(5432)))
        .policy(policy("shop/idle-in").select(&[("app", "idle")]))
        .build()
}

fn ask(world: &World, from: &str, to: &str, port: u16) -> Flow {
    let pod = |name: &str| Endpoint::Pod(world.pod(world.namespace("shop").unwrap(), name).unwrap());
    Flow { from: pod(from), to: pod(to), l4: L4::Port(Protocol::Tcp, port), via_service: false }
}

#[test]
fn a_denial_names_its_near_miss_and_the_change_that_opens_it() {
    let world = shop();
    let engine = Engine::new(&world);
    let explanation = explain(&engine, &ask(&world, "web", "api", 9090));
    assert_eq!(explanation.verdict.ingress.reason, Reason::PolicyDeny);
    assert_eq!(
        explanation.near_misses[0].sentence,
        "`shop/api-in` ingress rule 0 admits this peer, but only on TCP 8080"
    );
    let change = &explanation.changes[0];
    assert_eq!(change.edit, Some(PolicyRef::Namespaced(0)));
    assert_eq!(
        change.yaml,
        "- from:\n  - podSelector:\n      matchLabels:\n        app: web\n  ports:\n  - protocol: TCP\n    port: 9090\n"
    );
    let other_peer = explain(&engine, &ask(&world, "idle", "api", 8080));
    assert_eq!(
        other_peer.near_misses[0].sentence,
        "`shop/api-in` ingress rule 0 admits this port, but only for pods with app=web of namespace shop: the namespace matches, the pod's labels do not"
    );
    let allowed = explain(&engine, &ask(&world, "web", "api", 8080));
    assert!(allowed.near_misses.is_empty() && allowed.changes.is_empty());
}

/// S23: hops with the rule that permits each; removing the over-permission shortens the path.
#[test]
fn blast_follows_rules_hop_by_hop() {
    let world = shop();
    let engine = Engine::new(&world);
    let of = |world: &World, name: &str| world.workloads_named(world.namespace("shop").unwrap(), name)[0];
    let radius = blast(&engine, of(&world, "web"), BlastOptions::default());
    let found: Vec<(String, u32)> =
        radius.reachable.iter().map(|r| (world.workload_name(r.workload), r.hops)).collect();
    assert_eq!(found, [("shop/api".to_owned(), 1), ("shop/db".to_owned(), 2)]);
    let path = &radius.reachable[1].path;
    assert_eq!(path.len(), 2);
    assert_eq!(world.policy_name(path[0].by[0].policy), "shop/api-in");
    assert_eq!(world.policy_name(path[1].by[0].policy), "shop/db-in");
    assert!((radius.share - 2.0 / 3.0).abs() < 1e-9);
    let one = blast(&engine, of(&world, "web"), BlastOptions { max_hops: Some(1), ..BlastOptions::default() });
    assert_eq!(one.reachable.len(), 1);
}

/// The ranking counts what walking from each workload finds, on random worlds and every option.
#[test]
fn rank_agrees_with_walking_from_each() {
    let mut reached = BTreeSet::new();
    for seed in 0..250 {
        let mut rng = Rng::new(seed);
        let (world, _) = random::world(&mut rng, &Size::default());
        let engine = Engine::new(&world);
        for node in [false, true] {
            for depends in [false, true] {
                let options = BlastOptions {
                    assume_node_compromise: node,
                    depends_as_allowed: depends,
                    ..BlastOptions::default()
                };
                let ranks: BTreeMap<WorkloadId, usize> =
                    rank(&engine, options).into_iter().map(|r| (r.workload, r.reachable)).collect();
                for (workload, count) in &ranks {
                    let walked = blast(&engine, *workload, options);
                    assert_eq!(
                        walked.reachable.len(),
                        *count,
                        "seed {seed} {} {options:?}",
                        world.workload_name(*workload)
                    );
                    reached.insert(*count);
                    for r in &walked.reachable {
                        assert_eq!(r.path.len(), r.hops as usize);
                        assert_eq!(r.path.first().map(|h| h.from), Some(*workload));
                        assert_eq!(r.path.last().map(|h| h.to), Some(r.workload));
                        assert!(r.path.iter().all(|h| !h.ports.is_empty()));
                    }
                }
            }
        }
    }
    assert!(reached.len() > 5, "{reached:?}");
}

/// Pods of one workload that differ are split, and only then.
#[test]
fn connections_split_workloads_whose_pods_differ() {
    use watertight_engine::connections::{Detail, Party, connections};
    use watertight_model::WorkloadKind;
    let build = |label: &str| {
        WorldBuilder::new()
            .namespace("shop", &[])
            .pod("shop/web-1", &[("app", "web"), ("role", "client")])
            .owned_by(WorkloadKind::Deployment, "web")
            .pod("shop/web-2", &[("app", "web"), ("role", label)])
            .owned_by(WorkloadKind::Deployment, "web")
            .pod("shop/db", &[("app", "db")])
            .policy(policy("shop/db-in").select(&[("app", "db")]).ingress(rule().pods(&[("role", "client")]).tcp(5432)))
            .build()
    };
    let parts = |world: &World| -> BTreeSet<Option<Vec<PodId>>> {
        let list = connections(&Engine::new(world), Detail::Workloads);
        let web = list.into_iter().flat_map(|c| [c.from, c.to]).filter_map(|p| match p {
            Party::Workload { workload, part } if world.workload_name(workload) == "shop/web" => Some(part),
            _ => None,
        });
        web.collect()
    };
    assert_eq!(parts(&build("client")), BTreeSet::from([None]));
    assert_eq!(parts(&build("other")).len(), 2);
    let world = build("other");
    assert!(parts(&world).iter().all(|p| p.as_ref().is_some_and(|pods| pods.len() == 1)));
}

/// Two pods whose class keys would be equal if parts of the key had no fixed place: one with an address in the first
/// elementary range, one hostNetwork on the first node.
#[test]
fn class_keys_are_injective() {
    use watertight_testkit::rules::{accept, admin};
    let everyone = watertight_model::Selector::everything;
    let world = WorldBuilder::new()
        .namespace("shop", &[])
        .node("node-0", &[], &[])
        .pod("shop/a", &[])
        .on("node-0")
        .host_network()
        .pod("shop/b", &[])
        .ip("10.0.0.1")
        .cluster_policy(admin("a", 1).subject(everyone(), everyone()).egress(accept().networks(&["203.0.113.0/24"])))
        .build();
    let engine = Engine::new(&world);
    let pod = |name: &str| world.pod(world.namespace("shop").unwrap(), name).unwrap();
    assert_ne!(engine.classes().class_of(pod("a")), engine.classes().class_of(pod("b")));
    assert_eq!(engine.classes().cluster_policies_of(pod("b")).len(), 1);
    assert_eq!(engine.classes().cluster_policies_of(pod("a")).len(), 0);
}
