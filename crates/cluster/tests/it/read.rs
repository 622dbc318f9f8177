//! From a server to a snapshot: what is read, what is named as unread, what ends the reading.

use crate::fake::{Cluster, Fake, Home, Reply, connection, ok, pod, status};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use watertight_cluster::{AccessError, ReadOptions, Snapshot, connect, read, read_with_progress, save};

fn everything(fake: &Fake) -> Result<Snapshot, AccessError> {
    let (_home, client) = connection(fake);
    read(&client, &ReadOptions::default())
}

fn items(snapshot: &Snapshot) -> Vec<Value> {
    let lists = snapshot.pages.iter().map(|page| serde_json::from_str::<Value>(page).unwrap());
    lists.flat_map(|list| list["items"].as_array().unwrap().clone()).collect()
}

/// `namespace/name` of the objects of a kind.
fn names(snapshot: &Snapshot, kind: &str) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let of_kind = items(snapshot).into_iter().filter(|o| o["kind"] == *kind);
    of_kind.map(|o| format!("{}/{}", text(&o["metadata"]["namespace"]), text(&o["metadata"]["name"]))).collect()
}

fn unread(snapshot: &Snapshot) -> Vec<String> {
    let line = |u: &watertight_model::world::Unread| match &u.namespace {
        Some(namespace) => format!("{} in {namespace}: {}", u.what, u.why),
        None => format!("{}: {}", u.what, u.why),
    };
    snapshot.unread.iter().map(line).collect()
}

#[test]
fn every_kind_is_listed_once_and_typed_items_get_their_kind() {
    let fake = Fake::start(
        Cluster::new()
            .with("/api/v1/pods", vec![pod("shop", "web"), pod("pay", "db")])
            .with(
                "/apis/networking.k8s.io/v1/networkpolicies",
                vec![json!({
                "metadata": {"name": "p", "namespace": "shop"}, "spec": {"podSelector": {}}})],
            )
            .group("policy.networking.k8s.io", &["v1alpha2", "v1alpha1"])
            .with(
                "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies",
                vec![json!({"metadata": {"name": "anp"}})],
            )
            .with(
                "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
                vec![json!({"metadata": {"name": "cnp"}})],
            )
            .group("cilium.io", &["v2", "v2alpha1"])
            .with(
                "/apis/cilium.io/v2/ciliumnetworkpolicies",
                vec![json!({"metadata": {"name": "x", "namespace": "shop"}})],
            )
            .group("crd.antrea.io", &["v1"])
            .with("/apis/crd.antrea.io/v1/clusternetworkpolicies", vec![json!({"metadata": {"name": "acnp"}})]),
    );
    let snapshot = everything(&fake).unwrap();
    assert_eq!(unread(&snapshot), [""; 0]);
    assert_eq!(snapshot.name, "cluster:main");
    assert_eq!(snapshot.server_version.as_deref(), Some("v1.37.1"));
    let mut seen: Vec<String> = items(&snapshot)
        .iter()
        .map(|o| format!("{} {}", o["apiVersion"].as_str().unwrap(), o["kind"].as_str().unwrap()))
        .collect();
    seen.dedup();
    assert_eq!(
        seen,
        [
            "v1 Namespace",
            "v1 Pod",
            "networking.k8s.io/v1 NetworkPolicy",
            "policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy",
            "policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy",
            "cilium.io/v2 CiliumNetworkPolicy",
            // A kind that is not evaluated is read in whatever version there is.
            "crd.antrea.io/v1 ClusterNetworkPolicy",
        ]
    );
    assert!(!snapshot.pages.concat().contains("hunter2") && !snapshot.pages.concat().contains("managedFields"));

    let lists: Vec<String> = fake.asked().into_iter().filter(|a| a.query.contains("limit")).map(|a| a.path).collect();
    let mut once = lists.clone();
    once.sort();
    once.dedup();
    assert_eq!(lists.len(), once.len(), "one LIST per kind: {lists:?}");
    // Groups that the server does not have are not asked for.
    assert!(!lists.iter().any(|path| path.contains("istio") || path.contains("calico")));
    assert!(!fake.asked().iter().any(|a| a.path.contains("secret") || a.path.contains("configmap")));
}

