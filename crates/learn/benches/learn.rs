//! How long learning and replaying take: `cargo bench -p watertight-learn`. A cluster of 2,000 workloads and 10,000 edges
//! seen over 30 days, both made here.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::{Duration, Instant};
use watertight_engine::Engine;
use watertight_flows::{Edge, End};
use watertight_learn::replay::replay;
use watertight_learn::{LearnOptions, learn, with_policies};
use watertight_model::{Protocol, Str, WorkloadId};
use watertight_testkit::synthetic::{self, Scale};

const WORKLOADS: usize = 2_000;
const EDGES: usize = 10_000;

fn main() {
    let world = synthetic::world(Scale { pods: WORKLOADS * 5, replicas: 5, policies: 0, namespaces: 50 });
    let start = 1_790_000_000;
    let mut edges: Vec<Edge> = (0..EDGES)
        .map(|i| Edge {
            from: End::Workload(WorkloadId::at(i * 7919 % WORKLOADS)),
            to: End::Workload(WorkloadId::at((i * 104_729 + i / WORKLOADS + 1) % WORKLOADS)),
            protocol: Protocol::Tcp,
            port: [8080, 5432, 9090, 443][i % 4],
            id: Str::from(format!("{i:016x}")),
            count: 1 + i as u64 % 1000,
            denied: 0,
            first: start,
            last: start + 30 * 86_400,
            days: 30,
        })
        .collect();
    edges.sort();
    edges.dedup_by(|a, b| (&a.from, &a.to, a.protocol, a.port) == (&b.from, &b.to, b.protocol, b.port));
    // The synthetic namespaces carry environments; crossing them is not what is measured here.
    let options = LearnOptions { accept_cross_environment: true, ..LearnOptions::default() };
    let engine = Engine::new(&world);
    let (learning, learned) = timed(3, || learn(&engine, &edges, &options));
    println!("{:<44} {:>12}", "10k edges, 2,000 workloads, 10,000 pods", "median");
    println!(
        "{:<44} {:>12}",
        format!("learn ({} policies, certificate holds: {})", learned.policies.len(), learned.certificate.holds()),
        format!("{:.0} ms", learning.as_secs_f64() * 1e3)
    );
    let after = with_policies(&world, &learned.policies);
    let (replaying, denied) = timed(5, || replay(&Engine::new(&after), &edges));
    println!(
        "{:<44} {:>12}",
        format!("replay, engine included ({} denied)", denied.len()),
        format!("{:.0} ms", replaying.as_secs_f64() * 1e3)
    );
}

fn timed<T>(runs: usize, mut f: impl FnMut() -> T) -> (Duration, T) {
    let mut result = f();
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            result = f();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[runs / 2], result)
}
