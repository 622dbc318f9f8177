//! The promise of every printed fix: the YAML reads back as the edit; with it the finding is gone, and no new error has come.

use std::collections::{BTreeMap, BTreeSet};
use watertight_audit::fix::{Edit, Fix, apply};
use watertight_audit::{Audit, AuditOptions, Finding, Severity, audit};
use watertight_engine::Engine;
use watertight_ingest::{Input, Options, read};
use watertight_model::{NetworkPolicy, World, manifest};

/// Holds every fix of a report to the promise.
pub(crate) fn hold(world: &World, report: &Audit, options: &AuditOptions, place: &str, complaints: &mut Vec<String>) {
    for finding in &report.findings {
        for fix in finding.fixes.iter().filter(|f| !f.edits.is_empty()) {
            let place = format!("{place}: {} {}: fix `{}`", finding.rule, finding.object, fix.title);
            reads_back(world, fix, &place, complaints);
            mends(world, report, finding, fix, options, &place, complaints);
        }
    }
}

fn printed(world: &World, policy: &NetworkPolicy) -> String {
    manifest::network_policy(&world.namespaces[policy.namespace.index()].name, policy, &|_, _| Vec::new())
}

fn reads_back(world: &World, fix: &Fix, place: &str, complaints: &mut Vec<String>) {
    let words = |text: &str| text.lines().map(|l| l.trim().to_owned()).collect::<Vec<_>>();
    for edit in &fix.edits {
        let Edit::PutPolicy(policy) = edit else { continue };
        let text = printed(world, policy);
        let input = Input::Text { name: "fix.yaml".to_owned(), text: text.clone() };
        match read(&[input], &Options { strict_cidr: false, ..Options::default() }) {
            Ok(loaded) => {
                let again = loaded.world.policies.first().map(|p| printed(&loaded.world, p));
                if again.as_ref() != Some(&text) {
                    complaints.push(format!("{place}: reads back as another policy:\n{text}\n{again:?}"));
                }
            }
            Err(refused) => {
                let lines: Vec<String> =
                    refused.diagnostics.iter().map(|d| d.line(&refused.sources).to_string()).collect();
                complaints.push(format!("{place}: does not read back: {}\n{text}", lines.join("\n")));
            }
        }
        let whole = words(&text);
        let shown = words(&fix.yaml).into_iter().filter(|l| l != "---");
        let missing: Vec<String> =
            if fix.edits.len() == 1 { shown.filter(|l| !whole.contains(l)).collect() } else { Vec::new() };
        if !missing.is_empty() {
            complaints.push(format!("{place}: prints what the edit does not hold: {}", missing.join(" / ")));
        }
    }
}

fn mends(
    world: &World,
    before: &Audit,
    finding: &Finding,
    fix: &Fix,
    options: &AuditOptions,
    place: &str,
    complaints: &mut Vec<String>,
) {
    let edited = apply(world, &fix.edits);
    let after = audit(&Engine::new(&edited), &AuditOptions { try_fixes: false, ..options.clone() });
    let count = |report: &Audit| {
        report.findings.iter().filter(|f| f.rule == finding.rule && f.object == finding.object).count()
    };
    if count(&after) >= count(before) {
        let left: Vec<&str> =
            after.findings.iter().filter(|f| f.rule == finding.rule).map(|f| f.message.as_str()).collect();
        complaints.push(format!("{place}: the finding is still there: {}", left.join(" / ")));
    }
    let errors = |report: &Audit| -> BTreeMap<(&'static str, String), usize> {
        let mut out = BTreeMap::new();
        for f in report.findings.iter().filter(|f| f.severity == Severity::Error) {
            *out.entry((f.rule, f.object.clone())).or_default() += 1;
        }
        out
    };
    let old: BTreeSet<(&'static str, String)> = errors(before).into_keys().collect();
    for ((rule, object), _) in errors(&after) {
        if !old.contains(&(rule, object.clone())) {
            complaints.push(format!("{place}: brings a new error: {rule} {object}"));
        }
    }
}

/// Random worlds: every fix of every finding keeps its promise there too.
#[test]
fn fixes_keep_their_promise_on_random_worlds() {
    use watertight_testkit::random::{Rng, Size, world};
    let size = Size { namespaces: 3, pods: 6, nodes: 2, policies: 5, cluster_policies: 2, rules: 2, entries: 2 };
    let worlds = if std::env::var_os("WATERTIGHT_SOAK").is_some() { 10_000 } else { 500 };
    let options = AuditOptions::default();
    let (mut fixes, mut complaints) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for seed in 0..worlds {
        let (world, mood) = world(&mut Rng::new(seed), &size);
        if mood.unknown || mood.mapped {
            continue; // what no file can hold is not printed either
        }
        let report = audit(&Engine::new(&world), &options);
        for finding in &report.findings {
            *fixes.entry(finding.rule).or_default() += finding.fixes.iter().filter(|f| !f.edits.is_empty()).count();
        }
        hold(&world, &report, &options, &format!("seed {seed}"), &mut complaints);
    }
    fixes.retain(|_, n| *n > 0);
    println!("{worlds} worlds; fixes by lint: {fixes:?}");
    let by_lint = complaints.iter().fold(BTreeMap::<&str, usize>::new(), |mut sum, line| {
        *sum.entry(line.split(": ").nth(1).and_then(|w| w.split(' ').next()).unwrap_or_default()).or_default() += 1;
        sum
    });
    let first = complaints.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(complaints.is_empty(), "{} complaints, {by_lint:?}:\n{first}", complaints.len());
    assert!(fixes.values().sum::<usize>() > 500, "{fixes:?}");
}
