//! Real traffic between two pods that a node routes between, under several ways to enforce. Variants take turns, and medians of
//! the ratios to "no policy" in the same turn are what counts: the machine may be busy with other things.

use crate::lab::{Lab, inside, ip, run as command};
use crate::queue::{NUMBER, Queue};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_datapath::kernel::Loader;
use watertight_datapath::{Drop, Image, Local, Options};
use watertight_model::World;
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::{policy, rule};

const TURNS: usize = 9;
const CLIENT: &str = "10.1.0.2";
const SERVER: &str = "10.2.0.2";
const PORTS: [u16; 10] = [5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009];

/// Ways to enforce, the reference first.
const VARIANTS: [&str; 8] = [
    "no policy",
    "watertight, 1 policy, 2 pods",
    "watertight, 1,000 policies, 10k pods",
    "watertight, the same in shadow",
    "nftables, 1,000 rules in a row",
    "nftables, a set of 10k",
    "NFQUEUE, first packets (own loop)",
    "no policy, again",
];

/// What one turn measures.
#[derive(Clone, Copy, Default)]
struct Sample {
    bytes_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    connections_per_s: f64,
}

/// A client, a server, and `more` pods and policies: all policies select the server, so all of them count.
fn world(pods: usize, policies: usize) -> World {
    let mut world = WorldBuilder::new().namespace("a", &[("team", "a")]).namespace("b", &[("team", "b")]);
    world = world.pod("a/client", &[("app", "client")]).ip(CLIENT).pod("b/server", &[("app", "server")]).ip(SERVER);
    for n in 2..pods {
        let (app, address) =
            (format!("app-{}", n / 10), format!("10.{}.{}.{}", 64 + n / 65_536, n / 256 % 256, n % 256));
        world = world.pod(&format!("b/pod-{n}"), &[("app", &app)]).ip(&address);
    }
    let mut from_client = rule().select(team("a"), app("client"));
    let mut to_server = rule().select(team("b"), app("server"));
    for port in PORTS {
        from_client = from_client.tcp(port);
        to_server = to_server.tcp(port);
    }
    world = world.policy(policy("b/client").select(&[("app", "server")]).ingress(from_client));
    world = world.policy(policy("a/server").select(&[("app", "client")]).egress(to_server));
    for n in 1..policies {
        let peer = format!("app-{n}");
        let port = 8000 + u16::try_from(n % 20).unwrap();
        let rule = rule().pods(&[("app", &peer)]).tcp(port);
        world = world.policy(policy(&format!("b/p-{n}")).select(&[("app", "server")]).ingress(rule));
    }
    world.build()
}

fn team(name: &str) -> watertight_model::Selector {
    watertight_model::Selector::of(&[("team", name)])
}

fn app(name: &str) -> watertight_model::Selector {
    watertight_model::Selector::of(&[("app", name)])
}

struct Bench {
    lab: Lab,
    loader: Loader,
    devices: [u32; 2],
    images: [Image; 3],
}

impl Bench {
    fn new() -> Self {
        let mut lab = Lab::new();
        let devices = [("a", CLIENT, "10.1.0.1"), ("b", SERVER, "10.2.0.1")].map(|(pod, address, gateway)| {
            let (ifindex, _) = lab.pod(pod, &[&format!("{address}/24")], None);
            ip(&format!("-n {} addr add {gateway}/24 dev v{pod}", lab.node));
            ip(&format!("-n {} route add default via {gateway}", lab.pod_namespace(pod)));
            ifindex
        });
        inside(&lab.node, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        inside(&lab.pod_namespace("a"), || {
            std::fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "10000 65000").unwrap();
        });
        let image = |world: &World, options: &Options| {
            let local = |namespace: &str, pod: &str, ifindex| {
                let pod = world.pod(world.namespace(namespace).unwrap(), pod).unwrap();
                Local { pod, ifindex, mac: None, addresses: Vec::new() }
            };
            let here = [local("a", "client", devices[0]), local("b", "server", devices[1])];
            Image::compile(world, &here, options).unwrap()
        };
        let (small, large) = (world(2, 1), world(10_000, 1_000));
        let shadow = Options { shadow: true, ..Options::default() };
        let images = [image(&small, &Options::default()), image(&large, &Options::default()), image(&large, &shadow)];
        let loader = Loader::open(&lab.dir()).unwrap();
        Self { lab, loader, devices, images }
    }

    fn nft(&self, rules: &str) {
        let path = std::env::temp_dir().join(format!("wtdp-bench-{}.nft", std::process::id()));
        std::fs::write(&path, rules).unwrap();
        command("ip", &["netns", "exec", &self.lab.node, "nft", "-f", path.to_str().unwrap()]);
        std::fs::remove_file(&path).unwrap();
    }

