//! The answer to one question.

use super::{ForeignView, Head, RuleView};
use crate::page::{Page, Text, Tone, toned, verdict};
use crate::render::{Format, Report};
use serde::Serialize;
use std::collections::BTreeSet;
use watertight_engine::Engine;
use watertight_engine::query::{Answer, depends_words, endpoint_name, half_words};
use watertight_model::{DependsOn, Direction, Half, L4, Verdict, World};

/// The answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerView {
    /// Absent in batches, where every line would repeat it.
    #[serde(flatten)]
    pub head: Option<Head>,
    /// `allow`, `deny` or `depends`.
    pub verdict: &'static str,
    /// Leaving the source.
    pub egress: HalfView,
    /// Entering the destination.
    pub ingress: HalfView,
    /// The answer in one sentence.
    pub reason: String,
    /// What a `depends` depends on, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Policies that could change the verdict and are not evaluated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_evaluated: Vec<ForeignView>,
    /// The distinct outcomes, where the pods or backends differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CaseView>,
}

/// One side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HalfView {
    /// `allow`, `deny` or `depends`.
    pub verdict: &'static str,
    /// Stable name of what decided, such as `policyAllow`; `mixed` where pods differ, `noBackend` where nobody answers.
    pub reason: &'static str,
    /// The rules that decided.
    pub decided_by: Vec<RuleView>,
    #[serde(skip)]
    words: String,
}

/// Pods and backends with the same outcome.
#[derive(Clone, Debug, Serialize)]
pub struct CaseView {
    /// An example of the source.
    pub from: String,
    /// An example of the destination.
    pub to: String,
    /// Protocol and port at the destination, such as `TCP 8080`.
    pub at: String,
    /// How many pairs it stands for.
    pub count: usize,
    /// `allow`, `deny` or `depends`.
    pub verdict: &'static str,
    /// Leaving the source.
    pub egress: HalfView,
    /// Entering the destination.
    pub ingress: HalfView,
}

impl AnswerView {
    /// The engine's answer.
    pub fn of(engine: &Engine<'_>, answer: &Answer) -> Self {
        let world = engine.world();
        let halves = |direction: Direction| -> Vec<&Half> {
            answer.cases.iter().map(|c| watertight_engine::explain::half(&c.verdict, direction)).collect()
        };
        let (egress, ingress) = (halves(Direction::Egress), halves(Direction::Ingress));
        let causes: BTreeSet<DependsOn> =
            egress.iter().chain(&ingress).flat_map(|h| h.depends_on.iter().copied()).collect();
        let foreign = causes.iter().filter_map(|cause| match cause {
            DependsOn::ForeignPolicy(i) => Some(ForeignView::of(world, &world.foreign_policies[*i as usize])),
            _ => None,
        });
        let case = |c: &watertight_engine::query::Case| CaseView {
            from: endpoint_name(engine, c.flow.from),
            to: endpoint_name(engine, c.flow.to),
            at: match c.flow.l4 {
                L4::Port(protocol, port) => format!("{protocol} {port}"),
                L4::Other => "protocols without ports".to_owned(),
            },
            count: c.count,
            verdict: c.verdict.verdict.name(),
            egress: HalfView::of(engine, Direction::Egress, &[&c.verdict.egress]),
            ingress: HalfView::of(engine, Direction::Ingress, &[&c.verdict.ingress]),
        };
        Self {
            head: None,
            verdict: answer.verdict.name(),
            egress: HalfView::of(engine, Direction::Egress, &egress),
            ingress: HalfView::of(engine, Direction::Ingress, &ingress),
            reason: answer.sentence.clone(),
            depends_on: causes.iter().map(|c| depends_words(engine, c)).collect(),
            not_evaluated: foreign.collect(),
            cases: if answer.cases.len() > 1 { answer.cases.iter().map(case).collect() } else { Vec::new() },
        }
    }
}

impl HalfView {
    /// Halves of one direction, over all cases.
    pub(crate) fn of(engine: &Engine<'_>, direction: Direction, halves: &[&Half]) -> Self {
        let world: &World = engine.world();
        let verdicts: BTreeSet<Verdict> = halves.iter().map(|h| h.verdict).collect();
        let reasons: BTreeSet<_> = halves.iter().map(|h| h.reason).collect();
        let rules: BTreeSet<_> = halves.iter().flat_map(|h| h.decided_by.iter().copied()).collect();
        let one = |list: BTreeSet<Verdict>| match list.iter().collect::<Vec<_>>().as_slice() {
            [] => Verdict::Deny,
            [one] => **one,
            _ => Verdict::Depends,
        };
        Self {
            verdict: one(verdicts).name(),
            reason: match reasons.iter().collect::<Vec<_>>().as_slice() {
                [] => "noBackend",
                [one] => one.name(),
                _ => "mixed",
            },
            decided_by: rules.iter().map(|r| RuleView::of(world, r)).collect(),
            words: match halves {
                [] => "nobody answers".to_owned(),
                [half, ..] if reasons.len() == 1 => half_words(engine, direction, half),
                _ => "the pods differ".to_owned(),
            },
        }
    }

    /// Verdict and reason for people.
    pub(crate) fn text(&self) -> Text {
        let tone = match self.verdict {
            "allow" => Tone::Good,
            "deny" => Tone::Bad,
            _ => Tone::Warn,
        };
        toned(tone, self.verdict).and(Tone::Plain, format!("  {}", self.words))
    }
}

impl Report for AnswerView {
    const FORMATS: &'static [Format] = crate::render::BASIC;

    fn page(&self) -> Page {
        let tone = match self.verdict {
            "allow" => verdict(Verdict::Allow),
            "deny" => verdict(Verdict::Deny),
            _ => verdict(Verdict::Depends),
        };
        let mut page = Page::default();
        page.line(tone.and(Tone::Plain, format!("  {}", self.reason)));
        let side = |name: &str, half: &HalfView| (name.to_owned(), half.text());
        let mut facts = vec![side("egress", &self.egress), side("ingress", &self.ingress)];
        for rule in self.egress.decided_by.iter().chain(&self.ingress.decided_by) {
            facts.push(("by".to_owned(), rule.words().into()));
        }
        page.facts(facts);
        if !self.cases.is_empty() {
            let mut table = crate::page::Table::new(["FROM", "TO", "AT", "PAIRS", "VERDICT", "EGRESS", "INGRESS"]);
            for c in &self.cases {
                table.row(
                    [
                        c.from.clone(),
                        c.to.clone(),
                        c.at.clone(),
                        c.count.to_string(),
                        c.verdict.to_owned(),
                        c.egress.words.clone(),
                        c.ingress.words.clone(),
                    ]
                    .map(Text::from),
                );
            }
            page.table(table);
        }
        page
    }
}
