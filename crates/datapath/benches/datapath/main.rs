//! What enforcement costs: time from a changed policy or pod to the kernel, time of the programs, traffic beside other ways to
//! enforce, memory. Prints rows of a table; names of parts as arguments (`images`, `changes`, `programs`,
//! `traffic`, `memory`) run only those.
//!
//! All but the first rows need root, and say so without it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

#[cfg(target_os = "linux")]
mod changes;
#[cfg(target_os = "linux")]
#[path = "../../tests/kernel/frame.rs"]
mod frame;
#[cfg(target_os = "linux")]
#[path = "../../tests/kernel/lab.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod lab;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod queue;
#[cfg(target_os = "linux")]
mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_datapath::{Compiler, Local, Options};
use watertight_model::{PodId, World};
use watertight_testkit::synthetic::{self, Scale};

/// The scale of the targets.
pub(crate) const SCALE: Scale = Scale { pods: 10_000, replicas: 10, policies: 1_000, namespaces: 100 };

/// A hundred pods live here, spread over the cluster.
pub(crate) fn locals(world: &World, device: impl Fn(usize) -> u32) -> Vec<Local> {
    let step = (world.pods.len() / 100).max(1);
    (0..world.pods.len())
        .step_by(step)
        .enumerate()
        .map(|(n, i)| Local { pod: PodId::at(i), ifindex: device(n), mac: None, addresses: Vec::new() })
        .collect()
}

/// One row: median, 99th percentile, and how many were measured.
pub(crate) fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what:<72} p50 {:>9.3?}  p99 {:>9.3?}  n {}", at(50), at(99), times.len());
}

pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let out = work();
    (out, start.elapsed())
}

/// Without a kernel: what an image costs, and how large it is.
fn images() {
    let world = Arc::new(synthetic::world(SCALE));
    let here = locals(&world, |n| u32::try_from(n + 10).unwrap());
    let options = Options::default();
    let cold =
        (0..9).map(|_| timed(|| Compiler::new(options).compile(&world, &here).unwrap().is_partial()).1).collect();
    row("compile from nothing, 10k pods x 1k policies", cold);
    let mut compiler = Compiler::new(options);
    let image = compiler.compile(&world, &here).unwrap().image();
    let entries: usize = image.sets.iter().map(|s| s.entries.len()).sum();
    let steps: usize = image.tables.iter().map(|t| t.steps().len()).sum();
    println!(
        "{:<72} {} addresses, {} sets, {entries} entries, {} tables, {steps} steps",
        "image",
        image.addresses.len(),
        image.sets.len(),
        image.tables.len()
    );
}

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    #[cfg(target_os = "linux")]
    match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // Processes of this benchmark's own.
        ["queue-loop"] => return queue::serve(),
        ["memory-of", dir] => return memory::tell(dir),
        _ => {}
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load when it began: {}", load.trim());
    if wanted("images") {
        images();
    }
    #[cfg(target_os = "linux")]
    if lab::can_run("the part of the benchmark that needs the kernel") {
        if wanted("changes") {
            changes::run();
        }
        if wanted("programs") {
            programs::run();
        }
        if wanted("memory") {
            memory::run();
        }
        if wanted("traffic") {
            traffic::run();
        }
    }
}
