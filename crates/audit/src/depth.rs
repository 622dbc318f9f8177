//! Segmentation depth: how far a cluster has come, what the next step costs and what it buys.

use crate::context::Ctx;
use crate::coverage::Coverage;
use watertight_model::Verdict;

/// Steps from a flat cluster on. The last two are not visible in what is read today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// No workload is isolated in any direction.
    None,
    /// Some are.
    Partial,
    /// Every namespace denies by default, in both directions, and nothing is allowed between workloads.
    DefaultDeny,
    /// Every namespace denies by default, in both directions, and rules allow what is needed.
    AllowRules,
    /// In addition workloads prove who they are (mTLS) and are authorized by identity.
    MutualTls,
    /// Parts that must not share fate run in clusters of their own.
    SeparateClusters,
}

impl Level {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Level::None => "none",
            Level::Partial => "partial",
            Level::DefaultDeny => "default-deny",
            Level::AllowRules => "default-deny-with-allow-rules",
            Level::MutualTls => "mtls-and-authorization",
            Level::SeparateClusters => "separate-clusters",
        }
    }
}

/// Where the cluster stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The step reached.
    pub level: Level,
    /// The next step.
    pub next: Level,
    /// What it takes, in one line.
    pub costs: String,
    /// What it gives, in one line.
    pub buys: String,
}

impl Depth {
    pub(crate) fn of(ctx: &Ctx<'_, '_>, coverage: &Coverage) -> Self {
        let with_pods = coverage.namespaces.iter().filter(|n| n.ingress.total > 0);
        let open: Vec<String> = with_pods
            .filter(|n| n.default_deny_ingress != Verdict::Allow || n.default_deny_egress != Verdict::Allow)
            .map(|n| ctx.world.namespaces[n.namespace.index()].name.to_string())
            .collect();
        let isolated = coverage.ingress.covered + coverage.egress.covered > 0;
        let pairs = coverage.pairs;
        let level = match (isolated, open.is_empty(), pairs.possible) {
            (false, _, _) => Level::None,
            (true, false, _) => Level::Partial,
            (true, true, 0) => Level::DefaultDeny,
            (true, true, _) => Level::AllowRules,
        };
        let (next, costs, buys) = match level {
            Level::None | Level::Partial => (
                Level::AllowRules,
                format!(
                    "a default deny with DNS and learned allow rules in {} of {} namespaces with pods ({})",
                    open.len(),
                    coverage.namespaces.iter().filter(|n| n.ingress.total > 0).count(),
                    crate::finding::some(&open),
                ),
                format!("closes what is not used of {} open pairs of workloads out of {}", pairs.possible, pairs.all),
            ),
            Level::DefaultDeny => (
                Level::AllowRules,
                "allow rules for the connections in use, or nothing works".to_owned(),
                "workloads can talk to those they need, and to nobody else".to_owned(),
            ),
            Level::AllowRules | Level::MutualTls => (
                Level::MutualTls,
                "an identity for every workload and mTLS between them".to_owned(),
                format!(
                    "the {} pairs that may talk prove who they are: a stolen address or label is no longer enough",
                    pairs.possible
                ),
            ),
            Level::SeparateClusters => {
                (Level::SeparateClusters, "nothing: this is the last step".to_owned(), "nothing more".to_owned())
            }
        };
        Self { level, next, costs, buys }
    }
}
