//! Prints the auditor's table: whole audits of synthetic clusters, the slowest lints, redundancy alone.
//! `cargo bench -p watertight-audit`.
//!
//! Times are medians of several runs in one process, after loading. Of the lints that share an answer (reachability, what is
//! redundant) the first pays for it.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::{Duration, Instant};
use watertight_audit::{AuditOptions, audit, catalogue, lint_times};
use watertight_engine::Engine;
use watertight_engine::redundancy::report;
use watertight_testkit::synthetic::{self, Scale};

fn main() {
    let k = 1000;
    let scale = |policies| Scale { pods: 10 * k, replicas: 10, policies, namespaces: 100 };
    let rows = [
        ("audit, 10k pods, 1k policies", scale(k), Duration::from_secs(1)),
        ("audit, 10k pods, 10k policies", scale(10 * k), Duration::from_secs(5)),
    ];
    let lints = catalogue().iter().filter(|l| l.is_implemented()).count();
    println!("{lints} lints");
    println!("{:44} {:>12} {:>12} {:>10}", "", "time", "target", "findings");
    for (name, scale, target) in rows {
        let world = synthetic::world(scale);
        let engine = Engine::new(&world);
        let options = AuditOptions { clock: Some(clock), ..AuditOptions::default() };
        let (time, found) = median(3, || audit(&engine, &options));
        println!("{name:44} {:>12} {:>12} {:>10}", show(time), show(target), found.findings.len());
        let mut times = lint_times(&engine, &options);
        times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        for (code, time) in times.iter().take(10) {
            println!("  {code:42} {:>12}", show(*time));
        }
    }
    let world = synthetic::world(scale(10 * k));
    let (time, found) = median(3, || report(&world));
    println!(
        "{:44} {:>12} {:>12} {:>10}",
        "redundancy, 10k pods, 10k policies",
        show(time),
        show(Duration::from_secs(10)),
        found.redundant.len()
    );
}

/// Time since the first question.
fn clock() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn median<T>(runs: usize, mut f: impl FnMut() -> T) -> (Duration, T) {
    let mut last = f();
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            last = f();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[runs / 2], last)
}

fn show(d: Duration) -> String {
    let us = d.as_secs_f64() * 1e6;
    match us {
        us if us < 1000.0 => format!("{us:.1} us"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}
