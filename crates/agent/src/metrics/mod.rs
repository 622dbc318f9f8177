//! What an agent measures, for Prometheus: the text of one scrape.
//!
//! In: [`Measures`] of each node of this process, which `tally` keeps. Out: the text exposition format, version 0.0.4. It asks nobody;
//! `http` does.

pub(crate) mod http;
mod tally;

pub(crate) use tally::Tally;

use crate::api::{Histogram, Measures};
use std::fmt::Write;

/// Upper bounds of the histogram of how long a change takes, in microseconds.
const BOUNDS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

impl Histogram {
    /// Counts one that took so long.
    pub(crate) fn observe(&mut self, us: u64) {
        self.below.resize(BOUNDS_US.len(), 0);
        // Each bound counts all that are not above it.
        BOUNDS_US.iter().zip(&mut self.below).filter(|(bound, _)| us <= **bound).for_each(|(_, n)| *n += 1);
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

/// The text of a scrape.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Microseconds as seconds, without a float in between.
fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

type Read = fn(&Measures) -> u64;

/// Name, kind, help, value: one sample a node.
const SINGLE: &[(&str, &str, &str, Read)] = &[
    ("watertight_revision_seen", "gauge", "States of the cluster seen since the agent started.", |m| {
        m.status.revision.seen
    }),
    (
        "watertight_revision_applied",
        "gauge",
        "The newest state that is in force, read back from the kernel; 0: none since the start.",
        |m| m.status.revision.applied,
    ),
    (
        "watertight_enforcing",
        "gauge",
        "1: every pod of the node is guarded by the newest state, and the kernel was found to hold it.",
        |m| u64::from(m.status.enforcing),
    ),
    ("watertight_shadow", "gauge", "1: policies without a mode of their own are only watched.", |m| {
        u64::from(m.status.shadow)
    }),
    ("watertight_degraded", "gauge", "Things that are not as they should be.", |m| count(m.status.degraded.len())),
    ("watertight_pods_guarded", "gauge", "Pods of the node that are guarded.", |m| count(m.status.pods)),
    ("watertight_applies_total", "counter", "States brought into force.", |m| m.apply.count),
    ("watertight_refusals_total", "counter", "States that could not be brought into force, or not be read.", |m| {
        m.refusals
    }),
    ("watertight_repairs_total", "counter", "Looks at the kernel that found something to repair.", |m| m.repairs),
    ("watertight_map_writes_total", "counter", "Writes to the kernel's maps for states brought into force.", |m| {
        m.writes
    }),
];

/// Counters of the datapath by their names in it: name, help.
const COUNTERS: &[(&str, &str, &str)] = &[
    ("packets", "watertight_packets_total", "Packets seen at the gates."),
    (
        "doubtPassed",
        "watertight_doubtful_packets_passed_total",
        "Packets that could not be judged, of pods that no policy has a say for: passed.",
    ),
    (
        "flowUntracked",
        "watertight_flows_untracked_total",
        "Flows that passed without being remembered: the table was full.",
    ),
    ("flowsNew", "watertight_flows_opened_total", "Flows opened."),
    ("flowsJudgedAgain", "watertight_flows_judged_again_total", "Flows judged again after a change."),
    ("flowsExpired", "watertight_flows_expired_total", "Flows that were forgotten after a silence."),
    ("edgeLost", "watertight_edges_lost_total", "Edges that the ledger had no room for."),
    ("eventLost", "watertight_edge_events_lost_total", "New edges that are in the ledger and whose event was lost."),
    ("shadowDenied", "watertight_shadow_denied_total", "What was allowed and policies in shadow would deny."),
    (
        "deferred",
        "watertight_service_decisions_deferred_total",
        "Decisions on Services left until the backend is known.",
    ),
    ("decided", "watertight_service_decisions_total", "Decisions on Services made on their backend."),
];

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The text for these nodes; `None`: that one does not answer.
pub(crate) fn text(nodes: &[(String, Option<Measures>)], resident: Option<u64>) -> String {
    let mut out = Text::default();
    let there = || nodes.iter().filter_map(|(name, m)| m.as_ref().map(|m| (name.as_str(), m)));
    out.family("watertight_build_info", "gauge", "Which program this is.");
    out.sample("watertight_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    if let Some(bytes) = resident {
        out.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
        out.sample("process_resident_memory_bytes", &[], bytes);
    }
    out.family(
        "watertight_answering",
        "gauge",
        "1: the agent of the node answers; without it there is nothing else of it.",
    );
    for (node, measures) in nodes {
        out.sample("watertight_answering", &[("node", node)], u8::from(measures.is_some()));
    }
    for (name, kind, help, read) in SINGLE {
        out.family(name, kind, help);
        there().for_each(|(node, m)| out.sample(name, &[("node", node)], read(m)));
    }
    let name = "watertight_source_age_seconds";
    out.family(name, "gauge", "Since the cluster was last known whole and current; 0: it is.");
    there().for_each(|(node, m)| out.sample(name, &[("node", node)], seconds(m.source_age_ms.saturating_mul(1000))));
    let name = "watertight_apply_duration_seconds";
    out.family(name, "histogram", "From the notice of a change until it was read back from the kernel.");
    there().for_each(|(node, m)| histogram(&mut out, name, node, &m.apply));
    let name = "watertight_gate_duration_seconds";
    out.family(name, "histogram", "From the question of the pod-start gate until the answer that the pod may begin.");
    there().for_each(|(node, m)| histogram(&mut out, name, node, &m.gate));
    let name = "watertight_ledger_edges";
    out.family(name, "gauge", "Who talked to whom: edges in the kernel's ledger.");
    for (node, m) in there() {
        for (verdict, edges) in [("allow", m.edges.allowed), ("deny", m.edges.denied)] {
            out.sample(name, &[("node", node), ("verdict", verdict)], edges);
        }
    }
    let name = "watertight_dropped_packets_total";
    out.family(name, "counter", "Packets dropped, by reason.");
    for (node, m) in there() {
        for (reason, packets) in &m.drops {
            out.sample(name, &[("node", node), ("reason", reason)], packets);
        }
    }
    for (key, name, help) in COUNTERS {
        out.family(name, "counter", help);
        for (node, m) in there() {
            let value = m.counters.iter().find(|(k, _)| k == key).map_or(0, |(_, n)| *n);
            out.sample(name, &[("node", node)], value);
        }
    }
    out.0
}

fn histogram(out: &mut Text, name: &str, node: &str, of: &Histogram) {
    let bucket = format!("{name}_bucket");
    for (i, bound) in BOUNDS_US.iter().enumerate() {
        let below = of.below.get(i).copied().unwrap_or_default();
        let bound = seconds(*bound);
        let bound = bound.trim_end_matches('0').trim_end_matches('.');
        out.sample(&bucket, &[("node", node), ("le", bound)], below);
    }
    out.sample(&bucket, &[("node", node), ("le", "+Inf")], of.count);
    out.sample(&format!("{name}_sum"), &[("node", node)], seconds(of.sum_us));
    out.sample(&format!("{name}_count"), &[("node", node)], of.count);
}

#[cfg(test)]
mod tests;
