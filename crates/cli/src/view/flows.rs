//! What was recorded, and what an import held.

use super::Head;
use crate::page::{Page, Table, Text, Tone, toned};
use crate::recordings::time;
use crate::render::{Format, Report};
use crate::text::number;
use serde::Serialize;
use std::collections::BTreeMap;
use watertight_flows::{EdgeData, EdgeKey, ImportStats, Ledger, Who};

/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

/// The result of an import.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportView {
    #[serde(flatten)]
    head: Head,
    ledger: String,
    imports: Vec<StatsView>,
    /// Edges in the ledger now.
    edges: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    lost_events: u64,
}

/// One input.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsView {
    name: String,
    lines: u64,
    blank: u64,
    flows: u64,
    denied: u64,
    replies: u64,
    unknown_direction: u64,
    ignored: BTreeMap<String, u64>,
    lost_records: u64,
    lost_events: u64,
    malformed: u64,
    faults: Vec<FaultView>,
    edges: u64,
    edges_new: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    nodes: usize,
    already_known: bool,
}

#[derive(Debug, Serialize)]
struct FaultView {
    line: u64,
    message: String,
}

impl ImportView {
    /// What was imported, and what the ledger holds now.
    pub fn of(ledger_name: &str, ledger: &Ledger, imports: &[(String, ImportStats)]) -> Self {
        let window = ledger.window();
        Self {
            head: Head::new("FlowsImported"),
            ledger: ledger_name.to_owned(),
            imports: imports.iter().map(|(name, stats)| StatsView::of(name, stats)).collect(),
            edges: ledger.edges().len(),
            first: window.and_then(|(first, _)| time(first / NANOS)),
            last: window.and_then(|(_, last)| time(last / NANOS)),
            lost_events: ledger.lost(),
        }
    }
}

impl StatsView {
    fn of(name: &str, stats: &ImportStats) -> Self {
        Self {
            name: name.to_owned(),
            lines: stats.lines,
            blank: stats.blank,
            flows: stats.flows,
            denied: stats.denied,
            replies: stats.replies,
            unknown_direction: stats.unknown_direction,
            ignored: stats.ignored.clone(),
            lost_records: stats.lost_records,
            lost_events: stats.lost_events_reported,
            malformed: stats.malformed,
            faults: stats
                .faults
                .iter()
                .map(|(line, message)| FaultView { line: *line, message: message.clone() })
                .collect(),
            edges: stats.edges,
            edges_new: stats.edges_new,
            first: time(stats.first_ns / NANOS),
            last: time(stats.last_ns / NANOS),
            nodes: stats.nodes.len(),
            already_known: stats.already_known,
        }
    }

    /// Where the lines went. The numbers add up to the lines read.
    pub fn facts(&self) -> Vec<(String, Text)> {
        let big = |n: u64| number(usize::try_from(n).unwrap_or(usize::MAX));
        let fact = |name: &str, n: u64| (name.to_owned(), Text::from(big(n)));
        let mut facts = vec![fact("Lines", self.lines)];
        let denied =
            if self.denied > 0 { format!(" ({} denied by a policy)", big(self.denied)) } else { String::new() };
        facts.push(("  flows".to_owned(), format!("{}{denied}, {} edges", big(self.flows), big(self.edges)).into()));
        facts.push(fact("  replies", self.replies));
        if self.unknown_direction > 0 {
            facts.push(fact("  of unknown direction", self.unknown_direction));
        }
        for (why, n) in &self.ignored {
            facts.push((format!("  {why}"), big(*n).into()));
        }
        if self.lost_records > 0 {
            let text = format!("{} reporting {} lost events", big(self.lost_records), big(self.lost_events));
            facts.push(("  loss records".to_owned(), toned(Tone::Warn, text)));
        }
        if self.malformed > 0 {
            facts.push(("  malformed".to_owned(), toned(Tone::Bad, big(self.malformed))));
        }
        if self.blank > 0 {
            facts.push(fact("  blank", self.blank));
        }
        facts
    }
}

