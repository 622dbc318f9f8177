//! Assertions on the command line: exit codes, formats, and input that means harm.

use crate::common::watertight;
use serde_json::Value;

const WORLD: &str = "-f docs/examples/path/before.yaml";
const GOOD: &str = "-f docs/examples/path/after.yaml";
const FILE: &str = "docs/examples/assertions/pay.yaml";

#[test]
fn exit_codes_are_the_same_in_every_format() {
    for format in ["table", "json", "yaml", "markdown", "html", "csv", "tap", "junit", "github", "sarif"] {
        assert_eq!(watertight(&format!("test {FILE} {WORLD} -o {format}")).code, 1, "{format}");
        assert_eq!(watertight(&format!("test {FILE} {GOOD} -o {format}")).code, 0, "{format}");
    }
    for (arguments, code) in [
        (format!("test docs/examples/assertions/slip.yaml {GOOD}"), 1),
        (format!("test docs/examples/path/after.yaml {GOOD}"), 2),
        (format!("test nothing.yaml {GOOD}"), 3),
        (format!("test {FILE} -f nothing.yaml"), 3),
        (format!("test {GOOD}"), 2),
        (format!("test {FILE} {GOOD} -o dot"), 2),
        (format!("test {FILE} {GOOD} --strict"), 0),
        (format!("test - {GOOD}"), 2),
    ] {
        let run = watertight(&arguments);
        assert_eq!(run.code, code, "{arguments}: {}", run.stderr);
    }
}

#[test]
fn a_failure_names_the_flow_the_rule_and_the_change() {
    let run = watertight(&format!("test {FILE} {WORLD} -o json"));
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((value["passed"].as_u64(), value["failed"].as_u64()), (Some(3), Some(1)));
    let failed = value["assertions"].as_array().unwrap().iter().find(|a| a["status"] == "fails").unwrap();
    assert_eq!((failed["why"].as_str(), failed["line"].as_u64()), (Some("allowed"), Some(14)));
    let witness = &failed["witness"];
    assert_eq!((witness["from"].as_str(), witness["at"].as_str()), (Some("lab/tool"), Some("TCP 8080")));
    let rule = &witness["ingress"]["decidedBy"][0];
    assert_eq!((rule["policy"].as_str(), rule["line"].as_u64()), (Some("pay/api-in"), Some(70)));
    let change = failed["changes"][0]["sentence"].as_str().unwrap();
    assert_eq!(change, "narrow pay/api-in rule 0 so that ingress is not admitted");
}

#[test]
fn faults_are_drawn_under_the_users_own_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    std::fs::write(
        &file,
        "apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n- from: pods\n  too: pods\n  reach: may\n",
    )
    .unwrap();
    let run = watertight(&format!("test {} {GOOD}", file.display()));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("a.yaml:5:3") && run.stderr.contains("did you mean `to`?"), "{}", run.stderr);
    assert!(run.stderr.contains("5 |   too: pods"), "{}", run.stderr);
}

#[test]
fn hostile_files_are_refused_or_answered() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file.display().to_string()
    };
    let binary: Vec<u8> = (0..=255).cycle().take(4096).collect();
    for (name, bytes) in
        [("binary.yaml", binary.as_slice()), ("empty.yaml", b""), ("open.yaml", b"[[[["), ("nul.yaml", b"a\0b")]
    {
        let run = watertight(&format!("test {} {GOOD}", put(name, bytes)));
        assert_eq!((run.code, run.stdout.is_empty()), (2, true), "{name}: {}", run.stderr);
    }
    let escape = "apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n- {name: \"x\\e[2J\\n::error::y\", from: {workload: pay/web}, to: {workload: pay/none}, reach: may}\n";
    let escape = put("escape.yaml", escape.as_bytes());
    for format in ["table", "markdown", "tap", "junit", "github", "csv"] {
        let run = watertight(&format!("test {escape} {GOOD} -o {format}"));
        assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains("\n::error::y"), "{format}: {}", run.stdout);
    }
}

/// A hundred thousand assertions are read and judged; a debug build takes seconds.
#[test]
fn a_hundred_thousand_assertions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.yaml");
    let mut text = "apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n".to_owned();
    for i in 0..100_000 {
        text += &format!(
            "- {{from: {{workload: pay/api}}, to: {{workload: pay/db}}, ports: [{}], reach: mustNot}}\n",
            i % 5000 + 1
        );
    }
    std::fs::write(&file, text).unwrap();
    let run = watertight(&format!("test {} {GOOD} -o csv", file.display()));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 100_001);
}
