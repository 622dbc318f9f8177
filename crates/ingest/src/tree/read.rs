//! The ways in: bytes to text, text to documents one at a time, or on several threads.

use std::sync::Mutex;

use super::place::{Chunk, n32};
use super::{Document, ErrorKind, Span, TreeError, json, yaml};
use crate::limits::Limits;

/// Which grammar a text is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, any number of documents.
    Yaml,
    /// JSON (RFC 8259), one or more texts after one another, as `kubectl` and `jq` print them.
    Json,
}

impl Format {
    /// JSON if the name ends in `.json`, or if the text begins as JSON does and has no `---` line; else YAML, of which
    /// JSON is a part, so that a wrong guess here costs only time.
    pub fn of(name: &str, text: &str) -> Self {
        let json_name = name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("json"));
        if json_name || (begins_as_json(text) && !text.contains("\n---")) { Self::Json } else { Self::Yaml }
    }
}

fn begins_as_json(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        return inside.trim_start().starts_with(['"', '}']);
    }
    text.strip_prefix('[').is_some_and(|inside| inside.trim_start().starts_with(['{', '[', ']', '"']))
}

/// The bytes as text: UTF-8 with or without a byte-order mark (which stays in the text, so that offsets are the file's),
/// within [`Limits::max_bytes`], no UTF-16, no NUL. The error names the byte and the line.
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, TreeError> {
    let begin = Span { line: 1, column: 1, end_line: 1, end_column: 1, ..Span::default() };
    let limit = limits.max_bytes.min(u64::from(u32::MAX) - 1);
    if bytes.len() as u64 > limit {
        return Err(TreeError { kind: ErrorKind::TooLarge { limit }, span: begin });
    }
    if let Some(encoding) = other_encoding(bytes) {
        return Err(TreeError { kind: ErrorKind::OtherEncoding { encoding }, span: begin });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let valid = std::str::from_utf8(&bytes[..at]).unwrap_or("");
        let mut span = Chunk { text: valid, byte: 0, line: 1 }.span(at, at);
        if valid.starts_with('\u{feff}') && span.line == 1 {
            span.column -= 1;
            span.end_column -= 1;
        }
        span.end += 1;
        span.end_column += 1;
        let byte = bytes.get(at).copied().unwrap_or(0);
        TreeError { kind: ErrorKind::NotUtf8 { byte, offset: n32(at) }, span }
    })?;
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        let whole = Chunk::whole(text);
        let span = whole.char_span(at - whole.byte as usize);
        return Err(TreeError { kind: ErrorKind::Nul { offset: n32(at) }, span });
    }
    Ok(text)
}

fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [_, 0, 0, 0, ..] => Some("UTF-32 (little-endian)"),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] => Some("UTF-32 (big-endian)"),
        [0xff, 0xfe, ..] => Some("UTF-16 (little-endian)"),
        [0xfe, 0xff, ..] => Some("UTF-16 (big-endian)"),
        // Without a mark: ASCII text in UTF-16 has a zero in every other byte.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some("UTF-16 (little-endian)"),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}

/// Calls `f` with every document of `text` in order, or with what is wrong with it: either the document or its errors (one
/// or more, by place), never half a document. Only one document's tree is alive at a time, if `f` drops it. A fault in one
/// YAML document does not hide the next one; JSON ends at its first syntax error.
pub fn documents<'a>(
    text: &'a str,
    format: Format,
    limits: &Limits,
    f: &mut dyn FnMut(Result<Document<'a>, TreeError>),
) {
    let mut errors = ErrorBudget::new(limits);
    each(text, format, limits, &mut |result| match result {
        Ok(document) => {
            f(Ok(document));
            true
        }
        Err(error) => errors.pass(error, |e| f(Err(e))),
    });
}

