//! The grade, by a published formula.
//!
//! `score = 100 * (1 - open) * (0.5 + 0.25 * ingress + 0.25 * egress)`, where `open` is the share of ordered workload pairs
//! with an open port on some reading, and `ingress` and `egress` are the shares of workloads isolated for sure
//! ([`crate::coverage`]). A from 90, B from 75, C from 55, D from 30, else F. If policies exist and no network plugin that
//! was seen enforces them, the grade is F.
//!
//! Adding an allow can only open pairs and undo isolation, so it never raises the score. What could not be read lowers the
//! certainty, not the grade.

use crate::cni::{Enforces, enforcement};
use crate::context::Ctx;
use crate::coverage::Coverage;

/// A to F.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// `A`, `B`, `C`, `D` or `F`.
    pub letter: char,
    /// 0 to 100, as the formula gives it.
    pub score: f64,
    /// The score was set aside: policies exist and nothing enforces them.
    pub not_enforced: bool,
}

impl Grade {
    pub(crate) fn of(ctx: &Ctx<'_, '_>, coverage: &Coverage) -> Self {
        let pairs = coverage.pairs;
        #[expect(clippy::cast_precision_loss, reason = "counts of pairs are far below 2^52")]
        let open = if pairs.all == 0 { 0.0 } else { pairs.possible as f64 / pairs.all as f64 };
        let score = 100.0 * (1.0 - open) * (0.5 + 0.25 * coverage.ingress.share() + 0.25 * coverage.egress.share());
        let policies = !ctx.world.policies.is_empty() || !ctx.world.cluster_policies.is_empty();
        let not_enforced = policies && !ctx.cni.is_empty() && enforcement(&ctx.cni) == Enforces::No;
        let letter = match score {
            _ if not_enforced => 'F',
            s if s >= 90.0 => 'A',
            s if s >= 75.0 => 'B',
            s if s >= 55.0 => 'C',
            s if s >= 30.0 => 'D',
            _ => 'F',
        };
        Self { letter, score, not_enforced }
    }
}
