//! WT0010, WT0088, WT0091: what the platform does with policies.

use super::Lint;
use super::common::in_namespace;
use crate::cni::{Enforces, enforcement};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use std::collections::BTreeMap;
use watertight_model::{NamespaceId, PodId};

/// Kinds that are not evaluated.
pub(super) const NOT_EVALUATED: Lint = Lint {
    code: "WT0010",
    name: "policy-kind-not-evaluated",
    severity: Severity::Warning,
    summary: "policies of a kind that is recognised and not evaluated could change verdicts",
    page: "Cilium, Calico, Antrea and Istio policies are counted, and every verdict they could change says so: \
           `depends`. Coverage of those pods is unknown, not missing.\n\nFix: nothing to apply.",
    check: not_evaluated,
};

/// Nothing enforces.
pub(super) const CNI: Lint = Lint {
    code: "WT0088",
    name: "cni-does-not-enforce",
    severity: Severity::Error,
    summary: "policies exist, and the network plugin that was seen does not enforce them",
    page: "The API server accepts a NetworkPolicy whatever the network plugin does with it. Recognises the plugin by \
           its DaemonSets and by what it writes on nodes.\n\nExample: DaemonSet `kube-flannel-ds` and 12 \
           NetworkPolicies: none of them does anything.\n\nFix: an enforcer beside the plugin, or another \
           plugin.\n\nSilent: some plugin that enforces was seen, none was recognised, or there is no policy.",
    check: cni,
};

/// Around the policy through the node.
pub(super) const HOST_NETWORK: Lint = Lint {
    code: "WT0091",
    name: "host-network-bypass",
    severity: Severity::Warning,
    summary: "hostNetwork pods in a namespace with policies: the policies may not hold for them",
    page: "A hostNetwork pod has its node's address. Most network plugins see its traffic as the node's: policies \
           neither select it nor match it as a peer, and its own node's pods always accept it. Verdicts for it are \
           `depends`.\n\nExample: `shop/node-exporter` with `hostNetwork: true` beside a default deny.\n\nFix: drop \
           hostNetwork; where it must stay, enforce Pod Security `baseline` in every other namespace.\n\nSilent: \
           namespaces without policies, and without such pods. In kube-system it is a note.",
    check: host_network,
};

fn not_evaluated(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut kinds: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (i, policy) in ctx.world.foreign_policies.iter().enumerate() {
        kinds.entry((policy.kind.to_string(), policy.group.to_string())).or_default().push(i);
    }
    for ((kind, group), list) in kinds {
        let policies = &ctx.world.foreign_policies;
        let wide = list.iter().any(|i| policies[*i].namespace.is_none());
        let namespaces: std::collections::BTreeSet<String> = list
            .iter()
            .filter_map(|i| policies[*i].namespace)
            .map(|ns| ctx.world.namespaces[ns.index()].name.to_string())
            .collect();
        let namespaces: Vec<String> = namespaces.into_iter().collect();
        let scope = if wide { "every pod".to_owned() } else { format!("the pods of {}", some(&namespaces)) };
        let message = format!("{} {kind} ({group}) are not evaluated: verdicts of {scope} depend on them", list.len());
        let mut finding = NOT_EVALUATED.finding(kind, list.first().map(|i| policies[*i].origin), message);
        finding.affected = list.len();
        out.push(finding);
    }
}

fn cni(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let policies = ctx.world.policies.len() + ctx.world.cluster_policies.len();
    if policies == 0 || ctx.cni.is_empty() || enforcement(&ctx.cni) != Enforces::No {
        return;
    }
    let names: Vec<String> = ctx.cni.iter().map(|c| c.name.to_owned()).collect();
    let evidence = ctx.cni.iter().find_map(|c| c.evidence.first());
    let seen = evidence.map(|(words, _)| format!(" (seen: {words})")).unwrap_or_default();
    let message = format!(
        "{} accepts policies and does not enforce them: {policies} policies have no effect{seen}",
        some(&names)
    );
    let mut finding = CNI.finding("the network plugin".to_owned(), evidence.and_then(|(_, at)| *at), message);
    finding.status = Status::Assumed;
    finding.score = 9.5;
    finding.affected = policies;
    finding.help = Some(
        "run an enforcer beside it, such as kube-network-policies, or a plugin that enforces (Calico, Cilium, Antrea)"
            .to_owned(),
    );
    out.push(finding);
}

fn host_network(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for ns in (0..ctx.world.namespaces.len()).map(NamespaceId::at) {
        let policies = ctx.world.policies.iter().filter(|p| p.namespace == ns).count();
        let pods: Vec<PodId> = in_namespace(ctx, ns)
            .filter(|id| ctx.world.pods[id.index()].host_network && !ctx.world.pods[id.index()].finished)
            .collect();
        if policies == 0 || pods.is_empty() {
            continue;
        }
        let names = super::common::workload_names(ctx, &pods);
        let namespace = &ctx.world.namespaces[ns.index()];
        let message = format!(
            "{} run in their node's network: whether the namespace's {policies} policies hold for them depends on the network plugin, \
             and pods of their node accept them whatever policies say",
            some(&names)
        );
        let message =
            if names.len() == 1 { message.replacen(" run in their node's", " runs in its node's", 1) } else { message };
        let at = ctx.world.pods[pods[0].index()].origin;
        let mut finding = HOST_NETWORK.finding(format!("namespace {}", namespace.name), Some(at), message);
        if &*namespace.name == "kube-system" {
            finding.severity = Severity::Note;
            finding.score = Severity::Note.score();
        }
        finding.affected = pods.len();
        finding.help = Some("drop hostNetwork, or enforce Pod Security `baseline` on the namespace".to_owned());
        out.push(finding);
    }
}
