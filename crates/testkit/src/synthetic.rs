//! Large worlds for benches: the shape of a busy cluster, the same bytes for the same numbers.
//!
//! Applications of several replicas in namespaces with a team label; policies that select an application (sometimes a
//! tier, or everything), with one to three rules on peers of the same namespace, of a team's namespaces, of both, or blocks.

use crate::random::Rng;
use watertight_model::policy::{BlockCidr, Presence, Written};
use watertight_model::{
    Cidr, ContainerKind, ContainerPort, IpBlock, Labels, Namespace, NamespaceId, NetworkPolicy, Origin, Peer, PeerKind,
    Peers, Pod, PortEntry, PortMatch, Ports, Protocol, Rule, Selector, Str, Workload, WorkloadId, WorkloadKind, World,
    label,
};

/// How large.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Pods.
    pub pods: usize,
    /// Pods of one application, which policies cannot tell apart.
    pub replicas: usize,
    /// NetworkPolicies.
    pub policies: usize,
    /// Namespaces.
    pub namespaces: usize,
}

const PORTS: [u16; 20] =
    [22, 53, 80, 443, 2379, 3000, 3306, 4317, 5000, 5432, 6379, 7070, 8000, 8080, 8443, 9000, 9090, 9092, 9200, 27017];

/// Draws the world.
pub fn world(scale: Scale) -> World {
    let mut rng = Rng::new(1);
    let rng = &mut rng;
    let mut world = World::default();
    for i in 0..scale.namespaces {
        let name = format!("ns-{i:05}");
        let labels = Labels::of(&[
            (label::NAMESPACE_NAME_LABEL, &name),
            ("team", &format!("t{}", i % 20)),
            ("env", ["dev", "staging", "prod"][i % 3]),
        ]);
        world.namespaces.push(Namespace {
            name: Str::from(name),
            labels,
            annotations: Labels::default(),
            declared: true,
            terminating: false,
            origin: None,
        });
    }
    let apps = scale.pods.div_ceil(scale.replicas);
    let per_namespace = apps.div_ceil(scale.namespaces);
    for app in 0..apps {
        let namespace = NamespaceId::at(app / per_namespace);
        let name = format!("app-{app:06}");
        let template = Labels::of(&[
            ("app", &name),
            ("tier", ["web", "api", "db", "job", "cache"][app % 5]),
            ("pod-template-hash", "x"),
        ]);
        let workload = WorkloadId::at(world.workloads.len());
        world.workloads.push(Workload {
            kind: WorkloadKind::Deployment,
            namespace,
            name: Str::from(name.as_str()),
            template_labels: template.clone(),
            selector: Some(Selector::of(&[("app", &name)])),
            replicas: u32::try_from(scale.replicas).ok(),
            schedule: None,
            service_name: None,
            images: Vec::new(),
            annotations: Labels::default(),
            origin: Origin::default(),
        });
        for replica in 0..scale.replicas.min(scale.pods - world.pods.len()) {
            let n = u32::try_from(world.pods.len()).unwrap_or(0);
            world.pods.push(Pod {
                name: Str::from(format!("{name}-{replica:04}")),
                namespace,
                workload,
                labels: template.clone(),
                uid: None,
                node: None,
                host_network: false,
                ips: vec![std::net::IpAddr::from((0x0A00_0000 + n).to_be_bytes())],
                ports: vec![ContainerPort {
                    name: Some(Str::from("http")),
                    port: 8080,
                    protocol: Protocol::Tcp,
                    host_port: None,
                    container: ContainerKind::Regular,
                }],
                finished: false,
                terminating: false,
                template: false,
                dns: watertight_model::pod::Dns::default(),
                node_privilege: None,
                origin: Origin::default(),
            });
        }
    }
    let mut policies: Vec<NetworkPolicy> = (0..scale.policies).map(|i| policy(rng, i, apps, per_namespace)).collect();
    policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    world.policies = policies;
    world
}

fn policy(rng: &mut Rng, i: usize, apps: usize, per_namespace: usize) -> NetworkPolicy {
    let app = rng.below(apps);
    let namespace = app / per_namespace;
    let near = |rng: &mut Rng| {
        let first = namespace * per_namespace;
        format!("app-{:06}", first + rng.below(per_namespace.min(apps - first)))
    };
    let subject = match rng.below(20) {
        0 => Selector::everything(),
        1 | 2 => Selector::of(&[("tier", ["web", "api", "db", "job", "cache"][rng.below(5)])]),
        _ => Selector::of(&[("app", &format!("app-{app:06}"))]),
    };
    let rules = |rng: &mut Rng| -> Vec<Rule> {
        (0..1 + rng.below(3))
            .map(|_| {
                let team = Selector::of(&[("team", &format!("t{}", rng.below(20)))]);
                let kind = match rng.below(20) {
                    0..12 => PeerKind::Pods { namespaces: None, pods: Some(Selector::of(&[("app", &near(rng))])) },
                    12..16 => PeerKind::Pods { namespaces: Some(team), pods: None },
                    16..19 => PeerKind::Pods { namespaces: Some(team), pods: Some(Selector::of(&[("tier", "web")])) },
                    _ => {
                        let cidr = Cidr::new(
                            std::net::IpAddr::from([203, 0, 113, u8::try_from(rng.below(256)).unwrap_or(0)]),
                            28,
                        );
                        let cidr = cidr.unwrap_or(Cidr::all(watertight_model::Family::V4));
                        let cidr = BlockCidr { cidr, mapped: None, sloppy: false, origin: Origin::default() };
                        PeerKind::Block(IpBlock { cidr, except: Vec::new() })
                    }
                };
                let port = *rng.pick(&PORTS);
                let port =
                    if rng.chance(10) { PortMatch::Named(Str::from("http")) } else { PortMatch::Range(port, port) };
                let entry =
                    PortEntry { protocol: Protocol::Tcp, protocol_defaulted: false, port, origin: Origin::default() };
                let ports = if rng.chance(10) { Ports::Any(Presence::Absent) } else { Ports::Of(vec![entry]) };
                let peers = Peers::Of(vec![Peer { kind, origin: Origin::default() }]);
                Rule { peers, ports, origin: Origin::default() }
            })
            .collect()
    };
    let egress = rng.chance(40);
    NetworkPolicy {
        namespace: NamespaceId::at(namespace),
        name: Str::from(format!("policy-{i:06}")),
        subject,
        isolates_ingress: true,
        isolates_egress: egress,
        ingress: rules(rng),
        egress: if egress { rules(rng) } else { Vec::new() },
        written: Written::default(),
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    }
}
