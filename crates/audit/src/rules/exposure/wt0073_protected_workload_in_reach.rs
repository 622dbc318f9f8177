//! WT0073: a path from outside, or from where little is trusted, to what matters most.

use crate::context::Ctx;
use crate::finding::{Finding, Severity};
use crate::rules::common::workload_object;
use crate::rules::entries::{behind, class, from_the_internet};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::blast::{BlastOptions, Hop, blast_with};
use watertight_engine::classes::ClassId;
use watertight_engine::explain::words;
use watertight_engine::query::rule_names;
use watertight_model::{PodId, WorkloadId};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0073",
    name: "protected-workload-in-reach",
    severity: Severity::Error,
    summary: "a protected workload is few hops away from the Internet or from a less trusted environment",
    page: "Workloads that matter most carry `watertight.dev/protect: \"true\"`, or are listed in the configuration. \
           Proves that there is a path of at most four hops to one from the Internet (LoadBalancer and NodePort \
           Services, ingress controllers), or from a workload of a less trusted environment; prints each hop with its \
           ports and rules, whether taking nodes shortens it, and the hop that cuts most paths.\n\nExample: Internet \
           -> `ingress/nginx` -> `shop/web` -> `shop/api` -> `data/db`, where `web` to `api` is open on all \
           ports.\n\nFix: close the hop that it names.\n\nSilent: nothing is marked; longer paths; paths on \
           which some step is denied or depends.",
    check: Check::World(check),
};

type Edge = (WorkloadId, WorkloadId);

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    let protected = ask::protected(ctx);
    if protected.is_empty() {
        return;
    }
    let steps = Steps::of(ctx);
    let public = from_outside(ctx);
    for target in protected {
        if !ctx.is_overdue() && !steps.classes[target.index()].is_empty() {
            out.extend(in_reach(ctx, &steps, &public, target));
        }
    }
}

/// Which workloads can take one step to which, from classes.
struct Steps {
    classes: Vec<BTreeSet<ClassId>>,
    workloads: BTreeMap<ClassId, BTreeSet<WorkloadId>>,
}

impl Steps {
    fn of(ctx: &Ctx<'_, '_>) -> Self {
        let mut this = Self { classes: vec![BTreeSet::new(); ctx.world.workloads.len()], workloads: BTreeMap::new() };
        for (i, pod) in ctx.world.pods.iter().enumerate() {
            if let Some(class) = ctx.engine.classes().class_of(PodId::at(i)) {
                this.classes[pod.workload.index()].insert(class);
                this.workloads.entry(class).or_default().insert(pod.workload);
            }
        }
        this
    }

    /// Everyone with a path to the target, with its number of hops; one step may be forbidden.
    fn distances(
        &self,
        ctx: &Ctx<'_, '_>,
        target: WorkloadId,
        most: usize,
        without: Option<Edge>,
    ) -> BTreeMap<WorkloadId, usize> {
        let mut out = BTreeMap::from([(target, 0)]);
        let mut edge = vec![target];
        for hops in 1..=most {
            let mut next = BTreeSet::new();
            for to in edge {
                for class in &self.classes[to.index()] {
                    for (ports, sources) in ctx.reach().sources(*class) {
                        if ports.sure.is_empty() {
                            continue;
                        }
                        let from = sources.iter().flat_map(|c| self.workloads.get(&c).into_iter().flatten());
                        next.extend(from.filter(|from| without != Some((**from, to))).copied());
                    }
                }
            }
            edge = next.into_iter().filter(|w| !out.contains_key(w)).collect();
            out.extend(edge.iter().map(|w| (*w, hops)));
        }
        out
    }
}

/// Workloads that clients on the Internet reach first.
fn from_outside(ctx: &Ctx<'_, '_>) -> BTreeSet<WorkloadId> {
    let mut out: BTreeSet<WorkloadId> =
        from_the_internet(ctx).into_iter().filter(|e| e.sure).map(|e| e.workload).collect();
    let published = ctx.world.ingresses.iter().any(|i| behind(ctx, i).iter().any(|(_, b)| class(ctx, b).is_some()));
    if published {
        out.extend(ask::workloads(ctx, ask::controllers(ctx)));
    }
    out
}