#[test]
fn calico_is_read_once_where_two_groups_serve_it() {
    let policy = vec![json!({"metadata": {"name": "x", "namespace": "shop"}})];
    let v3 = "/apis/projectcalico.org/v3/networkpolicies";
    let v1 = "/apis/crd.projectcalico.org/v1/networkpolicies";
    let both = Cluster::new().group("projectcalico.org", &["v3"]).with(v3, policy.clone());
    let both = Fake::start(both.group("crd.projectcalico.org", &["v1"]).with(v1, policy.clone()));
    everything(&both).unwrap();
    assert_eq!((both.times(v1), both.times(v3)), (1, 0));
    let one = Fake::start(Cluster::new().group("projectcalico.org", &["v3"]).with(v3, policy));
    let snapshot = everything(&one).unwrap();
    assert_eq!(one.times(v3), 1);
    assert_eq!(names(&snapshot, "NetworkPolicy"), ["shop/x"]);
}

#[test]
fn five_thousand_objects_come_in_pages() {
    let pods = (0..5_000).map(|i| pod("shop", &format!("p-{i:04}"))).collect();
    let fake = Fake::start(Cluster::new().with("/api/v1/pods", pods));
    let snapshot = everything(&fake).unwrap();
    let found = names(&snapshot, "Pod");
    assert_eq!(found.len(), 5_000);
    assert!(found.is_sorted());
    assert_eq!(fake.times("/api/v1/pods"), 10);
    assert!(fake.asked().iter().filter(|a| a.path == "/api/v1/pods").all(|a| a.query.starts_with("limit=500")));
    assert!(unread(&snapshot).is_empty());
}

#[test]
fn forbidden_pods_are_named_and_the_rest_goes_on() {
    let forbidden = status(403, "pods is forbidden: User \"u\"\u{1b}[31m cannot list");
    let cluster = Cluster::new()
        .with("/api/v1/pods", vec![pod("shop", "web")])
        .with("/api/v1/services", vec![json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {}})])
        .rule(move |asked, _| asked.path.ends_with("/pods").then(|| forbidden.clone()));
    let fake = Fake::start(cluster);
    let snapshot = everything(&fake).unwrap();
    assert_eq!(unread(&snapshot), ["pods: forbidden: pods is forbidden: User \"u\"\\u{1b}[31m cannot list"]);
    assert_eq!(names(&snapshot, "Service"), ["shop/web"]);
    assert!(names(&snapshot, "Pod").is_empty());
    // The context's namespace was tried.
    assert_eq!(fake.times("/api/v1/namespaces/shop/pods"), 1);
    assert_eq!(fake.times("/api/v1/pods"), 1);
}

#[test]
fn what_is_forbidden_across_the_cluster_is_read_in_the_namespaces_at_hand() {
    let cluster = || {
        Cluster::new()
            .with("/api/v1/pods", vec![pod("shop", "web"), pod("pay", "db"), pod("other", "x")])
            .reply("/api/v1/pods", 99, status(403, "no"))
            .reply("/api/v1/namespaces/ops/pods", 99, status(403, "not in ops"))
    };
    let (_home, client) = connection(&Fake::start(cluster()));
    let namespaces = |names: &[&str]| ReadOptions { namespaces: Some(names.iter().map(|n| (*n).into()).collect()) };
    let snapshot = read(&client, &namespaces(&["shop", "pay", "ops"])).unwrap();
    assert_eq!(names(&snapshot, "Pod"), ["shop/web", "pay/db"]);
    // Still incomplete: other namespaces exist.
    assert_eq!(
        unread(&snapshot),
        ["pods: forbidden: no (read in shop, pay only)", "pods in ops: forbidden: not in ops",]
    );
    let snapshot = read(&client, &ReadOptions::default()).unwrap();
    assert_eq!(names(&snapshot, "Pod"), ["shop/web"]);
    // A name is never more than a name in a path.
    let fake = Fake::start(cluster());
    let (_home, client) = connection(&fake);
    read(&client, &namespaces(&["../../x?y"])).unwrap();
    assert_eq!(fake.times("/api/v1/namespaces/..%2F..%2Fx%3Fy/pods"), 1);
}

#[test]
fn forbidden_namespaces_are_fetched_by_name_and_named() {
    let fake = Fake::start(Cluster::new().reply("/api/v1/namespaces", 99, status(403, "no")));
    let snapshot = everything(&fake).unwrap();
    assert_eq!(names(&snapshot, "Namespace"), ["/shop"]);
    assert_eq!(unread(&snapshot), ["namespaces: forbidden: no (read in shop only)"]);

    let all = Fake::start(Cluster::new().rule(|asked, _| {
        (asked.path.starts_with("/api/v1/namespaces") && !asked.path.ends_with("pods")).then(|| status(403, "no"))
    }));
    let snapshot = everything(&all).unwrap();
    assert_eq!(unread(&snapshot), ["namespaces: forbidden: no"]);
}

