//! The cluster as the YAML files that a platform team keeps: one per namespace, and one for the nodes.

use crate::cluster::{Kind, NODES, Namespace, Protocol, ServiceKind, Workload};
use crate::sample::NAMESPACES;
use std::fmt::Write;

/// File name and text of each namespace's file and of `nodes.yaml`.
pub(crate) fn files(workloads: &[Workload]) -> Vec<(String, String)> {
    let mut out: Vec<_> =
        NAMESPACES.iter().map(|n| (format!("{}.yaml", n.name), namespace_file(n, workloads))).collect();
    out.push(("nodes.yaml".to_owned(), nodes()));
    out
}

fn namespace_file(namespace: &Namespace, workloads: &[Workload]) -> String {
    let mut out = Yaml::default();
    out.line(0, &format!("# {}", namespace.about));
    out.head("v1", "Namespace", None, namespace.name, namespace.labels);
    for workload in workloads.iter().filter(|w| w.namespace == namespace.name) {
        controller(&mut out, workload);
        if !workload.service.is_empty() {
            service(&mut out, workload);
        }
    }
    for (place, host, paths) in INGRESSES {
        if place.split_once('/').is_some_and(|(ns, _)| ns == namespace.name) {
            ingress(&mut out, place, host, paths);
        }
    }
    match namespace.name {
        "default" => out.text(API_SERVER),
        "payments" => out.text(PAYMENT_PROVIDER),
        _ => {}
    }
    out.0
}

/// Path, Service, and the Service's port as YAML.
type Backend = (&'static str, &'static str, &'static str);

/// Ingresses: place, host, backends.
const INGRESSES: &[(&str, &str, &[Backend])] = &[
    (
        "shop/storefront",
        "shop.example.com",
        &[("/", "web", "number: 80"), ("/api", "storefront-api", "number: 80"), ("/images", "images", "name: http")],
    ),
    ("prod/backoffice", "backoffice.example.com", &[("/", "web", "name: http")]),
    ("staging/backoffice", "staging.example.com", &[("/", "web", "name: http")]),
    ("dev/backoffice", "dev.example.com", &[("/", "web", "name: http")]),
    ("monitoring/grafana", "grafana.example.com", &[("/", "grafana", "number: 80")]),
    (
        "analytics/dashboard",
        "charts.example.com",
        &[("/", "dashboard", "number: 80"), ("/collect", "collector", "number: 80")],
    ),
    ("ci/controller", "ci.example.com", &[("/", "controller", "name: http")]),
];

/// The API server's Service has no selector; the control plane writes its endpoints.
const API_SERVER: &str = "---
apiVersion: v1
kind: Service
metadata:
  name: kubernetes
  namespace: default
  labels:
    component: apiserver
    provider: kubernetes
spec:
  clusterIP: 10.96.0.1
  ports:
  - name: https
    port: 443
    targetPort: 6443
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kubernetes
  namespace: default
  labels:
    kubernetes.io/service-name: kubernetes
addressType: IPv4
endpoints:
- addresses:
  - 192.168.49.2
  conditions:
    ready: true
ports:
- name: https
  port: 6443
  protocol: TCP
";

const PAYMENT_PROVIDER: &str = "---
# Another name for the payment provider, so that a test double can take its place in staging.
apiVersion: v1
kind: Service
metadata:
  name: psp
  namespace: payments
spec:
  type: ExternalName
  externalName: api.psp.example.com
";

#[derive(Default)]
struct Yaml(String);

impl Yaml {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:1$}{text}", "", depth * 2);
    }

    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn head(&mut self, version: &str, kind: &str, namespace: Option<&str>, name: &str, labels: &[(&str, &str)]) {
        self.line(0, &format!("apiVersion: {version}"));
        self.line(0, &format!("kind: {kind}"));
        self.line(0, "metadata:");
        self.line(1, &format!("name: {name}"));
        if let Some(namespace) = namespace {
            self.line(1, &format!("namespace: {namespace}"));
        }
        if !labels.is_empty() {
            self.line(1, "labels:");
            self.pairs(2, labels);
        }
    }

    fn pairs(&mut self, depth: usize, pairs: &[(&str, &str)]) {
        for (key, value) in pairs {
            let digit = value.starts_with(|c: char| c.is_ascii_digit());
            let value = if digit { format!("\"{value}\"") } else { (*value).to_owned() };
            self.line(depth, &format!("{key}: {value}"));
        }
    }
}

fn controller(out: &mut Yaml, workload: &Workload) {
    out.line(0, "---");
    if let Some(comment) = workload.comment {
        out.line(0, &format!("# {comment}"));
    }
    let version = if workload.kind == Kind::CronJob { "batch/v1" } else { "apps/v1" };
    out.head(version, workload.kind.name(), Some(workload.namespace), workload.name, &workload.selector);
    if workload.protect {
        out.line(1, "annotations:");
        out.line(2, "watertight.dev/protect: \"true\"");
    }
    out.line(0, "spec:");
    let mut depth = 1;
    match workload.kind {
        Kind::CronJob => {
            out.line(1, &format!("schedule: \"{}\"", workload.schedule.unwrap_or_default()));
            out.line(1, "concurrencyPolicy: Forbid");
            out.line(1, "jobTemplate:");
            out.line(2, "spec:");
            depth = 3;
        }
        Kind::Deployment | Kind::StatefulSet => out.line(1, &format!("replicas: {}", workload.replicas)),
        Kind::DaemonSet => {}
    }
    if workload.kind == Kind::StatefulSet {
        out.line(1, &format!("serviceName: {}", workload.service_name));
    }
    if workload.kind != Kind::CronJob {
        out.line(1, "selector:");
        out.line(2, "matchLabels:");
        out.pairs(3, &workload.selector);
    }
    out.line(depth, "template:");
    out.line(depth + 1, "metadata:");
    out.line(depth + 2, "labels:");
    out.pairs(depth + 3, &workload.template_labels());
    out.line(depth + 1, "spec:");
    pod_spec(out, depth + 2, workload);
}

