//! What workloads are open to from pods that do not exist yet.

use super::shared::{Pool, PortList, Shared, Side};
use super::{ForeignView, Head, PartyView, RuleView, UnreadView};
use crate::page::{Page, Table, Text, Tone};
use crate::render::{Format, Report};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use watertight_engine::exposure::{Exposed, Future};
use watertight_model::{Direction, Labels, NamespaceId, World};

/// The list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposureView {
    #[serde(flatten)]
    head: Head,
    /// Policies that could change the list and are not evaluated.
    pub not_evaluated: Vec<ForeignView>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadView>,
    /// By workload, direction and pods.
    pub exposures: Vec<ExposedView>,
}

/// A workload and pods that do not exist yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposedView {
    /// The workload, or a part of it.
    pub workload: Shared<Side>,
    /// `ingress`: the pods reach it. `egress`: it reaches them.
    pub direction: &'static str,
    /// Which pods.
    pub pods: FutureView,
    /// Ports that are open for sure, beyond those that a wider group of pods has.
    pub ports: Shared<PortList>,
    /// Every port of TCP, UDP and SCTP.
    pub all_ports: bool,
    /// Further ports whose verdict is `depends`.
    #[serde(skip_serializing_if = "none")]
    pub depends_ports: Shared<PortList>,
    /// Rules of the workload's side that decide.
    pub decided_by: Vec<RuleView>,
    /// No policy has a say on some of the ports.
    pub by_default: bool,
    /// A policy that is not evaluated could change this entry.
    #[serde(rename = "notEvaluated", skip_serializing_if = "std::ops::Not::not")]
    pub may_change: bool,
}

/// Pods that do not exist yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FutureView {
    kind: &'static str,
    /// `null`: a namespace that does not exist yet.
    pub namespace: Option<String>,
    /// Labels that the new namespace needs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub namespace_labels: BTreeMap<String, String>,
    /// Labels that the pod needs.
    pub labels: BTreeMap<String, String>,
    #[serde(skip)]
    words: String,
}

impl FutureView {
    fn of(world: &World, future: &Future) -> Self {
        let none = Labels::default();
        let (namespace, home, labels) = match future {
            Future::Anyone => (None, &none, &none),
            Future::In(ns) => (Some(*ns), &none, &none),
            Future::Labelled(ns, labels) => (Some(*ns), &none, labels),
            Future::Elsewhere(home, labels) => (None, home, labels),
        };
        let namespace = namespace.map(|ns| world.namespaces[ns.index()].name.to_string());
        let pairs = |l: &Labels| l.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        let map = |l: &Labels| l.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let pods = match labels.is_empty() {
            true => "any new pod".to_owned(),
            false => format!("new pods with {}", pairs(labels)),
        };
        let words = match &namespace {
            Some(name) => format!("{pods} in {name}"),
            None if home.is_empty() => format!("{pods} in any namespace"),
            None => format!("{pods} in new namespaces with {}", pairs(home)),
        };
        Self { kind: "NewPod", namespace, namespace_labels: map(home), labels: map(labels), words }
    }
}

impl ExposureView {
    /// The engine's list, limited to what concerns `scope`.
    pub fn of(world: &World, list: &[Exposed], scope: Option<NamespaceId>) -> Self {
        let name = scope.map(|ns| world.namespaces[ns.index()].name.to_string());
        let mut pool = Pool::new(world);
        let mut view = |e: &Exposed| {
            let (workload, pods) = (pool.side(&e.party), FutureView::of(world, &e.future));
            let there = |ns: NamespaceId| pods.namespace.as_deref() == Some(&*world.namespaces[ns.index()].name);
            let foreign = world.foreign_policies.iter().any(|p| p.namespace.is_none_or(there));
            ExposedView {
                may_change: workload.foreign || foreign,
                workload,
                direction: e.direction.name(),
                ports: pool.ports(&e.ports.sure),
                all_ports: e.ports.sure.is_all(),
                depends_ports: pool.ports(&e.ports.possible.minus(&e.ports.sure)),
                decided_by: e.decided_by.iter().map(|r| RuleView::of(world, r)).collect(),
                by_default: e.by_default,
                pods,
            }
        };
        let mine = |e: &ExposedView| {
            let of = name.as_deref();
            of.is_none() || e.workload.view.namespace() == of || e.pods.namespace.as_deref() == of
        };
        Self {
            head: Head::new("Exposure"),
            not_evaluated: ForeignView::all(world),
            unread: UnreadView::all(world),
            exposures: list.iter().map(&mut view).filter(mine).collect(),
        }
    }

