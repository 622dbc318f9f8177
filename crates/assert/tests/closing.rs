//! Edits that close an allowed flow: made in the whole world, and judged by the oracle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use watertight_assert::{Edit, closing};
use watertight_engine::Engine;
use watertight_model::{Direction, Endpoint, Flow, L4, Peers, PodId, PolicyRef, Protocol, Selector, Verdict, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{policy, rule};

/// The whole world after these edits.
fn edited(world: &World, edits: &[Edit]) -> World {
    let mut out = world.clone();
    for edit in edits {
        match edit {
            Edit::Narrow(rules) => {
                for r in rules {
                    let (at, egress) = (r.rule.unwrap() as usize, r.direction == Direction::Egress);
                    match r.policy {
                        PolicyRef::Namespaced(i) => {
                            let policy = &mut out.policies[i as usize];
                            let rules = if egress { &mut policy.egress } else { &mut policy.ingress };
                            rules[at].peers = Peers::Of(Vec::new());
                        }
                        PolicyRef::Cluster(i) => {
                            let policy = &mut out.cluster_policies[i as usize];
                            let rules = if egress { &mut policy.egress } else { &mut policy.ingress };
                            rules[at].peers.clear();
                        }
                    }
                }
            }
            Edit::Isolate(direction, pod) => {
                let pod = &out.pods[pod.index()];
                let mut more =
                    WorldBuilder::new().namespace("x", &[]).policy(policy("x/new")).build().policies.remove(0);
                more.namespace = pod.namespace;
                let labels: Vec<(&str, &str)> = pod.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
                more.subject = Selector::of(&labels);
                more.isolates_ingress = *direction == Direction::Ingress;
                more.isolates_egress = *direction == Direction::Egress;
                (more.ingress, more.egress) = (Vec::new(), Vec::new());
                out.policies.push(more);
            }
        }
    }
    out
}

#[test]
fn the_oracle_denies_every_flow_after_its_edits() {
    let (mut closed, mut several, mut open) = (0, 0, 0);
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &Size::default());
        let engine = Engine::new(&world);
        for _ in 0..40 {
            let flow = random::flow(&mut rng, &world, &mood);
            if engine.decide(&flow).verdict != Verdict::Allow {
                continue;
            }
            match closing(&engine, &flow) {
                Some(edits) => {
                    let after = watertight_oracle::decide(&edited(&world, &edits), &flow);
                    assert_eq!(after.verdict, Verdict::Deny, "seed {seed}: {flow:?} {edits:?}");
                    closed += 1;
                    several += usize::from(edits.len() > 1);
                }
                None => open += 1,
            }
        }
    }
    assert!(closed > 100 && several > 0 && open > 0, "{closed} {several} {open}");
}

fn flow(world: &World, from: &str, to: &str) -> Flow {
    let pod = |name: &str| {
        let at = (0..world.pods.len()).map(PodId::at).find(|p| world.pod_name(*p) == name);
        Endpoint::Pod(at.unwrap())
    };
    Flow { from: pod(from), to: pod(to), l4: L4::Port(Protocol::Tcp, 80), via_service: false }
}

fn sentences(world: &World, flow: &Flow) -> Option<Vec<String>> {
    let engine = Engine::new(world);
    closing(&engine, flow).map(|edits| edits.iter().map(|e| e.words(&engine)).collect())
}

#[test]
fn the_side_with_a_rule_comes_first_and_all_rules_that_admit_are_named() {
    let base = || WorldBuilder::new().namespace("a", &[]).pod("a/x", &[("app", "x")]).pod("a/y", &[("app", "y")]);
    let open = base().build();
    let said = sentences(&open, &flow(&open, "a/x", "a/y")).unwrap();
    assert_eq!(said, ["add a policy that selects a/y for ingress and does not admit it"]);

    let ingress =
        base().policy(policy("a/in").select(&[("app", "y")]).ingress(rule().pods(&[])).ingress(rule().tcp(80))).build();
    let said = sentences(&ingress, &flow(&ingress, "a/x", "a/y")).unwrap();
    assert_eq!(said, ["narrow a/in rule 0, a/in rule 1 so that ingress is not admitted"]);

    let egress = base().policy(policy("a/out").select(&[("app", "x")]).egress(rule().tcp(80))).build();
    let said = sentences(&egress, &flow(&egress, "a/x", "a/y")).unwrap();
    assert_eq!(said, ["narrow a/out rule 0 so that egress is not admitted"]);
    // A pod and its own address: nothing blocks that.
    let own = flow(&open, "a/x", "a/x");
    assert_eq!(sentences(&open, &own), None);
}
