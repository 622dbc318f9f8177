//! `watch` with the real binary and real files: saves of every kind, broken files, signals, readers that go.
#![cfg(unix)]

use serde_json::Value;
use snapbox::cmd::cargo_bin;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const WORKLOADS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: i}]}
"#;

fn policy(port: u16) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: db-in, namespace: shop}}\n\
         spec:\n  podSelector: {{matchLabels: {{app: db}}}}\n  ingress:\n  - from: \
         [{{podSelector: {{matchLabels: {{app: web}}}}}}]\n    \
         ports: [{{port: {port}}}]\n"
    )
}

struct Watch {
    process: Child,
    out: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Watch {
    /// A watch of a folder with the workloads, after its first line.
    fn start(more: &[&str]) -> (Self, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("workloads.yaml"), WORKLOADS).unwrap();
        let mut process = Command::new(cargo_bin!("watertight"))
            .args(["watch", "-f", folder.path().to_str().unwrap()])
            .args(more)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let mut this = Self { process, out, folder };
        let first = this.line();
        (this, first)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    fn json(&mut self) -> Value {
        let document: Value = serde_json::from_str(&self.line()).unwrap();
        crate::schema::assert_valid(&document);
        document
    }

    /// Standard output and error that are left, and the exit code.
    fn end(mut self) -> (String, String, Option<i32>) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (out, err, self.process.wait().unwrap().code())
    }
}

/// Beside it and renamed over it, as editors do.
fn save_by_rename(file: &Path, text: &str) {
    let beside = file.with_extension("tmp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, file).unwrap();
}

#[test]
fn every_change_is_one_json_object() {
    let (mut watch, first) = Watch::start(&["-o", "json", "--changes", "5"]);
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["kind"], &first["event"]), (&"Watch".into(), &"started".into()));
    assert_eq!(first["diff"], Value::Null);
    let file = watch.path("policy.yaml");

    save_by_rename(&file, &policy(5432));
    let closed = watch.json();
    assert_eq!(closed["event"], "changed");
    assert!(closed["diff"]["summary"]["closes"].as_u64().unwrap() > 0, "{closed}");
    assert!(!closed["goneFindings"].as_array().unwrap().is_empty(), "{closed}");

    // The same length: what tells is the time, or the file's number.
    save_by_rename(&file, &policy(5433));
    let moved = watch.json();
    let ports: Vec<&str> =
        moved["diff"]["changes"].as_array().unwrap().iter().map(|c| c["change"].as_str().unwrap()).collect();
    assert!(ports.contains(&"ports"), "{moved}");

    // Half-written: the faults, and the state before stands.
    std::fs::write(&file, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSel").unwrap();
    let broken = watch.json();
    assert_eq!(broken["event"], "refused");
    assert_eq!(broken["error"]["exitCode"], 2);
    assert!(broken["error"]["diagnostics"][0]["file"].as_str().unwrap().ends_with("policy.yaml"), "{broken}");
    assert!(broken["stateAgeSeconds"].is_u64() && broken["findings"] == moved["findings"], "{broken}");

    std::fs::write(&file, policy(5433)).unwrap();
    let again = watch.json();
    assert_eq!((&again["event"], &again["diff"]), (&"restored".into(), &Value::Null), "{again}");

    std::fs::remove_file(&file).unwrap();
    let opened = watch.json();
    assert!(opened["diff"]["summary"]["opens"].as_u64().unwrap() > 0, "{opened}");
    let (out, err, code) = watch.end();
    assert_eq!((out.as_str(), code), ("", Some(1)), "{err}");
}

#[test]
fn people_see_what_changed_and_a_burst_is_one_change() {
    let (mut watch, first) = Watch::start(&["--changes", "1"]);
    assert!(first.starts_with("watching: grade "), "{first}");
    for port in 0..20 {
        std::fs::write(watch.path("policy.yaml"), policy(5000 + port)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let summary = watch.line();
    assert!(summary.contains("connection") && summary.contains("closed"), "{summary}");
    let (out, err, _) = watch.end();
    assert!(out.contains("- gone") && out.contains("TCP 0-5018, 5020-65535"), "the last save counts: {out}{err}");
    assert!(out.contains("NetworkPolicy shop/db-in added"), "{out}");
}

#[test]
fn what_changes_nothing_is_not_told() {
    let (mut watch, _) = Watch::start(&["-o", "json", "--changes", "1"]);
    std::fs::write(watch.path("workloads.yaml"), format!("# a comment\n{WORKLOADS}")).unwrap();
    std::fs::write(watch.path("notes.txt"), "no manifest").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    std::fs::write(watch.path("policy.yaml"), policy(1)).unwrap();
    assert!(watch.json()["diff"]["summary"]["closes"].as_u64().unwrap() > 0);
}

#[test]
fn a_directory_that_goes_and_comes_back() {
    let (mut watch, _) = Watch::start(&["-o", "json", "--changes", "2"]);
    let (folder, aside) = (watch.folder.path().to_owned(), watch.folder.path().with_extension("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    let gone = watch.json();
    assert_eq!((&gone["event"], &gone["error"]["exitCode"]), (&"refused".into(), &3.into()), "{gone}");
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(watch.json()["event"], "restored");
    let (_, err, _) = watch.end();
    assert!(err.contains("no-such-file"), "{err}");
}

#[test]
fn a_watch_that_ends_while_files_are_broken_ends_with_2() {
    let (mut watch, _) = Watch::start(&["--changes", "1"]);
    std::fs::write(watch.path("policy.yaml"), "kind: [").unwrap();
    let line = watch.line();
    assert!(line.contains("not understood; the state of ") && line.contains(" s ago stands: grade "), "{line}");
    let (_, err, code) = watch.end();
    assert_eq!(code, Some(2));
    assert!(err.contains("policy.yaml:1"), "the fault is drawn in its file: {err}");
}

#[test]
fn signals_end_it_with_0() {
    for signal in ["-INT", "-TERM"] {
        let (watch, _) = Watch::start(&[]);
        let pid = watch.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let (out, err, code) = watch.end();
        assert_eq!((out.as_str(), code), ("", Some(0)), "{signal} {err}");
    }
}

#[test]
fn a_reader_that_goes_ends_it() {
    let (mut watch, _) = Watch::start(&["-o", "json"]);
    let (policy_file, text) = (watch.path("policy.yaml"), policy(1));
    // Dropping the reader closes the pipe.
    watch.out = BufReader::new(Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap());
    std::fs::write(policy_file, text).unwrap();
    assert_eq!(watch.process.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_watched_is_said() {
    for (args, said) in [
        ("watch --save x", "saves nothing"),
        ("watch -f -", "standard input does not change"),
        ("watch -f docs/examples/shop -o yaml", "no `yaml` output"),
        ("watch -f docs/examples/shop --save x", "saves nothing"),
    ] {
        let outcome = crate::common::watertight(args);
        assert_eq!(outcome.code, 2, "{args}");
        assert!(outcome.stderr.contains(said), "{args}: {}", outcome.stderr);
    }
    for args in ["watch -f docs/examples/nowhere", "watch --kubeconfig docs/examples/nowhere"] {
        let outcome = crate::common::watertight(args);
        assert_eq!(outcome.code, 3, "{args}: {}", outcome.stderr);
    }
}
