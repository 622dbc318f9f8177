//! Random worlds: no lint fails on one, each finding's fix keeps its promise there, and the same world gives the same report.

use std::collections::BTreeMap;
use watertight_audit::fix::{Fix, apply};
use watertight_audit::{AuditOptions, Finding, audit};
use watertight_engine::Engine;
use watertight_model::World;
use watertight_testkit::random::{self, Rng, Size};

/// Lints whose fixes are held to their promise here (WT0011 to WT0039).
fn concerned(finding: &Finding) -> bool {
    ("WT0011"..="WT0039").contains(&finding.rule)
}

fn findings(world: &World) -> Vec<Finding> {
    audit(&Engine::new(world), &AuditOptions::default()).findings
}

/// With the fix there are fewer such findings. Another rule or peer of the same policy may have the same fault, unseen
/// because the first one had already let everything through: then its own fix has to mend it, and so on.
fn mends(world: &World, finding: &Finding, fix: &Fix) -> bool {
    /// Rules of one policy that can hide behind each other here.
    const ROUNDS: usize = 6;
    let alike = |list: &[Finding]| -> Vec<Finding> {
        list.iter().filter(|f| f.rule == finding.rule && f.object == finding.object).cloned().collect()
    };
    let before = alike(&findings(world)).len();
    let (mut world, mut fix) = (world.clone(), fix.clone());
    for _ in 0..ROUNDS {
        world = apply(&world, &fix.edits);
        let left = alike(&findings(&world));
        if left.len() < before {
            return true;
        }
        let Some(next) = left.iter().find_map(|f| f.fixes.first()) else { return false };
        fix = next.clone();
    }
    false
}

#[test]
fn lints_finish_and_their_fixes_mend() {
    let (mut fired, mut complaints): (BTreeMap<&str, usize>, Vec<String>) = (BTreeMap::new(), Vec::new());
    let mut fixes = 0;
    // Each fix is tried by whole audits, which try fixes themselves: a few worlds take as long as a test may.
    let worlds = if std::env::var_os("WATERTIGHT_SOAK").is_some() { 200 } else { 4 };
    for seed in 0..worlds {
        let (world, _) = random::world(&mut Rng::new(seed), &Size::default());
        let found = findings(&world);
        assert_eq!(found, findings(&world), "seed {seed}");
        for finding in &found {
            *fired.entry(finding.rule).or_default() += 1;
            if finding.rule == "WT0103" {
                complaints.push(format!("seed {seed}: {}", finding.message));
            }
        }
        for finding in found.iter().filter(|f| concerned(f)) {
            for fix in finding.fixes.iter().filter(|f| !f.edits.is_empty()).take(2) {
                fixes += 1;
                if !mends(&world, finding, fix) {
                    let (rule, object, message) = (finding.rule, &finding.object, &finding.message);
                    complaints.push(format!("seed {seed}: {rule} {object}: `{}` does not mend: {message}", fix.title));
                }
            }
        }
    }
    println!("{fixes} fixes tried, findings: {fired:?}");
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(fixes > 5, "{fixes}");
}
