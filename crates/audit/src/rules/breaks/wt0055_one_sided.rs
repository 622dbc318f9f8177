//! WT0055 and WT0056: one side allows by name, the other denies.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::addresses::wt0042_pod_address_hard_coded::addressed;
use crate::rules::common::{flow, policy_object, rules};
use crate::rules::{Check, Lint, ask, write};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::{half, selector_for};
use watertight_engine::query::half_words;
use watertight_model::{
    Direction, Flow, NetworkPolicy, Peer, PeerKind, Peers, Ports, Reason, Rule, Selector, Str, Verdict, WorkloadId,
};

/// Egress that nobody accepts.
pub(super) const EGRESS: Lint = Lint {
    code: "WT0055",
    name: "egress-allowed-ingress-denied",
    severity: Severity::Warning,
    summary: "an egress rule names peers, and the policies of all of them deny it",
    page: "A connection needs both sides. Proves for an egress peer that names pods (a selector that is not empty, or \
           the address of one pod) that every flow it admits is denied by ingress at the destination: the rule is \
           dead. Where a pod selector names several workloads and only some of them deny, a note.\n\nExample: \
           `shop/web` may go to `data/db:5432`; `data` isolates `db` and admits only `data/api`.\n\nFix: the ingress \
           rule at the destination, which is printed, or delete the egress rule.\n\nSilent: broad peers (`{}`, \
           blocks); peers that match no pod; whatever the source's own side denies.",
    check: Check::World(|ctx, out| check(ctx, out, Direction::Egress)),
};

/// Ingress that nobody sends.
pub(super) const INGRESS: Lint = Lint {
    code: "WT0056",
    name: "ingress-allowed-egress-denied",
    severity: Severity::Warning,
    summary: "an ingress rule names peers, and the policies of all of them deny it",
    page: "The mirror image of WT0055: proves for an ingress peer that names pods that every one of them is isolated \
           for egress without a rule for this destination.\n\nExample: `data/db` admits `shop/web` on 5432; a default \
           deny for egress in `shop` has no rule for it.\n\nFix: the egress rule at the source, which is printed, or \
           delete the ingress rule.\n\nSilent: broad peers; peers that match no pod; whatever the destination's own \
           side denies.",
    check: Check::World(|ctx, out| check(ctx, out, Direction::Ingress)),
};

/// Pairs that are looked at for one peer: a peer of more is broad, whatever its labels, and counted as left out.
const PAIRS: usize = 4096;

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>, direction: Direction) {
    let lint = if direction == Direction::Egress { &EGRESS } else { &INGRESS };
    for (i, policy, _, j, rule) in rules(ctx).filter(|(_, _, d, _, _)| *d == direction) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let subjects = ctx.scope().subjects(policy);
        for peer in peers.iter().filter(|p| is_specific(ctx, p)) {
            let others: Vec<ClassId> = match addressed(ctx, peer) {
                Some(pod) => ctx.engine.classes().class_of(pod).into_iter().collect(),
                None => ctx.scope().peer(policy, peer).sure,
            };
            if subjects.is_empty() || others.is_empty() {
                continue;
            }
            if subjects.len() * others.len() > PAIRS {
                ctx.leave_out("peers of more than 4,096 pairs of kinds of pods", 1);
                continue;
            }
            let found = sides(ctx, direction, rule, &subjects, &others);
            let names_pods = matches!(&peer.kind, PeerKind::Pods { pods: Some(pods), .. } if !pods.is_everything());
            let dead = found.alive.is_empty();
            if found.cut.is_empty() || (!dead && !names_pods) {
                continue;
            }
            let Some(witness) = found.witness else { continue };
            let mut finding =
                lint.finding(policy_object(ctx, i), Some(peer.origin), words_of(ctx, direction, &found, &witness));
            if !dead {
                finding = finding.at_severity(Severity::Note);
            }
            finding.affected = found.cut.len();
            finding.witness = Some(witness);
            let side = if direction == Direction::Egress {
                "an ingress rule at the destination"
            } else {
                "an egress rule at the source"
            };
            finding.help = Some(format!("add {side}, or delete this rule"));
            if dead {
                finding.fixes.extend(other_side(ctx, direction, policy, rule, &found));
                if peers.len() == 1 {
                    let title = format!("delete {} rule {j}, which admits nothing", direction.name());
                    finding.fixes.push(Fix::delete_rule(ctx.world, title, i, direction, j));
                }
            }
            out.push(finding);
        }
    }
}

/// A selector that is not empty, or one pod's address.
fn is_specific(ctx: &Ctx<'_, '_>, peer: &Peer) -> bool {
    match &peer.kind {
        PeerKind::Pods { namespaces, pods } => {
            let named = |s: &Option<Selector>| s.as_ref().is_some_and(|s| !s.is_everything());
            named(namespaces) || named(pods)
        }
        PeerKind::Block(_) => addressed(ctx, peer).is_some(),
    }
}

