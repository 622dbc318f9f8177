//! Real connections from everyone to everyone, beside what the engine says of them.
//!
//! In: the plan of a lab that is up, and its world. Out: [`Probed`], one row a connection, in the order of pods. A connection
//! counts as delivered if the pod that was meant said its name; a refusal or silence is not told apart from a firewall's.

use crate::error::LabError;
use crate::netns;
use crate::plan::{Plan, Proto};
use crate::respond::{has_sctp, socket};
use crate::script::outside_netns;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{SockAddr, Socket};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::{sleep, timeout};
use watertight_engine::Engine;
use watertight_model::{Endpoint, Family, Flow, FlowVerdict, L4, NodeId, PodId, Verdict};

/// How to probe.
#[derive(Clone, Debug)]
pub struct Options {
    /// Over which of the families.
    pub families: Vec<Family>,
    /// How long to wait for an answer.
    pub patience: Duration,
    /// How long to wait the second time, when the first answer is not what the engine says: a busy machine is no firewall.
    pub second_patience: Duration,
    /// Only these; `None`: from everyone to everyone.
    pub calls: Option<Vec<Call>>,
}

/// Connections of an application: from any of some to any of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who opens them.
    pub from: BTreeSet<Endpoint>,
    /// Who receives them.
    pub to: BTreeSet<Endpoint>,
    /// Protocol.
    pub protocol: Proto,
    /// Port at the receiver.
    pub port: u16,
}

impl Options {
    fn wants(&self, flow: &Flow) -> bool {
        let L4::Port(protocol, port) = flow.l4 else { return false };
        self.calls.as_ref().is_none_or(|calls| {
            calls.iter().any(|c| {
                (c.protocol, c.port) == (protocol.into(), port)
                    && c.from.contains(&flow.from)
                    && c.to.contains(&flow.to)
            })
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            families: vec![Family::V4, Family::V6],
            // A first packet may be lost while neighbours are found; TCP sends it again after a second (RFC 6298).
            patience: Duration::from_millis(1300),
            second_patience: Duration::from_secs(3),
            calls: None,
        }
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who opened it, in words: `shop/web`, `node:node-1`, `ip:203.0.113.7`.
    pub from: String,
    /// Whom it was for.
    pub to: String,
    /// The address that was dialled.
    pub address: SocketAddr,
    /// Protocol.
    pub protocol: Proto,
    /// What was asked of the engine.
    pub flow: Flow,
    /// What it said.
    pub verdict: FlowVerdict,
    /// What happened.
    pub outcome: Outcome,
    dns: bool,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Whoever was meant answered with its name.
    Delivered,
    /// Nobody answered in time.
    Silent,
    /// Somebody refused: a reset, or an ICMP error.
    Refused,
    /// Somebody else answered.
    WrongAnswer,
}

impl Outcome {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Silent => "silent",
            Outcome::Refused => "refused",
            Outcome::WrongAnswer => "wrong-answer",
        }
    }
}

/// Whether what happened is what the engine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// Denied, and delivered all the same.
    TooOpen,
    /// Allowed, and not delivered.
    TooClosed,
    /// The engine's answer depends on something; whatever happens is one of its answers.
    Either,
    /// The same.
    Same,
}

impl Row {
    /// Compares.
    pub fn matches(&self) -> Match {
        match (self.verdict.verdict, self.outcome) {
            (Verdict::Depends, _) => Match::Either,
            (Verdict::Deny, Outcome::Delivered) => Match::TooOpen,
            (Verdict::Allow, Outcome::Silent | Outcome::Refused | Outcome::WrongAnswer) => Match::TooClosed,
            (Verdict::Deny, _) | (Verdict::Allow, Outcome::Delivered) => Match::Same,
        }
    }
}

/// All connections.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// In the order of sources, then destinations, ports and families.
    pub rows: Vec<Row>,
    /// Connections that were not tried: the kernel has no SCTP sockets.
    pub without_sctp: usize,
}

/// Who opens connections: name, namespace, address, and who that is for the engine.
struct Source {
    name: String,
    netns: String,
    addresses: Vec<IpAddr>,
    endpoint: Endpoint,
}

/// Where connections go: what it says, and where it listens.
struct Target {
    name: String,
    addresses: Vec<IpAddr>,
    listens: Vec<(Proto, u16)>,
    endpoint: Endpoint,
    dns: bool,
}

/// A connection to open: where it begins, and from which address.
struct Job<'a> {
    netns: &'a str,
    from: IpAddr,
    row: Row,
}

/// Connections that are open at a time, where the system lets us: more of them wait longer for each other than for answers.
const AT_ONCE: u64 = 4_000;
/// Files that are open beside them.
const OTHER_FILES: u64 = 64;

