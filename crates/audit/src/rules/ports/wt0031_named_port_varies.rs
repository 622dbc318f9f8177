//! WT0031: one port name, several numbers.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{policy_object, rules, workload_object};
use crate::rules::receivers::receivers;
use crate::rules::{Check, Lint};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::scope::named_port;
use watertight_model::{ContainerKind, Pod, PodId, PortMatch, Ports, Protocol, Str, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0031",
    name: "named-port-varies",
    severity: Severity::Note,
    summary: "a port name that rules use stands for different numbers in one workload",
    page: "A named port is looked up on each pod, so a rule that names it opens to each pod its own number. \
           Proves that the pods of one workload have different numbers (in a rollout, for example), or that \
           several containers of one pod use the name for different numbers: then only the number that a \
           Service would use is open, and the finding is a warning.\n\nExample: `http` is 8080 in the old pods \
           and 8443 in the new ones.\n\nFix: one number, or two names.\n\nSilent: no rule names the port; the \
           numbers are equal.",
    check: Check::World(check),
};

/// A name that a rule looks up on a workload.
type Use = (WorkloadId, Str, Protocol);

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    // Per use: the numbers with the first pod of each, and the first policy.
    let mut uses: BTreeMap<Use, (BTreeMap<u16, PodId>, String)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (i, policy, direction, _, rule) in rules(ctx) {
        let Ports::Of(entries) = &rule.ports else { continue };
        let named = entries.iter().filter_map(|e| match &e.port {
            PortMatch::Named(name) => Some((name, e.protocol)),
            PortMatch::Any | PortMatch::Range(..) => None,
        });
        let named: Vec<(&Str, Protocol)> = named.collect();
        if named.is_empty() {
            continue;
        }
        for class in receivers(ctx, policy, direction, rule).unwrap_or_default() {
            for (name, protocol) in &named {
                if !seen.insert((class, (*name).clone(), *protocol)) {
                    continue;
                }
                for id in ctx.engine.classes().members(class) {
                    let pod = &ctx.world.pods[id.index()];
                    let Some(number) = named_port(pod, name, *protocol) else { continue };
                    let entry = uses.entry((pod.workload, (*name).clone(), *protocol));
                    let (numbers, _) = entry.or_insert_with(|| (BTreeMap::new(), policy_object(ctx, i)));
                    numbers.entry(number).or_insert(*id);
                }
            }
        }
    }
    for ((workload, name, protocol), (numbers, policy)) in uses {
        let object = workload_object(ctx, workload);
        let at = Some(ctx.world.workloads[workload.index()].origin).filter(|o| o.line > 0);
        if numbers.len() > 1 {
            let each: Vec<String> =
                numbers.iter().map(|(n, pod)| format!("{n} in {}", ctx.world.pod_name(*pod))).collect();
            let message =
                format!("its port name `{name}` is {}: {policy} opens to each pod its own number", some(&each));
            let mut finding = LINT.finding(object.clone(), at, message);
            finding.affected = numbers.len();
            finding.help = Some("use one number for one name".to_owned());
            out.push(finding);
        }
        let pods = numbers.values().map(|id| &ctx.world.pods[id.index()]);
        let Some((pod, inside)) = pods.map(|p| (p, in_one_pod(p, &name, protocol))).find(|(_, n)| n.len() > 1) else {
            continue;
        };
        let open = named_port(pod, &name, protocol).unwrap_or_default();
        let closed: Vec<String> = inside.iter().filter(|n| **n != open).map(|n| n.to_string()).collect();
        let message = format!(
            "several of its containers name a port `{name}`: {policy} opens {open} only, as a Service would, and not {}",
            some(&closed)
        );
        let mut finding = LINT.finding(object, at, message).at_severity(Severity::Warning);
        finding.affected = closed.len();
        finding.help = Some("give each port a name of its own".to_owned());
        out.push(finding);
    }
}

/// The numbers that containers which serve give to a name.
fn in_one_pod(pod: &Pod, name: &str, protocol: Protocol) -> BTreeSet<u16> {
    let serving = pod.ports.iter().filter(|p| p.container != ContainerKind::Init && p.protocol == protocol);
    serving.filter(|p| p.name.as_deref() == Some(name)).map(|p| p.port).collect()
}
