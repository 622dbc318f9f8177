//! Why a connection is allowed or denied, on the user's own lines.

use super::query::{AnswerView, HalfView};
use super::{RuleView, rule_origin};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report};
use crate::snippet::{Excerpt, Mark};
use serde::Serialize;
use watertight_engine::Engine;
use watertight_engine::explain::{Change, Explanation, Miss, RuleSays, half, words};
use watertight_engine::query::{Answer, Case, endpoint_name};
use watertight_model::{Direction, L4, PolicyRef, Reason, RuleRef, Verdict, World, manifest};

/// The explanation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationView {
    /// The answer, as `query` gives it.
    #[serde(flatten)]
    pub answer: AnswerView,
    /// One explanation for each distinct outcome.
    pub explained: Vec<CaseView>,
}

/// One outcome, explained by an example.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseView {
    /// The source.
    pub from: String,
    /// The destination.
    pub to: String,
    /// Protocol and port at the destination.
    pub at: String,
    /// How many pairs of pods it stands for.
    pub count: usize,
    /// `allow`, `deny` or `depends`.
    pub verdict: &'static str,
    /// Every policy that was asked, in order.
    pub steps: Vec<StepView>,
    /// Rules that would admit it but for little, nearest first.
    pub near_misses: Vec<NearView>,
    /// For a denial: the smallest edits that together allow it.
    pub changes: Vec<ChangeView>,
    #[serde(skip)]
    egress: HalfView,
    #[serde(skip)]
    ingress: HalfView,
    #[serde(skip)]
    excerpt: Excerpt,
    #[serde(skip)]
    listings: Vec<(String, String)>,
}

/// A policy on one side.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// The policy and where it selects the pod.
    #[serde(flatten)]
    pub policy: RuleView,
    /// What its rules say.
    pub rules: Vec<SaysView>,
}

/// What a rule says.
#[derive(Debug, Serialize)]
pub struct SaysView {
    /// Its index.
    pub rule: Option<u32>,
    /// `matches`, `misses` or `unclear`.
    pub says: &'static str,
    /// Why it misses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<&'static str>,
}

/// A rule that nearly admits it.
#[derive(Debug, Serialize)]
pub struct NearView {
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleView,
    /// What is missing.
    pub because: Vec<&'static str>,
    /// In one sentence.
    pub sentence: String,
}

/// An edit.
#[derive(Debug, Serialize)]
pub struct ChangeView {
    /// Which side it opens.
    pub direction: &'static str,
    /// What to do.
    pub sentence: String,
    /// The policy to edit; `null`: `yaml` is a new policy.
    pub policy: Option<String>,
    /// The rule to add, or the new policy.
    pub yaml: String,
}

fn rule_name(rule: Option<u32>) -> String {
    rule.map_or_else(|| "the policy".to_owned(), |rule| format!("rule {rule}"))
}

fn miss(miss: &Miss) -> &'static str {
    match miss {
        Miss::Port => "port",
        Miss::Protocol => "protocol",
        Miss::PodLabels => "podLabels",
        Miss::Namespace => "namespace",
        Miss::Except => "except",
        Miss::Address => "address",
        Miss::Peer => "peer",
    }
}

impl ExplanationView {
    /// An answer and the explanation of each of its cases.
    pub fn of(engine: &Engine<'_>, answer: &Answer, explanations: &[Explanation]) -> Self {
        let mut view = AnswerView::of(engine, answer);
        view.head = Some(super::Head::new("Explanation"));
        let explained = answer.cases.iter().zip(explanations).map(|(case, e)| CaseView::of(engine, case, e)).collect();
        Self { answer: view, explained }
    }
}

impl CaseView {
    fn of(engine: &Engine<'_>, case: &Case, explanation: &Explanation) -> Self {
        let world = engine.world();
        let steps = explanation.steps.iter().map(|step| StepView {
            policy: RuleView::of(world, &RuleRef { policy: step.policy, direction: step.direction, rule: None }),
            rules: step.rules.iter().map(|(rule, says)| says_view(rule, says)).collect(),
        });
        let near = explanation.near_misses.iter().map(|n| NearView {
            rule: RuleView::of(world, &n.rule),
            because: n.misses.iter().map(miss).collect(),
            sentence: n.sentence.clone(),
        });
        let (marks, listings) = marks(world, explanation);
        Self {
            from: endpoint_name(engine, case.flow.from),
            to: endpoint_name(engine, case.flow.to),
            at: match case.flow.l4 {
                L4::Port(protocol, port) => format!("{protocol} {port}"),
                L4::Other => "protocols without ports".to_owned(),
            },
            count: case.count,
            verdict: case.verdict.verdict.name(),
            steps: steps.collect(),
            near_misses: near.collect(),
            changes: explanation.changes.iter().map(|c| change(world, c)).collect(),
            egress: HalfView::of(engine, Direction::Egress, &[&case.verdict.egress]),
            ingress: HalfView::of(engine, Direction::Ingress, &[&case.verdict.ingress]),
            excerpt: Excerpt::cut(&world.sources, &marks),
            listings,
        }
    }
}

fn says_view(rule: &RuleRef, says: &RuleSays) -> SaysView {
    let (says, because) = match says {
        RuleSays::Matches => ("matches", Vec::new()),
        RuleSays::Unclear => ("unclear", Vec::new()),
        RuleSays::Misses(misses) => ("misses", misses.iter().map(miss).collect()),
    };
    SaysView { rule: rule.rule, says, because }
}

