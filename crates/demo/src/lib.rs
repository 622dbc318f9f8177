//! The sample cluster that `watertight demo` shows: 23 namespaces on three Flannel nodes, no NetworkPolicy, and 48 hours of
//! recorded flows. Text only: the same files as in `examples/demo`, embedded. Reading them is `watertight-ingest` and
//! `watertight-flows`; what they mean is `watertight-engine`.
//!
//! The files are written by `cargo run -p watertight-demo --example generate`; its tests refuse stale ones.

macro_rules! file {
    ($name:literal) => {
        (concat!("demo/", $name), include_str!(concat!("../../../examples/demo/", $name)))
    };
}

/// The cluster's objects: name (a path below `examples`) and text of each file, sorted by name.
pub const FILES: &[(&str, &str)] = &[
    file!("analytics.yaml"),
    file!("billing.yaml"),
    file!("cert-manager.yaml"),
    file!("ci.yaml"),
    file!("data.yaml"),
    file!("default.yaml"),
    file!("dev.yaml"),
    file!("ingress.yaml"),
    file!("inventory.yaml"),
    file!("kube-flannel.yaml"),
    file!("kube-public.yaml"),
    file!("kube-system.yaml"),
    file!("logging.yaml"),
    file!("ml.yaml"),
    file!("monitoring.yaml"),
    file!("nodes.yaml"),
    file!("notifications.yaml"),
    file!("orders.yaml"),
    file!("payments.yaml"),
    file!("pods.json"),
    file!("prod.yaml"),
    file!("search.yaml"),
    file!("shipping.yaml"),
    file!("shop.yaml"),
    file!("staging.yaml"),
];

/// The recorded flows: Hubble jsonpb, one record a line, sorted by time. Among them are replies, probes, packets without
/// `is_reply`, one record of lost events, pods that a rollout has replaced since, and a connection nobody intended.
pub const FLOWS: &str = include_str!("../../../examples/demo/flows.jsonl");

/// The name of [`FLOWS`], for messages.
pub const FLOWS_NAME: &str = "demo/flows.jsonl";

/// What was intended, as CSV with a header: `source,destination,protocol,port,kind,seen,name`. Ends are
/// `namespace/workload`, `ip:CIDR`, `node:NAME`, or `kubelet` (of the pod's own node); ports are the pods'. `kind` is `call`,
/// `scrape`, `internet`, `outside`, `api`, `node`, `dns` or `probe`; `seen` is `often`, `seldom`, `once` or `never` (in the
/// recording); `name` is the DNS name of an outside address. For tests that compare learned policies with it.
pub const INTENDED: &str = include_str!("../../../examples/demo/intended.csv");
