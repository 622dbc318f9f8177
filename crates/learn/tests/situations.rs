//! Situations that generators get wrong: each in a small cluster of its own.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use watertight_engine::Engine;
use watertight_engine::query::{Question, Target, answer};
use watertight_flows::{Completeness, Ledger, Resolved, completeness, resolve};
use watertight_ingest::{Input, Options, read};
use watertight_learn::{Doubt, Excluded, LearnOptions, Learned, Why, learn, with_policies};
use watertight_model::{PeerKind, Peers, PortMatch, Ports, Protocol, Verdict, World};

fn world(text: &str) -> World {
    match read(&[Input::Text { name: "in.yaml".to_owned(), text: text.to_owned() }], &Options::default()) {
        Ok(loaded) => loaded.world,
        Err(refused) => panic!("{:#?}", refused.diagnostics),
    }
}

fn app(namespace: &str, name: &str, labels: &str, port: u16) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  selector: {{matchLabels: {{{labels}}}}}\n  template:\n    metadata: {{labels: {{{labels}, pod-template-hash: abc}}}}\n    spec: {{containers: [{{name: c, ports: [{{name: main, containerPort: {port}}}]}}]}}\n"
    )
}

/// A recorded connection between pods (`ns/pod`) or addresses.
fn flow(from: &str, to: &str, port: u16, second: u32) -> String {
    let end = |text: &str, key: &str| match text.split_once('/') {
        Some((ns, pod)) => (
            String::new(),
            format!(
                r#""{key}":{{"namespace":"{ns}","pod_name":"{pod}","workloads":[{{"name":"{pod}","kind":"Deployment"}}]}},"#
            ),
        ),
        None => (format!(r#""{key}":"{text}","#), format!(r#""{key}":{{"identity":2,"labels":["reserved:world"]}},"#)),
    };
    let ((a, source), (b, destination)) = (end(from, "source"), end(to, "destination"));
    let ip = format!("{a}{b}");
    format!(
        "{{\"flow\":{{\"time\":\"2026-10-02T08:{:02}:{:02}Z\",\"verdict\":\"FORWARDED\",\"IP\":{{{}}},\"l4\":{{\"TCP\":{{\"source_port\":40000,\"destination_port\":{port}}}}},{source}{destination}\"Type\":\"L3_L4\",\"is_reply\":false}},\"node_name\":\"n1\"}}\n",
        second / 60,
        second % 60,
        ip.trim_end_matches(',')
    )
}

struct Case {
    world: World,
    resolved: Resolved,
    complete: Completeness,
}

fn case(manifests: &str, flows: &str) -> Case {
    let world = world(manifests);
    let mut ledger = Ledger::memory();
    ledger.import("flows", flows.as_bytes(), None).unwrap();
    let resolved = resolve(&world, &ledger);
    let complete = completeness(&world, &ledger, &resolved);
    Case { world, resolved, complete }
}

impl Case {
    fn learn(&self) -> Learned {
        learn(&Engine::new(&self.world), &self.resolved.edges, &LearnOptions::default())
    }

    fn verdict(&self, learned: &Learned, from: &str, to: &str, port: u16) -> Verdict {
        let after = with_policies(&self.world, &learned.policies);
        let engine = Engine::new(&after);
        let target = |text: &str| Target::parse(&engine, text).unwrap();
        answer(&engine, &Question { from: target(from), to: target(to), protocol: Some(Protocol::Tcp), port }).verdict
    }
}

/// S18: the Service's port is 80, the pods' 8080: the rule says 8080.
#[test]
fn service_ports_become_pod_ports() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: shop}\nspec: {clusterIP: 10.96.0.7, selector: {app: api}, ports: [{port: 80, targetPort: main}]}\n";
    let manifests = format!("{}{}{service}", app("shop", "web", "app: web", 1), app("shop", "api", "app: api", 8080));
    let case = case(&manifests, &flow("shop/web", "10.96.0.7", 80, 1));
    let learned = case.learn();
    assert!(learned.certificate.holds() && learned.certificate.flows_observed == 1);
    assert_eq!(case.verdict(&learned, "shop/web", "shop/api", 8080), Verdict::Allow);
    assert_eq!(case.verdict(&learned, "shop/web", "shop/api", 80), Verdict::Deny);
    let api = learned.policies.iter().find(|p| &*p.policy.name == "api").unwrap();
    let Ports::Of(ports) = &api.policy.ingress[0].ports else { panic!("any port") };
    assert_eq!(ports[0].port, PortMatch::Range(8080, 8080));
}

