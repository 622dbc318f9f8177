//! The probe against a server that plays a cluster: what follows from what is seen, and that it always clears away.

use crate::fake::{Asked, Cluster, Fake, Home, Reply, ok, status};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use watertight_cluster::{Check, ProbeOptions, Status, probe};

const NAMESPACE: &str = "/api/v1/namespaces/watertight-probe";

/// What the client pods see, one after the other; the last for all that follow.
type Seen = &'static [&'static str];

fn pod(seen: Seen, path: &str) -> Value {
    let name = path.rsplit('/').next().unwrap();
    let Some(number) = name.strip_prefix("client-").and_then(|n| n.parse::<usize>().ok()) else {
        return json!({"status": {"phase": "Running", "podIP": "10.0.0.9"}});
    };
    match *seen.get(number - 1).or(seen.last()).unwrap() {
        "open" => json!({"status": {"phase": "Succeeded"}}),
        "pull" => json!({"status": {"phase": "Pending",
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}}]}}),
        words => json!({"status": {"phase": "Failed",
            "containerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error", "message": words}}}]}}),
    }
}

/// A cluster that remembers the probe's namespace. `before`: what is there at first.
fn cluster(seen: Seen, before: Option<Value>) -> Cluster {
    let there: Arc<Mutex<Option<Value>>> = Arc::new(Mutex::new(before));
    Cluster::new().rule(move |asked: &Asked, _| {
        let mut there = there.lock().unwrap();
        Some(match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/api/v1/namespaces") if there.is_some() => status(409, "already exists"),
            ("POST", "/api/v1/namespaces") => {
                let mut made: Value = serde_json::from_str(&asked.body).unwrap();
                made["metadata"]["uid"] = json!("new");
                *there = Some(made.clone());
                Reply::Full(201, Vec::new(), made.to_string())
            }
            ("GET", NAMESPACE) => there.as_ref().map_or_else(|| status(404, "not found"), ok),
            ("DELETE", NAMESPACE) => {
                let uid = there.take().unwrap()["metadata"]["uid"].clone();
                let wanted: Value = serde_json::from_str(&asked.body).unwrap();
                assert_eq!(wanted["preconditions"]["uid"], uid, "nothing but what was looked at");
                ok(json!({}))
            }
            ("POST" | "DELETE", _) if asked.path.starts_with(NAMESPACE) => Reply::Full(201, Vec::new(), "{}".into()),
            ("GET", path) if path.starts_with(NAMESPACE) => ok(pod(seen, path)),
            _ => return None,
        })
    })
}

fn run(cluster: Cluster) -> (Vec<Check>, Vec<String>, Fake) {
    let fake = Fake::start(cluster);
    let home = Home::new();
    let access = home.to(&format!("http://127.0.0.1:{}", fake.port));
    let mut said = Vec::new();
    let checks = probe(&access, &ProbeOptions::default(), &mut |text| said.push(text.to_owned()));
    (checks, said, fake)
}

fn deletions(fake: &Fake) -> usize {
    fake.asked().iter().filter(|a| a.method == "DELETE" && a.path == NAMESPACE).count()
}

#[track_caller]
fn only(checks: &[Check]) -> &Check {
    assert_eq!(checks.len(), 1, "{checks:#?}");
    &checks[0]
}

#[test]
fn open_then_closed_then_open_is_enforcement() {
    let (checks, said, fake) = run(cluster(&["open", "open", "TIMEOUT\n", "open"], None));
    let check = only(&checks);
    assert_eq!(check.status, Status::Ok, "{check:?}");
    assert!(check.message.contains("failed (TIMEOUT)"), "{check:?}");
    assert_eq!(deletions(&fake), 1);
    assert!(said.first().unwrap().contains("created") && said.last().unwrap().contains("removed"), "{said:?}");
    // The policy was there between the second and the third connection, and gone before the last.
    let steps: Vec<String> = fake
        .asked()
        .iter()
        .filter(|a| a.method != "GET" && (a.path.contains("networkpolicies") || a.path.ends_with("/pods")))
        .map(|a| format!("{} {}", a.method, a.path.rsplit('/').next().unwrap()))
        .collect();
    let expected =
        ["POST pods", "POST pods", "POST networkpolicies", "POST pods", "POST pods", "DELETE deny", "POST pods"];
    assert_eq!(steps, expected);
}

