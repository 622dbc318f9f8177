//! Questions in people's terms: named workloads, pods, nodes, Services and addresses on both sides.

use crate::Engine;
use std::net::IpAddr;
use watertight_model::{FlowVerdict, NodeId, PodId, Protocol, ServiceId, Verdict, WorkloadId};

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
        let _ = engine;
        Err(UnknownTarget { text: text.to_owned(), why: String::new(), near: Vec::new() })
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who opens the connection.
    pub from: Target,
    /// Who receives it.
    pub to: Target,
    /// Protocol; `None`: an IP protocol without ports, such as ICMP.
    pub protocol: Option<Protocol>,
    /// Destination port: the pod's, or with [`Target::Service`] (or a Service's address) the Service's. Ignored without protocol.
    pub port: u16,
}

/// The answer for all pods and backends that the question stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Allow if all cases allow, Deny if all deny, else Depends.
    pub verdict: Verdict,
    /// The cases, one for each distinct outcome, with the first flow that has it; at least one unless the question is
    /// about a Service without backends.
    pub cases: Vec<Case>,
    /// The answer in one plain sentence, lower case, no full stop.
    pub sentence: String,
}

/// Pods and backends with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The first flow of this outcome.
    pub flow: watertight_model::Flow,
    /// Its verdict.
    pub verdict: FlowVerdict,
    /// How many flows have this outcome (same verdict, reasons and rules).
    pub count: usize,
}

/// Answers one question. Linear in the distinct classes of pods involved, not in pods.
pub fn answer(engine: &Engine<'_>, question: &Question) -> Answer {
    let _ = (engine, question);
    Answer { verdict: Verdict::Depends, cases: Vec::new(), sentence: String::new() }
}
