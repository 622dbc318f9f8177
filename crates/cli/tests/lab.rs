//! The lab with real packets. Needs root, Linux, `ip` and `nft`: without root these tests say that they did not run, except in
//! continuous integration, where they fail.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, helpers of tests too")]
#![expect(clippy::print_stderr, reason = "a test that does not run says so")]

#[path = "transcript/mod.rs"]
mod transcript;

use serde_json::Value;
use snapbox::{Assert, Data};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// There is one lab on a machine at a time.
static ONE: Mutex<()> = Mutex::new(());

/// The lab for one test; it is removed however the test ends.
struct Lab {
    _one: MutexGuard<'static, ()>,
}

impl Lab {
    /// `None`: not root, and nobody promised that we are.
    fn new() -> Option<Self> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
        if !root {
            assert!(std::env::var_os("CI").is_none(), "continuous integration runs these as root");
            eprintln!("not run: a lab needs root");
            return None;
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        watertight(&["lab", "down"]);
        Some(Self { _one: one })
    }

    fn up(&self, manifests: &Path, more: &[&str]) {
        let file = manifests.to_str().unwrap();
        let out = watertight(&[&["lab", "up", "-f", file], more].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        watertight(&["lab", "down"]);
    }
}

fn watertight(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watertight")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn probe() -> (i32, Value) {
    let out = watertight(&["lab", "probe", "-o", "json"]);
    let data =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code().unwrap(), data)
}

/// Namespaces and interfaces that carry a lab's prefix, and processes that answer in one.
fn left() -> String {
    let list = |args: &[&str]| String::from_utf8(Command::new("ip").args(args).output().unwrap().stdout).unwrap();
    let text = format!("{}{}", list(&["netns", "list"]), list(&["-br", "link"]));
    let links: String = text.lines().filter(|l| l.starts_with("wtl")).collect();
    let answers = std::fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        words.ends_with(b"watertight\0lab\0respond\0")
    });
    let answers: Vec<String> = answers.map(|p| format!("{p:?}")).collect();
    format!("{links}{}", answers.join(" "))
}

/// A policy that lets nobody in.
fn deny(name: &str, selector: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{podSelector: {selector}}}\n"
    )
}

fn folder(extra: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), format!("{SHOP}{extra}")).unwrap();
    folder
}

const SHOP: &str = include_str!("data/lab.yaml");

#[test]
fn a_flat_cluster_delivers_everything_on_bridges_and_on_routes() {
    let Some(lab) = Lab::new() else { return };
    let folder = folder("");
    for topology in ["bridge", "routed"] {
        lab.up(folder.path(), &["--topology", topology]);
        let (code, data) = probe();
        assert_eq!(
            (code, &data["tooOpen"], &data["tooClosed"]),
            (0, &Value::from(0), &Value::from(0)),
            "{topology}: {data}"
        );
        let rows = data["rows"].as_array().unwrap();
        for (word, wanted) in [("10.244.", true), ("fd00:", true), ("203.0.113.7", true), ("192.0.2.", false)] {
            assert_eq!(rows.iter().any(|r| r["address"].as_str().unwrap().starts_with(word)), wanted, "{word}");
        }
        assert!(rows.iter().any(|r| r["from"] == "node:node-01" && r["to"] == "shop/db"), "nodes probe too");
        assert!(watertight(&["lab", "down"]).status.success());
        assert_eq!(left(), "", "{topology}");
        assert!(!Path::new("/run/watertight/lab").exists());
    }
}

#[test]
fn what_a_policy_denies_and_nobody_enforces_is_a_mismatch_with_its_rule() {
    let Some(lab) = Lab::new() else { return };
    let folder = folder(&format!(
        "---
{}",
        deny("db-in", "{matchLabels: {app: db}}")
    ));
    lab.up(folder.path(), &[]);
    let (code, data) = probe();
    assert_eq!(code, 1, "{data}");
    let open: Vec<&Value> = data["rows"].as_array().unwrap().iter().filter(|r| r["match"] == "too-open").collect();
    assert!(open.iter().all(|r| r["to"] == "shop/db"), "{data}");
    assert!(
        open.iter().any(|r| r["from"] == "shop/web" && r["reason"].as_str().unwrap().contains("shop/db-in")),
        "{data}"
    );
    assert!(!open.iter().any(|r| r["from"] == "shop/db"), "a pod always reaches itself");
    assert_eq!(data["tooClosed"], 0, "{data}");
}

