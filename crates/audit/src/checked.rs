//! Holds fixes to what they promise before they are shown: with the edits applied, the finding is gone and no new error has come.
//! One that does not is taken back; the finding keeps its help in words.

use crate::finding::{Finding, Severity};
use crate::fix::apply;
use crate::options::AuditOptions;
use std::collections::BTreeSet;
use watertight_engine::Engine;
use watertight_model::World;

/// Pods of a world up to which every fix is tried: each try is an audit of the whole.
const PODS: usize = 2_000;
/// Fixes that are tried in one audit.
const FIXES: usize = 200;

/// Takes back the fixes that do not hold. In larger worlds, and past the bound, fixes stay as their lints made them.
pub(crate) fn fixes(world: &World, options: &AuditOptions, findings: &mut [Finding]) {
    if !options.try_fixes || world.pods.len() > PODS {
        return;
    }
    let alone = AuditOptions { try_fixes: false, ..options.clone() };
    let errors = errors(findings);
    let count = |list: &[Finding], rule: &str, object: &str| {
        list.iter().filter(|f| f.rule == rule && f.object == object).count()
    };
    let wanted: Vec<usize> = findings.iter().map(|f| count(findings, f.rule, &f.object)).collect();
    let mut left = FIXES;
    for (finding, before) in findings.iter_mut().zip(wanted) {
        let (rule, object) = (finding.rule, finding.object.clone());
        finding.fixes.retain(|fix| {
            if fix.edits.is_empty() || left == 0 {
                return true;
            }
            left -= 1;
            let edited = apply(world, &fix.edits);
            let after = crate::audit(&Engine::new(&edited), &alone).findings;
            count(&after, rule, &object) < before && self::errors(&after).is_subset(&errors)
        });
    }
}

fn errors(findings: &[Finding]) -> BTreeSet<(&'static str, String)> {
    findings.iter().filter(|f| f.severity == Severity::Error).map(|f| (f.rule, f.object.clone())).collect()
}
