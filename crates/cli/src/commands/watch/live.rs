//! `watch` without files: a live cluster, followed by [`watertight_cluster::watch()`].
//!
//! What differs from files: the cluster can be away while the last state stands. Then its age is said, with every event and in
//! events of its own; nothing old is shown as if it were new.

use super::{State, Story, Told, WatchArgs, look, now, say, told};
use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::following::{Following, News};
use crate::source::{self, Source};
use crate::view::UnreadView;
use crate::view::watch::{Event, LostView, WatchView};
use std::time::Instant;
use watertight_model::World;

/// Runs it.
pub(super) fn run(args: &WatchArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    let candidates = source::candidates(ctx)?;
    let progress = ctx.progress("reading the cluster");
    let client = watertight_cluster::connect(&source::access(ctx)).map_err(|e| source::unreachable(&e))?;
    let cluster = source::named(&client);
    let mut options = Following::options();
    options.read = source::options(ctx);
    options.namespaces = ctx.global.namespace.clone().map(|namespace| vec![namespace]);
    let mut following = Following::start(client, options)?;
    let first = following.first()?;
    drop(progress);
    let Some(first) = first else { return Ok(Exit::Clean) };
    let live = Live { candidates, cluster };

    let source = live.source(&first)?;
    let shown: Vec<_> = source.warnings.iter().filter(|d| !source::is_finding(d)).cloned().collect();
    ctx.diagnostics(&shown, &source.world.sources);
    source::incomplete(&source.world).iter().for_each(|line| ctx.warn(line));
    ctx.note(&format!("cluster: {}", live.cluster));
    let exit = follow(args, ctx, &mut following, &live, (&first, source));
    ctx.detail(&following.summary());
    exit
}

/// From the first state to the end.
fn follow(
    args: &WatchArgs,
    ctx: &mut Ctx<'_, '_>,
    following: &mut Following,
    live: &Live,
    (first, source): (&watertight_cluster::State, Source),
) -> Result<Exit, Failure> {
    let mut story = Story { state: look(ctx, source, Instant::now())?, broken: None };
    let view = WatchView::first(now(), &story.state.audit);
    if !say(ctx, &view.with_gaps(lost(first), UnreadView::all(&first.world)))? {
        return Ok(Exit::Clean);
    }
    let mut left = args.changes;
    while left != Some(0) {
        let told = match following.wait() {
            News::Stopped => return Ok(Exit::Clean),
            News::Changed(state) => {
                let next = live.look(ctx, &state);
                story.next(ctx, next, |view| view.with_gaps(lost(&state), UnreadView::all(&state.world)))?
            }
            News::Lost { state, again } => match event(ctx, Event::Lost, &story, &state)? {
                // That it is still so is no change.
                Told::Yes if again => Told::Nothing,
                told => told,
            },
            News::Found(state) => event(ctx, Event::Restored, &story, &state)?,
        };
        match told {
            Told::Yes => left = left.map(|n| n - 1),
            Told::Nothing => {}
            Told::NobodyListens => return Ok(Exit::Clean),
        }
    }
    let exit = story.end(ctx);
    Ok(if following.lost().is_empty() { exit } else { exit.worst(Exit::Unreachable) })
}

/// What stays the same from state to state.
struct Live {
    candidates: Option<World>,
    cluster: String,
}

impl Live {
    fn source(&self, state: &watertight_cluster::State) -> Result<Source, Failure> {
        let mut world = World::clone(&state.world);
        if let Some(candidates) = &self.candidates {
            crate::candidates::put(&mut world, candidates.clone())?;
        }
        Ok(Source { world, cluster: Some(self.cluster.clone()), warnings: state.diagnostics.to_vec() })
    }

    fn look(&self, ctx: &mut Ctx<'_, '_>, state: &watertight_cluster::State) -> Result<State, Failure> {
        let source = self.source(state)?;
        look(ctx, source, Instant::now())
    }
}

/// An event of the connection alone.
fn event(
    ctx: &mut Ctx<'_, '_>,
    event: Event,
    story: &Story,
    state: &watertight_cluster::State,
) -> Result<Told, Failure> {
    let view = WatchView::following(now(), event, &story.state.audit);
    say(ctx, &view.with_gaps(lost(state), UnreadView::all(&state.world))).map(told)
}

fn lost(state: &watertight_cluster::State) -> Vec<LostView> {
    let now = Instant::now();
    let one = |lost: &watertight_cluster::watch::Lost| LostView {
        what: lost.what.to_string(),
        seconds: now.saturating_duration_since(lost.since).as_secs(),
        why: lost.why.clone(),
    };
    state.lost.iter().map(one).collect()
}
