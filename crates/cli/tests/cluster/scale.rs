//! 10,000 pods and 1,000 policies: an audit in 10 s and 200 MB, also one whose server stands still for 30 s in the middle; and a
//! watch of 100 changes a second, whose lag is printed.

use crate::bed::{admin, bed, root};
use crate::server::Server;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NAMESPACES: usize = 50;
const PODS: usize = 10_000;
const POLICIES: usize = 1_000;

fn fill() {
    let server = Server::start();
    let post = |path: String, object: serde_json::Value| {
        let (code, answer) = server.send("POST", &path, "application/json", &object.to_string());
        assert!(matches!(code, 201 | 409), "{answer}");
    };
    for n in 0..NAMESPACES {
        post(
            "/api/v1/namespaces".into(),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("load-{n}")}}),
        );
    }
    for n in 0..NAMESPACES {
        bed(&format!("kubectl -n load-{n} wait --for=create serviceaccount/default --timeout=60s"));
    }
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let post = &post;
            scope.spawn(move || {
                for i in (worker..PODS).step_by(8) {
                    let (ns, app) = (i % NAMESPACES, i / NAMESPACES % 20);
                    post(
                        format!("/api/v1/namespaces/load-{ns}/pods"),
                        json!({"apiVersion": "v1", "kind": "Pod",
                            "metadata": {"name": format!("pod-{i}"), "labels": {"app": format!("app-{app}")}},
                            "spec": {"nodeName": format!("kwok-{}", i % 100), "containers": [{"name": "c", "image": "c",
                                "ports": [{"containerPort": 8080}]}]}}),
                    );
                }
                for i in (worker..POLICIES).step_by(8) {
                    let (ns, app) = (i % NAMESPACES, i / NAMESPACES);
                    post(
                        format!("/apis/networking.k8s.io/v1/namespaces/load-{ns}/networkpolicies"),
                        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                            "metadata": {"name": format!("policy-{i}")},
                            "spec": {"podSelector": {"matchLabels": {"app": format!("app-{app}")}},
                                "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": format!("app-{}", (app + 1) % 20)}}}],
                                    "ports": [{"port": 8080}]}]}}),
                    );
                }
            });
        }
    });
}

#[test]
fn ten_thousand_pods() {
    bed("simulate 100");
    let began = Instant::now();
    fill();
    let limit = Instant::now() + Duration::from_secs(600);
    loop {
        let waiting = bed("kubectl get pods -A --field-selector status.phase!=Running -o name --chunk-size 0");
        if waiting.lines().count() == 0 {
            break;
        }
        assert!(Instant::now() < limit, "{} pods do not run", waiting.lines().count());
        std::thread::sleep(Duration::from_secs(2));
    }
    println!("{PODS} pods run after {} s", began.elapsed().as_secs());
    an_audit();
    an_audit_whose_server_stands_still();
    an_audit_whose_server_dies();
    a_watch();
}

fn release(args: &str) -> Command {
    let mut command = Command::new(root().join("target/release/watertight"));
    command.args(args.split(' ')).env("KUBECONFIG", admin()).stdin(Stdio::null());
    command
}

/// The most memory that a process has had so far, in KiB; 0 when it is gone.
fn peak_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.split_whitespace().next());
    line.and_then(|n| n.parse().ok()).unwrap_or(0)
}

const AUDIT: &str = "audit -o json --strict --fail-on never";

fn an_audit() {
    let began = Instant::now();
    let mut child = release(AUDIT).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        peak = peak_kib(child.id()).max(peak);
        std::thread::sleep(Duration::from_millis(10));
    };
    let took = began.elapsed();
    println!("audit of {PODS} pods, {POLICIES} policies: {:.1} s, {} MiB", took.as_secs_f64(), peak / 1024);
    assert!(status.success());
    assert!(took <= Duration::from_secs(10), "{took:?}");
    assert!(peak > 0 && peak <= 200_000_000 / 1024, "{peak} KiB");
}

/// The middle of reading: some pages are there, others are not.
const MIDDLE: Duration = Duration::from_millis(300);

fn an_audit_whose_server_stands_still() {
    let child = release(AUDIT).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(MIDDLE);
    bed("pause kube-apiserver");
    std::thread::sleep(Duration::from_secs(30));
    bed("continue kube-apiserver");
    let out = child.wait_with_output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(answer["certainty"]["whole"], true, "{}", answer["certainty"]);
    println!("an audit whose server stands still for 30 s in the middle is whole");
}

fn an_audit_whose_server_dies() {
    let child = release(AUDIT).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(MIDDLE);
    bed("stop kube-apiserver");
    let out = child.wait_with_output().unwrap();
    bed("start kube-apiserver");
    let (said, answer) = (String::from_utf8_lossy(&out.stderr), String::from_utf8_lossy(&out.stdout));
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(!answer.contains("\"grade\"") && answer.contains("\"kind\": \"Error\""), "{answer}");
    println!("an audit whose server dies in the middle: {}", said.lines().next().unwrap_or_default());
}

/// A label of pods, 100 times a second for 30 s, as four workers.
fn change(server: &Server) {
    const WORKERS: usize = 4;
    let began = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || {
                for turn in 0..30 * 100 / WORKERS {
                    let due = began + Duration::from_millis((turn * WORKERS * 10 + worker * 10) as u64);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let pod = (turn * 7_919 + worker * 2_503) % PODS;
                    let path = format!("/api/v1/namespaces/load-{}/pods/pod-{pod}", pod % NAMESPACES);
                    let label = json!({"metadata": {"labels": {"turn": turn.to_string()}}}).to_string();
                    let (code, answer) = server.send("PATCH", &path, "application/merge-patch+json", &label);
                    assert_eq!(code, 200, "{answer}");
                }
            });
        }
    });
    println!("3,000 changes in {:.1} s", began.elapsed().as_secs_f64());
}

fn a_watch() {
    let child = release("watch -v -o json --fail-on never").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert!(first.contains("\"event\":\"started\""), "{first}");
    // Read on, or the program waits for us.
    let rest = std::thread::spawn(move || out.lines().count());
    change(&Server::start());
    let peak = peak_kib(child.id());
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let end = child.wait_with_output().unwrap();
    let said = String::from_utf8(end.stderr).unwrap();
    assert!(sent.success() && end.status.success(), "{said}");
    let summary = said.lines().find(|line| line.starts_with("watch: ")).unwrap();
    println!("{summary}; {} MiB, {} events told", peak / 1024, rest.join().unwrap());
    let number = |after: &str| -> f64 {
        let text = summary.split_once(after).unwrap().1.trim_start();
        text.split([' ', ',', ';']).next().unwrap().parse().unwrap()
    };
    assert!(number("at most") <= 1.0, "{summary}");
    // The goal is 100 ms. It is not reached on two cores that also run the control plane (testbed/README.md says what was
    // measured); this is the bound beyond which something is broken.
    assert!(number("p99") <= 5_000.0, "{summary}");
}
