//! WT0072: traffic between environments.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{count, flow};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_engine::query::why;
use watertight_model::{Direction, Flow, Verdict, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0072",
    name: "environment-crossed",
    severity: Severity::Error,
    summary: "workloads of one environment reach those of another",
    page: "Namespaces carry their environment in a label (`env`, `environment` or `stage`), ordered dev, test, \
           staging, prod. Proves that workloads of one environment reach workloads of another on any port, and says \
           which rule or default lets them; both ways are one finding. Critical from low to high; an error where only \
           the more trusted side may connect, by a rule. Paths over several hops are WT0073.\n\nExample: `dev/shell` \
           reaches `prod/db` by default.\n\nFix: a default deny on the higher side, or an Admin-tier Deny between the \
           two.\n\nSilent: environments that are not in the order; from high to low because nothing isolates either \
           side (WT0046, WT0048); namespaces declared shared, such as monitoring and ingress.",
    check: Check::World(check),
};

/// Who reaches whom between two environments.
#[derive(Default)]
struct Crossing {
    from: BTreeSet<WorkloadId>,
    to: BTreeSet<WorkloadId>,
    pairs: usize,
    witness: Option<Flow>,
}

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let crossings = crossings(ctx);
    let pairs: BTreeSet<(&str, &str)> = crossings.keys().map(|(a, b)| ordered(ctx, a, b)).collect();
    for (low, high) in pairs {
        let way = |a: &str, b: &str| crossings.get(&(a.to_owned(), b.to_owned()));
        let (up, down) = (way(low, high), way(high, low));
        let (Some(told), (a, b)) = (up.or(down), if up.is_some() { (low, high) } else { (high, low) }) else {
            continue;
        };
        let by = told.witness.map(|f| why(ctx.engine, &ctx.engine.decide(&f))).unwrap_or_default();
        let back = match (up, down) {
            (Some(_), Some(down)) => format!("; {high} reaches {low} as well ({})", count(down.pairs, "pair")),
            _ => String::new(),
        };
        let message = format!(
            "{a} reaches {b}: {} can connect to {} ({} of workloads), {by}{back}",
            some(&ask::names(ctx, &told.from)),
            some(&ask::names(ctx, &told.to)),
            count(told.pairs, "pair")
        );
        let mut finding = LINT.finding(format!("environment {high}"), None, message);
        if up.is_some() {
            finding.score = 9.0;
        }
        finding.affected = up.map_or(0, |c| c.pairs) + down.map_or(0, |c| c.pairs);
        finding.witness = told.witness;
        finding.help = Some(format!("isolate the {b} namespaces for ingress, or deny {a} in the Admin tier"));
        out.push(finding);
    }
}

fn ordered<'e>(ctx: &Ctx<'_, '_>, a: &'e str, b: &'e str) -> (&'e str, &'e str) {
    if ctx.trust(a) <= ctx.trust(b) { (a, b) } else { (b, a) }
}

fn crossings(ctx: &Ctx<'_, '_>) -> BTreeMap<(String, String), Crossing> {
    let environment = |class: ClassId| {
        let namespace = ask::namespace(ctx, class);
        let (_, value) = ctx.environment(namespace).filter(|_| !ask::is_shared(ctx, namespace))?;
        Some((&**value, ctx.trust(value)?))
    };
    let known: BTreeMap<ClassId, (&str, usize)> =
        ask::classes(ctx).filter_map(|c| environment(c).map(|e| (c, e))).collect();
    let workloads: BTreeMap<ClassId, BTreeSet<WorkloadId>> =
        known.keys().map(|c| (*c, ask::workloads(ctx, [*c]))).collect();
    // From high to low by default is a consequence of not being isolated, which WT0046 and WT0048 report.
    let open: BTreeSet<ClassId> =
        known.keys().copied().filter(|c| !ask::has_policies(ctx, *c, Direction::Egress)).collect();
    let bare: BTreeSet<ClassId> =
        known.keys().copied().filter(|c| !ask::has_policies(ctx, *c, Direction::Ingress)).collect();
    let has_a_say = |from: ClassId, to: ClassId| !open.contains(&from) || !bare.contains(&to);
    let mut out: BTreeMap<(&str, &str), Crossing> = BTreeMap::new();
    for (to, (there, trust)) in &known {
        for (ports, sources) in ctx.reach().sources(*to).filter(|(ports, _)| !ports.sure.is_empty()) {
            for from in sources.iter() {
                let Some((here, other)) = known.get(&from).filter(|(_, other)| other != trust) else { continue };
                if other > trust && !has_a_say(from, *to) {
                    continue;
                }
                let entry = out.entry((here, there)).or_default();
                let (a, b) = (&workloads[&from], &workloads[to]);
                entry.pairs += a.len() * b.len();
                entry.from.extend(a);
                entry.to.extend(b);
                if entry.witness.is_none()
                    && let Some((protocol, port, _)) = ports.sure.iter().next()
                {
                    let asked = flow(ask::end(ctx, from), ask::end(ctx, *to), protocol, port);
                    entry.witness = (ctx.engine.decide(&asked).verdict == Verdict::Allow).then_some(asked);
                }
            }
        }
    }
    out.into_iter().map(|((a, b), crossing)| ((a.to_owned(), b.to_owned()), crossing)).collect()
}