fn pod_spec(out: &mut Yaml, depth: usize, workload: &Workload) {
    if workload.host_network {
        out.line(depth, "hostNetwork: true");
        out.line(depth, "tolerations:");
        out.line(depth, "- operator: Exists");
    }
    if workload.kind == Kind::CronJob {
        out.line(depth, "restartPolicy: OnFailure");
    }
    out.line(depth, "containers:");
    out.line(depth, &format!("- name: {}", workload.name));
    out.line(depth + 1, &format!("image: {}", workload.image_reference()));
    if workload.privileged {
        out.line(depth + 1, "securityContext:");
        out.line(depth + 2, "privileged: true");
    }
    if !workload.ports.is_empty() {
        out.line(depth + 1, "ports:");
    }
    for port in &workload.ports {
        out.line(depth + 1, &format!("- name: {}", port.name));
        out.line(depth + 2, &format!("containerPort: {}", port.number));
        if port.protocol == Protocol::Udp {
            out.line(depth + 2, "protocol: UDP");
        }
    }
    if let Some(probe) = workload.probe {
        out.line(depth + 1, "readinessProbe:");
        out.line(depth + 2, if probe == "grpc" { "tcpSocket:" } else { "httpGet:" });
        if probe != "grpc" {
            out.line(depth + 3, "path: /healthz");
        }
        out.line(depth + 3, &format!("port: {probe}"));
    }
}

fn service(out: &mut Yaml, workload: &Workload) {
    out.line(0, "---");
    out.head("v1", "Service", Some(workload.namespace), workload.service_name, &workload.selector);
    out.line(0, "spec:");
    match workload.service_kind {
        ServiceKind::ClusterIp => {}
        ServiceKind::Headless => out.line(1, "clusterIP: None"),
        ServiceKind::NodePort(_) => out.line(1, "type: NodePort"),
        ServiceKind::LoadBalancer => {
            out.line(1, "type: LoadBalancer");
            out.line(1, "externalTrafficPolicy: Local");
        }
    }
    if let Some(address) = workload.cluster_ip {
        out.line(1, &format!("clusterIP: {address}"));
    }
    out.line(1, "selector:");
    out.pairs(2, &workload.selector);
    out.line(1, "ports:");
    for entry in &workload.service {
        let Some(port) = workload.ports.iter().find(|p| p.name == entry.target) else { continue };
        out.line(1, &format!("- name: {}", port.name));
        out.line(2, &format!("port: {}", entry.port));
        let number = port.number.to_string();
        out.line(2, &format!("targetPort: {}", if entry.by_number { number.as_str() } else { port.name }));
        if port.protocol == Protocol::Udp {
            out.line(2, "protocol: UDP");
        }
        if let ServiceKind::NodePort(node_port) = workload.service_kind {
            out.line(2, &format!("nodePort: {node_port}"));
        }
    }
}

fn ingress(out: &mut Yaml, place: &str, host: &str, paths: &[Backend]) {
    let (namespace, name) = place.split_once('/').unwrap_or(("default", place));
    out.line(0, "---");
    out.head("networking.k8s.io/v1", "Ingress", Some(namespace), name, &[]);
    out.line(0, "spec:");
    out.line(1, "ingressClassName: nginx");
    out.line(1, "rules:");
    out.line(1, &format!("- host: {host}"));
    out.line(2, "http:");
    out.line(3, "paths:");
    for (path, service, port) in paths {
        out.line(3, &format!("- path: {path}"));
        out.line(4, "pathType: Prefix");
        out.line(4, "backend:");
        out.line(5, "service:");
        out.line(6, &format!("name: {service}"));
        out.line(6, "port:");
        out.line(7, port);
    }
}

fn nodes() -> String {
    let mut out = Yaml::default();
    out.line(0, "# Three nodes, one per zone. Flannel gives each a /24 of 10.244.0.0/16.");
    for (i, node) in NODES.iter().enumerate() {
        if i > 0 {
            out.line(0, "---");
        }
        let mut labels = vec![
            ("kubernetes.io/hostname", node.name),
            ("kubernetes.io/os", "linux"),
            ("topology.kubernetes.io/zone", node.zone),
        ];
        if node.control_plane {
            labels.push(("node-role.kubernetes.io/control-plane", "\"\""));
        }
        out.head("v1", "Node", None, node.name, &labels);
        out.line(1, "annotations:");
        out.line(2, "flannel.alpha.coreos.com/backend-type: host-gw");
        out.line(2, "flannel.alpha.coreos.com/backend-data: \"null\"");
        out.line(2, "flannel.alpha.coreos.com/kube-subnet-manager: \"true\"");
        out.line(2, &format!("flannel.alpha.coreos.com/public-ip: {}", node.address));
        out.line(0, "spec:");
        out.line(1, &format!("podCIDR: 10.244.{}.0/24", node.subnet));
        out.line(1, "podCIDRs:");
        out.line(1, &format!("- 10.244.{}.0/24", node.subnet));
        out.line(0, "status:");
        out.line(1, "addresses:");
        out.line(1, "- type: InternalIP");
        out.line(2, &format!("address: {}", node.address));
        out.line(1, "- type: Hostname");
        out.line(2, &format!("address: {}", node.name));
    }
    out.0
}
