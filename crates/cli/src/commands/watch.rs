//! `watch`: audits again whenever files or a cluster change, and says what is different.

mod live;

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::render::{self, Format, Report};
use crate::source::{self, Source, is_finding};
use crate::view::audit::{AuditView, Detail};
use crate::view::diff::DiffView;
use crate::view::watch::{Event, WatchView};
use crate::watching::Watching;
use clap::Args;
use std::io;
use std::time::Instant;
use watertight_audit::audit;
use watertight_engine::Engine;
use watertight_engine::diff::{DiffOptions, diff};
use watertight_ingest::Diagnostic;

/// Arguments of `watch`.
#[derive(Args, Debug)]
#[command(
    after_help = "Ctrl-C ends it with 0. With --changes the exit code is that of `audit` for the last state, 2 if the files \
    could not be understood at the end, or 3 if the cluster was not followed."
)]
pub struct WatchArgs {
    /// End after so many changes; 0: after the first look
    #[arg(long, value_name = "N")]
    pub changes: Option<u64>,
}

/// A state that could be read.
struct State {
    source: Source,
    audit: AuditView,
    whole: bool,
    read: Instant,
}

/// Runs it.
pub fn run(args: &WatchArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(WatchView::FORMATS)?;
    ctx.warnings_are_findings = true;
    if ctx.global.save.is_some() {
        return Err(Failure::usage("watch saves nothing", "leave --save out"));
    }
    let files = &ctx.global.files;
    if files.is_empty() {
        return live::run(args, ctx);
    }
    if files.iter().any(|f| f.as_os_str() == "-") {
        return Err(Failure::usage("standard input does not change", "give a file or a directory with -f"));
    }
    if let Some(path) = files.iter().find(|f| crate::rendered::Kind::of(f).is_some()) {
        // What a chart or an overlay is made from may lie anywhere: a watch would miss changes, and not say so.
        let message = format!("`{}` is rendered by a tool, so its files are not all known", path.display());
        return Err(Failure::usage(
            message,
            "watch what it renders: `helm template` or `kubectl kustomize` into a file",
        ));
    }
    // The marks are taken before the files are read: what is written meanwhile is a change.
    let paths = files.iter().chain(&ctx.global.policies).cloned().collect();
    let mut watching = Watching::start(paths)
        .map_err(|e| Failure::new(Exit::Unreachable, "signals", format!("cannot handle signals: {e}"), None))?;
    let mut story = Story { state: read(ctx)?, broken: None };
    if !say(ctx, &WatchView::first(now(), &story.state.audit))? {
        return Ok(Exit::Clean);
    }
    let mut left = args.changes;
    while left != Some(0) {
        if !watching.wait() {
            return Ok(Exit::Clean);
        }
        // Warnings that were given once are not given again: the story gives those that are new.
        let quiet = std::mem::replace(&mut ctx.global.quiet, true);
        let next = read(ctx);
        ctx.global.quiet = quiet;
        match story.next(ctx, next, |view| view)? {
            Told::Yes => left = left.map(|n| n - 1),
            Told::Nothing => {}
            Told::NobodyListens => return Ok(Exit::Clean),
        }
    }
    Ok(story.end(ctx))
}

/// The state that stands, and why the one after it does not.
struct Story {
    state: State,
    broken: Option<Failure>,
}

