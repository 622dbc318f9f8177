//! The command line: arguments in, one exit code out, data on standard output, everything else on standard error.
//!
//! Input: arguments, standard input, an environment ([`Host`]). Output: text. Computes nothing itself: what is true is
//! the engine's, the auditor's, the learner's answer; a command asks, turns the answer into a *view* (plain data with
//! the stable keys of `docs/json.md`) and hands it to a renderer.
//!
//! Reading order: [`exit`] (what a run ends with), [`args`], [`host`] and [`ctx`] (what a command has at hand), [`source`]
//! (where the world comes from), [`commands`] (one file each), [`view`] (data), [`page`] and [`render`] (text),
//! [`diagnostics`] and [`snippet`] (faults drawn under the user's own lines), [`text`] (hostile strings made harmless).

pub mod args;
pub mod candidates;
pub mod commands;
pub mod ctx;
pub mod diagnostics;
pub mod exit;
pub mod following;
pub mod git;
pub mod host;
pub mod page;
pub mod progress;
pub mod recordings;
pub mod render;
mod rendered;
pub mod snippet;
pub mod source;
pub mod text;
pub mod view;
pub mod watching;

pub use exit::{Exit, Failure};
pub use host::{Host, Stdin};

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use ctx::Ctx;
use std::ffi::OsString;

/// Runs one command line. `argv[0]` changes the usage text only: called as `kubectl-watertight`, the program calls itself
/// `kubectl watertight`.
///
/// The result is the exit code ([`Exit`]). A reader that closes standard output early is no error.
pub fn run(argv: &[OsString], host: &mut Host<'_>) -> u8 {
    let (cli, shape) = match parse(argv) {
        Ok(parsed) => parsed,
        Err(error) => return host.clap(&error, asked_format(argv)).code(),
    };
    let levels_of_diff = matches!(cli.global.fail_on, Some(args::FailOn::Any | args::FailOn::Opens));
    let misplaced = levels_of_diff && !matches!(cli.command, Some(Command::Diff(_)));
    let mut ctx = Ctx::new(host, cli.global, shape);
    if misplaced {
        let failure =
            Failure::usage("`--fail-on any` and `opens` are for `diff`", "choose note, warning, error or never");
        return ctx.report(&failure).code();
    }
    let outcome = match cli.command {
        None => commands::start::run(&mut ctx),
        Some(Command::Audit(args)) => commands::audit::run(&args, &mut ctx),
        Some(Command::Connections(args)) => commands::connections::run(args, &mut ctx),
        Some(Command::Query(args)) => commands::query::run(args, &mut ctx),
        Some(Command::Explain(args)) => commands::explain::run(args, &mut ctx),
        Some(Command::Blast(args)) => commands::blast::run(args, &mut ctx),
        Some(Command::Diff(args)) => commands::diff::run(&args, &mut ctx),
        Some(Command::Test(args)) => commands::test::run(&args, &mut ctx),
        Some(Command::Watch(args)) => commands::watch::run(&args, &mut ctx),
        Some(Command::Flows(args)) => commands::flows::run(args, &mut ctx),
        Some(Command::Learn(args)) => commands::learn::run(args, &mut ctx),
        Some(Command::Replay(args)) => commands::replay::run(args, &mut ctx),
        Some(Command::Doctor(args)) => commands::doctor::run(args, &mut ctx),
        Some(Command::Demo(args)) => commands::demo::run(args, &mut ctx),
        Some(Command::Lab(args)) => commands::lab::run(args, &mut ctx),
        Some(Command::Agent(args)) => commands::agent::run(args, &mut ctx),
        Some(Command::Verify(args)) => commands::verify::run(args, &mut ctx),
        Some(Command::Completion(args)) => commands::completion::run(args, &mut ctx),
        Some(Command::Version) => commands::version::run(&mut ctx),
    };
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => ctx.report(&failure),
    };
    exit.code()
}

/// Reads the arguments. The second value is the command as clap sees it, for completion scripts.
fn parse(argv: &[OsString]) -> Result<(Cli, clap::Command), clap::Error> {
    let called = argv.first().map(std::path::Path::new).and_then(|p| p.file_stem()).and_then(|s| s.to_str());
    let mut shape = Cli::command();
    if called == Some("kubectl-watertight") {
        shape = shape.name("kubectl watertight").bin_name("kubectl watertight");
    }
    let matches = shape.clone().try_get_matches_from(argv)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut shape))?;
    Ok((cli, shape))
}

/// The format that a command line asks for, as far as it can be told of one that is not understood.
fn asked_format(argv: &[OsString]) -> Option<render::Format> {
    use clap::ValueEnum;
    let words: Vec<&str> = argv.iter().filter_map(|a| a.to_str()).collect();
    let named = words.iter().enumerate().find_map(|(i, word)| match *word {
        "-o" | "--output" => words.get(i + 1).copied(),
        word => word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o").map(|w| w.trim_start_matches('='))),
    });
    named.and_then(|name| render::Format::from_str(name, false).ok())
}
