//! What candidate policies would deny.

use super::learn::{EdgeView, UnexplainedView, edge_view, unexplained};
use super::{Head, RuleView};
use crate::page::{Page, Table, Tone, toned};
use crate::recordings::time;
use crate::render::{Format, Report};
use crate::text::{count, number};
use serde::Serialize;
use watertight_engine::Engine;
use watertight_engine::query::{endpoint_name, why};
use watertight_flows::Resolved;
use watertight_learn::Edge;
use watertight_learn::replay::WouldDeny;
use watertight_model::L4;

/// What candidate policies would deny.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayView {
    #[serde(flatten)]
    head: Head,
    /// Edges that were judged.
    pub edges: usize,
    /// Connections behind them.
    pub flows: u64,
    first: Option<String>,
    last: Option<String>,
    /// Edges that are not allowed, by the workload that they concern.
    pub would_deny: Vec<WouldDenyView>,
    /// Recorded flows that could not be placed in the cluster.
    pub unexplained: Vec<UnexplainedView>,
}

/// An edge that is not allowed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WouldDenyView {
    #[serde(flatten)]
    edge: EdgeView,
    /// `deny`, or `depends`.
    pub verdict: &'static str,
    /// In one sentence.
    pub reason: String,
    example: String,
    decided_by: Vec<RuleView>,
}

impl ReplayView {
    /// The judgement of `edges`.
    pub fn of(engine: &Engine<'_>, edges: &[Edge], denied: &[WouldDeny], resolved: &Resolved) -> Self {
        let world = engine.world();
        let judged: Vec<&Edge> = edges.iter().filter(|e| e.count > 0).collect();
        let view = |d: &WouldDeny| {
            let rules = d.verdict.egress.decided_by.iter().chain(&d.verdict.ingress.decided_by);
            let at = match d.flow.l4 {
                L4::Port(protocol, port) => format!("{protocol} {port}"),
                L4::Other => "protocols without ports".to_owned(),
            };
            WouldDenyView {
                edge: edge_view(engine, &d.edge),
                verdict: d.verdict.verdict.name(),
                reason: why(engine, &d.verdict),
                example: format!("{} to {} {at}", endpoint_name(engine, d.flow.from), endpoint_name(engine, d.flow.to)),
                decided_by: rules.map(|r| RuleView::of(world, r)).collect(),
            }
        };
        Self {
            head: Head::new("Replay"),
            edges: judged.len(),
            flows: judged.iter().map(|e| e.count).sum(),
            first: judged.iter().map(|e| e.first).min().and_then(time),
            last: judged.iter().map(|e| e.last).max().and_then(time),
            would_deny: denied.iter().map(view).collect(),
            unexplained: unexplained(resolved),
        }
    }
}

impl Report for ReplayView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let tone = if self.would_deny.is_empty() { Tone::Good } else { Tone::Bad };
        let judged = format!(
            "{} with {} connections",
            count(self.edges, "edge"),
            number(usize::try_from(self.flows).unwrap_or(usize::MAX))
        );
        page.line(
            toned(tone, format!("{} would be denied", number(self.would_deny.len())))
                .and(Tone::Plain, format!(" of {judged}")),
        );
        let mut table = Table::new(["FROM", "TO", "PORT", "COUNT", "FIRST", "LAST", "VERDICT", "WHY"]);
        table.grouped = 1;
        for d in &self.would_deny {
            let e = &d.edge;
            table.row([
                e.from.as_str().into(),
                e.to.as_str().into(),
                format!("{} {}", e.protocol, e.port).into(),
                e.count.to_string().into(),
                e.first.clone().unwrap_or_default().into(),
                e.last.clone().unwrap_or_default().into(),
                toned(if d.verdict == "deny" { Tone::Bad } else { Tone::Warn }, d.verdict),
                d.reason.as_str().into(),
            ]);
        }
        page.table(table);
        let mut table = Table::new(["NOT PLACED", "WHY"]);
        for u in &self.unexplained {
            table.row([u.edge.as_str().into(), u.why.as_str().into()]);
        }
        page.table(table);
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let head = ["id", "from", "to", "protocol", "port", "count", "first", "last", "verdict", "reason"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for d in &self.would_deny {
            let e = &d.edge;
            rows.push(vec![
                e.id.clone(),
                e.from.clone(),
                e.to.clone(),
                e.protocol.to_owned(),
                e.port.to_string(),
                e.count.to_string(),
                e.first.clone().unwrap_or_default(),
                e.last.clone().unwrap_or_default(),
                d.verdict.to_owned(),
                d.reason.clone(),
            ]);
        }
        rows
    }
}
