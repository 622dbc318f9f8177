//! The published schema of the JSON, against everything that the other tests print, and against what it must refuse.

use crate::common::{root, watertight};
use serde_json::Value;
use std::collections::BTreeSet;

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("docs/schema/v1.json")).unwrap()).unwrap()
}

fn faults(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// A document of another test is as published.
pub(crate) fn assert_valid(document: &Value) {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let faults = faults(&validator, document);
    assert!(faults.is_empty(), "{faults:#?}: {document}");
}

/// Every `-o json` golden file and every JSON transcript of the documentation.
fn documents() -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(root().join("crates/cli/tests/golden")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".json.txt") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let data = text.split("--- standard error").next().unwrap();
            out.push((name, serde_json::from_str(data).unwrap()));
        }
    }
    for command in [
        "audit -f examples/demo",
        "audit -f docs/examples/shop -n shop",
        "audit -f docs/examples/unclear.yaml",
        "connections -f docs/examples/edge.yaml",
        "query -f docs/examples/unclear.yaml a/client a/db --port 5432",
        "explain WT0051",
        "watch -f docs/examples/shop --changes 0",
        "audit -f no/such/file",
        "audit --frob",
    ] {
        out.push((
            command.to_owned(),
            serde_json::from_str(&watertight(&format!("{command} -q -o json")).stdout).unwrap(),
        ));
    }
    out
}

#[test]
fn everything_that_is_printed_is_valid() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut kinds = BTreeSet::new();
    for (name, document) in documents() {
        let faults = faults(&validator, &document);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        kinds.insert(document["kind"].as_str().unwrap().to_owned());
    }
    assert!(kinds.len() >= 12, "{kinds:?}");
}

#[test]
fn what_lacks_a_key_or_has_a_wrong_one_is_not() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let (_, audit) = documents().into_iter().find(|(name, _)| name == "audit.json.txt").unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = audit.clone();
        change(&mut document);
        faults(&validator, &document)
    };
    assert!(changed(&|_| {}).is_empty());
    assert!(!changed(&|d| d["kind"] = "Adit".into()).is_empty());
    assert!(!changed(&|d| d["findings"][0]["severity"] = "critical".into()).is_empty());
    assert!(!changed(&|d| d["findings"][0]["line"] = "9".into()).is_empty());
    assert!(!changed(&|d| drop(d["findings"][0].as_object_mut().unwrap().remove("fingerprint"))).is_empty());
    assert!(!changed(&|d| drop(d.as_object_mut().unwrap().remove("certainty"))).is_empty());
    // New keys may come.
    assert!(changed(&|d| d["new"] = 1.into()).is_empty());
}
