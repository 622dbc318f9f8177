//! SARIF 2.1.0, within GitHub's limits: at most 5,000 results are shown there, so the worst come first.

use crate::diagnostics::ErrorView;
use crate::text::clean;
use serde::Serialize;
use serde_json::{Value, json};

/// A log of one run.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Log(Value);

/// A rule of the catalogue.
pub struct Rule<'a> {
    /// `WT0001`.
    pub code: &'a str,
    /// Kebab-case name.
    pub name: &'a str,
    /// One line.
    pub summary: &'a str,
    /// Markdown.
    pub page: &'a str,
    /// `error`, `warning` or `note`.
    pub level: &'a str,
    /// 0 to 10.
    pub score: f64,
}

/// A result.
pub struct Finding<'a> {
    /// The rule's code.
    pub rule: &'a str,
    /// `error`, `warning` or `note`.
    pub level: &'a str,
    /// 0 to 10.
    pub score: f64,
    /// One line.
    pub message: String,
    /// What it is about.
    pub object: &'a str,
    /// File, line, column, end line, end column.
    pub place: Option<(String, [u32; 4])>,
}

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

impl Log {
    /// A log of findings.
    pub fn of(rules: &[Rule<'_>], findings: &[Finding<'_>]) -> Self {
        let described: Vec<Value> = rules
            .iter()
            .map(|rule| {
                json!({
                    "id": rule.code,
                    "name": rule.name,
                    "shortDescription": {"text": rule.summary},
                    "help": {"text": rule.page, "markdown": rule.page},
                    "defaultConfiguration": {"level": rule.level},
                    "properties": {"security-severity": format!("{:.1}", rule.score), "tags": ["security"]},
                })
            })
            .collect();
        let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        let results: Vec<Value> = findings
            .iter()
            .map(|finding| {
                // What identifies a finding from run to run: its rule and object, not its line.
                let print = format!("{}:{}", finding.rule, finding.object);
                let repeat = seen.entry(print.clone()).or_default();
                *repeat += 1;
                let mut result = json!({
                    "ruleId": finding.rule,
                    "ruleIndex": rules.iter().position(|r| r.code == finding.rule),
                    "level": finding.level,
                    "message": {"text": clean(&finding.message)},
                    "partialFingerprints": {"watertight/v1": format!("{print}:{repeat}")},
                    "properties": {"security-severity": format!("{:.1}", finding.score), "object": finding.object},
                });
                if let Some((file, [line, column, end_line, end_column])) = &finding.place {
                    let region = json!({"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column});
                    let mut place = json!({"artifactLocation": {"uri": uri(file)}});
                    if *line > 0 {
                        place["region"] = region;
                    }
                    result["locations"] = json!([{"physicalLocation": place, "logicalLocations": [{"fullyQualifiedName": finding.object}]}]);
                }
                result
            })
            .collect();
        let driver = driver(described);
        Self(json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "invocations": [{"executionSuccessful": true}], "results": results}],
        }))
    }

    /// A log that says that there was no answer, and why.
    pub fn failed(error: &ErrorView) -> Self {
        let notes: Vec<Value> = error
            .diagnostics
            .iter()
            .map(|d| {
                let mut note =
                    json!({"level": d.severity, "message": {"text": clean(&d.message)}, "descriptor": {"id": d.code}});
                if let Some(place) = &d.place {
                    note["locations"] = json!([{"physicalLocation": {"artifactLocation": {"uri": uri(&place.file)},
                        "region": {"startLine": place.line.max(1), "startColumn": place.column.max(1)}}}]);
                }
                note
            })
            .collect();
        Self(json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver(Vec::new())}, "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": false, "exitCode": error.exit_code, "toolExecutionNotifications": notes}], "results": []}],
        }))
    }
}

fn driver(rules: Vec<Value>) -> Value {
    json!({
        "name": "watertight",
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": rules,
    })
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let keep = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'/');
    path.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
