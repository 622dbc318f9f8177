//! WT0086: domain names where they do not mean what they say.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::rules::common::{cluster_policy_object, flow, in_namespace, one_per_class};
use crate::rules::refs::flow_words;
use crate::rules::{Check, Lint};
use watertight_engine::query::evaluated;
use watertight_engine::scope::Matched;
use watertight_model::{
    Action, ClusterPeer, ClusterPolicy, ClusterRule, Endpoint, Flow, Origin, PodId, Protocol, Str, Tier, Verdict,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0086",
    name: "domain-name-misused",
    severity: Severity::Error,
    summary: "`domainNames` in a rule that cannot use them, for a Service, without the apex, or without DNS",
    page: "Names are for egress Accept rules of the Admin tier, and for addresses outside. Proves one of: names in \
           a Deny or Pass rule, which then denies everyone on its ports; names in the Baseline tier, where they \
           match nothing; the name of a Service, whose pods are never matched by name; a subject whose lookups at \
           the cluster's DNS are denied, so that no name is ever learnt. A note: `*.example.com` without \
           `example.com`, which it does not cover.\n\nExample: `action: Deny, to: [{domainNames: \
           [\"*.example.com\"]}]`.\n\nFix: Accept rules with the exact name and, where needed, the `*.` name; a \
           selector for a Service; a rule for DNS. There is no form that denies a name.\n\nSilent: an Admin Accept \
           of names outside, beside their apex, for pods that may look names up.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy) in ctx.world.cluster_policies.iter().enumerate() {
        for (j, rule) in policy.egress.iter().enumerate() {
            let named = rule.peers.iter().filter_map(|p| match p {
                ClusterPeer::DomainNames { names, origin } => Some((names, *origin)),
                ClusterPeer::Pods { .. }
                | ClusterPeer::Nodes { .. }
                | ClusterPeer::Networks { .. }
                | ClusterPeer::Unknown { .. } => None,
            });
            for (names, origin) in named {
                peer(ctx, (i, policy), (j, rule), names, origin, out);
            }
        }
    }
}

fn peer(
    ctx: &Ctx<'_, '_>,
    (i, policy): (usize, &ClusterPolicy),
    (j, rule): (usize, &ClusterRule),
    names: &[Str],
    origin: Origin,
    out: &mut Vec<Finding>,
) {
    let finding = |message: String, help: &str| {
        let mut finding = LINT.finding(cluster_policy_object(ctx, i), Some(origin), message);
        finding.status = Status::Proved;
        finding.affected = 1;
        finding.help = Some(help.to_owned());
        finding
    };
    let first = names.first().map(|n| n.to_string()).unwrap_or_default();
    if rule.action != Action::Accept {
        let message =
            format!("egress rule {j} does not deny {first} alone: names in such a rule make it deny everyone");
        out.push(finding(
            message,
            "there is no form that denies a name: deny blocks, and accept the names that are needed",
        ));
        return;
    }
    if policy.tier == Tier::Baseline {
        let message =
            format!("egress rule {j} accepts nothing: names such as {first} have no meaning in the Baseline tier");
        out.push(finding(message, "write the rule in the Admin tier"));
        return;
    }
    for name in names {
        if let Some(service) = service_named(ctx, name) {
            let message =
                format!("egress rule {j} does not match Service {service}: a name never stands for pods ({name})");
            out.push(finding(message, "select the pods of the Service by label"));
        }
        let apex = name.strip_prefix("*.").filter(|apex| !names.iter().any(|n| **n == **apex));
        if let Some(apex) = apex {
            let message = format!("egress rule {j} accepts what ends in .{apex}, and not {apex} itself");
            out.push(finding(message, "add the name without `*.` if it is meant too").at_severity(Severity::Note));
        }
    }
    if let Some(lookup) = no_lookup(ctx, i) {
        let message =
            format!("egress rule {j} never learns an address: the lookup {} is denied", flow_words(ctx, &lookup));
        let mut finding =
            finding(message, "accept DNS above: kube-system, `k8s-app: kube-dns`, port 53 of UDP and TCP");
        finding.status = Status::InInput;
        finding.witness = Some(lookup);
        out.push(finding);
    }
}

/// `namespace/name` of a Service that exists and that the name stands for.
fn service_named(ctx: &Ctx<'_, '_>, name: &str) -> Option<String> {
    let short = name.trim_end_matches('.').strip_suffix(".cluster.local").unwrap_or(name).strip_suffix(".svc")?;
    let (service, namespace) = short.rsplit_once('.')?;
    let ns = ctx.world.namespace(namespace)?;
    ctx.world.service(ns, service).map(|_| format!("{namespace}/{service}"))
}

/// A lookup of a pod of the policy's subject that no DNS pod answers.
fn no_lookup(ctx: &Ctx<'_, '_>, policy: usize) -> Option<Flow> {
    let ns = ctx.world.namespace("kube-system")?;
    let is_dns = |p: &PodId| ctx.world.pods[p.index()].labels.get("k8s-app").is_some_and(|v| **v == *"kube-dns");
    let servers: Vec<PodId> = in_namespace(ctx, ns).filter(is_dns).collect();
    let servers = one_per_class(ctx, &servers);
    let Matched { sure, .. } = ctx.scope().cluster_subjects(policy);
    sure.iter().find_map(|class| {
        let pod = ctx.engine.classes().representative(*class);
        let lookup = |s: &PodId| flow(Endpoint::Pod(pod), Endpoint::Pod(*s), Protocol::Udp, 53);
        let denied = |s: &PodId| evaluated(&ctx.engine.decide(&lookup(s))) == Verdict::Deny;
        let asks = !servers.contains(&pod) && servers.iter().all(denied);
        asks.then(|| servers.first().map(lookup)).flatten()
    })
}
