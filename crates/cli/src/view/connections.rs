//! Who can talk to whom.

use super::{ForeignView, Head, PartyView, PortView, UnreadView, port_words, ports};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report, dot::Graph};
use serde::Serialize;
use watertight_engine::connections::{Connection, Party};
use watertight_model::{NamespaceId, World};

/// The list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsView {
    #[serde(flatten)]
    head: Head,
    /// Policies that could change the list and are not evaluated.
    pub not_evaluated: Vec<ForeignView>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadView>,
    /// Ordered pairs with an allowed port.
    pub connections: Vec<ConnectionView>,
    /// Ordered pairs where no port is allowed for sure, and some depend on what the input does not say.
    pub depends: Vec<ConnectionView>,
}

/// An ordered pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// Who opens connections.
    pub from: PartyView,
    /// Who receives them.
    pub to: PartyView,
    /// Allowed ports.
    pub ports: Vec<PortView>,
    /// Every port of TCP, UDP and SCTP is allowed.
    pub all_ports: bool,
    /// Further ports whose verdict is `depends`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_ports: Vec<PortView>,
    /// A policy that is not evaluated concerns one of the sides, and could change this entry.
    #[serde(rename = "notEvaluated", skip_serializing_if = "std::ops::Not::not")]
    pub may_change: bool,
}

impl ConnectionsView {
    /// The engine's list, limited to what concerns `scope`.
    pub fn of(world: &World, list: &[Connection], scope: Option<NamespaceId>) -> Self {
        let name = scope.map(|ns| world.namespaces[ns.index()].name.to_string());
        let concerns = |c: &ConnectionView| {
            name.as_deref().is_none_or(|ns| c.from.namespace() == Some(ns) || c.to.namespace() == Some(ns))
        };
        let foreign = |party: &Party| {
            let namespace = match party {
                Party::Workload { workload, .. } => world.workloads[workload.index()].namespace,
                Party::Pod(pod) => world.pods[pod.index()].namespace,
                Party::External(_) => return false,
            };
            world.foreign_policies.iter().any(|p| p.namespace.is_none_or(|ns| ns == namespace))
        };
        let view = |c: &Connection| ConnectionView {
            may_change: foreign(&c.from) || foreign(&c.to),
            from: PartyView::of(world, &c.from),
            to: PartyView::of(world, &c.to),
            ports: ports(&c.allowed),
            all_ports: c.allowed.is_all(),
            depends_ports: ports(&c.depends),
        };
        let (connections, depends) = list.iter().map(view).filter(concerns).partition(|c| !c.ports.is_empty());
        Self {
            head: Head::new("Connections"),
            not_evaluated: ForeignView::all(world),
            unread: UnreadView::all(world),
            connections,
            depends,
        }
    }

    /// True if no verdict in the list depends on anything.
    pub fn certain(&self) -> bool {
        self.depends.is_empty() && self.connections.iter().all(|c| c.depends_ports.is_empty() && !c.may_change)
    }

    fn all(&self) -> impl Iterator<Item = &ConnectionView> {
        self.connections.iter().chain(&self.depends)
    }
}

impl Report for ConnectionsView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Csv, Format::Dot];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["FROM", "TO", "PORTS"]);
        table.grouped = 1;
        for c in &self.connections {
            let mut cell: Text = port_words(&c.ports).into();
            if !c.depends_ports.is_empty() {
                cell = cell.and(Tone::Warn, format!("; depends: {}", port_words(&c.depends_ports)));
            }
            if c.may_change {
                cell = cell.and(Tone::Warn, ", unless a policy that is not evaluated says otherwise");
            }
            table.row([c.from.words().into(), c.to.words().into(), cell]);
        }
        page.table(table);
        if self.connections.is_empty() {
            page.line("No connection is allowed for sure.");
        }
        if !self.depends.is_empty() {
            page.heading("Depends on what the input does not say (ask `watertight query`)");
            let mut table = Table::new(["FROM", "TO", "PORTS"]);
            table.grouped = 1;
            for c in &self.depends {
                table.row([
                    c.from.words().into(),
                    c.to.words().into(),
                    toned(Tone::Warn, port_words(&c.depends_ports)),
                ]);
            }
            page.table(table);
        }
        if !self.not_evaluated.is_empty() {
            page.heading("Not evaluated");
            let name = |p: &ForeignView| match &p.namespace {
                Some(namespace) => format!("{} {namespace}/{}", p.kind, p.name),
                None => format!("{} {}", p.kind, p.name),
            };
            page.items(self.not_evaluated.iter().map(|p| name(p).into()).collect());
        }
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let head = [
            "from_kind",
            "from_namespace",
            "from_name",
            "from_part",
            "to_kind",
            "to_namespace",
            "to_name",
            "to_part",
            "verdict",
            "protocol",
            "first_port",
            "last_port",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for c in self.all() {
            for (verdict, list) in [("allow", &c.ports), ("depends", &c.depends_ports)] {
                for port in list {
                    let mut row: Vec<String> = cells(&c.from).into_iter().chain(cells(&c.to)).collect();
                    row.extend([
                        verdict.to_owned(),
                        port.protocol.to_owned(),
                        port.from.to_string(),
                        port.to.to_string(),
                    ]);
                    rows.push(row);
                }
            }
        }
        rows
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph { name: "connections", ..Graph::default() };
        for c in self.all() {
            for party in [&c.from, &c.to] {
                let label = match party {
                    PartyView::Inside { kind, name, part, .. } => {
                        format!(
                            "{kind} {name}{}",
                            part.as_ref().map_or_else(String::new, |p| format!(" ({})", p.join(", ")))
                        )
                    }
                    PartyView::Outside { cidrs, .. } => cidrs.join(", "),
                };
                graph.node(&id(party), party.namespace().unwrap_or(""), &label);
            }
            for (list, dashed) in [(&c.ports, false), (&c.depends_ports, true)] {
                if !list.is_empty() {
                    graph.edges.push((id(&c.from), id(&c.to), port_words(list), dashed));
                }
            }
        }
        graph
    }
}

fn cells(party: &PartyView) -> [String; 4] {
    match party {
        PartyView::Inside { kind, namespace, name, part } => [
            (*kind).to_owned(),
            namespace.clone(),
            name.clone(),
            part.as_ref().map_or_else(String::new, |p| p.join(" ")),
        ],
        PartyView::Outside { kind, cidrs } => [(*kind).to_owned(), String::new(), cidrs.join(" "), String::new()],
    }
}

fn id(party: &PartyView) -> String {
    match party {
        PartyView::Inside { kind, namespace, name, part } => {
            format!(
                "{kind}/{namespace}/{name}{}",
                part.as_ref().map_or_else(String::new, |p| format!("/{}", p.join(",")))
            )
        }
        PartyView::Outside { cidrs, .. } => cidrs.join(","),
    }
}
