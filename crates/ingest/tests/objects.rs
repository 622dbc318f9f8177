//! Objects that come and go one at a time give the world that a reader of all of them gives.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use serde_json::{Value, json};
use watertight_ingest::{Input, Key, Objects, Options, Severity, read};
use watertight_model::World;
use watertight_model::world::Unread;

fn key(object: &Value) -> Key {
    let text = |v: &Value| v.as_str().unwrap_or_default().into();
    Key {
        what: text(&object["kind"]),
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]),
    }
}

fn put(objects: &mut Objects, object: &Value) {
    objects.put(key(object), &object.to_string());
}

fn pod(name: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": app},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": true}]},
        "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1"}})
}

fn some() -> Vec<Value> {
    let policy = |kind: &str, version: &str, spec: Value| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "p", "namespace": "shop"}, "spec": spec});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"podCIDR": "10.0.0.0/24"}}),
        pod("db-0", "db"),
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "db"}},
                "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c"}]}}}}),
        policy(
            "NetworkPolicy",
            "networking.k8s.io/v1",
            json!({"podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": "http"}]}]}),
        ),
        policy("CiliumNetworkPolicy", "cilium.io/v2", json!({})),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"selector": {"app": "db"}, "ports": [{"port": 80, "targetPort": "http"}]}}),
    ]
}

/// The world without its places and sources, which say how it was read.
fn meaning(world: &World) -> String {
    let whole = format!("{:?}", World { sources: Vec::new(), ..world.clone() });
    let mut out = String::new();
    let mut rest = whole.as_str();
    while let Some((before, after)) = rest.split_once("Origin {") {
        out.push_str(before);
        rest = after.split_once("} ").map_or(after, |(_, tail)| tail);
    }
    out + rest
}

fn read_all(objects: &[Value]) -> World {
    let text = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    read(&[Input::Text { name: "cluster:x".into(), text }], &Options::default()).unwrap().world
}

#[test]
fn the_world_is_the_one_that_the_reader_of_files_makes() {
    let mut objects = Objects::new("cluster:x", Options::default());
    for object in some().iter().rev() {
        put(&mut objects, object);
    }
    let loaded = objects.world(&[]);
    assert_eq!(meaning(&loaded.world), meaning(&read_all(&some())));
    assert_eq!(&*loaded.world.sources[0].name, "cluster:x");
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.counts.objects.get("Pod"), Some(&1));
    // What is compared does see a difference.
    put(&mut objects, &pod("db-0", "other"));
    assert_ne!(meaning(&objects.world(&[]).world), meaning(&read_all(&some())));
}

#[test]
fn what_was_put_before_leaves_no_trace() {
    let mut long = Objects::new("cluster:x", Options::default());
    put(&mut long, &pod("db-0", "older"));
    put(&mut long, &pod("gone", "x"));
    put(&mut long, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pay"}}));
    let between = long.world(&[]).world;
    assert_eq!((between.pods.len(), between.namespaces.len()), (2, 2));
    for object in &some() {
        put(&mut long, object);
    }
    long.remove(&key(&pod("gone", "x")));
    long.remove(&key(&json!({"kind": "Namespace", "metadata": {"name": "pay"}})));
    long.remove(&key(&pod("never-was", "x")));
    let mut short = Objects::new("cluster:x", Options::default());
    some().iter().for_each(|object| put(&mut short, object));
    assert_eq!(format!("{:?}", long.world(&[])), format!("{:?}", short.world(&[])));
    assert_eq!(long.len(), some().len());
}

#[test]
fn what_cannot_be_understood_is_named_and_hides_nothing_else() {
    let mut objects = Objects::new("cluster:x", Options::default());
    some().iter().for_each(|object| put(&mut objects, object));
    let mut broken = some()[4].clone();
    broken["spec"]["ingress"][0]["ports"][0]["port"] = json!(70_000);
    put(&mut objects, &broken);
    let forbidden = Unread { what: "nodes".into(), namespace: None, why: "forbidden".into() };
    let loaded = objects.world(std::slice::from_ref(&forbidden));
    assert_eq!((objects.refused(), objects.len()), (1, some().len()));
    assert!(loaded.world.policies.is_empty() && loaded.world.pods.len() == 1);
    let [unread, other] = &loaded.world.unread[..] else { panic!("{:?}", loaded.world.unread) };
    assert_eq!((&*unread.what, unread.namespace.as_deref()), ("NetworkPolicy", Some("shop")));
    assert!(unread.why.starts_with("`p` cannot be understood: spec.ingress[0].ports[0].port"), "{}", unread.why);
    assert_eq!(*other, forbidden);
    assert!(loaded.diagnostics.iter().any(|d| d.severity == Severity::Error && d.code == "WT0004"));

    // Text that is not even JSON; and both are forgotten when they are put right.
    objects.put(key(&some()[0]), "{");
    assert_eq!((objects.refused(), objects.world(&[]).world.unread.len()), (2, 2));
    some().iter().for_each(|object| put(&mut objects, object));
    let loaded = objects.world(&[]);
    assert_eq!((objects.refused(), loaded.world.unread.len(), loaded.diagnostics.len()), (0, 0, 0));
    assert_eq!(meaning(&loaded.world), meaning(&read_all(&some())));
}
