//! WT0064: the cloud's metadata address, which hands out the node's credentials.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{flow, in_namespace, one_per_class, policy_object, verdict, workload_names};
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_model::{Endpoint, NamespaceId, PodId, PolicyRef, Protocol, Reason, RuleRef, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0064",
    name: "metadata-reachable",
    severity: Severity::Error,
    summary: "pods isolated for egress reach the cloud's metadata address by a rule",
    page: "The instance metadata service hands out the node's credentials. Proves that a rule allows a pod to reach \
           one of its addresses (169.254.169.254, fd00:ec2::254) on TCP 80. Hop limits and metadata proxies are \
           outside of what policy says.\n\nExample: egress `0.0.0.0/0`.\n\nFix: `except: [169.254.169.254/32]`, and \
           see that no other rule opens it again. Workload identity agents have addresses of their own, which this \
           does not touch.\n\nSilent: pods that are not isolated for egress (WT0048 lists what follows from that).",
    check: Check::World(check),
};

/// Workloads that reach it, the rules that let them, and the address: for one namespace.
struct Reaching {
    pods: Vec<PodId>,
    rules: BTreeSet<RuleRef>,
    ip: IpAddr,
}

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for ns in (0..ctx.world.namespaces.len()).map(NamespaceId::at) {
        let mut found: Option<Reaching> = None;
        let pods: Vec<PodId> = in_namespace(ctx, ns).collect();
        for pod in one_per_class(ctx, &pods) {
            for ip in ctx.options.metadata.iter().copied() {
                let asked = flow(Endpoint::Pod(pod), Endpoint::External(ip), Protocol::Tcp, 80);
                let half = ctx.engine.decide(&asked).egress;
                let by_rule = matches!(half.reason, Reason::PolicyAllow | Reason::AdminAccept | Reason::BaselineAccept);
                if by_rule && verdict(ctx, &asked) == Verdict::Allow {
                    let entry = found.get_or_insert_with(|| Reaching { pods: Vec::new(), rules: BTreeSet::new(), ip });
                    let class = ctx.engine.classes().class_of(pod);
                    entry.pods.extend(class.map(|c| ctx.engine.classes().members(c)).unwrap_or_default());
                    entry.rules.extend(half.decided_by);
                    break;
                }
            }
        }
        out.extend(found.map(|found| metadata_finding(ctx, &found)));
    }
}

fn metadata_finding(ctx: &Ctx<'_, '_>, found: &Reaching) -> Finding {
    let Reaching { pods, rules, ip } = found;
    let names = workload_names(ctx, pods);
    let place = |rule: &RuleRef| match (rule.policy, rule.rule) {
        (PolicyRef::Namespaced(i), Some(r)) => ctx.world.policies[i as usize].egress.get(r as usize).map(|r| r.origin),
        (PolicyRef::Namespaced(i), None) => Some(ctx.world.policies[i as usize].origin),
        (PolicyRef::Cluster(i), _) => Some(ctx.world.cluster_policies[i as usize].origin),
    };
    let first = rules.first();
    let object = first.map_or_else(String::new, |rule| match rule.policy {
        PolicyRef::Namespaced(i) => policy_object(ctx, i as usize),
        PolicyRef::Cluster(i) => {
            let policy = &ctx.world.cluster_policies[i as usize];
            format!("{} {}", policy.kind.name(), policy.name)
        }
    });
    let more = match rules.len() {
        0 | 1 => String::new(),
        n => format!(", by this rule and {} more", n - 1),
    };
    let message =
        format!("{} can reach the metadata address {ip}, which hands out the node's credentials{more}", some(&names));
    let mut finding = LINT.finding(object, first.and_then(place), message);
    finding.affected = names.len();
    finding.help = Some(format!(
        "except {ip} from the block, in every rule that holds it; a rule without `to` needs blocks first"
    ));
    finding
}