#[test]
fn a_kind_that_fails_by_itself_is_named() {
    let fake = Fake::start(
        Cluster::new()
            .group("cilium.io", &["v2"])
            .group("policy.networking.k8s.io", &["v1beta1"])
            .reply("/apis/cilium.io/v2/ciliumnetworkpolicies", 99, status(500, "conversion webhook failed"))
            .reply("/apis/batch/v1/jobs", 99, status(404, "gone")),
    );
    let snapshot = everything(&fake).unwrap();
    assert_eq!(
        unread(&snapshot),
        [
            "jobs.batch: the server does not have this kind",
            "clusternetworkpolicies.policy.networking.k8s.io: the server has it in v1beta1 only, which is not understood",
            "adminnetworkpolicies.policy.networking.k8s.io: the server has it in v1beta1 only, which is not understood",
            "baselineadminnetworkpolicies.policy.networking.k8s.io: the server has it in v1beta1 only, which is not understood",
            "ciliumnetworkpolicies.cilium.io: status 500: conversion webhook failed",
        ]
    );
    assert_eq!(fake.times("/apis/cilium.io/v2/ciliumnetworkpolicies"), 4, "tried again before giving up");
}

/// A group that is there need not hold every kind of ours: a cluster with ClusterNetworkPolicy alone is read whole.
#[test]
fn a_kind_that_its_group_does_not_hold_is_not_missing() {
    let resources = |name: &str| ok(json!({"kind": "APIResourceList", "resources": [{"name": name}]}));
    let group = |version: &str, name: &str| {
        let path = format!("/apis/policy.networking.k8s.io/{version}");
        Fake::start(Cluster::new().group("policy.networking.k8s.io", &[version]).reply(&path, 99, resources(name)))
    };
    assert!(unread(&everything(&group("v1alpha2", "clusternetworkpolicies")).unwrap()).is_empty());
    assert_eq!(
        unread(&everything(&group("v1beta1", "adminnetworkpolicies")).unwrap()),
        ["adminnetworkpolicies.policy.networking.k8s.io: the server has it in v1beta1 only, which is not understood"]
    );
}

/// Absent is an answer, refused is a gap.
#[test]
fn gateways_and_routes_are_read_where_there_are_any_and_named_where_they_are_refused() {
    const GROUP: &str = "gateway.networking.k8s.io";
    let route = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"rules": []}});
    let cluster = || {
        Cluster::new()
            .group(GROUP, &["v1", "v1beta1", "v1alpha2"])
            .with("/apis/gateway.networking.k8s.io/v1/gateways", vec![route("edge")])
            .with("/apis/gateway.networking.k8s.io/v1/httproutes", vec![route("web")])
            .with("/apis/gateway.networking.k8s.io/v1alpha2/tcproutes", vec![route("db")])
    };
    let snapshot = everything(&Fake::start(cluster())).unwrap();
    assert_eq!(unread(&snapshot), [""; 0]);
    let found = ["Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute"].map(|kind| names(&snapshot, kind));
    assert_eq!(found, [vec!["shop/edge"], vec!["shop/web"], vec![], vec!["shop/db"]]);

    let refused = cluster().reply("/apis/gateway.networking.k8s.io/v1/httproutes", 99, status(403, "no"));
    let refused = refused.reply("/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes", 99, status(403, "no"));
    let snapshot = everything(&Fake::start(refused)).unwrap();
    assert_eq!(unread(&snapshot), ["httproutes.gateway.networking.k8s.io: forbidden: no"]);
    assert_eq!(names(&snapshot, "Gateway"), ["shop/edge"]);

    let without = Fake::start(Cluster::new());
    assert_eq!(unread(&everything(&without).unwrap()), [""; 0]);
    assert!(!without.asked().iter().any(|a| a.path.contains(GROUP)), "a group that is not served is not asked for");
}

#[test]
fn without_discovery_every_version_is_tried() {
    let fake = Fake::start(
        Cluster::new()
            .reply("/apis", 99, status(403, "no"))
            .with("/apis/security.istio.io/v1beta1/authorizationpolicies", vec![json!({"metadata": {"name": "a"}})]),
    );
    let snapshot = everything(&fake).unwrap();
    assert_eq!(names(&snapshot, "AuthorizationPolicy"), ["/a"]);
    assert!(unread(&snapshot).is_empty());
}