fn change(world: &World, change: &Change) -> ChangeView {
    ChangeView {
        direction: change.direction.name(),
        sentence: change.sentence.clone(),
        policy: change.edit.map(|p| world.policy_name(p)),
        yaml: change.yaml.clone(),
    }
}

/// The places to draw; and rules without lines (of a live cluster, or in long lines) as YAML.
fn marks(world: &World, explanation: &Explanation) -> (Vec<Mark>, Vec<(String, String)>) {
    let mut marks: Vec<Mark> = Vec::new();
    let mut listings: Vec<(String, String)> = Vec::new();
    let mut add = |rule: &RuleRef, label: String, primary: bool| {
        let at = rule_origin(world, rule);
        if marks.iter().any(|m| m.at == at) {
            return;
        }
        let mark = Mark { at, label, primary };
        let drawn = Excerpt::cut(&world.sources, std::slice::from_ref(&mark)).has_lines();
        if let (false, PolicyRef::Namespaced(p), Some(i)) = (drawn, rule.policy, rule.rule) {
            let egress = rule.direction == Direction::Egress;
            let text = manifest::rule_entry(&world.policies[p as usize].rules(rule.direction)[i as usize], egress);
            listings.push((RuleView::of(world, rule).words(), text));
        }
        marks.push(mark);
    };
    // A denial by one side needs no rules of the other side that would allow.
    let told = |d: &Direction| {
        explanation.verdict.verdict != Verdict::Deny || half(&explanation.verdict, *d).verdict == Verdict::Deny
    };
    for direction in Direction::BOTH.iter().filter(|d| told(d)) {
        let half = half(&explanation.verdict, *direction);
        for rule in &half.decided_by {
            let label = match (half.reason, rule.rule) {
                (Reason::Unclear, _) => "may match".to_owned(),
                (Reason::AdminDeny | Reason::BaselineDeny, Some(_)) => "denies it".to_owned(),
                (_, Some(_)) => "admits it".to_owned(),
                (_, None) => {
                    let who = match rule.policy {
                        PolicyRef::Namespaced(p) => words::selector(&world.policies[p as usize].subject),
                        PolicyRef::Cluster(_) => "its subjects".to_owned(),
                    };
                    let who =
                        if who == "any" { "every pod of the namespace".to_owned() } else { format!("pods with {who}") };
                    format!("isolates {who} for {}, and none of its rules admits this", direction.name())
                }
            };
            add(rule, label, true);
        }
    }
    for near in &explanation.near_misses {
        let but = near.sentence.split_once(", but ").map_or(near.sentence.as_str(), |(_, but)| but);
        add(&near.rule, format!("nearly: {but}"), false);
    }
    (marks, listings)
}

impl Report for ExplanationView {
    const FORMATS: &'static [Format] = crate::render::BASIC;

    fn page(&self) -> Page {
        let mut page = Page::default();
        let tone = match self.answer.verdict {
            "allow" => Tone::Good,
            "deny" => Tone::Bad,
            _ => Tone::Warn,
        };
        page.line(toned(tone, self.answer.verdict).and(Tone::Plain, format!("  {}", self.answer.reason)));
        let several = self.explained.len() > 1;
        for case in &self.explained {
            if several {
                let pairs = crate::text::count(case.count, "pair");
                page.heading(format!("{} to {}, {}: {} ({pairs} of pods)", case.from, case.to, case.at, case.verdict));
            }
            case.show(&mut page);
        }
        page
    }
}

impl CaseView {
    /// Every policy that selects a side, in the order in which tiers ask them.
    fn asked(&self, page: &mut Page) {
        /// Policies that are listed.
        const SHOWN: usize = 12;
        let mut table = Table::new(["ASKED", "SIDE", "ITS RULES"]);
        for step in self.steps.iter().take(SHOWN) {
            let says = |s: &SaysView| match (s.says, s.because.as_slice()) {
                ("misses", because) => format!("{} misses ({})", rule_name(s.rule), because.join(", ")),
                (says, _) => format!("{} {says}", rule_name(s.rule)),
            };
            let rules: Vec<String> = step.rules.iter().map(says).collect();
            let rules = if rules.is_empty() { "no rule".to_owned() } else { rules.join("; ") };
            let name = format!("{} {}", step.policy.kind, step.policy.policy);
            table.row([name.into(), step.policy.direction.into(), rules.into()]);
        }
        page.table(table);
        if self.steps.len() > SHOWN {
            page.line(format!("and {} more policies: -o json", self.steps.len() - SHOWN));
        }
    }

    fn show(&self, page: &mut Page) {
        page.facts(vec![("egress".to_owned(), self.egress.text()), ("ingress".to_owned(), self.ingress.text())]);
        page.excerpt(self.excerpt.clone());
        for (name, yaml) in &self.listings {
            page.line(name.as_str());
            page.code("yaml", yaml.as_str());
        }
        self.asked(page);
        if !self.near_misses.is_empty() {
            page.heading("Nearest misses");
            page.items(self.near_misses.iter().map(|n| Text::from(n.sentence.as_str())).collect());
        }
        if !self.changes.is_empty() {
            page.heading("The smallest change that allows it");
            for change in &self.changes {
                page.line(change.sentence.as_str());
                page.code("yaml", change.yaml.as_str());
            }
        }
    }
}
