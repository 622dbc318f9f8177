//! The pods that run, as `kubectl get replicasets,jobs,pods -A -o json` would list them: names with hashes, owners,
//! nodes and addresses.

use crate::cluster::{Kind, NODES, Protocol, Workload};
use crate::rng::Rng;
use std::fmt::Write;

/// A running (or finished) pod.
#[derive(Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    /// Index into the workloads.
    pub(crate) workload: usize,
    /// Index into [`NODES`].
    pub(crate) node: usize,
    pub(crate) address: String,
    /// Name of the ReplicaSet or Job between the workload and the pod.
    pub(crate) owner: Option<String>,
    /// Labels that the owner adds.
    pub(crate) owner_labels: Vec<(&'static str, String)>,
    /// When a job's pod ran, in seconds from the start of the recording; empty for pods that keep running.
    pub(crate) ran: Option<(u64, u64)>,
    /// Replaced by a rollout during the recording: in the flows, and no longer in the cluster.
    pub(crate) gone: bool,
}

/// The runs of CronJobs within the recording: workload, second of the recording, name of the Job (minutes since 1970).
/// The recording starts on Friday, 20 November 2026, 06:00 UTC.
const RUNS: [(&str, u64, &str); 3] =
    [("prod/backup", 73_800, "29920470"), ("prod/backup", 160_200, "29921910"), ("ml/train", 79_200, "29920560")];

/// The Deployment that is rolled out during the recording, and when.
pub(crate) const ROLLOUT: (&str, u64) = ("shop/web", 100_000);

/// What the API server calls does not run beside it, so that its calls carry its node's address.
const OFF_FIRST_NODE: [&str; 3] =
    ["cert-manager/webhook", "ingress/ingress-nginx-controller", "kube-system/metrics-server"];

/// All pods, in the order of the workloads.
pub(crate) fn pods(workloads: &[Workload]) -> Vec<Pod> {
    let mut out = Vec::new();
    // Next free host number per node; .0 is flannel.1, .1 the bridge.
    let mut next = [2u8; 3];
    let mut turn = 0usize;
    for (index, workload) in workloads.iter().enumerate() {
        let place = workload.place();
        let mut rng = Rng::of(&place);
        let mut seat = |node: usize| {
            if workload.host_network {
                return NODES[node].address.to_owned();
            }
            let host = next[node];
            next[node] += 1;
            format!("10.244.{}.{host}", NODES[node].subnet)
        };
        let pod = |name, node, address| Pod {
            name,
            workload: index,
            node,
            address,
            owner: None,
            owner_labels: Vec::new(),
            ran: None,
            gone: false,
        };
        if workload.kind == Kind::CronJob {
            for (_, second, minute) in RUNS.iter().filter(|(of, ..)| *of == place) {
                let owner = format!("{}-{minute}", workload.name);
                let node = turn % 3;
                turn += 1;
                let mut this = pod(format!("{owner}-{}", rng.suffix(5)), node, seat(node));
                this.owner_labels = vec![("batch.kubernetes.io/job-name", owner.clone()), ("job-name", owner.clone())];
                this.owner = Some(owner);
                this.ran = Some((*second, 600));
                out.push(this);
            }
            continue;
        }
        let hash = rng.suffix(10);
        for replica in 0..workload.replicas {
            let node = match workload.kind {
                Kind::DaemonSet => usize::from(replica),
                _ if OFF_FIRST_NODE.contains(&place.as_str()) => 1 + turn % 2,
                _ => turn % 3,
            };
            turn += usize::from(workload.kind != Kind::DaemonSet);
            let address = seat(node);
            out.push(match workload.kind {
                Kind::StatefulSet => {
                    let name = format!("{}-{replica}", workload.name);
                    let mut this = pod(name.clone(), node, address);
                    this.owner_labels = vec![
                        ("apps.kubernetes.io/pod-index", replica.to_string()),
                        ("controller-revision-hash", format!("{}-{}", workload.name, &hash[..9])),
                        ("statefulset.kubernetes.io/pod-name", name),
                    ];
                    this
                }
                Kind::DaemonSet => {
                    let mut this = pod(format!("{}-{}", workload.name, rng.suffix(5)), node, address);
                    this.owner_labels = vec![("controller-revision-hash", hash.clone())];
                    this
                }
                Kind::Deployment | Kind::CronJob => {
                    let mut this = pod(format!("{}-{hash}-{}", workload.name, rng.suffix(5)), node, address);
                    this.owner = Some(format!("{}-{hash}", workload.name));
                    this.owner_labels = vec![("pod-template-hash", hash.clone())];
                    this
                }
            });
        }
        if place == ROLLOUT.0 {
            let hash = rng.suffix(10);
            for replica in 0..3u8 {
                let node = usize::from(replica);
                let name = format!("{}-{hash}-{}", workload.name, rng.suffix(5));
                let address = format!("10.244.{}.{}", NODES[node].subnet, 240 + replica);
                out.push(Pod { gone: true, ..pod(name, node, address) });
            }
        }
    }
    out
}

