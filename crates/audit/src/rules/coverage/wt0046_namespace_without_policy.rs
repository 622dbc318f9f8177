//! WT0046: a namespace whose pods are open in both directions.

use crate::context::Ctx;
use crate::coverage::WorkloadCoverage;
use crate::finding::{Finding, Severity, Status, some};
use crate::rules::consequences::of_open_egress;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_model::{NamespaceId, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0046",
    name: "namespace-without-policy",
    severity: Severity::Warning,
    summary: "no policy of any tier isolates any pod of a namespace, today's or tomorrow's",
    page: "Proves, with pods that do not exist yet, that everything in the namespace is open in both directions: any \
           pod of the cluster reaches it, and it reaches any pod. Namespaces without policies are the stepping stones \
           on the way to those that have them.\n\nExample: `dev` has 14 workloads and no NetworkPolicy.\n\nFix: a \
           default deny with the DNS rule and the rules in use (`watertight learn`).\n\nSilent: another tier isolates \
           the pods; all pods are in their node's network. In kube-system it is a note.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    // Of pods in their node's network policy has nothing to say.
    let can = |w: &WorkloadCoverage| (!w.host_network).then(|| ctx.world.workloads[w.workload.index()].namespace);
    let with_pods: BTreeSet<NamespaceId> = ctx.coverage().workloads.iter().filter_map(can).collect();
    let open: Vec<_> = ctx
        .coverage()
        .namespaces
        .iter()
        .filter(|n| {
            with_pods.contains(&n.namespace)
                && n.ingress.covered + n.ingress.unclear + n.egress.covered + n.egress.unclear == 0
                && n.default_deny_ingress == Verdict::Deny
                && n.default_deny_egress == Verdict::Deny
        })
        .collect();
    let name = |n: &&crate::coverage::NamespaceCoverage| ctx.world.namespaces[n.namespace.index()].name.to_string();
    if open.len() == with_pods.len() && open.len() > 1 {
        // One root cause: nobody has begun.
        let names: Vec<String> = open.iter().map(name).collect();
        let message = format!(
            "no namespace has a policy: every pod reaches every pod, {} open pairs of workloads in {} namespaces ({})",
            ctx.coverage().pairs.possible,
            names.len(),
            some(&names)
        );
        let mut finding = LINT.finding("the cluster".to_owned(), None, message);
        finding.severity = Severity::Error;
        finding.score = 9.0;
        finding.affected = names.len();
        finding.help =
            Some("start with the namespace that holds most to lose: `watertight learn -n NAMESPACE`".to_owned());
        out.push(finding);
        return;
    }
    for n in open {
        let namespace = &ctx.world.namespaces[n.namespace.index()];
        let (whom, them, they) = match n.ingress.total {
            1 => ("its only workload".to_owned(), "it", "it reaches"),
            total => (format!("any of its {total} workloads"), "them", "they reach"),
        };
        let message = format!(
            "no policy isolates {whom}: every pod of the cluster reaches {them}, and {they} every pod{}",
            beside(&of_open_egress(ctx, n.namespace))
        );
        let mut finding = LINT.finding(format!("namespace {}", namespace.name), namespace.origin, message);
        if &*namespace.name == "kube-system" {
            finding.severity = Severity::Note;
            finding.score = Severity::Note.score();
        }
        finding.status = Status::InInput;
        finding.affected = n.ingress.total;
        finding.help = Some(format!("`watertight learn -n {}`: a default deny with what is in use", namespace.name));
        out.push(finding);
    }
}

fn beside(reached: &[String]) -> String {
    if reached.is_empty() { String::new() } else { format!(", {}", some(reached)) }
}
