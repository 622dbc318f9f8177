//! The fixtures of the lints, `cases/wtNNNN.md`: situations in which a lint fires, and near twins in which it does not.
//!
//! `fixture` reads the Markdown, `shorthand` turns its worlds into manifests, `contract` holds every printed fix to what it
//! promises, on the fixtures and on random worlds.

mod contract;
mod fixture;
mod shorthand;

use fixture::{Case, Expected, Fixture};
use std::collections::BTreeMap;
use watertight_audit::rules::Check;
use watertight_audit::{Audit, AuditOptions, Finding, Noticed, Severity, audit, catalogue};
use watertight_engine::Engine;
use watertight_ingest::{Input, Options, read};
use watertight_model::World;

/// The outcome of reading and auditing a text.
pub(crate) struct Outcome {
    /// `None`: the input was refused.
    pub(crate) world: Option<World>,
    /// Findings, or what the readers refused, as findings.
    pub(crate) lines: Vec<Line>,
    /// The whole report.
    pub(crate) audit: Option<Audit>,
}

/// What fixtures speak of.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) rule: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) object: String,
    pub(crate) message: String,
    pub(crate) fixes: Vec<String>,
}

fn line(f: &Finding) -> Line {
    Line {
        rule: f.rule,
        severity: f.severity.name(),
        object: f.object.clone(),
        message: format!("{} ({})", f.message, f.help.as_deref().unwrap_or("no help")),
        fixes: f.fixes.iter().map(|x| x.title.clone()).collect(),
    }
}

pub(crate) fn outcome(text: &str, case: &Case) -> Outcome {
    let options = Options { strict_cidr: !case.has("lenient-cidr"), ..Options::default() };
    let input = Input::Text { name: "in.yaml".to_owned(), text: text.to_owned() };
    let severity = |s: watertight_ingest::Severity| match s {
        watertight_ingest::Severity::Error => Severity::Error,
        watertight_ingest::Severity::Warning => Severity::Warning,
    };
    match read(&[input], &options) {
        Ok(loaded) => {
            let noticed = loaded.diagnostics.iter().map(|d| Noticed {
                code: d.code,
                severity: severity(d.severity),
                message: d.message.clone(),
                object: d.object.clone().unwrap_or_default(),
                at: d.at,
                help: d.help.clone(),
            });
            let observed = case.observed(&loaded.world);
            let options = AuditOptions { noticed: noticed.collect(), observed, ..case.audit_options() };
            let audit = audit(&Engine::new(&loaded.world), &options);
            let lines = audit.findings.iter().map(line).collect();
            Outcome { world: Some(loaded.world), lines, audit: Some(audit) }
        }
        Err(refused) => {
            let lines = refused.diagnostics.iter().map(|d| Line {
                rule: d.code,
                severity: severity(d.severity).name(),
                object: d.object.clone().unwrap_or_default(),
                message: format!("{} ({})", d.message, d.help.as_deref().unwrap_or("no help")),
                fixes: Vec::new(),
            });
            Outcome { world: None, lines: lines.collect(), audit: None }
        }
    }
}

fn check(fixture: &Fixture, case: &Case, complaints: &mut Vec<String>) {
    let place = format!("cases/{} line {}: {}", fixture.file, case.line, case.title);
    let outcome = outcome(&case.text, case);
    let own: Vec<&Line> = outcome.lines.iter().filter(|l| l.rule == fixture.code).collect();
    let others = || outcome.lines.iter().map(|l| l.rule).collect::<Vec<_>>().join(" ");
    if outcome.world.is_none() && own.is_empty() {
        let lines: Vec<String> =
            outcome.lines.iter().map(|l| format!("{} {}: {}", l.rule, l.object, l.message)).collect();
        complaints.push(format!("{place}: the input was refused: {}", lines.join("; ")));
        return;
    }
    let mut wanted = Vec::new();
    for expected in &case.expected {
        match expected {
            Expected::Finding(f) => wanted.push(f),
            Expected::Instead(rule) if !outcome.lines.iter().any(|l| l.rule == *rule) => {
                complaints.push(format!("{place}: no {rule}, only {}", others()));
            }
            Expected::Absent(rule) if outcome.lines.iter().any(|l| l.rule == *rule) => {
                complaints.push(format!("{place}: {rule} is there"));
            }
            Expected::Instead(_) | Expected::Absent(_) => {}
        }
    }
    if own.len() != wanted.len() {
        let found: Vec<String> =
            own.iter().map(|l| format!("\n    {} {}: {}", l.severity, l.object, l.message)).collect();
        let found = found.concat();
        complaints.push(format!("{place}: {} findings, {} wanted (all: {}){found}", own.len(), wanted.len(), others()));
        return;
    }
    for (found, want) in own.iter().zip(wanted) {
        let said = format!("{} {}: {}", found.severity, found.object, found.message);
        if found.severity != want.severity || found.object != want.object {
            complaints.push(format!("{place}: found {said}"));
        }
        for part in want.parts.iter().filter(|p| !found.message.contains(p.as_str())) {
            complaints.push(format!("{place}: `{part}` is not in: {said}"));
        }
        for fix in want.fixes.iter().filter(|f| !found.fixes.iter().any(|x| x.contains(f.as_str()))) {
            complaints.push(format!("{place}: no fix `{fix}` among {:?}", found.fixes));
        }
    }
    if let (Some(world), Some(audit)) = (&outcome.world, &outcome.audit) {
        contract::hold(world, audit, &case.audit_options(), &place, complaints);
    }
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Every case of every fixture: exactly the findings that it names, none in a twin; and every fix keeps its promise.
#[test]
fn fixtures_hold() {
    let mut complaints = Vec::new();
    for fixture in Fixture::all(&mut complaints) {
        for case in &fixture.cases {
            check(&fixture, case, &mut complaints);
        }
    }
    assert_none(&complaints);
}

/// A lint without a case in which it fires, and a near twin in which it does not, is not finished.
#[test]
fn every_lint_has_a_case_and_a_twin() {
    let mut complaints = Vec::new();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for fixture in Fixture::all(&mut complaints) {
        let entry = counts.entry(fixture.code.clone()).or_default();
        entry.0 += fixture.cases.iter().filter(|c| c.fires()).count();
        entry.1 += fixture.cases.iter().filter(|c| !c.fires()).count();
        if !catalogue().iter().any(|l| l.code == fixture.code && l.name == fixture.name) {
            complaints.push(format!("cases/{}: no lint {} {}", fixture.file, fixture.code, fixture.name));
        }
    }
    for lint in catalogue() {
        let (fires, silent) = counts.get(lint.code).copied().unwrap_or_default();
        match lint.check {
            Check::Waits(_) if fires + silent > 0 => complaints.push(format!("{} waits and has cases", lint.code)),
            // Tested where the code is: a sound auditor has no lint that fails.
            Check::Audit if lint.code == "WT0103" => {}
            Check::Waits(_) => {}
            Check::World(_) | Check::Reader | Check::Audit if fires == 0 || silent == 0 => {
                complaints.push(format!("{} {}: {fires} cases, {silent} twins", lint.code, lint.name));
            }
            Check::World(_) | Check::Reader | Check::Audit => {}
        }
    }
    let (fires, silent) = counts.values().fold((0, 0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
    let live = catalogue().iter().filter(|l| l.is_implemented()).count();
    println!("{live} lints of {}, {fires} cases that fire, {silent} twins that do not", catalogue().len());
    assert_none(&complaints);
}