/// `pods.json`: one object a line, so that a difference is easy to read.
pub(crate) fn json(workloads: &[Workload], pods: &[Pod]) -> String {
    let mut items = Vec::new();
    for (index, workload) in workloads.iter().enumerate() {
        let mut owners: Vec<&Pod> = Vec::new();
        for pod in pods.iter().filter(|p| p.workload == index && p.owner.is_some()) {
            if !owners.iter().any(|seen| seen.owner == pod.owner) {
                owners.push(pod);
            }
        }
        items.extend(owners.into_iter().map(|pod| owner(workload, pod)));
    }
    items.extend(pods.iter().filter(|p| !p.gone).map(|p| running(&workloads[p.workload], p)));
    let mut out = String::from("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n");
    for (i, item) in items.iter().enumerate() {
        let end = if i + 1 == items.len() { "" } else { "," };
        let _ = writeln!(out, "{item}{end}");
    }
    out.push_str("]}\n");
    out
}

/// An object of string pairs; the strings hold nothing that JSON would escape.
fn object(pairs: &[(&str, &str)]) -> String {
    let entries: Vec<String> = pairs.iter().map(|(k, v)| format!("\"{k}\":\"{v}\"")).collect();
    format!("{{{}}}", entries.join(","))
}

fn labels(workload: &Workload, pod: &Pod) -> String {
    let mut pairs = workload.template_labels();
    pairs.extend(pod.owner_labels.iter().map(|(k, v)| (*k, v.as_str())));
    pairs.sort_unstable();
    object(&pairs)
}

fn owned_by(version: &str, kind: &str, name: &str) -> String {
    let uid = uid(&format!("{kind}/{name}"));
    format!(
        "\"ownerReferences\":[{{\"apiVersion\":\"{version}\",\"kind\":\"{kind}\",\"name\":\"{name}\",\
         \"uid\":\"{uid}\",\"controller\":true}}]"
    )
}

fn uid(text: &str) -> String {
    let mut rng = Rng::of(text);
    let mut hex = |n: usize| (0..n).map(|_| format!("{:x}", rng.below(16))).collect::<String>();
    format!("{}-{}-4{}-8{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12))
}

/// The ReplicaSet or Job of a pod.
fn owner(workload: &Workload, pod: &Pod) -> String {
    let name = pod.owner.as_deref().unwrap_or_default();
    let labels = labels(workload, pod);
    let template = format!("\"template\":{{\"metadata\":{{\"labels\":{labels}}},\"spec\":{}}}", spec(workload, None));
    if workload.kind == Kind::CronJob {
        let parent = owned_by("batch/v1", "CronJob", workload.name);
        return format!(
            "{{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{{\"name\":\"{name}\",\
             \"namespace\":\"{}\",\"uid\":\"{}\",{parent}}},\"spec\":{{{template}}},\
             \"status\":{{\"succeeded\":1}}}}",
            workload.namespace,
            uid(&format!("Job/{name}")),
        );
    }
    let parent = owned_by("apps/v1", "Deployment", workload.name);
    format!(
        "{{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{{\"name\":\"{name}\",\
         \"namespace\":\"{}\",\"uid\":\"{}\",\"labels\":{labels},{parent}}},\"spec\":{{\"replicas\":{},\
         \"selector\":{{\"matchLabels\":{labels}}},{template}}}}}",
        workload.namespace,
        uid(&format!("ReplicaSet/{name}")),
        workload.replicas,
    )
}

fn spec(workload: &Workload, node: Option<&str>) -> String {
    let mut out = String::from("{");
    if let Some(node) = node {
        let _ = write!(out, "\"nodeName\":\"{node}\",");
    }
    if workload.host_network {
        out.push_str("\"hostNetwork\":true,");
    }
    if workload.kind == Kind::CronJob {
        out.push_str("\"restartPolicy\":\"OnFailure\",");
    }
    let _ =
        write!(out, "\"containers\":[{{\"name\":\"{}\",\"image\":\"{}\"", workload.name, workload.image_reference());
    if workload.privileged {
        out.push_str(",\"securityContext\":{\"privileged\":true}");
    }
    if !workload.ports.is_empty() {
        let ports: Vec<String> = workload
            .ports
            .iter()
            .map(|p| {
                let protocol = if p.protocol == Protocol::Udp { ",\"protocol\":\"UDP\"" } else { "" };
                format!("{{\"name\":\"{}\",\"containerPort\":{}{protocol}}}", p.name, p.number)
            })
            .collect();
        let _ = write!(out, ",\"ports\":[{}]", ports.join(","));
    }
    out.push_str("}]}");
    out
}

fn running(workload: &Workload, pod: &Pod) -> String {
    let parent = match (workload.kind, pod.owner.as_deref()) {
        (Kind::CronJob, Some(job)) => owned_by("batch/v1", "Job", job),
        (_, Some(set)) => owned_by("apps/v1", "ReplicaSet", set),
        (kind, None) => owned_by("apps/v1", kind.name(), workload.name),
    };
    let node = &NODES[pod.node];
    let phase = if pod.ran.is_some() { "Succeeded" } else { "Running" };
    format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\",\
         \"namespace\":\"{namespace}\",\"labels\":{labels},{parent}}},\"spec\":{spec},\
         \"status\":{{\"phase\":\"{phase}\",\"hostIP\":\"{host}\",\"podIP\":\"{ip}\",\
         \"podIPs\":[{{\"ip\":\"{ip}\"}}]}}}}",
        name = pod.name,
        namespace = workload.namespace,
        labels = labels(workload, pod),
        spec = spec(workload, Some(node.name)),
        host = node.address,
        ip = pod.address,
    )
}
