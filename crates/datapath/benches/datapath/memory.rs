//! Memory: the maps', as the kernel accounts them, and that of a process that does what the agent does with worlds: it holds two
//! of them, compiles and writes. (An agent on a cluster also holds the objects as they were read.)

use crate::lab::Lab;
use crate::{SCALE, locals};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use watertight_datapath::kernel::Loader;
use watertight_datapath::{Compiler, Options};
use watertight_testkit::synthetic;

pub(crate) fn run() {
    let lab = Lab::new();
    // A process of its own: this one has held other things before.
    let mut child = Command::new(std::env::current_exe().unwrap());
    assert!(child.arg("memory-of").arg(lab.dir()).status().unwrap().success());
}

/// Opens, compiles, writes, changes pods for a while, and tells.
pub(crate) fn tell(dir: &str) {
    let start = status();
    let mut world = synthetic::world(SCALE);
    let with_world = status();
    let mut loader = Loader::open(dir.as_ref()).unwrap();
    let mut compiler = Compiler::new(Options::default());
    for n in 0..60u32 {
        let pods = world.pods.len();
        let pod = &mut world.pods[n as usize * 97 % pods];
        pod.ips = vec![std::net::IpAddr::from((0x0B00_0000 + n).to_be_bytes())];
        let next = Arc::new(world.clone());
        let here = locals(&next, |n| 10 + u32::try_from(n).unwrap());
        loader.update(compiler.compile(&next, &here).unwrap()).unwrap();
        compiler.rest();
    }
    println!(
        "{:<72} {:.1} MB; {:.1} MB with one world and nothing else, {:.1} MB at the start",
        "resident, 10k pods x 1k policies, after 60 changes",
        status(),
        with_world,
        start
    );
    let (flows, policy, seen) = maps();
    println!("{:<72} {policy:.1} MB", "maps of policy");
    println!("{:<72} {seen:.1} MB", "maps of edges, events, fragments and counters");
    println!("{:<72} {flows:.1} MB", "map of flows");
    loader.uninstall().unwrap();
}

/// Resident megabytes.
fn status() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    f64::from(line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()) / 1024.0
}

/// Megabytes of the maps that this process has open: flows; policy; what is seen.
fn maps() -> (f64, f64, f64) {
    let mut by_id: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
        let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else { continue };
        let fields = text.lines().filter_map(|l| l.split_once(':'));
        let fields: BTreeMap<String, String> = fields.map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
        if let Some(id) = fields.get("map_id") {
            by_id.insert(id.parse().unwrap(), fields);
        }
    }
    let (mut flows, mut policy, mut seen) = (0.0, 0.0, 0.0);
    for map in by_id.values() {
        let megabytes = f64::from(map["memlock"].parse::<u32>().unwrap()) / 1024.0 / 1024.0;
        let of = |field: &str| map[field].as_str();
        match (of("map_type"), of("max_entries"), of("map_flags")) {
            // A hash, not preallocated, or a trie, or an array: what user space writes.
            ("1" | "11", _, "0x1") | ("2", _, _) => policy += megabytes,
            ("1", "131072", _) => flows += megabytes,
            _ => seen += megabytes,
        }
    }
    (flows, policy, seen)
}
