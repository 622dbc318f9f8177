//! The agent with real packets: a lab, policies in force, and every connection tried. Needs root and Linux 6.6: without root these
//! tests say that they did not run, except in continuous integration, where they fail.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, helpers of tests too")]
#![expect(clippy::print_stderr, reason = "a test that does not run says so")]

#[path = "guarded/mod.rs"]
mod guarded;
#[path = "transcript/mod.rs"]
mod transcript;

use guarded::{Guarded, json, ok, probed, root, shop, until, watertight};
use serde_json::Value;
use snapbox::{Assert, Data};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn every_packet_finds_the_verdict_of_the_policies_on_bridges_and_on_routes() {
    let Some(mut guarded) = Guarded::new() else { return };
    for topology in ["bridge", "routed"] {
        ok(&format!("lab up -f {} --topology {topology}", shop()));
        let (open, closed, _) = probed();
        assert!(open > 50 && closed == 0, "{topology}: flat before the agent: {open}, {closed}");
        guarded.start(&[]);
        let (open, closed, denied) = probed();
        assert_eq!((open, closed), (0, 0), "{topology}");
        assert!(denied > 50, "{topology}: {denied}");
        guarded.kill();
        ok("agent uninstall");
        assert!(probed().0 > 50, "{topology}: flat again");
        assert!(!Path::new("/sys/fs/bpf/watertight").exists(), "no trace is left");
        ok("lab down");
    }
}

#[test]
fn a_killed_agent_leaves_its_policy_in_force_and_the_next_one_takes_over() {
    let Some(mut guarded) = Guarded::new() else { return };
    ok(&format!("lab up -f {}", shop()));
    guarded.start(&[]);
    guarded.kill();
    let (open, closed, denied) = probed();
    assert_eq!((open, closed), (0, 0), "nobody runs, and nothing opened or broke");
    assert!(denied > 50);
    let gone = watertight("agent status");
    assert_eq!(gone.status.code(), Some(3), "that nobody answers is said");
    guarded.start(&[]);
    assert_eq!(probed(), (0, 0, denied));
}

#[test]
fn policies_that_come_and_go_are_in_force_at_once() {
    let Some(mut guarded) = Guarded::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let deny = folder.path().join("deny.yaml");
    let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: monitoring}\n\
                spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n";
    std::fs::write(&deny, text).unwrap();
    ok(&format!("lab up -f {}", shop()));
    guarded.start(&[]);
    let before = probed();
    ok(&format!("lab apply -f {}", deny.display()));
    let applied = |n: u64| {
        move || json("agent status")["items"].as_array().unwrap().iter().all(|s| s["revision"]["applied"] == n)
    };
    until(applied(2), "the second state is applied");
    let after = probed();
    assert_eq!((after.0, after.1), (0, 0));
    assert!(after.2 > before.2, "{after:?} denies more than {before:?}");
    ok("lab apply --none");
    until(applied(3), "the third state is applied");
    assert_eq!(probed(), before);
}

#[test]
fn policies_in_shadow_stop_nothing_and_say_what_they_would() {
    let Some(mut guarded) = Guarded::new() else { return };
    ok(&format!("lab up -f {}", shop()));
    guarded.start(&["--shadow"]);
    let (open, closed, _) = probed();
    assert!(open > 50 && closed == 0, "nothing is denied: {open}, {closed}");
    let flows = json("agent flows");
    let would: Vec<&Value> = flows["flows"].as_array().unwrap().iter().filter(|f| f["shadow"] == "deny").collect();
    assert!(!would.is_empty(), "{flows}");
    assert!(would.iter().all(|f| f["verdict"] == "allow"));
    let web = would.iter().find(|f| f["pod"] == "shop/db-0" && f["peer"] == "shop/web").unwrap();
    assert!(web["shadowDecidedBy"].as_str().unwrap().contains("shop/db-in"), "{web}");
}

