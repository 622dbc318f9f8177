//! What was learned, and what candidate policies would deny.

use super::{Head, PortView, port_words, ports};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::recordings::time;
use crate::render::Report;
use crate::text::{count, number, percent};
use serde::Serialize;
use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::query::why;
use watertight_flows::{Completeness, Resolved, Unresolved};
use watertight_learn::replay::end_name;
use watertight_learn::{Edge, Excluded, Learned};
use watertight_model::World;

/// The result of learning.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LearnedView {
    #[serde(flatten)]
    head: Head,
    /// How many policies.
    pub policies: usize,
    /// Edges that they rest on.
    pub edges: usize,
    certificate: CertificateView,
    /// Recorded flows that could not be placed in the cluster.
    pub unexplained: Vec<UnexplainedView>,
    /// What was left out, with the reason.
    pub excluded: Vec<ExcludedView>,
    /// Edges that a person should look at.
    pub review: Vec<ReviewView>,
    /// Workloads without a policy, because nothing was seen of them.
    pub idle: Vec<String>,
    evidence: EvidenceView,
    /// The policies.
    pub learned: Vec<PolicyView>,
    /// Where they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateView {
    holds: bool,
    flows_observed: u64,
    flows_allowed: u64,
    excess_pairs: usize,
    baseline_pairs: usize,
    open_pairs: usize,
    ungoverned_pairs: usize,
    node_pairs: usize,
    failures: Vec<FailureView>,
    excess: Vec<ExcessView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureView {
    #[serde(flatten)]
    edge: EdgeView,
    verdict: &'static str,
    reason: String,
    after_rollout: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExcessView {
    from: String,
    to: String,
    ports: Vec<PortView>,
    whole_pair: bool,
}

/// A recorded flow without a place in the cluster.
#[derive(Debug, Serialize)]
pub struct UnexplainedView {
    pub(super) id: String,
    pub(super) edge: String,
    pub(super) why: String,
    pub(super) count: u64,
}

/// An edge, in the spelling of `query`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeView {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) protocol: &'static str,
    pub(super) port: u16,
    pub(super) count: u64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    pub(super) days: u32,
}

/// What was left out.
#[derive(Debug, Serialize)]
pub struct ExcludedView {
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edge: Option<EdgeView>,
    why: String,
}

/// An edge to look at.
#[derive(Debug, Serialize)]
pub struct ReviewView {
    #[serde(flatten)]
    edge: EdgeView,
    why: String,
    accepted: bool,
}

/// How far the recording can be trusted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceView {
    /// Nothing is known to be missing.
    pub complete: bool,
    first: Option<String>,
    last: Option<String>,
    lost_events: u64,
    observations: u64,
    edges: usize,
    seen_once: usize,
    missing_mass: f64,
    estimated_edges: f64,
    /// CronJobs that the window does not cover.
    pub incomplete: Vec<ScheduleView>,
}

/// A CronJob that the window does not cover.
#[derive(Debug, Serialize)]
pub struct ScheduleView {
    workload: String,
    runs: usize,
    next: Option<String>,
}

/// A learned policy.
#[derive(Debug, Serialize)]
pub struct PolicyView {
    workload: String,
    policy: String,
    rules: Vec<EvidencedView>,
    yaml: String,
}

#[derive(Debug, Serialize)]
struct EvidencedView {
    direction: &'static str,
    rule: usize,
    words: String,
    edges: Vec<String>,
    count: u64,
    first: Option<String>,
    last: Option<String>,
}

pub(super) fn edge_view(engine: &Engine<'_>, edge: &Edge) -> EdgeView {
    EdgeView {
        id: edge.id.to_string(),
        from: end_name(engine, &edge.from),
        to: end_name(engine, &edge.to),
        protocol: edge.protocol.name(),
        port: edge.port,
        count: edge.count,
        first: time(edge.first),
        last: time(edge.last),
        days: edge.days,
    }
}

impl EdgeView {
    fn words(&self) -> String {
        format!("{} to {} {} {}", self.from, self.to, self.protocol, self.port)
    }
}

pub(super) fn unexplained(resolved: &Resolved) -> Vec<UnexplainedView> {
    let view = |u: &Unresolved| UnexplainedView {
        id: u.id.clone(),
        edge: u.words.clone(),
        why: u.why.clone(),
        count: u.count,
    };
    resolved.unresolved.iter().map(view).collect()
}

impl EvidenceView {
    fn of(world: &World, completeness: &Completeness) -> Self {
        let schedules = completeness.unseen_schedules.iter().map(|s| ScheduleView {
            workload: world.workload_name(s.workload),
            runs: s.runs,
            next: s.next.and_then(time),
        });
        Self {
            complete: completeness.is_complete(),
            first: time(completeness.first),
            last: time(completeness.last),
            lost_events: completeness.lost,
            observations: completeness.observations,
            edges: completeness.edges,
            seen_once: completeness.once,
            missing_mass: completeness.missing_mass,
            estimated_edges: completeness.estimated_edges,
            incomplete: schedules.collect(),
        }
    }

