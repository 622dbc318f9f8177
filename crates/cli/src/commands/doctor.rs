//! `doctor`: what stands between this host and an answer about a cluster.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report};
use crate::source;
use crate::view::Head;
use clap::Args;
use serde::Serialize;
use watertight_cluster::{Check, ProbeOptions, Status, doctor, probe};
use watertight_ingest::Options;

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Find out by trying: a pair of pods and a policy in a namespace `watertight-probe`, removed afterwards. The only flag
    /// of this program that writes to a cluster
    #[arg(long)]
    probe: bool,
    /// The image of the probe's pods, where the nodes cannot reach registry.k8s.io; its entry point must be agnhost
    #[arg(long, value_name = "IMAGE", requires = "probe")]
    probe_image: Option<String>,
}

/// The checks.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DoctorView {
    #[serde(flatten)]
    head: Head,
    checks: Vec<CheckView>,
}

#[derive(Serialize)]
struct CheckView {
    group: &'static str,
    name: String,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Report for DoctorView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["", "GROUP", "CHECK", "RESULT"]);
        for check in &self.checks {
            let (sign, tone) = match check.status {
                "ok" => ("ok", Tone::Good),
                "warn" => ("warn", Tone::Warn),
                "fail" => ("FAIL", Tone::Bad),
                _ => ("?", Tone::Warn),
            };
            table.row([
                toned(tone, sign),
                check.group.into(),
                check.name.as_str().into(),
                check.message.as_str().into(),
            ]);
        }
        page.table(table);
        for check in &self.checks {
            if let Some(hint) = &check.hint {
                page.heading(format!("{}: {}", check.group, check.name));
                match hint.contains('\n') {
                    true => page.code("yaml", hint.as_str()),
                    false => page.line(Text::from(hint.as_str())),
                };
            }
        }
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["group", "name", "status", "message", "hint"].map(str::to_owned).to_vec()];
        rows.extend(self.checks.iter().map(|c| {
            vec![
                c.group.to_owned(),
                c.name.clone(),
                c.status.to_owned(),
                c.message.clone(),
                c.hint.clone().unwrap_or_default(),
            ]
        }));
        rows
    }
}

/// Runs it.
pub fn run(args: DoctorArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(DoctorView::FORMATS)?;
    if !ctx.global.files.is_empty() {
        return Err(Failure::usage("`doctor` looks at a cluster and this host, not at files", "leave -f out"));
    }
    let access = source::access(ctx);
    let mut checks = ctx.timed("checking", || {
        doctor(&access, |snapshot| {
            source::of_snapshot(snapshot, &Options::default()).map(|loaded| loaded.world).map_err(|refused| {
                refused.diagnostics.first().map_or_else(|| "refused".to_owned(), |d| d.message.clone())
            })
        })
    });
    if args.probe {
        let mut options = ProbeOptions::default();
        if let Some(image) = args.probe_image {
            options.image = image;
        }
        checks.extend(probe(&access, &options, &mut |text| ctx.note(text)));
        // Stable: a probe's outcome comes last in its group.
        checks.sort_by_key(|check| check.group);
    }
    let view = |c: &Check| CheckView {
        group: c.group.name(),
        name: c.name.clone(),
        status: c.status.name(),
        message: c.message.clone(),
        hint: c.hint.clone(),
    };
    ctx.emit(&DoctorView { head: Head::new("Doctor"), checks: checks.iter().map(view).collect() })?;
    let failed = checks.iter().any(|c| c.status == Status::Fail);
    let unknown = checks.iter().any(|c| c.status == Status::Unknown);
    let exit = if failed { Exit::Findings } else { Exit::Clean };
    Ok(exit.worst(ctx.unless_whole(!unknown)))
}
