//! The binary: connects [`watertight_cli::run`] with this process and nothing else.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use watertight_cli::{Host, Stdin};

fn main() -> ExitCode {
    let argv: Vec<std::ffi::OsString> = std::env::args_os().collect();
    // What a stream may show: NO_COLOR, CLICOLOR, TERM and whether a terminal is there at all.
    let colour = |choice: anstream::ColorChoice| choice != anstream::ColorChoice::Never;
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let (out_colour, err_colour) =
        (colour(anstream::AutoStream::choice(&stdout)), colour(anstream::AutoStream::choice(&stderr)));
    let mut out = BufWriter::new(stdout.lock());
    let mut err = io::stderr();
    let mut host = Host {
        stdin: Stdin::Process,
        stdout: &mut out,
        stderr: &mut err,
        stdout_colour: out_colour,
        stderr_colour: err_colour,
        progress: stderr.is_terminal(),
        width: std::env::var("COLUMNS").ok().and_then(|w| w.parse().ok()),
        environment: watertight_cluster::Environment::of_process(),
        now: jiff::Timestamp::now(),
    };
    let code = watertight_cli::run(&argv, &mut host);
    let flushed = out.flush();
    match flushed {
        // Whoever read the output had enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(3),
        _ => ExitCode::from(code),
    }
}
