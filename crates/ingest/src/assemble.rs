//! Parsed objects to one [`World`]: names become ids, pods find their owners, templates stand in for pods, lists are sorted.
//!
//! The same objects in any order give the same world (apart from places). Nothing is decided about policy here.

use crate::diagnostic::{Diagnostic, Severity};
use crate::typed::meta::Owner;
use crate::typed::{Controller, Identity, In, Parsed, ReadPod};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watertight_model::gateway::RouteKind;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{
    Cidr, Labels, Namespace, NamespaceId, NodeId, Pod, Source, Str, Workload, WorkloadId, WorkloadKind, World,
};

/// StatefulSet pods that stand in for those not read: enough to name a few, few enough to stay cheap.
const ORDINALS: u32 = 8;

pub(crate) fn assemble(
    parsed: Parsed,
    sources: Vec<Source>,
    pod_cidrs: &[Cidr],
    diagnostics: &mut Vec<Diagnostic>,
) -> World {
    twice(&parsed.identities, diagnostics);
    let mut world = World { sources, ..World::default() };
    let Parsed {
        namespaces,
        mut nodes,
        pods,
        controllers,
        services,
        slices,
        ingresses,
        gateways,
        routes,
        policies,
        mut cluster_policies,
        foreign,
        mut unread,
        ..
    } = parsed;
    let mut names: BTreeSet<Str> = namespaces.iter().map(|n| n.name.clone()).collect();
    names.extend(pods.iter().map(|o| o.namespace.clone()));
    names.extend(controllers.iter().map(|o| o.namespace.clone()));
    names.extend(services.iter().map(|o| o.namespace.clone()));
    names.extend(slices.iter().map(|o| o.namespace.clone()));
    names.extend(ingresses.iter().map(|o| o.namespace.clone()));
    names.extend(gateways.iter().map(|o| o.namespace.clone()));
    names.extend(routes.iter().map(|o| o.namespace.clone()));
    names.extend(policies.iter().map(|o| o.namespace.clone()));
    names.extend(foreign.iter().filter_map(|(ns, _)| ns.clone()));
    let ids: FxHashMap<Str, NamespaceId> =
        names.iter().enumerate().map(|(i, n)| (n.clone(), NamespaceId::at(i))).collect();
    world.namespaces = names
        .iter()
        .map(|name| Namespace {
            name: name.clone(),
            labels: Labels::of(&[(NAMESPACE_NAME_LABEL, name)]),
            annotations: Labels::default(),
            declared: false,
            terminating: false,
            origin: None,
        })
        .collect();
    for read in namespaces {
        let slot = &mut world.namespaces[ids[&read.name].index()];
        *slot = Namespace {
            name: read.name,
            labels: read.labels,
            annotations: read.annotations,
            declared: true,
            terminating: read.terminating,
            origin: Some(read.origin),
        };
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    world.pod_cidrs = if pod_cidrs.is_empty() {
        nodes.iter().flat_map(|n| n.pod_cidrs.iter().copied()).collect::<BTreeSet<Cidr>>().into_iter().collect()
    } else {
        pod_cidrs.to_vec()
    };
    world.nodes = nodes;
    workloads_and_pods(&mut world, &ids, pods, controllers, diagnostics);
    /// Gives objects their namespace's id, sorted by namespace and name.
    macro_rules! placed {
        ($list:expr) => {{
            let mut out: Vec<_> = $list
                .into_iter()
                .map(|In { namespace, mut object }| {
                    object.namespace = ids[&namespace];
                    object
                })
                .collect();
            // Of several, the one written last counts ([`twice`] says so, or refuses).
            out.sort_by(|a, b| (a.namespace, &a.name, b.origin).cmp(&(b.namespace, &b.name, a.origin)));
            out.dedup_by(|a, b| (a.namespace, &a.name) == (b.namespace, &b.name));
            out
        }};
    }
    world.services = placed!(services);
    world.endpoint_slices = placed!(slices);
    world.ingresses = placed!(ingresses);
    world.gateways = placed!(gateways);
    for kind in [RouteKind::Http, RouteKind::Grpc, RouteKind::Tls, RouteKind::Tcp, RouteKind::Udp] {
        world.routes.extend(placed!(routes.iter().filter(|r| r.object.kind == kind).cloned()));
    }
    world.routes.sort_by(|a, b| (a.namespace, a.kind, &a.name).cmp(&(b.namespace, b.kind, &b.name)));
    world.policies = placed!(policies);
    cluster_policies.sort_by(|a, b| (a.kind, &a.name, b.origin).cmp(&(b.kind, &b.name, a.origin)));
    cluster_policies.dedup_by(|a, b| (a.kind, &a.name) == (b.kind, &b.name));
    cluster_policies.sort_by(|a, b| (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name)));
    world.cluster_policies = cluster_policies;
    world.foreign_policies = foreign
        .into_iter()
        .map(|(ns, mut policy)| {
            policy.namespace = ns.map(|ns| ids[&ns]);
            policy
        })
        .collect();
    world.foreign_policies.sort_by(|a, b| {
        (&a.kind, &a.group, a.namespace, &a.name, a.origin).cmp(&(&b.kind, &b.group, b.namespace, &b.name, b.origin))
    });
    unread.sort_by(|a, b| (&a.what, &a.namespace, &a.why).cmp(&(&b.what, &b.namespace, &b.why)));
    unread.dedup();
    world.unread = unread;
    world
}

