//! `diff`: what can connect in one version and not in another.

use crate::args::FailOn;
use crate::candidates;
use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::git::{Range, Repository};
use crate::render::Report;
use crate::source;
use crate::view::diff::DiffView;
use clap::Args;
use std::path::PathBuf;
use watertight_engine::diff::{DiffOptions, diff};
use watertight_ingest::Input;
use watertight_model::World;

/// Arguments of `diff`.
#[derive(Args, Debug)]
#[command(after_help = "What is compared:\n\
    \x20 diff OLD NEW                        two files, directories or snapshots\n\
    \x20 diff --git BASE[..HEAD] -f DIR      two Git revisions, or one and the files as they are; also BASE...HEAD\n\
    \x20 diff --live -f DIR                  the cluster, and the cluster after `kubectl apply -f DIR`\n\
    \x20 diff --policies DIR [-f DIR]        without and with candidate policies\n\n\
    Exit code 1 if something changes. --fail-on opens: only if something opens, or may; --fail-on never: always 0.")]
pub struct DiffArgs {
    /// What there was: a file, a directory or a snapshot
    #[arg(requires = "new", conflicts_with_all = ["git", "live"])]
    pub old: Option<PathBuf>,
    /// What there will be
    pub new: Option<PathBuf>,
    /// Compare the files of -f in two Git revisions; without HEAD, a revision with the files as they are
    #[arg(long, value_name = "BASE[..HEAD]", conflicts_with = "live")]
    pub git: Option<Range>,
    /// Compare the cluster with what applying the files of -f would make of it
    #[arg(long)]
    pub live: bool,
}

/// Two worlds, and what to call them.
struct Compared {
    worlds: [World; 2],
    names: [String; 2],
}

/// Runs it.
pub fn run(args: &DiffArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(DiffView::FORMATS)?;
    let level = level(ctx)?;
    let Compared { worlds: [before, after], names } = compared(args, ctx)?;
    source::warn_both_incomplete(ctx, [&before, &after]);
    let scope = match ctx.scope(&before) {
        Ok(scope) => scope.map(|id| before.namespaces[id.index()].name.clone()),
        Err(_) => ctx.scope(&after)?.map(|id| after.namespaces[id.index()].name.clone()),
    };
    let found = ctx.timed("diff", || diff(&before, &after, DiffOptions::default()));
    let view = DiffView::of([&before, &after], names, &found, scope.as_deref());
    ctx.emit(&view)?;
    let fails = match level {
        FailOn::Never => false,
        FailOn::Opens => view.opens(),
        _ => view.differs(),
    };
    let exit = if fails { Exit::Findings } else { Exit::Clean };
    let whole = source::is_whole(&before) && source::is_whole(&after) && !view.is_unclear();
    Ok(exit.worst(ctx.unless_whole(whole)))
}

fn level(ctx: &Ctx<'_, '_>) -> Result<FailOn, Failure> {
    match ctx.global.fail_on.unwrap_or(FailOn::Any) {
        level @ (FailOn::Any | FailOn::Opens | FailOn::Never) => Ok(level),
        FailOn::Note | FailOn::Warning | FailOn::Error => {
            Err(Failure::usage("changes have no severity", "choose --fail-on any, opens or never"))
        }
    }
}

