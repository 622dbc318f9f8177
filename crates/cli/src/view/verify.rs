//! Whether policies are enforced, and whether connections do what they say.

use super::Head;
use super::probe::{Compared, FORMATS};
use crate::page::{Page, Tone, toned};
use crate::render::{Format, Report};
use crate::text::number;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;
use watertight_engine::Engine;
use watertight_lab::canary::Pair;
use watertight_lab::probe::Probed;
use watertight_model::Family;

/// The answer of `verify`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyView {
    #[serde(flatten)]
    head: Head,
    source: &'static str,
    enforcement: Enforcement,
    /// Pairs of kinds of endpoints, and how many of them were tried.
    pairs: PairsView,
    /// Connections that were not tried, by reason: nothing is said of them.
    not_probed: Vec<NotProbedView>,
    #[serde(flatten)]
    compared: Compared,
}

#[derive(Debug, Serialize)]
struct PairsView {
    all: usize,
    tried: usize,
}

#[derive(Debug, Serialize)]
struct NotProbedView {
    reason: &'static str,
    connections: usize,
}

/// Whether anything enforces policies.
#[derive(Debug, Serialize)]
pub struct Enforcement {
    status: Status,
    canaries: Vec<CanaryView>,
    /// Nodes on which nothing could be tried.
    without: Vec<String>,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    NotEnforced,
    Undecided,
    Enforced,
}

/// One pair: a connection before, under and after a policy that turns its verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryView {
    node: String,
    family: &'static str,
    from: String,
    to: String,
    /// What the policies say without the canary's.
    before: &'static str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// From writing the policy to the first connection that met it.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    /// From taking it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    back_after_ms: Option<u64>,
}

fn ms(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok()
}

impl CanaryView {
    /// Nothing is known yet.
    pub fn of(pair: &Pair) -> Self {
        Self {
            node: pair.node.clone(),
            family: match pair.family {
                Family::V4 => "IPv4",
                Family::V6 => "IPv6",
            },
            from: pair.from.clone(),
            to: pair.to.clone(),
            before: pair.before.name(),
            status: Status::Undecided,
            why: None,
            after_ms: None,
            back_after_ms: None,
        }
    }

    /// The policy was met after this.
    pub fn after(&mut self, time: Duration) {
        self.after_ms = ms(time);
    }

    /// And its end after this.
    pub fn enforced(&mut self, back_after: Duration) {
        self.status = Status::Enforced;
        self.back_after_ms = ms(back_after);
    }

    /// Nobody holds to the policies.
    pub fn not_enforced(&mut self, why: &'static str) {
        self.status = Status::NotEnforced;
        self.why = Some(why);
    }

    /// It shows nothing.
    pub fn undecided(&mut self, why: &'static str) {
        self.status = Status::Undecided;
        self.why = Some(why);
    }
}

impl Enforcement {
    /// The worst of all pairs; without any, nothing is decided.
    pub fn of(canaries: Vec<CanaryView>, without: Vec<String>) -> Self {
        let status = canaries.iter().map(|c| c.status).min().unwrap_or(Status::Undecided);
        Self { status, canaries, without }
    }

    /// Every pair was seen to obey.
    pub fn holds(&self) -> bool {
        self.status == Status::Enforced
    }

    /// It is known whether policies are enforced.
    pub fn decided(&self) -> bool {
        self.status != Status::Undecided
    }

    /// Something was tried on every node.
    pub fn whole(&self) -> bool {
        self.without.is_empty()
    }

    /// `denials`: connections that the policies deny, and that did not come through.
    fn page(&self, page: &mut Page, denials: usize) {
        let with = |status: Status| self.canaries.iter().filter(move |c| c.status == status);
        let nodes: BTreeSet<&str> = with(self.status).map(|c| c.node.as_str()).collect();
        let families: BTreeSet<&str> = with(self.status).map(|c| c.family).collect();
        let list = |of: &BTreeSet<&str>| of.iter().copied().collect::<Vec<_>>().join(", ");
        let place = format!(" on {} over {}", list(&nodes), list(&families));
        let (tone, said, rest) = match self.status {
            Status::Enforced => {
                let slowest = with(Status::Enforced).filter_map(|c| c.after_ms.max(c.back_after_ms)).max();
                let within = slowest.unwrap_or(0) / 1000 + 1;
                let met = format!(": a policy was met, and its end as well, within {within} s");
                (Tone::Good, "policies are enforced", place + &met)
            }
            // What was in force before still is; whoever put it there does not look any more.
            Status::NotEnforced if denials > 0 => (Tone::Bad, "a new policy is not enforced", place),
            Status::NotEnforced => (Tone::Bad, "nothing enforces policies", place),
            Status::Undecided if self.canaries.is_empty() => {
                (Tone::Warn, "undecided", ": no two pods could be tried".to_owned())
            }
            Status::Undecided => (Tone::Warn, "undecided whether policies are enforced", place),
        };
        page.line(toned(tone, said).and(Tone::Plain, rest));
        if self.status != Status::Enforced {
            let line = |c: &CanaryView| {
                format!("{} to {} over {}: {}", c.from, c.to, c.family, c.why.unwrap_or("not tried to the end"))
            };
            page.items(with(self.status).map(|c| line(c).into()).collect());
        }
        if !self.without.is_empty() {
            page.line(toned(Tone::Warn, format!("not tried on {}: no pair of pods", self.without.join(", "))));
        }
    }
}

impl VerifyView {
    /// Of a lab.
    pub fn of_lab(engine: &Engine<'_>, enforcement: Enforcement, probed: &Probed, summary: bool) -> Self {
        let not =
            [("the sample leaves it out", probed.left_out), ("this kernel has no SCTP sockets", probed.without_sctp)];
        let not_probed = not.into_iter().filter(|(_, n)| *n > 0);
        Self {
            head: Head::new("Verification"),
            source: "lab",
            enforcement,
            pairs: PairsView { all: probed.pairs, tried: probed.pairs_tried },
            not_probed: not_probed.map(|(reason, connections)| NotProbedView { reason, connections }).collect(),
            compared: Compared::of(engine, probed, summary),
        }
    }
}

impl Report for VerifyView {
    const FORMATS: &'static [Format] = FORMATS;

    fn page(&self) -> Page {
        let mut page = Page::default();
        self.enforcement.page(&mut page, self.compared.denials());
        let left: usize = self.not_probed.iter().map(|n| n.connections).sum();
        let pairs = format!("{} of {}", number(self.pairs.tried), number(self.pairs.all));
        self.compared.counts(
            &mut page,
            &[("not probed".to_owned(), number(left)), ("pairs of kinds that were tried".to_owned(), pairs)],
        );
        self.compared.table(&mut page);
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.compared.rows()
    }
}