/// As many files as we may have; gives how many connections fit.
fn raise_limit() -> usize {
    let most = getrlimit(Resource::Nofile).maximum;
    // With the limit that there is it only takes longer.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let now = getrlimit(Resource::Nofile).current.unwrap_or(AT_ONCE + OTHER_FILES);
    usize::try_from(now.saturating_sub(OTHER_FILES).clamp(1, AT_ONCE)).unwrap_or(1)
}

/// Opens every connection once. `engine` is of the world that [`Plan::realise`] made.
///
/// # Errors
/// [`LabError`]: a namespace cannot be entered, or a socket cannot be made.
pub fn probe(plan: &Plan, engine: &Engine<'_>, options: &Options) -> Result<Probed, LabError> {
    let (sources, targets) = (sources(plan, engine), targets(plan, engine));
    let mut out = Probed::default();
    let sctp = has_sctp();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LabError::io("starting"))?;
    let mut jobs = Vec::new();
    for source in &sources {
        for target in &targets {
            for (protocol, port) in &target.listens {
                for (from, to) in pairs(source, target, options) {
                    let flow = Flow {
                        from: as_seen(source.endpoint, from),
                        to: as_seen(target.endpoint, to),
                        l4: L4::Port((*protocol).into(), *port),
                        via_service: false,
                    };
                    // From outside to outside is nobody's business here.
                    let abroad = matches!((flow.from, flow.to), (Endpoint::External(_), Endpoint::External(_)));
                    if abroad || !options.wants(&flow) {
                        continue;
                    }
                    if *protocol == Proto::Sctp && !sctp {
                        out.without_sctp += 1;
                        continue;
                    }
                    let row = Row {
                        from: source.name.clone(),
                        to: target.name.clone(),
                        address: SocketAddr::new(to, *port),
                        protocol: *protocol,
                        flow,
                        verdict: engine.decide(&flow),
                        outcome: Outcome::Silent,
                        dns: target.dns && *port == 53,
                    };
                    jobs.push(Job { netns: &source.netns, from, row });
                }
            }
        }
    }
    let at_once = raise_limit();
    for chunk in jobs.chunks_mut(at_once) {
        let mut first: Vec<&mut Job<'_>> = chunk.iter_mut().collect();
        dial(&runtime, &mut first, options.patience)?;
        let mut again: Vec<&mut Job<'_>> = first.into_iter().filter(|job| job.row.matches() < Match::Either).collect();
        if !again.is_empty() {
            dial(&runtime, &mut again, options.second_patience)?;
        }
    }
    out.rows.extend(jobs.into_iter().map(|job| job.row));
    Ok(out)
}

/// Endpoints outside are an address each.
fn as_seen(endpoint: Endpoint, ip: IpAddr) -> Endpoint {
    if let Endpoint::External(_) = endpoint { Endpoint::External(ip) } else { endpoint }
}

/// Addresses of both ends, family by family.
fn pairs<'a>(
    source: &'a Source,
    target: &'a Target,
    options: &'a Options,
) -> impl Iterator<Item = (IpAddr, IpAddr)> + 'a {
    options.families.iter().flat_map(move |family| {
        let of = move |ip: &&IpAddr| ip.is_ipv4() == (*family == Family::V4);
        let here = source.addresses.iter().filter(of);
        here.flat_map(move |from| target.addresses.iter().filter(of).map(move |to| (*from, *to)))
    })
}

fn sources(plan: &Plan, engine: &Engine<'_>) -> Vec<Source> {
    let mut out: Vec<Source> = pods(plan, engine)
        .map(|(endpoint, pod)| Source {
            name: format!("{}/{}", pod.namespace, pod.name),
            netns: pod.netns.clone(),
            addresses: vec![pod.addresses.0.into(), pod.addresses.1.into()],
            endpoint,
        })
        .collect();
    out.extend(plan.nodes.iter().enumerate().map(|(i, node)| Source {
        name: format!("node:{}", node.name),
        netns: node.netns.clone(),
        addresses: vec![node.addresses.0.into(), node.addresses.1.into()],
        endpoint: Endpoint::Node(NodeId::at(i)),
    }));
    out.extend(plan.outside.iter().map(|ip| Source {
        name: format!("ip:{ip}"),
        netns: outside_netns(),
        addresses: vec![*ip],
        endpoint: Endpoint::External(*ip),
    }));
    out
}

fn targets(plan: &Plan, engine: &Engine<'_>) -> Vec<Target> {
    let inside = pods(plan, engine).map(|(endpoint, pod)| Target {
        name: format!("{}/{}", pod.namespace, pod.name),
        addresses: vec![pod.addresses.0.into(), pod.addresses.1.into()],
        listens: pod.listens.clone(),
        endpoint,
        dns: pod.dns,
    });
    let outside = plan.outside.iter().map(|ip| Target {
        name: "outside".to_owned(),
        addresses: vec![*ip],
        listens: plan.outside_listens.clone(),
        endpoint: Endpoint::External(*ip),
        dns: false,
    });
    inside.chain(outside).collect()
}

