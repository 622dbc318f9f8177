//! `learn`: least-privilege policies from recorded flows.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::recordings::{self, FlowsFrom};
use crate::render::Report;
use crate::source;
use crate::view::learn::LearnedView;
use clap::Args;
use std::path::{Path, PathBuf};
use watertight_engine::Engine;
use watertight_flows::{completeness, resolve};
use watertight_learn::{LearnOptions, learn};

/// Arguments of `learn`.
#[derive(Args, Debug)]
pub struct LearnArgs {
    /// Where the flows are
    #[command(flatten)]
    pub from: FlowsFrom,
    /// Write the policies to this directory, one file each
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Namespaces that get no policies; repeatable (default: those of the system)
    #[arg(long, value_name = "NAME")]
    pub skip_namespace: Vec<String>,
    /// Isolate for ingress only
    #[arg(long, conflicts_with = "egress_only")]
    pub ingress_only: bool,
    /// Isolate for egress only
    #[arg(long)]
    pub egress_only: bool,
    /// Accept an edge by itself only if it was seen on so many days
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_days: u32,
    /// Accept edges from one environment to another as well
    #[arg(long)]
    pub accept_cross_environment: bool,
    /// Address blocks per rule for what is outside, at most
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub max_blocks: usize,
    /// No rules for DNS
    #[arg(long)]
    pub no_dns: bool,
    /// No comments with evidence in the policies
    #[arg(long)]
    pub no_comments: bool,
}

impl LearnArgs {
    fn options(&self, namespace: Option<&str>) -> LearnOptions {
        let defaults = LearnOptions::default();
        LearnOptions {
            skip_namespaces: if self.skip_namespace.is_empty() {
                defaults.skip_namespaces
            } else {
                self.skip_namespace.clone()
            },
            only_namespaces: namespace.map(str::to_owned).into_iter().collect(),
            ingress: !self.egress_only,
            egress: !self.ingress_only,
            min_days: self.min_days,
            accept_cross_environment: self.accept_cross_environment,
            max_blocks: self.max_blocks,
            dns: !self.no_dns,
            comments: !self.no_comments,
            environment_keys: defaults.environment_keys,
            widest: defaults.widest,
        }
    }
}

/// Runs it.
pub fn run(args: LearnArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(LearnedView::FORMATS)?;
    let ledger = recordings::read(&args.from, ctx)?;
    let source = source::load(ctx)?;
    let scope = ctx.scope(&source.world)?.map(|id| source.world.namespaces[id.index()].name.to_string());
    let engine = Engine::new(&source.world);
    let resolved = resolve(&source.world, &ledger);
    let complete = completeness(&source.world, &ledger, &resolved);
    let options = args.options(scope.as_deref());
    let learned = ctx.timed("learning", || learn(&engine, &recordings::edges(&resolved), &options));
    let mut view = LearnedView::of(&engine, &learned, &resolved, &complete);
    if let Some(out) = &args.out {
        write(&view, out, ctx)?;
        view.out = Some(out.display().to_string());
    }
    ctx.emit(&view)?;
    let failed = if learned.certificate.holds() { Exit::Clean } else { Exit::Findings };
    Ok(failed.worst(ctx.unless_whole(view.whole() && source::is_whole(&source.world))))
}

/// One file per policy, `NAMESPACE/NAME.yaml`. Files that are there and were not written now are named, never removed.
fn write(view: &LearnedView, out: &Path, ctx: &mut Ctx<'_, '_>) -> Result<(), Failure> {
    let mut written = std::collections::BTreeSet::new();
    for (name, yaml) in view.texts() {
        let safe = name.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        });
        if !safe {
            // A name that the API would refuse must not choose where we write.
            return Err(Failure::new(Exit::BadInput, "name", format!("`{name}` cannot be a file name"), None));
        }
        let file = out.join(format!("{name}.yaml"));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Failure::write(&format!("`{}`", folder.display()), &e))?;
        }
        // The same policies leave the same files, with their times.
        if std::fs::read(&file).ok().as_deref() != Some(yaml.as_bytes()) {
            std::fs::write(&file, yaml).map_err(|e| Failure::write(&format!("`{}`", file.display()), &e))?;
        }
        written.insert(file);
    }
    let others = others(out, &written);
    if !others.is_empty() {
        let names: Vec<String> = others.iter().take(3).map(|f| format!("`{}`", f.display())).collect();
        let more = if others.len() > names.len() {
            format!(" and {} more", others.len() - names.len())
        } else {
            String::new()
        };
        ctx.warn(&format!("left as they are, and not learned now: {}{more}", names.join(", ")));
    }
    Ok(())
}

/// Manifests in the directory, and one level below it, that were not written now.
fn others(out: &Path, written: &std::collections::BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let mut found: Vec<PathBuf> =
        list(out).into_iter().flat_map(|p| if p.is_dir() { list(&p) } else { vec![p] }).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") && !written.contains(p));
    found.sort();
    found
}
