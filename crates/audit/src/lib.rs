//! The auditor: findings that the engine has proved, coverage, segmentation depth, and a grade.
//!
//! Input: an [`Engine`] over a world. Output: an [`Audit`]. No meaning of its own: whether a flow passes is always the
//! engine's answer; this crate chooses which questions to ask and says what the answers mean for people.
//!
//! Reading order: [`finding`], [`rules`] (one file per lint, one table), [`context`] (what lints share), [`coverage`],
//! [`depth`], [`grade`], [`cni`]; then what is done with findings: [`fix`], [`suppress`], [`baseline`].

pub mod baseline;
pub mod catalogue;
mod checked;
pub mod cni;
pub mod context;
pub mod coverage;
pub mod depth;
pub mod dns;
pub mod finding;
pub mod fix;
pub mod grade;
mod known;
pub mod observed;
pub mod options;
pub mod rules;
mod run;
pub mod suppress;

pub use baseline::Baseline;
pub use catalogue::{catalogue, page};
pub use context::{AuditOptions, Ctx, Fresh, Noticed};
pub use coverage::Coverage;
pub use depth::Depth;
pub use finding::{Certainty, Finding, Severity, Status};
pub use fix::Fix;
pub use grade::Grade;
pub use observed::{Observed, ObservedEdge, ObservedEnd};
pub use suppress::Suppressed;

use watertight_engine::Engine;

/// The whole report.
#[derive(Clone, Debug)]
pub struct Audit {
    /// A to F.
    pub grade: Grade,
    /// How far the input supports the grade.
    pub certainty: Certainty,
    /// Who is isolated, per direction.
    pub coverage: Coverage,
    /// How deep the cluster is segmented, and what the next step costs and buys.
    pub depth: Depth,
    /// Which network plugins were seen, and whether they enforce.
    pub cni: Vec<cni::CniFinding>,
    /// Worst first; the same input gives the same list.
    pub findings: Vec<Finding>,
    /// Findings that an annotation or a comment accepts, in the same order.
    pub suppressed: Vec<Suppressed>,
}

/// Audits a world.
pub fn audit(engine: &Engine<'_>, options: &AuditOptions) -> Audit {
    let fresh = Fresh::of(engine.world());
    let fresh_engine = Engine::new(&fresh.world);
    let ctx = Ctx::new(engine, options, &fresh, &fresh_engine);
    let mut findings = Vec::new();
    for lint in rules::table() {
        run::one(&ctx, lint, &mut findings);
    }
    findings.extend(options.noticed.iter().filter_map(Noticed::finding));
    let mut suppressed = suppress::apply(engine.world(), options.today.as_deref(), &mut findings);
    checked::fixes(engine.world(), options, &mut findings);
    finding::sort(&mut findings);
    suppressed.sort_by(|a, b| finding::order(&a.finding, &b.finding));
    let coverage = ctx.coverage().clone();
    let depth = Depth::of(&ctx, &coverage);
    let grade = Grade::of(&ctx, &coverage);
    let certainty = Certainty::of(engine.world());
    Audit { grade, certainty, coverage, depth, cni: ctx.cni.clone(), findings, suppressed }
}

/// How long each lint takes by itself, in the order of the table; the first that needs a shared answer pays for it. For benches:
/// time comes from the caller's clock in [`AuditOptions::clock`], else all are zero.
pub fn lint_times(engine: &Engine<'_>, options: &AuditOptions) -> Vec<(&'static str, core::time::Duration)> {
    let fresh = Fresh::of(engine.world());
    let fresh_engine = Engine::new(&fresh.world);
    let ctx = Ctx::new(engine, options, &fresh, &fresh_engine);
    let now = || options.clock.map_or(core::time::Duration::ZERO, |clock| clock());
    let timed = |lint: &&'static rules::Lint| {
        let start = now();
        run::one(&ctx, lint, &mut Vec::new());
        (lint.code, now().saturating_sub(start))
    };
    rules::table().iter().map(timed).collect()
}
