//! Runs the program in this process.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;
use watertight_cli::{Host, Stdin};

/// What a run gave.
pub(crate) struct Outcome {
    /// Exit code.
    pub(crate) code: u8,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs `watertight ARGS` (separated by spaces) in the repository, without a cluster.
pub(crate) fn watertight(args: &str) -> Outcome {
    watertight_with(args, "")
}

/// The same with this standard input.
pub(crate) fn watertight_with(args: &str, stdin: &str) -> Outcome {
    run(args.split_whitespace().map(OsString::from), stdin, |_| {})
}

/// The same, with a last word on the host.
pub(crate) fn run(args: impl Iterator<Item = OsString>, stdin: &str, change: impl FnOnce(&mut Host<'_>)) -> Outcome {
    let mut out = Vec::new();
    let argv: Vec<OsString> = std::iter::once(OsString::from("watertight")).chain(args).collect();
    let (code, stderr) = run_into(&mut out, &argv, stdin, change);
    Outcome { code, stdout: String::from_utf8(out).unwrap(), stderr }
}

/// Runs a whole command line with standard output to `out`; gives the exit code and standard error.
pub(crate) fn run_into(
    out: &mut dyn Write,
    argv: &[OsString],
    stdin: &str,
    change: impl FnOnce(&mut Host<'_>),
) -> (u8, String) {
    static MOVE: Once = Once::new();
    MOVE.call_once(|| std::env::set_current_dir(root()).unwrap());
    let mut err = Vec::new();
    let mut host = Host {
        stdin: Stdin::Given(stdin.as_bytes().to_vec()),
        stdout: out,
        stderr: &mut err,
        stdout_colour: false,
        stderr_colour: false,
        progress: false,
        width: None,
        environment: watertight_cluster::Environment::default(),
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
    };
    change(&mut host);
    let code = watertight_cli::run(argv, &mut host);
    (code, String::from_utf8(err).unwrap())
}