fn compared(args: &DiffArgs, ctx: &mut Ctx<'_, '_>) -> Result<Compared, Failure> {
    let files = ctx.global.files.clone();
    let has_candidates = !ctx.global.policies.is_empty();
    let alone = args.old.is_some() || args.git.is_some() || args.live;
    if has_candidates && alone {
        return Err(Failure::usage(
            "--policies is a comparison of its own",
            "`diff --policies DIR -f DIR` compares without and with candidates",
        ));
    }
    if ctx.global.save.is_some() && (args.old.is_some() || args.git.is_some()) {
        return Err(Failure::usage("there is nothing to --save here", "leave it out: both sides are files already"));
    }
    match (&args.old, &args.new, &args.git) {
        (Some(old), Some(new), None) => {
            if !files.is_empty() {
                return Err(Failure::usage(
                    "OLD NEW and -f do not go together",
                    "give two paths, or --git or --live and -f",
                ));
            }
            let input = |path: &PathBuf| source::input(ctx, path);
            let inputs = [input(old)?, input(new)?];
            let worlds = both(ctx, inputs)?;
            Ok(Compared { worlds, names: [old.display().to_string(), new.display().to_string()] })
        }
        (None, None, Some(range)) => revisions(range, &files, ctx),
        _ if args.live => {
            if files.is_empty() {
                return Err(no_files("--live"));
            }
            let over: Vec<Vec<Input>> = files.iter().map(|f| source::input(ctx, f)).collect::<Result<_, Failure>>()?;
            let over = over.concat();
            // The cluster is asked although there are files.
            let (loaded, cluster) = source::live_and_applied(ctx, &over)?;
            let names = [cluster.clone(), format!("{cluster} with {} applied", listed(&files))];
            Ok(Compared { worlds: loaded.map(|l| l.world), names })
        }
        _ if has_candidates => {
            let paths = ctx.global.policies.clone();
            let before = source::load_plain(ctx)?.world;
            let inputs: Vec<Input> = paths.iter().cloned().map(Input::Path).collect();
            let options = source::options(ctx);
            let candidates = source::read(ctx, &inputs, &options)?;
            let mut after = before.clone();
            candidates::put(&mut after, candidates.world)?;
            let of = if files.is_empty() { "the cluster".to_owned() } else { listed(&files) };
            Ok(Compared { worlds: [before, after], names: [of.clone(), format!("{of} with {}", listed(&paths))] })
        }
        _ => Err(Failure::usage(
            "there is nothing to compare",
            "`diff OLD NEW`, `diff --git BASE..HEAD -f DIR`, `diff --live -f DIR` or `diff --policies DIR -f DIR`",
        )),
    }
}

fn no_files(flag: &str) -> Failure {
    Failure::usage(format!("{flag} wants files"), format!("say which: `watertight diff {flag} … -f DIR`"))
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Reads both sides; the faults of both are told.
fn both(ctx: &mut Ctx<'_, '_>, inputs: [Vec<Input>; 2]) -> Result<[World; 2], Failure> {
    let options = source::options(ctx);
    let [before, after] = inputs.map(|inputs| source::read(ctx, &inputs, &options));
    match (before, after) {
        (Ok(before), Ok(after)) => Ok([before.world, after.world]),
        (Err(before), Err(after)) => Err(before.and(after)),
        (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
    }
}

fn revisions(range: &Range, files: &[PathBuf], ctx: &mut Ctx<'_, '_>) -> Result<Compared, Failure> {
    if files.is_empty() {
        return Err(no_files("--git"));
    }
    if files.iter().any(|f| f.as_os_str() == "-") {
        return Err(Failure::usage("standard input is in no revision", "give paths of the repository with -f"));
    }
    let repository = Repository::here()?;
    let mut base = (range.base.clone(), repository.commit(&range.base)?);
    let head = range.head.as_ref().map(|name| Ok((name.clone(), repository.commit(name)?))).transpose()?;
    if let (true, Some((name, id))) = (range.merge_base, &head) {
        base = (format!("{}...{name}", base.0), repository.merge_base(&base.1, id)?);
    }
    let mut at = |(name, id): &(String, String)| -> Result<Vec<Input>, Failure> {
        let (inputs, passed) = repository.read(id, name, files)?;
        passed.iter().for_each(|line| ctx.note(&format!("left out: {line}")));
        if inputs.is_empty() {
            ctx.warn(&format!("no manifest in `{name}` at {}: compared with nothing", listed(files)));
        }
        Ok(inputs)
    };
    let before = at(&base)?;
    let after = match &head {
        Some(head) => at(head)?,
        None => files.iter().cloned().map(Input::Path).collect(),
    };
    if before.is_empty() && after.is_empty() {
        let message = format!("no manifest at {} in either revision", listed(files));
        return Err(Failure::new(Exit::BadInput, "nothing-read", message, None));
    }
    let worlds = both(ctx, [before, after])?;
    Ok(Compared { worlds, names: [base.0, head.map_or_else(|| "the files as they are".to_owned(), |h| h.0)] })
}
