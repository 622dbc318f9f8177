//! Questions about classes, rules and the outside that several lints ask.

use crate::context::Ctx;
use crate::fix::Fix;
use std::collections::BTreeSet;
use std::net::IpAddr;
use watertight_engine::classes::ClassId;
use watertight_engine::reach::PortPair;
use watertight_model::{
    Cidr, ContainerKind, Direction, Endpoint, Family, NamespaceId, Origin, PodId, PolicyRef, Protocol, Reason, RuleRef,
    Verdict, Workload, WorkloadId, addr,
};

/// All classes. Ends early when the lint's time is over.
pub(crate) fn classes<'a>(ctx: &'a Ctx<'_, '_>) -> impl Iterator<Item = ClassId> + 'a {
    let all = (0..ctx.engine.classes().len()).filter_map(|i| u32::try_from(i).ok().map(ClassId));
    all.take_while(|_| !ctx.is_overdue())
}

/// A pod of the class, which stands for all of them.
pub(crate) fn pod(ctx: &Ctx<'_, '_>, class: ClassId) -> PodId {
    ctx.engine.classes().representative(class)
}

/// The same as one end of a flow.
pub(crate) fn end(ctx: &Ctx<'_, '_>, class: ClassId) -> Endpoint {
    Endpoint::Pod(pod(ctx, class))
}

/// Where the class lives.
pub(crate) fn namespace(ctx: &Ctx<'_, '_>, class: ClassId) -> NamespaceId {
    ctx.world.pods[pod(ctx, class).index()].namespace
}

/// Policy is not made for pods in their node's network.
pub(crate) fn on_host_network(ctx: &Ctx<'_, '_>, class: ClassId) -> bool {
    ctx.world.pods[pod(ctx, class).index()].host_network
}

/// Some policy of some tier selects the class for this direction, and it is not in its node's network.
pub(crate) fn has_policies(ctx: &Ctx<'_, '_>, class: ClassId, direction: Direction) -> bool {
    let (classes, pod) = (ctx.engine.classes(), pod(ctx, class));
    let by_tier = || {
        let own = classes.cluster_policies_of(pod).iter();
        own.map(|s| &ctx.world.cluster_policies[s.policy as usize]).any(|p| !p.rules(direction).is_empty())
    };
    !on_host_network(ctx, class) && (!classes.policies_of(pod, direction).is_empty() || by_tier())
}

/// Workloads with pods in these classes, sorted.
pub(crate) fn workloads(ctx: &Ctx<'_, '_>, classes: impl IntoIterator<Item = ClassId>) -> BTreeSet<WorkloadId> {
    let members = classes.into_iter().flat_map(|c| ctx.engine.classes().members(c));
    members.map(|p| ctx.world.pods[p.index()].workload).collect()
}

/// `namespace/name` of each.
pub(crate) fn names<'i>(ctx: &Ctx<'_, '_>, workloads: impl IntoIterator<Item = &'i WorkloadId>) -> Vec<String> {
    workloads.into_iter().map(|w| ctx.workload_name(*w)).collect()
}

/// A policy as the object of a finding, with its place.
pub(crate) fn policy(ctx: &Ctx<'_, '_>, policy: PolicyRef) -> (String, Origin) {
    match policy {
        PolicyRef::Namespaced(i) => {
            (format!("NetworkPolicy {}", ctx.world.policy_name(policy)), ctx.world.policies[i as usize].origin)
        }
        PolicyRef::Cluster(i) => {
            let this = &ctx.world.cluster_policies[i as usize];
            (format!("{} {}", this.kind.name(), this.name), this.origin)
        }
    }
}

/// The policy of a rule as the object of a finding, with the rule's place.
pub(crate) fn rule(ctx: &Ctx<'_, '_>, rule: RuleRef) -> (String, Origin) {
    let (object, whole) = policy(ctx, rule.policy);
    let at = rule.rule.and_then(|i| match rule.policy {
        PolicyRef::Namespaced(p) => {
            ctx.world.policies[p as usize].rules(rule.direction).get(i as usize).map(|r| r.origin)
        }
        PolicyRef::Cluster(p) => {
            ctx.world.cluster_policies[p as usize].rules(rule.direction).get(i as usize).map(|r| r.origin)
        }
    });
    (object, at.unwrap_or(whole))
}

/// A rule allows, rather than nothing denying.
pub(crate) fn by_rule(reason: Reason) -> bool {
    matches!(reason, Reason::PolicyAllow | Reason::AdminAccept | Reason::BaselineAccept)
}

