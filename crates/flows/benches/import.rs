//! How fast recordings become edges: `cargo bench -p watertight-flows`. Lines of the size of real ones, made here.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::fmt::Write as _;
use std::time::Instant;
use watertight_flows::import;

const LINES: usize = 300_000;
const EDGES: usize = 3_000;
const RUNS: usize = 5;

fn main() {
    let text = recording();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let (edges, stats) = import(text.as_bytes(), None).unwrap_or_default();
            assert_eq!((edges.len(), stats.lines), (EDGES, LINES as u64));
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times[RUNS / 2];
    println!("{:<34} {:>12} {:>10}", "recording", "lines/s", "MB/s");
    println!(
        "{:<34} {:>12.0} {:>10.0}",
        format!("Hubble, {} bytes a line", text.len() / LINES),
        LINES as f64 / median,
        text.len() as f64 / 1e6 / median
    );
}

/// Every second line is a reply; labels, Ethernet and summary are there to be skipped, as in real recordings.
fn recording() -> String {
    let mut out = String::new();
    for i in 0..LINES {
        let edge = (i / 2) % EDGES;
        let (client, server) = (format!("client-{}", edge / 50), format!("server-{}", edge % 50));
        let reply = i % 2 == 1;
        let (from, to, sport, dport) =
            if reply { (&server, &client, 8080, 40_000) } else { (&client, &server, 40_000, 8080) };
        let endpoint = |name: &str, id: usize| {
            format!(
                r#"{{"ID":{id},"identity":2{id},"cluster_name":"prod-eu","namespace":"shop","labels":["k8s:app.kubernetes.io/instance=shop","k8s:app.kubernetes.io/name={name}","k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop","k8s:io.cilium.k8s.policy.cluster=prod-eu","k8s:io.cilium.k8s.policy.serviceaccount={name}","k8s:io.kubernetes.pod.namespace=shop"],"pod_name":"{name}-7c9d8f6b54-q2xkz","workloads":[{{"name":"{name}","kind":"Deployment"}}]}}"#
            )
        };
        let _ = writeln!(
            out,
            r#"{{"flow":{{"time":"2026-10-{:02}T08:14:{:02}.221904518Z","uuid":"6f0d2c1e-9b7a-4e53-8a41-2f6d0c9be713","emitter":{{"name":"Hubble","version":"1.20.2"}},"verdict":"FORWARDED","ethernet":{{"source":"4e:1b:90:aa:10:07","destination":"9a:57:31:c4:22:e8"}},"IP":{{"source":"10.42.3.17","destination":"10.42.1.88","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":{sport},"destination_port":{dport},"flags":{{"PSH":true,"ACK":true}}}}}},"source":{},"destination":{},"Type":"L3_L4","node_name":"prod-eu/node-3","event_type":{{"type":4,"sub_type":11}},"traffic_direction":"EGRESS","trace_observation_point":"TO_NETWORK","trace_reason":"ESTABLISHED","is_reply":{reply},"interface":{{"index":7,"name":"eth0"}},"Summary":"TCP Flags: ACK, PSH"}},"node_name":"prod-eu/node-3","time":"2026-10-02T08:14:07.221904518Z"}}"#,
            1 + i % 20,
            i % 60,
            endpoint(from, 812),
            endpoint(to, 913),
        );
    }
    out
}
