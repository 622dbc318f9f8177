//! Holds fixes to what they promise before they are shown: with the edits applied, the finding is gone and no new error has come.
//! One that does not is taken back; the finding keeps its help in words. One that there was no time to try says so.

use crate::finding::{Finding, Severity};
use crate::fix::apply;
use crate::options::AuditOptions;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::Engine;
use watertight_model::World;

/// Pods of a world up to which every fix is tried: each try is an audit of the whole.
const PODS: usize = 2_000;
/// Fixes that are tried in one audit.
const FIXES: usize = 200;

/// Ends the title of a fix that was not tried.
const NOT_TRIED: &str = " (not tried)";

/// Takes back the fixes that do not hold. In larger worlds, past the bound and when the time of one lint is used up, fixes stay as
/// their lints made them, and say so.
pub(crate) fn fixes(world: &World, options: &AuditOptions, findings: &mut [Finding]) {
    if !options.try_fixes {
        return;
    }
    let mut left = if world.pods.len() > PODS { 0 } else { FIXES };
    let alone = AuditOptions { try_fixes: false, ..options.clone() };
    let errors = errors(findings);
    let before = counts(findings);
    let now = || options.clock.map_or(Duration::ZERO, |clock| clock());
    let end = now() + options.lint_time;
    for finding in findings {
        let about = (finding.rule, finding.object.clone());
        let count = |counts: &BTreeMap<About, usize>| counts.get(&about).copied().unwrap_or(0);
        finding.fixes.retain_mut(|fix| {
            if fix.edits.is_empty() {
                return true;
            }
            if left == 0 || now() > end {
                fix.title.push_str(NOT_TRIED);
                return true;
            }
            left -= 1;
            let edited = apply(world, &fix.edits);
            let after = crate::audit(&Engine::new(&edited), &alone).findings;
            count(&counts(&after)) < count(&before) && self::errors(&after).is_subset(&errors)
        });
    }
}

/// A lint's code and an object.
type About = (&'static str, String);

fn counts(findings: &[Finding]) -> BTreeMap<About, usize> {
    let mut out = BTreeMap::new();
    findings.iter().for_each(|f| *out.entry((f.rule, f.object.clone())).or_default() += 1);
    out
}

fn errors(findings: &[Finding]) -> BTreeSet<About> {
    findings.iter().filter(|f| f.severity == Severity::Error).map(|f| (f.rule, f.object.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_testkit::synthetic::{self, Scale};

    fn titles(pods: usize) -> Vec<String> {
        let world = synthetic::world(Scale { pods, replicas: 10, policies: 6, namespaces: 4 });
        let found = crate::audit(&Engine::new(&world), &AuditOptions::default());
        let fixes = found.findings.into_iter().flat_map(|f| f.fixes);
        fixes.filter(|fix| !fix.edits.is_empty()).map(|fix| fix.title).collect()
    }

    #[test]
    fn a_fix_that_was_not_tried_says_so() {
        let (small, large) = (titles(40), titles(PODS + 10));
        assert!(!small.is_empty() && !large.is_empty());
        assert!(small.iter().all(|t| !t.ends_with(NOT_TRIED)), "{small:?}");
        assert!(large.iter().all(|t| t.ends_with(NOT_TRIED)), "{large:?}");
    }
}