/// The NetworkPolicies of a namespace, by their places in the world.
pub(crate) fn policies_in(ctx: &Ctx<'_, '_>, ns: NamespaceId) -> core::ops::Range<usize> {
    let all = &ctx.world.policies;
    all.partition_point(|p| p.namespace < ns)..all.partition_point(|p| p.namespace <= ns)
}

/// A namespace that serves every other one, or is the control plane's own.
pub(crate) fn is_shared(ctx: &Ctx<'_, '_>, ns: NamespaceId) -> bool {
    let name = &ctx.world.namespaces[ns.index()].name;
    ctx.options.shared_namespaces.iter().any(|s| **s == **name)
}

/// Classes of the ingress controllers.
pub(crate) fn controllers(ctx: &Ctx<'_, '_>) -> BTreeSet<ClassId> {
    let pods = watertight_engine::entry::controllers(ctx.world);
    pods.into_iter().filter_map(|pod| ctx.engine.classes().class_of(pod)).collect()
}

/// Workloads that people marked as those that matter most, sorted.
pub(crate) fn protected(ctx: &Ctx<'_, '_>) -> BTreeSet<WorkloadId> {
    let marked = |w: &Workload| w.annotations.get("watertight.dev/protect").is_some_and(|v| **v == *"true");
    let listed = |name: String| ctx.options.protected.contains(&name);
    let all = ctx.world.workloads.iter().enumerate().map(|(i, w)| (WorkloadId::at(i), w));
    let listing = !ctx.options.protected.is_empty();
    all.filter(|(id, w)| marked(w) || (listing && listed(ctx.workload_name(*id)))).map(|(id, _)| id).collect()
}

/// A sensitive port: the workload that declares it, protocol, number, what usually listens there.
pub(crate) type Sensitive<'c> = (WorkloadId, Protocol, u16, &'c str);

/// The sensitive ports that workloads with pods in the class declare, sorted.
pub(crate) fn sensitive<'c>(ctx: &'c Ctx<'_, '_>, class: ClassId) -> BTreeSet<Sensitive<'c>> {
    let mut out = BTreeSet::new();
    for pod in ctx.engine.classes().members(class).iter().map(|p| &ctx.world.pods[p.index()]) {
        for port in pod.ports.iter().filter(|p| p.container != ContainerKind::Init) {
            let all = ctx.options.sensitive_ports.iter();
            let known = all.filter(|(protocol, number, _)| (*protocol, *number) == (port.protocol, port.port));
            out.extend(known.map(|(protocol, number, what)| (pod.workload, *protocol, *number, what.as_str())));
        }
    }
    out
}

/// The fix together with the DNS rule, if the pod may not look up names: a rule for it is of no use before that.
pub(crate) fn with_names(ctx: &Ctx<'_, '_>, fix: Fix, pod: PodId) -> Fix {
    let dns = ctx.dns();
    if !dns.is_assumed() && dns.reached(ctx, None, pod, Protocol::Udp) != Some(Verdict::Deny) {
        return fix;
    }
    let title = format!("{}, and look up names", fix.title);
    let names = Fix::put(ctx.world, "", dns.policy(ctx, ctx.world.pods[pod.index()].namespace));
    fix.and(title, names)
}

/// Blocks without public hosts, IPv4: this host, private use, shared use, loopback, link-local, multicast and reserved.
/// Source: RFC 6890. Documentation blocks count as public: examples use them so.
const NOT_PUBLIC: [&str; 8] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
];

/// Global unicast, IPv6. Source: RFC 4291.
const PUBLIC_SIX: &str = "2000::/3";

/// Whether an address can be a public host's.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => !NOT_PUBLIC.iter().filter_map(|b| b.parse::<Cidr>().ok()).any(|b| b.contains(ip)),
        IpAddr::V6(_) => PUBLIC_SIX.parse::<Cidr>().is_ok_and(|b| b.contains(ip)),
    }
}

/// Whether these blocks (disjoint) hold the public addresses of a family, but for less than a /8 of them.
fn hold_the_internet(blocks: &[Cidr], family: Family) -> bool {
    let overlap = |a: &Cidr, b: &Cidr| {
        let ((a, b), (c, d)) = (a.range(), b.range());
        (a.max(c) <= b.min(d)).then(|| b.min(d) - a.max(c)).map_or(0, |n| n.saturating_add(1))
    };
    let own = || blocks.iter().filter(|b| b.family() == family);
    match family {
        Family::V4 => {
            let holes: Vec<Cidr> = NOT_PUBLIC.iter().filter_map(|b| b.parse().ok()).collect();
            let size = |b: &Cidr| b.range().1 - b.range().0 + 1;
            let public = (1u128 << 32) - holes.iter().map(size).sum::<u128>();
            let held: u128 = own().map(|b| size(b) - holes.iter().map(|h| overlap(b, h)).sum::<u128>()).sum();
            public - held < 1 << 24
        }
        Family::V6 => PUBLIC_SIX.parse::<Cidr>().is_ok_and(|six| {
            let held: u128 = own().map(|b| overlap(b, &six)).sum();
            (1u128 << 125) - held < 1 << 117
        }),
    }
}

