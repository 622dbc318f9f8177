//! Opening connections from inside network namespaces, many at a time, and what becomes of each.
//!
//! In: [`Dial`]s. Out: one [`Outcome`] each, in their order. What an outcome means is not decided here.

use crate::error::LabError;
use crate::netns;
use crate::plan::Proto;
use crate::respond::socket;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{SockAddr, Socket};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::{sleep, timeout};

/// A connection to open.
pub(crate) struct Dial<'a> {
    /// In which network namespace.
    pub(crate) netns: &'a str,
    /// From which of its addresses.
    pub(crate) from: IpAddr,
    /// Where to.
    pub(crate) to: SocketAddr,
    /// Over which protocol.
    pub(crate) protocol: Proto,
    /// What is said there.
    pub(crate) hello: Hello,
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

/// Connections that are open at a time, where the system lets us: more of them wait longer for each other than for answers.
const AT_ONCE: u64 = 4_000;
/// Files that are open beside them.
const OTHER_FILES: u64 = 64;

/// As many files as we may have; gives how many connections fit.
pub(crate) fn at_once() -> usize {
    let most = getrlimit(Resource::Nofile).maximum;
    // With the limit that there is it only takes longer.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let now = getrlimit(Resource::Nofile).current.unwrap_or(AT_ONCE + OTHER_FILES);
    usize::try_from(now.saturating_sub(OTHER_FILES).clamp(1, AT_ONCE)).unwrap_or(1)
}

/// Opens connections, all at once, and says what became of each.
pub(crate) fn dial(dials: &[Dial<'_>], patience: Duration) -> Result<Vec<Outcome>, LabError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LabError::io("starting"))?;
    let mut sockets = Vec::with_capacity(dials.len());
    for same in dials.chunk_by(|a, b| a.netns == b.netns) {
        let netns = same[0].netns;
        let made = netns::within(netns, || {
            same.iter().map(|dial| from_address(dial.from, dial.protocol)).collect::<io::Result<Vec<Socket>>>()
        })?;
        sockets.extend(made.map_err(LabError::io(format!("making sockets in {netns}")))?);
    }
    // A task that panicked has no outcome: nobody answered it.
    let mut out = vec![Outcome::Silent; dials.len()];
    runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for (i, (socket, dial)) in sockets.into_iter().zip(dials).enumerate() {
            let (to, protocol, hello) = (dial.to, dial.protocol, dial.hello.clone());
            running.spawn(async move { (i, outcome(socket, protocol, to, &hello, patience).await) });
        }
        while let Some(ended) = running.join_next().await {
            if let Ok((i, outcome)) = ended {
                out[i] = outcome;
            }
        }
    });
    Ok(out)
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
#[derive(Clone)]
pub(crate) struct Hello {
    say: Vec<u8>,
    hear: Vec<u8>,
    /// Over a stream the server waits to be asked, and both sides send lengths first (RFC 1035, 4.2.2).
    lengths: bool,
}

/// A question for the root's name servers (RFC 1035, 4.1): identifier, flags, one question, nothing else.
const DNS_QUESTION: [u8; 17] = [0x57, 0x54, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

impl Hello {
    /// Whoever answers begins with this name.
    pub(crate) fn name(name: &str) -> Self {
        Self { say: b"who are you?\n".to_vec(), hear: format!("{name}\n").into_bytes(), lengths: false }
    }

    /// A DNS server: whatever its answer is, it begins with the question's identifier.
    pub(crate) fn dns() -> Self {
        Self { say: DNS_QUESTION.to_vec(), hear: DNS_QUESTION[..2].to_vec(), lengths: true }
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
