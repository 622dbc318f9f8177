//! Who answers in the pods: one process that has a listening socket on every port of every pod.
//!
//! A socket belongs to the network namespace it was made in, so one process can listen in all of them. Over TCP and SCTP it says
//! the name of the pod, then sends back what it receives; over UDP it answers each datagram with the name. On port 53 of the
//! pods behind the cluster's DNS Service it answers DNS.

use crate::dns::Zone;
use crate::error::LabError;
use crate::netns;
use crate::plan::{Plan, Proto};
use crate::script::outside_netns;
use crate::state::{Process, State};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// IANA's number of SCTP.
const SCTP: i32 = 132;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The largest datagram that is read.
const DATAGRAM: usize = 2048;

/// Where to listen.
struct Place {
    netns: String,
    /// What is said to whoever connects.
    name: String,
    addresses: Vec<IpAddr>,
    listens: Vec<(Proto, u16)>,
    dns: bool,
}

/// A socket that listens.
struct Open {
    socket: Socket,
    protocol: Proto,
    name: Rc<str>,
    dns: bool,
}

/// Listens in every pod of the lab that is up, says `listening N` on `ready`, and answers until it is killed.
///
/// # Errors
/// [`LabError`]: no lab is up, or a socket cannot be made.
pub fn respond(ready: &mut dyn Write) -> Result<(), LabError> {
    Process::says_it_responds().map_err(LabError::io("writing the lab's state"))?;
    let state = State::read().map_err(|e| LabError::State { why: e.to_string() })?.ok_or(LabError::NotUp)?;
    let most = getrlimit(Resource::Nofile).maximum;
    // With the limit that there is it may still be enough; a socket too many is an error of its own.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let mut sockets = Vec::new();
    for place in places(&state.plan) {
        let made = netns::within(&place.netns, || listen(&place))??;
        let name: Rc<str> = place.name.into();
        sockets.extend(made.into_iter().map(|(socket, protocol, port)| Open {
            socket,
            protocol,
            name: Rc::clone(&name),
            dns: place.dns && port == 53,
        }));
    }
    let zone = Rc::new(Zone::of(&state.plan));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LabError::io("starting"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let count = sockets.len();
        for open in sockets {
            serve(open, &zone).map_err(LabError::io("listening"))?;
        }
        writeln!(ready, "listening {count}").and_then(|()| ready.flush()).map_err(LabError::io("saying so"))?;
        std::future::pending().await
    })
}

fn places(plan: &Plan) -> Vec<Place> {
    let both = |(v4, v6): (std::net::Ipv4Addr, std::net::Ipv6Addr)| vec![IpAddr::from(v4), IpAddr::from(v6)];
    let pods = plan.pods.iter().map(|pod| Place {
        netns: pod.netns.clone(),
        name: format!("{}/{}", pod.namespace, pod.name),
        addresses: both(pod.addresses),
        listens: pod.listens.clone(),
        dns: pod.dns,
    });
    let outside = Place {
        netns: outside_netns(),
        name: "outside".to_owned(),
        addresses: plan.outside.clone(),
        listens: plan.outside_listens.clone(),
        dns: false,
    };
    pods.chain([outside]).collect()
}

/// Sockets of one place. One without SCTP in its kernel leaves those out: `lab probe` says so.
fn listen(place: &Place) -> Result<Vec<(Socket, Proto, u16)>, LabError> {
    let mut out = Vec::new();
    for address in &place.addresses {
        for (protocol, port) in &place.listens {
            let at = SocketAddr::new(*address, *port);
            let what = || format!("listening on {at} in {}", place.netns);
            match bound(at, *protocol) {
                Ok(socket) => out.push((socket, *protocol, *port)),
                Err(_) if *protocol == Proto::Sctp && !has_sctp() => {}
                Err(error) => return Err(LabError::io(what())(error)),
            }
        }
    }
    Ok(out)
}

/// The kernel has SCTP sockets.
pub(crate) fn has_sctp() -> bool {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(SCTP))).is_ok()
}

/// A socket of this protocol, non-blocking.
pub(crate) fn socket(address: IpAddr, protocol: Proto) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let (kind, number) = match protocol {
        Proto::Tcp => (Type::STREAM, Protocol::TCP),
        Proto::Udp => (Type::DGRAM, Protocol::UDP),
        Proto::Sctp => (Type::STREAM, Protocol::from(SCTP)),
    };
    let socket = Socket::new(domain, kind, Some(number))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bound(at: SocketAddr, protocol: Proto) -> io::Result<Socket> {
    let socket = socket(at.ip(), protocol)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(at))?;
    if protocol != Proto::Udp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn serve(open: Open, zone: &Rc<Zone>) -> io::Result<()> {
    let Open { socket, protocol, name, dns } = open;
    let zone = Rc::clone(zone);
    if protocol == Proto::Udp {
        let socket = UdpSocket::from_std(socket.into())?;
        tokio::task::spawn_local(async move { datagrams(&socket, &name, dns.then_some(&*zone)).await });
    } else {
        let listener = TcpListener::from_std(socket.into())?;
        tokio::task::spawn_local(async move {
            loop {
                // A connection that is gone before it is accepted, or one too many: the next one may do.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (name, zone) = (Rc::clone(&name), Rc::clone(&zone));
                tokio::task::spawn_local(async move {
                    // Whoever closes a connection has had enough of it.
                    let _ = if dns { dns_stream(stream, &zone).await } else { echo(stream, &name).await };
                });
            }
        });
    }
    Ok(())
}

async fn echo(mut stream: TcpStream, name: &str) -> io::Result<()> {
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await.map(|_| ())
}

async fn datagrams(socket: &UdpSocket, name: &str, zone: Option<&Zone>) {
    let mut buffer = [0; DATAGRAM];
    loop {
        // An ICMP error for an earlier answer comes as an error here; the socket goes on.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let answer = match zone {
            Some(zone) => zone.answer(&buffer[..length]),
            None => Some(format!("{name}\n").into_bytes()),
        };
        if let Some(answer) = answer {
            // The asker asks again if it is lost.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// DNS over TCP: each message after its length (RFC 1035, 4.2.2).
async fn dns_stream(mut stream: TcpStream, zone: &Zone) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let Some(answer) = zone.answer(&question) else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}
