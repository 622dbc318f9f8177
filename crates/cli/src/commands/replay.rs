//! `replay`: recorded flows against candidate policies.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::recordings::{self, FlowsFrom};
use crate::render::Report;
use crate::source;
use crate::view::replay::ReplayView;
use clap::Args;
use watertight_engine::Engine;
use watertight_flows::resolve;
use watertight_learn::End;
use watertight_learn::replay::replay;

/// Arguments of `replay`.
#[derive(Args, Debug)]
#[command(
    after_help = "Candidates come with --policies, or stand among the -f files. The exit code is 1 if anything would be denied."
)]
pub struct ReplayArgs {
    /// Where the flows are
    #[command(flatten)]
    pub from: FlowsFrom,
    /// Only what was seen in the last part of the recording, such as 7d or 12h
    #[arg(long, value_name = "DURATION", value_parser = recordings::duration)]
    pub since: Option<i64>,
}

/// Runs it.
pub fn run(args: ReplayArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(ReplayView::FORMATS)?;
    let ledger = recordings::read(&args.from, ctx)?;
    let source = source::load(ctx)?;
    let world = &source.world;
    let scope = ctx.scope(world)?;
    let engine = Engine::new(world);
    let resolved = resolve(world, &ledger);
    let mut edges = recordings::edges(&resolved);
    // The end of the recording, not the clock, says what "the last days" are: the same input gives the same answer.
    let end = edges.iter().map(|e| e.last).max().unwrap_or_default();
    edges.retain(|e| args.since.is_none_or(|since| e.last >= end - since));
    let inside = |end: &End| match end {
        End::Workload(id) => Some(world.workloads[id.index()].namespace) == scope,
        End::Node(_) | End::External { .. } => false,
    };
    edges.retain(|e| scope.is_none() || inside(&e.from) || inside(&e.to));
    let denied = ctx.timed("replaying", || replay(&engine, &edges));
    let view = ReplayView::of(&engine, &edges, &denied, &resolved);
    ctx.emit(&view)?;
    let findings = ctx.findings((!denied.is_empty()).then_some(crate::args::FailOn::Error));
    Ok(findings.worst(ctx.unless_whole(view.unexplained.is_empty() && ledger.lost() == 0 && source::is_whole(world))))
}