/// Which of the peers' classes are reached on some port of the rule, and which only the other side denies.
struct Sides {
    alive: Vec<ClassId>,
    cut: Vec<ClassId>,
    witness: Option<Flow>,
}

fn sides(ctx: &Ctx<'_, '_>, direction: Direction, rule: &Rule, subjects: &[ClassId], others: &[ClassId]) -> Sides {
    let mut out = Sides { alive: Vec::new(), cut: Vec::new(), witness: None };
    for other in others {
        let (mut alive, mut cut) = (false, None);
        for subject in subjects.iter().filter(|s| *s != other || ctx.engine.classes().members(**s).len() > 1) {
            let (from, to) = if direction == Direction::Egress { (*subject, *other) } else { (*other, *subject) };
            let ports = ctx.scope().ports(rule, ask::pod(ctx, to));
            if !ctx.reach().ports(from, to).possible.intersect(&ports).is_empty() {
                alive = true;
                break;
            }
            let Some((protocol, port, _)) = ports.iter().next() else { continue };
            let asked = flow(ask::end(ctx, from), ask::end(ctx, to), protocol, if port == 0 { 1 } else { port });
            let verdict = ctx.engine.decide(&asked);
            let (own, theirs) = (half(&verdict, direction), half(&verdict, opposite(direction)));
            if from != to && own.verdict == Verdict::Allow && theirs.verdict == Verdict::Deny {
                cut.get_or_insert(asked);
            }
        }
        if alive {
            out.alive.push(*other);
        } else if let Some(asked) = cut {
            out.cut.push(*other);
            out.witness.get_or_insert(asked);
        }
    }
    out
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Egress => Direction::Ingress,
        Direction::Ingress => Direction::Egress,
    }
}

fn words_of(ctx: &Ctx<'_, '_>, direction: Direction, found: &Sides, witness: &Flow) -> String {
    let names = some(&ask::names(ctx, &ask::workloads(ctx, found.cut.iter().copied())));
    let verdict = ctx.engine.decide(witness);
    let why = half_words(ctx.engine, opposite(direction), half(&verdict, opposite(direction)));
    let all = if found.alive.is_empty() { "nothing comes of this peer" } else { "part of this peer is dead" };
    match direction {
        Direction::Egress => format!("{all}: connections to {names} are denied when they arrive, {why}"),
        Direction::Ingress => format!("{all}: connections from {names} are denied when they leave, {why}"),
    }
}

/// The rule on the other side, as policies for at most three workloads.
fn other_side(
    ctx: &Ctx<'_, '_>,
    direction: Direction,
    policy: &NetworkPolicy,
    rule: &Rule,
    found: &Sides,
) -> Option<Fix> {
    /// More policies than this are no fix that people read.
    const MOST: usize = 3;
    let workloads: BTreeSet<WorkloadId> = ask::workloads(ctx, found.cut.iter().copied());
    // An Admin tier that denies is not overruled by a NetworkPolicy.
    let verdict = ctx.engine.decide(&found.witness?);
    let by_admin = half(&verdict, opposite(direction)).reason == Reason::AdminDeny;
    if workloads.len() > MOST || by_admin {
        return None;
    }
    let home = &ctx.world.namespaces[policy.namespace.index()].name;
    let mut fixes = Vec::new();
    for workload in workloads {
        let pod = found
            .cut
            .iter()
            .flat_map(|c| ctx.engine.classes().members(*c))
            .find(|p| ctx.world.pods[p.index()].workload == workload)?;
        let there = ctx.world.pods[pod.index()].namespace;
        let namespaces = (there != policy.namespace).then(|| write::namespace_named(home));
        let peer = write::pods(namespaces, policy.subject.clone());
        let ports = match &rule.ports {
            Ports::Any(_) => Vec::new(),
            Ports::Of(entries) => entries.clone(),
        };
        let selector = selector_for(ctx.world, *pod)?;
        let name = Str::from(format!("{}-{}", policy.name, if direction == Direction::Egress { "in" } else { "out" }));
        let made = write::policy(there, &name, selector, opposite(direction), vec![write::rule(vec![peer], ports)]);
        let fix = Fix::put(ctx.world, title(ctx, direction, workload), made);
        fixes.push(if direction == Direction::Ingress { ask::with_names(ctx, fix, *pod) } else { fix });
    }
    fixes.into_iter().reduce(|all, one| all.and("the rules on the other side", one))
}

fn title(ctx: &Ctx<'_, '_>, direction: Direction, workload: WorkloadId) -> String {
    let verb = if direction == Direction::Egress { "let them in at" } else { "let them out of" };
    format!("{verb} {}", ctx.workload_name(workload))
}
