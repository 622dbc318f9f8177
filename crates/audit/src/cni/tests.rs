//! Every plugin of the table is recognised, and told apart from its neighbours.

use super::Enforces::{No, OnlyWith, Yes};
use super::*;
use watertight_model::world::Unread;
use watertight_model::{ForeignPolicy, Labels, Namespace, NamespaceId};

/// A world of DaemonSets (`namespace/name`, images) and nodes with these annotations and labels.
fn world(daemon_sets: &[(&str, &[&str])], annotations: &[(&str, &str)], labels: &[(&str, &str)]) -> World {
    let mut world = World::default();
    for (path, _) in daemon_sets {
        let name = path.split('/').next().unwrap();
        if world.namespaces.iter().all(|n| *n.name != *name) {
            world.namespaces.push(Namespace {
                name: name.into(),
                labels: Labels::default(),
                annotations: Labels::default(),
                declared: true,
                terminating: false,
                origin: None,
            });
        }
    }
    world.namespaces.sort_by(|a, b| a.name.cmp(&b.name));
    for (path, images) in daemon_sets {
        let (namespace, name) = path.split_once('/').unwrap();
        let id = world.namespaces.iter().position(|n| *n.name == *namespace).unwrap();
        world.workloads.push(workload(WorkloadKind::DaemonSet, NamespaceId::at(id), name, images));
    }
    for name in ["n1", "n2"] {
        world.nodes.push(Node {
            name: name.into(),
            labels: Labels::of(labels),
            annotations: Labels::of(annotations),
            addresses: Vec::new(),
            pod_cidrs: Vec::new(),
            origin: Origin::default(),
        });
    }
    world
}

