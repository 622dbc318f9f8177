//! WT0091: pods in their node's network, beside policies.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::in_namespace;
use crate::rules::{Check, Lint};
use watertight_model::{NamespaceId, PodId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0091",
    name: "host-network-bypass",
    severity: Severity::Warning,
    summary: "hostNetwork pods in a namespace with policies: the policies may not hold for them",
    page: "A hostNetwork pod has its node's address. Most network plugins see its traffic as the node's: policies \
           neither select it nor match it as a peer, and its own node's pods always accept it. Verdicts for it are \
           `depends`.\n\nExample: `shop/node-exporter` with `hostNetwork: true` beside a default deny.\n\nFix: drop \
            hostNetwork; where it must stay, enforce Pod Security `baseline` in every other namespace.\n\nSilent: \
           namespaces without policies, and without such pods. In kube-system it is a note.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for ns in (0..ctx.world.namespaces.len()).map(NamespaceId::at) {
        let policies = ctx.world.policies.iter().filter(|p| p.namespace == ns).count();
        let pods: Vec<PodId> = in_namespace(ctx, ns)
            .filter(|id| ctx.world.pods[id.index()].host_network && !ctx.world.pods[id.index()].finished)
            .collect();
        if policies == 0 || pods.is_empty() {
            continue;
        }
        let names = crate::rules::common::workload_names(ctx, &pods);
        let namespace = &ctx.world.namespaces[ns.index()];
        let message = format!(
            "{} run in their node's network: whether the namespace's {policies} policies hold for them depends on the network plugin, \
             and pods of their node accept them whatever policies say",
            some(&names)
        );
        let message =
            if names.len() == 1 { message.replacen(" run in their node's", " runs in its node's", 1) } else { message };
        let at = ctx.world.pods[pods[0].index()].origin;
        let mut finding = LINT.finding(format!("namespace {}", namespace.name), Some(at), message);
        if &*namespace.name == "kube-system" {
            finding.severity = Severity::Note;
            finding.score = Severity::Note.score();
        }
        finding.affected = pods.len();
        finding.help = Some("drop hostNetwork, or enforce Pod Security `baseline` on the namespace".to_owned());
        out.push(finding);
    }
}
