//! What `doctor` says about a cluster in order, a closed one, a partly forbidden one, and none.

use crate::fake::{Cluster, Fake, Home, closed_port, ok, status};
use serde_json::json;
use watertight_cluster::{Check, Group, Snapshot, Status, doctor};
use watertight_model::{Labels, Namespace, NamespaceId, Node, Origin, Service, Workload, WorkloadKind, World};

/// The reader of objects is another crate's: here, just enough of one.
fn world(snapshot: &Snapshot) -> Result<World, String> {
    let mut world = World { unread: snapshot.unread.clone(), ..World::default() };
    world.namespaces.push(Namespace {
        name: "kube-system".into(),
        labels: Labels::default(),
        annotations: Labels::default(),
        declared: true,
        terminating: false,
        origin: None,
    });
    for page in &snapshot.pages {
        let list: serde_json::Value = serde_json::from_str(page).map_err(|e| e.to_string())?;
        for item in list["items"].as_array().unwrap() {
            let name = item["metadata"]["name"].as_str().unwrap();
            match item["kind"].as_str().unwrap() {
                "DaemonSet" => world.workloads.push(Workload {
                    kind: WorkloadKind::DaemonSet,
                    namespace: NamespaceId(0),
                    name: name.into(),
                    template_labels: Labels::default(),
                    selector: None,
                    replicas: None,
                    schedule: None,
                    service_name: None,
                    images: Vec::new(),
                    annotations: Labels::default(),
                    origin: Origin::default(),
                }),
                "Service" => world.services.push(Service {
                    namespace: NamespaceId(0),
                    name: name.into(),
                    kind: Default::default(),
                    headless: false,
                    cluster_ips: Vec::new(),
                    selector: None,
                    ports: Vec::new(),
                    external_ips: Vec::new(),
                    source_ranges: Vec::new(),
                    local_traffic: false,
                    external_name: None,
                    origin: Origin::default(),
                }),
                "Node" => world.nodes.push(Node {
                    name: name.into(),
                    labels: Labels::default(),
                    annotations: Labels::default(),
                    addresses: Vec::new(),
                    pod_cidrs: Vec::new(),
                    origin: Origin::default(),
                }),
                _ => {}
            }
        }
    }
    Ok(world)
}

fn checks(cluster: Cluster) -> (Vec<Check>, Fake) {
    let fake = Fake::start(cluster);
    (doctor(&Home::new().to(&format!("http://127.0.0.1:{}", fake.port)), world), fake)
}

#[track_caller]
fn check<'a>(checks: &'a [Check], group: Group, name: &str) -> &'a Check {
    checks.iter().find(|c| c.group == group && c.name == name).unwrap_or_else(|| panic!("{name}: {checks:#?}"))
}

fn named(name: &str) -> serde_json::Value {
    json!({"metadata": {"name": name, "namespace": "kube-system"}})
}

#[test]
fn a_cluster_in_order() {
    let cluster = Cluster::new()
        .with("/apis/apps/v1/daemonsets", vec![named("cilium")])
        .with("/api/v1/services", vec![named("hubble-relay")]);
    let (checks, fake) = checks(cluster);
    assert!(checks.is_sorted_by_key(|c| c.group));
    let context = check(&checks, Group::Kubeconfig, "context");
    assert!(context.message.starts_with("context `main` of `") && context.message.ends_with("namespace `shop`"));
    let api = check(&checks, Group::Api, "reachable");
    assert_eq!(api.message, format!("Kubernetes v1.37.1 at http://127.0.0.1:{}", fake.port));
    let identity = check(&checks, Group::Api, "identity");
    assert_eq!(identity.status, Status::Ok);
    assert!(identity.message.starts_with("plain http to this host itself"), "{}", identity.message);
    assert_eq!(check(&checks, Group::Rights, "list").message, "all 13 kinds may be listed across the cluster");
    assert_eq!(check(&checks, Group::Plugin, "enforcement").status, Status::Ok);
    assert!(check(&checks, Group::Plugin, "Cilium").message.contains("DaemonSet `kube-system/cilium`"));
    assert_eq!(check(&checks, Group::Flows, "hubble-relay").status, Status::Ok);
    assert!(checks.iter().any(|c| c.group == Group::Host));
    assert_eq!(fake.times("/api/v1/pods"), 0, "pods are many, and no check needs them");
    assert!(fake.asked().iter().all(|a| a.method == "GET" || a.path.ends_with("/selfsubjectaccessreviews")));
}