    fn iptables(&self, rule: &str) {
        let mut args = vec!["netns", "exec", &self.lab.node, "iptables-legacy", "-w"];
        args.extend(rule.split(' '));
        command("ip", &args);
    }

    /// One turn of one variant.
    fn turn(&mut self, variant: usize) -> Sample {
        const BEGIN: &str = "table ip wt {\n";
        const CHAIN: &str =
            "chain f { type filter hook forward priority 0; policy drop; ct state established,related accept\n";
        let mut queue = None;
        match variant {
            1..=3 => {
                self.loader.apply(&self.images[variant - 1]).unwrap();
                let (node, loader, devices) = (&self.lab.node, &mut self.loader, self.devices);
                inside(node, || devices.iter().for_each(|d| loader.attach(*d).unwrap()));
            }
            4 => {
                let mut rules = format!("{BEGIN}{CHAIN}");
                for n in 0..1_000u32 {
                    let address = std::net::Ipv4Addr::from(0x0A40_0000 + n);
                    let _ = writeln!(rules, "ip saddr {address} ip daddr {SERVER} tcp dport {} accept", 8000 + n);
                }
                let _ = writeln!(rules, "ip saddr {CLIENT} ip daddr {SERVER} tcp dport 5000-5009 accept\n}}\n}}");
                self.nft(&rules);
            }
            5 => {
                let mut rules = format!("{BEGIN}set s {{ type ipv4_addr . ipv4_addr . inet_service; elements = {{ ");
                for n in 0..10_000u32 {
                    let address = std::net::Ipv4Addr::from(0x0A40_0000 + n);
                    let _ = write!(rules, "{address} . {SERVER} . 8080, ");
                }
                for port in PORTS {
                    let _ = write!(rules, "{CLIENT} . {SERVER} . {port}, ");
                }
                let _ = writeln!(rules, "}}\n}}\n{CHAIN} ip saddr . ip daddr . tcp dport @s accept\n}}\n}}");
                self.nft(&rules);
            }
            6 => {
                // By iptables: `queue` of nftables is in fewer kernels than the target.
                self.iptables("-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
                self.iptables(&format!("-A FORWARD -j NFQUEUE --queue-num {NUMBER}"));
                queue = Some(inside(&self.lab.node, Queue::start));
            }
            _ => {}
        }
        let sample = measure(&self.lab.pod_namespace("a"), &self.lab.pod_namespace("b"));
        drop(queue);
        match variant {
            1..=3 => {
                let (node, loader, devices) = (&self.lab.node, &mut self.loader, self.devices);
                inside(node, || devices.iter().for_each(|d| drop(loader.detach(*d).unwrap())));
            }
            4 | 5 => self.nft("delete table ip wt\n"),
            6 => self.iptables("-F FORWARD"),
            _ => {}
        }
        sample
    }

    /// A million packets that are denied: what whoever listens for news pays.
    fn flood(&mut self) {
        const PACKETS: u64 = 1_000_000;
        self.loader.apply(&self.images[1]).unwrap();
        let (node, loader, devices) = (&self.lab.node, &mut self.loader, self.devices);
        inside(node, || devices.iter().for_each(|d| loader.attach(*d).unwrap()));
        let dropped = |loader: &Loader| loader.drops().unwrap()[&Drop::Policy];
        let before = dropped(loader);
        let pod = self.lab.pod_namespace("a");
        let (took, cpu, news) = std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                inside(&pod, || {
                    let socket = UdpSocket::bind((CLIENT, 4444)).unwrap();
                    let start = Instant::now();
                    (0..PACKETS).for_each(|_| drop(socket.send_to(b"denied", (SERVER, 9))));
                    start.elapsed()
                })
            });
            let before = cpu();
            let mut news = 0;
            while !flood.is_finished() {
                news += loader.new_edges(Duration::from_millis(100)).unwrap().len();
            }
            (flood.join().unwrap(), cpu() - before, news)
        });
        let counted = dropped(&self.loader) - before;
        println!(
            "{:<40} {counted} of {PACKETS} counted as denied in {took:.2?}; the listener saw {news} new edges and used {:.2} % of a core",
            "flood of denied packets",
            100.0 * cpu.as_secs_f64() / took.as_secs_f64()
        );
        let (node, loader, devices) = (&self.lab.node, &mut self.loader, self.devices);
        inside(node, || devices.iter().for_each(|d| drop(loader.detach(*d).unwrap())));
    }
}

