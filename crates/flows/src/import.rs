//! Lines to edges: blocks of lines on two threads, folded into maps that are merged in order. The result does not depend on
//! the number of threads or the size of blocks.

use crate::ledger::{DAYS_KEPT, EdgeData, EdgeKey, NAMES_KEPT};
use crate::record::{Direction, Fate, Line, Record, Transport, Who};
use crate::{calico, hubble};
use rustc_hash::{FxHashMap, FxHasher};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::io::{self, Read};
use watertight_model::Protocol;

/// A format of flow records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Hubble JSON, with or without envelope.
    Hubble,
    /// Calico flow logs.
    Calico,
}

impl Format {
    /// `hubble` or `calico`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Hubble => "hubble",
            Format::Calico => "calico",
        }
    }

    /// By the first line that is not empty; Hubble if nothing tells.
    fn of(line: &str) -> Self {
        if calico::looks_like(line) && !hubble::looks_like(line) { Format::Calico } else { Format::Hubble }
    }

    fn line(self, text: &str) -> Line<'_> {
        match self {
            Format::Hubble => hubble::line(text),
            Format::Calico => calico::line(text),
        }
    }
}

/// What an import held. `lines` is the sum of `blank`, `flows`, `replies`, `unknown_direction`, all of `ignored`, `lost_records`
/// and `malformed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportStats {
    /// Lines read.
    pub lines: u64,
    /// Empty lines.
    pub blank: u64,
    /// Lines that became evidence of an edge.
    pub flows: u64,
    /// Answers: they belong to edges, and are none.
    pub replies: u64,
    /// Lines whose direction no record tells.
    pub unknown_direction: u64,
    /// Lines passed over, by reason.
    pub ignored: BTreeMap<String, u64>,
    /// Lines by which the recorder reports a loss.
    pub lost_records: u64,
    /// Events that were lost, as reported.
    pub lost_events_reported: u64,
    /// Lines that are not of the format.
    pub malformed: u64,
    /// The first few of them: line number and what is wrong.
    pub faults: Vec<(u64, String)>,
    /// Flows that a policy denied, among `flows`.
    pub denied: u64,
    /// Distinct edges in the input.
    pub edges: u64,
    /// Edges that the ledger did not have.
    pub edges_new: u64,
    /// First record, nanoseconds since the epoch; 0 without flows.
    pub first_ns: i64,
    /// Last record.
    pub last_ns: i64,
    /// Nodes that recorded.
    pub nodes: BTreeSet<String>,
    /// The input was imported before; nothing was added.
    #[serde(default)]
    pub already_known: bool,
}

/// Faults kept with their text; all are counted.
const FAULTS_KEPT: usize = 10;
/// A longer line is malformed: real records have a few kilobytes.
const LINE_MAX: usize = 1 << 20;
/// Bytes handled at a time.
const BLOCK: usize = 16 << 20;
/// Connections of unknown direction that are kept for the end of the input; more are counted as unknown at once.
const UNDIRECTED_MAX: usize = 1 << 18;

/// An input, folded.
pub(crate) struct Fold {
    pub(crate) edges: BTreeMap<EdgeKey, EdgeData>,
    pub(crate) stats: ImportStats,
    /// Equal for equal content.
    pub(crate) mark: u128,
}

/// Reads and folds an input without a ledger.
///
/// # Errors
/// The error of the reader.
pub fn import(input: impl Read, format: Option<Format>) -> io::Result<(BTreeMap<EdgeKey, EdgeData>, ImportStats)> {
    fold(input, format).map(|f| (f.edges, f.stats))
}

pub(crate) fn fold(mut input: impl Read, mut format: Option<Format>) -> io::Result<Fold> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 2);
    let mut total = Part::default();
    let mut mark = Mark::default();
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let before = rest.len();
        input.by_ref().take(BLOCK as u64).read_to_end(&mut rest)?;
        let last = rest.len() == before;
        mark.add(&rest[before..]);
        // Whole lines only, unless there is nothing after them.
        let end = if last { rest.len() } else { rest.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) };
        if end == 0 && !last {
            if rest.len() > LINE_MAX + BLOCK {
                // One line beyond all measure: skip its text, remember that it was there.
                total.overlong += 1;
                rest.clear();
            }
            continue;
        }
        let format = *format.get_or_insert_with(|| detect(&rest[..end]));
        for part in blocks(&rest[..end], format, threads) {
            total.merge(part);
        }
        rest.drain(..end);
        if last {
            break;
        }
    }
    Ok(total.finish(mark.value()))
}

fn detect(block: &[u8]) -> Format {
    let first = block.split(|b| *b == b'\n').find(|l| !l.trim_ascii().is_empty());
    first.and_then(|l| std::str::from_utf8(l).ok()).map_or(Format::Hubble, Format::of)
}