impl Story {
    /// Takes the next state, or why there is none, and tells what is different. `more` adds what else is known.
    fn next(
        &mut self,
        ctx: &mut Ctx<'_, '_>,
        next: Result<State, Failure>,
        more: impl Fn(WatchView<'_>) -> WatchView<'_>,
    ) -> Result<Told, Failure> {
        match next {
            Ok(next) => {
                let was_broken = self.broken.take().is_some();
                let told = changed(ctx, &self.state, &next, was_broken, more)?;
                warn_anew(ctx, &self.state.source, &next.source);
                self.state = next;
                Ok(told)
            }
            Err(failure) => {
                let told = refused(ctx, &failure, self.broken.as_ref(), &self.state, more)?;
                self.broken = Some(failure);
                Ok(told)
            }
        }
    }

    /// The exit code of the last state.
    fn end(self, ctx: &Ctx<'_, '_>) -> Exit {
        let exit = self.broken.map_or_else(|| ctx.findings(self.state.audit.worst()), |failure| failure.exit);
        exit.worst(ctx.unless_whole(self.state.whole))
    }
}

/// Whether a change was worth a word.
enum Told {
    Yes,
    Nothing,
    NobodyListens,
}

fn told(listened: bool) -> Told {
    if listened { Told::Yes } else { Told::NobodyListens }
}

/// The time of an event, to the second.
fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

fn read(ctx: &mut Ctx<'_, '_>) -> Result<State, Failure> {
    let read = Instant::now();
    let source = source::load(ctx)?;
    look(ctx, source, read)
}

/// Audits what was read.
fn look(ctx: &mut Ctx<'_, '_>, source: Source, read: Instant) -> Result<State, Failure> {
    let scope = ctx.scope(&source.world)?;
    let engine = Engine::new(&source.world);
    let options = super::audit::options(&source, ctx);
    let found = ctx.timed("audit", || audit(&engine, &options));
    let audit = AuditView::of(&engine, &found, None, scope, Detail::List);
    Ok(State { source, audit, whole: found.certainty.whole, read })
}

fn changed(
    ctx: &mut Ctx<'_, '_>,
    before: &State,
    after: &State,
    was_broken: bool,
    more: impl Fn(WatchView<'_>) -> WatchView<'_>,
) -> Result<Told, Failure> {
    let worlds = [&before.source.world, &after.source.world];
    let found = ctx.timed("diff", || diff(worlds[0], worlds[1], DiffOptions::default()));
    let names = ["before".to_owned(), "after".to_owned()];
    let scope = ctx.global.namespace.clone().filter(|_| !ctx.global.all_namespaces);
    let difference = DiffView::of(worlds, names, &found, scope.as_deref());
    let event = if was_broken { Event::Restored } else { Event::Changed };
    let view = WatchView::between(now(), event, &before.audit, &after.audit, difference);
    if view.is_nothing() && !was_broken {
        return Ok(Told::Nothing);
    }
    say(ctx, &more(view)).map(told)
}

/// Files that cannot be understood: the faults, once, and how old the state is that still stands.
fn refused(
    ctx: &mut Ctx<'_, '_>,
    failure: &Failure,
    known: Option<&Failure>,
    kept: &State,
    more: impl Fn(WatchView<'_>) -> WatchView<'_>,
) -> Result<Told, Failure> {
    let messages = |f: &Failure| f.diagnostics.iter().map(|d| (d.message.clone(), d.at)).collect::<Vec<_>>();
    if known.is_some_and(|known| messages(known) == messages(failure)) {
        return Ok(Told::Nothing);
    }
    // What was written before comes first, also where both streams are one.
    let _ = ctx.host.stdout.flush();
    let text = crate::diagnostics::draw(&failure.diagnostics, &failure.sources, ctx.host.stderr_colour, ctx.host.width);
    ctx.host.say(&text);
    say(ctx, &more(WatchView::refused(now(), failure, &kept.audit, kept.read.elapsed()))).map(told)
}

/// Warnings, and gaps of a cluster, that were not there before.
fn warn_anew(ctx: &mut Ctx<'_, '_>, before: &Source, after: &Source) {
    let same = |b: &Diagnostic, d: &Diagnostic| (b.code, &b.message, &b.object) == (d.code, &d.message, &d.object);
    let known = |d: &Diagnostic| before.warnings.iter().any(|b| same(b, d));
    let new: Vec<Diagnostic> = after.warnings.iter().filter(|d| !is_finding(d) && !known(d)).cloned().collect();
    ctx.diagnostics(&new, &after.world.sources);
    if after.cluster.is_some() {
        let known = source::incomplete(&before.world);
        source::incomplete(&after.world).iter().filter(|line| !known.contains(line)).for_each(|line| ctx.warn(line));
    }
}

/// Prints one event at once. `false`: whoever read the output has gone.
fn say(ctx: &mut Ctx<'_, '_>, view: &WatchView<'_>) -> Result<bool, Failure> {
    let format = ctx.format(WatchView::FORMATS)?;
    let look = render::Look { colour: ctx.host.stdout_colour, width: ctx.host.width };
    let out = &mut ctx.host.stdout;
    let written = match format {
        Format::Json => render::json::line(view, out),
        _ => render::write(view, format, look, out),
    };
    match written.and_then(|()| ctx.host.stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::write("the output", &error)),
    }
}
