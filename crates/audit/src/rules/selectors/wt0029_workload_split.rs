//! WT0029: pods of one workload that policies treat differently.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{flow, verdict, workload_object};
use crate::rules::receivers::first_address;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::connections::{Split, splits};
use watertight_engine::explain::PER_POD_LABELS;
use watertight_engine::reach::external::{external, families_in_use};
use watertight_model::{
    Direction, Endpoint, Family, Flow, L4, NetworkPolicy, PeerKind, Peers, Pod, PodId, PortSet, Protocol, Selector,
    Str, Verdict, World,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0029",
    name: "workload-split",
    severity: Severity::Warning,
    summary: "pods of one workload have different verdicts for the same connection",
    page: "A workload is meant to behave as one. Proves that one of its pods may open or receive a connection \
           that another may not, because their labels differ (in a rollout, or by hand) or some of their \
           addresses are in a block.\n\nExample: the new pod template of `shop/web` lost `role: client`; during \
           the rollout half of the pods are denied.\n\nFix: align the labels; wait for the rollout.\n\nSilent: \
           hostNetwork pods, which are on different nodes; the pods differ and no verdict does; policies select \
           single pods of a StatefulSet on purpose, by pod-name or pod-index; only the numbers of named ports \
           differ (WT0031).",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let per_pod = ctx.world.policies.iter().any(names_single_pods);
    for split in splits(ctx.engine, ctx.reach()) {
        if ctx.is_overdue() {
            break;
        }
        let Some((yes, no, witness, other)) = witness(ctx, &split) else { continue };
        let (a, b) = (&ctx.world.pods[yes.index()], &ctx.world.pods[no.index()]);
        // What passes for a pod in its node's network is the node's business.
        if a.host_network || b.host_network {
            continue;
        }
        let keys = differing(a, b);
        let by_pod = |k: &&Str| PER_POD_LABELS.contains(&&***k);
        if per_pod && !keys.is_empty() && keys.iter().all(by_pod) && !by_address(ctx.world, a, b) {
            continue;
        }
        let other_ports = a.ports != b.ports;
        if keys.is_empty() && other_ports && !by_address(ctx.world, a, b) {
            continue;
        }
        let why = if keys.is_empty() {
            "their addresses".to_owned()
        } else {
            format!("labels {}", some(&keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>()))
        };
        let opens = witness.from == Endpoint::Pod(no);
        let (verb, way) = if opens { ("reaches", "to") } else { ("is reached by", "from") };
        let message = format!(
            "its pods differ in {why}: {} {verb} {other}, and the same connection {way} there is denied for {}",
            ctx.world.pod_name(yes),
            ctx.world.pod_name(no)
        );
        let workload = &ctx.world.workloads[split.workload.index()];
        let at = Some(workload.origin).filter(|o| o.line > 0);
        let mut finding = LINT.finding(workload_object(ctx, split.workload), at, message);
        finding.affected = split.parts.iter().map(Vec::len).sum();
        finding.witness = Some(witness);
        finding.help = Some("align the labels of its pods, or wait for the rollout to end".to_owned());
        out.push(finding);
    }
}

/// A selector of the policy tells the pods of one workload apart.
fn names_single_pods(policy: &NetworkPolicy) -> bool {
    let by_pod = |s: &Selector| s.requirements.iter().any(|r| PER_POD_LABELS.contains(&&*r.key));
    let rules = policy.ingress.iter().chain(&policy.egress);
    let mut peers = rules.filter_map(|r| match &r.peers {
        Peers::Any(_) => None,
        Peers::Of(list) => Some(list),
    });
    by_pod(&policy.subject)
        || peers
            .any(|list| list.iter().any(|p| matches!(&p.kind, PeerKind::Pods { pods: Some(pods), .. } if by_pod(pods))))
}

/// Keys of labels whose values differ, without those that controllers make for each rollout.
fn differing<'p>(a: &'p Pod, b: &'p Pod) -> Vec<&'p Str> {
    let keys: BTreeSet<&Str> = a.labels.iter().chain(b.labels.iter()).map(|(k, _)| k).collect();
    let differ = |k: &&Str| a.labels.get(k) != b.labels.get(k);
    let made = ["pod-template-hash", "controller-revision-hash", "pod-template-generation"];
    keys.into_iter().filter(differ).filter(|k| !made.contains(&&***k)).collect()
}

