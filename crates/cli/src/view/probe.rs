//! What connections really did, beside what the policies say of them.

use super::{Head, RuleView};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report};
use crate::text::number;
use serde::Serialize;
use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::query::why;
use watertight_lab::probe::{Match, Probed, Row};
use watertight_model::Protocol;

/// Rows of a table for people; all of them are in the other formats.
const SHOWN: usize = 25;

/// What connections did.
#[derive(Debug, Serialize)]
pub struct ProbeView {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    compared: Compared,
}

/// Connections, counted by what became of them, and one by one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compared {
    /// Connections that were opened.
    connections: usize,
    /// Denied by the policies, and delivered.
    too_open: usize,
    /// Allowed by the policies, and not delivered.
    too_closed: usize,
    /// The policies' answer depends on something.
    depends: usize,
    /// Delivered, and not, where both agree.
    agree: AgreeView,
    /// Not tried: this kernel has no SCTP sockets.
    without_sctp: usize,
    /// All of them, mismatches first.
    rows: Vec<RowView>,
    /// People want the counts only.
    #[serde(skip)]
    summary: bool,
}

#[derive(Debug, Serialize)]
struct AgreeView {
    delivered: usize,
    denied: usize,
}

/// One connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowView {
    from: String,
    to: String,
    address: String,
    port: u16,
    protocol: &'static str,
    verdict: &'static str,
    outcome: &'static str,
    #[serde(rename = "match")]
    matches: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    decided_by: Vec<RuleView>,
}

fn name(matches: Match) -> &'static str {
    match matches {
        Match::TooOpen => "too-open",
        Match::TooClosed => "too-closed",
        Match::Either => "depends",
        Match::Same => "same",
    }
}

impl ProbeView {
    /// The outcome of a probe; with `summary` people get no table.
    pub fn of(engine: &Engine<'_>, probed: &Probed, summary: bool) -> Self {
        Self { head: Head::new("Probe"), compared: Compared::of(engine, probed, summary) }
    }
}

impl Compared {
    pub(super) fn of(engine: &Engine<'_>, probed: &Probed, summary: bool) -> Self {
        let mut rows: Vec<&Row> = probed.rows.iter().collect();
        // Stable: within a kind the order of sources and destinations stays.
        rows.sort_by_key(|r| r.matches());
        let count = |wanted: Match| rows.iter().filter(|r| r.matches() == wanted).count();
        let same = count(Match::Same);
        let delivered = rows.iter().filter(|r| r.matches() == Match::Same && r.outcome.name() == "delivered").count();
        Self {
            connections: rows.len(),
            too_open: count(Match::TooOpen),
            too_closed: count(Match::TooClosed),
            depends: count(Match::Either),
            agree: AgreeView { delivered, denied: same - delivered },
            without_sctp: probed.without_sctp,
            rows: rows.iter().map(|r| RowView::of(engine, r)).collect(),
            summary,
        }
    }
}

impl RowView {
    fn of(engine: &Engine<'_>, row: &Row) -> Self {
        let differs = row.matches() < Match::Same;
        let rules = row.verdict.egress.decided_by.iter().chain(&row.verdict.ingress.decided_by);
        Self {
            from: row.from.clone(),
            to: row.to.clone(),
            address: row.address.ip().to_string(),
            port: row.address.port(),
            protocol: Protocol::from(row.protocol).name(),
            verdict: row.verdict.verdict.name(),
            outcome: row.outcome.name(),
            matches: name(row.matches()),
            // Why is asked where something is to be explained; for the rest `query` answers.
            reason: differs.then(|| why(engine, &row.verdict)),
            decided_by: if differs { rules.map(|r| RuleView::of(engine.world(), r)).collect() } else { Vec::new() },
        }
    }
}

/// Formats of answers that are lists of connections.
pub(super) const FORMATS: &[Format] = &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Csv];

impl Report for ProbeView {
    const FORMATS: &'static [Format] = FORMATS;

    fn page(&self) -> Page {
        let mut page = Page::default();
        self.compared.counts(&mut page, &[]);
        self.compared.table(&mut page);
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.compared.rows()
    }
}

impl Compared {
    /// Connections that the policies deny, and that were not delivered.
    pub(super) fn denials(&self) -> usize {
        self.agree.denied
    }

    /// How many of which kind; `more` are facts of the caller's.
    pub(super) fn counts(&self, page: &mut Page, more: &[(String, String)]) {
        let wrong = self.too_open + self.too_closed;
        let tone = if wrong == 0 { Tone::Good } else { Tone::Bad };
        let plural = if wrong == 1 { "mismatch" } else { "mismatches" };
        page.line(
            toned(tone, format!("{} {plural}", number(wrong)))
                .and(Tone::Plain, format!(" in {} connections", number(self.connections))),
        );
        let mut facts: Vec<(String, Text)> = vec![
            ("denied, and delivered all the same".to_owned(), number(self.too_open).into()),
            ("allowed, and not delivered".to_owned(), number(self.too_closed).into()),
            ("allowed and delivered".to_owned(), number(self.agree.delivered).into()),
            ("denied and not delivered".to_owned(), number(self.agree.denied).into()),
            ("the policies' answer depends".to_owned(), number(self.depends).into()),
            ("not tried (no SCTP in this kernel)".to_owned(), number(self.without_sctp).into()),
        ];
        facts.extend(more.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        page.facts(facts);
    }

    /// The truth table, worst first.
    pub(super) fn table(&self, page: &mut Page) {
        if self.summary {
            return;
        }
        // Pods by workload would hide which of them differs: the truth table is of pods, worst first, both families in one row.
        let mut table = Table::new(["FROM", "TO", "PORT", "VERDICT", "OUTCOME", "WHY"]);
        table.grouped = 1;
        let mut seen: BTreeMap<(&str, &str, u16, &str, &str, &str), usize> = BTreeMap::new();
        for row in &self.rows {
            let key = (&*row.from, &*row.to, row.port, row.protocol, row.verdict, row.outcome);
            let times = seen.entry(key).or_default();
            *times += 1;
            if *times > 1 || table.rows.len() >= SHOWN {
                continue;
            }
            let tone = match row.matches {
                "same" => Tone::Plain,
                "depends" => Tone::Warn,
                _ => Tone::Bad,
            };
            table.row([
                row.from.as_str().into(),
                row.to.as_str().into(),
                format!("{} {}", row.protocol, row.port).into(),
                row.verdict.into(),
                toned(tone, row.outcome),
                row.reason.clone().unwrap_or_default().into(),
            ]);
        }
        let left = seen.len() - table.rows.len();
        page.table(table);
        if left > 0 {
            page.line(toned(Tone::Dim, format!("and {} more; `-o csv` has all", number(left))));
        }
    }

    /// Of all connections, headings first.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = ["from", "to", "address", "protocol", "port", "verdict", "outcome", "match", "reason"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().map(|r| {
            vec![
                r.from.clone(),
                r.to.clone(),
                r.address.clone(),
                r.protocol.to_owned(),
                r.port.to_string(),
                r.verdict.to_owned(),
                r.outcome.to_owned(),
                r.matches.to_owned(),
                r.reason.clone().unwrap_or_default(),
            ]
        }));
        rows
    }
}