    fn notes(&self) -> Vec<Text> {
        let mut items: Vec<Text> = Vec::new();
        for s in &self.incomplete {
            let ran = match s.runs {
                0 => "did not run in the window",
                _ => "ran only once in the window",
            };
            let next = s.next.as_ref().map_or_else(String::new, |n| format!(", next runs {n}"));
            items.push(
                toned(Tone::Warn, "evidence incomplete").and(Tone::Plain, format!(": {} {ran}{next}", s.workload)),
            );
        }
        if self.lost_events > 0 {
            let lost = count(usize::try_from(self.lost_events).unwrap_or(usize::MAX), "event");
            items
                .push(toned(Tone::Warn, "evidence incomplete").and(Tone::Plain, format!(": the recorder lost {lost}")));
        }
        items
    }
}

impl LearnedView {
    /// The learner's result.
    pub fn of(engine: &Engine<'_>, learned: &Learned, resolved: &Resolved, completeness: &Completeness) -> Self {
        let world = engine.world();
        let certificate = &learned.certificate;
        let failure = |f: &watertight_learn::Failure| FailureView {
            edge: edge_view(engine, &f.edge),
            verdict: f.verdict.verdict.name(),
            reason: why(engine, &f.verdict),
            after_rollout: f.after_rollout,
        };
        let excess = |e: &watertight_learn::Excess| ExcessView {
            from: world.workload_name(e.from),
            to: world.workload_name(e.to),
            ports: ports(&e.ports),
            whole_pair: e.whole_pair,
        };
        let excluded = |e: &Excluded| match e {
            Excluded::Edge { edge, why } => {
                ExcludedView { workload: None, edge: Some(edge_view(engine, edge)), why: why.words() }
            }
            Excluded::Workload { workload, why } => {
                ExcludedView { workload: Some(world.workload_name(*workload)), edge: None, why: why.words() }
            }
        };
        let review = |r: &watertight_learn::Review| ReviewView {
            edge: edge_view(engine, &r.edge),
            why: r.why.words(),
            accepted: r.accepted,
        };
        let policy = |p: &watertight_learn::LearnedPolicy| PolicyView {
            workload: world.workload_name(p.workload),
            policy: format!("{}/{}", world.namespaces[p.policy.namespace.index()].name, p.policy.name),
            rules: p
                .rules
                .iter()
                .map(|r| EvidencedView {
                    direction: r.direction.name(),
                    rule: r.rule,
                    words: r.words.clone(),
                    edges: r.edges.iter().map(ToString::to_string).collect(),
                    count: r.count,
                    first: time(r.first),
                    last: time(r.last),
                })
                .collect(),
            yaml: p.yaml.clone(),
        };
        Self {
            head: Head::new("Learned"),
            policies: learned.policies.len(),
            edges: learned.accepted.len(),
            certificate: CertificateView {
                holds: certificate.holds(),
                flows_observed: certificate.flows_observed,
                flows_allowed: certificate.flows_allowed,
                excess_pairs: certificate.excess.iter().filter(|e| e.whole_pair).count(),
                baseline_pairs: certificate.baseline_pairs,
                open_pairs: certificate.open_pairs,
                ungoverned_pairs: certificate.ungoverned_pairs,
                node_pairs: certificate.node_pairs,
                failures: certificate.failures.iter().map(failure).collect(),
                excess: certificate.excess.iter().map(excess).collect(),
            },
            unexplained: unexplained(resolved),
            excluded: learned.excluded.iter().map(excluded).collect(),
            review: learned.review.iter().map(review).collect(),
            idle: learned.idle.iter().map(|w| world.workload_name(*w)).collect(),
            evidence: EvidenceView::of(world, completeness),
            learned: learned.policies.iter().map(policy).collect(),
            out: None,
        }
    }

    /// True if nothing is known to be missing from the evidence.
    pub fn whole(&self) -> bool {
        self.evidence.complete && self.unexplained.is_empty()
    }

    /// Edges to look at; those from many outside addresses to one workload are one row.
    fn review_rows(&self) -> Vec<(String, &str, bool)> {
        let mut rows = Vec::new();
        let mut outside: BTreeMap<(String, &str, bool), usize> = BTreeMap::new();
        for r in &self.review {
            if r.edge.from.starts_with("ip:") {
                let to = format!("{} {} {}", r.edge.to, r.edge.protocol, r.edge.port);
                *outside.entry((to, &r.why, r.accepted)).or_default() += 1;
            } else {
                rows.push((r.edge.words(), r.why.as_str(), r.accepted));
            }
        }
        let addresses = |n| format!("{} {}", number(n), if n == 1 { "outside address" } else { "outside addresses" });
        rows.extend(
            outside.into_iter().map(|((to, why, accepted), n)| (format!("{} to {to}", addresses(n)), why, accepted)),
        );
        rows
    }

