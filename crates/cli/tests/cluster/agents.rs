//! On two nodes with Flannel and the agent on each, from `deploy/agent.yaml`: what Flannel ignores is enforced, stays enforced
//! without the agents, and is gone when they are uninstalled.

use crate::bed::{admin, apply, bed, bed_with, watertight};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";
/// What a connection may take to be refused or made; also the longest that a policy may take to bite.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pod that listens on TCP 80, on this node.
fn pod(name: &str, node: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\n\
         spec:\n  nodeName: {node}\n  terminationGracePeriodSeconds: 0\n\
         \x20 containers:\n  - name: c\n    image: {AGNHOST}\n\
         \x20   args: [netexec, --http-port=80]\n    readinessProbe: {{httpGet: {{port: 80}}, periodSeconds: 1}}\n---\n"
    )
}

fn address(name: &str) -> String {
    bed(&format!("kubectl -n shop get pod {name} -o jsonpath={{.status.podIP}}"))
}

/// What came of one connection: `OK`, `TIMEOUT`, `REFUSED`, ...
fn connect(from: &str, to: &str) -> String {
    let root = crate::bed::root();
    let words = format!("kubectl -n shop exec {from} -- /agnhost connect {to} --timeout=1s --protocol=tcp");
    let out = Command::new(root.join("testbed/cluster")).args(words.split(' ')).current_dir(root).output().unwrap();
    if out.status.success() { "OK".to_owned() } else { String::from_utf8_lossy(&out.stderr).trim().to_owned() }
}

/// Waits until a connection has this outcome, and gives what it took.
#[track_caller]
fn until(from: &str, to: &str, wanted: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let got = connect(from, to);
        if got.contains(wanted) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "{from} to {to}: {got}, not {wanted}");
    }
}

/// `watertight agent WHAT` on a node, by the socket that the agent has there: the API server is not asked.
fn agent(node: &str, what: &str) -> Value {
    let program = env!("CARGO_BIN_EXE_watertight");
    // Exit code 1 is an answer as well: it does not enforce, and says why.
    let script = format!("{program} agent {what} --node {node} -o json || [ $? -eq 1 ]");
    let said = bed_with(&["node", node, "bash", "-c", &script], "");
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

#[test]
fn what_flannel_ignores_is_enforced_and_stays_without_agents() {
    bed("kubectl create namespace shop");
    let pods = [pod("web", "node1"), pod("near", "node1"), pod("far", "node2")].concat();
    apply(&pods);
    bed("kubectl -n shop wait pods --all --for=condition=Ready --timeout=60s");
    let web = format!("{}:80", address("web"));
    let [to_near, to_far] = ["near", "far"].map(|n| format!("{}:80", address(n)));
    let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n\
                spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: near}}}]}]}\n";
    apply(deny);
    // Flannel alone: accepted, and ignored.
    assert_eq!(connect("far", &web), "OK");

    // Pods that run already are guarded without a restart; the probe's pods are new.
    bed("agent up");
    until("far", &web, "TIMEOUT");
    assert_eq!(connect("near", &web), "OK");
    assert_eq!(connect("web", &to_far), "OK", "replies come back in");
    let probe = watertight("doctor --probe -o json", &admin());
    let checks = probe.json()["checks"].as_array().cloned().unwrap();
    let proof = checks.iter().find(|c| c["name"] == "probe").unwrap();
    assert_eq!(proof["status"], "ok", "{proof}\n{}", probe.stderr);
    // The kubelet's probes are the node's own, and come through.
    bed("kubectl -n shop wait pod/web --for=condition=Ready --timeout=5s");
    bed("kubectl -n kube-system rollout status deployment/coredns --timeout=5s");
    let drops = agent("node1", "drops");
    let denied = drops["nodes"][0]["denied"].as_array().cloned().unwrap();
    let far =
        denied.iter().find(|f| f["peer"] == "shop/far" && f["pod"] == "shop/web").unwrap_or_else(|| panic!("{drops}"));
    assert_eq!((far["direction"].as_str(), far["port"].as_u64()), (Some("ingress"), Some(80)), "{far}");
    assert!(far["decidedBy"].as_str().unwrap().contains("shop/web"), "{far}");

    // A changed label, a changed policy: both meet the next connection.
    bed("kubectl -n shop label pod far app=near --overwrite");
    until("far", &web, "OK");
    bed("kubectl -n shop label pod far app=far --overwrite");
    until("far", &web, "TIMEOUT");
    apply(&deny.replace("ingress:", "policyTypes: [Ingress, Egress], ingress:"));
    until("web", &to_near, "TIMEOUT");

    // Without the API server what is in force stays, and its age is told.
    bed("stop kube-apiserver");
    let begun = Instant::now();
    let away = loop {
        let status = agent("node1", "status");
        if status["stale"].as_array().is_some_and(|stale| !stale.is_empty()) {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody misses the API server: {status}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(away["enforcing"], true, "{away}");
    bed("start kube-apiserver");
    while agent("node1", "status")["stale"].is_array() {
        assert!(begun.elapsed() < 6 * PATIENCE, "{}", agent("node1", "status"));
        std::thread::sleep(Duration::from_millis(500));
    }
    until("far", &web, "TIMEOUT");

    // The agents go, and what they enforced stays.
    bed("kubectl -n watertight delete daemonset watertight-agent --wait --cascade=foreground");
    assert!(connect("far", &web).contains("TIMEOUT"));
    assert!(connect("web", &to_near).contains("TIMEOUT"));
    assert_eq!(connect("near", &web), "OK");

    // Uninstalled: flat again.
    bed("agent down");
    assert_eq!(connect("far", &web), "OK");
    assert_eq!(connect("web", &to_near), "OK");
    bed("kubectl delete namespace shop --wait");
}

/// A pod that opens one connection as soon as it can, and ends with what came of it.
fn first_packet(name: &str, labels: &str, to: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: gate, labels: {{{labels}}}}}\n\
         spec:\n  nodeName: node1\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  \
         containers:\n  - name: c\n    image: {AGNHOST}\n    args: [connect, '{to}', --timeout=1s, --protocol=tcp]\n---\n"
    )
}