/// Like [`documents`], on [`Limits::threads`] threads: `f` runs where the document was read, and the results come in the
/// order of the text. Same results as `documents` for any number of threads.
pub fn documents_par<'a, T, F>(text: &'a str, format: Format, limits: &Limits, f: F) -> Vec<Result<T, TreeError>>
where
    T: Send,
    F: Fn(Document<'a>) -> T + Sync,
{
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = limits.threads.clamp(1, machine);
    if threads == 1 || format == Format::Json || text.len() < 2 * BATCH {
        let mut results = Vec::new();
        documents(text, format, limits, &mut |result| results.push(result.map(&f)));
        return results;
    }
    let queue = Mutex::new(Splitter::new(text, limits).enumerate());
    let work = || {
        let mut done: Vec<(usize, Vec<Result<T, TreeError>>)> = Vec::new();
        loop {
            // A poisoned lock means that `f` panicked on the other thread; the scope passes that on.
            let next = queue.lock().ok().and_then(|mut queue| queue.next());
            let Some((number, part)) = next else { return done };
            let mut results = Vec::new();
            let mut errors = 0;
            read_part(part, limits, &mut |result| {
                errors += usize::from(result.is_err());
                results.push(result.map(&f));
                // One more than the budget: the merge below must see that there are more.
                errors <= limits.max_errors
            });
            done.push((number, results));
        }
    };
    let mut batches: Vec<(usize, Vec<Result<T, TreeError>>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    batches.sort_by_key(|(number, _)| *number);
    let mut errors = ErrorBudget::new(limits);
    let mut merged = Vec::with_capacity(batches.iter().map(|(_, results)| results.len()).sum());
    for result in batches.into_iter().flat_map(|(_, results)| results) {
        match result {
            Ok(value) => merged.push(Ok(value)),
            Err(error) => {
                if !errors.pass(error, |e| merged.push(Err(e))) {
                    break;
                }
            }
        }
    }
    merged
}

/// Counts errors; the one past the budget is replaced by a word about that.
struct ErrorBudget {
    limit: usize,
    seen: usize,
}

impl ErrorBudget {
    fn new(limits: &Limits) -> Self {
        Self { limit: limits.max_errors, seen: 0 }
    }

    /// Hands the error on; false if reading is to stop.
    fn pass(&mut self, error: TreeError, mut to: impl FnMut(TreeError)) -> bool {
        self.seen += 1;
        if self.seen <= self.limit {
            to(error);
            return true;
        }
        to(TreeError { kind: ErrorKind::TooManyErrors { limit: self.limit }, span: error.span });
        false
    }
}

/// Bytes of text that a thread takes at a time.
const BATCH: usize = 128 << 10;

/// A piece of work.
enum Part<'a> {
    /// Whole documents.
    Text(Chunk<'a>),
    /// The fault at which cutting stopped.
    Fault(TreeError),
}

/// Cuts a YAML text into pieces of about [`BATCH`] bytes, each of whole documents, within the document budget.
struct Splitter<'a> {
    rest: Option<Chunk<'a>>,
    left: usize,
    limit: usize,
    fault: Option<TreeError>,
}

impl<'a> Splitter<'a> {
    fn new(text: &'a str, limits: &Limits) -> Self {
        let whole = Chunk::whole(text);
        // What one reader takes for a line break and another does not is refused before anything is cut.
        let fault = ambiguous_break(whole);
        let rest = if fault.is_some() { None } else { Some(whole) };
        Self { rest, left: limits.max_documents, limit: limits.max_documents, fault }
    }
}

impl<'a> Iterator for Splitter<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if let Some(fault) = self.fault.take() {
            return Some(Part::Fault(fault));
        }
        let rest = self.rest.take()?;
        let mut end = 0;
        while end < BATCH {
            if self.left == 0 {
                let (head, tail) = rest.split(end);
                let kind = ErrorKind::TooManyDocuments { limit: self.limit };
                let fault = TreeError { kind, span: tail.char_span(0) };
                if end == 0 {
                    return Some(Part::Fault(fault));
                }
                self.fault = Some(fault);
                return Some(Part::Text(head));
            }
            self.left -= 1;
            match rest.next_marker(end) {
                Some(marker) => end = marker,
                None => return Some(Part::Text(rest)),
            }
        }
        let (head, tail) = rest.split(end);
        self.rest = Some(tail);
        Some(Part::Text(head))
    }
}

fn ambiguous_break(whole: Chunk<'_>) -> Option<TreeError> {
    // One at a time: looking for one character is a fast byte search.
    let at = ['\u{85}', '\u{2028}', '\u{2029}'].iter().filter_map(|c| whole.text.find(*c)).min()?;
    let character = whole.text[at..].chars().next()?;
    Some(TreeError { kind: ErrorKind::AmbiguousBreak { character }, span: whole.char_span(at) })
}

fn each<'a>(
    text: &'a str,
    format: Format,
    limits: &Limits,
    sink: &mut dyn FnMut(Result<Document<'a>, TreeError>) -> bool,
) {
    match format {
        Format::Json => json::read(Chunk::whole(text), limits, sink),
        Format::Yaml => {
            for part in Splitter::new(text, limits) {
                if !read_part(part, limits, sink) {
                    return;
                }
            }
        }
    }
}

/// Reads one piece; false if the sink wants no more.
fn read_part<'a>(
    part: Part<'a>,
    limits: &Limits,
    sink: &mut dyn FnMut(Result<Document<'a>, TreeError>) -> bool,
) -> bool {
    match part {
        Part::Fault(fault) => sink(Err(fault)),
        Part::Text(text) => {
            let mut on = true;
            yaml::read(text, limits, &mut |result| {
                on = on && sink(result);
                on
            });
            on
        }
    }
}
