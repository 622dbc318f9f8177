//! Imports: nothing is lost uncounted, the order and the cutting of inputs do not matter, a ledger survives its file.

use watertight_flows::{EdgeData, EdgeKey, Format, ImportStats, Ledger, LedgerError, import};

fn line(i: u64, reply: Option<bool>, verdict: &str, port: u16) -> String {
    let reply = reply.map(|r| format!(",\"is_reply\":{r}")).unwrap_or_default();
    let second = i % 60;
    let day = 1 + i / 60 % 9;
    let (from, to) = (i % 7, i % 3);
    let (from, to, source, destination) = if reply.contains("true") || port == 0 {
        (format!("db-{to}"), format!("web-{from}"), 5432, 40_000 + i % 1000)
    } else {
        (format!("web-{from}"), format!("db-{to}"), 40_000 + i % 1000, u64::from(port))
    };
    format!(
        r#"{{"flow":{{"time":"2026-10-{day:02}T08:14:{second:02}Z","verdict":"{verdict}","drop_reason_desc":"POLICY_DENIED","IP":{{"source":"10.0.0.1","destination":"10.0.0.2"}},"l4":{{"TCP":{{"source_port":{source},"destination_port":{destination}}}}},"source":{{"namespace":"shop","pod_name":"{from}"}},"destination":{{"namespace":"shop","pod_name":"{to}"}},"Type":"L3_L4"{reply}}},"node_name":"node-{}"}}"#,
        i % 2
    )
}

fn recording(lines: u64) -> String {
    let mut out = String::new();
    for i in 0..lines {
        let text = match i % 12 {
            0..=4 => line(i, Some(false), "FORWARDED", 5432),
            5 | 6 => line(i, Some(true), "FORWARDED", 5432),
            7 => line(i, Some(false), "DROPPED", 22),
            8 => line(i, None, "FORWARDED", 5432),
            9 => line(i, None, "FORWARDED", 0),
            10 => r#"{"lost_events":{"num_events_lost":"3"}}"#.to_owned(),
            _ => ["", "{\"flow\":", "not json", "{\"node_status\":{}}", "\u{fe}"]
                [usize::try_from(i / 12 % 5).unwrap_or(0)]
            .to_owned(),
        };
        out.push_str(&text);
        out.push('\n');
    }
    out
}

fn parts(stats: &ImportStats) -> u64 {
    let ignored: u64 = stats.ignored.values().sum();
    stats.blank + stats.flows + stats.replies + stats.unknown_direction + ignored + stats.lost_records + stats.malformed
}

#[test]
fn the_parts_add_up_to_the_lines() {
    let text = recording(5_000);
    let (edges, stats) = import(text.as_bytes(), None).unwrap();
    assert_eq!(stats.lines, 5_000);
    assert_eq!(parts(&stats), stats.lines, "{stats:?}");
    assert_eq!(stats.edges, edges.len() as u64);
    assert_eq!(stats.lost_events_reported, 3 * stats.lost_records);
    assert!(stats.malformed > 200 && stats.replies > 800 && stats.denied > 400 && stats.flows > 2_000, "{stats:?}");
    // Lines without a direction were settled by what other lines told of the servers.
    assert_eq!(stats.unknown_direction, 0, "{stats:?}");
    assert_eq!(stats.faults.len(), 10);
    assert_eq!(stats.faults[0].0, 24, "line numbers are those of the input");
    let only_denied = edges.iter().filter(|(k, _)| k.port == 22);
    assert!(only_denied.clone().count() > 0 && only_denied.clone().all(|(_, d)| d.count == 0 && d.denied > 0));
}

/// Large enough for two threads and several blocks when cut at odd places.
#[test]
fn the_order_of_inputs_and_their_cutting_do_not_matter() {
    let text = recording(4_000);
    let lines: Vec<&str> = text.lines().collect();
    let (a, b) = lines.split_at(1_777);
    let both = |first: &[&str], second: &[&str]| {
        let mut ledger = Ledger::memory();
        for part in [first, second] {
            ledger.import("part", part.join("\n").as_bytes(), Some(Format::Hubble)).unwrap();
        }
        ledger.edges().clone()
    };
    let whole = import(text.as_bytes(), None).unwrap().0;
    let strip = |edges: &std::collections::BTreeMap<EdgeKey, EdgeData>| {
        edges.iter().map(|(k, d)| (k.id(), d.clone())).collect::<Vec<_>>()
    };
    assert_eq!(strip(&both(a, b)), strip(&both(b, a)));
    assert_eq!(strip(&whole), strip(&both(a, b)));
}

#[test]
fn a_file_keeps_what_was_imported_and_knows_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edges.redb");
    let text = recording(1_000);
    let first = {
        let mut ledger = Ledger::open(&path).unwrap();
        let stats = ledger.import("a", text.as_bytes(), None).unwrap();
        assert_eq!(stats.edges_new, stats.edges);
        ledger.edges().clone()
    };
    let mut ledger = Ledger::open(&path).unwrap();
    assert_eq!(*ledger.edges(), first);
    let again = ledger.import("b", text.as_bytes(), None).unwrap();
    assert!(again.already_known);
    assert_eq!(*ledger.edges(), first, "the same content counts once");
    let more =
        ledger.import("c", format!("{text}{}", line(3, Some(false), "FORWARDED", 9999)).as_bytes(), None).unwrap();
    assert!(!more.already_known && more.edges_new == 1);
    let (start, end) = ledger.window().unwrap();
    assert!(start < end && ledger.lost() > 0);
}

#[test]
fn a_file_that_is_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edges.redb");
    std::fs::write(&path, "this is no ledger, but long enough to be taken for a header of one".repeat(100)).unwrap();
    let Err(error) = Ledger::open(&path) else { unreachable!("opened") };
    assert!(matches!(error, LedgerError::File { .. }), "{error}");
    assert!(error.to_string().contains("edges.redb") && !error.help().is_empty());
}
