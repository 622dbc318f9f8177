//! Assertions against worlds: each way to hold with its twin that fails, and all pairs against asking one by one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use watertight_assert::{Outcome, Status, Why, judge, parse};
use watertight_engine::Engine;
use watertight_ingest::{Input, Limits, Options, read};
use watertight_model::{Endpoint, Flow, L4, PodId, Protocol, Verdict, World};
use watertight_testkit::random::{self, Rng, Size};

const WORLD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {env: prod}}
---
apiVersion: v1
kind: Namespace
metadata: {name: lab, labels: {env: dev}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, ports: [{containerPort: 5432}]}]}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: tool, namespace: lab, labels: {app: tool}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.3}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: a, port: 1, targetPort: 5432}, {name: b, port: 2, targetPort: 5433}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 192.0.2.0/24}}]
    ports: [{port: 5432}]
";

fn world(more: &str) -> World {
    let text = format!("{WORLD}{more}");
    read(&[Input::Text { name: "w.yaml".to_owned(), text }], &Options::default()).unwrap().world
}

fn judged(world: &World, assertions: &str) -> Vec<Outcome> {
    let text = format!("apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n{assertions}");
    let assertions = parse(&[("a.yaml".to_owned(), text.into_bytes())], &Limits::default())
        .unwrap_or_else(|r| unreachable!("{:#?}", r.diagnostics));
    judge(&Engine::new(world), &assertions)
}

fn one(assertion: &str) -> Outcome {
    judged(&world(""), &format!("- {{{assertion}}}\n")).remove(0)
}

#[test]
fn must_and_must_not_with_their_twins() {
    let (holds, allowed, denied) = (Status::Holds, Status::Fails(Why::Allowed), Status::Fails(Why::Denied));
    for (assertion, wanted) in [
        ("from: {workload: shop/web}, to: {workload: shop/db}, ports: [5432], reach: must", holds),
        ("from: {workload: shop/web}, to: {workload: shop/db}, ports: [5432, 5433], reach: must", denied),
        ("from: {workload: lab/tool}, to: {workload: shop/db}, reach: mustNot", holds),
        ("from: {workload: shop/web}, to: {workload: shop/db}, reach: mustNot", allowed),
        ("from: {workload: shop/web}, to: {workload: shop/db}, ports: [UDP], reach: mustNot", holds),
        ("from: {workload: shop/web}, to: {workload: shop/db}, reach: may", holds),
        ("from: {namespaces: {matchLabels: {env: dev}}}, to: {namespace: shop}, reach: mustNot", allowed),
        (
            "from: pods, to: {pods: {matchLabels: {app: db}}}, reach: mustNot, except: [{from: {workload: shop/web}, ports: [5432]}]",
            holds,
        ),
        (
            "from: pods, to: {pods: {matchLabels: {app: db}}}, reach: mustNot, except: [{from: {workload: shop/web}, ports: [5433]}]",
            allowed,
        ),
        ("from: {ip: 192.0.2.7}, to: {workload: shop/db}, ports: [5432], reach: must", holds),
        ("from: {ip: 192.0.3.7}, to: {workload: shop/db}, ports: [5432], reach: must", denied),
        ("from: {cidr: 192.0.2.0/24}, to: {workload: shop/db}, ports: [5432], reach: must", holds),
        ("from: {cidr: 192.0.2.0/23}, to: {workload: shop/db}, ports: [5432], reach: must", denied),
        ("from: {cidr: 198.51.100.0/24}, to: {workload: shop/db}, reach: mustNot", holds),
        ("from: outside, to: {workload: shop/db}, reach: mustNot", allowed),
        ("from: outside, to: {workload: shop/db}, ports: [80], reach: mustNot", holds),
        ("from: {workload: shop/db}, to: outside, ports: [443], reach: must", holds),
        ("from: {workload: shop/web}, to: {service: shop/db}, ports: [1], reach: must", holds),
        ("from: {workload: shop/web}, to: {service: shop/db}, reach: must", denied),
        ("from: {workload: lab/tool}, to: {service: shop/db}, reach: mustNot", holds),
        ("from: {ip: 10.0.0.1}, to: {workload: shop/db}, ports: [5432], reach: must", holds),
        ("from: {cidr: 10.0.0.0/30}, to: {workload: shop/db}, reach: mustNot", allowed),
        ("from: {workload: lab/tool}, to: {workload: shop/db}, ports: [icmp], reach: mustNot", holds),
        ("from: {workload: lab/tool}, to: {workload: shop/web}, ports: [icmp], reach: mustNot", allowed),
    ] {
        let outcome = one(assertion);
        assert_eq!(outcome.status, wanted, "{assertion}: {outcome:?}");
    }
}

#[test]
fn the_witness_breaks_it_on_a_port_that_someone_listens_on() {
    let outcome = one("from: pods, to: {workload: shop/db}, reach: mustNot");
    let witness = outcome.witness.unwrap();
    let world = world("");
    let name = |end: Endpoint| match end {
        Endpoint::Pod(id) => world.pod_name(id),
        other => format!("{other:?}"),
    };
    assert_eq!((name(witness.flow.from), name(witness.flow.to)), ("shop/web".to_owned(), "shop/db".to_owned()));
    assert_eq!((witness.flow.l4, witness.verdict.verdict), (L4::Port(Protocol::Tcp, 5432), Verdict::Allow));
    assert_eq!((outcome.pairs, outcome.failing), (2, 1), "db and itself is no pair");
    let open = one("from: {workload: lab/tool}, to: {workload: shop/web}, reach: mustNot").witness.unwrap();
    assert_eq!(open.flow.l4, L4::Port(Protocol::Tcp, 80));
}

