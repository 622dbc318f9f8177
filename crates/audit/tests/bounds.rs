//! What lints leave out by bounds of their own is said, with how much; below the bound nothing is said.
#![expect(clippy::panic, reason = "a helper of tests fails by panicking")]

use watertight_audit::{AuditOptions, Severity, audit};
use watertight_engine::Engine;
use watertight_ingest::{Input, Options, read};

fn policy(ns: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {spec}\n"
    )
}

/// So many pods in each of `a` and `b`, no two alike, because a selector tells them apart.
fn pods(number: usize) -> String {
    let mut out = policy("b", "tell-apart", "{podSelector: {matchExpressions: [{key: tag, operator: Exists}]}}");
    for ns in ["a", "b"] {
        for n in 0..number {
            out.push_str(&format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}, namespace: {ns}, labels: {{side: {ns}, tag: \"{n}\"}}}}\n\
                 spec: {{containers: [{{name: c}}]}}\n"
            ));
        }
    }
    out
}

/// How often the lint reports, and what WT0103 says of it.
fn told(text: String, code: &str) -> (usize, Vec<(Severity, String)>) {
    let world = match read(&[Input::Text { name: "in.yaml".to_owned(), text }], &Options::default()) {
        Ok(loaded) => loaded.world,
        Err(refused) => panic!("{} faults", refused.diagnostics.len()),
    };
    let report = audit(&Engine::new(&world), &AuditOptions { try_fixes: false, ..AuditOptions::default() });
    let own = report.findings.iter().filter(|f| f.rule == code).count();
    let about = report.findings.iter().filter(|f| f.rule == "WT0103" && f.object == format!("lint {code}"));
    (own, about.map(|f| (f.severity, f.message.clone())).collect())
}

#[test]
fn one_sided_rules_between_very_many_kinds_of_pods() {
    let rule = "{podSelector: {matchExpressions: [{key: tag, operator: Exists}]}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {side: b}}}]}]}";
    let few = told(pods(60) + &policy("a", "out", rule), "WT0055");
    assert_eq!(few, (1, Vec::new()));
    let (own, about) = told(pods(70) + &policy("a", "out", rule), "WT0055");
    let [(severity, message)] = about.as_slice() else { panic!("{about:?}") };
    assert_eq!((own, *severity), (0, Severity::Note));
    assert!(message.contains("did not look at peers of more than 4,096 pairs of kinds of pods (1)"), "{message}");
}

#[test]
fn blocks_that_hold_very_many_kinds_of_pods() {
    let rule = "{podSelector: {matchLabels: {tag: \"0\"}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}";
    let few = told(pods(100) + &policy("a", "out", rule), "WT0040");
    assert_eq!(few, (1, Vec::new()));
    let (own, about) = told(pods(150) + &policy("a", "out", rule), "WT0040");
    let [(severity, message)] = about.as_slice() else { panic!("{about:?}") };
    assert_eq!((own, *severity), (1, Severity::Note));
    // 300 kinds, without the one that asks.
    assert!(
        message.contains("did not look at kinds of pods in blocks that hold more than 256 of them (43)"),
        "{message}"
    );
}