/// Labels that controllers set at every rollout are never used, and what survives still tells the workload.
#[test]
fn selectors_survive_a_rollout() {
    let manifests = format!("{}{}", app("shop", "web", "app: web", 1), app("shop", "api", "app: api", 8080));
    let learned = case(&manifests, &flow("shop/web", "shop/api", 8080, 1)).learn();
    assert!(learned.certificate.holds());
    assert!(learned.policies.iter().all(|p| !p.yaml.contains("pod-template-hash")));
}

/// Two workloads that share a label: a selector on that label alone would let in the other.
#[test]
fn decoys_are_told_apart_or_left_out() {
    let decoy = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web-canary, namespace: shop}\nspec:\n  selector: {matchLabels: {app: web, track: canary}}\n  template: {metadata: {labels: {app: web, track: canary}}, spec: {containers: [{name: c}]}}\n";
    let web =
        app("shop", "web", "app: web", 1).replace("labels: {app: web, pod", "labels: {app: web, track: stable, pod");
    let manifests = format!("{web}{decoy}{}", app("shop", "api", "app: api", 8080));
    let told_apart = case(&manifests, &flow("shop/web", "shop/api", 8080, 1));
    let learned = told_apart.learn();
    assert_eq!(told_apart.verdict(&learned, "shop/web", "shop/api", 8080), Verdict::Allow);
    assert_eq!(told_apart.verdict(&learned, "shop/web-canary", "shop/api", 8080), Verdict::Deny);
    // Nothing tells these two apart: no policy is guessed, and it is said.
    let twins = format!(
        "{}{}{}",
        app("shop", "a", "app: x", 1),
        app("shop", "b", "app: x", 1),
        app("shop", "api", "app: api", 8080)
    );
    let learned = case(&twins, &flow("shop/a", "shop/api", 8080, 1)).learn();
    assert!(
        learned
            .excluded
            .iter()
            .any(|e| matches!(e, Excluded::Edge { why: Why::SameLabelsAs(other), .. } if other == "shop/b"))
    );
    assert!(learned.policies.iter().all(|p| p.policy.ingress.is_empty()));
}

/// S16: an edge between environments needs a person, one seen once is listed; S17: a CronJob that did not run.
#[test]
fn doubts_go_to_a_person() {
    let namespaces = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: dev, labels: {env: dev}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: prod, labels: {env: prod}}\n";
    let cron = "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: close-month, namespace: prod}\nspec:\n  schedule: '0 0 1 * *'\n  jobTemplate: {spec: {template: {metadata: {labels: {app: close}}, spec: {containers: [{name: c}]}}}}\n";
    let manifests = format!(
        "{namespaces}{cron}{}{}{}",
        app("dev", "shell", "app: shell", 1),
        app("prod", "web", "app: web", 1),
        app("prod", "db", "app: db", 5432)
    );
    let flows = format!(
        "{}{}{}",
        flow("prod/web", "prod/db", 5432, 1),
        flow("prod/web", "prod/db", 5432, 9),
        flow("dev/shell", "prod/db", 5432, 5)
    );
    let case = case(&manifests, &flows);
    let learned = case.learn();
    assert_eq!(learned.review.len(), 1);
    assert!(matches!(&learned.review[0].why, Doubt::CrossEnvironment(a, b) if (&**a, &**b) == ("dev", "prod")));
    assert!(!learned.review[0].accepted);
    assert_eq!(case.verdict(&learned, "prod/web", "prod/db", 5432), Verdict::Allow);
    assert_eq!(case.verdict(&learned, "dev/shell", "prod/db", 5432), Verdict::Deny);
    let unseen = &case.complete.unseen_schedules;
    assert_eq!((unseen.len(), unseen[0].runs, unseen[0].next), (1, 0, Some(1_793_491_200)));
    assert!(!case.complete.is_complete());
}