/// Cuts a block into one piece per thread at line ends and folds them, in order.
fn blocks(block: &[u8], format: Format, threads: usize) -> Vec<Part> {
    let middle = block.len() / 2;
    let cut = block[middle..].iter().position(|b| *b == b'\n').map_or(block.len(), |i| middle + i + 1);
    if threads < 2 || cut >= block.len() || block.len() < 1 << 16 {
        return vec![Part::of(block, format)];
    }
    let (a, b) = block.split_at(cut);
    std::thread::scope(|scope| {
        let second = scope.spawn(move || Part::of(b, format));
        let first = Part::of(a, format);
        match second.join() {
            Ok(second) => vec![first, second],
            // The thread died: do its part here, and fail aloud if it must.
            Err(_) => vec![first, Part::of(b, format)],
        }
    })
}

/// A connection whose opener is not told.
type Undirected = (Who, Who, u8, u16, u16);

/// A folded piece of an input.
#[derive(Default)]
struct Part {
    stats: ImportStats,
    index: FxHashMap<Box<[u8]>, usize>,
    edges: Vec<(EdgeKey, EdgeData)>,
    /// With the lines behind it: all, and those denied.
    undirected: BTreeMap<Undirected, (EdgeData, u64, u64)>,
    overlong: u64,
    scratch: Vec<u8>,
}

impl Part {
    fn of(block: &[u8], format: Format) -> Self {
        let mut this = Self::default();
        let mut lines = block.split(|b| *b == b'\n').peekable();
        while let Some(line) = lines.next() {
            if lines.peek().is_none() && line.is_empty() {
                break;
            }
            this.line(line, format);
        }
        this
    }

    fn line(&mut self, line: &[u8], format: Format) {
        self.stats.lines += 1;
        if line.len() > LINE_MAX {
            return self.fault(format!("longer than {LINE_MAX} bytes"));
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) => text.trim_end_matches('\r'),
            Err(error) => return self.fault(format!("not UTF-8: {error}")),
        };
        if text.trim().is_empty() {
            self.stats.blank += 1;
            return;
        }
        match format.line(text) {
            Line::Flow(record) => self.record(&record),
            Line::Lost(events) => {
                self.stats.lost_records += 1;
                self.stats.lost_events_reported += events;
            }
            Line::Ignored(why) => self.ignore(why, 1),
            Line::Malformed(why) => self.fault(why),
        }
    }

    fn ignore(&mut self, why: &str, lines: u64) {
        match self.stats.ignored.get_mut(why) {
            Some(n) => *n += lines,
            None => {
                self.stats.ignored.insert(why.to_owned(), lines);
            }
        }
    }

    fn fault(&mut self, why: String) {
        self.stats.malformed += 1;
        if self.stats.faults.len() < FAULTS_KEPT {
            self.stats.faults.push((self.stats.lines, why));
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        if self.stats.first_ns == 0 || record.time_ns < self.stats.first_ns {
            self.stats.first_ns = record.time_ns;
        }
        self.stats.last_ns = self.stats.last_ns.max(record.time_ns);
        if !record.node.is_empty() && !self.stats.nodes.contains(&*record.node) {
            self.stats.nodes.insert(record.node.to_string());
        }
        match record.direction {
            Direction::Reply => self.stats.replies += 1,
            Direction::Forward => self.forward(record),
            Direction::Unknown => self.undirected(record),
        }
    }

    fn forward(&mut self, record: &Record<'_>) {
        self.stats.flows += 1;
        self.stats.denied += u64::from(record.fate == Fate::Denied);
        let Transport { protocol, destination_port, .. } = record.transport;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        record.source.key(&mut scratch);
        record.destination.key(&mut scratch);
        scratch.push(number(protocol));
        scratch.extend_from_slice(&destination_port.to_be_bytes());
        let at = match self.index.get(scratch.as_slice()) {
            Some(at) => *at,
            None => {
                let key = EdgeKey {
                    from: record.source.who(),
                    to: record.destination.who(),
                    protocol: number(protocol),
                    port: destination_port,
                };
                self.index.insert(scratch.clone().into_boxed_slice(), self.edges.len());
                self.edges.push((key, EdgeData::default()));
                self.edges.len() - 1
            }
        };
        self.scratch = scratch;
        see(&mut self.edges[at].1, record);
    }

    fn undirected(&mut self, record: &Record<'_>) {
        let Transport { protocol, source_port, destination_port } = record.transport;
        let key = (record.source.who(), record.destination.who(), number(protocol), source_port, destination_port);
        if self.undirected.len() >= UNDIRECTED_MAX && !self.undirected.contains_key(&key) {
            self.stats.unknown_direction += 1;
            return;
        }
        let (data, lines, denied) = self.undirected.entry(key).or_default();
        see(data, record);
        *lines += 1;
        *denied += u64::from(record.fate == Fate::Denied);
    }

    fn merge(&mut self, other: Part) {
        let before = self.stats.lines;
        let Part { stats, edges, undirected, overlong, .. } = other;
        for (key, data) in edges {
            let mut bytes = Vec::new();
            crate::import::key_bytes(&key, &mut bytes);
            match self.index.get(bytes.as_slice()) {
                Some(at) => self.edges[*at].1.merge(data),
                None => {
                    self.index.insert(bytes.into_boxed_slice(), self.edges.len());
                    self.edges.push((key, data));
                }
            }
        }
        for (key, data) in undirected {
            let known = self.undirected.entry(key).or_default();
            known.0.merge(data.0);
            known.1 += data.1;
            known.2 += data.2;
        }
        self.overlong += overlong;
        let sum = &mut self.stats;
        sum.lines += stats.lines;
        sum.blank += stats.blank;
        sum.flows += stats.flows;
        sum.replies += stats.replies;
        sum.unknown_direction += stats.unknown_direction;
        sum.lost_records += stats.lost_records;
        sum.lost_events_reported += stats.lost_events_reported;
        sum.malformed += stats.malformed;
        sum.denied += stats.denied;
        for (why, n) in stats.ignored {
            *sum.ignored.entry(why).or_default() += n;
        }
        let room = FAULTS_KEPT.saturating_sub(sum.faults.len());
        sum.faults.extend(stats.faults.into_iter().take(room).map(|(line, why)| (line + before, why)));
        if sum.first_ns == 0 || (stats.first_ns != 0 && stats.first_ns < sum.first_ns) {
            sum.first_ns = stats.first_ns;
        }
        sum.last_ns = sum.last_ns.max(stats.last_ns);
        sum.nodes.extend(stats.nodes);
    }

    /// Settles what can be settled of the connections without a direction: known servers tell.
    fn finish(mut self, mark: u128) -> Fold {
        let mut edges: BTreeMap<EdgeKey, EdgeData> = self.edges.into_iter().collect();
        let servers: BTreeSet<(Who, u8, u16)> = edges.keys().map(|k| (k.to.clone(), k.protocol, k.port)).collect();
        for ((source, destination, protocol, source_port, destination_port), seen) in self.undirected {
            let (data, lines, denied) = seen;
            let to_server = servers.contains(&(destination.clone(), protocol, destination_port));
            let from_server = servers.contains(&(source.clone(), protocol, source_port));
            match (to_server, from_server) {
                (true, false) => {
                    self.stats.flows += lines;
                    self.stats.denied += denied;
                    let key = EdgeKey { from: source, to: destination, protocol, port: destination_port };
                    edges.entry(key).or_default().merge(data);
                }
                (false, true) => self.stats.replies += lines,
                (true, true) | (false, false) => self.stats.unknown_direction += lines,
            }
        }
        self.stats.lines += self.overlong;
        self.stats.malformed += self.overlong;
        self.stats.edges = edges.len() as u64;
        Fold { edges, stats: self.stats, mark }
    }
}