/// Some block of a policy tells their addresses apart.
fn by_address(world: &World, a: &Pod, b: &Pod) -> bool {
    let rules = world.policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress));
    let peers = rules.filter_map(|r| match &r.peers {
        Peers::Any(_) => None,
        Peers::Of(list) => Some(list),
    });
    let mut blocks = peers.flatten().filter_map(|p| match &p.kind {
        PeerKind::Block(block) => Some(block),
        PeerKind::Pods { .. } => None,
    });
    let inside = |pod: &Pod, cidr: &watertight_model::Cidr| pod.ips.iter().any(|ip| cidr.contains(*ip));
    blocks.any(|block| {
        std::iter::once(&block.cidr).chain(&block.except).any(|c| inside(a, &c.cidr) != inside(b, &c.cidr))
    })
}

/// A pod that may, a pod that may not, the connection of the latter, and the workload on the other side.
fn witness(ctx: &Ctx<'_, '_>, split: &Split) -> Option<(PodId, PodId, Flow, String)> {
    let classes = ctx.engine.classes();
    let own: Vec<(PodId, ClassId)> =
        split.parts.iter().filter_map(|p| p.first()).filter_map(|p| Some((*p, classes.class_of(*p)?))).collect();
    let others = (0..classes.len()).filter_map(|i| u32::try_from(i).ok()).map(ClassId);
    let others: Vec<ClassId> = others
        .filter(|c| classes.members(*c).iter().all(|p| ctx.world.pods[p.index()].workload != split.workload))
        .collect();
    // Every part differs from the first one.
    let (first, rest) = own.split_first()?;
    let mut pairs = rest.iter().flat_map(|b| [(first, b), (b, first)]);
    let families = families_in_use(ctx.engine);
    pairs.find_map(|((yes, a), (no, b))| {
        let inside = others.iter().find_map(|other| {
            let pod = Endpoint::Pod(classes.representative(*other));
            let into = missing(&ctx.reach().ports(*other, *a).sure, &ctx.reach().ports(*other, *b).possible);
            let out = missing(&ctx.reach().ports(*a, *other).sure, &ctx.reach().ports(*b, *other).possible);
            let no = Endpoint::Pod(*no);
            let flow = match (into, out) {
                (Some((protocol, number)), _) => flow(pod, no, protocol, number),
                (None, Some((protocol, number))) => flow(no, pod, protocol, number),
                (None, None) => return None,
            };
            (verdict(ctx, &flow) == Verdict::Deny).then_some(flow)
        });
        let flow = inside.or_else(|| outside(ctx, *a, *no, &families))?;
        Some((*yes, *no, flow, words(ctx, &flow, *no)))
    })
}

/// A connection with someone outside that pods of the class may have and this pod may not.
fn outside(ctx: &Ctx<'_, '_>, may: ClassId, may_not: PodId, families: &[Family]) -> Option<Flow> {
    let own = Endpoint::Pod(may_not);
    let flows = Direction::BOTH.into_iter().flat_map(|direction| {
        let parts = external(ctx.engine, may, direction, families).into_iter();
        parts.filter_map(move |part| {
            let there = Endpoint::External(first_address(*part.cidrs.first()?));
            let (protocol, number) = missing(&part.ports.sure, &PortSet::none())?;
            Some(match direction {
                Direction::Ingress => flow(there, own, protocol, number),
                Direction::Egress => flow(own, there, protocol, number),
            })
        })
    });
    flows.into_iter().find(|f| verdict(ctx, f) == Verdict::Deny)
}

/// The other side of a connection of this pod, with the port.
fn words(ctx: &Ctx<'_, '_>, flow: &Flow, own: PodId) -> String {
    let other = if flow.from == Endpoint::Pod(own) { flow.to } else { flow.from };
    let name = match other {
        Endpoint::Pod(id) => ctx.world.workload_name(ctx.world.pods[id.index()].workload),
        Endpoint::Node(id) => format!("node {}", ctx.world.nodes[id.index()].name),
        Endpoint::External(ip) => ip.to_string(),
    };
    match flow.l4 {
        L4::Port(protocol, number) => format!("{name} on {protocol} {number}"),
        L4::Other => name,
    }
}

/// The first port that one set holds and the other does not.
fn missing(has: &PortSet, lacks: &PortSet) -> Option<(Protocol, u16)> {
    has.minus(lacks).iter().next().map(|(protocol, first, last)| (protocol, first.max(1).min(last)))
}
