//! A cluster with objects applied to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use watertight_ingest::{Input, Options, read_applied};
use watertight_model::{World, label::Str};

const CLUSTER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a, tier: low}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-7f
  namespace: shop
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-7f-x
  namespace: shop
  labels: {app: web}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-7f, uid: v, controller: true}]
spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: in, namespace: shop}
spec: {podSelector: {}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: other, namespace: shop}
spec: {podSelector: {}}
";

fn world(over: &str) -> World {
    let text = |name: &str, text: &str| Input::Text { name: name.to_owned(), text: text.to_owned() };
    read_applied(&[text("cluster", CLUSTER)], &[text("over.yaml", over)], &Options::default()).unwrap().world
}

fn pods(world: &World) -> Vec<(&str, Option<&Str>, bool)> {
    world.pods.iter().map(|p| (&*p.name, p.labels.get("app"), p.template)).collect()
}

fn deployment(labels: &str, port: u16) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec:\n  selector: {{matchLabels: \
         {{{labels}}}}}\n  template: {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: c, ports: \
         [{{containerPort: {port}}}]}}]}}}}\n"
    )
}

#[test]
fn pods_stay_unless_the_template_makes_others() {
    let web = Str::from("web");
    assert_eq!(pods(&world(&deployment("app: web", 80))), [("web-7f-x", Some(&web), false)]);
    let new = Str::from("new");
    assert_eq!(pods(&world(&deployment("app: new", 80))), [("web", Some(&new), true)]);
    assert_eq!(pods(&world(&deployment("app: web", 81))), [("web", Some(&web), true)]);
}

#[test]
fn a_policy_takes_the_place_of_its_namesake_and_nothing_is_pruned() {
    let over = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: in, namespace: shop}\nspec: {podSelector: {matchLabels: {a: b}}}\n";
    let world = world(over);
    let found: Vec<_> =
        world.policies.iter().map(|p| (&*p.name, p.subject.is_everything(), p.origin.source.0)).collect();
    assert_eq!(found, [("in", false, 1), ("other", true, 0)]);
    assert_eq!(world.workloads.len(), 1, "the rest is as it was");
}

#[test]
fn labels_of_a_namespace_are_added() {
    let world = world("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: b, new: x}}\n");
    let labels = &world.namespaces[0].labels;
    let of = |key: &str| labels.get(key).map(|v| v.to_string());
    assert_eq!([of("team"), of("tier"), of("new")], [Some("b".into()), Some("low".into()), Some("x".into())]);
}

#[test]
fn faults_of_the_objects_refuse_both() {
    let text = |name: &str, text: &str| Input::Text { name: name.to_owned(), text: text.to_owned() };
    let over = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: in, namespace: shop}\nspec: {podSelecter: {}}\n";
    let refused = read_applied(&[text("cluster", CLUSTER)], &[text("over.yaml", over)], &Options::default());
    let refused = refused.unwrap_err();
    let first = refused.diagnostics.first().unwrap();
    assert_eq!(&*refused.sources[first.at.unwrap().source.0 as usize].name, "over.yaml", "{first:?}");
}
