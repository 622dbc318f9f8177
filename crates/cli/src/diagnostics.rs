//! Faults for people (drawn under the user's own lines, on standard error) and for programs (data, on standard output).

use crate::snippet::{Excerpt, Mark, renderer};
use crate::text::clean;
use annotate_snippets::Level;
use serde::Serialize;
use watertight_ingest::{Diagnostic, Severity};
use watertight_model::{Origin, Source};

/// Draws the diagnostics, each with an empty line after it.
pub fn draw(diagnostics: &[Diagnostic], sources: &[Source], colour: bool, width: Option<usize>) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&one(diagnostic, sources, colour, width));
        out.push_str("\n\n");
    }
    out
}

fn one(diagnostic: &Diagnostic, sources: &[Source], colour: bool, width: Option<usize>) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(&diagnostic.message).into_owned()).id(diagnostic.code);
    let marks: Vec<Mark> = diagnostic
        .at
        .iter()
        .map(|at| Mark { at: *at, label: String::new(), primary: true })
        .chain(diagnostic.notes.iter().map(|(at, label)| Mark { at: *at, label: label.clone(), primary: false }))
        .collect();
    let excerpt = Excerpt::cut(sources, &marks);
    let mut group = excerpt.elements(annotate_snippets::Group::with_title(title));
    let place = match (&diagnostic.object, &diagnostic.field) {
        (Some(object), Some(field)) => Some(format!("{object}, {field}")),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    if let Some(place) = place {
        group = group.element(Level::NOTE.with_name(Some("in")).message(clean(&place).into_owned()));
    }
    if let Some(help) = &diagnostic.help {
        let help = help.lines().map(|line| clean(line).into_owned()).collect::<Vec<_>>().join("\n");
        group = group.element(Level::HELP.message(help));
    }
    renderer(colour, width).render(&[group])
}

/// The diagnostics of a failed run as data: `{"kind":"Error",…}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    api_version: &'static str,
    kind: &'static str,
    pub(crate) exit_code: u8,
    pub(crate) diagnostics: Vec<DiagnosticView>,
}

/// One diagnostic.
#[derive(Debug, Serialize)]
pub(crate) struct DiagnosticView {
    pub(crate) severity: &'static str,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    #[serde(flatten)]
    pub(crate) place: Option<PlaceView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<NoteView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
}

/// A place in a file. Lines and columns are 1-based, columns count characters; 0 for an object of a live cluster.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceView {
    /// The file as the user named it, or `cluster:CONTEXT`.
    pub file: String,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
}

/// A second place.
#[derive(Debug, Serialize)]
pub(crate) struct NoteView {
    #[serde(flatten)]
    place: Option<PlaceView>,
    message: String,
}

impl PlaceView {
    /// The start of an origin.
    pub fn of(sources: &[Source], at: Origin) -> Option<Self> {
        let source = sources.get(at.source.0 as usize)?;
        let (line, column) = if crate::snippet::has_lines(source) { (at.line, at.column) } else { (0, 0) };
        Some(Self { file: source.name.to_string(), line, column })
    }

    /// `file:line:column`, or `live object` for one that never was a file.
    pub fn words(&self) -> String {
        match self.line {
            0 if self.file.starts_with("cluster:") => "live object".to_owned(),
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

impl DiagnosticView {
    pub(crate) fn of(diagnostic: &Diagnostic, sources: &[Source]) -> Self {
        let note = |(at, message): &(Origin, String)| NoteView {
            place: PlaceView::of(sources, *at),
            message: message.clone(),
        };
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            object: diagnostic.object.clone(),
            field: diagnostic.field.clone(),
            place: diagnostic.at.and_then(|at| PlaceView::of(sources, at)),
            notes: diagnostic.notes.iter().map(note).collect(),
            help: diagnostic.help.clone(),
        }
    }
}

impl ErrorView {
    /// The data of a failure.
    pub fn of(failure: &crate::Failure) -> Self {
        Self {
            api_version: crate::view::API_VERSION,
            kind: "Error",
            exit_code: failure.exit.code(),
            diagnostics: failure.diagnostics.iter().map(|d| DiagnosticView::of(d, &failure.sources)).collect(),
        }
    }
}
