//! What a lint reports.

use crate::fix::Fix;
use std::cmp::{Ordering, Reverse};
use watertight_model::{Flow, Origin, World};

/// SARIF's words. `error`: the policy does not do what it says, traffic will break, or a declared boundary is open.
/// `warning`: wider or weaker than needed. `note`: hygiene, or the intent cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Hygiene, or the intent cannot be known.
    Note,
    /// Wider or weaker than needed.
    Warning,
    /// Does not do what it says, breaks traffic, or opens a declared boundary.
    Error,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }

    /// Default score for SARIF's `security-severity`, 0 to 10.
    pub fn score(self) -> f64 {
        match self {
            Severity::Error => 7.0,
            Severity::Warning => 5.0,
            Severity::Note => 2.0,
        }
    }

    /// One step less, for findings that objects outside the input could disprove.
    #[must_use]
    pub fn lowered(self) -> Self {
        match self {
            Severity::Error => Severity::Warning,
            Severity::Warning | Severity::Note => Severity::Note,
        }
    }
}

/// How far a finding can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// True whatever else exists.
    Proved,
    /// True of the objects given; objects that were not given could change it.
    InInput,
    /// Rests on an assumption that the message names.
    Assumed,
}

impl Status {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Status::Proved => "proved",
            Status::InInput => "in-input",
            Status::Assumed => "assumed",
        }
    }
}

/// One finding: one root cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The lint's code, such as `WT0051`.
    pub rule: &'static str,
    /// The lint's name, such as `dns-egress-forgotten`.
    pub name: &'static str,
    /// How bad.
    pub severity: Severity,
    /// SARIF `security-severity`, 0 to 10; an error of 9 or more is critical.
    pub score: f64,
    /// How far it can be trusted.
    pub status: Status,
    /// Plain words with the concrete effect; one line, no full stop at the end.
    pub message: String,
    /// What it is about, such as `NetworkPolicy shop/db-in` or `namespace dev`.
    pub object: String,
    /// Where that is written, if it is.
    pub at: Option<Origin>,
    /// What to do, in one line.
    pub help: Option<String>,
    /// YAML that was checked by the engine: each, alone, removes the finding.
    pub fixes: Vec<Fix>,
    /// The smallest flow that shows it.
    pub witness: Option<Flow>,
    /// How many flows, pods or pairs it concerns; what is counted stands in the message.
    pub affected: usize,
}

/// How much of the cluster the answer rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certainty {
    /// Nothing is missing: every kind and namespace was read, and every policy kind is evaluated.
    pub whole: bool,
    /// What is missing, in words.
    pub missing: Vec<String>,
}

impl Certainty {
    pub(crate) fn of(world: &World) -> Self {
        let mut missing: Vec<String> = world
            .unread
            .iter()
            .map(|u| match &u.namespace {
                Some(ns) => format!("{} of namespace {ns} could not be read: {}", u.what, u.why),
                None => format!("{} could not be read: {}", u.what, u.why),
            })
            .collect();
        let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        world.foreign_policies.iter().for_each(|p| *kinds.entry(&p.kind).or_default() += 1);
        missing.extend(kinds.iter().map(|(kind, n)| format!("{n} {kind} objects are not evaluated")));
        let undeclared = world.namespaces.iter().filter(|n| !n.declared).count();
        if undeclared > 0 {
            missing.push(format!(
                "the labels of {undeclared} namespaces are not known: their objects are not in the input"
            ));
        }
        Self { whole: missing.is_empty(), missing }
    }
}

/// Worst first, then by rule, object, place and message.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(order);
}

/// The order of [`sort`].
pub(crate) fn order(a: &Finding, b: &Finding) -> Ordering {
    let key = |f: &Finding| (Reverse(f.severity), f.rule, f.at);
    b.score
        .total_cmp(&a.score)
        .then_with(|| key(a).cmp(&key(b)))
        .then_with(|| (&a.object, &a.message).cmp(&(&b.object, &b.message)))
}

impl Finding {
    /// Whether it is about a namespace or an object in it.
    pub fn is_in_namespace(&self, name: &str) -> bool {
        let mut words = self.object.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(kind), Some(word), None) => {
                word.split_once('/').is_some_and(|(ns, _)| ns == name)
                    || (kind.eq_ignore_ascii_case("namespace") && word == name)
            }
            _ => false,
        }
    }

    /// The same with another severity, and the score that goes with it.
    #[must_use]
    pub(crate) fn at_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self.score = severity.score();
        self
    }
}

/// `a`, `a and b`, `a, b and 3 more`: enough names to recognise, few enough to read.
pub fn some(names: &[String]) -> String {
    /// Names that are written out.
    const SHOWN: usize = 3;
    match names {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [a, b] => format!("{a} and {b}"),
        [a, b, c] => format!("{a}, {b} and {c}"),
        more => format!("{} and {} more", more[..SHOWN].join(", "), more.len() - SHOWN),
    }
}
