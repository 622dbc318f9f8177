//! Prints the engine's table: reachability of whole clusters, explanations, blast radius. `cargo bench -p watertight-engine`.
//!
//! Times are medians of several runs in one process; memory is the peak of the process so far, so rows are run from small
//! to large.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::{Duration, Instant};
use watertight_engine::Engine;
use watertight_engine::blast::{BlastOptions, rank};
use watertight_engine::connections::{Detail, connections};
use watertight_engine::diff::{DiffOptions, diff};
use watertight_engine::explain::explain;
use watertight_engine::live::Live;
use watertight_engine::reach::Reach;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Cidr, Endpoint, Flow, IpBlock, L4, Origin, Peer, PeerKind, Peers, PodId, Protocol, Selector, World,
};
use watertight_testkit::synthetic::{self, Scale};

fn main() {
    println!(
        "{:44} {:>9} {:>12} {:>12} {:>12} {:>9}",
        "connections, all ports", "classes", "prepare", "reach", "together", "peak MB"
    );
    let k = 1000;
    let rows = [
        ("10k pods, 1k policies", Scale { pods: 10 * k, replicas: 10, policies: k, namespaces: 100 }),
        ("10k pods, 10k policies", Scale { pods: 10 * k, replicas: 10, policies: 10 * k, namespaces: 100 }),
        (
            "100k pods (10 replicas), 10k policies",
            Scale { pods: 100 * k, replicas: 10, policies: 10 * k, namespaces: 1000 },
        ),
        (
            "10k pods, all distinct, 10k policies",
            Scale { pods: 10 * k, replicas: 1, policies: 10 * k, namespaces: 100 },
        ),
    ];
    for (name, scale) in rows {
        let world = synthetic::world(scale);
        let (prepare, _) = median(5, || Engine::new(&world));
        let engine = Engine::new(&world);
        let (reach, result) = median(5, || Reach::of(&engine));
        println!(
            "{name:44} {:>9} {:>12} {:>12} {:>12} {:>9}",
            engine.classes().len(),
            show(prepare),
            show(reach),
            show(prepare + reach),
            peak_mb()
        );
        std::hint::black_box(result.pair_count());
    }
    println!();
    live_table();
    println!();
    let world = synthetic::world(Scale { pods: 10 * k, replicas: 10, policies: k, namespaces: 100 });
    let engine = Engine::new(&world);
    let (list, entries) = median(5, || connections(&engine, Detail::Workloads));
    println!("workload list, 10k pods, 1k policies: {} for {} entries", show(list), entries.len());
    explain_table(&world);
    diff_table(&world);
    let distinct = synthetic::world(Scale { pods: 10 * k, replicas: 1, policies: 10 * k, namespaces: 100 });
    let engine = Engine::new(&distinct);
    let (all, ranks) = median(3, || rank(&engine, BlastOptions::default()));
    println!("blast radius of all {} classes (reach included): {}", ranks.len(), show(all));
}

