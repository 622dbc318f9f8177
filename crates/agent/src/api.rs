//! What the agent of a node can be asked over its socket, and what it answers: one JSON object a line each way.
//!
//! The keys are part of the contract in `docs/json.md`.

use serde::{Deserialize, Serialize};
pub use watertight_cni::protocol::{DIRECTORY, Gate, Isolated};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "ask")]
pub enum Ask {
    /// How is it?
    Status,
    /// Who talked to whom, allowed.
    Flows,
    /// What was dropped, with the deciding rule, and the counters.
    Drops,
    /// What is measured.
    Measures,
    /// Is this pod, of which nothing runs yet, isolated? Answered when it is, or when it cannot be.
    Gate(Gate),
}

/// How an agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node.
    pub node: String,
    /// Which state of the cluster.
    pub revision: Revision,
    /// Pods that are guarded.
    pub pods: usize,
    /// Every pod of this node is guarded by what was seen last, and the kernel was found to hold it.
    pub enforcing: bool,
    /// Policies without a mode of their own are only watched, not enforced.
    pub shadow: bool,
    /// Devices that are pods', and not known whose: nothing passes them. In words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<String>,
    /// What of the cluster may have changed without our knowledge; empty: nothing. What is in force stays meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Stale>,
    /// What is not as it should be, in words; empty: nothing.
    pub degraded: Vec<String>,
    /// What users should know about the policies, in words.
    pub notes: Vec<String>,
    /// The epoch that packets see.
    pub epoch: u64,
    /// From the change to what was read back, for the last change, in microseconds.
    pub last_apply_us: u64,
    /// Map writes of the last change.
    pub last_writes: usize,
}

/// A kind of object whose changes the agent may have missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stale {
    /// The kind: `networkpolicies.networking.k8s.io`.
    pub what: String,
    /// Since it was last known to be current, in milliseconds.
    pub age_ms: u64,
    /// What is in the way, in words.
    pub why: String,
}

/// A count of the states of the cluster that this agent has seen since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The newest that was seen.
    pub seen: u64,
    /// The newest that is in force, read back. 0: none since the start; what an earlier agent left is in force.
    pub applied: u64,
}

/// An edge of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// The pod of this node.
    pub pod: String,
    /// `egress`: the pod opened it; `ingress`: the other side did.
    pub direction: String,
    /// The other side: a pod, a node, or an address.
    pub peer: String,
    /// `TCP`, `UDP`, `SCTP`, or the number of the IP protocol.
    pub protocol: String,
    /// Port at the receiver; 0 for protocols without.
    pub port: u16,
    /// `allow` or `deny`, as enforced.
    pub verdict: String,
    /// What policies in shadow would say, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// Flows that were opened; packets that were dropped.
    pub times: u64,
    /// What decided; `None`: it was decided before this agent started, by a rule that is no more.
    pub decided_by: Option<String>,
    /// What decided in shadow, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_decided_by: Option<String>,
}

/// What was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drops {
    /// The node.
    pub node: String,
    /// Packets by reason; reasons that did not occur are left out.
    pub reasons: Vec<(String, u64)>,
    /// Other counters.
    pub counters: Vec<(String, u64)>,
    /// Denied edges, with the rule.
    pub denied: Vec<Flow>,
}

/// What is measured of a node. Counts are since the agent started, those of packets and flows since the maps were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measures {
    /// How it is.
    pub status: Status,
    /// Since the cluster was last known whole and current, in milliseconds; 0: it is.
    pub source_age_ms: u64,
    /// From the notice of a change until it was read back, of all states brought into force.
    pub apply: Histogram,
    /// From the question until the answer that a pod may begin.
    #[serde(default)]
    pub gate: Histogram,
    /// States that could not be brought into force, or not be read.
    pub refusals: u64,
    /// Looks at the kernel that found something to repair.
    pub repairs: u64,
    /// Map writes.
    pub writes: u64,
    /// Edges in the ledger; counted at most every ten seconds.
    pub edges: Edges,
    /// Packets dropped by reason, all reasons.
    pub drops: Vec<(String, u64)>,
    /// Other counters of the programs.
    pub counters: Vec<(String, u64)>,
}

/// How many edges the ledger has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    /// Allowed.
    pub allowed: usize,
    /// Denied.
    pub denied: usize,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// By bound (1, 2.5, 5, 10 ms and so on to 10 s): how many took no longer.
    pub below: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// How long they took together, in microseconds.
    pub sum_us: u64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer", content = "of")]
pub enum Answer {
    /// To [`Ask::Status`].
    Status(Status),
    /// To [`Ask::Flows`].
    Flows(Vec<Flow>),
    /// To [`Ask::Drops`].
    Drops(Drops),
    /// To [`Ask::Measures`].
    Measures(Box<Measures>),
    /// To [`Ask::Gate`]: it is.
    Gated(Isolated),
    /// The question could not be answered.
    Failed(String),
}