/// Pods of the plan, with their ids in the engine's world. One that the world has lost since is left out.
fn pods<'a>(plan: &'a Plan, engine: &'a Engine<'_>) -> impl Iterator<Item = (Endpoint, &'a crate::plan::PodPlan)> + 'a {
    let world = engine.world();
    plan.pods.iter().filter_map(move |pod| {
        let id: PodId = world.pod(world.namespace(&pod.namespace)?, &pod.name)?;
        Some((Endpoint::Pod(id), pod))
    })
}

/// Opens connections, all at once, and writes down what became of them.
fn dial(runtime: &tokio::runtime::Runtime, jobs: &mut [&mut Job<'_>], patience: Duration) -> Result<(), LabError> {
    let mut sockets = Vec::with_capacity(jobs.len());
    for same in jobs.chunk_by(|a, b| a.netns == b.netns) {
        let netns = same[0].netns;
        let made = netns::within(netns, || {
            same.iter().map(|job| from_address(job.from, job.row.protocol)).collect::<io::Result<Vec<Socket>>>()
        })?;
        sockets.extend(made.map_err(LabError::io(format!("making sockets in {netns}")))?);
    }
    runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for (i, (socket, job)) in sockets.into_iter().zip(jobs.iter()).enumerate() {
            let (address, protocol, hello) = (job.row.address, job.row.protocol, job.row.hello());
            running.spawn(async move { (i, outcome(socket, protocol, address, &hello, patience).await) });
        }
        while let Some(ended) = running.join_next().await {
            // A task that panicked has no outcome: its row stays silent.
            if let Ok((i, outcome)) = ended {
                jobs[i].row.outcome = outcome;
            }
        }
    });
    Ok(())
}

fn from_address(from: IpAddr, protocol: Proto) -> io::Result<Socket> {
    let socket = socket(from, protocol)?;
    socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    Ok(socket)
}

async fn outcome(socket: Socket, protocol: Proto, to: SocketAddr, hello: &Hello, patience: Duration) -> Outcome {
    let said = match protocol {
        Proto::Udp => timeout(patience, datagram(socket, to, &hello.say)).await,
        Proto::Tcp | Proto::Sctp => timeout(patience, stream(socket, to, hello)).await,
    };
    match said {
        Err(_) => Outcome::Silent,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Outcome::Silent,
        Ok(Err(_)) => Outcome::Refused,
        Ok(Ok(said)) if said.starts_with(&hello.hear) => Outcome::Delivered,
        Ok(Ok(_)) => Outcome::WrongAnswer,
    }
}

/// What is said to a server, and how its answer begins.
struct Hello {
    say: Vec<u8>,
    hear: Vec<u8>,
    /// Over a stream the server waits to be asked, and both sides send lengths first (RFC 1035, 4.2.2).
    lengths: bool,
}

/// A question for the root's name servers (RFC 1035, 4.1): identifier, flags, one question, nothing else.
const DNS_QUESTION: [u8; 17] = [0x57, 0x54, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

impl Row {
    fn hello(&self) -> Hello {
        if self.dns {
            // Whatever the answer is, it begins with the question's identifier.
            Hello { say: DNS_QUESTION.to_vec(), hear: DNS_QUESTION[..2].to_vec(), lengths: true }
        } else {
            Hello { say: b"who are you?\n".to_vec(), hear: format!("{}\n", self.to).into_bytes(), lengths: false }
        }
    }
}

async fn stream(socket: Socket, to: SocketAddr, hello: &Hello) -> io::Result<Vec<u8>> {
    let mut stream = TcpSocket::from_std_stream(socket.into()).connect(to).await?;
    if hello.lengths {
        let length = u16::try_from(hello.say.len()).map_err(io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&hello.say).await?;
        stream.read_u16().await?;
    }
    let mut said = Vec::new();
    let mut buffer = [0; 512];
    while said.len() < hello.hear.len() {
        match stream.read(&mut buffer).await? {
            0 => break,
            n => said.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(said)
}

/// The pause before a datagram is sent again.
const AGAIN: Duration = Duration::from_millis(200);

async fn datagram(socket: Socket, to: SocketAddr, say: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(to).await?;
    let mut buffer = [0; 512];
    loop {
        socket.send(say).await?;
        tokio::select! {
            read = socket.recv(&mut buffer) => return Ok(buffer[..read?].to_vec()),
            () = sleep(AGAIN) => {}
        }
    }
}
