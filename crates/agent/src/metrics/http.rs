//! Serves metrics and health over HTTP: `GET /metrics`, `/healthz`, `/readyz`.
//!
//! One connection at a time, one answer a connection, each within a deadline: whoever is slow or talks too much is hung up on, and
//! costs the agent a thread that does nothing else. It never waits for a node longer than [`PATIENCE`].

use crate::api::{Answer, Ask, Measures};
use crate::error::AgentError;
use crate::run::Event;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Longest request head.
const HEAD: usize = 8192;
/// For the whole request, and again for the whole answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long all nodes together may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nodes of this process, and where their threads are told things.
pub(crate) type Nodes = Vec<(String, Sender<Event>)>;

/// The listener; bound early, so that an address that is taken is an error and no surprise.
///
/// # Errors
/// The address is every address, or cannot be listened at.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, AgentError> {
    if address.ip().is_unspecified() {
        return Err(AgentError::EveryAddress { address });
    }
    TcpListener::bind(address).map_err(AgentError::io(format!("listening at {address} for metrics")))
}

/// Serves until the process ends.
pub(crate) fn serve(listener: TcpListener, nodes: Nodes) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            match stream {
                // Whoever hangs up has had enough.
                Ok(stream) => drop(one(&stream, &nodes)),
                // Out of descriptors, perhaps: not in a busy loop.
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    });
}

fn one(stream: &TcpStream, nodes: &Nodes) -> std::io::Result<()> {
    let (status, kind, body) = match head(stream) {
        Ok(head) => answer(&head, nodes),
        Err(Refused::Slow) => refuse("408 Request Timeout"),
        Err(Refused::Long) => refuse("431 Request Header Fields Too Large"),
        Err(Refused::Gone) => return Ok(()),
    };
    let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    stream.set_write_timeout(Some(DEADLINE))?;
    let end = Instant::now() + DEADLINE;
    for part in [head.as_bytes(), body.as_bytes()] {
        for piece in part.chunks(16 << 10) {
            if Instant::now() > end {
                return Ok(());
            }
            (&mut &*stream).write_all(piece)?;
        }
    }
    // What the other side has still to say is not read: a close alone could then take our answer back.
    stream.shutdown(std::net::Shutdown::Write)
}

enum Refused {
    Slow,
    Long,
    Gone,
}

/// Everything up to the empty line.
fn head(mut stream: &TcpStream) -> Result<String, Refused> {
    let end = Instant::now() + DEADLINE;
    let mut got = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Refused::Slow);
        }
        stream.set_read_timeout(Some(left)).map_err(|_| Refused::Gone)?;
        match stream.read(&mut piece) {
            Ok(0) => return Err(Refused::Gone),
            Ok(n) => got.extend_from_slice(&piece[..n]),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                return Err(Refused::Slow);
            }
            Err(_) => return Err(Refused::Gone),
        }
        if got.windows(4).any(|w| w == b"\r\n\r\n") {
            return Ok(String::from_utf8_lossy(&got).into_owned());
        }
        if got.len() > HEAD {
            return Err(Refused::Long);
        }
    }
}

type Reply = (&'static str, &'static str, String);

const PLAIN: &str = "text/plain; charset=utf-8";

fn refuse(status: &'static str) -> Reply {
    (status, PLAIN, format!("{status}\n"))
}

fn answer(head: &str, nodes: &Nodes) -> Reply {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) = (method, target, version, words.next())
    else {
        return refuse("400 Bad Request");
    };
    let path = target.split('?').next().unwrap_or_default();
    if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
        return refuse("404 Not Found");
    }
    if method != "GET" {
        return refuse("405 Method Not Allowed");
    }
    let measured = measure(nodes);
    match path {
        "/metrics" => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", super::text(&measured, resident())),
        "/healthz" => verdict(&measured, |m| m.is_some(), "does not answer"),
        _ => verdict(&measured, |m| m.is_some_and(|m| m.status.enforcing), "does not enforce"),
    }
}

/// 200 if it holds for all nodes, else 503 and a line for each that it does not hold for.
fn verdict(measured: &[(String, Option<Measures>)], holds: fn(Option<&Measures>) -> bool, what: &str) -> Reply {
    let mut lines = String::new();
    for (node, measures) in measured.iter().filter(|(_, m)| !holds(m.as_ref())) {
        let why = measures.iter().flat_map(|m| &m.status.degraded).map(|d| format!(": {}", d.escape_debug()));
        lines.push_str(&format!("{node} {what}{}\n", why.collect::<String>()));
    }
    match lines.is_empty() && !measured.is_empty() {
        true => ("200 OK", PLAIN, "ok\n".to_owned()),
        false => ("503 Service Unavailable", PLAIN, lines),
    }
}

/// Asks all nodes at once.
fn measure(nodes: &Nodes) -> Vec<(String, Option<Measures>)> {
    let asked: Vec<_> = nodes
        .iter()
        .map(|(name, tell)| {
            let (answer, told) = channel();
            let sent = tell.send(Event::Asked(Ask::Measures, answer)).is_ok();
            (name, sent.then_some(told))
        })
        .collect();
    let end = Instant::now() + PATIENCE;
    let one = |told: std::sync::mpsc::Receiver<Answer>| match told
        .recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        Ok(Answer::Measures(measures)) => Some(*measures),
        _ => None,
    };
    asked.into_iter().map(|(name, told)| (name.clone(), told.and_then(one))).collect()
}

/// Resident memory of this process, in bytes.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
