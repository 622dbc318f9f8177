//! `audit`: findings, coverage, depth, grade.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::render::Report;
use crate::source::{self, Source};
use crate::view::audit::{AuditView, Detail};
use clap::Args;
use watertight_audit::{AuditOptions, audit};
use watertight_engine::Engine;

/// Arguments of `audit`.
#[derive(Args, Debug)]
#[command(
    after_help = "`watertight explain WT0051` tells what a finding code means. The grade is that of the whole cluster, also with -n."
)]
pub struct AuditArgs {
    /// Show each finding with the lines it is about and the YAML that fixes it
    #[arg(long)]
    pub full: bool,
}

/// Runs it.
pub fn run(args: AuditArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(AuditView::FORMATS)?;
    let source = source::load(ctx)?;
    let detail = if args.full { Detail::Full } else { Detail::List };
    report(&source, detail, ctx)
}

/// Audits what was read, and prints it.
pub(super) fn report(source: &Source, detail: Detail, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    let scope = ctx.scope(&source.world)?;
    let engine = Engine::new(&source.world);
    let found = ctx.timed("audit", || audit(&engine, &AuditOptions::default()));
    let view = AuditView::of(&engine, &found, scope, detail);
    ctx.emit(&view)?;
    Ok(ctx.findings(view.worst()).worst(ctx.unless_whole(found.certainty.whole)))
}