/// The same kind, namespace and name twice. Within one file the order is written down, and the last one counts, as it does
/// for `kubectl apply`: a warning. Between files nothing says which is applied last: an error.
fn twice(identities: &[Identity], diagnostics: &mut Vec<Diagnostic>) {
    let mut sorted: Vec<&Identity> = identities.iter().collect();
    sorted.sort_by(|a, b| (&a.kind, &a.namespace, &a.name, a.origin).cmp(&(&b.kind, &b.namespace, &b.name, b.origin)));
    for same in sorted.chunk_by(|a, b| (&a.kind, &a.namespace, &a.name) == (&b.kind, &b.namespace, &b.name)) {
        for pair in same.windows(2) {
            let (first, again) = (pair[0], pair[1]);
            let slash = if first.namespace.is_empty() { "" } else { "/" };
            let object = format!("{} {}{slash}{}", first.kind, first.namespace, first.name);
            let (severity, message) = if first.content == again.content {
                (Severity::Warning, "the same object stands in the input twice")
            } else if first.origin.source == again.origin.source {
                (
                    Severity::Warning,
                    "replaces a different object of the same kind and name in this file: the last one counts",
                )
            } else {
                (
                    Severity::Error,
                    "two files hold different objects of the same kind and name: whichever is applied last wins",
                )
            };
            diagnostics.push(Diagnostic {
                severity,
                code: "WT0005",
                message: message.to_owned(),
                object: Some(object),
                field: None,
                at: Some(again.origin),
                notes: vec![(first.origin, "the other one is here".to_owned())],
                help: Some("rename one, or delete it".to_owned()),
            });
        }
    }
}

/// A controller by kind, namespace and name.
type Key = (WorkloadKind, Str, Str);

