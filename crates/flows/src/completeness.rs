//! How much of the traffic a recording can have seen.

use crate::cron::Schedule;
use crate::ledger::Ledger;
use crate::resolve::Resolved;
use watertight_model::{WorkloadId, World};

/// What is known of the window, and what it cannot have shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Completeness {
    /// First record, in seconds since the Unix epoch; 0 without records.
    pub first: i64,
    /// Last record.
    pub last: i64,
    /// Events that recorders say they lost. A window with losses is never complete.
    pub lost: u64,
    /// Observations: connections of all edges.
    pub observations: u64,
    /// Edges.
    pub edges: usize,
    /// Edges seen once.
    pub once: usize,
    /// Good-Turing estimate of the probability that the next connection is on an edge not seen yet: `once / observations`.
    pub missing_mass: f64,
    /// Chao's lower bound of the number of edges there are.
    pub estimated_edges: f64,
    /// CronJobs that ran less than twice in the window, with their next run after it.
    pub unseen_schedules: Vec<UnseenSchedule>,
}

/// A CronJob that the window does not cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenSchedule {
    /// The workload.
    pub workload: WorkloadId,
    /// Runs inside the window: 0 or 1.
    pub runs: usize,
    /// Its next run after the window, in seconds since the Unix epoch; `None`: the schedule is not understood, or never runs.
    pub next: Option<i64>,
}

impl Completeness {
    /// Nothing is known to be missing.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.unseen_schedules.is_empty() && self.observations > 0
    }
}

/// Runs of a CronJob that a window must hold before its edges count as seen.
const RUNS_WANTED: usize = 2;

/// Judges a recording. The end of the window is its last record; no clock is asked.
pub fn completeness(world: &World, ledger: &Ledger, resolved: &Resolved) -> Completeness {
    let (first, last) =
        ledger.window().map_or((0, 0), |(a, b)| (a.div_euclid(1_000_000_000), b.div_euclid(1_000_000_000)));
    let observations: u64 = resolved.edges.iter().map(|e| e.count).sum();
    let seen = |n: u64| resolved.edges.iter().filter(|e| e.count == n).count();
    let (once, twice) = (seen(1), seen(2));
    let edges = resolved.edges.iter().filter(|e| e.count > 0).count();
    #[expect(clippy::cast_precision_loss, reason = "estimates of counts far below 2^52")]
    let (missing_mass, estimated_edges) = {
        let (f1, f2) = (once as f64, twice as f64);
        let mass = if observations == 0 { 1.0 } else { f1 / observations as f64 };
        (mass, edges as f64 + f1 * (f1 - 1.0).max(0.0) / (2.0 * (f2 + 1.0)))
    };
    let mut unseen_schedules = Vec::new();
    for (i, workload) in world.workloads.iter().enumerate() {
        let Some(text) = &workload.schedule else { continue };
        let schedule = Schedule::parse(text);
        let runs = schedule.as_ref().map_or(0, |s| s.runs(first, last, RUNS_WANTED));
        if runs < RUNS_WANTED {
            let next = schedule.and_then(|s| s.next_after(last));
            unseen_schedules.push(UnseenSchedule { workload: WorkloadId::at(i), runs, next });
        }
    }
    Completeness {
        first,
        last,
        lost: ledger.lost(),
        observations,
        edges,
        once,
        missing_mass,
        estimated_edges,
        unseen_schedules,
    }
}