fn phase(name: &str) -> String {
    bed(&format!("kubectl -n gate get pod {name} -o jsonpath={{.status.phase}}"))
}

fn ended(name: &str) -> String {
    let begun = Instant::now();
    loop {
        let now = phase(name);
        if ["Succeeded", "Failed"].contains(&now.as_str()) {
            return now;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{name}: {now}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_pod_begins_isolated_and_not_at_all_while_nobody_says_so() {
    bed("kubectl create namespace gate");
    apply(&pod("web", "node2").replace("namespace: shop", "namespace: gate"));
    apply(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: mute, namespace: gate}\n\
         spec: {podSelector: {matchLabels: {mute: 'yes'}}, policyTypes: [Egress]}\n",
    );
    bed("agent up");
    bed("kubectl -n gate wait pod/web --for=condition=Ready --timeout=60s");
    let web = bed("kubectl -n gate get pod web -o jsonpath={.status.podIP}");
    let web = format!("{web}:80");
    let list = || bed("node node1 cat /etc/cni/net.d/10-testbed.conflist");
    let begun = Instant::now();
    while !list().contains("watertight-cni") {
        assert!(begun.elapsed() < PATIENCE, "{}", list());
        std::thread::sleep(Duration::from_millis(200));
    }
    // The first packet of a pod meets its policies: dropped for these, and not lost for those.
    let names: Vec<(String, String)> = (0..10).map(|i| (format!("mute-{i}"), format!("free-{i}"))).collect();
    let all: String = names
        .iter()
        .map(|(mute, free)| first_packet(mute, "mute: 'yes'", &web) + &first_packet(free, "mute: 'no'", &web))
        .collect();
    apply(&all);
    for (mute, free) in &names {
        assert_eq!((ended(mute).as_str(), ended(free).as_str()), ("Failed", "Succeeded"), "{mute}, {free}");
        let why = bed(&format!("kubectl -n gate logs {mute}"));
        assert!(why.contains("TIMEOUT"), "{mute}: {why}");
    }
    let log = bed("kubectl -n watertight logs -l app.kubernetes.io/component=agent -c agent --tail=-1");
    let lines = log.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
    let mut gates: Vec<u64> = lines
        .filter(|l| l["event"] == "isolated" && l["closed"].is_null())
        .filter_map(|l| l["gate_us"].as_u64())
        .collect();
    gates.sort_unstable();
    assert!(gates.len() >= 20, "{gates:?}");
    println!("gate, microseconds: median {}, longest of {} {:?}", gates[gates.len() / 2], gates.len(), gates.last());

    // Without an agent no pod begins, and the pod says why.
    bed("kubectl -n watertight delete daemonset watertight-agent --wait --cascade=foreground");
    apply(&first_packet("late", "mute: 'no'", &web));
    let begun = Instant::now();
    let told =
        || bed("kubectl -n gate get events --field-selector involvedObject.name=late -o jsonpath={.items[*].message}");
    while !told().contains("the pod is not isolated, so it does not start: no agent") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", told());
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(phase("late"), "Pending");

    // Uninstalled: it begins.
    bed("agent down");
    assert!(!list().contains("watertight-cni"), "{}", list());
    assert_eq!(ended("late"), "Succeeded");
    bed("kubectl delete namespace gate --wait");
}
