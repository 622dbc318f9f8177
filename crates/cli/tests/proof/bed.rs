//! A small cluster under traffic: flows that stay open, datagrams that must arrive, datagrams that must not. Everything is counted, so
//! that a fault in between shows as a number.

use crate::guarded::{ok, watertight};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use watertight_lab::within;

/// Three pods on two nodes; `server` lets in `client` on TCP 7000 and UDP 7100 to 7110, and nobody else.
pub(crate) const CLUSTER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: soak}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: soak, labels: {app: server}}
spec: {containers: [{name: c, image: i, ports: [{containerPort: 7000}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: soak, labels: {app: client}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: soak, labels: {app: stranger}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: soak}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: 7000}, {port: 7100, endPort: 7110, protocol: UDP}]
";

/// Where the server listens: the port that the policy opens for TCP, and for datagrams that it allows and denies.
pub(crate) const OPEN: u16 = 7000;
/// The lab itself listens at the ends of a range.
const ALLOWED: u16 = 7105;
const DENIED: u16 = 7205;

/// Puts manifests in the place of those that the agent looks at, whole.
pub(crate) fn put(name: &str, text: &str) {
    let folder = Path::new("/run/watertight/lab/manifests");
    let partial = folder.join("next.partial");
    std::fs::write(&partial, text).unwrap();
    std::fs::rename(partial, folder.join(name)).unwrap();
}

/// Makes the lab.
pub(crate) fn up(manifests: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cluster.yaml"), manifests).unwrap();
    ok(&format!("lab up -f {}", folder.path().display()));
}

pub(crate) fn netns(pod: &str) -> String {
    format!("wtl:pod:soak:{pod}")
}

/// The addresses of a pod, IPv4 first.
pub(crate) fn addresses(pod: &str) -> [IpAddr; 2] {
    let out = watertight("lab status -o json");
    let data: Value = serde_json::from_slice(&out.stdout).unwrap();
    let pods = data["pods"].as_array().unwrap();
    let found = pods.iter().find(|p| p["name"] == pod).unwrap();
    [0, 1].map(|i| found["addresses"][i].as_str().unwrap().parse().unwrap())
}

/// Connections to the server that echo a byte each, round after round.
pub(crate) struct Flows {
    streams: Vec<TcpStream>,
    /// Those that were reset, closed, or did not answer in time.
    pub(crate) lost: usize,
    pub(crate) rounds: usize,
}

/// How long a byte may take there and back: a retransmission or two.
const ECHO: Duration = Duration::from_secs(10);

impl Flows {
    pub(crate) fn open(count: usize) -> Self {
        let to = addresses("server");
        let streams = within(&netns("client"), || {
            let mut out = Vec::with_capacity(count);
            for i in 0..count {
                let at = SocketAddr::new(to[i % 2], OPEN);
                let mut stream = TcpStream::connect_timeout(&at, ECHO).unwrap();
                stream.set_read_timeout(Some(ECHO)).unwrap();
                stream.set_nodelay(true).unwrap();
                // Its name, before it echoes.
                let mut name = [0; "soak/server\n".len()];
                stream.read_exact(&mut name).unwrap();
                out.push(stream);
            }
            out
        });
        Self { streams: streams.unwrap(), lost: 0, rounds: 0 }
    }

    /// A byte there and back on each. What fails is counted and left.
    pub(crate) fn round(&mut self) {
        let before = self.streams.len();
        let byte = [u8::try_from(self.rounds % 251).unwrap()];
        self.streams.retain_mut(|stream| stream.write_all(&byte).is_ok());
        self.streams.retain_mut(|stream| {
            let mut back = [0];
            stream.read_exact(&mut back).is_ok() && back == byte
        });
        self.lost += before - self.streams.len();
        self.rounds += 1;
    }
}

/// Threads that count until they are told to stop.
struct Worker {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Worker {
    fn new() -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), threads: Vec::new() }
    }

    fn add(&mut self, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || work(&stop)));
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| t.join().unwrap());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A test that fails leaves no flood behind.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Datagrams from one pod to the server, and how many came.
pub(crate) struct Datagrams {
    sent: Arc<AtomicU64>,
    came: Arc<AtomicU64>,
    sender: Worker,
    receiver: Worker,
    begun: Instant,
}

