//! Who is isolated: per direction, workload and namespace.
//!
//! Isolated means that a pod deployed tomorrow into a namespace made tomorrow is denied on a port that nothing uses. Any
//! way to isolate counts: NetworkPolicy, Admin tier, Baseline tier. A rule that admits everyone undoes it.

use crate::context::Ctx;
use watertight_engine::connections::{Pairs, workload_pairs};
use watertight_model::{Direction, NamespaceId, Verdict, WorkloadId};

/// Covered out of total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio {
    /// Isolated for sure.
    pub covered: usize,
    /// Whether they are isolated depends on something (hostNetwork, policies that are not evaluated, labels not known).
    pub unclear: usize,
    /// All.
    pub total: usize,
}

impl Ratio {
    /// Share of those covered, 0 to 1; 1 if there is nothing to cover.
    pub fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of workloads are far below 2^52")]
        if self.total == 0 { 1.0 } else { self.covered as f64 / self.total as f64 }
    }

    fn count(&mut self, isolated: Verdict) {
        self.total += 1;
        match isolated {
            Verdict::Allow => self.covered += 1,
            Verdict::Depends => self.unclear += 1,
            Verdict::Deny => {}
        }
    }
}

/// Coverage of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Workloads isolated for ingress.
    pub ingress: Ratio,
    /// Workloads isolated for egress.
    pub egress: Ratio,
    /// hostNetwork workloads among them; policy is not made for these.
    pub host_network: usize,
    /// By name.
    pub namespaces: Vec<NamespaceCoverage>,
    /// By namespace and name; workloads without running pods are left out.
    pub workloads: Vec<WorkloadCoverage>,
    /// Ordered pairs of workloads with an open port.
    pub pairs: Pairs,
}

/// Coverage of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceCoverage {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Its workloads isolated for ingress.
    pub ingress: Ratio,
    /// Its workloads isolated for egress.
    pub egress: Ratio,
    /// A pod deployed tomorrow is isolated for ingress.
    pub default_deny_ingress: Verdict,
    /// A pod deployed tomorrow is isolated for egress.
    pub default_deny_egress: Verdict,
}

/// Coverage of one workload. `Allow` means "yes, isolated", so that three answers stay three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadCoverage {
    /// The workload.
    pub workload: WorkloadId,
    /// Isolated for ingress: all its pods are.
    pub ingress: Verdict,
    /// Isolated for egress: all its pods are.
    pub egress: Verdict,
    /// All its pods are hostNetwork.
    pub host_network: bool,
}

impl Coverage {
    pub(crate) fn of(ctx: &Ctx<'_, '_>) -> Self {
        let world = ctx.world;
        let mut by_workload: Vec<Option<WorkloadCoverage>> = vec![None; world.workloads.len()];
        // Classes, not pods: what holds for one pod of a class holds for all.
        let mut known: std::collections::BTreeMap<u32, (Verdict, Verdict)> = std::collections::BTreeMap::new();
        for (i, pod) in world.pods.iter().enumerate() {
            let id = watertight_model::PodId::at(i);
            let Some(class) = ctx.engine.classes().class_of(id) else { continue };
            let (ingress, egress) = *known.entry(class.0).or_insert_with(|| {
                let foreign = world.foreign_policies.iter().any(|p| p.namespace.is_none_or(|n| n == pod.namespace));
                let unless_foreign = |v: Verdict| if foreign { Verdict::Depends } else { v };
                (unless_foreign(isolated(ctx.stranger_reaches(id))), unless_foreign(isolated(ctx.reaches_stranger(id))))
            });
            let fresh = WorkloadCoverage { workload: pod.workload, ingress, egress, host_network: pod.host_network };
            let entry = by_workload[pod.workload.index()].get_or_insert(fresh);
            entry.ingress = entry.ingress.and(ingress);
            entry.egress = entry.egress.and(egress);
            entry.host_network &= pod.host_network;
        }
        let workloads: Vec<WorkloadCoverage> = by_workload.into_iter().flatten().collect();
        let mut this = Self {
            ingress: Ratio::default(),
            egress: Ratio::default(),
            host_network: workloads.iter().filter(|w| w.host_network).count(),
            namespaces: Vec::new(),
            workloads,
            pairs: workload_pairs(ctx.engine, ctx.reach()),
        };
        for ns in (0..world.namespaces.len()).map(NamespaceId::at) {
            let mut own = NamespaceCoverage {
                namespace: ns,
                ingress: Ratio::default(),
                egress: Ratio::default(),
                default_deny_ingress: isolated(ctx.odd(ctx.fresh().stranger(), ctx.fresh().tomorrow(ns))),
                default_deny_egress: isolated(ctx.odd(ctx.fresh().tomorrow(ns), ctx.fresh().stranger())),
            };
            for workload in this.workloads.iter().filter(|w| world.workloads[w.workload.index()].namespace == ns) {
                own.ingress.count(workload.ingress);
                own.egress.count(workload.egress);
                this.ingress.count(workload.ingress);
                this.egress.count(workload.egress);
            }
            this.namespaces.push(own);
        }
        this
    }

    /// Coverage of one direction.
    pub fn ratio(&self, direction: Direction) -> Ratio {
        match direction {
            Direction::Ingress => self.ingress,
            Direction::Egress => self.egress,
        }
    }
}

/// Whether "isolated" holds, from whether a stranger gets through.
fn isolated(stranger: Verdict) -> Verdict {
    match stranger {
        Verdict::Allow => Verdict::Deny,
        Verdict::Deny => Verdict::Allow,
        Verdict::Depends => Verdict::Depends,
    }
}