/// Addresses outside: as few blocks as the budget holds, never all of a family, and left out aloud when they do not fit.
#[test]
fn addresses_outside_stay_within_a_budget() {
    let manifests = app("shop", "web", "app: web", 1);
    let near: String = (1..=20).map(|i| flow("shop/web", &format!("203.0.113.{i}"), 443, i)).collect();
    let case_near = case(&manifests, &near);
    let learned = case_near.learn();
    assert!(learned.certificate.holds() && learned.certificate.flows_observed == 20);
    let Peers::Of(peers) = &learned.policies[0]
        .policy
        .egress
        .iter()
        .find(|r| matches!(&r.peers, Peers::Of(p) if matches!(p[0].kind, PeerKind::Block(_))))
        .unwrap()
        .peers
    else {
        panic!()
    };
    assert!(peers.len() <= 8);
    let prefixes: Vec<u8> = peers
        .iter()
        .filter_map(|p| match &p.kind {
            PeerKind::Block(b) => Some(b.cidr.cidr.prefix_len()),
            PeerKind::Pods { .. } => None,
        })
        .collect();
    assert!(prefixes.iter().all(|len| *len >= 24), "{prefixes:?}");
    let far: String = (1..=20).map(|i| flow("shop/web", &format!("203.{i}.113.1"), 443, i)).collect();
    let learned = case(&manifests, &far).learn();
    let left_out =
        learned.excluded.iter().filter(|e| matches!(e, Excluded::Edge { why: Why::TooManyAddresses, .. })).count();
    assert_eq!((left_out, learned.certificate.flows_observed), (20, 0));
}

/// Names are looked up over UDP, and over TCP when the answer is long: both are allowed, to the DNS pods only.
#[test]
fn dns_is_never_forgotten() {
    let manifests = format!("{}{}", app("shop", "web", "app: web", 1), app("shop", "api", "app: api", 8080));
    let dns = app("kube-system", "coredns", "k8s-app: kube-dns", 53);
    let flows = flow("shop/web", "shop/api", 8080, 1);
    let with = case(&format!("{manifests}{dns}"), &flows);
    let learned = with.learn();
    assert_eq!(with.verdict(&learned, "shop/web", "kube-system/coredns", 53), Verdict::Allow);
    assert_eq!(with.verdict(&learned, "shop/web", "kube-system/coredns", 54), Verdict::Deny);
    assert!(learned.policies.iter().all(|p| &*with.world.namespaces[p.policy.namespace.index()].name != "kube-system"));
    // DNS servers that are not in the input are assumed by their usual label.
    let without = case(&manifests, &flows).learn();
    assert!(without.policies.iter().all(|p| p.yaml.contains("k8s-app: kube-dns") && p.yaml.contains("protocol: UDP")));
}

/// Every rule is needed: without it some observed flow breaks. Denied attempts are no evidence.
#[test]
fn no_rule_without_evidence() {
    let manifests = format!(
        "{}{}{}",
        app("shop", "web", "app: web", 1),
        app("shop", "api", "app: api", 8080),
        app("shop", "db", "app: db", 5432)
    );
    let denied =
        flow("shop/web", "shop/db", 5432, 3).replace("FORWARDED\"", "DROPPED\",\"drop_reason_desc\":\"POLICY_DENIED\"");
    let flows = format!("{}{}{denied}", flow("shop/web", "shop/api", 8080, 1), flow("shop/api", "shop/db", 5432, 2));
    let case = case(&manifests, &flows);
    let learned = case.learn();
    assert_eq!(case.verdict(&learned, "shop/web", "shop/db", 5432), Verdict::Deny);
    assert!(learned.excluded.iter().any(|e| matches!(e, Excluded::Edge { why: Why::OnlyDenied, .. })));
    for policy in &learned.policies {
        assert_eq!(policy.rules.len(), policy.policy.ingress.len() + policy.policy.egress.len());
        for rule in &policy.rules {
            let dns = rule.edges.is_empty();
            assert!(dns == rule.words.contains("kube-dns"), "{rule:?}");
            if !dns {
                let mut less = learned.policies.clone();
                let own = less.iter_mut().find(|p| p.workload == policy.workload).unwrap();
                match rule.direction {
                    watertight_model::Direction::Ingress => own.policy.ingress.remove(rule.rule),
                    watertight_model::Direction::Egress => own.policy.egress.remove(rule.rule),
                };
                let after = with_policies(&case.world, &less);
                let broken = watertight_learn::replay::replay(&Engine::new(&after), &learned.accepted);
                assert!(!broken.is_empty(), "{rule:?} is not needed");
            }
        }
    }
    let after = with_policies(&case.world, &learned.policies);
    assert!(watertight_learn::replay::replay(&Engine::new(&after), &learned.accepted).is_empty());
}
