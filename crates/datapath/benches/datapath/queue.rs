//! First packets in user space, as agents on NFQUEUE do it: a loop of our own that looks each new flow up in a table and answers.
//! Not anybody's product: it parses two addresses and a port and nothing more, so real ones cost at least this.

use netlink_sys::{Socket, SocketAddr};
use std::collections::HashSet;
use std::process::{Child, Command};

const NETLINK_NETFILTER: isize = 12;
/// `NFNL_SUBSYS_QUEUE`, with the message in the low byte.
const QUEUE: u16 = 3 << 8;
const VERDICT: u16 = QUEUE | 1;
const CONFIG: u16 = QUEUE | 2;
pub(crate) const NUMBER: u16 = 7;

/// A message: length, type, request, no sequence, family, queue, then one attribute.
fn message(kind: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let padded = value.len().next_multiple_of(4);
    let total = u32::try_from(16 + 4 + 4 + padded).unwrap();
    let mut out = Vec::new();
    out.extend(total.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(1u16.to_ne_bytes());
    out.extend([0; 8]);
    out.extend([0, 0]);
    out.extend(NUMBER.to_be_bytes());
    out.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
    out.extend(attribute.to_ne_bytes());
    out.extend(value);
    out.resize(16 + 4 + 4 + padded, 0);
    out
}

/// Ends with the benchmark, or when it is dropped.
pub(crate) struct Queue(Child);

impl Queue {
    /// Starts the loop in this thread's network namespace.
    pub(crate) fn start() -> Self {
        let child = Command::new(std::env::current_exe().unwrap()).arg("queue-loop").spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        Self(child)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The loop: for ever.
pub(crate) fn serve() {
    let mut socket = Socket::new(NETLINK_NETFILTER).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    // Bind the queue, and copy the first bytes of each packet.
    socket.send(&message(CONFIG, 1, &[1, 0, 0, 0]), 0).unwrap();
    socket.send(&message(CONFIG, 2, &[0, 0, 0, 96, 2]), 0).unwrap();
    let allowed: HashSet<([u8; 4], [u8; 4], u16)> = (0..10_000u32)
        .map(|n| ((0x0A03_0000 + n).to_be_bytes(), [10, 2, 0, 2], 8080))
        .chain((0..10).map(|n| ([10, 1, 0, 2], [10, 2, 0, 2], 5000 + n)))
        .collect();
    let mut buffer = vec![0u8; 65_536];
    loop {
        // A queue that is full loses packets and says so here; senders try again.
        let Ok(length) = socket.recv(&mut &mut buffer[..], 0) else { continue };
        let mut rest = &buffer[..length];
        while rest.len() >= 20 {
            let size = usize::try_from(u32::from_ne_bytes(rest[..4].try_into().unwrap())).unwrap();
            let kind = u16::from_ne_bytes(rest[4..6].try_into().unwrap());
            if kind == QUEUE
                && let Some((id, flow)) = packet(&rest[20..size])
            {
                let verdict = u32::from(flow.is_some_and(|f| allowed.contains(&f)));
                let value = [verdict.to_be_bytes(), id].concat();
                socket.send(&message(VERDICT, 2, &value), 0).unwrap();
            }
            rest = &rest[size.next_multiple_of(4).min(rest.len())..];
        }
    }
}

type Flow = ([u8; 4], [u8; 4], u16);

/// The packet's number, and its addresses and destination port.
fn packet(mut attributes: &[u8]) -> Option<([u8; 4], Option<Flow>)> {
    let (mut id, mut flow) = (None, None);
    while attributes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]])).max(4);
        let kind = u16::from_ne_bytes([attributes[2], attributes[3]]) & 0x7fff;
        let value = attributes.get(4..length)?;
        match kind {
            1 => id = value.get(..4)?.try_into().ok(),
            10 => {
                let at = usize::from(value.first()? & 0xf) * 4;
                let word = |at: usize| value.get(at..at + 4)?.try_into().ok();
                let port = u16::from_be_bytes(value.get(at + 2..at + 4)?.try_into().ok()?);
                flow = word(12).zip(word(16)).map(|(from, to)| (from, to, port));
            }
            _ => {}
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    id.map(|id| (id, flow))
}
