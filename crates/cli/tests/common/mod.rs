//! Runs the program in this process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Once;
use watertight_cli::{Host, Stdin};

/// What a run gave.
pub struct Outcome {
    /// Exit code.
    pub code: u8,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs `watertight ARGS` (separated by spaces) in the repository, without a cluster.
pub fn watertight(args: &str) -> Outcome {
    watertight_with(args, "")
}

/// The same with this standard input.
pub fn watertight_with(args: &str, stdin: &str) -> Outcome {
    run(args.split_whitespace().map(OsString::from), stdin, |_| {})
}

/// The same, with a last word on the host.
pub fn run(args: impl Iterator<Item = OsString>, stdin: &str, change: impl FnOnce(&mut Host<'_>)) -> Outcome {
    static MOVE: Once = Once::new();
    MOVE.call_once(|| std::env::set_current_dir(root()).unwrap());
    let argv: Vec<OsString> = std::iter::once(OsString::from("watertight")).chain(args).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut host = Host {
        stdin: Stdin::Given(stdin.as_bytes().to_vec()),
        stdout: &mut out,
        stderr: &mut err,
        stdout_colour: false,
        stderr_colour: false,
        progress: false,
        width: None,
        environment: watertight_cluster::Environment::default(),
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
    };
    change(&mut host);
    let code = watertight_cli::run(&argv, &mut host);
    Outcome { code, stdout: String::from_utf8(out).unwrap(), stderr: String::from_utf8(err).unwrap() }
}
