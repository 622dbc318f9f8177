use super::http::{bind, serve};
use super::*;
use crate::api::{Answer, Ask, Edges, Revision, Status};
use crate::error::AgentError;
use crate::run::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn measures(node: &str) -> Measures {
    let mut apply = Histogram::default();
    [900, 1_000, 30_000, 20_000_000].into_iter().for_each(|us| apply.observe(us));
    Measures {
        status: Status {
            node: node.to_owned(),
            revision: Revision { seen: 4, applied: 3 },
            closed: Vec::new(),
            stale: Vec::new(),
            pods: 7,
            enforcing: false,
            shadow: true,
            degraded: vec!["the maps\nare full".to_owned()],
            notes: Vec::new(),
            epoch: 9,
            last_apply_us: 900,
            last_writes: 2,
        },
        source_age_ms: 1_500,
        apply,
        gate: Histogram::default(),
        refusals: 1,
        repairs: 2,
        writes: 55,
        edges: Edges { allowed: 8, denied: 5 },
        drops: vec![("policy".to_owned(), 12), ("spoofedSource".to_owned(), 0)],
        counters: vec![("packets".to_owned(), 100), ("edgeLost".to_owned(), 3)],
    }
}

/// What a scraper reads: samples by name and labels. It takes nothing that the format does not have.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let name = |s: &str| s.chars().all(|c| c.is_ascii_lowercase() || c == '_') && s.len() > 3;
    let (mut out, mut family, mut seen) = (BTreeMap::new(), None::<(String, String)>, BTreeSet::new());
    let mut lines = text.lines();
    assert!(text.ends_with('\n'));
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (of, help) = help.split_once(' ').unwrap();
            assert!(name(of) && help.ends_with('.') && seen.insert(of.to_owned()), "{line}");
            let (kind_of, kind) = lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
            assert!(kind_of == of && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", of.ends_with("_total"), "{line}");
            family = Some((of.to_owned(), kind.to_owned()));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (of, labels) = series.split_once('{').map_or((series, ""), |(n, l)| (n, l.strip_suffix('}').unwrap()));
        let (family, kind) = family.as_ref().unwrap();
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.iter().any(|s| of == format!("{family}{s}")), "{line} is not of {family}");
        for label in labels.split(',').filter(|l| !l.is_empty()) {
            let (key, value) = label.split_once('=').unwrap();
            assert!(["node", "reason", "verdict", "version", "le"].contains(&key), "{line}");
            assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
        }
        assert!(out.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    out
}

#[test]
fn a_scrape_is_the_format_and_says_what_was_measured() {
    let nodes = [("n1".to_owned(), Some(measures("n1"))), ("n2".to_owned(), None)];
    let read = parsed(&text(&nodes, Some(4096)));
    for (series, value) in [
        ("watertight_answering{node=\"n1\"}", 1.0),
        ("watertight_answering{node=\"n2\"}", 0.0),
        ("watertight_revision_seen{node=\"n1\"}", 4.0),
        ("watertight_revision_applied{node=\"n1\"}", 3.0),
        ("watertight_enforcing{node=\"n1\"}", 0.0),
        ("watertight_shadow{node=\"n1\"}", 1.0),
        ("watertight_degraded{node=\"n1\"}", 1.0),
        ("watertight_pods_guarded{node=\"n1\"}", 7.0),
        ("watertight_source_age_seconds{node=\"n1\"}", 1.5),
        ("watertight_map_writes_total{node=\"n1\"}", 55.0),
        ("watertight_refusals_total{node=\"n1\"}", 1.0),
        ("watertight_repairs_total{node=\"n1\"}", 2.0),
        ("watertight_ledger_edges{node=\"n1\",verdict=\"deny\"}", 5.0),
        ("watertight_dropped_packets_total{node=\"n1\",reason=\"policy\"}", 12.0),
        ("watertight_dropped_packets_total{node=\"n1\",reason=\"spoofedSource\"}", 0.0),
        ("watertight_packets_total{node=\"n1\"}", 100.0),
        ("watertight_edges_lost_total{node=\"n1\"}", 3.0),
        ("watertight_apply_duration_seconds_bucket{node=\"n1\",le=\"0.001\"}", 2.0),
        ("watertight_apply_duration_seconds_bucket{node=\"n1\",le=\"0.025\"}", 2.0),
        ("watertight_apply_duration_seconds_bucket{node=\"n1\",le=\"0.05\"}", 3.0),
        ("watertight_apply_duration_seconds_bucket{node=\"n1\",le=\"10\"}", 3.0),
        ("watertight_apply_duration_seconds_bucket{node=\"n1\",le=\"+Inf\"}", 4.0),
        ("watertight_apply_duration_seconds_count{node=\"n1\"}", 4.0),
        ("watertight_apply_duration_seconds_sum{node=\"n1\"}", 20.0319),
        ("process_resident_memory_bytes", 4096.0),
        (concat!("watertight_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(read.get(series), Some(&value), "{series}");
    }
    assert!(!read.keys().any(|k| k.contains("n2") && !k.starts_with("watertight_answering")), "n2 said nothing");
}

#[test]
fn every_counter_of_the_datapath_has_a_name_here() {
    let all: BTreeSet<&str> = watertight_datapath::abi::Count::ALL.iter().map(|c| c.name()).collect();
    assert_eq!(COUNTERS.iter().map(|(key, ..)| *key).collect::<BTreeSet<_>>(), all);
}

/// A node that answers until the end of the test, and an address to ask.
fn served(answers: bool) -> SocketAddr {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for event in told {
            if let Event::Asked(Ask::Measures, answer) = event
                && answers
            {
                answer.send(Answer::Measures(Box::new(measures("n1")))).unwrap();
            }
        }
    });
    serve(listener, vec![("n1".to_owned(), tell)]);
    address
}

