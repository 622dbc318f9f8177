//! Data in, text out: one file per format.
//!
//! A command's answer is a [`Report`]: data (for JSON and YAML), a page (for people and Markdown), and where it makes
//! sense rows, a graph, or results (findings, assertions) for SARIF, GitHub, JUnit and OpenReports. The findings are the same
//! whatever the format.

pub mod csv;
pub mod dot;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod openreports;
pub mod results;
pub mod sarif;
pub mod tap;
pub mod terminal;
pub mod xml;
pub mod yaml;

use crate::diagnostics::ErrorView;
use crate::page::Page;
use clap::ValueEnum;
use results::Results;
use serde::Serialize;
use std::io::{self, Write};

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, in a terminal (the default).
    Table,
    /// JSON with stable keys.
    Json,
    /// The same data as YAML.
    Yaml,
    /// For people, in a document or a pull request.
    #[value(alias = "md")]
    Markdown,
    /// A graph for Graphviz.
    Dot,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Comma-separated values with a heading.
    Csv,
    /// One HTML file without scripts, to read, print or attach.
    Html,
    /// Annotations in the log of a GitHub workflow.
    Github,
    /// JUnit XML, for test reports of CI systems.
    Junit,
    /// Report and ClusterReport objects of openreports.io.
    #[value(name = "openreports")]
    OpenReports,
    /// Test Anything Protocol, version 14.
    Tap,
}

impl Format {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Yaml => "yaml",
            Format::Markdown => "markdown",
            Format::Dot => "dot",
            Format::Sarif => "sarif",
            Format::Csv => "csv",
            Format::Html => "html",
            Format::Github => "github",
            Format::Junit => "junit",
            Format::OpenReports => "openreports",
            Format::Tap => "tap",
        }
    }
}

/// Formats of every report.
pub const BASIC: &[Format] = &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html];

/// Formats of an answer that is a list of findings or assertions.
pub const LISTED: &[Format] = &[
    Format::Table,
    Format::Json,
    Format::Yaml,
    Format::Markdown,
    Format::Html,
    Format::Csv,
    Format::Sarif,
    Format::Github,
    Format::Junit,
    Format::OpenReports,
];

/// A command's answer.
pub trait Report: Serialize {
    /// The formats it has.
    const FORMATS: &'static [Format] = BASIC;

    /// For people.
    fn page(&self) -> Page;

    /// For people, in a document: where that differs, because documents are folded and bounded.
    fn document(&self) -> Page {
        self.page()
    }

    /// Rows of plain text, headings first.
    fn rows(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// The same one by one, for reports that are too long to be held as text.
    fn each_row(&self, row: &mut dyn FnMut(&[&str]) -> io::Result<()>) -> io::Result<()> {
        self.rows().iter().try_for_each(|cells| row(&cells.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// A graph.
    fn graph(&self) -> dot::Graph {
        dot::Graph::default()
    }

    /// Findings or assertions, for the formats that list them.
    fn results(&self) -> Results {
        Results::default()
    }

    /// The title of a document of its own.
    fn title(&self) -> &'static str {
        "Watertight"
    }
}

/// How text may look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Colours are welcome.
    pub colour: bool,
    /// Width of the terminal, if known.
    pub width: Option<usize>,
}

/// Writes a report in one of its formats.
pub fn write<R: Report>(report: &R, format: Format, look: Look, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => out.write_all(terminal::text(&report.page(), look).as_bytes()),
        Format::Json => json::write(report, out),
        Format::Yaml => yaml::write(report, out),
        Format::Markdown => out.write_all(markdown::text(&report.document()).as_bytes()),
        Format::Dot => out.write_all(report.graph().text().as_bytes()),
        Format::Csv => report.each_row(&mut |cells| csv::row(cells, out)),
        Format::Html => out.write_all(html::text(report.title(), &report.page()).as_bytes()),
        Format::Sarif => json::write(&sarif::log(&report.results()), out),
        Format::Github => github::write(&report.results(), out),
        Format::Junit => junit::write(&report.results(), out),
        Format::OpenReports => json::write(&openreports::list(&report.results()), out),
        Format::Tap => tap::write(&report.results(), out),
    }
}

/// Writes the errors of a run that gave no answer, for formats that programs read.
pub fn write_error(error: &ErrorView, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => json::write(error, out),
        Format::Yaml => yaml::write(error, out),
        Format::Sarif => json::write(&sarif::log(&Results::failed(error)), out),
        Format::Github => github::write(&Results::failed(error), out),
        Format::Junit => junit::write(&Results::failed(error), out),
        Format::OpenReports => json::write(&openreports::list(&Results::failed(error)), out),
        Format::Tap => tap::write(&Results::failed(error), out),
        Format::Table | Format::Markdown | Format::Html | Format::Dot | Format::Csv => Ok(()),
    }
}

#[cfg(test)]
mod tests;
