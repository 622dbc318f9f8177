//! WT0081: an Accept of the Admin tier that lets in what the pods' own policies deny.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{cluster_policy_object, workload_names};
use crate::rules::refs::{cluster_rule, flow_words};
use crate::rules::{Check, Lint};
use watertight_model::Direction;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0081",
    name: "deny-overridden-by-admin",
    severity: Severity::Warning,
    summary: "an Accept rule of the Admin tier lets in to pods what their own NetworkPolicies deny",
    page: "An Accept of the Admin tier is final: NetworkPolicy is not asked. Proves that pods which NetworkPolicies \
            isolate for ingress receive flows that those policies deny, and names the pods and a flow.\n\nExample: \
           an Admin Accept for `monitoring` on all ports reaches `data/db:5432`, which `data` does not \
           allow.\n\nFix: Pass instead of Accept, where the namespaces shall decide; or the ports that are \
           meant.\n\nSilent: the policies of the pods allow all that the rule accepts, or no policy isolates its \
           pods.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for found in ctx.redundancy().overriding.iter().filter(|o| o.rule.direction == Direction::Ingress) {
        let Some((index, rule)) = cluster_rule(ctx, found.rule) else { continue };
        let names = workload_names(ctx, &found.subjects);
        let message = format!(
            "ingress rule {} lets in what the NetworkPolicies of {} deny, such as {}",
            found.rule.rule.unwrap_or_default(),
            some(&names),
            flow_words(ctx, &found.witness),
        );
        let mut finding = LINT.finding(cluster_policy_object(ctx, index), Some(rule.origin), message);
        finding.witness = Some(found.witness);
        finding.affected = names.len();
        finding.help = Some(
            "write `action: Pass` where the namespaces shall decide, or narrow the rule to the ports that are meant"
                .to_owned(),
        );
        out.push(finding);
    }
}