fn workloads_and_pods(
    world: &mut World,
    ids: &FxHashMap<Str, NamespaceId>,
    pods: Vec<In<ReadPod>>,
    controllers: Vec<In<Controller>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut by_key: FxHashMap<Key, usize> = FxHashMap::default();
    for (i, In { namespace, object }) in controllers.iter().enumerate() {
        by_key.insert((object.kind, namespace.clone(), object.name.clone()), i);
    }
    // The top-most owner that was read.
    let top = |mut at: usize| {
        for _ in 0..3 {
            let In { namespace, object } = &controllers[at];
            let next = object.owner.as_ref().and_then(|o| controller_key(namespace, o)).and_then(|k| by_key.get(&k));
            match next {
                Some(next) => at = *next,
                None => break,
            }
        }
        at
    };
    let owner_of = |namespace: &Str, pod: &ReadPod| -> Option<usize> {
        let owner = pod.owner.as_ref()?;
        let direct = controller_key(namespace, owner).and_then(|k| by_key.get(&k)).copied();
        if let Some(direct) = direct {
            return Some(top(direct));
        }
        // The ReplicaSet between a pod and its Deployment is often left out of a dump.
        let hash = pod.labels.get("pod-template-hash").filter(|_| *owner.kind == *"ReplicaSet")?;
        let name = owner.name.strip_suffix(&**hash)?.strip_suffix('-')?;
        by_key.get(&(WorkloadKind::Deployment, namespace.clone(), Str::from(name))).copied()
    };
    // Workloads: controllers without an owner that was read, and for other pods their owner by name or the pod itself.
    let mut keys: BTreeMap<(NamespaceId, Str, WorkloadKind), Source1> = BTreeMap::new();
    for (i, In { namespace, object }) in controllers.iter().enumerate() {
        if top(i) == i {
            keys.insert((ids[namespace], object.name.clone(), object.kind), Source1::Controller(i));
        }
    }
    let mut belongs: Vec<(NamespaceId, Str, WorkloadKind)> = Vec::with_capacity(pods.len());
    for (i, In { namespace, object: pod }) in pods.iter().enumerate() {
        let ns = ids[namespace];
        let key = match owner_of(namespace, pod) {
            Some(owner) => (ns, controllers[owner].object.name.clone(), controllers[owner].object.kind),
            None => match pod.owner.as_ref().and_then(|o| controller_key(namespace, o)) {
                Some((kind, _, name)) => (ns, name, kind),
                None => (ns, pod.name.clone(), WorkloadKind::Pod),
            },
        };
        keys.entry(key.clone()).or_insert(Source1::Pod(i));
        belongs.push(key);
    }
    let mut order: FxHashMap<&(NamespaceId, Str, WorkloadKind), WorkloadId> = FxHashMap::default();
    order.reserve(keys.len());
    for (key, source) in &keys {
        order.insert(key, WorkloadId::at(world.workloads.len()));
        world.workloads.push(match source {
            Source1::Controller(i) => from_controller(key, &controllers[*i].object),
            Source1::Pod(i) => from_pod(key, &pods[*i].object),
        });
    }
    let mut live = vec![false; world.workloads.len()];
    let mut out: Vec<Pod> = Vec::with_capacity(pods.len());
    for (In { object, .. }, key) in pods.into_iter().zip(belongs) {
        let workload = order[&key];
        live[workload.index()] |= !object.status.finished;
        out.push(real_pod(world, key.0, workload, object));
    }
    for (key, source) in &keys {
        let workload = order[key];
        if let (Source1::Controller(i), false) = (source, live[workload.index()]) {
            templates(key.0, workload, &controllers[*i].object, &mut out);
        }
    }
    out.sort_by(|a, b| (a.namespace, &a.name, a.template, b.origin).cmp(&(b.namespace, &b.name, b.template, a.origin)));
    out.dedup_by(|a, b| (a.namespace, &a.name) == (b.namespace, &b.name));
    one_address_each(world, &out, diagnostics);
    world.pods = out;
}

/// What a workload is made from.
enum Source1 {
    Controller(usize),
    Pod(usize),
}

fn controller_key(namespace: &Str, owner: &Owner) -> Option<Key> {
    let kind = match &*owner.kind {
        "Deployment" => WorkloadKind::Deployment,
        "StatefulSet" => WorkloadKind::StatefulSet,
        "DaemonSet" => WorkloadKind::DaemonSet,
        "ReplicaSet" => WorkloadKind::ReplicaSet,
        "Job" => WorkloadKind::Job,
        "CronJob" => WorkloadKind::CronJob,
        _ => return None,
    };
    Some((kind, namespace.clone(), owner.name.clone()))
}

