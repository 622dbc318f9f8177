//! `connections`: who can talk to whom, over all ports; and to what pods that do not exist yet could talk.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::render::Report;
use crate::source;
use crate::view::connections::ConnectionsView;
use crate::view::exposure::ExposureView;
use clap::Args;
use watertight_engine::Engine;
use watertight_engine::connections::{Detail, connections};
use watertight_engine::entry::entries;
use watertight_engine::exposure::exposure;

/// Arguments of `connections`.
#[derive(Args, Debug)]
pub struct ConnectionsArgs {
    /// One entry per pair of pods instead of workloads
    #[arg(long)]
    pub pods: bool,
    /// Instead: what workloads are open to from pods that do not exist yet, and which rule makes it so
    #[arg(long, conflicts_with = "pods")]
    pub exposure: bool,
}

/// Runs it.
pub fn run(args: ConnectionsArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(if args.exposure { ExposureView::FORMATS } else { ConnectionsView::FORMATS })?;
    let source = source::load(ctx)?;
    let scope = ctx.scope(&source.world)?;
    if args.exposure {
        let list = ctx.timed("exposure", || exposure(&source.world));
        let view = ExposureView::of(&source.world, &list, scope);
        ctx.emit(&view)?;
        return Ok(ctx.unless_whole(source::is_whole(&source.world) && view.certain()));
    }
    let detail = if args.pods { Detail::Pods } else { Detail::Workloads };
    let engine = Engine::new(&source.world);
    let (list, entries) = ctx.timed("connections", || (connections(&engine, detail), entries(&engine)));
    let view = ConnectionsView::of(&engine, &list, &entries, scope);
    ctx.emit(&view)?;
    Ok(ctx.unless_whole(source::is_whole(&source.world) && view.certain()))
}
