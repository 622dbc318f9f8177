//! WT0010: policies of kinds that are recognised and not evaluated.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::{Check, Lint};
use std::collections::BTreeMap;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0010",
    name: "policy-kind-not-evaluated",
    severity: Severity::Warning,
    summary: "policies of a kind that is recognised and not evaluated could change verdicts",
    page: "Cilium, Calico, Antrea and Istio policies are counted, and every verdict they could change says so: \
           `depends`. Coverage of those pods is unknown, not missing.\n\nFix: nothing to apply.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
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
        let mut finding = LINT.finding(kind, list.first().map(|i| policies[*i].origin), message);
        finding.affected = list.len();
        out.push(finding);
    }
}