fn from_controller(key: &(NamespaceId, Str, WorkloadKind), read: &Controller) -> Workload {
    Workload {
        kind: key.2,
        namespace: key.0,
        name: key.1.clone(),
        template_labels: read.template_labels.clone(),
        selector: read.selector.clone(),
        replicas: read.replicas,
        schedule: read.schedule.clone(),
        service_name: read.service_name.clone(),
        images: read.spec.images.clone(),
        annotations: read.annotations.clone(),
        origin: read.origin,
    }
}

fn from_pod(key: &(NamespaceId, Str, WorkloadKind), read: &ReadPod) -> Workload {
    Workload {
        kind: key.2,
        namespace: key.0,
        name: key.1.clone(),
        template_labels: read.labels.clone(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: read.spec.images.clone(),
        annotations: read.annotations.clone(),
        origin: read.origin,
    }
}

fn real_pod(world: &World, namespace: NamespaceId, workload: WorkloadId, read: ReadPod) -> Pod {
    let node: Option<NodeId> = read.spec.node.as_ref().and_then(|name| world.node(name));
    Pod {
        name: read.name,
        namespace,
        workload,
        labels: read.labels,
        uid: read.uid,
        node,
        host_network: read.spec.host_network,
        ips: read.status.ips,
        ports: read.spec.ports,
        finished: read.status.finished,
        terminating: read.terminating,
        template: false,
        dns: read.spec.dns,
        node_privilege: read.spec.node_privilege,
        origin: read.origin,
    }
}

/// Pods that the controller will make.
fn templates(namespace: NamespaceId, workload: WorkloadId, read: &Controller, out: &mut Vec<Pod>) {
    let ordinals = read.kind == WorkloadKind::StatefulSet;
    let count = if ordinals { read.replicas.unwrap_or(1).clamp(1, ORDINALS) } else { 1 };
    for i in 0..count {
        let name = if ordinals { Str::from(format!("{}-{i}", read.name)) } else { read.name.clone() };
        let labels = if ordinals {
            read.template_labels
                .with("statefulset.kubernetes.io/pod-name", &name)
                .with("apps.kubernetes.io/pod-index", &i.to_string())
        } else {
            read.template_labels.clone()
        };
        out.push(Pod {
            name,
            namespace,
            workload,
            labels,
            uid: None,
            node: None,
            host_network: read.spec.host_network,
            ips: Vec::new(),
            ports: read.spec.ports.clone(),
            finished: false,
            terminating: false,
            template: true,
            dns: read.spec.dns.clone(),
            node_privilege: read.spec.node_privilege,
            origin: read.template_origin,
        });
    }
}

/// Two running pods with one address: a stale dump, or a test that copied too much. Blocks could not tell them apart.
fn one_address_each(world: &World, pods: &[Pod], diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: FxHashMap<IpAddr, &Pod> = FxHashMap::default();
    let name = |p: &Pod| format!("{}/{}", world.namespaces[p.namespace.index()].name, p.name);
    for pod in pods.iter().filter(|p| !p.finished && !p.host_network) {
        for ip in &pod.ips {
            if let Some(first) = seen.insert(*ip, pod) {
                diagnostics.push(Diagnostic {
                    severity: Severity::Warning,
                    code: "address-twice",
                    message: format!("has the address {ip} that {} has too", name(first)),
                    object: Some(format!("Pod {}", name(pod))),
                    field: Some("status.podIP".to_owned()),
                    at: Some(pod.origin),
                    notes: vec![(first.origin, "the other pod".to_owned())],
                    help: Some("read both from the cluster at one time".to_owned()),
                });
            }
        }
    }
}
