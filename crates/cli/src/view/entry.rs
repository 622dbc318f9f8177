//! Ways in from outside the cluster.

use super::{PortView, RuleView};
use crate::page::{Table, verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::entry::{By, Doubt, Entry};
use watertight_model::{NamespaceId, PodId, Verdict, WorkloadId, World};

/// One object, and one workload that is reached through it on one port.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryView {
    /// `LoadBalancer`, `NodePort`, `Ingress`, `HTTPRoute` and so on.
    way: &'static str,
    namespace: String,
    name: String,
    /// The workload that is reached.
    to: String,
    to_kind: &'static str,
    /// Its pods that are, if not all of them have this verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<Vec<String>>,
    port: PortView,
    /// The port outside: the Service's, or the node's.
    #[serde(skip_serializing_if = "Option::is_none")]
    outer_port: Option<u16>,
    /// Addresses that the Service admits; empty: any.
    sources: Vec<String>,
    /// Workloads of the proxies that the traffic passes through.
    through: Vec<String>,
    #[serde(serialize_with = "name")]
    verdict: Verdict,
    /// What a `depends` rests on.
    depends_on: Vec<&'static str>,
    decided_by: Vec<RuleView>,
}

fn name<S: serde::Serializer>(verdict: &Verdict, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(verdict.name())
}

/// A doubt as a stable name.
fn doubt_name(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::ClientAddressHidden => "clientAddressHidden",
        Doubt::ProxyUnknown => "proxyUnknown",
        Doubt::ProxyEntryUnknown => "proxyEntryUnknown",
        Doubt::GatewayUnknown => "gatewayUnknown",
        Doubt::GrantUnknown => "grantUnknown",
        Doubt::NamespaceLabelsUnknown => "namespaceLabelsUnknown",
        Doubt::Policy => "policy",
    }
}

/// The same for people.
fn doubt_words(name: &str) -> &'static str {
    match name {
        "clientAddressHidden" => "whether a node puts its address in the place of the client's",
        "proxyUnknown" => "the proxy's pods, which are not in the input",
        "proxyEntryUnknown" => "how traffic comes to the proxy",
        "gatewayUnknown" => "the Gateway, which is not in the input",
        "grantUnknown" => "a ReferenceGrant",
        "namespaceLabelsUnknown" => "labels of the route's namespace",
        _ => "what `watertight query` says",
    }
}

/// What entries are shown together by.
type Key = (By, WorkloadId, (watertight_model::Protocol, u16), Option<u16>, Verdict, Vec<Doubt>);

impl EntryView {
    /// The engine's list by workload, limited to what concerns `scope`.
    pub(crate) fn all(engine: &Engine<'_>, entries: &[Entry], scope: Option<NamespaceId>) -> Vec<Self> {
        let world = engine.world();
        let mut groups: BTreeMap<Key, Vec<&Entry>> = BTreeMap::new();
        for e in entries {
            let pod = &world.pods[e.pod.index()];
            let concerns = scope.is_none_or(|ns| pod.namespace == ns || object(world, e.by).1 == ns);
            if concerns {
                let key = (e.by, pod.workload, (e.protocol, e.port), e.outer_port, e.verdict, e.doubts.clone());
                groups.entry(key).or_default().push(e);
            }
        }
        groups.into_iter().map(|(key, group)| Self::of(engine, key, &group)).collect()
    }

    fn of(engine: &Engine<'_>, key: Key, group: &[&Entry]) -> Self {
        let world = engine.world();
        let (by, workload, (protocol, port), outer_port, verdict, doubts) = key;
        let (way, namespace, name) = object(world, by);
        let live = world.pods.iter().filter(|p| p.workload == workload && !p.finished).count();
        let pods =
            (group.len() < live).then(|| group.iter().map(|e| world.pods[e.pod.index()].name.to_string()).collect());
        let mut through: Vec<String> = group.iter().flat_map(|e| &e.through).map(|p| of_pod(world, *p)).collect();
        through.sort();
        through.dedup();
        let decided_by = group.iter().find_map(|e| e.witness).map(|flow| engine.decide(&flow).ingress.decided_by);
        Self {
            way,
            namespace: world.namespaces[namespace.index()].name.to_string(),
            name: name.to_owned(),
            to: world.workload_name(workload),
            to_kind: world.workloads[workload.index()].kind.name(),
            pods,
            port: PortView { protocol: protocol.name(), from: port, to: port },
            outer_port,
            sources: group.first().map(|e| e.sources.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            through,
            verdict,
            depends_on: doubts.into_iter().map(doubt_name).collect(),
            decided_by: decided_by.unwrap_or_default().iter().map(|r| RuleView::of(world, r)).collect(),
        }
    }

    pub(crate) fn certain(&self) -> bool {
        self.verdict != Verdict::Depends
    }

    /// For people.
    pub(crate) fn table(entries: &[Self]) -> Table {
        let mut table = Table::new(["THROUGH", "TO", "PORT", "VERDICT"]);
        for e in entries {
            let mut through = format!("{} {}/{}", e.way, e.namespace, e.name);
            if !e.through.is_empty() {
                through += &format!(" and {}", e.through.join(", "));
            }
            if !e.sources.is_empty() {
                through += &format!(" from {}", e.sources.join(", "));
            }
            let pods = e.pods.as_ref().map_or_else(String::new, |p| format!(" ({})", p.join(", ")));
            let outer = match e.outer_port {
                Some(port) if port != e.port.from => format!("{port} to "),
                _ => String::new(),
            };
            let mut cell = verdict(e.verdict);
            if !e.depends_on.is_empty() {
                let words: Vec<&str> = e.depends_on.iter().map(|d| doubt_words(d)).collect();
                cell = cell.and(crate::page::Tone::Plain, format!(" on {}", words.join("; ")));
            }
            let port = format!("{outer}{} {}", e.port.protocol, e.port.from);
            table.row([through.into(), format!("{} {}{pods}", e.to_kind, e.to).into(), port.into(), cell]);
        }
        table
    }
}

/// What an object is called, and where it is.
fn object(world: &World, by: By) -> (&'static str, NamespaceId, &str) {
    match by {
        By::LoadBalancer(id) | By::NodePort(id) => {
            let service = &world.services[id.index()];
            let way = if matches!(by, By::LoadBalancer(_)) { "LoadBalancer" } else { "NodePort" };
            (way, service.namespace, &service.name)
        }
        By::Ingress(i) => {
            let ingress = &world.ingresses[i as usize];
            ("Ingress", ingress.namespace, &ingress.name)
        }
        By::Route(i) => {
            let route = &world.routes[i as usize];
            (route.kind.name(), route.namespace, &route.name)
        }
    }
}

fn of_pod(world: &World, pod: PodId) -> String {
    let workload = world.pods[pod.index()].workload;
    format!("{} {}", world.workloads[workload.index()].kind.name(), world.workload_name(workload))
}
