//! `explain`: why a connection is allowed or denied; or the long text of a finding code.

use super::{Port, target, unknown};
use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::page::{Block, Page};
use crate::render::Report;
use crate::source;
use crate::view::{Head, explain::ExplanationView};
use clap::Args;
use serde::Serialize;
use watertight_engine::Engine;
use watertight_engine::explain::explain;
use watertight_engine::query::{Question, answer, distance};
use watertight_model::Verdict;

/// Arguments of `explain`.
#[derive(Args, Debug)]
#[command(after_help = "Names: namespace/name (a pod, else a workload), Kind/namespace/name, ip:ADDRESS, node:NAME,\n\
    service:namespace/name (destination only). CODE: a finding code such as WT0051.")]
pub struct ExplainArgs {
    /// Who opens the connection, or a finding code
    pub from: String,
    /// Who receives it
    #[arg(requires = "port")]
    pub to: Option<String>,
    /// Destination port: 5432, 5432/UDP, or ICMP
    #[arg(long, value_name = "PORT", requires = "to")]
    pub port: Option<Port>,
}

/// Runs it.
pub fn run(args: ExplainArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    match (args.to, args.port) {
        (Some(to), Some(port)) => connection(&args.from, &to, port, ctx),
        _ => code(&args.from, ctx),
    }
}

fn connection(from: &str, to: &str, port: Port, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(ExplanationView::FORMATS)?;
    let source = source::load(ctx)?;
    let engine = Engine::new(&source.world);
    let from = target(ctx, &engine, from).map_err(|e| unknown(&e))?;
    let to = target(ctx, &engine, to).map_err(|e| unknown(&e))?;
    let answer = answer(&engine, &Question { from, to, protocol: port.protocol, port: port.port });
    let explanations: Vec<_> = answer.cases.iter().map(|case| explain(&engine, &case.flow)).collect();
    ctx.emit(&ExplanationView::of(&engine, &answer, &explanations))?;
    Ok(ctx.unless_whole(answer.verdict != Verdict::Depends && source.world.unread.is_empty()))
}

/// A page of the catalogue.
#[derive(Serialize)]
struct LintView {
    #[serde(flatten)]
    head: Head,
    rule: &'static str,
    name: &'static str,
    severity: &'static str,
    summary: &'static str,
    text: String,
}

impl Report for LintView {
    fn title(&self) -> &'static str {
        "Watertight lint"
    }

    fn page(&self) -> Page {
        Page { blocks: vec![Block::Markdown(self.text.clone())] }
    }
}

fn code(code: &str, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(LintView::FORMATS)?;
    let lints = watertight_audit::catalogue();
    if let (Some(lint), Some(text)) =
        (lints.iter().find(|l| l.code.eq_ignore_ascii_case(code)), watertight_audit::page(code))
    {
        let head = Head::new("Lint");
        ctx.emit(&LintView {
            head,
            rule: lint.code,
            name: lint.name,
            severity: lint.severity.name(),
            summary: lint.summary,
            text,
        })?;
        return Ok(Exit::Clean);
    }
    if !code.to_ascii_uppercase().starts_with("WT") {
        return Err(Failure::usage(
            format!("`{code}` alone is no question"),
            "want FROM, TO and --port PORT, or a finding code such as WT0051",
        ));
    }
    let wanted = code.to_ascii_uppercase();
    let near = lints.iter().min_by_key(|l| distance(&wanted, l.code));
    let help = near.map(|l| format!("did you mean {} ({})?", l.code, l.name));
    Err(Failure::new(Exit::BadInput, "unknown-code", format!("there is no finding code `{code}`"), help))
}
