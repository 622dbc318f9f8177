//! Which assertions hold, and why the others do not.

use super::query::HalfView;
use super::{ForeignView, Head, UnreadView};
use crate::diagnostics::PlaceView;
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::results::{Item, Level, Outcome as Became, Results, Rule, Span};
use crate::render::{Format, Report};
use crate::snippet::{Excerpt, Mark};
use crate::text::count;
use serde::Serialize;
use watertight_assert::file::words;
use watertight_assert::{Assertion, Assertions, Outcome, Status, Unmatched, Why, Witness, closing};
use watertight_engine::Engine;
use watertight_engine::explain::explain;
use watertight_engine::query::{endpoint_name, why};
use watertight_model::{Direction, L4, Source};

/// The outcome of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestView {
    #[serde(flatten)]
    head: Head,
    /// Assertions that hold.
    pub passed: usize,
    /// Assertions that fail.
    pub failed: usize,
    /// Assertions that speak of flows whose verdict depends on something.
    pub unclear: usize,
    /// All assertions, in the order written.
    pub assertions: Vec<AssertionView>,
    /// Policies that could change the answer and are not evaluated.
    pub not_evaluated: Vec<ForeignView>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadView>,
}

/// One assertion.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssertionView {
    /// Its name.
    pub name: String,
    /// `holds` or `fails`.
    pub status: &'static str,
    /// Why it fails: `denied`, `allowed`, `depends`, `matchesNothing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// In one sentence.
    pub message: String,
    /// `must`, `mustNot` or `may`.
    pub reach: &'static str,
    /// Who, in words.
    pub from: String,
    /// Whom, in words.
    pub to: String,
    /// Pairs that were asked about.
    pub pairs: usize,
    /// Pairs that break it.
    pub failing: usize,
    /// Pairs whose verdict depends on something.
    pub unclear: usize,
    /// Where it is written.
    #[serde(flatten)]
    pub place: Option<PlaceView>,
    /// A flow that breaks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessView>,
    /// The smallest changes that together make the witness right; the engine was asked again with them made. They do not say
    /// that nothing else breaks the assertion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FixView>,
    /// Parts that mean nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<UnmatchedView>,
    #[serde(skip)]
    excerpts: Vec<Excerpt>,
    #[serde(skip)]
    span: Option<Span>,
}

/// A flow that breaks an assertion.
#[derive(Debug, Serialize)]
pub struct WitnessView {
    /// The source.
    pub from: String,
    /// The destination.
    pub to: String,
    /// Protocol and port at the destination.
    pub at: String,
    /// `allow`, `deny` or `depends`.
    pub verdict: &'static str,
    /// Leaving the source.
    pub egress: HalfView,
    /// Entering the destination.
    pub ingress: HalfView,
}

/// An edit.
#[derive(Debug, Serialize)]
pub struct FixView {
    /// What to do.
    pub sentence: String,
    /// The rule to add, or a new policy; absent where something has to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
}

/// A part that means nobody.
#[derive(Debug, Serialize)]
pub struct UnmatchedView {
    /// The part, in words.
    pub what: String,
    /// Why it means nobody.
    pub why: String,
    /// What may have been meant.
    pub near: Vec<String>,
    /// Where it is written.
    #[serde(flatten)]
    pub place: Option<PlaceView>,
}

impl TestView {
    /// The outcomes of all assertions.
    pub fn of(engine: &Engine<'_>, assertions: &Assertions, outcomes: &[Outcome]) -> Self {
        let view = |(a, o): (&Assertion, &Outcome)| AssertionView::of(engine, &assertions.sources, a, o);
        let list: Vec<AssertionView> = assertions.list.iter().zip(outcomes).map(view).collect();
        let failed = list.iter().filter(|a| a.why.is_some()).count();
        Self {
            head: Head::new("TestResult"),
            passed: list.len() - failed,
            failed,
            unclear: list.iter().filter(|a| a.unclear > 0).count(),
            assertions: list,
            not_evaluated: ForeignView::all(engine.world()),
            unread: UnreadView::all(engine.world()),
        }
    }
}