fn workload(kind: WorkloadKind, namespace: NamespaceId, name: &str, images: &[&str]) -> Workload {
    Workload {
        kind,
        namespace,
        name: name.into(),
        template_labels: Labels::default(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: images.iter().map(|i| (*i).into()).collect(),
        annotations: Labels::default(),
        origin: Origin::default(),
    }
}

fn found(world: &World) -> Vec<(&'static str, Enforces)> {
    detect(world).into_iter().map(|f| (f.name, f.enforces)).collect()
}

/// What one DaemonSet in `kube-system` is taken for.
fn of(name: &str, images: &[&str]) -> Vec<(&'static str, Enforces)> {
    found(&world(&[(&format!("kube-system/{name}"), images)], &[], &[]))
}

const FLANNEL_NOTE: (&str, &str) = ("flannel.alpha.coreos.com/backend-type", "vxlan");

#[test]
fn nothing_known_is_unknown() {
    assert_eq!(found(&World::default()), []);
    assert_eq!(of("node-exporter", &["quay.io/prometheus/node-exporter:v1", "docker.io/acme/node:1"]), []);
    assert_eq!(enforcement(&[]), Enforces::Unknown);
}

#[test]
fn flannel_alone_does_not_enforce() {
    let by_daemon_set =
        world(&[("kube-flannel/kube-flannel-ds", &["ghcr.io/flannel-io/flannel:v0.28.1"])], &[FLANNEL_NOTE], &[]);
    let findings = detect(&by_daemon_set);
    assert_eq!(found(&by_daemon_set), [("Flannel", No)]);
    assert_eq!(enforcement(&findings), No);
    let words: Vec<&str> = findings[0].evidence.iter().map(|(words, _)| words.as_str()).collect();
    assert_eq!(
        words,
        [
            "DaemonSet `kube-flannel/kube-flannel-ds` running `ghcr.io/flannel-io/flannel:v0.28.1`",
            "annotation `flannel.alpha.coreos.com/...` on 2 of 2 nodes",
        ]
    );
    assert!(findings[0].evidence.iter().all(|(_, origin)| origin.is_some()));
    // DaemonSets that could not be read may run an engine beside it.
    let mut partly = world(&[], &[FLANNEL_NOTE], &[]);
    partly.unread.push(Unread { what: "daemonsets.apps".into(), namespace: None, why: "forbidden".into() });
    assert_eq!(found(&partly), [("Flannel", Enforces::Unknown)]);
    // By either trace alone, and under a mirror's name.
    assert_eq!(found(&world(&[], &[FLANNEL_NOTE], &[])), [("Flannel", No)]);
    assert_eq!(of("net", &["registry:5000/mirrored-flannelcni-flannel:v1@sha256:00"]), [("Flannel", No)]);
    assert_eq!(of("net", &["acme/notflannel:v1"]), []);
}

#[test]
fn flannel_with_an_engine_beside_it_enforces() {
    let images = ["ghcr.io/flannel-io/flannel:v0.28.1", "registry.k8s.io/networking/kube-network-policies:v0.9.0"];
    let inside = world(&[("kube-flannel/kube-flannel-ds", &images)], &[FLANNEL_NOTE], &[]);
    assert_eq!(enforcement(&detect(&inside)), Yes);
    let apart = world(
        &[("kube-flannel/kube-flannel-ds", &images[..1]), ("kube-system/kube-network-policies", &images[1..])],
        &[FLANNEL_NOTE],
        &[],
    );
    assert_eq!(found(&apart), [("kube-network-policies", Yes), ("Flannel", No)]);
    assert_eq!(enforcement(&detect(&apart)), Yes);
}

#[test]
fn canal_is_neither_flannel_nor_calico_alone() {
    let images = ["docker.io/calico/node:v3.31.0", "docker.io/flannel/flannel:v0.28.1"];
    let notes = [FLANNEL_NOTE, ("projectcalico.org/IPv4Address", "10.0.0.1/24")];
    for name in ["canal", "rke2-canal", "renamed"] {
        assert_eq!(
            found(&world(&[(&format!("kube-system/{name}"), &images)], &notes, &[])),
            [("Canal", Yes)],
            "{name}"
        );
    }
    assert_eq!(of("x", &["rancher/hardened-calico:v3", "rancher/hardened-flannel:v0"]), [("Canal", Yes)]);
}

#[test]
fn calico_beside_flannel_is_two_plugins_and_enforces() {
    let both = [
        ("calico-system/calico-node", &["quay.io/calico/node:v3"][..]),
        ("kube-flannel/kube-flannel-ds", &["flannel/flannel:v1"][..]),
    ];
    assert_eq!(found(&world(&both, &[FLANNEL_NOTE], &[])), [("Calico", Yes), ("Flannel", No)]);
}

#[test]
fn plugins_that_enforce_as_installed() {
    for (daemon_set, image, name) in [
        ("calico-node", "docker.io/calico/node:v3.31.0", "Calico"),
        ("cilium", "quay.io/cilium/cilium:v1.19.0@sha256:0", "Cilium"),
        ("anetd", "gke.gcr.io/cilium/cilium:v1", "GKE Dataplane V2"),
        ("antrea-agent", "antrea/antrea-agent-ubuntu:v2.7.0", "Antrea"),
        ("ovnkube-node", "ghcr.io/ovn-kubernetes/ovn-kubernetes/ovn-kube-ubuntu:v1", "OVN-Kubernetes"),
        ("kube-ovn-cni", "docker.io/kubeovn/kube-ovn:v1.15", "Kube-OVN"),
        ("kube-router", "docker.io/cloudnativelabs/kube-router:v2.6", "kube-router"),
        ("azure-npm", "mcr.microsoft.com/containernetworking/azure-npm:v1.6", "Azure Network Policy Manager"),
        ("kube-network-policies", "registry.k8s.io/networking/kube-network-policies:v1", "kube-network-policies"),
    ] {
        assert_eq!(of(daemon_set, &[image]), [(name, Yes)], "{name}");
        // A mirror may rename the image; the DaemonSet's name stays.
        assert_eq!(of(daemon_set, &["registry.local/x/y:1"]), [(name, Yes)], "{name} by name");
    }
    assert_eq!(
        of("x", &["ghcr.io/ovn-kubernetes/ovn-kubernetes/ovn-kube-fedora:release-1.2"]),
        [("OVN-Kubernetes", Yes)]
    );
    assert_eq!(of("cilium-envoy", &["quay.io/cilium/cilium-envoy:v1"]), []);
    for (note, name) in [
        ("projectcalico.org/IPv4Address", "Calico"),
        ("network.cilium.io/ipv4-cilium-host", "Cilium"),
        ("node.antrea.io/mac-address", "Antrea"),
        ("k8s.ovn.org/node-subnets", "OVN-Kubernetes"),
        ("ovn.kubernetes.io/allocated", "Kube-OVN"),
    ] {
        assert_eq!(found(&world(&[], &[(note, "x")], &[])), [(name, Yes)], "{name} by annotation");
    }
}

#[test]
fn aws_with_and_without_its_agent() {
    let cni = "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.23.0";
    let agent = "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon/aws-network-policy-agent:v1.2.7";
    assert_eq!(of("aws-node", &[cni]), [("AWS VPC CNI", No)]);
    let with = of("aws-node", &[cni, agent]);
    assert!(matches!(with[..], [("AWS VPC CNI", OnlyWith(what))] if what.contains("enableNetworkPolicy")), "{with:?}");
    let auto = found(&world(&[], &[], &[("eks.amazonaws.com/compute-type", "auto")]));
    assert!(matches!(auto[..], [("EKS Auto Mode", OnlyWith(_))]), "{auto:?}");
    assert_eq!(found(&world(&[], &[], &[("eks.amazonaws.com/compute-type", "ec2")])), []);
    // Calico for policy on top of it.
    let both = [("kube-system/aws-node", &[cni][..]), ("calico-system/calico-node", &["quay.io/calico/node:v3"][..])];
    assert_eq!(found(&world(&both, &[], &[])), [("Calico", Yes), ("AWS VPC CNI", No)]);
}

#[test]
fn clouds_whose_engine_is_an_option() {
    assert_eq!(of("netd", &["gke.gcr.io/netd:v1"]), [("GKE without network policy", No)]);
    assert_eq!(found(&world(&[("mine/netd", &["acme/netd:1"])], &[], &[])), [], "some other netd");
    assert_eq!(of("azure-cns", &["mcr.microsoft.com/containernetworking/azure-cns:v1"]), [("Azure CNI", No)]);
    let both = [("kube-system/azure-cns", &["x/azure-cns:1"][..]), ("kube-system/azure-npm", &["x/azure-npm:1"][..])];
    assert_eq!(enforcement(&detect(&world(&both, &[], &[]))), Yes);
    let sdn = found(&world(&[("openshift-sdn/sdn", &["quay.io/openshift/sdn:1"])], &[], &[]));
    assert!(matches!(sdn[..], [("OpenShift SDN", OnlyWith(_))]), "{sdn:?}");
}

#[test]
fn kube_router_beside_another_plugin_may_only_route() {
    let image = ["docker.io/cloudnativelabs/kube-router:v2.6"];
    assert_eq!(of("kube-router", &image), [("kube-router", Yes)]);
    let both = [("kube-system/kube-router", &image[..]), ("kube-flannel/kube-flannel-ds", &["flannel/flannel:v1"][..])];
    let findings = found(&world(&both, &[FLANNEL_NOTE], &[]));
    assert!(
        matches!(findings[..], [("kube-router", OnlyWith(what)), ("Flannel", No)] if what.contains("--run-firewall")),
        "{findings:?}"
    );
}

#[test]
fn weave_with_and_without_its_policy_controller() {
    assert_eq!(of("weave-net", &["weaveworks/weave-kube:2.8.1", "weaveworks/weave-npc:2.8.1"]), [("Weave Net", Yes)]);
    assert_eq!(of("weave-net", &["weaveworks/weave-kube:2.8.1"]), [("Weave Net", No)]);
}

#[test]
fn kindnet_by_its_date() {
    let at = |tag: &str| of("kindnet", &[&format!("docker.io/kindest/kindnetd:{tag}")]);
    assert_eq!(at("v20240813-c6f155d6"), [("kindnet", Yes)]);
    assert_eq!(at("v20260528-9350166c"), [("kindnet", Yes)]);
    assert_eq!(at("v20240513-cd2ac642"), [("kindnet", No)]);
    for unclear in ["v20240730-75a5af0c", "stable", "v1.8.0"] {
        assert!(matches!(at(unclear)[..], [("kindnet", OnlyWith(_))]), "{unclear}");
    }
}

#[test]
fn k3s_unless_told_not_to() {
    let with = |args: &str| {
        let notes = [("k3s.io/hostname", "n1"), ("k3s.io/node-args", args), FLANNEL_NOTE];
        found(&world(&[], &notes, &[]))
    };
    assert_eq!(with(r#"["server"]"#), [("k3s", Yes)]);
    assert_eq!(with(r#"["server","--disable-network-policy"]"#), [("k3s", No)]);
    assert_eq!(with(r#"["server","--disable-network-policy","true"]"#), [("k3s", No)]);
    assert_eq!(with(r#"["server","--disable-network-policy=false"]"#), [("k3s", Yes)]);
    assert_eq!(with(r#"["server","--disable-network-policy","false","--x"]"#), [("k3s", Yes)]);
}

#[test]
fn a_pod_whose_owner_was_not_read_counts_by_its_image() {
    let mut world = world(&[("kube-system/other", &["x:1"])], &[], &[]);
    world.workloads.push(workload(WorkloadKind::Pod, NamespaceId(0), "calico-node-x7k2p", &["quay.io/calico/node:v3"]));
    world.workloads.push(workload(WorkloadKind::Deployment, NamespaceId(0), "cilium", &["quay.io/cilium/cilium:v1"]));
    assert_eq!(found(&world), [("Calico", Yes)]);
}

#[test]
fn policies_alone_are_a_hint_not_a_proof() {
    let mut world = World::default();
    for name in ["a", "b"] {
        world.foreign_policies.push(ForeignPolicy {
            kind: "CiliumClusterwideNetworkPolicy".into(),
            group: "cilium.io".into(),
            namespace: None,
            name: name.into(),
            origin: Origin::default(),
        });
    }
    let findings = detect(&world);
    assert_eq!(found(&world), [("Cilium", Enforces::Unknown)]);
    assert_eq!(findings[0].evidence[0].0, "2 policies of group `cilium.io`");
    assert_eq!(enforcement(&findings), Enforces::Unknown);
}

#[test]
fn every_row_has_a_source_and_a_name_of_its_own() {
    for (i, plugin) in PLUGINS.iter().enumerate() {
        assert!(plugin.source.starts_with("https://") && plugin.source.contains("2026)"), "{}", plugin.name);
        assert!(PLUGINS[..i].iter().all(|other| other.name != plugin.name), "{}", plugin.name);
        for part in plugin.includes {
            assert!(PLUGINS.iter().any(|other| other.name == *part), "{part}");
        }
    }
}