impl Report for ImportView {
    fn page(&self) -> Page {
        let mut page = Page::default();
        for import in &self.imports {
            page.heading(import.name.as_str());
            page.facts(import.facts());
        }
        let window = match (&self.first, &self.last) {
            (Some(first), Some(last)) => format!("from {first} to {last}"),
            _ => "empty".to_owned(),
        };
        page.line(format!("{}: {} edges, {window}", self.ledger, number(self.edges)));
        page
    }
}

/// The edges of a ledger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowsView {
    #[serde(flatten)]
    head: Head,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    lost_events: u64,
    edges: Vec<EdgeView>,
}

/// One edge.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeView {
    id: String,
    from: String,
    to: String,
    protocol: String,
    port: u16,
    count: u64,
    denied: u64,
    first: Option<String>,
    last: Option<String>,
    days: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
}

impl FlowsView {
    /// What a ledger holds, limited to edges with an end in `namespace`.
    pub fn of(ledger: &Ledger, namespace: Option<&str>) -> Self {
        let inside = |who: &Who| matches!(who, Who::Pod { namespace: ns, .. } if Some(ns.as_str()) == namespace);
        let mine = |key: &&EdgeKey| namespace.is_none() || inside(&key.from) || inside(&key.to);
        let window = ledger.window();
        Self {
            head: Head::new("Flows"),
            first: window.and_then(|(first, _)| time(first / NANOS)),
            last: window.and_then(|(_, last)| time(last / NANOS)),
            lost_events: ledger.lost(),
            edges: ledger.edges().iter().filter(|(key, _)| mine(key)).map(|(key, data)| edge(key, data)).collect(),
        }
    }
}

fn edge(key: &EdgeKey, data: &EdgeData) -> EdgeView {
    EdgeView {
        id: key.id(),
        from: who(&key.from),
        to: who(&key.to),
        protocol: protocol(key.protocol),
        port: key.port,
        count: data.count,
        denied: data.denied,
        first: time(data.first_ns / NANOS),
        last: time(data.last_ns / NANOS),
        days: data.days.len(),
        names: data.names.iter().cloned().collect(),
    }
}

/// An end in the spelling of `query`.
fn who(who: &Who) -> String {
    match who {
        Who::Pod { namespace, name, .. } => format!("{namespace}/{name}"),
        Who::Host { node } => format!("node:{node}"),
        Who::Address(ip) => format!("ip:{ip}"),
    }
}

/// By IP protocol number.
fn protocol(number: u8) -> String {
    match number {
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        other => other.to_string(),
    }
}

impl Report for FlowsView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["FROM", "TO", "PORT", "COUNT", "DENIED", "DAYS", "LAST", "NAMES"]);
        table.grouped = 1;
        for e in &self.edges {
            let denied = if e.denied > 0 { toned(Tone::Bad, e.denied.to_string()) } else { "".into() };
            table.row([
                e.from.as_str().into(),
                e.to.as_str().into(),
                format!("{} {}", e.protocol, e.port).into(),
                e.count.to_string().into(),
                denied,
                e.days.to_string().into(),
                e.last.clone().unwrap_or_default().into(),
                e.names.join(", ").into(),
            ]);
        }
        page.table(table);
        if self.edges.is_empty() {
            page.line("No flows.");
        }
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let head = ["id", "from", "to", "protocol", "port", "count", "denied", "first", "last", "days", "names"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for e in &self.edges {
            rows.push(vec![
                e.id.clone(),
                e.from.clone(),
                e.to.clone(),
                e.protocol.clone(),
                e.port.to_string(),
                e.count.to_string(),
                e.denied.to_string(),
                e.first.clone().unwrap_or_default(),
                e.last.clone().unwrap_or_default(),
                e.days.to_string(),
                e.names.join(" "),
            ]);
        }
        rows
    }
}
