//! The network plugins that are told apart, as data: what they leave behind, whether they enforce, and who says so.
//!
//! To add one: a row, and a line in the tests. A row's `source` names a public page and the month it was looked at,
//! because this knowledge ages.

use super::Enforces::{self, No, OnlyWith, Yes};

/// A trace that a plugin leaves.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    /// A DaemonSet of this name.
    DaemonSet(&'static str),
    /// A DaemonSet of this name in this namespace (where the name alone says too little).
    DaemonSetIn(&'static str, &'static str),
    /// A container of a DaemonSet (or of a pod whose owner was not read) runs this image: the end of the repository's
    /// path, cut at `/` or `-`.
    Image(&'static str),
    /// One DaemonSet runs both images.
    Images(&'static str, &'static str),
    /// A node annotation that begins so.
    NodeAnnotation(&'static str),
    /// A node label with this value.
    NodeLabel(&'static str, &'static str),
}

/// How to tell whether the plugin, once found, enforces.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    Always(Enforces),
    /// If the same DaemonSet also runs this image: the first; else the second.
    Beside(&'static str, Enforces, Enforces),
    /// Alone it does; beside another plugin it may be there for its routes only.
    KubeRouter,
    /// By the date in the image's tag.
    Kindnet,
    /// By the server's arguments in the node annotations.
    K3s,
}

pub(super) struct Plugin {
    pub(super) name: &'static str,
    /// Any one is enough.
    pub(super) signs: &'static [Sign],
    pub(super) rule: Rule,
    /// Parts of this plugin whose own traces on nodes are not a finding of their own.
    pub(super) includes: &'static [&'static str],
    /// API group of its own policies: a hint that it is or was installed, no more.
    pub(super) group: Option<&'static str>,
    pub(super) source: &'static str,
}

use Rule::{Always, Beside};
use Sign::{DaemonSet, DaemonSetIn, Image, Images, NodeAnnotation, NodeLabel};

/// Every plugin that is told apart. Order matters for DaemonSets: each counts for the first row that it fits.
pub(super) const PLUGINS: &[Plugin] = &[
    Plugin {
        name: "Canal",
        signs: &[
            DaemonSet("canal"),
            DaemonSet("rke2-canal"),
            Images("flannel", "calico/node"),
            Images("flannel", "calico-node"),
            Images("hardened-flannel", "hardened-calico"),
        ],
        rule: Always(Yes),
        includes: &["Flannel", "Calico"],
        group: None,
        source: "https://docs.tigera.io/calico/latest/getting-started/kubernetes/flannel/install-for-flannel (Nov 2026)",
    },
    Plugin {
        name: "Calico",
        signs: &[
            DaemonSet("calico-node"),
            Image("calico/node"),
            Image("calico-node"),
            Image("hardened-calico"),
            NodeAnnotation("projectcalico.org/IPv"),
        ],
        rule: Always(Yes),
        includes: &[],
        group: Some("crd.projectcalico.org"),
        source: "https://docs.tigera.io/calico/latest/network-policy/get-started/kubernetes-policy/kubernetes-network-policy (Nov 2026)",
    },
    Plugin {
        name: "GKE Dataplane V2",
        signs: &[DaemonSet("anetd")],
        rule: Always(Yes),
        includes: &["Cilium", "GKE without network policy"],
        group: None,
        source: "https://cloud.google.com/kubernetes-engine/docs/concepts/dataplane-v2: NetworkPolicy is always on (Nov 2026)",
    },
    Plugin {
        name: "Cilium",
        signs: &[
            DaemonSet("cilium"),
            Image("cilium/cilium"),
            Image("cilium-cilium"),
            NodeAnnotation("network.cilium.io/"),
            NodeAnnotation("io.cilium.network."),
        ],
        rule: Always(Yes),
        includes: &[],
        group: Some("cilium.io"),
        source: "https://docs.cilium.io/en/stable/network/kubernetes/policy/ (Nov 2026); `policyEnforcementMode: never` turns it off",
    },
    Plugin {
        name: "Antrea",
        signs: &[
            DaemonSet("antrea-agent"),
            Image("antrea/antrea-agent-ubuntu"),
            Image("antrea/antrea-ubuntu"),
            Image("antrea/antrea-agent-ubi"),
            NodeAnnotation("node.antrea.io/"),
        ],
        rule: Always(Yes),
        includes: &[],
        group: Some("crd.antrea.io"),
        source: "https://kubernetes.io/docs/tasks/administer-cluster/network-policy-provider/ (Nov 2026)",
    },
    Plugin {
        name: "OVN-Kubernetes",
        signs: &[
            DaemonSet("ovnkube-node"),
            Image("ovn-kube-ubuntu"),
            Image("ovn-kube-fedora"),
            NodeAnnotation("k8s.ovn.org/"),
        ],
        rule: Always(Yes),
        includes: &[],
        group: None,
        source: "https://docs.okd.io/4.22/networking/network_security/logging-network-security.html: NetworkPolicy becomes OVN ACLs (Nov 2026)",
    },
    Plugin {
        name: "Kube-OVN",
        signs: &[DaemonSet("kube-ovn-cni"), Image("kubeovn/kube-ovn"), NodeAnnotation("ovn.kubernetes.io/")],
        rule: Always(Yes),
        includes: &[],
        group: None,
        source: "https://github.com/kubeovn/kube-ovn, dist/images/install.sh: ENABLE_NP is true by default (Nov 2026); the controller's `--enable-np=false` turns it off",
    },
    Plugin {
        name: "OpenShift SDN",
        signs: &[DaemonSetIn("openshift-sdn", "sdn")],
        rule: Always(OnlyWith("its mode is NetworkPolicy, the default (not Subnet or Multitenant)")),
        includes: &[],
        group: None,
        source: "https://docs.redhat.com/documentation/openshift_container_platform/4.14/html/networking/multitenant-network-policy (Nov 2026)",
    },
    Plugin {
        name: "Weave Net",
        signs: &[DaemonSet("weave-net"), Image("weave-kube")],
        rule: Beside("weave-npc", Yes, No),
        includes: &[],
        group: None,
        source: "https://kubernetes.io/docs/tasks/administer-cluster/network-policy-provider/weave-network-policy/: the container `weave-npc` is the policy controller (Nov 2026)",
    },
    Plugin {
        name: "kindnet",
        signs: &[DaemonSet("kindnet"), Image("kindnetd")],
        rule: Rule::Kindnet,
        includes: &[],
        group: None,
        source: "https://github.com/kubernetes-sigs/kind/pull/3612, merged on 23 July 2024, released in kind v0.24.0 (Nov 2026)",
    },
    Plugin {
        name: "kube-router",
        signs: &[DaemonSet("kube-router"), Image("cloudnativelabs/kube-router")],
        rule: Rule::KubeRouter,
        includes: &[],
        group: None,
        source: "https://www.kube-router.io/docs/user-guide/: `--run-firewall` is on by default; the manifest \
                 generic-kuberouter-only-advertise-routes.yaml, for use beside another plugin, turns it off (Nov 2026)",
    },
    Plugin {
        name: "AWS VPC CNI",
        signs: &[DaemonSet("aws-node"), Image("amazon-k8s-cni")],
        rule: Beside(
            "aws-network-policy-agent",
            OnlyWith(
                "network policy is turned on in the add-on (`enableNetworkPolicy: \"true\"`; it is off by default)",
            ),
            No,
        ),
        includes: &[],
        group: None,
        source: "https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html (Nov 2026)",
    },
    Plugin {
        name: "EKS Auto Mode",
        signs: &[NodeLabel("eks.amazonaws.com/compute-type", "auto")],
        rule: Always(OnlyWith(
            "the ConfigMap `kube-system/amazon-vpc-cni` says `enable-network-policy-controller: \"true\"`",
        )),
        includes: &[],
        group: None,
        source: "https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html (Nov 2026)",
    },
    Plugin {
        name: "Azure Network Policy Manager",
        signs: &[DaemonSet("azure-npm"), Image("azure-npm")],
        rule: Always(Yes),
        includes: &["Azure CNI"],
        group: None,
        source: "https://learn.microsoft.com/azure/aks/use-network-policies (Nov 2026)",
    },
    Plugin {
        name: "Azure CNI",
        signs: &[DaemonSet("azure-cns"), Image("azure-cns")],
        rule: Always(No),
        includes: &[],
        group: None,
        source: "https://learn.microsoft.com/azure/aks/use-network-policies: an engine is chosen separately, none by default (Nov 2026)",
    },
    Plugin {
        name: "GKE without network policy",
        signs: &[DaemonSetIn("kube-system", "netd")],
        rule: Always(No),
        includes: &[],
        group: None,
        source: "https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy: off by default without Dataplane V2 (Nov 2026)",
    },
    Plugin {
        name: "kube-network-policies",
        signs: &[DaemonSet("kube-network-policies"), Image("networking/kube-network-policies")],
        rule: Always(Yes),
        includes: &[],
        group: None,
        source: "https://github.com/kubernetes-sigs/kube-network-policies (Nov 2026)",
    },
    Plugin {
        name: "k3s",
        signs: &[NodeAnnotation("k3s.io/")],
        rule: Rule::K3s,
        includes: &["Flannel"],
        group: None,
        source: "https://docs.k3s.io/networking/networking-services, and https://github.com/k3s-io/k3s/issues/7244 for the annotation (Nov 2026)",
    },
    Plugin {
        name: "Flannel",
        signs: &[
            DaemonSet("kube-flannel-ds"),
            DaemonSet("kube-flannel"),
            Image("flannel"),
            NodeAnnotation("flannel.alpha.coreos.com/"),
        ],
        rule: Beside("kube-network-policies", Yes, No),
        includes: &[],
        group: None,
        source: "https://github.com/flannel-io/flannel#networking-details: flanneld itself enforces no policies; \
                 its chart can run kube-network-policies beside it (Nov 2026)",
    },
];
