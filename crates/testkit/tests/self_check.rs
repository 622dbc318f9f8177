//! The reusable judges on the oracle itself, and on wrong copies of it: they must pass the one and find the others.

use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{Direction, Flow, PodId, PolicyRef, Reason, RuleRef, Verdict, World};
use watertight_oracle::decide;
use watertight_testkit::compare::Judge;
use watertight_testkit::metamorphic::{Property, check};
use watertight_testkit::small;

fn oracle(world: &World) -> Judge<'_> {
    Box::new(|flow| decide(world, flow))
}

#[test]
fn the_oracle_has_every_property() {
    let checks = check(&Property::ALL, 0..1500, 40, oracle).map_err(|broken| broken.to_string()).unwrap();
    println!("{checks:?}");
    for (property, floor) in
        [(Property::Order, 50_000), (Property::More, 40_000), (Property::Cited, 20_000), (Property::Labels, 10_000)]
    {
        assert!(checks[&property] >= floor, "{property:?}: only {} checks", checks[&property]);
    }
}

fn holds(property: Property, candidate: impl for<'w> Fn(&'w World) -> Judge<'w>) -> bool {
    check(&[property], 0..500, 40, candidate).is_ok()
}

#[test]
fn each_property_finds_a_candidate_that_breaks_it() {
    // The pod of the lowest number is special.
    let by_order = holds(Property::Order, |world| {
        Box::new(|flow: &Flow| {
            let mut answer = decide(world, flow);
            if flow.to == watertight_model::Endpoint::Pod(PodId(0)) && answer.verdict == Verdict::Allow {
                answer.verdict = Verdict::Deny;
            }
            answer
        })
    });
    assert!(!by_order);

    // Rules intersect instead of adding up: with two, nothing is admitted.
    let by_more = holds(Property::More, |world| {
        let mut wrong = world.clone();
        for policy in &mut wrong.policies {
            for rules in [&mut policy.ingress, &mut policy.egress] {
                if rules.len() > 1 {
                    rules.clear();
                }
            }
        }
        Box::new(move |flow: &Flow| decide(&wrong, flow))
    });
    assert!(!by_more);

    // Names one of the rules that admit, as if it were the only one.
    let by_cited = holds(Property::Cited, |world| {
        Box::new(|flow: &Flow| {
            let mut answer = decide(world, flow);
            if answer.ingress.reason == Reason::PolicyAllow {
                answer.ingress.decided_by.truncate(1);
            }
            answer
        })
    });
    assert!(!by_cited);

    // Names the first rule that there is.
    let by_other_rule = holds(Property::Cited, |world| {
        Box::new(|flow: &Flow| {
            let mut answer = decide(world, flow);
            if answer.egress.reason == Reason::AdminAccept {
                answer.egress.decided_by.clear();
                answer.egress.decided_by.extend(world.cluster_policies.iter().enumerate().find_map(|(i, p)| {
                    let policy = PolicyRef::Cluster(u32::try_from(i).unwrap());
                    (!p.egress.is_empty()).then_some(RuleRef { policy, direction: Direction::Egress, rule: Some(0) })
                }));
            }
            answer
        })
    });
    assert!(!by_other_rule);

    // Takes a pod's label for its namespace's.
    let by_labels = holds(Property::Labels, |world| {
        let mut wrong = world.clone();
        for pod in &world.pods {
            if let Some(name) = pod.labels.get(NAMESPACE_NAME_LABEL) {
                let namespace = &mut wrong.namespaces[pod.namespace.index()];
                namespace.labels = namespace.labels.with(NAMESPACE_NAME_LABEL, name);
            }
        }
        Box::new(move |flow: &Flow| decide(&wrong, flow))
    });
    assert!(!by_labels);
}

#[test]
fn all_small_policies() {
    let started = std::time::Instant::now();
    let done = small::enumerate(1, oracle).unwrap();
    println!("{done:?} in {:?}", started.elapsed());
    assert!(done.policies > 10_000 && done.verdicts > 1_000_000, "{done:?}");
    // An engine in which only the first of two peers counts.
    let found = small::enumerate(1, |world: &World| {
        let mut wrong = world.clone();
        for policy in &mut wrong.policies {
            for rule in policy.ingress.iter_mut().chain(&mut policy.egress) {
                if let watertight_model::Peers::Of(peers) = &mut rule.peers {
                    peers.truncate(1);
                }
            }
        }
        Box::new(move |flow: &Flow| decide(&wrong, flow)) as Judge<'_>
    })
    .unwrap_err();
    assert_eq!(found.world.policies.len(), 1, "{found}");
    assert!(found.world.pods.len() <= 2, "{found}");
}