#[test]
fn what_means_nobody_fails_and_says_which_part() {
    for (assertion, what, near) in [
        ("from: {workload: shop/wbe}, to: pods, reach: may", "shop/wbe", "shop/web"),
        ("from: {namespace: shp}, to: pods, reach: may", "pods of namespace shp", "shop"),
        (
            "from: {namespaces: {matchLabels: {env: dve}}}, to: pods, reach: may",
            "pods of namespaces with env=dve",
            "env=dev",
        ),
        ("from: {pods: {matchLabels: {app: webb}}}, to: pods, reach: may", "pods with app=webb", "app=web"),
        ("from: pods, to: {service: shop/bd}, reach: may", "Service shop/bd", "shop/db"),
        ("from: pods, to: {service: shop/db}, ports: [5432], reach: mustNot", "Service shop/db", ""),
        ("from: nodes, to: pods, reach: may", "every node", ""),
        ("from: {workload: shop/web}, to: {workload: shop/web}, reach: may", "the assertion", ""),
        (
            "from: pods, to: pods, reach: may, except: [{from: {workload: shop/web}, to: {workload: shop/web}}]",
            "the exception",
            "",
        ),
        (
            "from: {workload: lab/tool}, to: {workload: shop/db}, ports: [80], reach: may, except: [{ports: [81]}]",
            "the exception",
            "",
        ),
        (
            "from: {workload: lab/tool}, to: {workload: shop/db}, reach: mustNot, except: [{from: {workload: lab/tol}}]",
            "lab/tol",
            "lab/tool",
        ),
    ] {
        let outcome = one(assertion);
        assert_eq!(outcome.status, Status::Fails(Why::MatchesNothing), "{assertion}: {outcome:?}");
        let found = outcome.unmatched.iter().find(|u| u.what == what);
        let offered = found.is_some_and(|u| near.is_empty() || u.near.contains(&near.to_owned()));
        assert!(offered, "{assertion}: {:?}", outcome.unmatched);
    }
}

#[test]
fn what_depends_fails_both_ways_unless_it_may_pass() {
    let cilium = "---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {endpointSelector: {}}\n";
    let clouded = world(cilium);
    let pair = "from: {workload: shop/web}, to: {workload: shop/db}, ports: [5432]";
    for (mode, depends, wanted) in [
        ("must", "", Status::Fails(Why::Depends)),
        ("mustNot", "", Status::Fails(Why::Depends)),
        ("must", ", depends: passes", Status::Holds),
        ("mustNot", ", depends: passes", Status::Holds),
        ("may", "", Status::Holds),
    ] {
        let outcome = judged(&clouded, &format!("- {{{pair}, reach: {mode}{depends}}}\n")).remove(0);
        assert_eq!(outcome.status, wanted, "{mode}{depends}: {outcome:?}");
        assert_eq!(outcome.unclear, usize::from(mode != "may"), "{mode}{depends}");
    }
    let unread =
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: elsewhere}\nspec: {containers: [{name: c}]}\n";
    let by_labels = "- {from: {namespaces: {matchLabels: {env: dev}}}, to: {workload: shop/db}, reach: mustNot}\n";
    let outcome = judged(&world(unread), by_labels).remove(0);
    assert_eq!(outcome.status, Status::Fails(Why::MatchesNothing));
    assert!(outcome.unmatched[0].why.contains("labels of namespace elsewhere"), "{outcome:?}");
}

/// Every pod to every other, against asking the engine pod by pod.
#[test]
fn groups_say_what_single_questions_say() {
    let (mut held, mut broken) = (0, 0);
    for seed in 0..60 {
        let (mut world, _) = random::world(&mut Rng::new(seed), &Size::default());
        if seed % 2 == 0 {
            world.foreign_policies.clear();
        }
        let alive = (0..world.pods.len()).map(PodId::at).filter(|p| !world.pods[p.index()].finished);
        let pods: Vec<PodId> = alive.collect();
        let engine = Engine::new(&world);
        for port in [80, 5432] {
            let mut all = Vec::new();
            for a in &pods {
                for b in pods.iter().filter(|b| *b != a) {
                    let (from, to) = (Endpoint::Pod(*a), Endpoint::Pod(*b));
                    let flow = Flow { from, to, l4: L4::Port(Protocol::Tcp, port), via_service: false };
                    all.push(engine.decide(&flow).verdict);
                }
            }
            for (mode, bad, why) in [("must", Verdict::Deny, Why::Denied), ("mustNot", Verdict::Allow, Why::Allowed)] {
                let text = format!("- {{from: pods, to: pods, ports: [{port}], reach: {mode}}}\n");
                let outcome = judged(&world, &text).remove(0);
                let wanted = match () {
                    () if all.is_empty() => Status::Fails(Why::MatchesNothing),
                    () if all.contains(&bad) => Status::Fails(why),
                    () if all.contains(&Verdict::Depends) => Status::Fails(Why::Depends),
                    () => Status::Holds,
                };
                assert_eq!(outcome.status, wanted, "seed {seed} port {port} {mode}");
                assert_eq!(outcome.pairs, all.len(), "seed {seed}");
                let failing = all.iter().filter(|v| **v == bad || **v == Verdict::Depends).count();
                assert_eq!(outcome.failing, failing, "seed {seed} port {port} {mode}");
                if wanted == Status::Holds { held += 1 } else { broken += 1 }
            }
        }
    }
    assert!(held > 0 && broken > 30, "{held} {broken}");
}
