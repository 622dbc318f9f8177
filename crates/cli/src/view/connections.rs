//! Who can talk to whom.

use super::entry::EntryView;
use super::shared::{Pool, PortList, Shared, Side};
use super::{ForeignView, Head, PartyView, UnreadView};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report, dot::Graph};
use serde::Serialize;
use std::borrow::Cow;
use std::io;
use watertight_engine::Engine;
use watertight_engine::connections::Connection;
use watertight_engine::entry::Entry;
use watertight_model::NamespaceId;

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
    /// Ways in from outside: through load balancers, node ports, Ingresses and routes. Left out if there is no such object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from_outside: Vec<EntryView>,
}

/// An ordered pair.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// Who opens connections.
    pub from: Shared<Side>,
    /// Who receives them.
    pub to: Shared<Side>,
    /// Allowed ports.
    pub ports: Shared<PortList>,
    /// Every port of TCP, UDP and SCTP is allowed.
    pub all_ports: bool,
    /// Further ports whose verdict is `depends`.
    #[serde(skip_serializing_if = "none")]
    pub depends_ports: Shared<PortList>,
    /// A policy that is not evaluated concerns one of the sides, and could change this entry.
    #[serde(rename = "notEvaluated", skip_serializing_if = "std::ops::Not::not")]
    pub may_change: bool,
}

impl ConnectionsView {
    /// The engine's list, limited to what concerns `scope`.
    pub fn of(engine: &Engine<'_>, list: &[Connection], entries: &[Entry], scope: Option<NamespaceId>) -> Self {
        let world = engine.world();
        let name = scope.map(|ns| world.namespaces[ns.index()].name.to_string());
        let concerns = |c: &ConnectionView| {
            let inside = |side: &Side| side.view.namespace() == name.as_deref();
            name.is_none() || inside(&c.from) || inside(&c.to)
        };
        let mut pool = Pool::new(world);
        let mut view = |c: &Connection| {
            let (from, to) = (pool.side(&c.from), pool.side(&c.to));
            ConnectionView {
                may_change: from.foreign || to.foreign,
                from,
                to,
                ports: pool.ports(&c.allowed),
                all_ports: c.allowed.is_all(),
                depends_ports: pool.ports(&c.depends),
            }
        };
        let (connections, depends) = list.iter().map(&mut view).filter(concerns).partition(|c| !c.ports.is_empty());
        Self {
            head: Head::new("Connections"),
            not_evaluated: ForeignView::all(world),
            unread: UnreadView::all(world),
            connections,
            depends,
            from_outside: EntryView::all(engine, entries, scope),
        }
    }

    /// True if no verdict in the list depends on anything.
    pub fn certain(&self) -> bool {
        self.depends.is_empty()
            && self.from_outside.iter().all(EntryView::certain)
            && self.connections.iter().all(|c| c.depends_ports.is_empty() && !c.may_change)
    }

    fn all(&self) -> impl Iterator<Item = &ConnectionView> {
        self.connections.iter().chain(&self.depends)
    }
}

impl Report for ConnectionsView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv, Format::Dot];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["FROM", "TO", "PORTS"]);
        table.grouped = 1;
        for c in &self.connections {
            let mut cell = Text::from(c.ports.words.clone());
            if !c.depends_ports.is_empty() {
                cell = cell.and(Tone::Warn, format!("; depends: {}", c.depends_ports.words));
            }
            if c.may_change {
                cell = cell.and(Tone::Warn, ", unless a policy that is not evaluated says otherwise");
            }
            table.row([c.from.words.clone().into(), c.to.words.clone().into(), cell]);
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
                    c.from.words.clone().into(),
                    c.to.words.clone().into(),
                    toned(Tone::Warn, c.depends_ports.words.clone()),
                ]);
            }
            page.table(table);
        }
        if !self.from_outside.is_empty() {
            page.heading("In from outside, through an object that brings traffic in");
            page.table(EntryView::table(&self.from_outside));
        }
        if !self.not_evaluated.is_empty() {
            page.heading("Not evaluated");
            page.items(self.not_evaluated.iter().map(|p| p.words().into()).collect());
        }
        page
    }

    fn each_row(&self, row: &mut dyn FnMut(&[&str]) -> io::Result<()>) -> io::Result<()> {
        row(&[
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
        ])?;
        for c in self.all() {
            let (from, to) = (cells(&c.from.view), cells(&c.to.view));
            for (verdict, ports) in [("allow", &c.ports), ("depends", &c.depends_ports)] {
                for port in &ports.list {
                    let (first, last) = (port.from.to_string(), port.to.to_string());
                    let sides = from.iter().chain(&to).map(|cell| &**cell);
                    row(&sides.chain([verdict, port.protocol, &first, &last]).collect::<Vec<&str>>())?;
                }
            }
        }
        Ok(())
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph { name: "connections", ..Graph::default() };
        for c in self.all() {
            for party in [&c.from.view, &c.to.view] {
                let label = match party {
                    PartyView::Inside { kind, name, part, .. } => {
                        let part = part.as_ref().map_or_else(String::new, |p| format!(" ({})", p.join(", ")));
                        format!("{kind} {name}{part}")
                    }
                    PartyView::Outside { cidrs, .. } => cidrs.join(", "),
                };
                graph.node(&id(party), party.namespace().unwrap_or(""), &label);
            }
            for (ports, dashed) in [(&c.ports, false), (&c.depends_ports, true)] {
                if !ports.is_empty() {
                    graph.edges.push((id(&c.from.view), id(&c.to.view), ports.words.to_string(), dashed));
                }
            }
        }
        graph
    }
}

fn none(ports: &Shared<PortList>) -> bool {
    ports.is_empty()
}

fn cells(party: &PartyView) -> [Cow<'_, str>; 4] {
    match party {
        PartyView::Inside { kind, namespace, name, part } => {
            let part = part.as_ref().map_or(Cow::Borrowed(""), |p| p.join(" ").into());
            [(*kind).into(), namespace.into(), name.into(), part]
        }
        PartyView::Outside { kind, cidrs } => [(*kind).into(), "".into(), cidrs.join(" ").into(), "".into()],
    }
}

fn id(party: &PartyView) -> String {
    match party {
        PartyView::Inside { kind, namespace, name, part } => {
            let part = part.as_ref().map_or_else(String::new, |p| format!("/{}", p.join(",")));
            format!("{kind}/{namespace}/{name}{part}")
        }
        PartyView::Outside { cidrs, .. } => cidrs.join(","),
    }
}