impl AssertionView {
    fn of(engine: &Engine<'_>, sources: &[Source], assertion: &Assertion, outcome: &Outcome) -> Self {
        let reason = match outcome.status {
            Status::Holds => None,
            Status::Fails(why) => Some(why),
        };
        let place = PlaceView::of(sources, assertion.origin);
        let end = (assertion.origin.end_line, assertion.origin.end_column);
        Self {
            name: assertion.name.clone(),
            status: if reason.is_some() { "fails" } else { "holds" },
            why: reason.map(Why::name),
            message: message(engine, outcome, reason),
            reach: assertion.mode.name(),
            from: words(&assertion.from),
            to: words(&assertion.to),
            pairs: outcome.pairs,
            failing: outcome.failing,
            unclear: outcome.unclear,
            span: place.as_ref().map(|p| Span::new(p, end)),
            place,
            witness: outcome.witness.as_ref().map(|w| WitnessView::of(engine, w)),
            changes: reason.map_or_else(Vec::new, |why| changes(engine, outcome, why)),
            unmatched: outcome.unmatched.iter().map(|u| UnmatchedView::of(sources, u)).collect(),
            excerpts: excerpts(engine, sources, outcome),
        }
    }

    /// What to do, in one line.
    fn help(&self) -> Option<String> {
        let near = self.unmatched.iter().find(|u| !u.near.is_empty());
        let near = near.map(|u| format!("did you mean `{}`?", u.near.join("` or `")));
        let change = (!self.changes.is_empty())
            .then(|| self.changes.iter().map(|c| c.sentence.as_str()).collect::<Vec<_>>().join("; "));
        near.or(change)
    }
}

fn at(l4: L4) -> String {
    match l4 {
        L4::Port(protocol, port) => format!("{protocol} {port}"),
        L4::Other => "protocols without ports".to_owned(),
    }
}

fn message(engine: &Engine<'_>, outcome: &Outcome, reason: Option<Why>) -> String {
    let Some(reason) = reason else {
        let pairs = count(outcome.pairs, "pair");
        return match outcome.unclear {
            0 => format!("{pairs} asked"),
            n => format!("{pairs} asked, {n} of them unclear"),
        };
    };
    let flow = outcome.witness.as_ref().filter(|_| reason != Why::MatchesNothing).map(|w| {
        let (from, to) = (endpoint_name(engine, w.flow.from), endpoint_name(engine, w.flow.to));
        let verb = match reason {
            Why::Allowed => "reaches",
            Why::Denied => "does not reach",
            Why::Depends | Why::MatchesNothing => "may or may not reach",
        };
        let of = match outcome.pairs {
            1 => String::new(),
            pairs => format!(" ({} of {} fail)", outcome.failing, count(pairs, "pair")),
        };
        format!("{from} {verb} {to} on {}: {}{of}", at(w.flow.l4), why(engine, &w.verdict))
    });
    flow.unwrap_or_else(|| {
        let nobody = outcome.unmatched.iter().map(|u| format!("{} means nobody: {}", u.what, u.why));
        nobody.collect::<Vec<_>>().join("; ")
    })
}

fn changes(engine: &Engine<'_>, outcome: &Outcome, reason: Why) -> Vec<FixView> {
    let Some(witness) = &outcome.witness else { return Vec::new() };
    match reason {
        Why::Denied => {
            let found = explain(engine, &witness.flow).changes;
            found.into_iter().map(|c| FixView { sentence: c.sentence, yaml: Some(c.yaml) }).collect()
        }
        Why::Allowed => {
            let found = closing(engine, &witness.flow).unwrap_or_default();
            found.into_iter().map(|edit| FixView { sentence: edit.words(engine), yaml: None }).collect()
        }
        Why::Depends | Why::MatchesNothing => Vec::new(),
    }
}

/// The rules that decided the witness, and the parts of the assertion that mean nobody.
fn excerpts(engine: &Engine<'_>, sources: &[Source], outcome: &Outcome) -> Vec<Excerpt> {
    let world = engine.world();
    let mark = |at, label: String, primary| Mark { at, label, primary };
    let mut rules = Vec::new();
    if let (Some(witness), Status::Fails(_)) = (&outcome.witness, outcome.status) {
        for half in [&witness.verdict.egress, &witness.verdict.ingress] {
            if half.verdict != witness.verdict.verdict {
                continue;
            }
            for rule in &half.decided_by {
                let label = match rule.rule {
                    Some(_) => "decides it".to_owned(),
                    None => format!("isolates for {}, and no rule admits it", rule.direction.name()),
                };
                rules.push(mark(super::rule_origin(world, rule), label, true));
            }
        }
    }
    let nobody = outcome.unmatched.iter().map(|u| mark(u.at, "means nobody".to_owned(), true)).collect::<Vec<_>>();
    [Excerpt::cut(sources, &nobody), Excerpt::cut(&world.sources, &rules)]
        .into_iter()
        .filter(|e| !e.is_empty())
        .collect()
}

impl WitnessView {
    fn of(engine: &Engine<'_>, witness: &Witness) -> Self {
        Self {
            from: endpoint_name(engine, witness.flow.from),
            to: endpoint_name(engine, witness.flow.to),
            at: at(witness.flow.l4),
            verdict: witness.verdict.verdict.name(),
            egress: HalfView::of(engine, Direction::Egress, &[&witness.verdict.egress]),
            ingress: HalfView::of(engine, Direction::Ingress, &[&witness.verdict.ingress]),
        }
    }
}

