//! One finding of the audit.

use super::audit::Detail;
use crate::diagnostics::PlaceView;
use crate::page::{Page, Text, Tone};
use crate::render::results::{Item, Level, Outcome, Span};
use crate::snippet::{Excerpt, Mark};
use serde::Serialize;
use watertight_audit::{Finding, Severity};
use watertight_engine::Engine;
use watertight_engine::query::endpoint_name;
use watertight_model::L4;

/// One finding.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingView {
    /// `WT0051`.
    pub rule: &'static str,
    /// `dns-egress-forgotten`.
    pub name: &'static str,
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    pub(super) score: f64,
    pub(super) status: &'static str,
    /// One line.
    pub message: String,
    /// `shop/db-in`.
    pub object: String,
    /// `NetworkPolicy`, if the object is of one kind.
    pub object_kind: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    /// What to do.
    pub help: Option<String>,
    /// Where it is written; `None` for what is in no file.
    #[serde(skip)]
    pub place: Option<PlaceView>,
    /// `NetworkPolicy shop/db-in`.
    #[serde(skip)]
    pub(super) named: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<FixView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<WitnessView>,
    pub(super) affected: usize,
    /// The same in another run, also when lines have moved.
    pub(super) fingerprint: String,
    #[serde(skip)]
    pub(super) excerpt: Excerpt,
    #[serde(skip)]
    pub(super) end: (u32, u32),
}

#[derive(Debug, Serialize)]
struct FixView {
    title: String,
    yaml: String,
}

#[derive(Debug, Serialize)]
struct WitnessView {
    from: String,
    to: String,
    at: String,
}

/// Whether an object such as `NetworkPolicy shop/db-in` or `namespace dev` is in a namespace.
pub(super) fn concerns(object: &str, namespace: &str) -> bool {
    let words: Vec<&str> = object.split_whitespace().collect();
    words.iter().any(|w| w.split_once('/').is_some_and(|(ns, _)| ns == namespace))
        || words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case("namespace") && pair[1] == namespace)
}

pub(super) fn finding(engine: &Engine<'_>, f: &Finding, fingerprint: &str, detail: Detail) -> FindingView {
    let world = engine.world();
    // Lines are cut out only if someone gets to see them.
    let mark = f.at.filter(|_| detail == Detail::Full).map(|at| Mark { at, label: String::new(), primary: true });
    let place = f.at.and_then(|at| PlaceView::of(&world.sources, at));
    let (kind, object) = match f.object.split_once(' ') {
        Some((kind, name)) if !name.contains(' ') => (Some(kind), name),
        _ => (None, f.object.as_str()),
    };
    FindingView {
        rule: f.rule,
        name: f.name,
        severity: f.severity.name(),
        score: f.score,
        status: f.status.name(),
        message: f.message.clone(),
        object: object.to_owned(),
        object_kind: kind.map(str::to_owned),
        file: place.as_ref().map(|p| p.file.clone()),
        line: place.as_ref().map(|p| p.line),
        column: place.as_ref().map(|p| p.column),
        place,
        named: f.object.clone(),
        help: f.help.clone(),
        fixes: f.fixes.iter().map(|x| FixView { title: x.title.clone(), yaml: x.yaml.clone() }).collect(),
        witness: f.witness.map(|w| WitnessView {
            from: endpoint_name(engine, w.from),
            to: endpoint_name(engine, w.to),
            at: match w.l4 {
                L4::Port(protocol, port) => format!("{protocol} {port}"),
                L4::Other => "protocols without ports".to_owned(),
            },
        }),
        affected: f.affected,
        fingerprint: fingerprint.to_owned(),
        excerpt: Excerpt::cut(&world.sources, mark.as_slice()),
        end: f.at.map_or((0, 0), |at| (at.end_line, at.end_column)),
    }
}

impl FindingView {
    /// The finding for formats that list results.
    pub(super) fn item(&self, outcome: Outcome) -> Item {
        Item {
            rule: self.rule.to_owned(),
            name: self.name.to_owned(),
            level: Level::parse(self.severity),
            score: self.score,
            outcome,
            object: self.named.clone(),
            message: self.message.clone(),
            help: self.help.clone(),
            place: self.place.as_ref().map(|place| Span::new(place, self.end)),
            fingerprint: self.fingerprint.clone(),
        }
    }

    pub(super) fn tone(&self) -> Tone {
        match self.severity {
            s if s == Severity::Error.name() => Tone::Bad,
            s if s == Severity::Warning.name() => Tone::Warn,
            _ => Tone::Plain,
        }
    }

    pub(super) fn full(&self, page: &mut Page) {
        page.heading(format!("{} {} {}: {}", self.severity, self.rule, self.name, self.named));
        page.line(self.message.as_str());
        page.excerpt(self.excerpt.clone());
        if let Some(help) = &self.help {
            page.line(Text::from("help: ").and(Tone::Plain, help.as_str()));
        }
        for fix in &self.fixes {
            page.line(format!("fix: {}", fix.title));
            page.code("yaml", fix.yaml.as_str());
        }
    }
}
