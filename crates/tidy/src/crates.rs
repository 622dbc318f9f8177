//! Who may use whom. The table in ARCHITECTURE.md ("Code map", column "uses") is what is checked: it must say what the
//! manifests say. The rules that an edit of the table must not soften are here.

use crate::tree::{files, report, root};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crates with one meaning and no surroundings: the same input gives the same output, at any time and anywhere.
const PURE: [&str; 5] = ["audit", "engine", "learn", "model", "oracle"];

/// What a pure crate must not name, outside its tests.
const IMPURE: [&str; 11] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::time",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
];

/// What is pure all the same: crate, word, reason.
const PURE_ENOUGH: [(&str, &str, &str); 1] =
    [("engine", "std::thread", "reachability runs on two scoped threads; its result does not depend on how many")];

/// The only crates that may use an async runtime, HTTP, TLS or Kubernetes' own types.
const NETWORKED: [&str; 3] = ["cli", "cluster", "lab"];
const NETWORK: [&str; 12] = [
    "async-trait",
    "futures",
    "http",
    "http-body-util",
    "hyper",
    "k8s-openapi",
    "kube",
    "rcgen",
    "reqwest",
    "rustls",
    "tokio",
    "tower",
];

/// Crates that are for tests only: nobody may use them but in `[dev-dependencies]`.
const FOR_TESTS: [&str; 2] = ["testkit", "tidy"];

/// What a crate uses: of ours by short name, of others by package name.
#[derive(Default)]
struct Uses {
    ours: BTreeSet<String>,
    others: BTreeSet<String>,
    /// Of ours, in `[dev-dependencies]`.
    dev: BTreeSet<String>,
}

fn short(package: &str) -> Option<String> {
    package.strip_prefix("watertight-").map(str::to_owned)
}

/// Every crate of the workspace, by short name.
fn crates() -> BTreeMap<String, Uses> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut out = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let mut uses = Uses::default();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let for_tests = dependency["kind"].as_str() == Some("dev");
            match short(name) {
                Some(ours) if for_tests => uses.dev.insert(ours),
                Some(ours) => uses.ours.insert(ours),
                None if for_tests => false,
                None => uses.others.insert(name.to_owned()),
            };
        }
        out.insert(short(package["name"].as_str().unwrap()).unwrap(), uses);
    }
    assert!(out.len() >= 10, "{:?}", out.keys());
    out
}

/// The code map of ARCHITECTURE.md: crate and what its row says it uses. A row begins "| `crates/NAME` |"; the column
/// "uses" is the one so headed.
fn code_map() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    let mut column = None;
    let mut out = BTreeMap::new();
    for line in text.lines().filter(|l| l.starts_with('|')) {
        let row = cells(line);
        if let Some(at) = row.iter().position(|c| c == "uses") {
            column = Some(at);
        }
        let Some(name) = row[0].strip_prefix("`crates/").and_then(|r| r.split('`').next()) else { continue };
        let uses =
            row[column.expect("a column headed `uses`")].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(out.insert(name.to_owned(), uses).is_none(), "two rows for crates/{name}");
    }
    out
}

#[test]
fn the_code_map_says_what_the_manifests_say() {
    let map = code_map();
    let crates = crates();
    let mut complaints = Vec::new();
    for (name, uses) in &crates {
        match map.get(name) {
            None => complaints.push(format!("crates/{name} has no row in the code map of ARCHITECTURE.md")),
            Some(said) if *said != uses.ours => {
                complaints.push(format!("crates/{name} uses {:?}, and ARCHITECTURE.md says {said:?}", uses.ours));
            }
            Some(_) => {}
        }
    }
    complaints.extend(
        map.keys()
            .filter(|n| !crates.contains_key(*n))
            .map(|n| format!("ARCHITECTURE.md lists crates/{n}: it is gone")),
    );
    report("code map", &complaints);
}