/// Sent, arrived, and how many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) came: u64,
    pub(crate) per_second: u64,
}

impl Datagrams {
    /// That the policy allows.
    pub(crate) fn allowed(per_second: u32) -> Self {
        Self::start("client", ALLOWED, per_second)
    }

    /// That the policy denies.
    pub(crate) fn denied(per_second: u32) -> Self {
        Self::start("stranger", DENIED, per_second)
    }

    fn start(from: &str, port: u16, per_second: u32) -> Self {
        let to = addresses("server");
        let (sent, came) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (mut sender, mut receiver) = (Worker::new(), Worker::new());
        for ip in to {
            let at = SocketAddr::new(ip, port);
            let listening = within(&netns("server"), || UdpSocket::bind(at)).unwrap().unwrap();
            listening.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&listening, 64 << 20).unwrap();
            let came = Arc::clone(&came);
            receiver.add(move |stop| {
                let mut buffer = [0; 64];
                loop {
                    match listening.recv(&mut buffer) {
                        Ok(_) => drop(came.fetch_add(1, Ordering::Relaxed)),
                        Err(_) if stop.load(Ordering::Relaxed) => return,
                        Err(_) => {}
                    }
                }
            });
        }
        let sockets = within(&netns(from), || to.map(|ip| dialling(SocketAddr::new(ip, port))));
        let (sockets, counter) = (sockets.unwrap(), Arc::clone(&sent));
        sender.add(move |stop| flood(&sockets, per_second, &counter, stop));
        Self { sent, came, sender, receiver, begun: Instant::now() }
    }

    /// So many until now.
    pub(crate) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Stops sending, waits for what is under way, and counts.
    pub(crate) fn end(mut self) -> Tally {
        self.sender.end();
        let took = self.begun.elapsed();
        std::thread::sleep(Duration::from_millis(200));
        self.receiver.end();
        let sent = self.sent.load(Ordering::Relaxed);
        let per_second = u64::try_from(u128::from(sent) * 1000 / took.as_millis().max(1)).unwrap();
        Tally { sent, came: self.came(), per_second }
    }
}

/// A socket of the calling thread's namespace, and where it sends to.
fn dialling(to: SocketAddr) -> (UdpSocket, SocketAddr) {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    (UdpSocket::bind(any).unwrap(), to)
}

/// As many a second, over both families in turn; where the machine is too slow for that, as many as it can.
fn flood(sockets: &[(UdpSocket, SocketAddr)], per_second: u32, sent: &AtomicU64, stop: &AtomicBool) {
    let begun = Instant::now();
    let mut done: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(begun.elapsed().as_micros() * u128::from(per_second) / 1_000_000).unwrap();
        if done >= due {
            std::thread::sleep(Duration::from_micros(500));
            continue;
        }
        // Not more at a time than a bridge and a neighbour that is being looked for can hold.
        for i in done..due.min(done + 64) {
            let (socket, to) = &sockets[usize::try_from(i % 2).unwrap()];
            match socket.send_to(b"one", to) {
                Ok(_) => drop(sent.fetch_add(1, Ordering::Relaxed)),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory) => {}
                // An answer to an earlier one that says that nobody listens.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) if stop.load(Ordering::Relaxed) => return,
                Err(e) => panic!("sending to {to}: {e}"),
            }
        }
        done = due.min(done + 64);
    }
}

/// Packets dropped for a reason, on all nodes.
pub(crate) fn dropped(reason: &str) -> u64 {
    let data: Value = serde_json::from_slice(&watertight("agent drops -o json").stdout).unwrap();
    let reasons = data["nodes"].as_array().unwrap().iter().flat_map(|n| n["reasons"].as_array().unwrap());
    reasons.filter(|r| r[0] == reason).map(|r| r[1].as_u64().unwrap()).sum()
}

/// The value of `percent` of sorted times.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// A number from the environment, for runs that are longer than a test may be.
pub(crate) fn wanted(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Prints a figure past the harness, which keeps what a passing test says.
pub(crate) fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{line}").unwrap();
}
