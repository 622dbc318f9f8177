//! The shortcut over all of reachability, against asking about every pair.

use super::ends::{Masks, ends};
use super::flows::Asker;
use super::{Status, judge_with};
use crate::file::{Assertions, Mode, Ports};
use crate::members::Members;
use crate::parse;
use watertight_engine::Engine;
use watertight_ingest::Limits;
use watertight_model::{PodId, PortSet, Protocol, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{policy, rule};

fn parsed(list: &str) -> Assertions {
    let text = format!("apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n{list}");
    parse(&[("a.yaml".to_owned(), text.into_bytes())], &Limits::default())
        .unwrap_or_else(|r| unreachable!("{:#?}", r.diagnostics))
}

/// Assertions of every mode over all pods, one namespace, one pod and the outside, with ports and without, with exceptions.
fn assertions(world: &World) -> Assertions {
    let pod = world.pods.iter().position(|p| !p.finished).map(PodId::at).unwrap();
    let namespace = &world.namespaces[world.pods[pod.index()].namespace.index()].name;
    let one =
        format!("{{ip: {}}}", world.pods[pod.index()].ips.first().map_or("192.0.2.1".to_owned(), |ip| ip.to_string()));
    let ends = ["pods", &format!("{{namespace: {namespace}}}"), &one, "outside"].map(str::to_owned);
    let mut list = String::new();
    for from in &ends {
        for to in &ends {
            for mode in ["must", "mustNot", "may"] {
                for ports in
                    ["ports: [80]", "ports: [80, 5432, 53/UDP]", "ports: [8000-9000, ICMP]", "except: [{ports: [80]}]"]
                {
                    if mode == "must" && !ports.starts_with("ports") {
                        continue;
                    }
                    list += &format!("- {{from: {from}, to: {to}, {ports}, reach: {mode}}}\n");
                }
            }
        }
    }
    parsed(&list)
}

#[test]
fn both_ways_give_the_same_outcomes() {
    let (mut held, mut broken) = (0, 0);
    for seed in 0..60 {
        let (mut world, _) = random::world(&mut Rng::new(seed), &Size::default());
        if seed % 4 != 0 {
            world.foreign_policies.clear();
        }
        if world.pods.iter().all(|p| p.finished) {
            continue;
        }
        let engine = Engine::new(&world);
        let assertions = assertions(&world);
        let asked = judge_with(&engine, &assertions, usize::MAX);
        let short = judge_with(&engine, &assertions, 0);
        for ((assertion, a), b) in assertions.list.iter().zip(&asked).zip(&short) {
            assert_eq!(a, b, "seed {seed}: {assertion:?}");
            match a.status {
                Status::Holds if a.pairs > 0 => held += 1,
                Status::Holds => {}
                Status::Fails(_) => broken += 1,
            }
        }
    }
    assert!(held > 100 && broken > 100, "{held} {broken}");
}

/// What the comparison above would not notice: that the shortcut is taken at all, and only past the bound.
#[test]
fn the_shortcut_is_taken_past_the_bound_and_settles_what_holds() {
    let build = || {
        WorldBuilder::new()
            .namespace("shop", &[])
            .pod("shop/db", &[("app", "db")])
            .pod("shop/web", &[("app", "web")])
            .policy(policy("shop/db").select(&[("app", "db")]).ingress(rule().pods(&[("app", "web")]).tcp(5432)))
    };
    let world = build().build();
    let engine = Engine::new(&world);
    let side = |i: usize| {
        let members = Members { pods: [PodId::at(i)].into(), ..Members::default() };
        ends(&engine, &members, &Masks(Vec::new()), false).remove(0)
    };
    let (db, web) = (side(0), side(1));
    let ports = |port| Ports { set: PortSet::range(Protocol::Tcp, port, port), other: false };
    let settled = |asker: &Asker<'_, '_>, port, mode| asker.is_settled(&web, &db, &ports(port), mode);
    let mut asker = Asker::new(&engine, 4);
    asker.prepare(4);
    assert!(!settled(&asker, 5432, Mode::Must), "at the bound nothing is prepared");
    asker.prepare(5);
    for (port, mode, wanted) in [
        (5432, Mode::Must, true),
        (5433, Mode::Must, false),
        (5433, Mode::MustNot, true),
        (5432, Mode::MustNot, false),
        (5433, Mode::May, true),
    ] {
        assert_eq!(settled(&asker, port, mode), wanted, "{port} {mode:?}");
    }
    let other = Ports { other: true, ..ports(5433) };
    assert!(!asker.is_settled(&web, &db, &other, Mode::MustNot), "reachability knows ports only");
}

#[test]
fn policies_that_are_not_evaluated_rule_the_shortcut_out() {
    let seeds = (0..200).map(|seed| random::world(&mut Rng::new(seed), &Size::default()).0);
    let world = seeds
        .into_iter()
        .find(|w| !w.foreign_policies.is_empty() && w.pods.iter().filter(|p| !p.finished).count() > 1)
        .unwrap();
    let engine = Engine::new(&world);
    let alive = (0..world.pods.len()).map(PodId::at).filter(|p| !world.pods[p.index()].finished);
    let members = Members { pods: alive.collect(), ..Members::default() };
    let all = ends(&engine, &members, &Masks(Vec::new()), false);
    let mut asker = Asker::new(&engine, 0);
    asker.prepare(usize::MAX);
    let port = Ports { set: PortSet::range(Protocol::Tcp, 80, 80), other: false };
    assert!(all.iter().all(|a| all.iter().all(|b| !asker.is_settled(a, b, &port, Mode::May))));
}
