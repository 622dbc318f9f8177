//! `test`: assertions about who must, must not and may reach whom.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::host::Stdin;
use crate::render::Report;
use crate::source;
use crate::view::test::TestView;
use clap::Args;
use std::path::PathBuf;
use watertight_assert::{judge, parse};
use watertight_engine::Engine;
use watertight_ingest::{Limits, Refused, Severity, reader, source as inputs};
use watertight_model::{Source, SourceId, Str};

/// Arguments of `test`.
#[derive(Args, Debug)]
#[command(
    after_help = "ASSERTIONS: files of `apiVersion: watertight.dev/v1`, `kind: Assertions` (docs/commands/test.md), or\n\
    directories that hold some beside other manifests. Exit code 1 if an assertion fails, also by meaning nobody."
)]
pub struct TestArgs {
    /// Files or directories with assertions; `-`: standard input
    #[arg(required = true, value_name = "ASSERTIONS")]
    pub assertions: Vec<PathBuf>,
}

/// Runs it.
pub fn run(args: &TestArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(TestView::FORMATS)?;
    let limits = Limits::default();
    let files = read(&args.assertions, &limits, ctx)?;
    // Faults of the assertions are told before a cluster is asked.
    let assertions = parse(&files, &limits).map_err(refuse)?;
    let source = source::load(ctx)?;
    let engine = Engine::new(&source.world);
    let outcomes = ctx.timed("test", || judge(&engine, &assertions));
    let view = TestView::of(&engine, &assertions, &outcomes);
    ctx.emit(&view)?;
    let exit = if view.failed > 0 { Exit::Findings } else { Exit::Clean };
    Ok(exit.worst(ctx.unless_whole(source::is_whole(&source.world) && view.unclear == 0)))
}

fn read(paths: &[PathBuf], limits: &Limits, ctx: &Ctx<'_, '_>) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let found = inputs::find(paths, limits);
    let mut errors = found.errors;
    let (mut files, mut total) = (Vec::new(), 0u64);
    for place in found.places {
        let bytes = match (&place.path, &ctx.host.stdin) {
            (None, _) if ctx.global.files.iter().any(|f| f.as_os_str() == "-") => {
                let help = "put one of them in a file";
                return Err(Failure::usage("standard input cannot hold both manifests and assertions", help));
            }
            (None, Stdin::Given(bytes)) => Ok(bytes.clone()),
            _ => inputs::read(&place, limits),
        };
        match bytes {
            Ok(bytes) => {
                total += bytes.len() as u64;
                files.push((place.name, bytes));
            }
            Err(error) => errors.push(error),
        }
        if total > limits.max_total_bytes {
            let message = format!("the assertions together are larger than {} bytes", limits.max_total_bytes);
            return Err(Failure::new(Exit::BadInput, "too-large", message, None));
        }
    }
    if errors.is_empty() {
        return Ok(files);
    }
    let (mut diagnostics, mut sources) = (Vec::new(), Vec::new());
    for error in &errors {
        let id = SourceId(u32::try_from(sources.len()).unwrap_or(u32::MAX));
        sources.push(Source { name: Str::from(error.name()), text: None });
        diagnostics.push(reader::out_of_reach(error, id));
    }
    Err(source::refuse(&Refused { diagnostics, sources }))
}

fn refuse(refused: Refused) -> Failure {
    debug_assert!(refused.diagnostics.iter().any(|d| d.severity == Severity::Error));
    Failure { exit: Exit::BadInput, diagnostics: refused.diagnostics, sources: refused.sources }
}