/// Adds one record to what was seen.
fn see(data: &mut EdgeData, record: &Record<'_>) {
    // Lines, not weights, must add up in the statistics; weights count what was seen.
    match record.fate {
        Fate::Passed => data.count += record.weight,
        Fate::Denied => data.denied += record.weight,
    }
    if data.first_ns == 0 || record.time_ns < data.first_ns {
        data.first_ns = record.time_ns;
    }
    data.last_ns = data.last_ns.max(record.time_ns);
    let day = i32::try_from(record.time_ns.div_euclid(86_400_000_000_000)).unwrap_or(i32::MAX);
    if data.days.last() == Some(&day) {
        // Records come nearly in order.
    } else if data.days.len() < DAYS_KEPT || data.days.contains(&day) {
        data.days.insert(day);
    } else {
        data.days_more += 1;
    }
    for name in &record.destination_names {
        if data.names.len() < NAMES_KEPT && !data.names.contains(&**name) {
            data.names.insert(name.to_string());
        }
    }
}

/// As [`crate::record::End::key`] for both ends, then protocol and port.
fn key_bytes(key: &EdgeKey, out: &mut Vec<u8>) {
    for who in [&key.from, &key.to] {
        borrowed(who).key(out);
    }
    out.push(key.protocol);
    out.extend_from_slice(&key.port.to_be_bytes());
}

fn borrowed(who: &Who) -> crate::record::End<'_> {
    use std::borrow::Cow::Borrowed;
    match who {
        Who::Pod { namespace, name, owner } => crate::record::End::Pod(
            Borrowed(namespace),
            Borrowed(name),
            owner.as_ref().map(|(k, n)| (Borrowed(k.as_str()), Borrowed(n.as_str()))),
        ),
        Who::Host { node } => crate::record::End::Host(Borrowed(node)),
        Who::Address(ip) => crate::record::End::Address(*ip),
    }
}

/// IP protocol number.
pub(crate) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// A mark of content: two hashes with different starts over the same words. It recognises a file, it protects nothing.
struct Mark {
    a: FxHasher,
    b: FxHasher,
    bytes: u64,
}

impl Default for Mark {
    fn default() -> Self {
        let mut b = FxHasher::default();
        b.write_u64(0x9e37_79b9_7f4a_7c15);
        Self { a: FxHasher::default(), b, bytes: 0 }
    }
}

impl Mark {
    fn add(&mut self, block: &[u8]) {
        self.bytes += block.len() as u64;
        self.a.write(block);
        self.b.write(block);
    }

    fn value(mut self) -> u128 {
        self.a.write_u64(self.bytes);
        self.b.write_u64(self.bytes);
        u128::from(self.a.finish()) << 64 | u128::from(self.b.finish())
    }
}
