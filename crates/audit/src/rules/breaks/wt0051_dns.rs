//! WT0051, WT0052, WT0053: names cannot be looked up.

use crate::context::Ctx;
use crate::dns::NODE_LOCAL;
use crate::finding::{Finding, Severity, Status, some};
use crate::fix::Fix;
use crate::rules::common::{flow, in_namespace, one_per_class, verdict, workload_names};
use crate::rules::{Check, Lint, write};
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight_engine::Engine;
use watertight_engine::explain::explain;
use watertight_engine::query::rule_names;
use watertight_model::pod::DnsPolicy;
use watertight_model::{
    Cidr, Direction, Endpoint, Flow, L4, NamespaceId, PodId, PolicyRef, Protocol, Reason, Selector, Verdict,
};

/// No lookups at all.
pub(super) const FORGOTTEN: Lint = Lint {
    code: "WT0051",
    name: "dns-egress-forgotten",
    severity: Severity::Error,
    summary: "pods isolated for egress are denied to every DNS server they use",
    page: "Asks, for each workload isolated for egress, whether it reaches any of the DNS servers it uses over UDP: \
           the backends of the cluster DNS Service, `dnsConfig.nameservers` for `dnsPolicy: None`, else an assumed \
           pod `k8s-app: kube-dns` in kube-system. Both halves are asked, so a policy on the DNS pods counts \
           too.\n\nExample: a default deny for egress on `payments` and nothing else. Everything that uses names \
           stops.\n\nFix: the rule to the DNS pods, on UDP and TCP 53; it is printed complete.\n\nSilent: the DNS \
           pods are allowed by any rule of any tier, by number or by name of the port; hostNetwork pods; `dnsPolicy: \
           Default`; the DNS Service's address is allowed and the pods behind it are not, which is WT0041.",
    check: Check::World(forgotten),
};

/// No lookups of long answers.
pub(super) const TCP: Lint = Lint {
    code: "WT0052",
    name: "dns-tcp-denied",
    severity: Severity::Warning,
    summary: "DNS is allowed over UDP and denied over TCP",
    page: "Answers that do not fit into a datagram come back truncated, and the resolver asks again over \
           TCP.\n\nExample: the DNS rule has only `{protocol: UDP, port: 53}`.\n\nFix: the TCP entry beside it.\n\nSilent: UDP is denied too (WT0051); no DNS.",
    check: Check::World(tcp),
};

/// A cache on the node.
pub(super) const CACHE: Lint = Lint {
    code: "WT0053",
    name: "dns-cache-denied",
    severity: Severity::Warning,
    summary: "NodeLocal DNSCache answers for the cluster, and the path to it is denied",
    page: "With NodeLocal DNSCache pods ask a link-local address of their node (169.254.20.10), which a hostNetwork \
           pod answers: a podSelector cannot match it. Some data planes redirect such traffic to the kube-dns pods, \
           so whether it breaks depends on the plugin.\n\nExample: the rule allows the kube-dns pods only.\n\nFix: \
           `ipBlock: 169.254.20.10/32` on 53.\n\nSilent: no DaemonSet of the cache; its address is allowed; the \
           kube-dns pods are denied too (WT0051).",
    check: Check::World(cache),
};

/// Isolated pods of each namespace that a test picks out, one entry per namespace.
fn isolated<'a>(ctx: &'a Ctx<'_, '_>, picks: impl Fn(PodId) -> bool + 'a) -> BTreeMap<NamespaceId, Vec<PodId>> {
    let mut out: BTreeMap<NamespaceId, Vec<PodId>> = BTreeMap::new();
    let mut known: BTreeMap<u32, bool> = BTreeMap::new();
    for ns in (0..ctx.world.namespaces.len()).map(NamespaceId::at) {
        for pod in in_namespace(ctx, ns) {
            let Some(class) = ctx.engine.classes().class_of(pod) else { continue };
            let isolated = !ctx.world.pods[pod.index()].host_network
                && (!ctx.engine.classes().policies_of(pod, Direction::Egress).is_empty()
                    || !ctx.engine.classes().cluster_policies_of(pod).is_empty());
            if isolated && *known.entry(class.0).or_insert_with(|| picks(pod)) {
                out.entry(ns).or_default().push(pod);
            }
        }
    }
    out
}