#[test]
fn meaning_depends_on_nothing_but_the_words() {
    let crates = crates();
    let ours = |name: &str| crates[name].ours.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(ours("model"), [""; 0]);
    assert_eq!(ours("engine"), ["model"]);
    assert_eq!(ours("oracle"), ["model"], "the oracle shares no code with the engine");
    assert_eq!(ours("audit"), ["engine", "model"]);
    assert_eq!(ours("learn"), ["engine", "flows", "model", "oracle"]);
    assert_eq!(ours("ingest"), ["model"]);
    assert_eq!(ours("flows"), ["model"]);
}

#[test]
fn nobody_uses_the_program_and_only_tests_use_test_crates() {
    let mut complaints = Vec::new();
    for (name, uses) in crates() {
        if uses.ours.contains("cli") || uses.dev.contains("cli") {
            complaints.push(format!("crates/{name} uses the program"));
        }
        for helper in FOR_TESTS.iter().filter(|h| uses.ours.contains(**h)) {
            complaints.push(format!("crates/{name} ships crates/{helper}: make it a dev-dependency"));
        }
    }
    report("direction", &complaints);
}

#[test]
fn only_the_edges_know_the_network() {
    let mut complaints = Vec::new();
    for (name, uses) in crates() {
        for package in NETWORK.iter().filter(|p| uses.others.contains(**p)) {
            if !NETWORKED.contains(&name.as_str()) {
                complaints.push(format!("crates/{name} uses {package}: only {NETWORKED:?} may"));
            }
        }
        let serde = ["serde", "serde_json"].iter().any(|s| uses.others.contains(*s));
        if serde && ["engine", "model", "oracle"].contains(&name.as_str()) {
            complaints.push(format!("crates/{name} uses serde: the words and their meaning have no wire form"));
        }
    }
    report("network", &complaints);
}

#[test]
fn pure_crates_name_no_clock_no_files_and_no_threads() {
    let mut complaints = Vec::new();
    for file in files() {
        let Some((name, rest)) = file.path.strip_prefix("crates/").and_then(|p| p.split_once("/src/")) else {
            continue;
        };
        if !PURE.contains(&name) || rest.contains("tests") || !file.is("rs") {
            continue;
        }
        let shipped = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in shipped.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in IMPURE.iter().filter(|w| code.contains(**w)) {
                if PURE_ENOUGH.iter().any(|(krate, excepted, _)| *krate == name && excepted == word) {
                    continue;
                }
                complaints.push(format!("{}:{}: `{word}`: pass it in from crates/cli", file.path, number + 1));
            }
        }
    }
    report("pure crates", &complaints);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut complaints = Vec::new();
    for name in crates().keys() {
        let path = format!("crates/{name}/Cargo.toml");
        let manifest = std::fs::read_to_string(root().join(&path)).unwrap();
        if path.ends_with("crates/datapath/Cargo.toml") {
            complaints
                .extend(missing_lints(&manifest).map(|lint| format!("{path}: `{lint}` of the workspace is missing")));
        } else if !manifest.contains("[lints]\nworkspace = true\n") {
            complaints.push(format!("{path}: add `[lints]` with `workspace = true`"));
        }
    }
    report("lints", &complaints);
}

/// The workspace's lints that a manifest with a list of its own lacks. Only `unsafe_code` may differ: the datapath calls the
/// kernel, so it denies where others forbid.
fn missing_lints(manifest: &str) -> impl Iterator<Item = String> {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = workspace.split("[workspace.lints.rust]").nth(1).unwrap().split("[profile").next().unwrap();
    let lints: Vec<String> = lints
        .lines()
        .filter(|l| l.contains(" = "))
        .map(|l| if l.starts_with("unsafe_code") { "unsafe_code = \"deny\"".to_owned() } else { l.to_owned() })
        .collect();
    assert!(lints.len() > 10, "{lints:?}");
    let manifest = manifest.to_owned();
    lints.into_iter().filter(move |l| !manifest.lines().any(|m| m == l))
}