    /// True if no entry depends on anything.
    pub fn certain(&self) -> bool {
        self.exposures.iter().all(|e| e.depends_ports.is_empty() && !e.may_change)
    }
}

impl ExposedView {
    fn because(&self) -> String {
        let rules = self.decided_by.iter().map(RuleView::words);
        let default = self.by_default.then(|| "no policy has a say".to_owned());
        rules.chain(default).collect::<Vec<_>>().join(", ")
    }
}

impl Report for ExposureView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let parts = [
            (Direction::Ingress, "Open to pods that do not exist yet", "REACHED BY"),
            (Direction::Egress, "May reach pods that do not exist yet", "REACHES"),
        ];
        for (direction, heading, column) in parts {
            let list: Vec<&ExposedView> = self.exposures.iter().filter(|e| e.direction == direction.name()).collect();
            if list.is_empty() {
                continue;
            }
            page.heading(heading);
            let mut table = Table::new(["WORKLOAD", column, "PORTS", "BECAUSE"]);
            table.grouped = 1;
            for e in list {
                let mut cell = match e.ports.is_empty() {
                    true => Text::default(),
                    false => Text::from(e.ports.words.clone()),
                };
                if !e.depends_ports.is_empty() {
                    let lead = if e.ports.is_empty() { "" } else { "; " };
                    cell = cell.and(Tone::Warn, format!("{lead}depends: {}", e.depends_ports.words));
                }
                if e.may_change {
                    cell = cell.and(Tone::Warn, ", unless a policy that is not evaluated says otherwise");
                }
                table.row([e.workload.words.clone().into(), e.pods.words.as_str().into(), cell, e.because().into()]);
            }
            page.table(table);
        }
        if self.exposures.is_empty() {
            page.line("Nothing is open to pods that do not exist yet.");
        }
        if !self.not_evaluated.is_empty() {
            page.heading("Not evaluated");
            page.items(self.not_evaluated.iter().map(|p| p.words().into()).collect());
        }
        page
    }

    fn each_row(&self, row: &mut dyn FnMut(&[&str]) -> io::Result<()>) -> io::Result<()> {
        row(&[
            "kind",
            "namespace",
            "name",
            "part",
            "direction",
            "pods_namespace",
            "pods_namespace_labels",
            "pods_labels",
            "verdict",
            "protocol",
            "first_port",
            "last_port",
            "because",
        ])?;
        for e in &self.exposures {
            let pairs =
                |l: &BTreeMap<String, String>| l.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
            let (kind, namespace, name, part) = match &e.workload.view {
                PartyView::Inside { kind, namespace, name, part } => {
                    (*kind, namespace.as_str(), name.as_str(), part.as_ref().map_or_else(String::new, |p| p.join(" ")))
                }
                PartyView::Outside { kind, cidrs } => (*kind, "", "", cidrs.join(" ")),
            };
            let (home, labels, because) = (pairs(&e.pods.namespace_labels), pairs(&e.pods.labels), e.because());
            let there = e.pods.namespace.as_deref().unwrap_or_default();
            for (verdict, ports) in [("allow", &e.ports), ("depends", &e.depends_ports)] {
                for port in &ports.list {
                    let (first, last) = (port.from.to_string(), port.to.to_string());
                    let who = [kind, namespace, name, &part, e.direction, there, &home, &labels];
                    let what = [verdict, port.protocol, &first, &last, &because];
                    row(&who.into_iter().chain(what).collect::<Vec<&str>>())?;
                }
            }
        }
        Ok(())
    }

    fn title(&self) -> &'static str {
        "Exposure"
    }
}

fn none(ports: &Shared<PortList>) -> bool {
    ports.is_empty()
}