#[test]
fn drops_name_the_rule_and_the_status_is_the_contract() {
    let Some(mut guarded) = Guarded::new() else { return };
    ok(&format!("lab up -f {}", shop()));
    guarded.start(&[]);
    probed();
    let drops = json("agent drops");
    let denied = drops["nodes"].as_array().unwrap().iter().flat_map(|n| n["denied"].as_array().unwrap());
    let web: Vec<&Value> = denied.filter(|f| f["pod"] == "shop/db-0" && f["peer"] == "shop/web").collect();
    assert!(!web.is_empty(), "{drops}");
    assert!(web.iter().all(|f| f["decidedBy"].as_str().unwrap().contains("NetworkPolicy shop/db-in ingress")));
    let one = json("agent status --node node-01");
    assert_eq!(
        (&one["kind"], &one["node"], &one["enforcing"]),
        (&"AgentStatus".into(), &"node-01".into(), &true.into())
    );
    assert_eq!((&one["revision"]["seen"], &one["revision"]["applied"]), (&1.into(), &1.into()));
    assert_eq!((one["degraded"].as_array().unwrap().len(), one["pods"].as_u64()), (0, Some(3)));
    assert_eq!(watertight("agent status --node nobody").status.code(), Some(3));
}

/// A page of the agent's, and its status.
fn page(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn metrics_and_log_say_what_happens_to_real_packets() {
    let Some(mut guarded) = Guarded::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    ok(&format!("lab up -f {}", shop()));
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let to = Stdio::from(std::fs::File::create(&log).unwrap());
    guarded.start_with(&["--metrics", &address, "--log", "json"], to);
    let sum = |of: &str| -> f64 {
        let (_, text) = page(&address, "/metrics");
        let samples = text.lines().filter(|l| l.starts_with(of));
        let values: Vec<f64> = samples.map(|l| l.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        assert!(!values.is_empty(), "{of}: {text}");
        values.iter().sum()
    };
    assert_eq!((sum("watertight_enforcing{"), sum("watertight_pods_guarded{")), (2.0, 5.0));
    assert_eq!((sum("watertight_revision_applied{"), sum("watertight_source_age_seconds{")), (2.0, 0.0));
    assert_eq!(page(&address, "/readyz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    let drops = "watertight_dropped_packets_total{node=\"node-01\",reason=\"policy\"}";
    let before = (sum(drops), sum("watertight_flows_opened_total{"), sum("watertight_packets_total{"));
    probed();
    let after = (sum(drops), sum("watertight_flows_opened_total{"), sum("watertight_packets_total{"));
    assert!(after.0 >= before.0 + 10.0 && after.1 > before.1 && after.2 > before.2, "{before:?} {after:?}");
    let said = json("agent drops --node node-01");
    let reasons = said["nodes"][0]["reasons"].as_array().unwrap();
    let policy = reasons.iter().find(|r| r[0] == "policy").unwrap()[1].as_f64().unwrap();
    assert!(policy >= after.0, "the same counter: {policy}, {after:?}");
    assert!(sum("watertight_apply_duration_seconds_count{") == 2.0 && sum("watertight_map_writes_total{") > 10.0);
    // A manifest that is none: it is counted, logged, and neither ready nor current.
    let manifests = Path::new("/run/watertight/lab/manifests");
    std::fs::write(manifests.join("broken.yaml"), "kind: [").unwrap();
    until(|| page(&address, "/readyz").0.contains(" 503 "), "it is not ready");
    assert!(page(&address, "/readyz").1.contains("the manifests are not understood"));
    assert_eq!(page(&address, "/healthz").0, "HTTP/1.1 200 OK");
    assert!(sum("watertight_source_age_seconds{") > 0.0 && sum("watertight_refusals_total{") == 2.0);
    std::fs::remove_file(manifests.join("broken.yaml")).unwrap();
    until(|| page(&address, "/readyz").0.contains(" 200 "), "it is ready again");
    guarded.kill();
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().all(|l| l["time"].as_str().unwrap().ends_with('Z') && l["level"].is_string()), "{text}");
    let of = |event: &str| lines.iter().filter(|l| l["event"] == event).collect::<Vec<_>>();
    let applied = of("applied");
    let one = applied.iter().find(|l| l["node"] == "node-01").unwrap();
    assert_eq!((&one["revision"], &one["policies"], &one["pods"]), (&1.into(), &3.into(), &3.into()));
    assert!(one["writes"].as_u64().unwrap() > 0 && one["apply_us"].as_u64().unwrap() > 0, "{one}");
    let degraded = of("degraded");
    assert_eq!(degraded.len(), 2, "once a node: {text}");
    assert!(degraded.iter().all(|l| l["level"] == "warn" && l["why"].as_str().unwrap().contains("not understood")));
    assert_eq!(of("recovered").len(), 2, "{text}");
}

#[test]
fn metrics_are_not_served_to_everyone() {
    let out = watertight("agent --source lab --metrics 0.0.0.0:9464");
    let text = String::from_utf8_lossy(&out.stderr);
    if text.contains("needs root") {
        return;
    }
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("metrics are not served at every address") && text.contains("127.0.0.1:9464"), "{text}");
}

#[test]
fn a_service_is_as_open_as_its_backends() {
    let Some(mut guarded) = Guarded::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let egress = |port: u16| {
        let head =
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web-out, namespace: shop}\n";
        let dns = "{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}";
        format!(
            "{head}spec:\n  podSelector: {{matchLabels: {{app: web}}}}\n  policyTypes: [Egress]\n  egress:\n  \
             - to: [{dns}]\n    ports: [{{port: 53, protocol: UDP}}]\n  \
             - to: [{{podSelector: {{matchLabels: {{app: db}}}}}}]\n    ports: [{{port: {port}}}]\n"
        )
    };
    let file = folder.path().join("egress.yaml");
    ok(&format!("lab up -f {}", root().join("crates/cli/tests/data/lab.yaml").display()));
    guarded.start(&[]);
    // Its name is looked up through the ClusterIP of DNS; port 80 of the Service is 5432 of the pod.
    let ask = || {
        let script = "exec 3<>/dev/tcp/db.shop.svc.cluster.local/80 && head -n1 <&3";
        let out = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(["lab", "exec", "shop/web", "--", "timeout", "3", "bash", "-c", script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    };
    for (state, port, answer) in [(2, 5432, "shop/db"), (3, 80, "")] {
        std::fs::write(&file, egress(port)).unwrap();
        ok(&format!("lab apply -f {}", file.display()));
        until(
            || json("agent status")["items"].as_array().unwrap().iter().all(|s| s["revision"]["applied"] == state),
            "the policy is applied",
        );
        assert_eq!(ask(), answer, "a rule on port {port}: the pod's port counts, not the Service's");
        assert_eq!((probed().0, probed().1), (0, 0));
    }
}

#[test]
fn the_live_demo_goes_from_flat_to_enforced_and_back() {
    let Some(_guarded) = Guarded::new() else { return };
    let out = watertight("demo --live");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let probes: Vec<&str> = text.lines().filter(|l| l.ends_with(" connections") && l.contains("mismatch")).collect();
    assert_eq!(probes.iter().filter(|l| l.starts_with("0 mismatches in 17,804")).count(), 3, "{text}");
    let denied = |l: &&str| l.starts_with("denied and not delivered");
    let numbers: Vec<&str> = text.lines().filter(denied).filter_map(|l| l.split_whitespace().last()).collect();
    assert_eq!(numbers[..2], ["0", "0"], "flat, and in shadow, nothing is denied: {text}");
    assert_eq!(numbers.len(), 4);
    assert!(numbers[2] == numbers[3] && numbers[2].len() > 5, "enforced, also without its agent: {text}");
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).contains("wtl:"));
    assert!(!Path::new("/sys/fs/bpf/watertight").exists());
}

#[test]
fn its_page_says_what_happens() {
    let Some(_guarded) = Guarded::new() else { return };
    let page = root().join("docs/commands/agent.md");
    let scratch = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("docs"), scratch.path().join("docs")).unwrap();
    let text = std::fs::read_to_string(&page).unwrap();
    let (actual, count) = transcript::execute("docs/commands/agent.md", &text, scratch.path());
    assert!(count >= 5, "{count}");
    Assert::new()
        .action_env("SNAPSHOTS")
        .redact_with(snapbox::Redactions::new())
        .eq(actual, Data::read_from(&page, None).raw());
}