fn said(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut out = String::new();
    stream.read_to_string(&mut out).unwrap();
    out
}

#[test]
fn http_has_three_pages_and_refuses_the_rest() {
    let address = served(true);
    let get = |path: &str| said(address, &format!("GET {path} HTTP/1.1\r\nHost: n1\r\n\r\n"));
    let metrics = get("/metrics");
    let (head, body) = metrics.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    assert!(parsed(body).len() > 40);
    assert!(get("/healthz").ends_with("\r\n\r\nok\n"));
    let ready = get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(ready.ends_with("n1 does not enforce: the maps\\nare full\n"), "{ready}");
    assert!(get("/").starts_with("HTTP/1.1 404 "));
    assert!(get("/metrics/../etc").starts_with("HTTP/1.1 404 "));
    let posted = said(address, "POST /metrics HTTP/1.1\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("\r\nAllow: GET\r\n"), "{posted}");
    for bad in ["nonsense\r\n\r\n", "GET /metrics\r\n\r\n", "GET /metrics HTTP/1.1 more\r\n\r\n", "\r\n\r\n"] {
        assert!(said(address, bad).starts_with("HTTP/1.1 400 "), "{bad:?}");
    }
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(9000));
    assert!(said(address, &long).starts_with("HTTP/1.1 431 "));
}

#[test]
fn whoever_is_slow_is_hung_up_on_and_others_are_served() {
    let address = served(true);
    let begun = Instant::now();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(b"GET /met").unwrap();
    let gone = TcpStream::connect(address).unwrap();
    drop(gone);
    assert!(said(address, "GET /healthz HTTP/1.0\r\n\r\n").ends_with("ok\n"));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let mut out = String::new();
    slow.read_to_string(&mut out).unwrap();
    assert!(out.starts_with("HTTP/1.1 408 "), "{out}");
}

#[test]
fn a_node_that_does_not_answer_is_said_and_not_waited_for_forever() {
    let address = served(false);
    let out = said(address, "GET /healthz HTTP/1.1\r\n\r\n");
    assert!(out.starts_with("HTTP/1.1 503 ") && out.ends_with("n1 does not answer\n"), "{out}");
}

#[test]
fn every_address_is_refused_and_a_taken_one_is_an_error() {
    for all in ["0.0.0.0:9464", "[::]:9464"] {
        let error = bind(all.parse().unwrap()).unwrap_err();
        assert!(matches!(error, AgentError::EveryAddress { .. }), "{error}");
    }
    let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = bind(first.local_addr().unwrap()).unwrap_err();
    assert!(error.to_string().contains("for metrics"), "{error}");
}