#[test]
fn what_may_not_be_listed_comes_with_the_role_that_allows_it() {
    let denied = |resources: &'static [&'static str]| {
        move |asked: &crate::fake::Asked, _: usize| {
            if !asked.path.ends_with("/selfsubjectaccessreviews") {
                return None;
            }
            let review: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
            let resource = review["spec"]["resourceAttributes"]["resource"].as_str().unwrap().to_owned();
            Some(ok(json!({"status": {"allowed": !resources.contains(&resource.as_str())}})))
        }
    };
    let (some, _) = checks(Cluster::new().rule(denied(&["nodes", "ingresses", "networkpolicies"])));
    let list = check(&some, Group::Rights, "list");
    assert_eq!(list.status, Status::Fail, "without policies nothing can be said");
    assert!(list.message.starts_with("3 of 13 kinds") && list.message.contains("ingresses.networking.k8s.io"));
    let role = list.hint.as_ref().unwrap();
    assert!(role.contains("- apiGroups: [\"\"]\n  resources: [nodes]\n  verbs: [list]\n"), "{role}");
    assert!(
        role.contains("- apiGroups: [\"networking.k8s.io\"]\n  resources: [ingresses, networkpolicies]\n"),
        "{role}"
    );
    let (few, _) = checks(Cluster::new().rule(denied(&["ingresses"])));
    assert_eq!(check(&few, Group::Rights, "list").status, Status::Warn);
}

#[test]
fn where_reviews_are_refused_lists_are_tried() {
    let cluster = Cluster::new()
        .rule(|asked, _| asked.path.ends_with("/selfsubjectaccessreviews").then(|| status(403, "no")))
        .reply("/api/v1/nodes", 99, status(403, "no"));
    let (checks, _) = checks(cluster);
    let list = check(&checks, Group::Rights, "list");
    assert_eq!(list.status, Status::Warn);
    assert!(list.message.ends_with("incomplete: nodes"), "{}", list.message);
}

#[test]
fn a_plugin_that_enforces_nothing_and_one_that_is_not_known() {
    let (flannel, _) = checks(Cluster::new().with("/apis/apps/v1/daemonsets", vec![named("kube-flannel-ds")]));
    let enforcement = check(&flannel, Group::Plugin, "enforcement");
    assert_eq!(enforcement.status, Status::Warn, "a warning while there is no policy");
    assert!(enforcement.message.starts_with("nothing enforces policies") && enforcement.hint.is_some());
    assert_eq!(check(&flannel, Group::Flows, "sources").status, Status::Warn);

    let (nothing, _) = checks(Cluster::new());
    assert_eq!(check(&nothing, Group::Plugin, "enforcement").status, Status::Unknown);
    let (blind, _) = checks(Cluster::new().rule(|a, _| a.path.ends_with("/daemonsets").then(|| status(403, "no"))));
    let enforcement = check(&blind, Group::Plugin, "enforcement");
    assert!(enforcement.message.contains("may not be read"), "{}", enforcement.message);
}

#[test]
fn no_cluster_is_one_failure_and_the_rest_is_unknown() {
    let home = Home::new();
    let closed = doctor(&home.to(&format!("http://127.0.0.1:{}", closed_port())), world);
    let api = check(&closed, Group::Api, "reachable");
    assert!(api.status == Status::Fail && api.message.contains("refused the connection") && api.hint.is_some());
    for (group, name) in [(Group::Rights, "list"), (Group::Plugin, "enforcement"), (Group::Flows, "sources")] {
        assert_eq!(check(&closed, group, name).status, Status::Unknown);
    }
    let missing = doctor(&crate::fake::access(Some(home.path().join("gone"))), world);
    assert_eq!(check(&missing, Group::Kubeconfig, "context").status, Status::Fail);
    assert_eq!(missing.iter().filter(|c| c.status == Status::Fail).count(), 1);
}

#[test]
fn a_cluster_that_fails_in_the_middle_says_so() {
    let (broken, _) = checks(Cluster::new().reply("/api/v1/nodes", 99, ok("<html>")));
    let reading = check(&broken, Group::Api, "reading");
    assert!(reading.status == Status::Fail && reading.message.contains("/api/v1/nodes"), "{reading:?}");
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let odd = doctor(&home.to(&format!("http://127.0.0.1:{}", fake.port)), |_| Err("line 3".into()));
    let plugin = check(&odd, Group::Plugin, "enforcement");
    assert!(plugin.status == Status::Unknown && plugin.message.ends_with("line 3"));
}
