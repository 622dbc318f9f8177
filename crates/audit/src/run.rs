//! Runs one lint: what it panics over, has no time for or leaves out costs its own findings and nobody else's, and is said.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::rules::{Check, Lint, NOT_FINISHED};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a lint and adds what it finds; if it does not finish, a finding says so.
pub(crate) fn one(ctx: &Ctx<'_, '_>, lint: &Lint, out: &mut Vec<Finding>) {
    let Check::World(check) = lint.check else { return };
    ctx.start_clock();
    let mut own = Vec::new();
    // What a lint may leave half done is its own list, which is thrown away; the context only fills caches, each whole or
    // not at all.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        check(ctx, &mut own);
    }));
    debug_assert!(own.iter().all(|f| f.rule == lint.code), "{} reports as itself", lint.code);
    let mut severity = NOT_FINISHED.severity;
    let why = match (ended, ctx.left_out()) {
        (Ok(()), left_out) if !ctx.is_overdue() => {
            out.append(&mut own);
            if left_out.is_empty() {
                return;
            }
            severity = Severity::Note;
            format!("did not look at {left_out}: there may be more findings of it")
        }
        (Ok(()), _) => {
            out.append(&mut own);
            format!("ran over its {} s: there may be more findings of it", ctx.options.lint_time.as_secs())
        }
        (Err(panic), _) => format!("failed ({}): its findings are missing", words(&*panic)),
    };
    let message = format!("{} {} {why}", lint.code, lint.name);
    let mut finding = NOT_FINISHED.finding(format!("lint {}", lint.code), None, message).at_severity(severity);
    finding.status = Status::Proved;
    finding.help = Some(match severity {
        Severity::Note => "narrow the rules it names, or audit fewer namespaces at once".to_owned(),
        Severity::Warning | Severity::Error => "save the input with --save and report it".to_owned(),
    });
    out.push(finding);
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned()).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{AuditOptions, Fresh};
    use core::time::Duration;
    use std::cell::Cell;
    use watertight_engine::Engine;
    use watertight_model::World;

    const fn lint(check: fn(&Ctx<'_, '_>, &mut Vec<Finding>)) -> Lint {
        Lint {
            code: "WT9999",
            name: "a-test",
            severity: Severity::Note,
            summary: "",
            page: "",
            check: Check::World(check),
        }
    }
    const SOUND: Lint = lint(|_, out| out.push(SOUND.finding("x".to_owned(), None, "found".to_owned())));
    const BROKEN: Lint = lint(|_, out| {
        out.push(BROKEN.finding("x".to_owned(), None, "half".to_owned()));
        let none: Option<u8> = None;
        assert!(none.is_some(), "an assumption did not hold");
    });
    const SLOW: Lint = lint(|ctx, out| {
        while !ctx.is_overdue() {}
        out.push(SLOW.finding("x".to_owned(), None, "one of many".to_owned()));
    });

    const SHORT: Lint = lint(|ctx, out| {
        ctx.leave_out("broad peers", 2);
        ctx.leave_out("broad peers", 1);
        out.push(SHORT.finding("x".to_owned(), None, "found".to_owned()));
    });

    thread_local!(static NOW: Cell<u64> = const { Cell::new(0) });
    fn clock() -> Duration {
        NOW.with(|now| {
            now.set(now.get() + 1);
            Duration::from_secs(now.get())
        })
    }

    fn found(lints: &[&Lint]) -> Vec<(&'static str, String)> {
        found_in(&World::default(), lints)
    }

    fn found_in(world: &World, lints: &[&Lint]) -> Vec<(&'static str, String)> {
        let engine = Engine::new(world);
        let fresh = Fresh::of(world);
        let fresh_engine = Engine::new(&fresh.world);
        let options =
            AuditOptions { clock: Some(clock), lint_time: Duration::from_secs(20), ..AuditOptions::default() };
        let ctx = Ctx::new(&engine, &options, &fresh, &fresh_engine);
        let mut out = Vec::new();
        lints.iter().for_each(|l| one(&ctx, l, &mut out));
        out.into_iter().map(|f| (f.rule, f.message)).collect()
    }

    #[test]
    fn a_lint_that_panics_loses_only_its_own_findings() {
        let out = found(&[&SOUND, &BROKEN, &SOUND]);
        let rules: Vec<&str> = out.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(rules, ["WT9999", "WT0103", "WT9999"]);
        assert!(out[1].1.contains("failed (an assumption did not hold)"), "{}", out[1].1);
    }

    #[test]
    fn a_lint_that_runs_over_its_time_keeps_what_it_found() {
        let out = found(&[&SLOW, &SOUND]);
        let rules: Vec<&str> = out.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(rules, ["WT9999", "WT0103", "WT9999"]);
        assert!(out[0].1.contains("one of many") && out[1].1.contains("ran over its 20 s"), "{out:?}");
    }

    #[test]
    fn what_a_lint_leaves_out_is_counted_and_its_own() {
        let out = found(&[&SHORT, &SOUND]);
        let rules: Vec<&str> = out.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(rules, ["WT9999", "WT0103", "WT9999"]);
        assert!(out[1].1.contains("did not look at broad peers (3): there may be more findings"), "{out:?}");
    }

    #[test]
    fn an_answer_that_was_cut_off_is_said_by_every_lint_that_rests_on_it() {
        use watertight_testkit::synthetic::{self, Scale};
        let world = synthetic::world(Scale { pods: 100, replicas: 2, policies: 60, namespaces: 2 });
        let shared = ["WT0075", "WT0076", "WT0077"];
        let lints: Vec<&Lint> =
            crate::rules::table().iter().copied().filter(|l| shared.contains(&l.code)).chain([&SOUND]).collect();
        let out = found_in(&world, &lints);
        let unfinished = out.iter().filter(|(rule, _)| *rule == "WT0103").map(|(_, message)| &message[..6]);
        assert_eq!(unfinished.collect::<Vec<_>>(), shared, "{out:?}");
    }
}
