//! WT0047 and WT0048: a namespace with policies in which a pod deployed tomorrow is open.

use crate::context::Ctx;
use crate::coverage::NamespaceCoverage;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::ask;
use crate::rules::common::{count, flow};
use crate::rules::consequences::of_open_egress;
use crate::rules::write::default_deny;
use crate::rules::{Check, Lint};
use watertight_model::{Direction, Protocol, Verdict};

/// Ingress.
pub(super) const INGRESS: Lint = Lint {
    code: "WT0047",
    name: "no-default-deny-ingress",
    severity: Severity::Warning,
    summary: "a pod deployed tomorrow into the namespace accepts everything, though other pods are isolated",
    page: "Proves with an imaginary pod without labels that nothing isolates it for ingress. Any way to isolate \
           counts (NetworkPolicy, Admin or Baseline tier), not one spelling.\n\nExample: three policies select `app: \
           web`, `app: api` and `app: db` by name; nothing selects the rest.\n\nFix: `podSelector: {}, policyTypes: \
           [Ingress]`, beside the rules that keep today's flows.\n\nSilent: no pod of the namespace is isolated \
           (WT0046); a rule opens such a pod to everyone (WT0050).",
    check: Check::World(|ctx, out| check(ctx, out, false)),
};

/// Egress.
pub(super) const EGRESS: Lint = Lint {
    code: "WT0048",
    name: "no-default-deny-egress",
    severity: Severity::Warning,
    summary: "a pod deployed tomorrow into the namespace reaches everything, though other pods are isolated",
    page: "The same as WT0047 for egress. What follows: the metadata address of the cloud, the Internet, the control \
           plane and other environments are in reach.\n\nExample: `podSelector: {}, policyTypes: [Ingress]` and no \
           egress policy.\n\nFix: `podSelector: {}, policyTypes: [Egress]` together with the DNS rule \
           (WT0051).\n\nSilent: no pod of the namespace is isolated (WT0046); a rule lets such a pod go anywhere (WT0065).",
    check: Check::World(|ctx, out| check(ctx, out, true)),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>, egress: bool) {
    let begun = |n: &&NamespaceCoverage| n.ingress.covered + n.egress.covered > 0;
    for n in ctx.coverage().namespaces.iter().filter(begun) {
        let (default, own, lint) = if egress {
            (n.default_deny_egress, n.egress, &EGRESS)
        } else {
            (n.default_deny_ingress, n.ingress, &INGRESS)
        };
        if default != Verdict::Deny || open_by_rule(ctx, n, egress) {
            continue;
        }
        let namespace = &ctx.world.namespaces[n.namespace.index()];
        let (verb, kind) = if egress { ("reaches", "Egress") } else { ("accepts", "Ingress") };
        let message = format!(
            "a pod deployed tomorrow {verb} everything: {} of {} {} isolated for {}{}",
            own.covered,
            count(own.total, "workload"),
            if own.total == 1 { "is" } else { "are" },
            kind.to_lowercase(),
            if own.covered == 0 { "" } else { ", by name" }
        );
        let reached = if egress { of_open_egress(ctx, n.namespace) } else { Vec::new() };
        let message = if reached.is_empty() { message } else { format!("{message}; in reach: {}", some(&reached)) };
        let mut finding = lint.finding(format!("namespace {}", namespace.name), namespace.origin, message);
        finding.affected = own.total - own.covered;
        let dns = if egress { "; add the DNS rule with it" } else { "" };
        finding.help = Some(format!("add a default deny for {}{dns}", kind.to_lowercase()));
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let deny = Fix::put(ctx.world, "isolate every pod of the namespace", default_deny(n.namespace, direction));
        finding.fixes.push(if egress {
            let names = Fix::put(ctx.world, "", ctx.dns().policy(ctx, n.namespace));
            deny.and("isolate every pod of the namespace, and let all of them look up names", names)
        } else {
            deny
        });
        out.push(finding);
    }
}

/// Policies do select a pod deployed tomorrow, and their rules open it: another finding (WT0050, WT0065, WT0069).
fn open_by_rule(ctx: &Ctx<'_, '_>, n: &NamespaceCoverage, egress: bool) -> bool {
    let (own, stranger) = (ctx.fresh().tomorrow(n.namespace), ctx.fresh().stranger());
    let (from, to) = if egress { (own, stranger) } else { (stranger, own) };
    let verdict = ctx.fresh_engine().decide(&flow(from, to, Protocol::Tcp, 1));
    ask::by_rule(if egress { verdict.egress.reason } else { verdict.ingress.reason })
}