fn in_reach(ctx: &Ctx<'_, '_>, steps: &Steps, public: &BTreeSet<WorkloadId>, target: WorkloadId) -> Option<Finding> {
    let most = ctx.options.protected_hops;
    let distances = steps.distances(ctx, target, most, None);
    let trust = |w: WorkloadId| {
        let (_, value) = ctx.environment(ctx.world.workloads[w.index()].namespace)?;
        ctx.trust(value)
    };
    // The way in from outside is a hop of its own.
    let outside = |(w, hops): (&WorkloadId, &usize)| (public.contains(w) && *hops < most).then_some((*w, *hops));
    let low = |(w, hops): (&WorkloadId, &usize)| {
        let less = trust(*w).zip(trust(target)).is_some_and(|(a, b)| a < b);
        (less && *hops > 0).then_some((*w, *hops))
    };
    let mut sources: Vec<(WorkloadId, usize)> = distances.iter().filter_map(outside).collect();
    let internet = !sources.is_empty();
    if !internet {
        sources = distances.iter().filter_map(low).collect();
    }
    sources.sort_by_key(|(w, hops)| (*hops, *w));
    let (first, hops) = sources.first().copied()?;
    let path = path(ctx, first, target, most, false)?;
    let mut names: Vec<String> = if internet { vec!["the Internet".to_owned()] } else { Vec::new() };
    names.push(ctx.workload_name(first));
    names.extend(path.iter().map(|h| ctx.workload_name(h.to)));
    let total = hops + usize::from(internet);
    let others = match sources.len() - 1 {
        0 => String::new(),
        n => format!("; {n} more ways in lead there"),
    };
    let message = format!("{} ({total} {}){others}", names.join(" -> "), if total == 1 { "hop" } else { "hops" });
    let at = ctx.world.workloads[target.index()].origin;
    let mut finding = LINT.finding(workload_object(ctx, target), Some(at), message);
    finding.score = if internet { 9.0 } else { finding.score };
    finding.affected = sources.len();
    finding.help = Some(help(ctx, steps, &sources, target, &path));
    Some(finding)
}

fn path(ctx: &Ctx<'_, '_>, from: WorkloadId, to: WorkloadId, most: usize, nodes: bool) -> Option<Vec<Hop>> {
    if from == to {
        return Some(Vec::new());
    }
    let max_hops = u32::try_from(most).ok();
    let options = BlastOptions { assume_node_compromise: nodes, max_hops, ..BlastOptions::default() };
    let all = blast_with(ctx.engine, ctx.reach(), from, options);
    all.reachable.into_iter().find(|r| r.workload == to).map(|r| r.path)
}

/// Each hop with its rules, the shorter way over nodes, and the hop to close.
fn help(ctx: &Ctx<'_, '_>, steps: &Steps, sources: &[(WorkloadId, usize)], target: WorkloadId, path: &[Hop]) -> String {
    let most = ctx.options.protected_hops;
    let name = |w: WorkloadId| ctx.workload_name(w);
    let hop = |h: &Hop| {
        let by = if h.by.is_empty() { "no policy".to_owned() } else { rule_names(ctx.engine, &h.by) };
        format!("{} to {}: {} by {by}", name(h.from), name(h.to), words::port_set(&h.ports))
    };
    let mut parts: Vec<String> = path.iter().map(hop).collect();
    let first = sources.first().map(|(w, _)| *w);
    let shorter = first.and_then(|w| self::path(ctx, w, target, most, true)).filter(|p| p.len() < path.len());
    if let Some(shorter) = shorter {
        parts.push(format!("through the nodes they share it takes {} hops", shorter.len()));
    }
    let left = |edge: Edge| {
        let distances = steps.distances(ctx, target, most, Some(edge));
        sources.iter().filter(|(w, _)| distances.contains_key(w)).count()
    };
    let cut = path.iter().map(|h| (left((h.from, h.to)), h)).min_by_key(|(left, _)| *left);
    match cut {
        Some((0, h)) => parts.push(format!("closing {} to {} cuts every path", name(h.from), name(h.to))),
        Some((left, h)) => {
            parts.push(format!("closing {} to {} leaves {left} of {} ways in", name(h.from), name(h.to), sources.len()))
        }
        None => parts.push("take it off the Internet".to_owned()),
    }
    parts.join("; ")
}
