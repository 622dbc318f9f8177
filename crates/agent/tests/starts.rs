//! Pods that start, one after the other, each sending from the moment it has a cable: what a policy denies never comes through, not
//! one packet, and what it allows does once the policy of the pod is in force. Needs root and Linux 6.6: without root this test says
//! that it did not run, except in continuous integration, where it fails. `WATERTIGHT_STARTS` makes it longer.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use watertight_datapath::kernel::Loader;
use watertight_datapath::{Image, Local, Options};
use watertight_lab::within;
use watertight_model::{Direction, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::{policy, rule};

const POD: [&str; 2] = ["10.9.0.2", "fd09::2"];
const SINK: [&str; 2] = ["10.9.0.3", "fd09::3"];
const ALLOWED: u16 = 5001;
const DENIED: u16 = 5002;
/// Nobody waits longer for a gate, whatever else the machine does. What is aimed at is a hundredth of that; the test prints what it was.
const AT_MOST: Duration = Duration::from_secs(2);

fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{line}").unwrap();
}

fn ip(line: &str) {
    let out = Command::new("ip").args(line.split_whitespace()).output().unwrap();
    assert!(out.status.success(), "ip {line}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A node with a bridge, and a pod on it that counts what reaches it. Everything goes away with the value.
struct Bed {
    name: String,
    bpf: PathBuf,
    stop: Arc<AtomicBool>,
    /// Allowed, denied: datagrams that came.
    came: [Arc<AtomicU64>; 2],
}

impl Bed {
    fn new() -> Self {
        let name = format!("wtst-{}", std::process::id());
        let bpf = std::env::temp_dir().join(&name);
        std::fs::create_dir(&bpf).unwrap();
        let this = Self { name, bpf, stop: Arc::default(), came: [Arc::default(), Arc::default()] };
        let (node, sink) = (this.node(), this.netns("sink"));
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&this.bpf).output().unwrap();
        assert!(mounted.status.success());
        ip(&format!("netns add {node}"));
        ip(&format!("netns add {sink}"));
        ip(&format!("-n {node} link add br0 type bridge"));
        ip(&format!("-n {node} link set br0 up"));
        this.cable("sink", &sink, SINK);
        ip(&format!("-n {node} link set vsink up"));
        for (port, came) in [ALLOWED, DENIED].into_iter().zip(&this.came) {
            for address in SINK {
                let at: SocketAddr = (address.parse::<IpAddr>().unwrap(), port).into();
                let socket = within(&sink, || UdpSocket::bind(at)).unwrap().unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                let (stop, came) = (Arc::clone(&this.stop), Arc::clone(came));
                std::thread::spawn(move || {
                    let mut buffer = [0; 16];
                    while !stop.load(Ordering::Relaxed) {
                        if socket.recv(&mut buffer).is_ok() {
                            came.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        }
        this
    }

    fn node(&self) -> String {
        self.netns("node")
    }

    fn netns(&self, of: &str) -> String {
        format!("{}-{of}", self.name)
    }

    /// A cable to the bridge; the node's end is down.
    fn cable(&self, name: &str, netns: &str, addresses: [&str; 2]) {
        let node = self.node();
        ip(&format!("-n {node} link add v{name} type veth peer name eth0 netns {netns}"));
        ip(&format!("-n {netns} addr add {}/24 dev eth0", addresses[0]));
        ip(&format!("-n {netns} addr add {}/64 dev eth0 nodad", addresses[1]));
        ip(&format!("-n {netns} link set eth0 up"));
        ip(&format!("-n {node} link set v{name} master br0"));
    }

    fn sink_mac(&self) -> String {
        let out = Command::new("ip").args(["-n", &self.netns("sink"), "-o", "link", "show", "eth0"]).output().unwrap();
        let line = String::from_utf8(out.stdout).unwrap();
        line.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    }

    fn came(&self) -> [u64; 2] {
        [0, 1].map(|i| self.came[i].load(Ordering::Relaxed))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for of in ["pod", "sink", "node"] {
            let _ = Command::new("ip").args(["netns", "del", &self.netns(of)]).output();
        }
        let _ = Command::new("umount").arg(&self.bpf).output();
        let _ = std::fs::remove_dir(&self.bpf);
    }
}

/// The pod may send to the sink on one port, and to nobody else.
fn world(with_pod: bool) -> World {
    let mut builder = WorldBuilder::new().namespace("shop", &[]).node("n1", &[], &["10.9.0.1"]);
    builder = builder.pod("shop/sink", &[("app", "sink")]).on("n1").ip(SINK[0]).ip(SINK[1]);
    if with_pod {
        builder = builder.pod("shop/pod", &[("app", "pod")]).on("n1").ip(POD[0]).ip(POD[1]);
    }
    let out = policy("shop/out").select(&[("app", "pod")]).types(&[Direction::Egress]);
    builder.policy(out.egress(rule().pods(&[("app", "sink")]).udp(ALLOWED))).build()
}

/// Sends to both ports over both families, as fast as a pod that has just begun might, until told to stop.
fn chatter(netns: &str, stop: &AtomicBool) {
    let sockets = within(netns, || ["0.0.0.0:0", "[::]:0"].map(|any| UdpSocket::bind(any).unwrap())).unwrap();
    while !stop.load(Ordering::Relaxed) {
        for (socket, address) in sockets.iter().zip(SINK) {
            for port in [DENIED, ALLOWED] {
                let to: SocketAddr = (address.parse::<IpAddr>().unwrap(), port).into();
                // The cable may have no other end yet: what is not sent does not leak.
                let _ = socket.send_to(b"x", to);
            }
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// What a start takes: the gates on the device, the image, its way into the kernel and back, and from then to the first packet that is
/// allowed.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    attach: Duration,
    compile: Duration,
    apply: Duration,
    first: Duration,
}

/// One start. `loader`: `None` for a node that guards nothing. The pod sends already while its gate is made, which is worse than with a
/// CNI plugin, for which pods wait.
fn start(bed: &Bed, mut loader: Option<&mut Loader>) -> Times {
    let (node, pod) = (bed.node(), bed.netns("pod"));
    ip(&format!("netns add {pod}"));
    bed.cable("pod", &pod, POD);
    // It need not ask for its neighbours first, which a closed gate would not let it: its first packet is the one that counts.
    for address in SINK {
        ip(&format!("-n {pod} neigh replace {address} lladdr {} dev eth0 nud permanent", bed.sink_mac()));
    }
    let out = Command::new("ip").args(["-n", &node, "-o", "link", "show", "vpod"]).output().unwrap();
    let ifindex: u32 = String::from_utf8(out.stdout).unwrap().split(':').next().unwrap().parse().unwrap();
    let stop = AtomicBool::new(false);
    let before = bed.came();
    let times = std::thread::scope(|scope| {
        let mut times = Times::default();
        if let Some(loader) = loader.as_deref_mut() {
            let began = Instant::now();
            within(&node, || loader.attach(ifindex)).unwrap().unwrap();
            times.attach = began.elapsed();
        }
        let (netns, told) = (&pod, &stop);
        scope.spawn(move || chatter(netns, told));
        ip(&format!("-n {node} link set vpod up"));
        // It sends for a while before its policy is known.
        std::thread::sleep(Duration::from_millis(20));
        if let Some(loader) = loader.as_deref_mut() {
            assert_eq!(bed.came(), before, "nothing comes through before the pod's policy is known");
            let known = Instant::now();
            let image = image(Some(ifindex));
            times.compile = known.elapsed();
            loader.apply(&image).unwrap();
            times.apply = known.elapsed() - times.compile;
        }
        let published = Instant::now();
        while bed.came()[0] == before[0] {
            assert!(published.elapsed() < Duration::from_secs(10), "what is allowed never comes");
            std::thread::sleep(Duration::from_micros(200));
        }
        times.first = published.elapsed();
        std::thread::sleep(Duration::from_millis(10));
        stop.store(true, Ordering::Relaxed);
        times
    });
    // A namespace goes when the kernel gets round to it, and its devices with it.
    ip(&format!("-n {node} link del vpod"));
    ip(&format!("netns del {pod}"));
    if let Some(loader) = loader {
        // As the agent does it: first it is nobody's, then the gates go.
        loader.apply(&image(None)).unwrap();
        within(&node, || loader.detach(ifindex)).unwrap().unwrap();
    }
    times
}

/// What the node's kernel should hold, with the pod at this device or without it.
fn image(pod: Option<u32>) -> Image {
    let world = world(pod.is_some());
    let shop = world.namespace("shop").unwrap();
    let local = |ifindex| Local { pod: world.pod(shop, "pod").unwrap(), ifindex, mac: None, addresses: Vec::new() };
    let locals: Vec<Local> = pod.map(local).into_iter().collect();
    Image::compile(&world, &locals, &Options::default()).unwrap()
}

fn can_run() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
    let can = root && Path::new("/sys/kernel/btf/vmlinux").exists();
    assert!(can || std::env::var_os("CI").is_none(), "continuous integration runs this as root, with BTF");
    if !can {
        say("not run: pods need root, and gates a kernel with BTF");
    }
    can
}

#[test]
fn pods_that_start_are_closed_before_their_policy_and_held_to_it_after() {
    if !can_run() {
        return;
    }
    let starts: usize = std::env::var("WATERTIGHT_STARTS").map_or(25, |n| n.parse().unwrap());
    let bed = Bed::new();
    start(&bed, None);
    let [_, denied] = bed.came();
    assert!(denied > 0, "without a gate what is denied comes through, and is seen");
    let mut loader = Loader::open(&bed.bpf.join("watertight")).unwrap();
    loader.apply(&image(None)).unwrap();
    // What the first pod sent last.
    std::thread::sleep(Duration::from_millis(100));
    let [_, before] = bed.came();
    let times: Vec<Times> = (0..starts).map(|_| start(&bed, Some(&mut loader))).collect();
    let leaked = bed.came()[1] - before;
    let of = |part: &dyn Fn(&Times) -> Duration| {
        let mut sorted: Vec<Duration> = times.iter().map(part).collect();
        sorted.sort_unstable();
        (sorted[starts / 2], sorted[(starts * 99 / 100).min(starts - 1)])
    };
    let gate = of(&|t| t.attach + t.compile + t.apply);
    say(&format!(
        "{starts} pod starts: {leaked} denied packets came through; p50 and p99 of the gate {gate:?}: attach {:?}, compile {:?}, apply \
         {:?}; first allowed packet after {:?}",
        of(&|t| t.attach),
        of(&|t| t.compile),
        of(&|t| t.apply),
        of(&|t| t.first),
    ));
    let dropped = loader.drops().unwrap();
    assert_eq!(leaked, 0);
    let closed = dropped[&watertight_datapath::Drop::UnknownEndpoint];
    assert!(closed >= starts as u64, "each pod sent before its policy was known, and was dropped: {dropped:?}");
    assert!(gate.1 < AT_MOST, "{times:?}");
    within(&bed.node(), || loader.uninstall()).unwrap().unwrap();
}
