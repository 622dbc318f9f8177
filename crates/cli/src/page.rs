//! What people read, before it is text: headings, lines, tables, code, excerpts. One page, two renderers: terminal and Markdown.
//!
//! Strings go in as they are; the renderers make them harmless.

use crate::snippet::Excerpt;
use watertight_model::{Str, Verdict};

/// A page, top to bottom.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its blocks.
    pub blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Clone, Debug)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// A paragraph.
    Line(Text),
    /// Lines with a mark in front.
    Items(Vec<Text>),
    /// Names and values, aligned.
    Facts(Vec<(String, Text)>),
    /// A table.
    Table(Table),
    /// Text to copy: language, text.
    Code(&'static str, String),
    /// Ready Markdown (the catalogue of lints).
    Markdown(String),
    /// The user's own lines.
    Excerpt(Excerpt),
    /// A part under a heading of its own, which documents show folded.
    Details(String, Page),
}

/// How a piece of text is meant. Never the only carrier of its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Important.
    Strong,
    /// Less important.
    Dim,
    /// Good.
    Good,
    /// Uncertain.
    Warn,
    /// Bad.
    Bad,
}

/// Text in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The pieces.
    pub spans: Vec<(Tone, Str)>,
}

impl Text {
    /// The text plus a piece.
    #[must_use]
    pub fn and(mut self, tone: Tone, text: impl Into<Str>) -> Self {
        self.spans.push((tone, text.into()));
        self
    }
}

impl<T: Into<Str>> From<T> for Text {
    fn from(text: T) -> Self {
        Text::default().and(Tone::Plain, text)
    }
}

/// A piece of text in a tone.
pub fn toned(tone: Tone, text: impl Into<Str>) -> Text {
    Text::default().and(tone, text)
}

/// A verdict in its tone.
pub fn verdict(verdict: Verdict) -> Text {
    let tone = match verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Deny => Tone::Bad,
        Verdict::Depends => Tone::Warn,
    };
    toned(tone, verdict.name())
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Headings.
    pub columns: Vec<&'static str>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Text>>,
    /// In a terminal, so many leading columns are left empty where they repeat the row above.
    pub grouped: usize,
}

impl Table {
    /// An empty table.
    pub fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        Self { columns: columns.to_vec(), ..Self::default() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Text; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }
}

impl Page {
    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) -> &mut Self {
        self.blocks.push(Block::Heading(text.into()));
        self
    }

    /// Adds a paragraph.
    pub fn line(&mut self, text: impl Into<Text>) -> &mut Self {
        self.blocks.push(Block::Line(text.into()));
        self
    }

    /// Adds a list; an empty one is left out.
    pub fn items(&mut self, items: Vec<Text>) -> &mut Self {
        if !items.is_empty() {
            self.blocks.push(Block::Items(items));
        }
        self
    }

    /// Adds names and values.
    pub fn facts(&mut self, facts: Vec<(String, Text)>) -> &mut Self {
        self.blocks.push(Block::Facts(facts));
        self
    }

    /// Adds a table; an empty one is left out.
    pub fn table(&mut self, table: Table) -> &mut Self {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
        self
    }

    /// Adds text to copy.
    pub fn code(&mut self, language: &'static str, text: impl Into<String>) -> &mut Self {
        self.blocks.push(Block::Code(language, text.into()));
        self
    }

    /// Adds a part that documents fold; an empty one is left out.
    pub fn details(&mut self, summary: impl Into<String>, part: Page) -> &mut Self {
        if !part.blocks.is_empty() {
            self.blocks.push(Block::Details(summary.into(), part));
        }
        self
    }

    /// Adds lines of the user's; an empty excerpt is left out.
    pub fn excerpt(&mut self, excerpt: Excerpt) -> &mut Self {
        if !excerpt.is_empty() {
            self.blocks.push(Block::Excerpt(excerpt));
        }
        self
    }
}