/// Time that this thread has run, as the scheduler counts it.
pub(crate) fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn measure(client: &str, server: &str) -> Sample {
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let listeners = inside(server, || PORTS.map(|port| TcpListener::bind((SERVER, port)).unwrap()));
    let address = |i: usize| SocketAddr::from((SERVER.parse::<std::net::IpAddr>().unwrap(), PORTS[i]));
    let mut sample = Sample::default();
    std::thread::scope(|scope| {
        let (stream, echo) = (&listeners[0], &listeners[1]);
        scope.spawn(move || {
            let (mut socket, _) = stream.accept().unwrap();
            let mut buffer = vec![0; 1 << 18];
            while socket.read(&mut buffer).is_ok_and(|n| n > 0) {}
        });
        scope.spawn(move || {
            let (mut socket, _) = echo.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            let mut byte = [0];
            while socket.read(&mut byte).is_ok_and(|n| n > 0) && socket.write_all(&byte).is_ok() {}
        });
        let short = &listeners[2];
        let ended = done.clone();
        scope.spawn(move || {
            while let Ok((mut socket, _)) = short.accept() {
                if ended.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let _ = socket.write_all(b"x");
            }
        });
        inside(client, || {
            let mut socket = TcpStream::connect(address(0)).unwrap();
            let (block, start, mut sent) = (vec![7u8; 1 << 17], Instant::now(), 0usize);
            while start.elapsed() < Duration::from_millis(500) {
                socket.write_all(&block).unwrap();
                sent += block.len();
            }
            sample.bytes_per_s =
                f64::from(u32::try_from(sent / 1024).unwrap()) * 1024.0 / start.elapsed().as_secs_f64();
            drop(socket);

            let mut socket = TcpStream::connect(address(1)).unwrap();
            socket.set_nodelay(true).unwrap();
            let (mut times, start, mut byte) = (Vec::new(), Instant::now(), [0]);
            while start.elapsed() < Duration::from_millis(500) {
                let begun = Instant::now();
                socket.write_all(&[1]).unwrap();
                socket.read_exact(&mut byte).unwrap();
                times.push(begun.elapsed());
            }
            drop(socket);
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
            (sample.p50_us, sample.p99_us) = (at(50), at(99));

            let (start, mut made) = (Instant::now(), 0u32);
            while start.elapsed() < Duration::from_millis(500) {
                let mut socket = TcpStream::connect(address(2)).unwrap();
                socket.read_exact(&mut byte).unwrap();
                made += 1;
            }
            sample.connections_per_s = f64::from(made) / start.elapsed().as_secs_f64();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            drop(TcpStream::connect(address(2)));
        });
    });
    sample
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn run() {
    let mut bench = Bench::new();
    let mut turns: Vec<[Sample; VARIANTS.len()]> = Vec::new();
    for _ in 0..TURNS {
        turns.push(std::array::from_fn(|variant| bench.turn(variant)));
    }
    println!("medians of {TURNS} turns, and of the ratios to \"no policy\" of the same turn");
    println!("{:<40} {:>16} {:>16} {:>16} {:>16}", "", "stream Gbit/s", "rr p50 us", "rr p99 us", "connections/s");
    for (variant, name) in VARIANTS.iter().enumerate() {
        let column = |of: fn(&Sample) -> f64, scale: f64| {
            let value = median(turns.iter().map(|t| of(&t[variant]) * scale).collect());
            let ratio = median(turns.iter().map(|t| of(&t[variant]) / of(&t[0])).collect());
            format!("{value:>9.2} {ratio:>5.2}x")
        };
        println!(
            "{name:<40} {:>16} {:>16} {:>16} {:>16}",
            column(|s| s.bytes_per_s, 8e-9),
            column(|s| s.p50_us, 1.0),
            column(|s| s.p99_us, 1.0),
            column(|s| s.connections_per_s, 1.0)
        );
    }
    let between =
        |of: fn(&Sample) -> f64, a: usize, b: usize| median(turns.iter().map(|t| of(&t[a]) / of(&t[b])).collect());
    for (what, a, b) in
        [("1,000 policies to 1", 2, 1), ("shadow to enforced", 3, 2), ("1,000 policies to NFQUEUE", 2, 6)]
    {
        println!(
            "{what:<40} stream {:.3}x, rr p50 {:.3}x, rr p99 {:.3}x, connections {:.3}x",
            between(|s| s.bytes_per_s, a, b),
            between(|s| s.p50_us, a, b),
            between(|s| s.p99_us, a, b),
            between(|s| s.connections_per_s, a, b)
        );
    }
    bench.flood();
    bench.loader.uninstall().unwrap();
}