/// Whether these blocks hold the public addresses of either family.
pub(crate) fn hold_the_internet_at_all(blocks: &[Cidr]) -> bool {
    [Family::V4, Family::V6].into_iter().any(|f| hold_the_internet(blocks, f))
}

/// Whether the public Internet of either family is on the other side, on ports that a test accepts; an address of it to ask
/// with.
pub(crate) fn internet(
    ctx: &Ctx<'_, '_>,
    class: ClassId,
    direction: Direction,
    accepts: impl Fn(&PortPair) -> bool,
) -> Option<IpAddr> {
    let parts = ctx.outside(class, direction);
    let open: Vec<Cidr> = parts.iter().filter(|p| accepts(&p.ports)).flat_map(|p| p.cidrs.iter().copied()).collect();
    let family = [Family::V4, Family::V6].into_iter().find(|f| hold_the_internet(&open, *f))?;
    public_address(&open, family)
}

/// A public address in these blocks: one that documentation uses, if it is there.
fn public_address(blocks: &[Cidr], family: Family) -> Option<IpAddr> {
    let known = match family {
        Family::V4 => "203.0.113.9",
        Family::V6 => "2001:db8::9",
    };
    let known: Option<IpAddr> = known.parse().ok().filter(|ip| blocks.iter().any(|b| b.contains(*ip)));
    let own = || blocks.iter().filter(|b| b.family() == family);
    known.or_else(|| own().map(Cidr::addr).find(|ip| is_public(*ip))).or_else(|| {
        // A block that begins with addresses that are not public: its last one.
        own().map(|b| addr::address(family, b.range().1)).find(|ip| is_public(*ip))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(blocks: &[&str], family: Family) -> bool {
        let blocks: Vec<Cidr> = blocks.iter().map(|b| b.parse().unwrap()).collect();
        hold_the_internet(&blocks, family)
    }

    #[test]
    fn the_internet_is_every_public_address_but_for_few() {
        assert!(holds(&["0.0.0.0/0"], Family::V4) && holds(&["::/0"], Family::V6));
        assert!(holds(&["0.0.0.0/1", "128.0.0.0/1"], Family::V4));
        // Without the private ranges.
        let public = ["0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2"];
        let rest = ["128.0.0.0/3", "160.0.0.0/5", "168.0.0.0/6", "172.0.0.0/12", "172.32.0.0/11", "172.64.0.0/10"];
        let last = ["172.128.0.0/9", "173.0.0.0/8", "174.0.0.0/7", "176.0.0.0/4", "192.0.0.0/9", "192.128.0.0/11"];
        let end = ["192.169.0.0/16", "192.170.0.0/15", "192.172.0.0/14", "192.176.0.0/12", "192.192.0.0/10"];
        let tail = ["193.0.0.0/8", "194.0.0.0/7", "196.0.0.0/6", "200.0.0.0/5", "208.0.0.0/4"];
        let all: Vec<&str> = [&public[..], &rest, &last, &end, &tail].concat();
        assert!(holds(&all, Family::V4));
        assert!(!holds(&all[..all.len() - 1], Family::V4));
        for less in [&["10.0.0.0/8"][..], &["0.0.0.0/1"], &["203.0.113.0/24"], &[]] {
            assert!(!holds(less, Family::V4), "{less:?}");
        }
        assert!(!holds(&["::/0"], Family::V4) && !holds(&["2001:db8::/32"], Family::V6));
    }

    #[test]
    fn an_address_to_ask_with_is_public() {
        let ask = |blocks: &[&str]| {
            let blocks: Vec<Cidr> = blocks.iter().map(|b| b.parse().unwrap()).collect();
            public_address(&blocks, Family::V4).map(|ip| ip.to_string())
        };
        assert_eq!(ask(&["0.0.0.0/0"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(ask(&["8.0.0.0/7"]).as_deref(), Some("8.0.0.0"));
        assert_eq!(ask(&["10.0.0.0/8"]), None);
    }
}