/// One object changed: from the next world at hand to everything current. The next world is made outside the time.
fn live_table() {
    let k = 1000;
    let start = synthetic::world(Scale { pods: 100 * k, replicas: 10, policies: 10 * k, namespaces: 1000 });
    let (fresh, live) = median(1, || Live::new(start.clone()));
    println!("one edit, 100k pods, 10k policies (all anew: {})", show(fresh));
    println!("{:44} {:>9} {:>9} {:>9} {:>12} {:>12}", "edit", "rows", "changes", "whole", "median", "largest");
    drop(live);
    let mut live = Live::new(start);
    let app = |n: usize| Selector::of(&[("app", &format!("app-{:06}", n % 10_000))]);
    type Edit<'e> = (&'e str, &'e dyn Fn(&mut World, usize));
    let edits: [Edit<'_>; 8] = [
        ("policy removed", &|w, i| drop(w.policies.remove(i * 997))),
        ("policy selects another application", &|w, i| w.policies[i * 991].subject = app(i * 7919)),
        ("policy with a label that none named", &|w, i| {
            w.policies[i * 983].subject = Selector::of(&[("pod-template-hash", &format!("{i}"))]);
        }),
        ("replica removed", &|w, i| drop(w.pods.remove(i * 9973))),
        ("pod of a new kind", &|w, i| {
            w.pods[i * 9967].labels = w.pods[i * 9967].labels.with("app", &format!("new-{i}"));
        }),
        ("namespace of another team", &|w, i| {
            w.namespaces[i * 97].labels = w.namespaces[i * 97].labels.with("team", &format!("t{}", i % 20));
        }),
        ("policy with a new block", &|w, i| {
            let cidr = Cidr::new(std::net::IpAddr::from([10, 0, u8::try_from(i).unwrap_or(0), 0]), 24);
            let Some(cidr) = cidr else { return };
            let cidr = BlockCidr { cidr, mapped: None, sloppy: false, origin: Origin::default() };
            let kind = PeerKind::Block(IpBlock { cidr, except: Vec::new() });
            let peers = Peers::Of(vec![Peer { kind, origin: Origin::default() }]);
            w.policies[i * 977].ingress.iter_mut().for_each(|rule| rule.peers = peers.clone());
        }),
        ("nothing", &|_, _| {}),
    ];
    for (name, edit) in edits {
        let mut times = Vec::new();
        let (mut rows, mut changes, mut whole) = (0, 0, 0);
        for i in 0..9 {
            let mut next = live.world().clone();
            edit(&mut next, i);
            let start = Instant::now();
            let update = live.update(next);
            times.push(start.elapsed());
            rows = rows.max(update.rows);
            changes = changes.max(update.changes.len());
            whole += usize::from(update.whole);
        }
        times.sort_unstable();
        println!("{name:44} {rows:>9} {changes:>9} {whole:>9} {:>12} {:>12}", show(times[4]), show(times[8]));
    }
}

/// Two worlds compared: nothing changed, one policy gone, one policy in ten gone. Blame and blast radius included.
fn diff_table(world: &World) {
    let without = |gone: &dyn Fn(usize) -> bool| {
        let mut out = world.clone();
        let kept = out.policies.into_iter().enumerate().filter(|(i, _)| !gone(*i));
        out.policies = kept.map(|(_, policy)| policy).collect();
        out
    };
    let changes = [
        ("nothing changed", without(&|_| false)),
        ("one policy removed", without(&|i| i == 500)),
        ("every tenth policy removed", without(&|i| i % 10 == 0)),
    ];
    for (name, after) in changes {
        let (time, found) = median(3, || diff(world, &after, DiffOptions::default()));
        println!("diff, 10k pods, 1k policies, {name}: {} for {} rows", show(time), found.rows.len());
    }
}

fn explain_table(world: &World) {
    let engine = Engine::new(world);
    let mut times: Vec<Duration> = Vec::new();
    for i in 0..20_000usize {
        let pod = |n: usize| Endpoint::Pod(PodId::at(n % world.pods.len()));
        let flow = Flow {
            from: pod(i * 7919),
            to: pod(i * 104_729 + 13),
            l4: L4::Port(Protocol::Tcp, 8080),
            via_service: false,
        };
        let start = Instant::now();
        std::hint::black_box(explain(&engine, &flow));
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!(
        "explain, 10k pods, 1k policies: p50 {}, p99 {}",
        show(times[times.len() / 2]),
        show(times[times.len() * 99 / 100])
    );
}

fn median<T>(runs: usize, mut f: impl FnMut() -> T) -> (Duration, T) {
    let mut last = f();
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            let result = f();
            let time = start.elapsed();
            last = result;
            time
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

/// Peak resident memory of this process in MB, from the kernel's own count; 0 where it is not told.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb / 1024)
}
