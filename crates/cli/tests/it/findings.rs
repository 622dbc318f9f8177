//! The same findings, at the same places, and the same exit code in every format; and what each format's readers demand of it.

use crate::common::{watertight, watertight_with};
use serde_json::Value;

/// A finding as every format tells it: rule, object, `file:line:column` (or nothing).
type Told = (String, String, String);

const FORMATS: &[&str] =
    &["table", "json", "yaml", "markdown", "html", "csv", "sarif", "github", "junit", "openreports"];

/// A cluster whose names and annotations would end a line, a tag or a cell somewhere, with suppressed findings.
const HOSTILE: &str = "apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: sandbox, annotations: {watertight.dev/ignore: \"WT0046=a <b>sandbox</b>, 100% \\\"safe\\\"\"}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: toy, namespace: sandbox, labels: {app: toy}}
spec: {containers: [{name: c, image: c}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lonely, namespace: shop, annotations: {watertight.dev/ignore: \"a\\nb<script>::error::%0A,|\"}}
spec: {podSelector: {matchLabels: {app: gone}}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
";

fn sorted(mut told: Vec<Told>) -> Vec<Told> {
    told.sort();
    told
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn place(file: &str, line: &str, column: &str) -> String {
    if file.is_empty() { String::new() } else { format!("{file}:{line}:{column}") }
}

/// The findings of an output.
fn told(format: &str, out: &str) -> Vec<Told> {
    sorted(match format {
        "json" => json(&serde_json::from_str(out).unwrap()),
        "yaml" => yaml(out),
        "csv" => csv(out),
        "sarif" => sarif(&serde_json::from_str(out).unwrap()),
        "openreports" => openreports(&serde_json::from_str(out).unwrap()),
        "junit" => junit(out),
        "github" => github(out),
        "html" => html(out),
        "markdown" => {
            let rows = out.lines().filter_map(|l| l.strip_prefix("| WT"));
            rows.map(|row| cells(&format!("WT{row}").replace(" |", "").replace('\\', ""))).collect()
        }
        _ => out.lines().filter(|l| l.starts_with("WT")).map(cells).collect(),
    })
}

/// `WT0046   warning    namespace dev: … (file:9:1)`.
fn cells(row: &str) -> Told {
    let mut words = row.split_whitespace();
    let rule = words.next().unwrap().to_owned();
    words.next().unwrap();
    let rest = words.collect::<Vec<_>>().join(" ");
    let object = rest.split(": ").next().unwrap().trim_start_matches("| ").to_owned();
    let place = rest.trim_end_matches(" |").strip_suffix(')').and_then(|r| r.rsplit_once(" (")).map(|(_, p)| p);
    let is_place = |p: &&str| p.rsplit(':').next().is_some_and(|column| column.parse::<u32>().is_ok());
    (rule.trim_start_matches("| ").to_owned(), object, place.filter(is_place).unwrap_or_default().to_owned())
}

fn named(kind: &str, object: &str) -> String {
    if kind.is_empty() || kind == "null" { object.to_owned() } else { format!("{kind} {object}") }
}

fn json(value: &Value) -> Vec<Told> {
    let findings = value["findings"].as_array().unwrap().iter();
    findings
        .map(|f| {
            let [rule, kind, object, file, line, column] =
                ["rule", "objectKind", "object", "file", "line", "column"].map(|key| text(&f[key]));
            (rule, named(&kind, &object), place(&file, &line, &column))
        })
        .collect()
}

fn yaml(out: &str) -> Vec<Told> {
    let findings = out.split("\nfindings:\n").nth(1).unwrap().split("\nsuppressed:").next().unwrap();
    let blocks = format!("\n{findings}");
    blocks
        .split("\n- rule: ")
        .skip(1)
        .map(|block| {
            let get = |key: &str| {
                let found = block.lines().find_map(|l| l.strip_prefix(&format!("  {key}: ")));
                found.filter(|v| *v != "null").unwrap_or_default().trim_matches('"').to_owned()
            };
            let rule = block.lines().next().unwrap().to_owned();
            (rule, named(&get("objectKind"), &get("object")), place(&get("file"), &get("line"), &get("column")))
        })
        .collect()
}

fn csv(out: &str) -> Vec<Told> {
    out.lines()
        .skip(1)
        .map(|line| {
            let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
            for c in line.chars() {
                match c {
                    '"' => quoted = !quoted,
                    ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                    c => cell.push(c),
                }
            }
            // A cell that a spreadsheet would take for a formula has a mark before it.
            let file = cells[4].strip_prefix('\'').unwrap_or(&cells[4]);
            (cells[0].clone(), cells[3].clone(), place(file, &cells[5], &cells[6]))
        })
        .collect()
}

fn sarif(log: &Value) -> Vec<Told> {
    let results = log["runs"][0]["results"].as_array().unwrap().iter();
    results
        .filter(|r| r["suppressions"].is_null() && r["baselineState"] != "unchanged")
        .map(|r| {
            let at = &r["locations"][0]["physicalLocation"];
            let uri = text(&at["artifactLocation"]["uri"]).replace("%3C", "<").replace("%3E", ">");
            let region = &at["region"];
            let place = if region.is_null() {
                String::new()
            } else {
                place(&uri, &text(&region["startLine"]), &text(&region["startColumn"]))
            };
            (text(&r["ruleId"]), text(&r["properties"]["object"]), place)
        })
        .collect()
}

fn openreports(list: &Value) -> Vec<Told> {
    let results = list["items"].as_array().unwrap().iter().flat_map(|r| r["results"].as_array().unwrap());
    results
        .filter(|r| matches!(text(&r["result"]).as_str(), "fail" | "warn"))
        .map(|r| {
            let [object, file, line, column] =
                ["object", "file", "line", "column"].map(|key| text(&r["properties"][key]));
            (text(&r["policy"]), object, place(&file, &line, &column))
        })
        .collect()
}

fn junit(out: &str) -> Vec<Told> {
    let xml = roxmltree::Document::parse(out).unwrap();
    let failures = xml.descendants().filter(|n| n.has_tag_name("failure"));
    failures
        .map(|failure| {
            let case = failure.parent().unwrap();
            let class = case.attribute("classname").unwrap();
            let name = case.attribute("name").unwrap().trim_end_matches(|c: char| c == ')' || c.is_ascii_digit());
            let object = name.strip_suffix(" (").unwrap_or(case.attribute("name").unwrap()).to_owned();
            let first = failure.text().unwrap().lines().next().unwrap().to_owned();
            let place = if case.attribute("file").is_some() { first } else { String::new() };
            (class.split(' ').next().unwrap().to_owned(), object, place)
        })
        .collect()
}

/// Annotations leave the column out where it is not on the line of the end.
fn github(out: &str) -> Vec<Told> {
    let commands = out.lines().filter_map(|l| l.strip_prefix("::"));
    commands
        .map(|command| {
            let (head, message) = command.split_once("::").unwrap();
            let properties = head.split_once(' ').unwrap().1.split(',').map(|p| p.split_once('=').unwrap());
            let get = |key: &str| properties.clone().find(|(k, _)| *k == key).map(|(_, v)| v).unwrap_or_default();
            let rule = get("title").split(' ').next().unwrap().to_owned();
            (rule, message.split(": ").next().unwrap().to_owned(), place(get("file"), get("line"), get("col")))
        })
        .collect()
}

/// The headings of the report, and the place above the lines that follow each.
fn html(out: &str) -> Vec<Told> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(out, options).unwrap();
    let headings = document.descendants().filter(|n| n.has_tag_name("h2"));
    let all = |node: roxmltree::Node<'_, '_>| {
        node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect::<String>()
    };
    headings
        .map(|heading| {
            let title = all(heading);
            let mut words = title.splitn(3, ' ');
            let rule = words.nth(1).unwrap().to_owned();
            let object = words.next().unwrap().split_once(": ").unwrap().1.to_owned();
            let excerpt = heading.next_siblings().skip(1).take_while(|n| !n.has_tag_name("h2"));
            let mut excerpt = excerpt.filter(|n| n.attribute("aria-label") == Some("Lines of the input"));
            let at = excerpt.next().map(all).unwrap_or_default();
            let place = at.lines().find_map(|l| l.trim_start().strip_prefix("--> ")).unwrap_or_default().to_owned();
            (rule, object, place)
        })
        .collect()
}

#[test]
fn every_format_tells_the_same_findings_and_ends_alike() {
    let inputs = [
        ("-f docs/examples/shop", ""),
        ("-f examples/demo", ""),
        ("-f docs/examples/unclear.yaml", ""),
        ("-f -", HOSTILE),
    ];
    for (input, stdin) in inputs {
        for level in ["note", "warning", "error", "never"] {
            let run = |format: &str| watertight_with(&format!("audit -q {input} --fail-on {level} -o {format}"), stdin);
            let first = run("json");
            let expected = told("json", &first.stdout);
            assert!(!expected.is_empty(), "{input}");
            for format in FORMATS {
                let run = run(format);
                assert_eq!(run.code, first.code, "{input} --fail-on {level} -o {format}");
                let mut expected = expected.clone();
                let mut found = told(format, &run.stdout);
                if *format == "github" {
                    // Only where there is a column.
                    for (a, b) in found.iter().zip(&mut expected) {
                        if a.2.ends_with(':') {
                            b.2.truncate(b.2.rfind(':').unwrap() + 1);
                        }
                    }
                    found = sorted(found);
                    expected = sorted(expected);
                }
                assert_eq!(found, expected, "{input} -o {format}\n{}", run.stdout);
            }
        }
    }
}

#[test]
fn what_is_accepted_is_told_as_accepted() {
    let sarif: Value = serde_json::from_str(&watertight_with("audit -q -f - -o sarif", HOSTILE).stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let suppressed: Vec<&Value> = results.iter().filter(|r| !r["suppressions"].is_null()).collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["suppressions"][0]["justification"], "a <b>sandbox</b>, 100% \"safe\"");
    assert_eq!(suppressed[0]["suppressions"][0]["kind"], "inSource");
    assert!(results.iter().all(|r| r["baselineState"].is_null()));
    let junit = watertight_with("audit -q -f - -o junit", HOSTILE).stdout;
    let xml = roxmltree::Document::parse(&junit).unwrap();
    let skipped = xml.descendants().find(|n| n.has_tag_name("skipped")).unwrap();
    assert_eq!(skipped.attribute("message"), Some("suppressed: a <b>sandbox</b>, 100% \"safe\""));
    let reports: Value =
        serde_json::from_str(&watertight_with("audit -q -f - -o openreports", HOSTILE).stdout).unwrap();
    let sandbox =
        reports["items"].as_array().unwrap().iter().find(|r| r["metadata"]["namespace"] == "sandbox").unwrap();
    assert_eq!(sandbox["summary"]["skip"], 1);
    assert_eq!((&sandbox["kind"], &sandbox["apiVersion"]), (&"Report".into(), &"openreports.io/v1alpha1".into()));
    assert_eq!(reports["items"][0]["kind"], "ClusterReport");
}

#[test]
fn a_baseline_gives_every_result_its_state_and_no_other_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline");
    let prints = |args: &str| -> Vec<(String, Value)> {
        let log: Value = serde_json::from_str(&watertight(args).stdout).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        let mut out: Vec<(String, Value)> = results
            .iter()
            .map(|r| (text(&r["partialFingerprints"]["primaryLocationLineHash"]), r["baselineState"].clone()))
            .collect();
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    };
    let plain = prints("audit -q -f examples/demo -o sarif");
    watertight(&format!("audit -q -f examples/demo --write-baseline {}", file.display()));
    // One line less: that finding is new.
    let whole = std::fs::read_to_string(&file).unwrap();
    let last = whole.trim_end().rfind('\n').unwrap();
    std::fs::write(&file, &whole[..last]).unwrap();
    let against = prints(&format!("audit -q -f examples/demo --baseline {} -o sarif", file.display()));
    let only = |list: &[(String, Value)]| list.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>();
    assert_eq!(only(&plain), only(&against));
    assert!(plain.iter().all(|(_, state)| state.is_null()));
    assert_eq!(against.iter().filter(|(_, state)| state == "new").count(), 1);
    assert_eq!(against.iter().filter(|(_, state)| state == "unchanged").count(), plain.len() - 1);
}

#[test]
fn no_answer_is_an_error_in_every_format() {
    for format in FORMATS {
        let run = watertight(&format!("audit -f docs/examples/broken.yaml -o {format}"));
        assert_eq!(run.code, 2, "-o {format}");
        let out = run.stdout;
        match *format {
            "sarif" => assert!(out.contains("\"executionSuccessful\": false"), "{out}"),
            "github" => assert_eq!(out.lines().filter(|l| l.starts_with("::error ")).count(), 4, "{out}"),
            "junit" => {
                let xml = roxmltree::Document::parse(&out).unwrap();
                assert_eq!(xml.descendants().filter(|n| n.has_tag_name("error")).count(), 4);
                assert_eq!(xml.root_element().attribute("errors"), Some("4"));
            }
            "openreports" => {
                let list: Value = serde_json::from_str(&out).unwrap();
                let errors = list["items"].as_array().unwrap().iter().map(|r| r["summary"]["error"].as_u64().unwrap());
                assert_eq!(errors.sum::<u64>(), 4, "{out}");
            }
            "json" | "yaml" => assert!(out.contains("WT0004"), "{out}"),
            _ => assert_eq!(out, "", "-o {format}"),
        }
    }
}

#[test]
fn a_hostile_name_stays_text() {
    let html = watertight_with("audit -q -f - -o html", HOSTILE).stdout;
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    let github = watertight_with("audit -q -f - -o github", HOSTILE).stdout;
    assert!(
        github.lines().all(|l| l.starts_with("::warning ") || l.starts_with("::error ") || l.starts_with("::notice "))
    );
    assert!(github.contains("%250A"), "{github}");
}
