//! Namespaces, cables and a BPF file system for one test; everything is named `wtdp-` and goes away when the lab is dropped,
//! also when the test panics.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// True if the tests of this file can run; else says why not (and fails under CI).
pub(crate) fn can_run(test: &str) -> bool {
    let why = if !nix::unistd::Uid::effective().is_root() {
        "not root"
    } else if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        "no BTF in this kernel"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "no `ip`: apt-get install iproute2"
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{test} needs the kernel: {why}");
    say(&format!("{test}: NOT RUN: {why}"));
    false
}

/// To standard error, past the test harness, which keeps what a passing test prints to itself.
pub(crate) fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{line}").unwrap();
}

pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn ip(args: &str) -> String {
    run("ip", &args.split_whitespace().collect::<Vec<_>>())
}

/// Runs in a network namespace, on a thread of its own (the mount namespace, and so the BPF file system, stays).
pub(crate) fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Lab {
    name: String,
    /// Name of the namespace that stands for the node.
    pub(crate) node: String,
    namespaces: Vec<String>,
    bpf: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let name = format!("wtdp-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut this = Self { node: format!("{name}-node"), namespaces: Vec::new(), bpf: PathBuf::new(), name };
        let node = this.node.clone();
        this.namespace(&node);
        this.bpf = std::env::temp_dir().join(&this.name);
        std::fs::create_dir(&this.bpf).unwrap();
        run("mount", &["-t", "bpf", "bpf", this.bpf.to_str().unwrap()]);
        this
    }

    /// Where a loader may pin.
    pub(crate) fn dir(&self) -> PathBuf {
        self.bpf.join("watertight")
    }

    pub(crate) fn namespace(&mut self, name: &str) {
        ip(&format!("netns add {name}"));
        self.namespaces.push(name.to_owned());
        ip(&format!("-n {name} link set lo up"));
    }

    pub(crate) fn pod_namespace(&self, pod: &str) -> String {
        format!("{}-{pod}", self.name)
    }

    /// A bridge on the node, with an address of its own.
    pub(crate) fn bridge(&self, addresses: &[&str]) {
        ip(&format!("-n {} link add br0 type bridge", self.node));
        for address in addresses {
            ip(&format!("-n {} addr add {address} dev br0 nodad", self.node));
        }
        ip(&format!("-n {} link set br0 up", self.node));
    }

    /// A pod: namespace, cable, addresses. Returns the index of the node's end.
    pub(crate) fn pod(&mut self, pod: &str, addresses: &[&str], bridge: Option<&str>) -> (u32, [u8; 6]) {
        let (namespace, node) = (self.pod_namespace(pod), self.node.clone());
        self.namespace(&namespace);
        ip(&format!("-n {node} link add v{pod} type veth peer name eth0 netns {namespace}"));
        for address in addresses {
            ip(&format!("-n {namespace} addr add {address} dev eth0 nodad"));
        }
        ip(&format!("-n {namespace} link set eth0 up"));
        if let Some(bridge) = bridge {
            ip(&format!("-n {node} link set v{pod} master {bridge}"));
        }
        ip(&format!("-n {node} link set v{pod} up"));
        (self.ifindex(&format!("v{pod}")), mac(&ip(&format!("-n {namespace} -o link show eth0"))))
    }

    /// Index of a device of the node.
    pub(crate) fn ifindex(&self, device: &str) -> u32 {
        let line = ip(&format!("-n {} -o link show {device}", self.node));
        line.split(':').next().unwrap().trim().parse().unwrap()
    }
}

fn mac(line: &str) -> [u8; 6] {
    let text = line.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            let _ = Command::new("ip").args(["netns", "del", namespace]).output();
        }
        let _ = Command::new("umount").arg(&self.bpf).output();
        let _ = std::fs::remove_dir(&self.bpf);
    }
}
