//! What is kept of an object.
//!
//! Input: an object as the API server gave it. Output: the same object with only the fields that a verdict, a finding
//! or a lesson can rest on. INVARIANT: everything is dropped unless a table below names it, so that environment
//! values, arguments, commands, probe headers, `last-applied-configuration` and whatever the next Kubernetes adds
//! cannot reach a snapshot.

use crate::kinds::Shape;
use serde_json::{Map, Value};

/// What is kept of a value.
enum Keep {
    /// Everything.
    All,
    /// These fields of an object, or of every object in a list.
    Fields(&'static [(&'static str, Keep)]),
    /// Annotations that [`ANNOTATIONS`] names.
    Annotations,
    /// Conditions of type `Ready`.
    Readiness,
}

use Keep::{All, Annotations, Fields, Readiness};

/// Annotations are free text, and tools put whole objects into them: only families that are looked at are kept.
const ANNOTATIONS: &[&str] = &[
    "watertight.dev/",
    "kubernetes.io/ingress.class",
    // Further interfaces.
    "k8s.v1.cni.cncf.io/",
    "v1.multus-cni.io/",
    // Network plugins, on nodes.
    "flannel.alpha.coreos.com/",
    "projectcalico.org/",
    "cni.projectcalico.org/",
    "network.cilium.io/",
    "io.cilium.network.",
    "node.antrea.io/",
    "k8s.ovn.org/",
    "ovn.kubernetes.io/",
    "kube-router.io/",
    // Meshes.
    "sidecar.istio.io/",
    "traffic.sidecar.istio.io/",
    "ambient.istio.io/",
    "istio.io/",
    "linkerd.io/",
    "config.linkerd.io/",
    // Internal load balancers.
    "service.beta.kubernetes.io/",
    "networking.gke.io/",
    "cloud.google.com/",
];

/// Where k3s notes its command line: only the flags that concern the network are kept.
const K3S_ARGS: &str = "k3s.io/node-args";
const K3S_FLAGS: &[&str] = &["--disable-network-policy", "--flannel-backend"];

const META: Keep = Fields(&[
    ("name", All),
    ("namespace", All),
    ("labels", All),
    ("annotations", Annotations),
    ("ownerReferences", Fields(&[("apiVersion", All), ("kind", All), ("name", All), ("controller", All)])),
    ("deletionTimestamp", All),
]);

/// As [`META`]; control groups of a node's processes are named after the pod's uid.
const POD_META: Keep = Fields(&[
    ("name", All),
    ("namespace", All),
    ("uid", All),
    ("labels", All),
    ("annotations", Annotations),
    ("ownerReferences", Fields(&[("apiVersion", All), ("kind", All), ("name", All), ("controller", All)])),
    ("deletionTimestamp", All),
]);

/// Which port is asked; never headers or commands.
const PROBE: Keep = Fields(&[
    ("httpGet", Fields(&[("port", All), ("host", All), ("scheme", All)])),
    ("tcpSocket", Fields(&[("port", All), ("host", All)])),
    ("grpc", Fields(&[("port", All)])),
]);

const CONTAINER: Keep = Fields(&[
    ("name", All),
    ("image", All),
    ("ports", All),
    ("restartPolicy", All),
    ("securityContext", Fields(&[("privileged", All), ("capabilities", All)])),
    ("livenessProbe", PROBE),
    ("readinessProbe", PROBE),
    ("startupProbe", PROBE),
]);

const POD_SPEC: Keep = Fields(&[
    ("containers", CONTAINER),
    ("initContainers", CONTAINER),
    ("nodeName", All),
    ("nodeSelector", All),
    ("tolerations", All),
    ("hostNetwork", All),
    ("hostPID", All),
    ("hostIPC", All),
    ("hostname", All),
    ("subdomain", All),
    ("dnsPolicy", All),
    ("dnsConfig", All),
    ("restartPolicy", All),
    ("serviceAccountName", All),
    ("volumes", Fields(&[("name", All), ("hostPath", All)])),
]);

const TEMPLATE: Keep =
    Fields(&[("metadata", Fields(&[("labels", All), ("annotations", Annotations)])), ("spec", POD_SPEC)]);

const NAMESPACE: Keep = Fields(&[("metadata", META), ("status", Fields(&[("phase", All)]))]);

