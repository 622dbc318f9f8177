//! What is in reach of a taken workload.

use super::{ForeignView, Head, PortView, RuleView, UnreadView, cidrs, port_words, ports};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report, dot::Graph};
use crate::text::{count, percent};
use serde::Serialize;
use watertight_engine::blast::{BlastOptions, BlastRadius, Hop, Rank};
use watertight_model::{NamespaceId, World};

/// The radius of one workload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlastView {
    #[serde(flatten)]
    head: Head,
    /// `namespace/name` of the workload that was taken.
    pub from: String,
    from_kind: &'static str,
    /// Nodes were assumed to fall with their privileged pods.
    pub assume_node_compromise: bool,
    /// `depends` was counted as allowed.
    pub depends_as_allowed: bool,
    /// Workloads in reach, nearest first.
    pub reachable: Vec<ReachedView>,
    /// Their share of all other workloads with pods, 0 to 1.
    pub share: f64,
    /// Addresses outside that the workload itself may connect to.
    pub external: Vec<ExternalView>,
    /// Policies that could change the answer and are not evaluated.
    pub not_evaluated: Vec<ForeignView>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadView>,
}

/// A workload in reach.
#[derive(Clone, Debug, Serialize)]
pub struct ReachedView {
    /// `namespace/name`.
    pub workload: String,
    /// API kind.
    pub kind: &'static str,
    /// Connections needed.
    pub hops: u32,
    /// One shortest way.
    pub via: Vec<HopView>,
    /// Ports of the last step.
    pub ports: Vec<PortView>,
}

/// One step of a way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HopView {
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// Open ports.
    pub ports: Vec<PortView>,
    /// Rules that permit it; empty where no policy has a say.
    pub by: Vec<RuleView>,
    /// The step goes through the node that both run on.
    pub through_node: bool,
}

/// Addresses outside.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalView {
    /// Blocks.
    pub cidrs: Vec<String>,
    /// Ports.
    pub ports: Vec<PortView>,
    /// Every port of TCP, UDP and SCTP.
    pub all_ports: bool,
}

impl BlastView {
    /// The engine's answer.
    pub fn of(world: &World, radius: &BlastRadius, options: BlastOptions) -> Self {
        let hop = |h: &Hop| HopView {
            from: world.workload_name(h.from),
            to: world.workload_name(h.to),
            ports: ports(&h.ports),
            by: h.by.iter().map(|r| RuleView::of(world, r)).collect(),
            through_node: h.through_node,
        };
        let reached = |r: &watertight_engine::blast::Reached| ReachedView {
            workload: world.workload_name(r.workload),
            kind: world.workloads[r.workload.index()].kind.name(),
            hops: r.hops,
            ports: r.path.last().map_or_else(Vec::new, |h| ports(&h.ports)),
            via: r.path.iter().map(hop).collect(),
        };
        let outside = radius.external.iter().map(|(blocks, set)| ExternalView {
            cidrs: cidrs(blocks),
            ports: ports(set),
            all_ports: set.is_all(),
        });
        Self {
            head: Head::new("BlastRadius"),
            from: world.workload_name(radius.from),
            from_kind: world.workloads[radius.from.index()].kind.name(),
            assume_node_compromise: options.assume_node_compromise,
            depends_as_allowed: options.depends_as_allowed,
            reachable: radius.reachable.iter().map(reached).collect(),
            share: radius.share,
            external: outside.collect(),
            not_evaluated: ForeignView::all(world),
            unread: UnreadView::all(world),
        }
    }

    /// How far it goes, in one line.
    pub fn headline(&self) -> Text {
        let tone = if self.reachable.is_empty() { Tone::Good } else { Tone::Bad };
        Text::from(format!("{} {} reaches ", self.from_kind, self.from))
            .and(tone, count(self.reachable.len(), "workload"))
            .and(Tone::Plain, format!(", {} of the others", percent(self.share)))
    }

