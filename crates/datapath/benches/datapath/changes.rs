//! From a change of the cluster to the kernel: from when the new world is there until packets see the new version and it has
//! been read back.

use crate::lab::{Lab, ip};
use crate::{SCALE, locals, row, timed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_datapath::kernel::Loader;
use watertight_datapath::{Compiler, Local, Options};
use watertight_model::policy::Presence;
use watertight_model::{Labels, Pod, Ports, World};
use watertight_testkit::synthetic::{self, Scale};

/// The `n`-th policy with the ports of its first rule opened or closed again.
fn policy(world: &mut World, n: usize) {
    let policies = world.policies.len();
    let policy = &mut world.policies[n * 7 % policies];
    if let Some(rule) = policy.ingress.first_mut() {
        rule.ports = match &rule.ports {
            Ports::Any(_) => Ports::Of(Vec::new()),
            Ports::Of(_) => Ports::Any(Presence::Absent),
        };
    }
}

fn some_pod(world: &mut World, n: usize) -> &mut Pod {
    let pods = world.pods.len();
    &mut world.pods[n * 31 % pods]
}

/// A pod that no other is like: what must be asked for is asked.
fn relabelled(world: &mut World, n: usize) {
    let pod = some_pod(world, n);
    pod.labels = pod.labels.with("tier", if n.is_multiple_of(2) { "web" } else { "db" });
}

/// A pod in the place of another: a new name, a new address, the same labels.
fn replaced(world: &mut World, n: usize) {
    let at = n * 31 % world.pods.len();
    let mut pod = world.pods.remove(at);
    pod.name = format!("{}-{n}", pod.name).into();
    pod.ips = vec![std::net::IpAddr::from((0x0B00_0000 + u32::try_from(n).unwrap()).to_be_bytes())];
    let key = |p: &Pod| (p.namespace, p.name.clone());
    let at = world.pods.partition_point(|p| key(p) < key(&pod));
    world.pods.insert(at, pod);
}

/// Labels that no policy names.
fn noticed_by_nobody(world: &mut World, n: usize) {
    let pod = some_pod(world, n);
    pod.labels = Labels::new(
        pod.labels.iter().map(|(k, v)| (k.clone(), v.clone())).chain([("n".into(), format!("{n}").into())]),
    );
}

struct Bench {
    loader: Loader,
    compiler: Compiler,
    world: World,
    devices: Vec<(String, u32)>,
    /// Time that each change has run, the waiting for packets and for others left out.
    cpu: Vec<Duration>,
}

impl Bench {
    /// The pods of this node, wherever they are in the list by now.
    fn here(&self) -> Vec<Local> {
        let find = |(name, ifindex): &(String, u32)| {
            let (namespace, pod) = name.split_once('/')?;
            let pod = self.world.pod(self.world.namespace(namespace)?, pod)?;
            Some(Local { pod, ifindex: *ifindex, mac: None, addresses: Vec::new() })
        };
        self.devices.iter().filter_map(find).collect()
    }

    /// Changes the world, and returns the time until that is in force, and until the loader is ready for more.
    fn change(&mut self, change: impl FnOnce(&mut World)) -> (Duration, Duration, usize, bool) {
        change(&mut self.world);
        let world = Arc::new(self.world.clone());
        let here = self.here();
        let (start, cpu) = (Instant::now(), crate::traffic::cpu());
        let compiled = self.compiler.compile(&world, &here).unwrap();
        let applied = self.loader.update(compiled).unwrap();
        let partial = compiled.is_partial();
        self.cpu.push(crate::traffic::cpu() - cpu);
        self.compiler.rest();
        (applied.in_force - start, start.elapsed(), applied.writes, partial)
    }
}

pub(crate) fn run() {
    let lab = Lab::new();
    ip(&format!("-n {0} link add d0 type veth peer name p0 netns {0}", lab.node));
    let device = lab.ifindex("d0");
    for (pods, policies) in [(10_000, 1_000), (16_000, 1_000)] {
        let world = synthetic::world(Scale { pods, policies, ..SCALE });
        let size = format!("{pods} pods x {policies} policies");
        let devices = locals(&world, |n| device + u32::try_from(n).unwrap());
        let devices = devices.iter().map(|l| (world.pod_name(l.pod), l.ifindex)).collect();
        let (mut loader, open) = timed(|| Loader::open(&lab.dir()).unwrap());
        row(&format!("{size}: load the programs"), vec![open]);
        loader
            .apply(&watertight_datapath::Image::compile(&World::default(), &[], &Options::default()).unwrap())
            .unwrap();
        let mut bench = Bench { loader, compiler: Compiler::new(Options::default()), world, devices, cpu: Vec::new() };
        let (cold, whole, ..) = bench.change(|_| ());
        row(&format!("{size}: cold start, until it is in force"), vec![cold]);
        row(&format!("{size}: cold start, until ready for the next"), vec![whole]);
        for (what, change, times) in [
            ("policy change", policy as fn(&mut World, usize), 120),
            ("pod replaced", replaced, 400),
            ("pod relabelled, often to a new kind", relabelled, 400),
            ("pod with labels that no policy names", noticed_by_nobody, 100),
        ] {
            bench.cpu.clear();
            let (mut in_force, mut whole, mut all_writes, mut partial) = (Vec::new(), Vec::new(), 0, 0);
            for n in 0..times {
                let (reached, ready, writes, short) = bench.change(|w| change(w, n));
                in_force.push(reached);
                whole.push(ready);
                all_writes += writes;
                partial += usize::from(short);
            }
            println!(
                "{:<72} {} writes each, {partial} of {times} the short way",
                format!("{size}: {what}"),
                all_writes / times
            );
            row(&format!("{size}: {what}, until it is in force"), in_force);
            row(&format!("{size}: {what}, until ready for the next"), whole);
            row(&format!("{size}: {what}, of that on the processor"), std::mem::take(&mut bench.cpu));
        }
        sustained(&mut bench, &size);
        bench.loader.uninstall().unwrap();
    }
}

/// A thousand pods change per second, for five seconds. Whoever is busy finds several and takes them together.
fn sustained(bench: &mut Bench, size: &str) {
    const RATE: u32 = 1_000;
    let (start, mut done, mut publications) = (Instant::now(), 0u32, 0u32);
    let mut latencies = Vec::new();
    let mut behind = 0;
    while done < 5 * RATE {
        let due = u32::try_from(start.elapsed().as_micros() * u128::from(RATE) / 1_000_000).unwrap().min(5 * RATE);
        if due == done {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        let before = done;
        bench.change(|world| {
            (before..due).for_each(|n| {
                if n.is_multiple_of(2) { relabelled(world, n as usize) } else { replaced(world, 1_000 + n as usize) }
            });
        });
        done = due;
        publications += 1;
        behind = behind.max(due - before);
        let now = start.elapsed();
        latencies.extend((before..due).map(|n| now.saturating_sub(Duration::from_secs(1) / RATE * n)));
    }
    let rate = f64::from(done) / start.elapsed().as_secs_f64();
    println!(
        "{:<72} {rate:.0} changes/s over 5 s, {publications} publications, at most {behind} changes in one",
        format!("{size}: sustained")
    );
    row(&format!("{size}: sustained, from a change until ready for the next"), latencies);
}
