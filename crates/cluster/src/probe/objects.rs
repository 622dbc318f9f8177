//! What the probe creates, as JSON; and the rights that it takes.

use super::NAMESPACE;
use serde_json::{Value, json};

/// On every object of a probe.
const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "watertight-probe");
/// Which run a namespace belongs to.
const RUN: &str = "watertight.dev/run";
/// Where the server listens.
pub(super) const PORT: u16 = 8080;

/// The rights that a probe takes, as a ClusterRole.
pub(super) const ROLE: &str = include_str!("../../../../deploy/probe.yaml");

pub(super) const NAMESPACES: &str = "/api/v1/namespaces";

pub(super) fn namespace_path() -> String {
    format!("{NAMESPACES}/{NAMESPACE}")
}

pub(super) fn pods_path() -> String {
    format!("{NAMESPACES}/{NAMESPACE}/pods")
}

pub(super) fn policies_path() -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies")
}

pub(super) fn namespace(run: &str) -> String {
    let (key, value) = LABEL;
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {key: value, "pod-security.kubernetes.io/enforce": "restricted"},
            "annotations": {RUN: run},
        },
    })
    .to_string()
}

/// True if a probe made this namespace.
pub(super) fn is_ours(namespace: &Value) -> bool {
    namespace["metadata"]["labels"][LABEL.0] == LABEL.1
}

/// True if this run made it.
pub(super) fn is_of(namespace: &Value, run: &str) -> bool {
    is_ours(namespace) && namespace["metadata"]["annotations"][RUN] == run
}

/// Deletes this very object and no successor of the same name.
pub(super) fn deletion(uid: &str) -> String {
    json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}).to_string()
}

/// A pod that the strictest pod security standard admits.
pub(super) fn pod(name: &str, image: &str, args: &[String]) -> String {
    let (key, value) = LABEL;
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {key: value, "app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "canary",
                "image": image,
                "args": args,
                // The last words of one that failed are in its status: no right to read logs is needed.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"cpu": "500m", "memory": "128Mi"},
                },
            }],
        },
    })
    .to_string()
}

/// Denies every connection to every pod of the namespace.
pub(super) fn deny(name: &str) -> String {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    })
    .to_string()
}
