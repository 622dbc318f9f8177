//! Every format of every command: the exact output, the same exit code, and the same findings whatever the format.

use crate::common::{root, watertight};
use snapbox::data::DataFormat;
use snapbox::{Assert, Data};

/// Command, name of its golden files, expected exit code, formats.
const RUNS: &[(&str, &str, u8, &[&str])] = &[
    ("connections -f docs/examples/shop", "connections", 0, &["table", "json", "yaml", "markdown", "csv", "dot"]),
    ("connections --pods -f docs/examples/shop", "connections-pods", 0, &["table", "json"]),
    (
        "connections --exposure -f docs/examples/shop",
        "exposure",
        0,
        &["table", "json", "yaml", "markdown", "html", "csv"],
    ),
    ("connections --exposure -f docs/examples/unclear.yaml", "unclear-exposure", 0, &["table", "json"]),
    ("query -f docs/examples/shop shop/web shop/db --port 5432", "query", 0, &["table", "json", "yaml", "markdown"]),
    (
        "explain -f docs/examples/shop shop/api shop/db --port 5433/TCP",
        "explain",
        0,
        &["table", "json", "yaml", "markdown"],
    ),
    ("blast -f docs/examples/shop shop/web", "blast", 0, &["table", "json", "yaml", "markdown", "csv", "dot"]),
    ("blast -f docs/examples/shop --rank", "blast-rank", 0, &["table", "json", "yaml", "markdown", "csv"]),
    (
        "diff docs/examples/path/after.yaml docs/examples/path/before.yaml",
        "diff",
        1,
        &["table", "json", "yaml", "markdown", "csv"],
    ),
    (
        "test docs/examples/assertions -f docs/examples/path/before.yaml",
        "test",
        1,
        &["table", "json", "yaml", "markdown", "csv", "tap", "junit", "github"],
    ),
    ("connections -f docs/examples/unclear.yaml", "unclear", 0, &["table", "json", "csv", "dot"]),
    ("query -f docs/examples/unclear.yaml a/client a/db --port 5432", "unclear-query", 0, &["table", "json"]),
    ("flows show --flows docs/examples/shop-flows.jsonl", "flows", 0, &["table", "json", "yaml", "markdown", "csv"]),
    (
        "learn -f docs/examples/shop --flows docs/examples/shop-flows.jsonl",
        "learn",
        0,
        &["table", "json", "yaml", "markdown"],
    ),
    (
        "replay -f docs/examples/shop --policies docs/examples/lockdown.yaml --flows docs/examples/shop-flows.jsonl",
        "replay",
        1,
        &["table", "json", "yaml", "markdown", "csv"],
    ),
    ("version", "version", 0, &["table", "json"]),
    (
        "audit -f docs/examples/broken.yaml",
        "broken",
        2,
        &["table", "json", "yaml", "sarif", "github", "junit", "openreports"],
    ),
    (
        "audit -f docs/examples/shop",
        "audit",
        1,
        // Not SARIF: it holds the whole catalogue; `findings` looks into it.
        &["table", "json", "yaml", "markdown", "html", "csv", "github", "junit", "openreports"],
    ),
    ("explain WT0046", "explain-code", 0, &["table", "json", "yaml", "markdown", "html"]),
    ("query -f docs/examples/shop shop/web shop/db --port 5432", "query", 0, &["html"]),
    ("connections -f docs/examples/edge.yaml", "edge", 0, &["table", "json", "markdown"]),
];

#[test]
fn golden() {
    let assert = Assert::new().action_env("SNAPSHOTS");
    for (command, name, code, formats) in RUNS {
        for format in *formats {
            let run = watertight(&format!("{command} -o {format}"));
            assert_eq!(run.code, *code, "{command} -o {format}: {}", run.stderr);
            let path = root().join(format!("crates/cli/tests/golden/{name}.{format}.txt"));
            let actual = format!("{}--- standard error\n{}", run.stdout, run.stderr);
            assert.eq(actual, Data::read_from(&path, Some(DataFormat::Text)).raw());
        }
    }
}

#[test]
fn the_same_bytes_again() {
    for (command, _, _, formats) in RUNS {
        for format in *formats {
            let command = format!("{command} -o {format}");
            assert_eq!(watertight(&command).stdout, watertight(&command).stdout, "{command}");
        }
    }
}

#[test]
fn every_format_has_the_same_connections() {
    for files in ["docs/examples/shop", "docs/examples/unclear.yaml", "examples/demo"] {
        let run = |format: &str| watertight(&format!("connections -q -f {files} -o {format}")).stdout;
        let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
        let entries = json["connections"].as_array().unwrap().len() + json["depends"].as_array().unwrap().len();
        assert!(entries > 0, "{files}");
        let table_rows = |text: &str| text.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| FROM")).count();
        let markdown = run("markdown");
        let pairs = markdown.split("\n### In from outside").next().unwrap();
        assert_eq!(table_rows(pairs), entries, "{files}");
        let pairs: std::collections::BTreeSet<String> =
            run("csv").lines().skip(1).map(|l| l.split(',').take(8).collect::<Vec<_>>().join(",")).collect();
        assert_eq!(pairs.len(), entries, "{files}");
        let arrows = run("dot")
            .lines()
            .filter(|l| l.contains(" -> "))
            .map(|l| l.split(" [").next().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(arrows.len(), entries, "{files}");
        let yaml = run("yaml").lines().filter(|l| l.starts_with("- from:")).count();
        assert_eq!(yaml, entries, "{files}");
    }
}

#[test]
fn a_format_that_is_not_there_is_refused_by_name() {
    let run = watertight("connections -f docs/examples/shop -o sarif");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("table|json|yaml|markdown|html|csv|dot"), "{}", run.stderr);
}
