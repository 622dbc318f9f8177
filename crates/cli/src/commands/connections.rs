//! `connections`: who can talk to whom, over all ports.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::render::Report;
use crate::source;
use crate::view::connections::ConnectionsView;
use clap::Args;
use watertight_engine::Engine;
use watertight_engine::connections::{Detail, connections};

/// Arguments of `connections`.
#[derive(Args, Debug)]
pub struct ConnectionsArgs {
    /// One entry per pair of pods instead of workloads
    #[arg(long)]
    pub pods: bool,
}

/// Runs it.
pub fn run(args: ConnectionsArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(ConnectionsView::FORMATS)?;
    let source = source::load(ctx)?;
    let scope = ctx.scope(&source.world)?;
    let detail = if args.pods { Detail::Pods } else { Detail::Workloads };
    let list = ctx.timed("connections", || connections(&Engine::new(&source.world), detail));
    let view = ConnectionsView::of(&source.world, &list, scope);
    ctx.emit(&view)?;
    Ok(ctx.unless_whole(source::is_whole(&source.world) && view.certain()))
}