impl UnmatchedView {
    fn of(sources: &[Source], unmatched: &Unmatched) -> Self {
        Self {
            what: unmatched.what.clone(),
            why: unmatched.why.clone(),
            near: unmatched.near.clone(),
            place: PlaceView::of(sources, unmatched.at),
        }
    }
}

impl Report for TestView {
    const FORMATS: &'static [Format] = &[
        Format::Table,
        Format::Json,
        Format::Yaml,
        Format::Markdown,
        Format::Html,
        Format::Csv,
        Format::Tap,
        Format::Junit,
        Format::Github,
        Format::Sarif,
    ];

    fn page(&self) -> Page {
        let mut page = Page::default();
        let mut table = Table::new(["ASSERTION", "REACH", "RESULT", "BECAUSE"]);
        for a in &self.assertions {
            let result = match a.why {
                None => toned(Tone::Good, "holds"),
                Some(why) => toned(Tone::Bad, "fails").and(Tone::Plain, format!(" ({})", spoken(why))),
            };
            table.row([a.name.as_str().into(), a.reach.into(), result, a.message.as_str().into()]);
        }
        page.table(table);
        for a in self.assertions.iter().filter(|a| a.why.is_some()) {
            let place = a.place.as_ref().map_or_else(String::new, |p| format!(" ({})", p.words()));
            page.heading(format!("{}{place}", a.name));
            page.line(a.message.as_str());
            a.excerpts.iter().for_each(|e| {
                page.excerpt(e.clone());
            });
            let mut items: Vec<Text> = Vec::new();
            for u in &a.unmatched {
                if !u.near.is_empty() {
                    items.push(format!("{}: did you mean `{}`?", u.what, u.near.join("` or `")).into());
                }
            }
            page.items(items);
            let aim = match a.why {
                Some("allowed") => "to deny this flow",
                _ => "to allow this flow",
            };
            if a.changes.is_empty() && matches!(a.why, Some("allowed" | "denied")) {
                page.line(format!("{aim}: no small change of policies does it"));
            }
            for (i, change) in a.changes.iter().enumerate() {
                let lead = if i == 0 { format!("{aim} (checked)") } else { "and".to_owned() };
                page.line(format!("{lead}: {}", change.sentence));
                if let Some(yaml) = &change.yaml {
                    page.code("yaml", yaml.as_str());
                }
            }
        }
        let (passed, failed) = (count(self.passed, "assertion"), self.failed);
        let verb = if self.passed == 1 { "holds" } else { "hold" };
        let tone = if failed > 0 { Tone::Bad } else { Tone::Good };
        page.line(toned(tone, format!("{passed} {verb}, {failed} fail{}", if failed == 1 { "s" } else { "" })));
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let head = ["status", "why", "reach", "name", "message", "pairs", "failing", "file", "line", "column"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for a in &self.assertions {
            let (file, line, column) =
                a.place.as_ref().map_or((String::new(), 0, 0), |p| (p.file.clone(), p.line, p.column));
            rows.push(vec![
                a.status.to_owned(),
                a.why.unwrap_or_default().to_owned(),
                a.reach.to_owned(),
                a.name.clone(),
                a.message.clone(),
                a.pairs.to_string(),
                a.failing.to_string(),
                file,
                line.to_string(),
                column.to_string(),
            ]);
        }
        rows
    }

    fn results(&self) -> Results {
        let item = |a: &AssertionView| Item {
            rule: "assertion".to_owned(),
            name: String::new(),
            level: Level::Error,
            score: 0.0,
            outcome: if a.why.is_some() { Became::Fail } else { Became::Pass },
            object: a.name.clone(),
            message: a.message.clone(),
            help: a.help(),
            place: a.span.clone(),
            fingerprint: String::new(),
        };
        let rule = Rule {
            code: "assertion".to_owned(),
            name: "assertion".to_owned(),
            summary: "An assertion about who reaches whom".to_owned(),
            page: "Assertions are written beside the manifests; `watertight test` checks them.".to_owned(),
            level: Level::Error,
            score: 0.0,
        };
        Results {
            command: "test",
            rules: vec![rule],
            items: self.assertions.iter().map(item).collect(),
            ..Results::default()
        }
    }

    fn title(&self) -> &'static str {
        "Assertions"
    }
}

/// A reason as people read it.
fn spoken(why: &str) -> &str {
    match why {
        "matchesNothing" => "means nobody",
        why => why,
    }
}