#[test]
fn a_token_that_expires_in_the_middle_begins_the_list_again() {
    let pods = || (0..1_200).map(|i| pod("shop", &format!("p-{i:04}"))).collect();
    let gone = |times: usize| {
        let seen = std::sync::atomic::AtomicUsize::new(0);
        move |asked: &crate::fake::Asked, _: usize| {
            let second = asked.path == "/api/v1/pods" && asked.query.contains("continue=1000");
            (second && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < times)
                .then(|| status(410, "the provided continue parameter is too old"))
        }
    };
    let once = Fake::start(Cluster::new().with("/api/v1/pods", pods()).rule(gone(1)));
    let snapshot = everything(&once).unwrap();
    assert_eq!(names(&snapshot, "Pod").len(), 1_200, "nothing twice, nothing lost");
    assert_eq!(once.times("/api/v1/pods"), 6);

    // Always too slow for pages: in one piece.
    let always = Fake::start(Cluster::new().with("/api/v1/pods", pods()).rule(gone(99)));
    let snapshot = everything(&always).unwrap();
    assert_eq!(names(&snapshot, "Pod").len(), 1_200);
    let last = always.asked().into_iter().rfind(|a| a.path == "/api/v1/pods").unwrap();
    assert_eq!(last.query, "");

    let hopeless = Fake::start(Cluster::new().reply("/api/v1/pods", 99, status(410, "gone")));
    let snapshot = everything(&hopeless).unwrap();
    assert_eq!(unread(&snapshot), ["pods: status 410: gone"]);
    assert_eq!(hopeless.times("/api/v1/pods"), 3);
}

#[test]
fn retry_after_is_honoured_up_to_a_bound() {
    let slow = |seconds: u64| Reply::Full(429, vec![format!("Retry-After: {seconds}")], "{}".into());
    let cluster = |reply| Cluster::new().with("/api/v1/pods", vec![pod("shop", "web")]).reply("/api/v1/pods", 1, reply);
    let fake = Fake::start(cluster(slow(1)));
    let (_home, client) = connection(&fake);
    let started = Instant::now();
    let snapshot = read(&client, &ReadOptions::default()).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(names(&snapshot, "Pod"), ["shop/web"]);

    let home = Home::new();
    let fake = Fake::start(cluster(slow(3_600)));
    let mut access = home.to(&format!("http://127.0.0.1:{}", fake.port));
    access.timeouts.retry_after = Duration::from_millis(10);
    let started = Instant::now();
    read(&connect(&access).unwrap(), &ReadOptions::default()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));

    let fake = Fake::start(Cluster::new().reply("/api/v1/pods", 99, status(429, "slow down")));
    assert!(matches!(everything(&fake), Err(AccessError::Overloaded { what, .. }) if what == "/api/v1/pods?limit=500"));
    assert_eq!(fake.times("/api/v1/pods"), 4);
}