fn forgotten(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let dns = ctx.dns();
    let assumed = dns.engine();
    let denied = isolated(ctx, |pod| {
        // What allows the Service's address alone is reported as that (WT0041).
        let denied = dns.reached(ctx, assumed.as_ref(), pod, Protocol::Udp) == Some(Verdict::Deny);
        let leaves = |f: Flow| assumed.as_ref().unwrap_or(ctx.engine).decide(&f).egress.verdict != Verdict::Deny;
        denied && (!dns.allows_address(ctx, pod) || question(ctx, pod).is_some_and(leaves))
    });
    for (ns, pods) in denied {
        let engine = assumed.as_ref().unwrap_or(ctx.engine);
        let Some(asked) = pods.first().and_then(|pod| question(ctx, *pod)) else { continue };
        let verdict = engine.decide(&asked);
        let names = workload_names(ctx, &pods);
        let policies = deciding(ctx, &pods);
        let at_the_servers = verdict.egress.verdict != Verdict::Deny;
        let message = if at_the_servers {
            let by = rule_names(engine, &verdict.ingress.decided_by);
            format!("{} cannot look up names: no ingress rule of {by} lets them ask the DNS pods", some(&names))
        } else {
            format!("{} cannot look up names: no egress rule of {} allows DNS", some(&names), some(&policies.1))
        };
        let mut finding = FORGOTTEN.finding(policies.2, policies.0, message);
        let rules_of = |pod: &PodId| ctx.engine.classes().policies_of(*pod, Direction::Egress).to_vec();
        let silent =
            |pod: &PodId| rules_of(pod).iter().all(|s| ctx.world.policies[s.policy as usize].egress.is_empty());
        if !at_the_servers && one_per_class(ctx, &pods).iter().all(silent) {
            // A workload that may go nowhere needs no names; that may be meant.
            finding = finding.at_severity(Severity::Warning);
            finding.message.push_str(" (nothing else is allowed either)");
        }
        if dns.is_assumed() {
            finding.status = Status::Assumed;
            finding.message.push_str("; DNS is assumed at the pods k8s-app=kube-dns of kube-system");
        }
        finding.affected = names.len();
        let miss = explain(engine, &asked).near_misses.into_iter().next();
        let miss = miss.map(|m| format!("; nearly: {}", m.sentence)).unwrap_or_default();
        finding.help = Some(format!("allow the DNS pods, over UDP and TCP{miss}"));
        if !dns.is_assumed() {
            finding.witness = Some(asked);
        }
        if !at_the_servers && a_policy_helps(ctx, engine, &pods) {
            let policy = dns.policy(ctx, ns);
            finding.fixes.push(Fix::put(ctx.world, "allow every pod of the namespace to look up names", policy));
        }
        out.push(finding);
    }
}

/// Whether a NetworkPolicy that allows the cluster's DNS pods would do: they are what the pods ask, and no Admin tier denies.
fn a_policy_helps(ctx: &Ctx<'_, '_>, engine: &Engine<'_>, pods: &[PodId]) -> bool {
    let open = |pod: &PodId| {
        let tcp = question(ctx, *pod).map(|f| Flow { l4: L4::Port(Protocol::Tcp, 53), ..f });
        let asked = question(ctx, *pod).into_iter().chain(tcp);
        ctx.world.pods[pod.index()].dns.policy != DnsPolicy::None
            && asked.into_iter().all(|f| engine.decide(&f).egress.reason != Reason::AdminDeny)
    };
    one_per_class(ctx, pods).iter().all(open)
}

/// What the pod would ask first.
fn question(ctx: &Ctx<'_, '_>, pod: PodId) -> Option<Flow> {
    let own = &ctx.world.pods[pod.index()].dns;
    if own.policy == DnsPolicy::None {
        let server = own.nameservers.first()?;
        return Some(flow(Endpoint::Pod(pod), ctx.engine.endpoint_of(*server), Protocol::Udp, 53));
    }
    let (server, udp, _) = ctx.dns().servers().first()?;
    Some(flow(Endpoint::Pod(pod), *server, Protocol::Udp, *udp))
}

