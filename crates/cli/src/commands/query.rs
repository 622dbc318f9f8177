//! `query`: the verdict for one connection, or for a batch of them.

use super::{Port, target, unknown};
use crate::ctx::Ctx;
use crate::diagnostics::DiagnosticView;
use crate::exit::{Exit, Failure};
use crate::host::Stdin;
use crate::render::{Format, Report, json};
use crate::source;
use crate::view::{Head, query::AnswerView};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use watertight_engine::Engine;
use watertight_engine::query::{Question, answer};
use watertight_model::{Protocol, Verdict};

/// Arguments of `query`.
#[derive(Args, Debug)]
#[command(after_help = "Names: namespace/name (a pod, else a workload), Kind/namespace/name, ip:ADDRESS, node:NAME,\n\
    service:namespace/name (destination only).\n\n\
    A batch holds one JSON object a line: {\"from\":\"shop/web\",\"to\":\"shop/db\",\"port\":5432,\"protocol\":\"TCP\"}.\n\
    Answers come in the same order, one line each. A line that cannot be answered gives {\"error\":…,\"line\":…} in its\n\
    place, and exit code 2 at the end.")]
pub struct QueryArgs {
    /// Who opens the connection
    #[arg(required_unless_present = "batch")]
    pub from: Option<String>,
    /// Who receives it
    #[arg(required_unless_present = "batch")]
    pub to: Option<String>,
    /// Destination port: 5432, 5432/UDP, or ICMP
    #[arg(long, value_name = "PORT", required_unless_present = "batch")]
    pub port: Option<Port>,
    /// Questions from a file (`-`: standard input), one JSON object a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "port"])]
    pub batch: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: QueryArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    match (args.batch, args.from, args.to, args.port) {
        (Some(file), ..) => batch(&file, ctx),
        (None, Some(from), Some(to), Some(port)) => single(&from, &to, port, ctx),
        // Arguments are checked before this; said again so that nothing is left out in silence.
        _ => Err(Failure::usage("want FROM, TO and --port, or --batch", "`watertight query --help`")),
    }
}

fn single(from: &str, to: &str, port: Port, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.format(AnswerView::FORMATS)?;
    let source = source::load(ctx)?;
    let engine = Engine::new(&source.world);
    let from = target(ctx, &engine, from).map_err(|e| unknown(&e))?;
    let to = target(ctx, &engine, to).map_err(|e| unknown(&e))?;
    let answer = answer(&engine, &Question { from, to, protocol: port.protocol, port: port.port });
    let view = AnswerView { head: Some(Head::new("Verdict")), ..AnswerView::of(&engine, &answer) };
    ctx.emit(&view)?;
    Ok(ctx.unless_whole(answer.verdict != Verdict::Depends && source.world.unread.is_empty()))
}

/// One line of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    from: String,
    to: String,
    port: Option<u16>,
    protocol: Option<String>,
    /// Comes back with the answer, whatever it is.
    id: Option<Value>,
}

/// An answer, with the question's `id`.
#[derive(Serialize)]
struct AnswerLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(flatten)]
    answer: AnswerView,
}

/// What stands in the place of an answer that cannot be given.
#[derive(Serialize)]
struct ErrorLine {
    error: String,
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

fn batch(file: &Path, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    // Answers are JSON whatever -o says; a format that promises something else would lie.
    if ctx.global.output.is_some() {
        ctx.format(&[Format::Json])?;
    }
    if file.as_os_str() == "-" && ctx.global.files.iter().any(|f| f.as_os_str() == "-") {
        return Err(Failure::usage(
            "standard input cannot hold both manifests and questions",
            "put one of them in a file",
        ));
    }
    let text = questions(file, ctx)?;
    let source = source::load(ctx)?;
    let engine = Engine::new(&source.world);
    let progress = ctx.progress("answering");
    let (mut bad, mut unsure) = (0usize, false);
    for (i, bytes) in text.split(|b| *b == b'\n').enumerate() {
        let line = i + 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        progress.at(|| format!("answering line {line}"));
        let mut out = Vec::new();
        let written = match ask(bytes, ctx, &engine) {
            Ok((verdict, view)) => {
                unsure |= verdict == Verdict::Depends;
                json::line(&view, &mut out)
            }
            Err((error, help)) => {
                bad += 1;
                json::line(&ErrorLine { error, line, help }, &mut out)
            }
        };
        written.map_err(|e| Failure::write("an answer", &e))?;
        let before_broken = ctx.host.stdout.write_all(&out);
        match before_broken {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            other => other.map_err(|e| Failure::write("the output", &e))?,
        }
    }
    drop(progress);
    if bad > 0 {
        let lines = if bad == 1 { "1 line".to_owned() } else { format!("{bad} lines") };
        ctx.warn(&format!("{lines} of `{}` could not be answered; see the `error` keys", file.display()));
    }
    let exit = if bad > 0 { Exit::BadInput } else { Exit::Clean };
    Ok(exit.worst(ctx.unless_whole(!unsure && source.world.unread.is_empty())))
}

/// Largest batch, in bytes.
const MAX_BATCH: u64 = 256 << 20;

fn questions(file: &Path, ctx: &Ctx<'_, '_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match (&ctx.host.stdin, file.as_os_str() == "-") {
        (Stdin::Given(given), true) => {
            bytes.clone_from(given);
            Ok(bytes.len())
        }
        (Stdin::Process, true) => std::io::stdin().lock().take(MAX_BATCH + 1).read_to_end(&mut bytes),
        (_, false) => std::fs::File::open(file).and_then(|f| f.take(MAX_BATCH + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|e| Failure::new(Exit::Unreachable, "read", format!("cannot read `{}`: {e}", file.display()), None))?;
    if bytes.len() as u64 > MAX_BATCH {
        let message = format!("`{}` is larger than {} MiB", file.display(), MAX_BATCH >> 20);
        return Err(Failure::new(Exit::BadInput, "too-large", message, Some("split it".to_owned())));
    }
    Ok(bytes)
}

fn ask(
    bytes: &[u8],
    ctx: &Ctx<'_, '_>,
    engine: &Engine<'_>,
) -> Result<(Verdict, AnswerLine), (String, Option<String>)> {
    let line: Line = serde_json::from_slice(bytes).map_err(|e| (format!("not a question: {e}"), None))?;
    let port = port(&line).map_err(|e| (e, None))?;
    let find = |name: &str| {
        target(ctx, engine, name).map_err(|e| {
            let view = DiagnosticView::of(&unknown(&e).diagnostics[0], &[]);
            (view.message, view.help)
        })
    };
    let question = Question { from: find(&line.from)?, to: find(&line.to)?, protocol: port.protocol, port: port.port };
    let answer = answer(engine, &question);
    Ok((answer.verdict, AnswerLine { id: line.id, answer: AnswerView::of(engine, &answer) }))
}

fn port(line: &Line) -> Result<Port, String> {
    let name = line.protocol.as_deref().unwrap_or("TCP");
    match (Protocol::parse(&name.to_ascii_uppercase()), line.port) {
        (Some(protocol), Some(port)) if port > 0 => Ok(Port { protocol: Some(protocol), port }),
        (Some(protocol), _) => Err(format!("{protocol} needs a `port` from 1 to 65535")),
        (None, None) if name.eq_ignore_ascii_case("icmp") => Ok(Port { protocol: None, port: 0 }),
        (None, Some(_)) if name.eq_ignore_ascii_case("icmp") => Err("ICMP has no ports".to_owned()),
        (None, _) => Err(format!("unknown protocol `{name}`: want TCP, UDP, SCTP or ICMP")),
    }
}
