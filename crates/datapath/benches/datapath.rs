//! Time from a changed policy or pod to the kernel, and time of the programs per packet. Prints rows of a table.
//!
//! The second part needs root and says so without it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

#[cfg(target_os = "linux")]
#[path = "../tests/kernel/frame.rs"]
mod frame;
#[cfg(target_os = "linux")]
#[path = "../tests/kernel/lab.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod lab;

use std::time::{Duration, Instant};
use watertight_datapath::plan::{State, plan};
use watertight_datapath::{Image, Local, Options};
use watertight_model::{PodId, Ports, World};
use watertight_testkit::synthetic::{self, Scale};

const SCALE: Scale = Scale { pods: 10_000, replicas: 10, policies: 1_000, namespaces: 100 };

/// Every hundredth pod lives here.
fn locals(world: &World, device: impl Fn(usize) -> u32) -> Vec<Local> {
    (0..world.pods.len())
        .step_by(100)
        .enumerate()
        .map(|(n, i)| Local { pod: PodId::at(i), ifindex: device(n), mac: None, addresses: Vec::new() })
        .collect()
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what:<56} p50 {:>9.3?}  p99 {:>9.3?}  n {}", at(50), at(99), times.len());
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let out = work();
    (out, start.elapsed())
}

/// The `n`-th policy with the ports of its first rule opened or closed again.
fn change_policy(world: &mut World, n: usize) {
    let policies = world.policies.len();
    let policy = &mut world.policies[n * 7 % policies];
    if let Some(rule) = policy.ingress.first_mut() {
        rule.ports = match &rule.ports {
            Ports::Any(_) => Ports::Of(Vec::new()),
            Ports::Of(_) => Ports::Any(watertight_model::policy::Presence::Absent),
        };
    }
}

fn change_pod(world: &mut World, n: usize) {
    let pods = world.pods.len();
    let pod = &mut world.pods[n * 31 % pods];
    pod.labels = pod.labels.with("tier", if n.is_multiple_of(2) { "web" } else { "db" });
}

fn compile_and_plan() {
    let mut world = synthetic::world(SCALE);
    let here = locals(&world, |n| u32::try_from(n + 10).unwrap());
    let compile = |world: &World| Image::compile(world, &here, &Options::default()).unwrap();
    let cold: Vec<Duration> = (0..5).map(|_| timed(|| plan(&State::default(), &compile(&world)).unwrap()).1).collect();
    row("cold: compile and plan, 10k pods x 1k policies", cold);
    let image = compile(&world);
    let entries: usize = image.sets.iter().map(|s| s.entries.len()).sum();
    let steps: usize = image.tables.iter().map(|t| t.steps().len()).sum();
    println!(
        "{:<56} {} addresses, {} sets, {entries} entries, {} tables, {steps} steps",
        "image",
        image.addresses.len(),
        image.sets.len(),
        image.tables.len()
    );
    for (what, change) in [
        ("policy change: compile and plan", change_policy as fn(&mut World, usize)),
        ("pod change: compile and plan", change_pod),
    ] {
        let mut state = State::default();
        let mut times = Vec::new();
        let mut writes = 0;
        for n in 0..40 {
            change(&mut world, n);
            let (made, time) = timed(|| plan(&state, &compile(&world)).unwrap());
            state = made.after;
            if n > 1 {
                times.push(time);
                writes += made.writes.len();
            }
        }
        println!("{what:<56} {} map writes on average", writes / times.len());
        row(what, times);
    }
}

#[cfg(target_os = "linux")]
fn in_the_kernel() {
    use frame::opening;
    use lab::{Lab, can_run, inside, ip};
    use watertight_datapath::kernel::{Hook, Loader};
    use watertight_model::{L4, Protocol};

    if !can_run("the part of the benchmark that needs the kernel") {
        return;
    }
    let lab = Lab::new();
    ip(&format!("-n {0} link add d0 type veth peer name p0 netns {0}", lab.node));
    let device = lab.ifindex("d0");
    for (pods, policies) in [(100, 1), (10_000, 1_000), (16_000, 1_000)] {
        let mut world = synthetic::world(Scale { pods, policies, ..SCALE });
        let here = locals(&world, |n| if n == 0 { device } else { device + 1 + u32::try_from(n).unwrap() });
        let compile = |world: &World| Image::compile(world, &here, &Options::default()).unwrap();
        let mut loader = Loader::open(&lab.dir()).unwrap();
        let size = format!("{pods} pods x {policies} policies");
        let (_, cold) = timed(|| loader.apply(&compile(&world)).unwrap());
        row(&format!("{size}: cold start, to the kernel and read back"), vec![cold]);
        for (what, change) in [("policy change", change_policy as fn(&mut World, usize)), ("pod change", change_pod)] {
            let (mut all, mut applies) = (Vec::new(), Vec::new());
            for n in 0..30 {
                change(&mut world, n);
                let (image, compile_time) = timed(|| compile(&world));
                let (_, apply_time) = timed(|| loader.apply(&image).unwrap());
                all.push(compile_time + apply_time);
                applies.push(apply_time);
            }
            row(&format!("{size}: {what}, to the kernel and read back"), all);
            row(&format!("{size}: of which plan, wait, write, read back"), applies);
        }
        let own = world.pods[0].ips[0];
        let peer = world.pods[pods / 2].ips[0];
        inside(&lab.node, || {
            let frame = opening(own, peer, L4::Port(Protocol::Udp, 8080), 4000);
            let established: Vec<Duration> =
                (0..20).map(|_| loader.time(Hook::Ingress, &frame, device, 0, 20_000).unwrap()).collect();
            row(&format!("{size}: program, established"), established);
            // An answer to nothing is judged each time and never remembered: what a new flow costs, less its insertion.
            let mut middle = opening(peer, own, L4::Port(Protocol::Tcp, 8080), 4000);
            middle[14 + 33] = 0x10;
            let judged: Vec<Duration> =
                (0..20).map(|_| loader.time(Hook::Egress, &middle, device, 1, 20_000).unwrap()).collect();
            row(&format!("{size}: program, judged"), judged);
        });
        loader.uninstall().unwrap();
    }
}

fn main() {
    compile_and_plan();
    #[cfg(target_os = "linux")]
    in_the_kernel();
}