#[test]
fn policies_are_put_and_taken_away_whole() {
    let Some(lab) = Lab::new() else { return };
    let policies = tempfile::tempdir().unwrap();
    let file = policies.path().join("deny.yaml");
    let deny = deny("all", "{}");
    std::fs::write(&file, &deny).unwrap();
    lab.up(folder("").path(), &[]);
    let apply = |more: &[&str]| watertight(&[&["lab", "apply"], more].concat());
    let policies_now = || {
        let out = watertight(&["lab", "status", "-o", "json"]);
        serde_json::from_slice::<Value>(&out.stdout).unwrap()["policies"].clone()
    };
    let file = file.to_str().unwrap();
    assert_eq!(apply(&["-f", file]).status.code(), Some(0));
    assert_eq!(policies_now(), 1);
    assert_eq!(apply(&["-f", file]).status.code(), Some(0), "the same again changes nothing");
    assert_eq!(policies_now(), 1);
    std::fs::write(file, deny.replace("podSelector", "podSelecter")).unwrap();
    assert_eq!(apply(&["-f", file]).status.code(), Some(2), "what is not understood is not put");
    assert_eq!(policies_now(), 1);
    assert_eq!(apply(&["--none"]).status.code(), Some(0));
    assert_eq!(policies_now(), 0);
    assert_eq!(apply(&[]).status.code(), Some(2));
}

#[test]
fn names_are_looked_up_and_services_lead_to_pods() {
    let Some(lab) = Lab::new() else { return };
    lab.up(folder("").path(), &[]);
    let exec = |script: &str| {
        let out = watertight(&["lab", "exec", "shop/web", "--", "bash", "-c", script]);
        (out.status.code(), String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let (code, address) = exec("getent ahostsv4 db.shop.svc.cluster.local | head -n1 | cut -d' ' -f1");
    assert_eq!((code, address.starts_with("10.96.")), (Some(0), true), "{address}");
    let (code, _) = exec("getent hosts nobody.shop.svc.cluster.local");
    assert_eq!(code, Some(1), "what is not there has no address");
    let (_, name) = exec("exec 3<>/dev/tcp/db/80 && head -n1 <&3");
    assert_eq!(name, "shop/db", "by its short name, through the Service, on the pod's own port");
}

#[test]
fn killed_in_the_middle_it_is_removed_whole() {
    let Some(_lab) = Lab::new() else { return };
    let folder = folder("");
    for pause in [5, 30, 80, 150, 400] {
        let mut up = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(["lab", "up", "-f", folder.path().to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        // It may have finished: then a whole lab is removed.
        let _ = up.kill();
        up.wait().unwrap();
        let down = watertight(&["lab", "down"]);
        assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
        assert_eq!(left(), "", "after {pause} ms");
        assert!(!Path::new("/run/watertight/lab").exists());
    }
}

#[test]
fn there_is_one_lab_at_a_time_and_without_one_that_is_said() {
    let Some(lab) = Lab::new() else { return };
    let none = watertight(&["lab", "probe"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no lab is up"));
    let folder = folder("");
    lab.up(folder.path(), &[]);
    let again = watertight(&["lab", "up", "-f", folder.path().to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("a lab is up already"));
    assert_eq!(watertight(&["lab", "status"]).status.code(), Some(0), "and the one that was there still answers");
}

#[test]
fn its_page_says_what_happens() {
    let Some(_lab) = Lab::new() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let page = root.join("docs/commands/lab.md");
    let scratch = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("docs"), scratch.path().join("docs")).unwrap();
    let (actual, count) =
        transcript::execute("docs/commands/lab.md", &std::fs::read_to_string(&page).unwrap(), scratch.path());
    assert!(count >= 4, "{count}");
    Assert::new()
        .action_env("SNAPSHOTS")
        .redact_with(snapbox::Redactions::new())
        .eq(actual, Data::read_from(&page, None).raw());
}
