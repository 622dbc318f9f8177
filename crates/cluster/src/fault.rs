//! Finds the cause in an HTTP client's chain of errors.
//!
//! Input: any error. Output: [`Fault`]. The layers (kube, tower, hyper-util, hyper, rustls, io) wrap each other in
//! private types, so public types are looked for first and stable words second; tests with real sockets hold the words.

use crate::error::TlsFault;
use std::error::Error;
use std::io::ErrorKind;

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Refused,
    Dns,
    Timeout,
    Tls(TlsFault, String),
    /// The connection ended before the answer did.
    Cut(String),
    /// Larger than so many MiB.
    TooLarge(usize),
    Other(String),
}

/// The cause.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> Fault {
    let mut words = Vec::new();
    let mut kinds = Vec::new();
    let mut next = Some(error);
    while let Some(e) = next {
        words.push(e.to_string());
        next = e.source();
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            kinds.push(io.kind());
            // An io::Error's source is its inner error's source: the inner error itself would be passed over.
            if let Some(inner) = io.get_ref() {
                next = Some(inner);
            }
        }
    }
    let has = |part: &str| words.iter().any(|w| w.contains(part));
    if let Some(text) = words.iter().rev().find(|w| w.contains("certificate")) {
        return Fault::Tls(tls_fault(text), after(text, "invalid peer certificate: "));
    }
    if has("dns error") || has("failed to lookup address") {
        return Fault::Dns;
    }
    if kinds.contains(&ErrorKind::ConnectionRefused) {
        return Fault::Refused;
    }
    if kinds.contains(&ErrorKind::TimedOut) || has("deadline has elapsed") || has("timed out") {
        return Fault::Timeout;
    }
    let last = words.last().cloned().unwrap_or_default();
    if has("tls handshake eof")
        || has("received corrupt message")
        || has("InvalidContentType")
        || has("received fatal alert")
    {
        return Fault::Tls(TlsFault::Other, last);
    }
    let cut =
        [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
    let ended = ["end of file", "connection closed", "unexpected EOF", "IncompleteMessage", "connection error"];
    if kinds.iter().any(|k| cut.contains(k)) || ended.iter().any(|part| has(part)) {
        return Fault::Cut(last);
    }
    Fault::Other(last)
}

fn tls_fault(text: &str) -> TlsFault {
    let low = text.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| low.contains(part));
    if has(&["expired", "notvalidyet", "not valid yet"]) {
        TlsFault::Expired
    } else if has(&["not valid for", "notvalidforname"]) {
        TlsFault::WrongName
    } else if has(&["unknownissuer", "unknown issuer", "badsignature", "not trusted", "self-signed", "self signed"]) {
        TlsFault::UnknownAuthority
    } else {
        TlsFault::Other
    }
}

fn after(text: &str, prefix: &str) -> String {
    text.split_once(prefix).map_or(text, |(_, rest)| rest).to_owned()
}
