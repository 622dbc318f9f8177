//! 10,000 pods and 1,000 policies: an audit in 10 s and 200 MB.

use crate::bed::{admin, bed, root};
use crate::server::Server;
use serde_json::json;
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
fn an_audit_of_ten_thousand_pods() {
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

    let program = root().join("target/release/watertight");
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(["audit", "-o", "json", "--strict", "--fail-on", "never"])
        .env("KUBECONFIG", admin())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        // The peak so far; gone with the process.
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.split_whitespace().next());
        peak_kib = line.and_then(|n| n.parse().ok()).unwrap_or(0).max(peak_kib);
        std::thread::sleep(Duration::from_millis(10));
    };
    let took = began.elapsed();
    println!("audit of {PODS} pods, {POLICIES} policies: {:.1} s, {} MiB", took.as_secs_f64(), peak_kib / 1024);
    assert!(status.success());
    assert!(took <= Duration::from_secs(10), "{took:?}");
    assert!(peak_kib > 0 && peak_kib <= 200_000_000 / 1024, "{peak_kib} KiB");
}
