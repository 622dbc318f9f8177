//! OpenReports (`openreports.io/v1alpha1`): a Report per namespace and one ClusterReport, as a List for `kubectl apply -f -`.
//!
//! Field names after `apis/openreports.io/v1alpha1/report_types.go` of openreports/reports-api. Reports have no timestamp: the
//! same input gives the same bytes.

use super::results::{Item, Level, Outcome, Results};
use crate::text::clean;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Results that one report lists, worst first, so that it stays far below the 1.5 MiB that etcd takes; its summary counts all.
const LISTED: usize = 1_000;

/// The List.
pub fn list(results: &Results) -> Value {
    let mut by_namespace: BTreeMap<Option<&str>, Vec<&Item>> = BTreeMap::new();
    // There is always a report for the cluster: that nothing was found is a result too.
    by_namespace.insert(None, Vec::new());
    for item in &results.items {
        let namespace = match item.object_parts() {
            (Some("Namespace"), _, name) => name,
            (_, namespace, _) => namespace,
        };
        by_namespace.entry(namespace).or_default().push(item);
    }
    let items: Vec<Value> =
        by_namespace.iter().map(|(namespace, items)| report(&results.name("-"), *namespace, items)).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn report(name: &str, namespace: Option<&str>, items: &[&Item]) -> Value {
    let mut summary = BTreeMap::from([("pass", 0_usize), ("fail", 0), ("warn", 0), ("error", 0), ("skip", 0)]);
    for item in items {
        *summary.entry(word(item)).or_default() += 1;
    }
    let mut metadata = json!({"name": name, "labels": {"app.kubernetes.io/managed-by": "watertight"}});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    json!({
        "apiVersion": "openreports.io/v1alpha1",
        "kind": if namespace.is_some() { "Report" } else { "ClusterReport" },
        "metadata": metadata,
        "source": "watertight",
        "configuration": {"limits": {"maxResults": LISTED}},
        "summary": summary,
        "results": items.iter().take(LISTED).map(|item| result(item)).collect::<Vec<_>>(),
    })
}

/// `fail` for errors, `warn` for what is milder.
fn word(item: &Item) -> &'static str {
    match (&item.outcome, item.level) {
        (Outcome::Pass, _) => "pass",
        (Outcome::Error, _) => "error",
        (Outcome::Suppressed(_) | Outcome::Baselined, _) => "skip",
        (Outcome::Fail, Level::Error) => "fail",
        (Outcome::Fail, Level::Warning | Level::Note) => "warn",
    }
}

fn result(item: &Item) -> Value {
    let severity = match item.level {
        Level::Error if item.score >= 9.0 => "critical",
        Level::Error => "high",
        Level::Warning => "medium",
        Level::Note => "low",
    };
    let mut properties = BTreeMap::new();
    if let Some(place) = &item.place {
        properties.insert("file", clean(&place.file).into_owned());
        properties.insert("line", place.line.to_string());
        properties.insert("column", place.column.to_string());
    }
    let texts = [("object", &item.object), ("fingerprint", &item.fingerprint)];
    properties.extend(
        texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key, clean(text).into_owned())),
    );
    if let Some(help) = &item.help {
        properties.insert("help", clean(help).into_owned());
    }
    match &item.outcome {
        Outcome::Suppressed(reason) => properties.insert("accepted", format!("suppressed: {}", clean(reason))),
        Outcome::Baselined => properties.insert("accepted", "in the baseline".to_owned()),
        Outcome::Pass | Outcome::Fail | Outcome::Error => None,
    };
    let mut out = json!({
        "policy": item.rule,
        "category": "network policy",
        "severity": severity,
        "result": word(item),
        "scored": true,
        "message": item.sentence(),
        "properties": properties,
    });
    if !item.name.is_empty() {
        out["rule"] = item.name.as_str().into();
    }
    if let (Some(kind), namespace, Some(name)) = item.object_parts() {
        let mut resource = json!({"kind": kind, "name": name});
        if let Some(version) = api_version(kind) {
            resource["apiVersion"] = version.into();
        }
        if let Some(namespace) = namespace {
            resource["namespace"] = namespace.into();
        }
        out["resources"] = json!([resource]);
    }
    out
}

/// The group and version of the kinds that findings are about.
fn api_version(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Namespace" | "Pod" | "Service" | "Node" | "ReplicationController" => "v1",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => "apps/v1",
        "Job" | "CronJob" => "batch/v1",
        "NetworkPolicy" | "Ingress" => "networking.k8s.io/v1",
        "ClusterNetworkPolicy" => "policy.networking.k8s.io/v1alpha2",
        "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" => "policy.networking.k8s.io/v1alpha1",
        _ => return None,
    })
}