const NODE: Keep = Fields(&[
    ("metadata", META),
    ("spec", Fields(&[("podCIDR", All), ("podCIDRs", All), ("taints", All), ("unschedulable", All)])),
    (
        "status",
        Fields(&[
            ("addresses", All),
            ("conditions", Readiness),
            (
                "nodeInfo",
                Fields(&[
                    ("kernelVersion", All),
                    ("osImage", All),
                    ("operatingSystem", All),
                    ("architecture", All),
                    ("containerRuntimeVersion", All),
                    ("kubeletVersion", All),
                ]),
            ),
        ]),
    ),
]);

const POD: Keep = Fields(&[
    ("metadata", POD_META),
    ("spec", POD_SPEC),
    (
        "status",
        Fields(&[
            ("phase", All),
            ("podIP", All),
            ("podIPs", All),
            ("hostIP", All),
            ("hostIPs", All),
            ("conditions", Readiness),
        ]),
    ),
]);

const WORKLOAD: Keep = Fields(&[
    ("metadata", META),
    (
        "spec",
        Fields(&[
            ("replicas", All),
            ("selector", All),
            ("template", TEMPLATE),
            ("serviceName", All),
            ("schedule", All),
            ("suspend", All),
            ("completions", All),
            ("parallelism", All),
            ("ordinals", All),
            ("jobTemplate", Fields(&[("metadata", META), ("spec", Fields(&[("template", TEMPLATE)]))])),
        ]),
    ),
]);

const SERVICE: Keep = Fields(&[
    ("metadata", META),
    (
        "spec",
        Fields(&[
            ("type", All),
            ("selector", All),
            ("ports", All),
            ("clusterIP", All),
            ("clusterIPs", All),
            ("externalIPs", All),
            ("externalName", All),
            ("externalTrafficPolicy", All),
            ("internalTrafficPolicy", All),
            ("ipFamilies", All),
            ("ipFamilyPolicy", All),
            ("loadBalancerSourceRanges", All),
            ("publishNotReadyAddresses", All),
        ]),
    ),
]);

const ENDPOINT_SLICE: Keep = Fields(&[
    ("metadata", META),
    ("addressType", All),
    (
        "endpoints",
        Fields(&[
            ("addresses", All),
            ("conditions", All),
            ("nodeName", All),
            ("targetRef", Fields(&[("kind", All), ("namespace", All), ("name", All)])),
        ]),
    ),
    ("ports", All),
]);

const INGRESS: Keep = Fields(&[
    ("metadata", META),
    ("spec", Fields(&[("ingressClassName", All), ("defaultBackend", All), ("rules", All)])),
]);

const GATEWAY: Keep = Fields(&[
    ("metadata", META),
    (
        "spec",
        Fields(&[
            ("gatewayClassName", All),
            ("listeners", Fields(&[("name", All), ("port", All), ("protocol", All), ("allowedRoutes", All)])),
        ]),
    ),
]);

/// Where traffic goes; never what requests must hold or what is written into them.
const ROUTE: Keep = Fields(&[
    ("metadata", META),
    (
        "spec",
        Fields(&[
            ("parentRefs", All),
            (
                "rules",
                Fields(&[
                    ("backendRefs", BACKEND_REF),
                    ("filters", Fields(&[("type", All), ("requestMirror", Fields(&[("backendRef", BACKEND_REF)]))])),
                ]),
            ),
        ]),
    ),
]);

const BACKEND_REF: Keep =
    Fields(&[("group", All), ("kind", All), ("namespace", All), ("name", All), ("port", All), ("weight", All)]);

const POLICY: Keep = Fields(&[("metadata", META), ("spec", All), ("specs", All)]);

/// The object without what nobody needs, as `apiVersion` and `kind` (which typed lists leave out) and the kept fields.
pub(crate) fn slim(shape: Shape, api_version: &str, kind: &str, object: Map<String, Value>) -> Value {
    let table = match shape {
        Shape::Namespace => &NAMESPACE,
        Shape::Node => &NODE,
        Shape::Pod => &POD,
        Shape::Workload => &WORKLOAD,
        Shape::Service => &SERVICE,
        Shape::EndpointSlice => &ENDPOINT_SLICE,
        Shape::Ingress => &INGRESS,
        Shape::Gateway => &GATEWAY,
        Shape::Route => &ROUTE,
        Shape::Policy => &POLICY,
    };
    let mut out = Map::new();
    out.insert("apiVersion".into(), api_version.into());
    out.insert("kind".into(), kind.into());
    if let Some(Value::Object(kept)) = keep(table, Value::Object(object)) {
        out.extend(kept);
    }
    Value::Object(out)
}

