//! WT0072: traffic between environments.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::classes::ClassId;
use watertight_model::WorkloadId;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0072",
    name: "environment-crossed",
    severity: Severity::Error,
    summary: "workloads of a less trusted environment reach those of a more trusted one",
    page: "Namespaces carry their environment in a label (`env`, `environment` or `stage`), ordered dev, test, \
           staging, prod. Proves that workloads of a lower one reach workloads of a higher one, on any port, by a \
           rule or because nothing isolates them.\n\nExample: `dev/shell` reaches `prod/db` by default.\n\nFix: a \
           default deny on the higher side, or an Admin-tier Deny between the two.\n\nSilent: environments that are \
           not in the order; the other way round.",
    check: Check::World(check),
};

/// Who reaches whom between two environments: sources, destinations, pairs.
type Crossing = (BTreeSet<WorkloadId>, BTreeSet<WorkloadId>, usize);

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let mut crossings: BTreeMap<(String, String), Crossing> = BTreeMap::new();
    let environment = |class: ClassId| {
        let pod = &ctx.world.pods[ctx.engine.classes().representative(class).index()];
        let (_, value) = ctx.environment(pod.namespace)?;
        Some((value.to_string(), ctx.trust(value)?))
    };
    let workloads = |class: ClassId| -> BTreeSet<WorkloadId> {
        ctx.engine.classes().members(class).iter().map(|p| ctx.world.pods[p.index()].workload).collect()
    };
    for to in (0..ctx.engine.classes().len()).filter_map(|i| u32::try_from(i).ok().map(ClassId)) {
        let Some((high, high_trust)) = environment(to) else { continue };
        for (ports, sources) in ctx.reach().sources(to) {
            if ports.sure.is_empty() {
                continue;
            }
            for from in sources.iter() {
                let Some((low, low_trust)) = environment(from) else { continue };
                if low_trust < high_trust {
                    let entry = crossings.entry((low, high.clone())).or_default();
                    let (a, b) = (workloads(from), workloads(to));
                    entry.2 += a.len() * b.len();
                    entry.0.extend(a);
                    entry.1.extend(b);
                }
            }
        }
    }
    for ((low, high), (from, to, pairs)) in crossings {
        let names = |set: BTreeSet<WorkloadId>| set.into_iter().map(|w| ctx.workload_name(w)).collect::<Vec<_>>();
        let (from, to) = (names(from), names(to));
        let message =
            format!("{low} reaches {high}: {} can connect to {} ({pairs} pairs of workloads)", some(&from), some(&to));
        let mut finding = LINT.finding(format!("environment {high}"), None, message);
        finding.score = 9.0;
        finding.affected = pairs;
        finding.help = Some(format!("isolate the {high} namespaces for ingress, or deny {low} in the Admin tier"));
        out.push(finding);
    }
}
