//! What formats for other programs need to know of an answer that is a list: findings, assertions, changes. One list, five
//! formats (SARIF, GitHub annotations, JUnit, OpenReports, and the errors of a run without an answer in each of them), so that
//! no format has findings of its own.

use crate::diagnostics::ErrorView;
use crate::text::clean;

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The command that made it, such as `audit`; empty if there was none.
    pub command: &'static str,
    /// The checks that the items are about, each once.
    pub rules: Vec<Rule>,
    /// Worst first.
    pub items: Vec<Item>,
    /// The exit code of a run that gave no answer; then the items are its errors.
    pub failed: Option<u8>,
    /// The items were held against a baseline.
    pub baseline: bool,
    /// The file to name for what stands in none: some programs accept nothing without a place.
    pub fallback: Option<String>,
}

/// A check.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `WT0001`.
    pub code: String,
    /// Kebab-case name.
    pub name: String,
    /// One line.
    pub summary: String,
    /// Markdown.
    pub page: String,
    /// How bad it usually is.
    pub level: Level,
    /// SARIF `security-severity`, 0 to 10.
    pub score: f64,
}

/// How bad, in SARIF's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Hygiene.
    Note,
    /// Wider or weaker than needed.
    Warning,
    /// Does not do what it says, breaks traffic, or opens a boundary.
    Error,
}

impl Level {
    /// `error`, `warning` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        }
    }

    /// Reads [`Self::name`]; what is none of them is a note.
    pub fn parse(name: &str) -> Self {
        match name {
            "error" => Level::Error,
            "warning" => Level::Warning,
            _ => Level::Note,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An assertion that holds.
    Pass,
    /// A finding, or an assertion that fails.
    Fail,
    /// There is no answer.
    Error,
    /// A finding that somebody accepts where it is written; why.
    Suppressed(String),
    /// A finding that the baseline holds.
    Baselined,
}

/// One result.
#[derive(Clone, Debug)]
pub struct Item {
    /// The rule's code, or what stands for it.
    pub rule: String,
    /// The rule's name; may be empty.
    pub name: String,
    /// How bad.
    pub level: Level,
    /// SARIF `security-severity`, 0 to 10.
    pub score: f64,
    /// What became of it.
    pub outcome: Outcome,
    /// What it is about: `NetworkPolicy shop/db-in`, `namespace dev`; may be empty.
    pub object: String,
    /// One line, without the object.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where it is written.
    pub place: Option<Span>,
    /// The same for the same finding in another run, also when lines have moved; may be empty.
    pub fingerprint: String,
}

/// A stretch of a file, 1-based, columns in characters, the end outside; `line` 0: an object of a live cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// As the user named it.
    pub file: String,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last.
    pub end_column: u32,
}

impl Span {
    /// From a place and the end of what stands there.
    pub fn new(place: &crate::diagnostics::PlaceView, end: (u32, u32)) -> Self {
        let end_line = end.0.max(place.line);
        let end_column = if end_line == place.line { end.1.max(place.column) } else { end.1.max(1) };
        Self { file: place.file.clone(), line: place.line, column: place.column, end_line, end_column }
    }

    /// True if it is a place in a file that people wrote.
    pub fn is_file(&self) -> bool {
        self.line > 0
    }
}

impl Item {
    /// `namespace dev: no policy isolates …`, harmless on one line.
    pub fn sentence(&self) -> String {
        let text =
            if self.object.is_empty() { self.message.clone() } else { format!("{}: {}", self.object, self.message) };
        clean(&text).into_owned()
    }

    /// Kind, namespace and name of the object, each if it has one.
    pub fn object_parts(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        let Some((kind, name)) = self.object.split_once(' ').filter(|(_, name)| !name.contains(' ')) else {
            return (None, None, None);
        };
        if kind.eq_ignore_ascii_case("namespace") {
            return (Some("Namespace"), None, Some(name));
        }
        match name.split_once('/') {
            Some((namespace, name)) => (Some(kind), Some(namespace), Some(name)),
            None => (Some(kind), None, Some(name)),
        }
    }

    /// True if it counts: neither passed nor accepted.
    pub fn counts(&self) -> bool {
        matches!(self.outcome, Outcome::Fail | Outcome::Error)
    }
}

impl Results {
    /// `watertight audit`, with something between the two words.
    pub fn name(&self, between: &str) -> String {
        if self.command.is_empty() { "watertight".to_owned() } else { format!("watertight{between}{}", self.command) }
    }

    /// The errors of a run that gave no answer.
    pub fn failed(error: &ErrorView) -> Self {
        let items = error.diagnostics.iter().map(|d| Item {
            rule: d.code.to_owned(),
            name: String::new(),
            level: Level::parse(d.severity),
            score: 0.0,
            outcome: Outcome::Error,
            object: d.object.clone().unwrap_or_default(),
            message: d.message.clone(),
            help: d.help.clone(),
            place: d.place.as_ref().map(|p| Span::new(p, (p.line, p.column))),
            fingerprint: String::new(),
        });
        Self { items: items.collect(), failed: Some(error.exit_code), ..Self::default() }
    }
}
