//! Learning on the sample cluster and on Online Boutique, against what was intended.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use watertight_demo as demo;
use watertight_engine::Engine;
use watertight_engine::connections::{Detail, Party, connections};
use watertight_flows::{Ledger, resolve};
use watertight_ingest::{Input, Options, read};
use watertight_learn::{Doubt, Edge, LearnOptions, Learned, learn, with_policies};
use watertight_model::{PortSet, Protocol, WorkloadId, World};

fn world(inputs: &[Input]) -> World {
    match read(inputs, &Options::default()) {
        Ok(loaded) => loaded.world,
        Err(refused) => {
            let lines: Vec<String> = refused.diagnostics.iter().map(|d| d.line(&refused.sources).to_string()).collect();
            panic!("{}", lines.join("\n"))
        }
    }
}

fn sample() -> World {
    let inputs =
        demo::FILES.iter().map(|(name, text)| Input::Text { name: (*name).to_owned(), text: (*text).to_owned() });
    world(&inputs.collect::<Vec<_>>())
}

fn edges(world: &World, flows: &str) -> Vec<Edge> {
    let mut ledger = Ledger::memory();
    ledger.import("flows", flows.as_bytes(), None).unwrap();
    resolve(world, &ledger).edges
}

/// Intended calls between workloads, from the table that made the recording.
fn intended(world: &World, csv: &str) -> BTreeMap<(WorkloadId, WorkloadId), PortSet> {
    let mut out: BTreeMap<(WorkloadId, WorkloadId), PortSet> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let end = |text: &str| {
            let (ns, name) = text.split_once('/')?;
            world.workloads_named(world.namespace(ns)?, name).first().copied()
        };
        let (Some(from), Some(to)) = (end(fields[0]), end(fields[1])) else { continue };
        let protocol = Protocol::parse(fields[2]).unwrap();
        let port: u16 = fields[3].parse().unwrap();
        let ports = out.entry((from, to)).or_default();
        *ports = ports.union(&PortSet::range(protocol, port, port));
        if fields[4] == "dns" {
            // Whoever may ask over UDP must be able to repeat the question over TCP.
            *ports = ports.union(&PortSet::range(Protocol::Tcp, port, port));
        }
    }
    out
}

/// Ports open to and from workloads that have a learned policy: intended ones, and others.
fn precision(
    world: &World,
    learned: &Learned,
    intended: &BTreeMap<(WorkloadId, WorkloadId), PortSet>,
) -> (u64, Vec<String>) {
    let after = with_policies(world, &learned.policies);
    let governed: BTreeSet<WorkloadId> = learned.policies.iter().map(|p| p.workload).collect();
    let (mut good, mut bad) = (0, Vec::new());
    for connection in connections(&Engine::new(&after), Detail::Workloads) {
        let (Party::Workload { workload: from, .. }, Party::Workload { workload: to, .. }) =
            (&connection.from, &connection.to)
        else {
            continue;
        };
        if !governed.contains(from) || !governed.contains(to) {
            continue;
        }
        let wanted = intended.get(&(*from, *to)).cloned().unwrap_or_default();
        good += u64::from(connection.allowed.intersect(&wanted).count());
        let more = connection.allowed.minus(&wanted);
        if !more.is_empty() {
            bad.push(format!("{} -> {} {:?}", world.workload_name(*from), world.workload_name(*to), more));
        }
    }
    (good, bad)
}

#[test]
fn the_sample_cluster() {
    let world = sample();
    let edges = edges(&world, demo::FLOWS);
    let engine = Engine::new(&world);
    let learned = learn(&engine, &edges, &LearnOptions::default());
    assert!(learned.certificate.holds(), "{:#?}", learned.certificate.failures.first());
    assert_eq!(learned.certificate.flows_allowed, learned.certificate.flows_observed);
    assert!(learned.certificate.flows_observed > 1_000);
    let workloads: BTreeSet<WorkloadId> = learned.policies.iter().map(|p| p.workload).collect();
    assert_eq!(workloads.len(), learned.policies.len(), "one policy per workload");
    let (good, bad) = precision(&world, &learned, &intended(&world, demo::INTENDED));
    assert!(good >= 100 && bad.is_empty(), "{good} intended, others: {bad:#?}");
    // S16: dev -> prod was seen, and is not allowed without a person.
    let crossing: Vec<_> = learned.review.iter().filter(|r| matches!(r.why, Doubt::CrossEnvironment(..))).collect();
    assert!(!crossing.is_empty() && crossing.iter().all(|r| !r.accepted));
    assert!(learned.review.iter().any(|r| r.why == Doubt::SeenOnce));
    assert!(learned.certificate.open_pairs < learned.certificate.baseline_pairs / 4, "{:?}", learned.certificate);
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    let world = sample();
    let mut edges = edges(&world, demo::FLOWS);
    let engine = Engine::new(&world);
    let text = |learned: &Learned| learned.policies.iter().map(|p| p.yaml.clone()).collect::<Vec<_>>();
    let first = learn(&engine, &edges, &LearnOptions::default());
    edges.reverse();
    let second = learn(&engine, &edges, &LearnOptions::default());
    assert_eq!(text(&first), text(&second));
}

/// What is printed reads back as the same policy.
#[test]
fn yaml_reads_back() {
    let world = sample();
    let edges = edges(&world, demo::FLOWS);
    let engine = Engine::new(&world);
    let learned = learn(&engine, &edges, &LearnOptions::default());
    for policy in &learned.policies {
        let again = self::world(&[Input::Text { name: "learned.yaml".to_owned(), text: policy.yaml.clone() }]);
        let read = &again.policies[0];
        let print = |world: &World, p: &watertight_model::NetworkPolicy| {
            watertight_model::manifest::network_policy(&world.namespaces[p.namespace.index()].name, p, &|_, _| {
                Vec::new()
            })
        };
        assert_eq!(print(&again, read), print(&world, &policy.policy));
    }
}

#[test]
fn online_boutique() {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/online-boutique/app");
    let world = world(&[Input::Path(app.into())]);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/online-boutique");
    let flows = std::fs::read_to_string(format!("{examples}/flows.jsonl")).unwrap();
    let csv = std::fs::read_to_string(format!("{examples}/intended.csv")).unwrap();
    let edges = edges(&world, &flows);
    let engine = Engine::new(&world);
    let learned = learn(&engine, &edges, &LearnOptions::default());
    assert!(learned.certificate.holds(), "{:#?}", learned.certificate.failures.first());
    assert_eq!(learned.policies.len(), 12);
    let (good, bad) = precision(&world, &learned, &intended(&world, &csv));
    assert!(good >= 15 && bad.is_empty(), "{good} intended, others: {bad:#?}");
    let seen: BTreeSet<_> =
        edges.iter().filter(|e| e.count > 0).filter_map(|e| Some((e.from.workload()?, e.to.workload()?))).collect();
    assert!(seen.len() >= 15);
}
