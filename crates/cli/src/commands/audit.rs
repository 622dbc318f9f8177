//! `audit`: findings, coverage, depth, grade.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::recordings::{self, FlowsFrom};
use crate::render::{Format, Report};
use crate::source::{self, Source, is_finding, write_whole};
use crate::text::count;
use crate::view::audit::{AuditView, Detail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;
use watertight_audit::{AuditOptions, Baseline, Finding, Noticed, Observed, Severity, audit, baseline};
use watertight_engine::Engine;

/// Arguments of `audit`.
#[derive(Args, Debug, Default)]
#[command(
    after_help = "`watertight explain WT0051` tells what a finding code means. The grade is that of the whole cluster, also with -n."
)]
pub struct AuditArgs {
    /// Show each finding with the lines it is about and the YAML that fixes it
    #[arg(long)]
    pub full: bool,
    /// Leave out findings that FILE holds (a file that --write-baseline wrote): only new ones are shown and count
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write all findings to FILE as accepted for now, and show none of them
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    pub write_baseline: Option<PathBuf>,
    /// Judge recorded flows as well (WT0062, WT0063): a file of flow records, or a ledger; repeatable
    #[arg(long, value_name = "FILE")]
    pub flows: Vec<PathBuf>,
}

/// Runs it.
pub fn run(args: &AuditArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    let format = ctx.format(AuditView::FORMATS)?;
    ctx.warnings_are_findings = true;
    let known = args.baseline.as_deref().map(read_baseline).transpose()?;
    let ledger = match args.flows.as_slice() {
        [] => None,
        flows => Some(recordings::read(&FlowsFrom { flows: flows.to_vec(), format: None }, ctx)?),
    };
    let source = source::load(ctx)?;
    let observed = ledger.map(|ledger| recordings::observed(&source.world, &ledger));
    if let Some(doubts) = observed.as_ref().map(Observed::doubts).filter(|d| !d.is_empty()) {
        ctx.warn(&format!("the recording does not show what is never used (WT0063): {}", doubts.join("; ")));
    }
    // A document is kept, and read where the input is not at hand.
    let detail = if args.full || format == Format::Html { Detail::Full } else { Detail::List };
    report(&source, detail, known.as_ref(), args.write_baseline.as_deref(), observed, ctx)
}

/// Options of the audit: defaults, the day, the clock, and what the readers noticed.
pub(super) fn options(source: &Source, ctx: &Ctx<'_, '_>) -> AuditOptions {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let severity = |s: watertight_ingest::Severity| match s {
        watertight_ingest::Severity::Error => Severity::Error,
        watertight_ingest::Severity::Warning => Severity::Warning,
    };
    let noticed = source.warnings.iter().filter(|d| is_finding(d)).map(|d| Noticed {
        code: d.code,
        severity: severity(d.severity),
        message: d.message.clone(),
        object: d.object.clone().unwrap_or_default(),
        at: d.at,
        help: d.help.clone(),
    });
    AuditOptions {
        // The day where Kubernetes keeps its time.
        today: Some(ctx.host.now.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()),
        clock: Some(|| BEGUN.elapsed()),
        noticed: noticed.collect(),
        ..AuditOptions::default()
    }
}

/// Audits what was read, and prints it.
pub(super) fn report(
    source: &Source,
    detail: Detail,
    known: Option<&Baseline>,
    write: Option<&Path>,
    observed: Option<Observed>,
    ctx: &mut Ctx<'_, '_>,
) -> Result<Exit, Failure> {
    let scope = ctx.scope(&source.world)?;
    let engine = Engine::new(&source.world);
    let recorded_whole = observed.as_ref().is_none_or(|o| o.incomplete.is_empty());
    let options = AuditOptions { observed, ..options(source, ctx) };
    let mut found = ctx.timed("audit", || audit(&engine, &options));
    let mut old = None;
    if let Some(file) = write {
        let all: Vec<&Finding> = found.findings.iter().collect();
        write_whole(file, baseline::write(&source.world, &all).as_bytes())?;
        ctx.note(&format!("{} accepted for now in `{}`", count(all.len(), "finding"), file.display()));
        old = Some(std::mem::take(&mut found.findings));
    } else if let Some(known) = known {
        let against = known.apply(&source.world, &mut found.findings);
        for mended in &against.mended {
            ctx.note(&format!("the baseline holds `{mended}`, which is mended: its line can go"));
        }
        old = Some(against.old);
    }
    let view = AuditView::of(&engine, &found, old.as_deref(), scope, detail);
    ctx.emit(&view)?;
    Ok(ctx.findings(view.worst()).worst(ctx.unless_whole(found.certainty.whole && recorded_whole)))
}

fn read_baseline(file: &Path) -> Result<Baseline, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::new(Exit::Unreachable, "unreadable", format!("cannot read the baseline `{name}`: {e}"), None)
    })?;
    Baseline::parse(&text).map_err(|(line, text)| {
        Failure::new(
            Exit::BadInput,
            "baseline",
            format!("`{name}` line {line} is no line of a baseline: `{text}`"),
            Some("write it with `watertight audit --write-baseline FILE`".to_owned()),
        )
    })
}
