//! On two nodes with Flannel, which enforces nothing: `doctor` finds that out by evidence, and by proof.

use crate::bed::{Run, account, admin, apply, bed, program, root, watertight};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const NAMESPACE: &str = "watertight-probe";

fn check(run: &Run, name: &str) -> Value {
    let checks = run.json()["checks"].as_array().cloned().unwrap();
    checks.iter().find(|c| c["name"] == *name).unwrap_or_else(|| panic!("{name}: {checks:#?}")).clone()
}

fn there_is_a_probe() -> bool {
    !bed(&format!("kubectl get namespace {NAMESPACE} --ignore-not-found -o name")).is_empty()
}

#[test]
fn flannel_is_recognised_by_what_it_leaves_on_nodes() {
    apply(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all, namespace: default}\nspec: {podSelector: {}}\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let run = watertight("doctor -o json", &account(folder.path(), "reader", &[]));
    bed("kubectl delete networkpolicy all");
    let flannel = check(&run, "Flannel");
    assert!(flannel["message"].as_str().unwrap().contains("does not enforce NetworkPolicy"), "{flannel}");
    assert!(flannel["message"].as_str().unwrap().contains("flannel.alpha.coreos.com"), "{flannel}");
    let enforcement = check(&run, "enforcement");
    assert_eq!((enforcement["status"].as_str(), run.code), (Some("fail"), 1), "{enforcement}");
}

#[test]
fn a_probe_proves_it_and_leaves_nothing() {
    let run = watertight("doctor --probe -o json", &admin());
    let probe = check(&run, "probe");
    assert_eq!((probe["status"].as_str(), run.code), (Some("fail"), 1), "{probe}\n{}", run.stderr);
    assert!(probe["message"].as_str().unwrap().starts_with("nothing enforces policies"), "{probe}");
    assert!(run.stderr.contains("created namespace") && run.stderr.contains("removed namespace"), "{}", run.stderr);
    assert!(!there_is_a_probe());
}

#[test]
fn a_probe_whose_pods_cannot_run_says_why_and_leaves_nothing() {
    let run = watertight("doctor --probe --probe-image registry.invalid/none:1 -o json", &admin());
    let probe = check(&run, "probe");
    assert_eq!(probe["status"], "unknown", "{probe}");
    assert!(
        probe["message"].as_str().unwrap().contains("Err") || probe["message"].as_str().unwrap().contains("ImagePull"),
        "{probe}"
    );
    assert!(probe["hint"].as_str().unwrap().contains("--probe-image"), "{probe}");
    assert!(!there_is_a_probe());
}

#[test]
fn a_probe_without_the_right_to_it_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let run = watertight("doctor --probe -o json", &account(folder.path(), "reader", &[]));
    let probe = check(&run, "probe");
    assert_eq!(probe["status"], "unknown", "{probe}");
    assert!(probe["hint"].as_str().unwrap().contains("watertight-probe"), "{probe}");
    assert!(!there_is_a_probe());
}

/// Starts a probe, and sends it a signal once its namespace is there.
fn interrupted_by(signal: &str) -> Option<i32> {
    let mut child = program("doctor --probe", &admin()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("created namespace")));
    let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    // To its end: a closed pipe would be another reason to fail.
    lines.for_each(drop);
    child.wait().unwrap().code()
}

#[test]
fn a_probe_that_is_interrupted_clears_away_first() {
    for signal in ["INT", "TERM", "HUP"] {
        assert_eq!(interrupted_by(signal), Some(1), "{signal}");
        assert!(!there_is_a_probe(), "{signal}");
    }
}

#[test]
fn what_a_killed_probe_left_is_removed_by_the_next() {
    assert_eq!(interrupted_by("KILL"), None);
    assert!(there_is_a_probe());
    let run = watertight("doctor --probe -o json", &admin());
    assert!(run.stderr.contains("of an earlier probe"), "{}", run.stderr);
    assert_eq!(check(&run, "probe")["status"], "fail");
    assert!(!there_is_a_probe());
}

/// A namespace of that name that no probe made is somebody's.
#[test]
fn a_namespace_of_the_same_name_is_left_alone() {
    bed(&format!("kubectl create namespace {NAMESPACE}"));
    let run = watertight("doctor --probe -o json", &admin());
    let still = there_is_a_probe();
    bed(&format!("kubectl delete namespace {NAMESPACE} --wait"));
    assert!(still);
    assert!(check(&run, "probe")["message"].as_str().unwrap().contains("left alone"));
}

/// The image of the program, in a pod, with the account of its own: no kubeconfig anywhere.
#[test]
fn the_program_in_a_pod() {
    bed("load");
    bed("account in-cluster");
    apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: audit, namespace: default}\nspec: {restartPolicy: Never, serviceAccountName: in-cluster, \
         containers: [{name: c, image: \"localhost/watertight:dev\", args: [audit, --strict, --fail-on, never, -o, json]}]}\n",
    );
    bed("kubectl wait pod/audit --for=jsonpath={.status.phase}=Succeeded --timeout=60s");
    let said = bed("kubectl logs audit");
    bed("kubectl delete pod audit --now");
    assert!(said.contains("\"kind\": \"Audit\"") && root().exists(), "{said}");
}
