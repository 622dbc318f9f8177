//! What a command has at hand: the flags, the streams, and the few things that every command does with them.

use crate::args::{FailOn, Global};
use crate::diagnostics::{ErrorView, draw};
use crate::exit::{Exit, Failure};
use crate::host::Host;
use crate::progress::Progress;
use crate::render::{self, Format, Report};
use crate::text::{clean, count};
use std::time::Instant;
use watertight_ingest::{Diagnostic, Severity};
use watertight_model::{NamespaceId, Source, World};

/// At hand in every command.
pub struct Ctx<'c, 'h> {
    /// Streams and environment.
    pub host: &'c mut Host<'h>,
    /// Flags.
    pub global: Global,
    /// The command as clap sees it.
    pub shape: clap::Command,
    /// The command reports the readers' warnings that have a code of the catalogue among its findings, so they are not drawn
    /// as well.
    pub warnings_are_findings: bool,
}

impl<'c, 'h> Ctx<'c, 'h> {
    /// A context for one run.
    pub fn new(host: &'c mut Host<'h>, global: Global, shape: clap::Command) -> Self {
        Self { host, global, shape, warnings_are_findings: false }
    }

    /// The format asked for, if it is among those that the command has; else a usage error that names them.
    pub fn format(&self, has: &[Format]) -> Result<Format, Failure> {
        let format = self.global.output.unwrap_or(Format::Table);
        if has.contains(&format) {
            return Ok(format);
        }
        let names: Vec<&str> = has.iter().map(|f| f.name()).collect();
        Err(Failure::usage(
            format!("there is no `{}` output here", format.name()),
            format!("choose one of -o {}", names.join("|")),
        ))
    }

    /// Prints a report to standard output.
    pub fn emit<R: Report>(&mut self, report: &R) -> Result<(), Failure> {
        let format = self.format(R::FORMATS)?;
        let look = render::Look { colour: self.host.stdout_colour, width: self.host.width };
        let written = render::write(report, format, look, &mut self.host.stdout);
        self.written(written)
    }

    /// Prints text to standard output.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.host.stdout.write_all(text.as_bytes());
        self.written(written)
    }

    /// A reader that had enough is no failure; a full disk is.
    fn written(&self, result: std::io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::write("the output", &error)),
            _ => Ok(()),
        }
    }

    /// A warning in one line on standard error, unless `--quiet`.
    pub fn warn(&mut self, text: &str) {
        if !self.global.quiet {
            let style = anstyle::AnsiColor::Yellow.on_default().effects(anstyle::Effects::BOLD);
            let head = if self.host.stderr_colour { format!("{style}warning{style:#}") } else { "warning".to_owned() };
            self.host.say(&format!("{head}: {}\n", clean(text)));
        }
    }

    /// A note in one line on standard error, unless `--quiet`.
    pub fn note(&mut self, text: &str) {
        if !self.global.quiet {
            self.host.say(&format!("{}\n", clean(text)));
        }
    }

    /// A note with `--verbose`.
    pub fn detail(&mut self, text: &str) {
        if self.global.verbose {
            self.host.say(&format!("{}\n", clean(text)));
        }
    }

    /// Draws warnings on standard error, unless `--quiet`.
    pub fn diagnostics(&mut self, diagnostics: &[Diagnostic], sources: &[Source]) {
        let quiet = self.global.quiet;
        let shown: Vec<Diagnostic> =
            diagnostics.iter().filter(|d| !quiet || d.severity == Severity::Error).cloned().collect();
        let text = draw(&shown, sources, self.host.stderr_colour, self.host.width);
        self.host.say(&text);
    }

    /// Tells people on standard error why there is no answer, and programs on standard output if they asked for data.
    pub fn report(&mut self, failure: &Failure) -> Exit {
        // What was written before comes first, also where both streams are one.
        let _ = self.host.stdout.flush();
        let text = draw(&failure.diagnostics, &failure.sources, self.host.stderr_colour, self.host.width);
        self.host.say(&text);
        let errors = failure.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        if errors > 1 {
            self.host.say(&format!("{}; nothing was answered\n", count(errors, "error")));
        }
        let format = self.global.output.unwrap_or(Format::Table);
        // The exit code already says that it went wrong; a second failure here adds nothing.
        let _ = render::write_error(&ErrorView::of(failure), format, &mut self.host.stdout);
        failure.exit
    }

    /// A progress line for what follows; it disappears with the value.
    pub fn progress(&self, job: &str) -> Progress {
        Progress::start(self.host.progress && !self.global.quiet, job)
    }

    /// Runs a job under a progress line, and says with `--verbose` how long it took.
    pub fn timed<T>(&mut self, job: &str, work: impl FnOnce() -> T) -> T {
        let progress = self.progress(job);
        let begun = Instant::now();
        let out = work();
        drop(progress);
        self.detail(&format!("{job}: {:.1} ms", begun.elapsed().as_secs_f64() * 1000.0));
        out
    }

    /// The namespace that output is limited to; `None`: all.
    ///
    /// # Errors
    /// `-n` names a namespace that is not in the input.
    pub fn scope(&self, world: &World) -> Result<Option<NamespaceId>, Failure> {
        let Some(name) = self.global.namespace.as_ref().filter(|_| !self.global.all_namespaces) else {
            return Ok(None);
        };
        world.namespace(name).map(Some).ok_or_else(|| {
            let near = watertight_engine::query::near(name, world.namespaces.iter().map(|n| n.name.to_string()));
            let help = near.first().map(|n| format!("did you mean `-n {n}`?"));
            Failure::new(Exit::BadInput, "unknown-namespace", format!("no namespace `{name}` in the input"), help)
        })
    }

    /// Whether this many findings of these levels end the run with 1.
    pub fn findings(&self, worst: Option<FailOn>) -> Exit {
        let level = self.global.fail_on.unwrap_or(FailOn::Note);
        match worst {
            Some(worst) if level != FailOn::Never && worst >= level => Exit::Findings,
            _ => Exit::Clean,
        }
    }

    /// With `--strict`, the exit code of an answer that is not whole.
    pub fn unless_whole(&self, whole: bool) -> Exit {
        if self.global.strict && !whole { Exit::Incomplete } else { Exit::Clean }
    }
}