    /// Pairs that are open and were never seen: the first of them.
    fn excess(&self, page: &mut Page) {
        /// Rows that are shown.
        const SHOWN: usize = 20;
        let pairs: Vec<&ExcessView> = self.certificate.excess.iter().filter(|e| e.whole_pair).collect();
        let mut table = Table::new(["OPEN AND NEVER SEEN", "TO", "PORTS"]);
        table.grouped = 1;
        for e in pairs.iter().take(SHOWN) {
            table.row([e.from.as_str().into(), e.to.as_str().into(), port_words(&e.ports).into()]);
        }
        page.table(table);
        if pairs.len() > SHOWN {
            page.line(format!("and {} more: -o json", number(pairs.len() - SHOWN)));
        }
    }

    /// What the evidence cannot show, in words.
    pub fn notes(&self) -> Vec<Text> {
        self.evidence.notes()
    }

    /// The policies' names and texts, for writing.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.learned.iter().map(|p| (p.policy.as_str(), p.yaml.as_str()))
    }

    /// One policy's text, for showing.
    pub fn yaml_of(&self, workload: &str) -> Option<&str> {
        self.learned.iter().find(|p| p.workload == workload).map(|p| p.yaml.as_str())
    }

    /// The certificate in words.
    pub fn facts(&self) -> Vec<(String, Text)> {
        let c = &self.certificate;
        let big = |n: u64| number(usize::try_from(n).unwrap_or(usize::MAX));
        let tone = if c.holds { Tone::Good } else { Tone::Bad };
        let certificate = format!(
            "{} of {} observed connections stay allowed, checked twice (engine and oracle)",
            big(c.flows_allowed),
            big(c.flows_observed)
        );
        #[expect(clippy::cast_precision_loss, reason = "counts of pairs are far below 2^52")]
        let share = if c.baseline_pairs == 0 { 0.0 } else { c.open_pairs as f64 / c.baseline_pairs as f64 };
        let fact = |name: &str, text: Text| (name.to_owned(), text);
        vec![
            fact("Policies", format!("{}, from {}", number(self.policies), count(self.edges, "edge")).into()),
            fact("Certificate", toned(tone, certificate)),
            fact(
                "Open pairs",
                format!("{} before, {} after ({})", number(c.baseline_pairs), number(c.open_pairs), percent(share))
                    .into(),
            ),
            fact("Excess", format!("{} open that were never seen", count(c.excess_pairs, "pair")).into()),
            fact(
                "Not governed",
                format!("{} where neither side has a learned policy", count(c.ungoverned_pairs, "pair")).into(),
            ),
            fact(
                "Through nodes",
                format!(
                    "{} with a hostNetwork side, which no NetworkPolicy closes for certain",
                    count(c.node_pairs, "pair")
                )
                .into(),
            ),
        ]
    }
}

impl Report for LearnedView {
    fn page(&self) -> Page {
        let mut page = Page::default();
        page.facts(self.facts());
        page.items(self.notes());
        let mut table = Table::new(["CERTIFICATE FAILS FOR", "WHY"]);
        for f in &self.certificate.failures {
            let when = if f.after_rollout { "after the next rollout: " } else { "" };
            table.row([f.edge.words().into(), format!("{when}{}", f.reason).into()]);
        }
        page.table(table);
        let mut table = Table::new(["LOOK AT", "WHY", "IN THE POLICIES"]);
        for (what, why, accepted) in self.review_rows() {
            let accepted = if accepted { Text::from("yes") } else { toned(Tone::Warn, "no") };
            table.row([what.into(), why.into(), accepted]);
        }
        page.table(table);
        self.excess(&mut page);
        let mut table = Table::new(["LEFT OUT", "WHY"]);
        for e in &self.excluded {
            let what = match (&e.workload, &e.edge) {
                (Some(workload), _) => workload.clone(),
                (None, Some(edge)) => edge.words(),
                (None, None) => String::new(),
            };
            table.row([what.into(), e.why.as_str().into()]);
        }
        for u in &self.unexplained {
            table.row([u.edge.as_str().into(), u.why.as_str().into()]);
        }
        for workload in &self.idle {
            table.row([workload.as_str().into(), "nothing was seen of it: a policy would cut it off".into()]);
        }
        page.table(table);
        if let Some(out) = &self.out {
            page.line(format!("Written to `{out}`."));
        }
        page
    }
}