#[test]
fn what_never_opens_or_never_opens_again_proves_nothing() {
    let (checks, _, fake) = run(cluster(&["TIMEOUT"], None));
    assert_eq!(only(&checks).status, Status::Unknown);
    assert!(only(&checks).message.contains("before there was any policy"), "{checks:?}");
    assert_eq!(deletions(&fake), 1);

    let (checks, ..) = run(cluster(&["open", "REFUSED"], None));
    assert_eq!(only(&checks).status, Status::Unknown);
    assert!(only(&checks).message.contains("after the policy was gone"), "{checks:?}");
}

#[test]
fn a_client_that_fails_for_another_reason_is_no_closed_connection() {
    let (checks, _, fake) = run(cluster(&["open", "exec format error"], None));
    assert_eq!(only(&checks).status, Status::Unknown);
    assert!(only(&checks).message.contains("exec format error"), "{checks:?}");
    assert_eq!(deletions(&fake), 1);
}

#[test]
fn an_image_that_cannot_be_pulled() {
    let (checks, _, fake) = run(cluster(&["pull"], None));
    let check = only(&checks);
    assert!(check.status == Status::Unknown && check.message.contains("ImagePullBackOff: no"), "{check:?}");
    assert!(check.hint.as_ref().unwrap().contains("--probe-image"));
    assert_eq!(deletions(&fake), 1);
}

#[test]
fn what_an_earlier_probe_left_is_removed_and_what_is_not_ours_is_not() {
    let left = json!({"metadata": {"name": "watertight-probe", "uid": "old",
        "labels": {"app.kubernetes.io/managed-by": "watertight-probe"}}});
    let (checks, said, fake) = run(cluster(&["open", "TIMEOUT", "open"], Some(left)));
    assert_eq!(only(&checks).status, Status::Ok, "{checks:?}");
    assert!(said[0].contains("of an earlier probe"), "{said:?}");
    assert_eq!(deletions(&fake), 2);

    let somebodys = json!({"metadata": {"name": "watertight-probe", "uid": "old", "labels": {}}});
    let (checks, _, fake) = run(cluster(&["open"], Some(somebodys)));
    assert!(only(&checks).message.contains("left alone"), "{checks:?}");
    assert_eq!(deletions(&fake), 0);
}

#[test]
fn without_the_right_to_it_nothing_is_tried() {
    let fake = Cluster::new().reply("/api/v1/namespaces", 9, status(403, "namespaces is forbidden"));
    let (checks, _, fake) = run(fake);
    let check = only(&checks);
    assert_eq!(check.status, Status::Unknown);
    assert!(check.hint.as_ref().unwrap().contains("name: watertight-probe"), "{check:?}");
    assert_eq!(deletions(&fake), 0);
}

#[test]
fn a_namespace_that_cannot_be_removed_is_said_to_be_left() {
    let keep =
        |asked: &Asked, _: usize| (asked.method == "DELETE" && asked.path == NAMESPACE).then(|| status(403, "may not"));
    let mut cluster = cluster(&["open", "TIMEOUT", "open"], None);
    cluster.rules.insert(0, Box::new(keep));
    let (checks, ..) = run(cluster);
    assert_eq!(checks[0].status, Status::Ok);
    assert!(
        checks[1].status == Status::Fail && checks[1].message.contains("may still be there: may not"),
        "{checks:?}"
    );
    assert!(checks[1].hint.as_ref().unwrap().contains("kubectl delete namespace"));
}
