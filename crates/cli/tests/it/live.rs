//! A live cluster: an API server of a few lines on a local port.

use crate::common::{Outcome, run};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use watertight_cluster::Environment;

/// Objects of a small cluster, by list path.
fn objects(path: &str) -> Option<Vec<Value>> {
    let pod = |name: &str, app: &str, ip: &str| {
        json!({"metadata": {"name": name, "namespace": "shop", "labels": {"app": app}},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "c"}]}, "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}})
    };
    Some(match path {
        "/api/v1/namespaces" => {
            vec![json!({"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}})]
        }
        "/api/v1/nodes" => vec![
            json!({"metadata": {"name": "n1"}, "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}),
        ],
        "/api/v1/pods" => vec![pod("web", "web", "10.244.0.2"), pod("db", "db", "10.244.0.3")],
        "/apis/networking.k8s.io/v1/networkpolicies" => {
            vec![
                json!({"metadata": {"name": "db-in", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "db"}},
                "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 5432}]}]}}),
            ]
        }
        _ => return None,
    })
}

/// Serves until the process ends; `forbidden` may not be listed.
fn serve(forbidden: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), forbidden));
        }
    });
    port
}

fn answer(mut stream: TcpStream, forbidden: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let mut header = String::new();
    let mut length = 0;
    while reader.read_line(&mut header).unwrap_or(0) > 2 {
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        header.clear();
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let groups = ["apps", "batch", "networking.k8s.io", "discovery.k8s.io"].map(|name| {
        let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
        json!({"name": name, "preferredVersion": version, "versions": [version]})
    });
    let (status, body) = match path.as_str() {
        path if path.ends_with("/selfsubjectaccessreviews") => {
            (201, json!({"status": {"allowed": forbidden.is_empty()}}))
        }
        "/version" => (200, json!({"gitVersion": "v1.37.1"})),
        "/apis" => (200, json!({"kind": "APIGroupList", "groups": groups})),
        path if !forbidden.is_empty() && path.ends_with(forbidden) => {
            (403, json!({"kind": "Status", "message": format!("{forbidden} is forbidden: no\u{1b}[2J"), "code": 403}))
        }
        path => (200, json!({"kind": "List", "metadata": {}, "items": objects(path).unwrap_or_default()})),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn kubeconfig(folder: &Path, port: u16) -> String {
    let file = folder.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\nclusters:\n- name: c\n  cluster: {{server: \"http://127.0.0.1:{port}\"}}\n\
         contexts:\n- name: lab\n  context: {{cluster: c, user: u, namespace: shop}}\nusers:\n- name: u\n  user: {{}}\n"
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// Runs with `KUBECONFIG` set.
fn watertight(args: &str, config: &str) -> Outcome {
    let environment = Environment { kubeconfig: Some(OsString::from(config)), ..Environment::default() };
    run(args.split_whitespace().map(OsString::from), "", |host| host.environment = environment)
}

#[test]
fn a_cluster_is_a_source_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = kubeconfig(folder.path(), serve(""));
    let saved = folder.path().join("saved.json").display().to_string();
    for command in [
        "connections -o json",
        "blast shop/web -o csv",
        "audit -o csv --fail-on never",
        "query shop/web shop/db --port 80 -o csv",
    ] {
        let command = command.replace("query shop/web shop/db --port 80 -o csv", "query shop/web shop/db --port 80");
        let live = watertight(&format!("{command} --save {saved}"), &config);
        assert_eq!(live.code, 0, "{command}: {}", live.stderr);
        // Which cluster was asked is never a guess.
        assert!(
            live.stderr.contains("cluster: http://127.0.0.1:") && live.stderr.contains("context `lab`"),
            "{}",
            live.stderr
        );
        let offline = watertight(&format!("{command} -f {saved}"), "/nonexistent");
        assert_eq!(offline.code, 0, "{command}: {}", offline.stderr);
        if !command.contains("query") {
            // The place of a finding is the cluster in one and the saved file in the other; nothing else differs.
            let places = [4, 7].map(|line| format!("{saved},{line},1,"));
            let told = places.iter().fold(offline.stdout, |text, place| text.replace(place, "cluster:lab,0,0,"));
            assert_eq!(live.stdout, told, "{command}");
        }
    }
    let named = watertight(&format!("connections -o csv --kubeconfig {config} --context lab"), "/nonexistent");
    assert_eq!(named.code, 0, "{}", named.stderr);
    let first = watertight("", &config);
    assert!(
        first.stdout.contains("Grade") && first.stdout.lines().last().unwrap().starts_with("Next: "),
        "{}",
        first.stdout
    );
}

#[test]
fn what_applying_files_would_change_in_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let config = kubeconfig(folder.path(), serve(""));
    let file = |name: &str, spec: &str| {
        let path = folder.path().join(name);
        let head =
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db-in, namespace: shop}\nspec: ";
        std::fs::write(&path, format!("{head}{spec}\n")).unwrap();
        path.display().to_string()
    };
    let closed = file("closed.yaml", "{podSelector: {matchLabels: {app: db}}}");
    let run = watertight(&format!("diff --live -f {closed}"), &config);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("cluster: http://127.0.0.1:"), "{}", run.stderr);
    assert!(run.stdout.contains("NetworkPolicy shop/db-in changed"), "{}", run.stdout);
    assert!(run.stdout.contains("closed.yaml:4:21)"), "{}", run.stdout);
    let same = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}";
    let same = file("same.yaml", same);
    assert_eq!(watertight(&format!("diff --live -f {same}"), &config).code, 0);
    assert_eq!(watertight(&format!("diff --live -f {same}"), "/nonexistent").code, 3);
}

#[test]
fn live_rules_have_no_lines_and_are_shown_as_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let config = kubeconfig(folder.path(), serve(""));
    let run = watertight("explain shop/web shop/db --port 5432", &config);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("shop/db-in ingress rule 0 (live object)"), "{}", run.stdout);
    assert!(run.stdout.contains("        app: web"), "{}", run.stdout);
    let json = watertight("query shop/web shop/db --port 5432 -o json", &config);
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    let rule = &value["ingress"]["decidedBy"][0];
    assert_eq!((rule["file"].as_str(), rule["line"].as_u64()), (Some("cluster:lab"), Some(0)));
}

