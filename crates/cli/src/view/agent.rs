//! What agents of nodes say.

use super::Head;
use crate::page::{Page, Table, Tone, toned};
use crate::render::{BASIC, Format, Report};
use crate::text::number;
use serde::Serialize;
use watertight_agent::api::{Drops, Flow, Status};

/// How agents are. One agent is printed as `AgentStatus` itself, several as a list of them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StatusView {
    /// One.
    One(OneView),
    /// Several, or none.
    Several {
        /// `AgentStatusList`.
        #[serde(flatten)]
        head: Head,
        /// By node.
        items: Vec<OneView>,
    },
}

/// How an agent is.
#[derive(Debug, Serialize)]
pub struct OneView {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    status: Status,
}

impl StatusView {
    /// Of these agents.
    pub fn of(statuses: Vec<Status>) -> Self {
        let mut items: Vec<OneView> =
            statuses.into_iter().map(|status| OneView { head: Head::new("AgentStatus"), status }).collect();
        match (items.pop(), items.is_empty()) {
            (Some(one), true) => Self::One(one),
            (last, _) => {
                items.extend(last);
                Self::Several { head: Head::new("AgentStatusList"), items }
            }
        }
    }

    fn all(&self) -> &[OneView] {
        match self {
            StatusView::One(one) => std::slice::from_ref(one),
            StatusView::Several { items, .. } => items,
        }
    }
}

impl Report for StatusView {
    const FORMATS: &'static [Format] = BASIC;

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["NODE", "STATE", "PODS", "REVISION", "EPOCH", "LAST CHANGE"]);
        for OneView { status, .. } in self.all() {
            let state = match (status.enforcing, status.shadow) {
                (true, false) => toned(Tone::Good, "enforcing"),
                (true, true) => toned(Tone::Good, "watching (shadow)"),
                (false, _) => toned(Tone::Bad, "degraded"),
            };
            table.row([
                status.node.as_str().into(),
                state,
                number(status.pods).into(),
                format!("{} of {}", status.revision.applied, status.revision.seen).into(),
                status.epoch.to_string().into(),
                format!("{} writes, {} us", status.last_writes, status.last_apply_us).into(),
            ]);
        }
        page.table(table);
        for OneView { status, .. } in self.all() {
            for what in &status.degraded {
                page.line(toned(Tone::Bad, "degraded").and(Tone::Plain, format!(": {}: {what}", status.node)));
            }
            for stale in &status.stale {
                let text = format!(": {}: {}, {} s: {}", status.node, stale.what, stale.age_ms / 1000, stale.why);
                page.line(toned(Tone::Warn, "may be old").and(Tone::Plain, text));
            }
            for what in &status.closed {
                page.line(toned(Tone::Warn, "closed").and(Tone::Plain, format!(": {}: {what}", status.node)));
            }
            for what in &status.notes {
                page.line(toned(Tone::Dim, format!("{}: {what}", status.node)));
            }
        }
        page
    }
}

/// Who talked to whom.
#[derive(Debug, Serialize)]
pub struct FlowsView {
    #[serde(flatten)]
    head: Head,
    /// In the order of nodes, then of their ledgers.
    flows: Vec<FlowView>,
}

/// A flow, and the node whose ledger has it.
#[derive(Debug, Serialize)]
struct FlowView {
    node: String,
    #[serde(flatten)]
    flow: Flow,
}

impl FlowsView {
    /// Of these nodes and flows.
    pub fn of(flows: Vec<(String, Flow)>) -> Self {
        let flows = flows.into_iter().map(|(node, flow)| FlowView { node, flow }).collect();
        Self { head: Head::new("AgentFlows"), flows }
    }
}

fn table<'a>(flows: impl Iterator<Item = (&'a str, &'a Flow)>) -> Table {
    let mut table = Table::new(["NODE", "POD", "DIRECTION", "PEER", "PORT", "TIMES", "VERDICT", "DECIDED BY"]);
    table.grouped = 2;
    for (node, flow) in flows {
        let shadow = flow.shadow.as_ref().map_or_else(String::new, |s| format!(" (shadow: {s})"));
        let tone = if flow.verdict == "deny" { Tone::Bad } else { Tone::Plain };
        table.row([
            node.into(),
            flow.pod.as_str().into(),
            flow.direction.as_str().into(),
            flow.peer.as_str().into(),
            format!("{} {}", flow.protocol, flow.port).into(),
            flow.times.to_string().into(),
            toned(tone, format!("{}{shadow}", flow.verdict)),
            flow.shadow_decided_by.as_ref().or(flow.decided_by.as_ref()).cloned().unwrap_or_default().into(),
        ]);
    }
    table
}

impl Report for FlowsView {
    const FORMATS: &'static [Format] = &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Csv];

    fn page(&self) -> Page {
        let mut page = Page::default();
        page.table(table(self.flows.iter().map(|f| (f.node.as_str(), &f.flow))));
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let head = ["node", "pod", "direction", "peer", "protocol", "port", "verdict", "shadow", "times", "decidedBy"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.flows.iter().map(|FlowView { node, flow }| {
            vec![
                node.clone(),
                flow.pod.clone(),
                flow.direction.clone(),
                flow.peer.clone(),
                flow.protocol.clone(),
                flow.port.to_string(),
                flow.verdict.clone(),
                flow.shadow.clone().unwrap_or_default(),
                flow.times.to_string(),
                flow.decided_by.clone().unwrap_or_default(),
            ]
        }));
        rows
    }
}

/// What was dropped.
#[derive(Debug, Serialize)]
pub struct DropsView {
    #[serde(flatten)]
    head: Head,
    /// By node.
    nodes: Vec<Drops>,
}

impl DropsView {
    /// Of these nodes.
    pub fn of(nodes: Vec<Drops>) -> Self {
        Self { head: Head::new("AgentDrops"), nodes }
    }
}

impl Report for DropsView {
    const FORMATS: &'static [Format] = BASIC;

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut reasons = Table::new(["NODE", "REASON", "PACKETS"]);
        reasons.grouped = 1;
        for drops in &self.nodes {
            for (reason, n) in &drops.reasons {
                reasons.row([drops.node.as_str().into(), reason.as_str().into(), n.to_string().into()]);
            }
        }
        page.table(reasons);
        page.table(table(self.nodes.iter().flat_map(|d| d.denied.iter().map(|f| (d.node.as_str(), f)))));
        page
    }
}
