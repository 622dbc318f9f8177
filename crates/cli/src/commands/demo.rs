//! `demo`: from flat to least privilege on a built-in cluster, with the command for each step.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::page::{Block, Page, Table, Text, Tone, toned};
use crate::recordings;
use crate::render::Report;
use crate::source;
use crate::text::{count, number, percent};
use crate::view::Head;
use crate::view::audit::{AuditView, Detail};
use crate::view::blast::BlastView;
use crate::view::flows::ImportView;
use crate::view::learn::LearnedView;
use crate::view::replay::ReplayView;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use watertight_audit::{Audit, AuditOptions, audit};
use watertight_engine::Engine;
use watertight_engine::blast::{BlastOptions, BlastRadius, blast};
use watertight_engine::query::Target;
use watertight_flows::{Ledger, completeness, resolve};
use watertight_ingest::{Input, Options};
use watertight_learn::replay::replay;
use watertight_learn::{LearnOptions, learn};
use watertight_model::{WorkloadId, World};

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Only write the sample cluster and its flows to DIR, to try the commands on
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
    /// On a lab of network namespaces, with real packets and the agent (Linux, root); without root on the recording
    #[arg(long, conflicts_with = "write")]
    pub live: bool,
}

/// Who is taken, and what must not be in reach.
const TAKEN: &str = "dev/shell";
const CROWN: &str = "prod/db";
/// Where the commands that are shown expect the files.
const FOLDER: &str = "demo";

/// The walk.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DemoView {
    #[serde(flatten)]
    head: Head,
    steps: Vec<StepView>,
    before: StateView,
    after: StateView,
    #[serde(skip)]
    next: String,
}

#[derive(Serialize)]
struct StepView {
    title: String,
    command: String,
    #[serde(skip)]
    blocks: Vec<Block>,
}

/// The cluster before or after.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateView {
    grade: char,
    score: f64,
    ingress: f64,
    egress: f64,
    open_pairs: usize,
    all_pairs: usize,
    taken_reaches: usize,
    taken_share: f64,
    taken_reaches_directly: usize,
    crown_in_reach: bool,
}

/// Runs it.
pub fn run(args: DemoArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    if let Some(folder) = &args.write {
        write(folder, ctx)?;
        return Ok(Exit::Clean);
    }
    if args.live {
        #[cfg(target_os = "linux")]
        if watertight_lab::is_root() {
            return super::walk::run(ctx);
        }
        ctx.warn("--live needs Linux and root: it makes network namespaces. Here is the recording instead");
    }
    ctx.format(DemoView::FORMATS)?;
    let view = walk(ctx)?;
    ctx.emit(&view)?;
    Ok(Exit::Clean)
}

fn write(folder: &Path, ctx: &mut Ctx<'_, '_>) -> Result<(), Failure> {
    let cluster = folder.join("cluster");
    std::fs::create_dir_all(&cluster).map_err(|e| Failure::write(&format!("`{}`", cluster.display()), &e))?;
    for (name, text) in watertight_demo::FILES {
        let name = name.rsplit('/').next().unwrap_or(name);
        source::write_whole(&cluster.join(name), text.as_bytes())?;
    }
    source::write_whole(&folder.join("flows.jsonl"), watertight_demo::FLOWS.as_bytes())?;
    ctx.note(&format!(
        "wrote `{0}/cluster` and `{0}/flows.jsonl`; now: watertight audit -f {0}/cluster",
        folder.display()
    ));
    Ok(())
}

/// The embedded cluster.
fn sample(ctx: &mut Ctx<'_, '_>) -> Result<World, Failure> {
    let text = |(name, text): &(&str, &str)| Input::Text {
        name: format!("{FOLDER}/cluster/{}", name.rsplit('/').next().unwrap_or(name)),
        text: (*text).to_owned(),
    };
    let inputs: Vec<Input> = watertight_demo::FILES.iter().map(text).collect();
    Ok(source::read(ctx, &inputs, &Options::default())?.world)
}

/// The cluster with the learned policies, read from their texts as `--policies` would.
fn with_candidates(world: &World, learned: &LearnedView, ctx: &mut Ctx<'_, '_>) -> Result<World, Failure> {
    let text = |(name, yaml): (&str, &str)| Input::Text {
        name: format!("{FOLDER}/policies/{name}.yaml"),
        text: yaml.to_owned(),
    };
    let inputs: Vec<Input> = learned.texts().map(text).collect();
    let candidates = source::read(ctx, &inputs, &Options::default())?;
    let mut after = world.clone();
    crate::candidates::put(&mut after, candidates.world)?;
    Ok(after)
}

