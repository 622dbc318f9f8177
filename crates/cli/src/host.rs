//! The world outside a run: streams, whether they are terminals, the environment, the time. Tests give their own.

use crate::diagnostics::ErrorView;
use crate::exit::{Exit, Failure};
use crate::render::{self, Format};
use std::io::Write;
use watertight_cluster::Environment;

/// Everything a run takes from its process.
pub struct Host<'h> {
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output: data, and nothing else.
    pub stdout: &'h mut dyn Write,
    /// Standard error: diagnostics, warnings, progress.
    pub stderr: &'h mut dyn Write,
    /// Standard output may be coloured.
    pub stdout_colour: bool,
    /// Standard error may be coloured.
    pub stderr_colour: bool,
    /// Standard error is this process's and a terminal: a progress line may be drawn there.
    pub progress: bool,
    /// Width of the terminal in columns, if known.
    pub width: Option<usize>,
    /// Environment variables that say where the cluster is.
    pub environment: Environment,
    /// The time at which the run began.
    pub now: jiff::Timestamp,
}

/// Where standard input comes from.
pub enum Stdin {
    /// The process has it.
    Process,
    /// These bytes.
    Given(Vec<u8>),
}

impl Host<'_> {
    /// Writes to standard error. That nobody reads it is no reason to fail.
    pub fn say(&mut self, text: &str) {
        let _ = self.stderr.write_all(text.as_bytes());
    }

    /// What clap has to say: help and version are data, the rest is a usage error.
    pub(crate) fn clap(&mut self, error: &clap::Error, format: Option<Format>) -> Exit {
        let text = error.render();
        if error.use_stderr() {
            let text = if self.stderr_colour { text.ansi().to_string() } else { text.to_string() };
            self.say(&text);
            let said = error.render().to_string();
            let first = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let view = ErrorView::of(&Failure::new(Exit::BadInput, "usage", first, None));
            // The exit code already says that it went wrong; a second failure here adds nothing.
            let _ = render::write_error(&view, format.unwrap_or(Format::Table), &mut self.stdout);
            return Exit::BadInput;
        }
        let text = if self.stdout_colour { text.ansi().to_string() } else { text.to_string() };
        let _ = self.stdout.write_all(text.as_bytes());
        Exit::Clean
    }
}