    /// What permits a step, in words.
    pub fn by(hop: &HopView) -> String {
        if hop.through_node {
            return "the node both run on".to_owned();
        }
        match hop.by.as_slice() {
            [] => "no policy has a say".to_owned(),
            rules => rules.iter().map(RuleView::words).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Report for BlastView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv, Format::Dot];

    fn page(&self) -> Page {
        let mut page = Page::default();
        page.line(self.headline());
        let mut table = Table::new(["HOPS", "WORKLOAD", "PORTS", "PERMITTED BY", "VIA"]);
        for r in &self.reachable {
            let via: Vec<&str> = r.via.iter().skip(1).map(|h| h.from.as_str()).collect();
            let via = if via.is_empty() { "directly".to_owned() } else { via.join(" > ") };
            let by = r.via.last().map_or_else(String::new, Self::by);
            table.row([
                r.hops.to_string().into(),
                format!("{} {}", r.kind, r.workload).into(),
                port_words(&r.ports).into(),
                by.into(),
                via.into(),
            ]);
        }
        page.table(table);
        let mut outside = Table::new(["OUTSIDE", "PORTS"]);
        for e in &self.external {
            outside.row([e.cidrs.join(", ").into(), port_words(&e.ports).into()]);
        }
        page.table(outside);
        if self.external.is_empty() {
            page.line("Nothing outside the cluster is in reach.");
        }
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["hops", "kind", "workload", "ports", "via"].map(str::to_owned).to_vec()];
        for r in &self.reachable {
            let via: Vec<&str> = r.via.iter().skip(1).map(|h| h.from.as_str()).collect();
            rows.push(vec![
                r.hops.to_string(),
                r.kind.to_owned(),
                r.workload.clone(),
                port_words(&r.ports),
                via.join(" > "),
            ]);
        }
        rows
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph { name: "blast", ..Graph::default() };
        let mut node = |name: &str| {
            let (namespace, short) = name.split_once('/').unwrap_or(("", name));
            graph.node(name, namespace, short);
        };
        node(&self.from);
        self.reachable.iter().for_each(|r| node(&r.workload));
        for hop in self.reachable.iter().filter_map(|r| r.via.last()) {
            graph.edges.push((hop.from.clone(), hop.to.clone(), port_words(&hop.ports), hop.through_node));
        }
        graph
    }
}

/// All workloads by radius.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RankingView {
    #[serde(flatten)]
    head: Head,
    /// Widest first.
    pub ranking: Vec<RankView>,
    /// Policies that could change the answer and are not evaluated.
    pub not_evaluated: Vec<ForeignView>,
}

/// One workload.
#[derive(Clone, Debug, Serialize)]
pub struct RankView {
    /// `namespace/name`.
    pub workload: String,
    /// API kind.
    pub kind: &'static str,
    /// Other workloads in reach.
    pub reachable: usize,
    /// Their share of all others, 0 to 1.
    pub share: f64,
}

impl RankingView {
    /// The engine's ranking, limited to the workloads of `scope`.
    pub fn of(world: &World, ranking: &[Rank], scope: Option<NamespaceId>) -> Self {
        let mine =
            ranking.iter().filter(|r| scope.is_none_or(|ns| world.workloads[r.workload.index()].namespace == ns));
        let view = |r: &Rank| RankView {
            workload: world.workload_name(r.workload),
            kind: world.workloads[r.workload.index()].kind.name(),
            reachable: r.reachable,
            share: r.share,
        };
        Self {
            head: Head::new("BlastRanking"),
            ranking: mine.map(view).collect(),
            not_evaluated: ForeignView::all(world),
        }
    }
}

impl Report for RankingView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["WORKLOAD", "REACHES", "SHARE"]);
        for r in &self.ranking {
            let tone = if r.reachable == 0 { Tone::Good } else { Tone::Plain };
            table.row([
                format!("{} {}", r.kind, r.workload).into(),
                r.reachable.to_string().into(),
                toned(tone, percent(r.share)),
            ]);
        }
        page.table(table);
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["kind", "workload", "reachable", "share"].map(str::to_owned).to_vec()];
        rows.extend(
            self.ranking.iter().map(|r| {
                vec![r.kind.to_owned(), r.workload.clone(), r.reachable.to_string(), format!("{:.4}", r.share)]
            }),
        );
        rows
    }
}