fn walk(ctx: &mut Ctx<'_, '_>) -> Result<DemoView, Failure> {
    let world = sample(ctx)?;
    let engine = Engine::new(&world);
    let taken = match Target::parse(&engine, TAKEN).map_err(|e| super::unknown(&e))? {
        Target::Workload(id) => id,
        Target::Pod(id) => world.pods[id.index()].workload,
        Target::Node(_) | Target::Ip(_) | Target::Service(_) => return Err(Failure::usage(TAKEN, "not a workload")),
    };
    let (before, flat, reach) = state(&engine, taken);
    let mut steps = vec![
        step("Flat: every pod reaches every pod", "audit -f demo/cluster", {
            AuditView::of(&engine, &flat, None, None, Detail::Screen).page().blocks
        }),
        step(&format!("What an attacker in {TAKEN} reaches"), &format!("blast -f demo/cluster {TAKEN}"), {
            reached(&BlastView::of(&world, &reach, BlastOptions::default()))
        }),
    ];

    let mut ledger = Ledger::memory();
    let stats = ledger
        .import("demo/flows.jsonl", watertight_demo::FLOWS.as_bytes(), None)
        .map_err(|e| recordings::failure(&e))?;
    let imported = ImportView::of("flows.ledger", &ledger, &[("demo/flows.jsonl".to_owned(), stats)]);
    steps.push(step("Two days of recorded flows", "flows import demo/flows.jsonl", imported.page().blocks));

    let resolved = resolve(&world, &ledger);
    let edges = recordings::edges(&resolved);
    let complete = completeness(&world, &ledger, &resolved);
    let learned = learn(&engine, &edges, &LearnOptions::default());
    let view = LearnedView::of(&engine, &learned, &resolved, &complete);
    let command = "learn -f demo/cluster --flows flows.ledger --out demo/policies";
    let mut page = Page::default();
    page.facts(view.facts());
    page.items(view.notes());
    if let Some(yaml) = view.yaml_of(CROWN) {
        page.line("One of them, with the evidence of each rule:");
        page.code("yaml", yaml);
    }
    steps.push(step("Policies that allow what was seen, and a proof", command, page.blocks));

    let after_world = with_candidates(&world, &view, ctx)?;
    let after_engine = Engine::new(&after_world);
    let denied = replay(&after_engine, &edges);
    let replayed = ReplayView::of(&after_engine, &edges, &denied, &resolved);
    let command = "replay -f demo/cluster --policies demo/policies --flows flows.ledger";
    steps.push(step("What they would deny, before anything is applied", command, replayed.page().blocks));

    let (after, audited, reach) = state(&after_engine, taken);
    let command = format!("blast -f demo/cluster --policies demo/policies {TAKEN}");
    let mut page = Page { blocks: reached(&BlastView::of(&after_world, &reach, BlastOptions::default())) };
    page.table(compared(&before, &after));
    if audited.grade.not_enforced {
        page.line(format!(
            "The grade stays {} until something enforces the policies: the network plugin does not.",
            after.grade
        ));
    }
    steps.push(step("After", &command, page.blocks));
    let next = "watertight demo --write demo     (writes the files for the commands above)\n      \
                watertight                      (your own cluster)";
    Ok(DemoView { head: Head::new("Demo"), steps, before, after, next: next.to_owned() })
}

fn step(title: &str, command: &str, blocks: Vec<Block>) -> StepView {
    StepView { title: title.to_owned(), command: format!("watertight {command}"), blocks }
}

fn state(engine: &Engine<'_>, taken: WorkloadId) -> (StateView, Audit, BlastRadius) {
    let audit = audit(engine, &AuditOptions::default());
    let radius = blast(engine, taken, BlastOptions::default());
    let coverage = &audit.coverage;
    let state = StateView {
        grade: audit.grade.letter,
        score: audit.grade.score,
        ingress: coverage.ingress.share(),
        egress: coverage.egress.share(),
        open_pairs: coverage.pairs.possible,
        all_pairs: coverage.pairs.all,
        taken_reaches: radius.reachable.len(),
        taken_share: radius.share,
        taken_reaches_directly: radius.reachable.iter().filter(|r| r.hops == 1).count(),
        crown_in_reach: radius.reachable.iter().any(|r| engine.world().workload_name(r.workload) == CROWN),
    };
    (state, audit, radius)
}

/// A radius in three lines: how many, the prize, and the outside.
fn reached(view: &BlastView) -> Vec<Block> {
    let mut page = Page::default();
    page.line(view.headline());
    match view.reachable.iter().find(|r| r.workload == CROWN) {
        Some(prize) => {
            let by = prize.via.last().map_or_else(String::new, BlastView::by);
            let hops = count(usize::try_from(prize.hops).unwrap_or(usize::MAX), "hop");
            page.line(toned(Tone::Bad, CROWN).and(Tone::Plain, format!(" is among them, {hops} away: {by}")));
        }
        None => {
            page.line(toned(Tone::Good, format!("{CROWN} is not in reach")));
        }
    }
    page.blocks
}

fn compared(before: &StateView, after: &StateView) -> Table {
    let mut table = Table::new(["", "BEFORE", "AFTER"]);
    let mut row =
        |name: &str, before: String, after: String| table.row([name.into(), before.into(), toned(Tone::Strong, after)]);
    row("isolated for ingress", percent(before.ingress), percent(after.ingress));
    row("isolated for egress", percent(before.egress), percent(after.egress));
    row("open workload pairs", number(before.open_pairs), number(after.open_pairs));
    row("score", format!("{:.0}", before.score), format!("{:.0}", after.score));
    let direct = |state: &StateView| number(state.taken_reaches_directly);
    row(&format!("{TAKEN} reaches directly"), direct(before), direct(after));
    row(&format!("{TAKEN} reaches in any number of steps"), percent(before.taken_share), percent(after.taken_share));
    table
}

impl Report for DemoView {
    fn page(&self) -> Page {
        let mut page = Page::default();
        let all = self.steps.len();
        for (i, step) in self.steps.iter().enumerate() {
            page.heading(format!("{}/{all}  {}", i + 1, step.title));
            page.line(Text::default().and(Tone::Dim, format!("$ {}", step.command)));
            page.blocks.extend(step.blocks.iter().cloned());
        }
        for (i, line) in self.next.lines().enumerate() {
            page.line(if i == 0 { Text::from("Next: ").and(Tone::Plain, line) } else { line.into() });
        }
        page
    }
}