#[test]
fn what_may_not_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = kubeconfig(folder.path(), serve("/nodes"));
    for (command, strict) in [("connections", 4), ("blast shop/web", 4), ("query shop/web shop/db --port 5432", 4)] {
        let run = watertight(&format!("{command} -o json"), &config);
        assert_eq!(run.code, 0, "{command}: {}", run.stderr);
        assert!(run.stderr.contains("warning: `nodes` could not be read"), "{command}: {}", run.stderr);
        assert!(!run.stderr.contains('\u{1b}'));
        assert_eq!(watertight(&format!("{command} --strict"), &config).code, strict, "{command}");
    }
    let value: Value = serde_json::from_str(&watertight("connections -o json", &config).stdout).unwrap();
    assert_eq!(value["unread"][0]["what"], "nodes");
    let doctor = watertight("doctor -o csv", &config);
    assert!(doctor.stdout.contains("rights,"), "{}", doctor.stdout);
}

#[test]
fn a_cluster_out_of_reach_and_a_broken_kubeconfig() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = kubeconfig(folder.path(), closed);
    let run = watertight("audit -o json", &config);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stdout.contains("\"exitCode\": 3"), "{}", run.stdout);
    assert_eq!(watertight("audit --context nowhere", &config).code, 2);
    std::fs::write(folder.path().join("config"), "clusters: [").unwrap();
    assert_eq!(watertight("audit", &config).code, 2);
    assert_eq!(watertight("audit", "/no/such/file").code, 3);
}
