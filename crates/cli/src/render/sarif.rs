//! SARIF 2.1.0, within what GitHub takes (docs.github.com, "SARIF support for code scanning"): 25,000 results per run, of which
//! 5,000 are shown, and 10 MB when packed. The worst come first, and what is left out is counted in the log itself.
//!
//! GitHub reads neither `suppressions` nor `baselineState`: drop such results before an upload (`docs/ci.md`).

use super::results::{Item, Level, Outcome, Results, Rule, Span};
use crate::text::clean;
use serde_json::{Value, json};

/// Results per run that GitHub takes.
const MOST: usize = 25_000;
/// Characters of one message; with this, [`MOST`] results stay below 10 MB when packed.
const LONGEST: usize = 500;
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log.
pub fn log(results: &Results) -> Value {
    log_of(results, MOST)
}

pub(super) fn log_of(results: &Results, most: usize) -> Value {
    let described: Vec<Value> = results.rules.iter().map(rule).collect();
    let driver = json!({
        "name": "watertight",
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": described,
    });
    let mut invocation = json!({"executionSuccessful": results.failed.is_none()});
    let mut notes: Vec<Value> = Vec::new();
    let mut shown: Vec<Value> = Vec::new();
    if let Some(code) = results.failed {
        invocation["exitCode"] = code.into();
        notes.extend(results.items.iter().map(notification));
    } else {
        // A passed assertion is not a finding; other formats have it.
        let reported: Vec<&Item> = results.items.iter().filter(|i| i.outcome != Outcome::Pass).collect();
        shown.extend(reported.iter().take(most).map(|item| result(item, results)));
        if let Some(left) = reported.len().checked_sub(most).filter(|left| *left > 0) {
            let text = format!("{left} results beyond the first {most} are left out: GitHub takes no more in one run");
            notes
                .push(json!({"level": "warning", "descriptor": {"id": "results-left-out"}, "message": {"text": text}}));
        }
    }
    if !notes.is_empty() {
        invocation["toolExecutionNotifications"] = notes.into();
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver},
            "automationDetails": {"id": format!("{}/", results.name("/"))},
            "columnKind": "unicodeCodePoints",
            "invocations": [invocation],
            "results": shown,
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.page, "markdown": rule.page},
        "helpUri": format!("{}/blob/main/docs/lints.md#{}-{}", env!("CARGO_PKG_REPOSITORY"), rule.code.to_lowercase(), rule.name),
        "defaultConfiguration": {"level": rule.level.name()},
        "properties": {"security-severity": score(rule.score), "tags": ["security", "kubernetes", "network-policy"]},
    })
}

fn score(score: f64) -> String {
    format!("{score:.1}")
}

fn result(item: &Item, results: &Results) -> Value {
    let mut out = json!({
        "ruleId": item.rule,
        "level": item.level.name(),
        "message": {"text": shortened(&item.sentence())},
        "properties": {"security-severity": score(item.score), "object": clean(&item.object)},
    });
    if let Some(index) = results.rules.iter().position(|r| r.code == item.rule) {
        out["ruleIndex"] = index.into();
    }
    if !item.fingerprint.is_empty() {
        // The second is the one that GitHub compares, and would else compute from the line's text and its neighbours.
        out["partialFingerprints"] = json!({
            "watertight/v1": item.fingerprint,
            "primaryLocationLineHash": format!("{}:1", item.fingerprint),
        });
    }
    // Without a place GitHub refuses the whole log: what stands in no file is shown at the start of the input.
    let place = match (&item.place, &results.fallback) {
        (Some(place), _) => Some(physical(place)),
        (None, Some(file)) => Some(json!({"artifactLocation": {"uri": uri(file)}})),
        (None, None) => None,
    };
    let mut location = json!({});
    if let Some(place) = place {
        location["physicalLocation"] = place;
    }
    if !item.object.is_empty() {
        location["logicalLocations"] = json!([{"fullyQualifiedName": clean(&item.object)}]);
    }
    out["locations"] = json!([location]);
    match &item.outcome {
        Outcome::Suppressed(reason) => {
            out["suppressions"] = json!([{"kind": "inSource", "status": "accepted", "justification": clean(reason)}]);
        }
        Outcome::Baselined => out["baselineState"] = "unchanged".into(),
        Outcome::Fail if results.baseline => out["baselineState"] = "new".into(),
        Outcome::Pass | Outcome::Fail | Outcome::Error => {}
    }
    out
}

/// An error of a run without an answer.
fn notification(item: &Item) -> Value {
    let level = if item.level == Level::Note { Level::Warning } else { item.level };
    let mut note =
        json!({"level": level.name(), "message": {"text": shortened(&item.message)}, "descriptor": {"id": item.rule}});
    if let Some(place) = &item.place {
        note["locations"] = json!([{"physicalLocation": physical(place)}]);
    }
    note
}

fn physical(place: &Span) -> Value {
    let mut out = json!({"artifactLocation": {"uri": uri(&place.file)}});
    if place.is_file() {
        out["region"] = json!({
            "startLine": place.line,
            "startColumn": place.column.max(1),
            "endLine": place.end_line.max(place.line),
            "endColumn": place.end_column.max(1),
        });
    }
    out
}

fn shortened(text: &str) -> String {
    let text = clean(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// A path as a URI reference: relative, or `file:` if it is absolute.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let keep = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'/');
    let escaped: String =
        path.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    if path.starts_with('/') { format!("file://{escaped}") } else { escaped }
}
