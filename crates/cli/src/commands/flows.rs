//! `flows import` and `flows show`: recorded flows into a ledger, and out of it.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::recordings::{self, FlowsFrom, RecordFormat};
use crate::render::Report;
use crate::view::flows::{FlowsView, ImportView};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use watertight_flows::Ledger;

/// Arguments of `flows`.
#[derive(Args, Debug)]
#[command(
    after_help = "Hubble: hubble observe --follow -o jsonpb > flows.jsonl\nCalico: flow logs, one JSON object a line"
)]
pub struct FlowsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: FlowsCommand,
}

/// What to do with flows.
#[derive(Debug, Subcommand)]
pub enum FlowsCommand {
    /// Add recordings to a ledger; the same recording counts once
    Import {
        /// Files of flow records; `-` for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The ledger; it is made if it is not there
        #[arg(long, value_name = "FILE", default_value = "flows.ledger")]
        ledger: PathBuf,
        /// Format of the records; found out by itself if left out
        #[arg(long, value_name = "FORMAT")]
        format: Option<RecordFormat>,
    },
    /// Show the edges of recordings or of a ledger
    Show {
        /// Where the flows are
        #[command(flatten)]
        from: FlowsFrom,
    },
}

/// Runs it.
pub fn run(args: FlowsArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    match args.command {
        FlowsCommand::Import { files, ledger, format } => import(&files, &ledger, format, ctx),
        FlowsCommand::Show { from } => {
            ctx.format(FlowsView::FORMATS)?;
            let ledger = recordings::read(&from, ctx)?;
            let namespace = ctx.global.namespace.clone().filter(|_| !ctx.global.all_namespaces);
            ctx.emit(&FlowsView::of(&ledger, namespace.as_deref()))?;
            Ok(ctx.unless_whole(ledger.lost() == 0))
        }
    }
}

fn import(
    files: &[PathBuf],
    path: &std::path::Path,
    format: Option<RecordFormat>,
    ctx: &mut Ctx<'_, '_>,
) -> Result<Exit, Failure> {
    ctx.format(ImportView::FORMATS)?;
    if let Some(missing) = files.iter().find(|f| f.as_os_str() != "-" && !f.exists()) {
        // Said before a ledger is made for nothing.
        return Err(Failure::new(
            Exit::Unreachable,
            "read",
            format!("cannot read `{}`: no such file", missing.display()),
            None,
        ));
    }
    let mut ledger = Ledger::open(path).map_err(|e| recordings::failure(&e))?;
    let mut imports = Vec::new();
    for file in files {
        let stats = recordings::add(&mut ledger, file, format, ctx)?;
        imports.push((file.display().to_string(), stats));
    }
    ctx.emit(&ImportView::of(&path.display().to_string(), &ledger, &imports))?;
    let whole = imports.iter().all(|(_, s)| s.malformed == 0 && s.lost_events_reported == 0);
    Ok(ctx.unless_whole(whole))
}
