//! That the committed files are fresh, and that they hold what the scenarios rely on.

use crate::calls::{OUTSIDE, Seen, calls};
use crate::sample::{NAMESPACES, workloads};
use std::collections::BTreeSet;

#[test]
fn committed_files_are_what_the_generator_writes() {
    for (name, text) in crate::files() {
        let committed = std::fs::read_to_string(crate::examples().join(&name)).unwrap_or_default();
        assert!(committed == text, "examples/{name} is stale: run `cargo run -p watertight-demo --example generate`");
    }
}

#[test]
fn the_embedded_files_are_all_that_describe_the_cluster() {
    let written: BTreeSet<String> = crate::files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|n| n.ends_with(".yaml") || n.ends_with("pods.json"))
        .collect();
    let embedded: BTreeSet<String> = watertight_demo::FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(embedded, written);
    assert!(watertight_demo::FILES.is_sorted());
}

#[test]
fn every_call_names_ends_and_ports_that_exist() {
    let workloads = workloads();
    let calls = calls(&workloads);
    let mut seen = BTreeSet::new();
    for call in &calls {
        assert!(
            seen.insert((&call.from, &call.to, call.protocol.name(), call.port)),
            "{} {} twice",
            call.from,
            call.to
        );
        for end in [&call.from, &call.to] {
            let known = workloads.iter().any(|w| w.place() == **end)
                || OUTSIDE.iter().any(|(name, _)| name == end)
                || ["internet", "apiserver", "nodes", "kubelet"].contains(&end.as_str());
            assert!(known, "nobody is called {end}");
        }
        if let Some(to) = workloads.iter().find(|w| w.place() == call.to) {
            let declared = to.ports.iter().any(|p| p.number == call.port && p.protocol == call.protocol);
            assert!(declared, "{} does not listen on {}/{}", call.to, call.port, call.protocol.name());
        }
    }
}

#[test]
fn the_cluster_is_flat_and_has_23_namespaces() {
    assert_eq!(NAMESPACES.len(), 23);
    assert!(NAMESPACES.iter().map(|n| n.name).is_sorted());
    assert!(watertight_demo::FILES.iter().all(|(_, text)| !text.contains("NetworkPolicy")));
    let workloads = workloads();
    assert!((60..=80).contains(&workloads.len()), "{}", workloads.len());
    assert!(workloads.iter().all(|w| NAMESPACES.iter().any(|n| n.name == w.namespace)));
}

#[test]
fn selectors_are_distinct_within_a_namespace() {
    let workloads = workloads();
    for one in &workloads {
        for other in workloads.iter().filter(|o| o.namespace == one.namespace && o.name != one.name) {
            let labels = other.template_labels();
            assert!(
                !one.selector.iter().all(|pair| labels.contains(pair)),
                "{} selects the pods of {}",
                one.place(),
                other.place()
            );
        }
    }
}

#[test]
fn pods_have_unique_names_and_addresses() {
    let workloads = workloads();
    let pods = crate::pods::pods(&workloads);
    let own: Vec<_> = pods.iter().filter(|p| !workloads[p.workload].host_network).collect();
    let addresses: BTreeSet<&str> = own.iter().map(|p| p.address.as_str()).collect();
    assert_eq!(addresses.len(), own.len());
    let names: BTreeSet<(&str, &str)> =
        pods.iter().map(|p| (workloads[p.workload].namespace, p.name.as_str())).collect();
    assert_eq!(names.len(), pods.len());
}

#[test]
fn the_recording_holds_what_the_scenarios_need() {
    let flows = watertight_demo::FLOWS;
    let count = |needles: &[&str]| flows.lines().filter(|l| needles.iter().all(|n| l.contains(n))).count();
    assert!((2_000..=4_000).contains(&flows.lines().count()));
    assert!(flows.len() < 4_000_000);
    // The monthly job has not run, the nightly one has, twice, and the weekly one once.
    assert_eq!(count(&["close-month"]), 0);
    assert!(count(&["\"pod_name\":\"backup-29920470-"]) > 0 && count(&["\"pod_name\":\"backup-29921910-"]) > 0);
    assert!(count(&["\"pod_name\":\"train-29920560-"]) > 0);
    // One connection from dev to the production database, and one dropped request for metadata, tried twice.
    assert_eq!(count(&["\"pod_name\":\"shell-", "\"destination_port\":5432", "\"namespace\":\"prod\""]), 1);
    assert_eq!(count(&["\"verdict\":\"DROPPED\"", "169.254.169.254"]), 2);
    assert_eq!(count(&["\"lost_events\""]), 1);
    assert!(count(&["\"is_reply\":true"]) > 200);
    let undecided = flows.lines().filter(|l| l.contains("\"l4\"") && !l.contains("\"is_reply\"")).collect::<Vec<_>>();
    assert!(undecided.len() > 50 && undecided.iter().all(|l| l.contains("\"flags\":{\"SYN\":true}")));
    // All but the first record are about the window; the recording is sorted.
    let times: Vec<&str> = flows.lines().map(|l| &l[l.rfind("\"time\":\"").unwrap() + 8..l.len() - 2]).collect();
    assert!(times.is_sorted() && times[0] >= "2026-11-20T06" && times[times.len() - 1] < "2026-11-22T06:01");
}

#[test]
fn what_is_called_often_is_seen_on_two_days_at_least() {
    let workloads = workloads();
    for call in calls(&workloads).iter().filter(|c| c.seen >= Seen::Seldom && c.kind == "call") {
        let of = |end: &str| {
            let workload = workloads.iter().find(|w| w.place() == end).unwrap();
            format!("\"namespace\":\"{}\",\"pod_name\":\"{}-", workload.namespace, workload.name)
        };
        let (from, to) = (format!("\"source\":{{{}", of(&call.from)), format!("\"destination\":{{{}", of(&call.to)));
        let port = format!("\"destination_port\":{}", call.port);
        let days: BTreeSet<&str> = watertight_demo::FLOWS
            .lines()
            .filter(|l| l.contains(&from) && l.contains(&to) && l.contains(&port))
            .map(|l| &l[17..27])
            .collect();
        assert!(days.len() >= 2, "{} -> {}: {days:?}", call.from, call.to);
    }
}
