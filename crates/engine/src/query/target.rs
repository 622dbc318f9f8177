//! Names of things as people write them.

use crate::Engine;
use std::net::IpAddr;
use watertight_model::spelling::{NEAR, near};
use watertight_model::{NodeId, PodId, ServiceId, WorkloadId};

/// One side of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One pod.
    Pod(PodId),
    /// All pods of a workload.
    Workload(WorkloadId),
    /// A node.
    Node(NodeId),
    /// An address: a pod's, a node's, a Service's or an external one.
    Ip(IpAddr),
    /// A Service (destination only): its backends.
    Service(ServiceId),
}

/// A name that stands for nothing in this world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTarget {
    /// What was asked for.
    pub text: String,
    /// Why it stands for nothing, in words.
    pub why: String,
    /// Names that are near.
    pub near: Vec<String>,
}

impl Target {
    /// Reads `namespace/name` (a pod, else a workload; `Kind/namespace/name` picks a kind), `ip:ADDRESS`, `node:NAME`,
    /// `service:NAMESPACE/NAME`.
    ///
    /// # Errors
    /// [`UnknownTarget`] if the world has no such thing, with near names.
    pub fn parse(engine: &Engine<'_>, text: &str) -> Result<Self, UnknownTarget> {
        let world = engine.world();
        let unknown = |why: &str, near: Vec<String>| UnknownTarget { text: text.to_owned(), why: why.to_owned(), near };
        if let Some(ip) = text.strip_prefix("ip:") {
            return ip.parse().map(Target::Ip).map_err(|_| unknown("not an IP address", Vec::new()));
        }
        if let Some(name) = text.strip_prefix("node:") {
            let names = world.nodes.iter().map(|n| n.name.to_string());
            return world.node(name).map(Target::Node).ok_or_else(|| unknown("no such node", near(name, names)));
        }
        let (service, rest) = match text.strip_prefix("service:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [namespace, name] => (None, *namespace, *name),
            [kind, namespace, name] if !service => (Some(*kind), *namespace, *name),
            _ => {
                return Err(unknown(
                    "want namespace/name, ip:ADDRESS, node:NAME or service:NAMESPACE/NAME",
                    Vec::new(),
                ));
            }
        };
        let Some(ns) = world.namespace(namespace) else {
            let names = world.namespaces.iter().map(|n| format!("{}/{name}", n.name));
            return Err(unknown("no such namespace", near(rest, names)));
        };
        if service {
            let here = world.services.iter().filter(|s| s.namespace == ns);
            let names = here.map(|s| format!("service:{namespace}/{}", s.name));
            return world
                .service(ns, name)
                .map(Target::Service)
                .ok_or_else(|| unknown("no such Service", near(text, names)));
        }
        if let (None | Some("Pod"), Some(pod)) = (kind, world.pod(ns, name)) {
            return Ok(Target::Pod(pod));
        }
        let named = world.workloads_named(ns, name);
        let mut matching = named.iter().filter(|w| kind.is_none_or(|k| world.workloads[w.index()].kind.name() == k));
        match (matching.next(), matching.next()) {
            (Some(one), None) => Ok(Target::Workload(*one)),
            (Some(one), Some(_)) => {
                let all = named.iter().map(|w| format!("{}/{rest}", world.workloads[w.index()].kind)).collect();
                let kind = world.workloads[one.index()].kind;
                Err(unknown(&format!("several workloads have this name, {kind} among them: say which"), all))
            }
            (None, _) => {
                let workloads =
                    world.workloads.iter().filter(|w| w.namespace == ns).map(|w| format!("{namespace}/{}", w.name));
                let pods = world.pods.iter().filter(|p| p.namespace == ns).map(|p| format!("{namespace}/{}", p.name));
                let elsewhere = world.workloads.iter().filter(|w| *w.name == *name);
                let elsewhere = elsewhere.map(|w| format!("{}/{name}", world.namespaces[w.namespace.index()].name));
                let mut close = near(rest, workloads.chain(pods));
                close.extend(elsewhere);
                close.dedup();
                close.truncate(NEAR);
                Err(unknown("no such pod or workload", close))
            }
        }
    }
}
