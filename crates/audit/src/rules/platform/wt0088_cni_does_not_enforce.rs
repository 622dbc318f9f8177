//! WT0088: policies that no network plugin enforces.

use crate::cni::{Enforces, enforcement};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status, some};
use crate::rules::{Check, Lint};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0088",
    name: "cni-does-not-enforce",
    severity: Severity::Error,
    summary: "policies exist, and the network plugin that was seen does not enforce them",
    page: "The API server accepts a NetworkPolicy whatever the network plugin does with it. Recognises the plugin \
           by its DaemonSets and by what it writes on nodes.\n\nExample: DaemonSet `kube-flannel-ds` and 12 \
           NetworkPolicies: none of them does anything.\n\nFix: an enforcer beside the plugin, or another \
           plugin.\n\nSilent: some plugin that enforces was seen, none was recognised, or there is no policy.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
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
    let mut finding = LINT.finding("the network plugin".to_owned(), evidence.and_then(|(_, at)| *at), message);
    finding.status = Status::Assumed;
    finding.score = 9.5;
    finding.affected = policies;
    finding.help = Some(
        "run an enforcer beside it, such as kube-network-policies, or a plugin that enforces (Calico, Cilium, Antrea)"
            .to_owned(),
    );
    out.push(finding);
}