#[test]
fn answers_that_end_in_the_middle_never_become_a_snapshot() {
    let half = r#"{"items":[{"metadata":{"name":"a"}},{"meta"#;
    for reply in [Reply::CutOff(half.into()), ok(half), ok("[]"), ok(r#"{"items":[null]}"#), ok(r#"{"items":{}}"#)] {
        let fake = Fake::start(Cluster::new().reply("/api/v1/pods", 99, reply.clone()));
        let e = everything(&fake).expect_err("no partial list");
        assert!(
            matches!(&e, AccessError::BadAnswer { what, .. } if what.starts_with("/api/v1/pods")),
            "{reply:?}: {e:?}"
        );
        assert!(!e.to_string().contains("\"a\""), "the answer is not quoted: {e}");
    }
    // Once is forgiven.
    let once = Cluster::new().with("/api/v1/pods", vec![pod("shop", "web")]);
    let fake = Fake::start(once.reply("/api/v1/pods", 1, Reply::CutOff(half.into())));
    assert_eq!(names(&everything(&fake).unwrap(), "Pod"), ["shop/web"]);
    // And slow is not broken.
    let bytewise = json!({"metadata": {}, "items": [pod("shop", "web")]}).to_string();
    let fake = Fake::start(Cluster::new().reply("/api/v1/pods", 1, Reply::Bytewise(bytewise)));
    assert_eq!(names(&everything(&fake).unwrap(), "Pod"), ["shop/web"]);
}

#[test]
fn a_server_that_repeats_a_page_for_ever_is_stopped() {
    let page = json!({"metadata": {"continue": "again"}, "items": []});
    let fake = Fake::start(Cluster::new().reply("/api/v1/pods", usize::MAX, ok(page)));
    let e = everything(&fake).unwrap_err();
    assert!(matches!(&e, AccessError::BadAnswer { why, .. } if why.contains("same continue token")), "{e:?}");
    // With a new token each time.
    let fake = Fake::start(Cluster::new().rule(|asked, nth| {
        let page = json!({"metadata": {"continue": nth.to_string()}, "items": []});
        (asked.path == "/api/v1/pods").then(|| ok(page))
    }));
    let e = everything(&fake).unwrap_err();
    assert!(matches!(&e, AccessError::BadAnswer { why, .. } if why == "more than 4000 pages"), "{e:?}");
}

#[test]
fn progress_is_told_after_each_page() {
    let pods = (0..1_200).map(|i| pod("shop", &format!("p-{i:04}"))).collect();
    let fake = Fake::start(Cluster::new().with("/api/v1/pods", pods));
    let (_home, client) = connection(&fake);
    let mut told = Vec::new();
    let mut note = |kind: &str, count: usize| told.push((kind.to_owned(), count));
    let snapshot = read_with_progress(&client, &ReadOptions::default(), &mut note).unwrap();
    let pods: Vec<usize> = told.iter().filter(|(kind, _)| kind == "pods").map(|(_, count)| *count).collect();
    assert_eq!(pods, [501, 1_001, 1_201]);
    assert_eq!(snapshot, read(&client, &ReadOptions::default()).unwrap());
}

#[test]
fn fields_may_come_in_any_order() {
    // `metadata` after `items`, unknown fields around them; and answers may be compressed.
    let odd =
        r#"{"x":[1,{"items":[]}],"items":[{"metadata":{"name":"a"}}],"kind":"PodList","metadata":{"continue":""}}"#;
    let fake = Fake::start(Cluster::new().reply("/api/v1/pods", 1, ok(odd)));
    assert_eq!(names(&everything(&fake).unwrap(), "Pod"), ["/a"]);
    assert!(fake.asked().iter().all(|a| a.headers.to_lowercase().contains("accept-encoding: gzip")));
}

#[test]
fn silence_in_the_middle_ends_in_a_timeout() {
    let fake = Fake::start(Cluster::new().reply("/api/v1/pods", 99, Reply::Silence));
    let home = Home::new();
    let mut access = home.to(&format!("http://127.0.0.1:{}", fake.port));
    access.timeouts.call = Duration::from_millis(300);
    let client = connect(&access).unwrap();
    let started = Instant::now();
    let e = read(&client, &ReadOptions::default()).unwrap_err();
    assert!(matches!(&e, AccessError::Timeout { what, .. } if what == "/api/v1/pods?limit=500"), "{e:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn credentials_that_expire_in_the_middle_are_not_a_partial_answer() {
    let fake = Fake::start(Cluster::new().reply("/api/v1/pods", 99, status(401, "expired")));
    assert!(matches!(everything(&fake), Err(AccessError::Unauthorized { .. })));
}

#[test]
fn a_saved_snapshot_is_one_sorted_list_that_says_what_is_missing() {
    let fake = Fake::start(
        Cluster::new()
            .with("/api/v1/pods", vec![pod("shop", "web"), pod("pay", "db")])
            .reply("/api/v1/services", 99, status(403, "no"))
            .reply("/api/v1/namespaces/shop/services", 99, status(403, "no")),
    );
    let snapshot = everything(&fake).unwrap();
    let home = Home::new();
    let file = home.path().join("snapshot.json");
    save(&snapshot, &file, "2026-11-24T10:00:00Z").unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
    assert_eq!(
        list["items"][0],
        json!({
            "apiVersion": "watertight.dev/v1", "kind": "SnapshotInfo", "metadata": {"name": "snapshot"},
            "context": "main", "takenAt": "2026-11-24T10:00:00Z", "serverVersion": "v1.37.1",
            "unread": [{"what": "services", "why": "forbidden: no"}],
        })
    );
    let order: Vec<&Value> = list["items"].as_array().unwrap()[1..].iter().map(|o| &o["metadata"]["name"]).collect();
    assert_eq!(order, ["shop", "db", "web"]);
    // One object a line, so that a line number in a message finds it.
    assert_eq!(text.lines().count(), 1 + 4 + 1);
    assert!(text.lines().skip(1).take(4).all(|l| serde_json::from_str::<Value>(l.trim_end_matches(',')).is_ok()));

    let mut shuffled = snapshot.clone();
    shuffled.pages.reverse();
    assert_eq!(shuffled.to_text("2026-11-24T10:00:00Z").unwrap(), text);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o777, 0o600);

    let e = save(&snapshot, &home.path().join("no/dir/x.json"), "t").unwrap_err();
    assert!(matches!(e, AccessError::Save { .. }), "{e:?}");
    let page: Value = serde_json::from_str(&snapshot.info_page()).unwrap();
    assert_eq!(page["items"][0]["unread"][0]["what"], "services");
    assert!(page["items"][0].get("takenAt").is_none());
}