/// The part of a value that is kept; `None` if nothing is. A value of a shape that the table does not expect is dropped:
/// it is not known to be harmless.
fn keep(table: &Keep, value: Value) -> Option<Value> {
    match (table, value) {
        (All, value) => Some(value),
        (_, Value::Null) => Some(Value::Null),
        (Fields(fields), Value::Object(mut object)) => {
            let kept = fields.iter().filter_map(|(name, inner)| {
                let value = object.remove(*name)?;
                Some(((*name).to_owned(), keep(inner, value)?))
            });
            Some(Value::Object(kept.collect()))
        }
        (Fields(_), Value::Array(list)) => {
            Some(Value::Array(list.into_iter().filter_map(|item| keep(table, item)).collect()))
        }
        (Annotations, Value::Object(all)) => {
            let kept: Map<String, Value> = all.into_iter().filter_map(|(key, value)| annotation(key, value)).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        (Readiness, Value::Array(list)) => {
            let ready = list.into_iter().filter(|c| c.get("type").is_some_and(|t| t == "Ready"));
            const CONDITION: Keep = Fields(&[("type", All), ("status", All)]);
            Some(Value::Array(ready.filter_map(|c| keep(&CONDITION, c)).collect()))
        }
        (Fields(_) | Annotations | Readiness, _) => None,
    }
}

fn annotation(key: String, value: Value) -> Option<(String, Value)> {
    if key == K3S_ARGS {
        // A JSON list of words: `["server","--flannel-backend","none","--token","..."]`.
        let words: Vec<String> = serde_json::from_str(value.as_str()?).ok()?;
        let mut kept = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            if !K3S_FLAGS.iter().any(|flag| word.split('=').next() == Some(*flag)) {
                continue;
            }
            let takes_value = !word.contains('=');
            kept.push(word);
            kept.extend(words.next_if(|next| takes_value && !next.starts_with('-')));
        }
        return Some((key, Value::String(serde_json::to_string(&kept).ok()?)));
    }
    // k3s writes this on every node: it is how k3s is recognised.
    let kept = key == "k3s.io/hostname" || ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix));
    kept.then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slimmed(shape: Shape, object: Value) -> Value {
        let Value::Object(object) = object else { panic!("an object") };
        slim(shape, "v1", "X", object)
    }

    #[test]
    fn a_pod_keeps_what_verdicts_need_and_no_secret() {
        let pod = json!({
            "metadata": {
                "name": "web-0", "namespace": "shop", "labels": {"app": "web"}, "uid": "u", "resourceVersion": "7",
                "managedFields": [{"x": "SECRET"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "{\"env\":\"SECRET\"}",
                    "k8s.v1.cni.cncf.io/networks": "macvlan-a",
                },
            },
            "spec": {
                "hostNetwork": false, "nodeName": "n1",
                "containers": [{
                    "name": "web", "image": "web:1", "env": [{"name": "PASSWORD", "value": "SECRET"}],
                    "args": ["--token=SECRET"], "command": ["SECRET"], "envFrom": [{"secretRef": {"name": "SECRET"}}],
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "livenessProbe": {"httpGet": {"port": 8080, "httpHeaders": [{"name": "A", "value": "SECRET"}]}},
                    "readinessProbe": {"exec": {"command": ["psql", "SECRET"]}},
                    "securityContext": {"privileged": true, "seLinuxOptions": {"user": "SECRET"}},
                    "lifecycle": {"preStop": {"exec": {"command": ["SECRET"]}}},
                }],
                "volumes": [{"name": "v", "hostPath": {"path": "/run"}}, {"name": "s", "secret": {"secretName": "SECRET"}}],
            },
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "message": "SECRET",
                "conditions": [{"type": "Ready", "status": "True", "message": "SECRET"}, {"type": "Other"}],
            },
        });
        let kept = slimmed(Shape::Pod, pod);
        assert!(!kept.to_string().contains("SECRET"), "{kept}");
        let wanted = json!({
            "apiVersion": "v1", "kind": "X",
            "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}, "uid": "u",
                "annotations": {"k8s.v1.cni.cncf.io/networks": "macvlan-a"}},
            "spec": {"hostNetwork": false, "nodeName": "n1", "containers": [{
                "name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}],
                "livenessProbe": {"httpGet": {"port": 8080}}, "readinessProbe": {},
                "securityContext": {"privileged": true}}],
                "volumes": [{"name": "v", "hostPath": {"path": "/run"}}, {"name": "s"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(kept, wanted);
    }

    #[test]
    fn environment_is_dropped_from_every_template() {
        let env = json!([{"name": "P", "value": "SECRET"}]);
        let template = json!({"spec": {"containers": [{"name": "c", "env": env}], "initContainers": [{"env": env}]}});
        let workload = json!({"spec": {"template": template, "jobTemplate": {"spec": {"template": template}}},
            "status": {"x": "SECRET"}});
        let kept = slimmed(Shape::Workload, workload);
        assert!(!kept.to_string().contains("SECRET"), "{kept}");
        assert_eq!(kept["spec"]["template"]["spec"]["containers"][0]["name"], "c");
        assert_eq!(kept["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["name"], "c");
    }

    #[test]
    fn a_policy_is_kept_as_it_is() {
        let spec = json!({"podSelector": {}, "unknownField": [1, null]});
        let kept = slimmed(Shape::Policy, json!({"metadata": {"name": "p"}, "spec": spec, "status": {}}));
        assert_eq!(kept["spec"], spec);
        assert!(kept.get("status").is_none());
    }

    #[test]
    fn a_route_keeps_where_traffic_goes_and_no_header() {
        let backend = json!({"name": "web", "port": 80, "filters": [{"requestHeaderModifier": {"set": "SECRET"}}]});
        let route = json!({
            "metadata": {"name": "r", "namespace": "shop"},
            "spec": {
                "parentRefs": [{"name": "edge", "sectionName": "https"}],
                "hostnames": ["SECRET.example"],
                "rules": [{
                    "matches": [{"headers": [{"name": "A", "value": "SECRET"}]}],
                    "filters": [
                        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"value": "SECRET"}]}},
                        {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 81}}},
                    ],
                    "backendRefs": [backend],
                }],
            },
            "status": {"parents": ["SECRET"]},
        });
        let kept = slimmed(Shape::Route, route);
        assert!(!kept.to_string().contains("SECRET"), "{kept}");
        let rules = json!([{
            "filters": [
                {"type": "RequestHeaderModifier"},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 81}}},
            ],
            "backendRefs": [{"name": "web", "port": 80}],
        }]);
        let spec = json!({"parentRefs": [{"name": "edge", "sectionName": "https"}], "rules": rules});
        assert_eq!(kept["spec"], spec);

        let listener = json!({"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": ["SECRET"]},
            "allowedRoutes": {"namespaces": {"from": "All"}}});
        let gateway = json!({"spec": {"gatewayClassName": "c", "listeners": [listener], "infrastructure": "SECRET"}});
        let kept = slimmed(Shape::Gateway, gateway);
        assert!(!kept.to_string().contains("SECRET"), "{kept}");
        assert_eq!(kept["spec"]["listeners"][0]["allowedRoutes"], json!({"namespaces": {"from": "All"}}));
    }

    #[test]
    fn k3s_flags_about_the_network_stay_and_tokens_go() {
        let args =
            json!(["server", "--token", "SECRET", "--flannel-backend", "none", "--disable-network-policy", "true"]);
        let node = json!({"metadata": {"name": "n", "annotations": {
            "k3s.io/node-args": args.to_string(), "k3s.io/node-env": "SECRET", "k3s.io/hostname": "n"}}});
        let kept = slimmed(Shape::Node, node);
        let wanted = json!({"k3s.io/hostname": "n",
            "k3s.io/node-args": "[\"--flannel-backend\",\"none\",\"--disable-network-policy\",\"true\"]"});
        assert_eq!(kept["metadata"]["annotations"], wanted);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_dropped_not_passed_on() {
        let kept =
            slimmed(Shape::Pod, json!({"metadata": {"name": "p"}, "spec": {"containers": "SECRET", "nodeName": "n"}}));
        assert_eq!(kept["spec"], json!({"nodeName": "n"}));
    }
}