/// The policies that isolate these pods: place of the first, their names, the first as an object.
fn deciding(ctx: &Ctx<'_, '_>, pods: &[PodId]) -> (Option<watertight_model::Origin>, Vec<String>, String) {
    let mut policies: std::collections::BTreeSet<PolicyRef> = std::collections::BTreeSet::new();
    for pod in one_per_class(ctx, pods) {
        let own = ctx.engine.classes().policies_of(pod, Direction::Egress);
        policies.extend(own.iter().map(|s| PolicyRef::Namespaced(s.policy)));
        if own.is_empty() {
            policies.extend(ctx.engine.classes().cluster_policies_of(pod).iter().map(|s| PolicyRef::Cluster(s.policy)));
        }
    }
    let names: Vec<String> = policies.iter().map(|p| ctx.world.policy_name(*p)).collect();
    let first = policies.iter().next_back();
    let (at, kind) = match first {
        Some(PolicyRef::Namespaced(i)) => (Some(ctx.world.policies[*i as usize].origin), "NetworkPolicy"),
        Some(PolicyRef::Cluster(i)) => {
            let policy = &ctx.world.cluster_policies[*i as usize];
            (Some(policy.origin), policy.kind.name())
        }
        None => (None, "cluster"),
    };
    let object = first.map_or_else(String::new, |p| format!("{kind} {}", ctx.world.policy_name(*p)));
    (at, names, object)
}

fn tcp(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let dns = ctx.dns();
    let assumed = dns.engine();
    let half = isolated(ctx, |pod| {
        let ask = |protocol| dns.reached(ctx, assumed.as_ref(), pod, protocol);
        ask(Protocol::Udp) == Some(Verdict::Allow) && ask(Protocol::Tcp) == Some(Verdict::Deny)
    });
    for (ns, pods) in half {
        let names = workload_names(ctx, &pods);
        let policies = deciding(ctx, &pods);
        let message = format!(
            "{} ask for names over UDP only: answers that are truncated cannot be asked for again",
            some(&names)
        );
        let mut finding = TCP.finding(policies.2, policies.0, message);
        finding.affected = names.len();
        finding.help = Some("add `{protocol: TCP, port: 53}` beside the UDP entry".to_owned());
        if a_policy_helps(ctx, assumed.as_ref().unwrap_or(ctx.engine), &pods) {
            finding.fixes.push(Fix::put(ctx.world, "allow both protocols to the DNS pods", dns.policy(ctx, ns)));
        }
        out.push(finding);
    }
}

fn cache(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    if !ctx.dns().node_local {
        return;
    }
    let assumed = ctx.dns().engine();
    let cut = isolated(ctx, |pod| {
        let to = Endpoint::External(IpAddr::V4(NODE_LOCAL));
        let direct = ctx.dns().reached(ctx, assumed.as_ref(), pod, Protocol::Udp);
        direct == Some(Verdict::Allow)
            && verdict(ctx, &flow(Endpoint::Pod(pod), to, Protocol::Udp, 53)) == Verdict::Deny
    });
    for (ns, pods) in cut {
        let names = workload_names(ctx, &pods);
        let policies = deciding(ctx, &pods);
        let message = format!(
            "{} may ask the kube-dns pods, but names are looked up at the node's cache {NODE_LOCAL}, which no rule allows: \
             whether that works depends on the network plugin",
            some(&names)
        );
        let mut finding = CACHE.finding(policies.2, policies.0, message);
        finding.status = Status::Assumed;
        finding.affected = names.len();
        finding.help = Some(format!("add `ipBlock: {{cidr: {NODE_LOCAL}/32}}` on UDP and TCP 53"));
        let cache = write::block(Cidr::host(IpAddr::V4(NODE_LOCAL)));
        let ports = vec![write::port(Protocol::Udp, 53), write::port(Protocol::Tcp, 53)];
        let rule = write::rule(vec![cache], ports);
        let policy = write::policy(ns, "allow-dns-cache", Selector::everything(), Direction::Egress, vec![rule]);
        finding.fixes.push(Fix::put(ctx.world, "allow every pod of the namespace to ask the cache", policy));
        out.push(finding);
    }
}
