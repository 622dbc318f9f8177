//! `blast`: what an attacker who holds a workload can reach.

use super::{target, unknown};
use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::render::Report;
use crate::source;
use crate::view::blast::{BlastView, RankingView};
use clap::Args;
use watertight_engine::Engine;
use watertight_engine::blast::{BlastOptions, blast, rank};
use watertight_engine::query::Target;

/// Arguments of `blast`.
#[derive(Args, Debug)]
pub struct BlastArgs {
    /// The workload that was taken: namespace/name, or a pod of it
    #[arg(required_unless_present = "rank", conflicts_with = "rank")]
    pub workload: Option<String>,
    /// All workloads by what they reach, widest first
    #[arg(long)]
    pub rank: bool,
    /// Stop after this many connections
    #[arg(long, value_name = "N", conflicts_with = "rank", value_parser = clap::value_parser!(u32).range(1..))]
    pub hops: Option<u32>,
    /// A privileged or hostNetwork workload that is taken gives its node, and a node reaches every pod on it
    #[arg(long)]
    pub assume_node_compromise: bool,
    /// Count `depends` as allowed
    #[arg(long)]
    pub depends_as_allowed: bool,
}

/// Runs it.
pub fn run(args: BlastArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(if args.rank { RankingView::FORMATS } else { BlastView::FORMATS })?;
    let source = source::load(ctx)?;
    let world = &source.world;
    let engine = Engine::new(world);
    let options = BlastOptions {
        assume_node_compromise: args.assume_node_compromise,
        depends_as_allowed: args.depends_as_allowed,
        max_hops: args.hops,
    };
    match args.workload {
        None => {
            let scope = ctx.scope(world)?;
            let ranking = ctx.timed("blast", || rank(&engine, options));
            ctx.emit(&RankingView::of(world, &ranking, scope))?;
        }
        Some(name) => {
            let from = match target(ctx, &engine, &name).map_err(|e| unknown(&e))? {
                Target::Workload(id) => id,
                Target::Pod(id) => world.pods[id.index()].workload,
                Target::Node(_) | Target::Ip(_) | Target::Service(_) => {
                    return Err(Failure::usage(
                        format!("`{name}` is no workload"),
                        "want namespace/name of a workload or a pod",
                    ));
                }
            };
            let radius = ctx.timed("blast", || blast(&engine, from, options));
            ctx.emit(&BlastView::of(world, &radius, options))?;
        }
    }
    Ok(ctx.unless_whole(source::is_whole(world)))
}
