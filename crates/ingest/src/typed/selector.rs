//! `metav1.LabelSelector`. Source: `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`.

use super::cx::{Cx, Path, quoted, shared, value};
use super::names::{label_key, label_value};
use crate::tree::Node;
use watertight_model::{Op, Requirement, Selector};

/// A selector that is there (`null` and absent are the caller's business).
pub fn selector(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Selector {
    let Some(entries) = cx.object(path, Some(node)) else { return Selector::everything() };
    let hint = "a selector holds `matchLabels` or `matchExpressions`: put labels under `matchLabels`";
    let labels_here: Vec<(&str, &str)> =
        entries.iter().filter(|e| e.value.as_scalar().is_some()).map(|e| (e.key.text(), hint)).collect();
    cx.only(path, entries, &["matchLabels", "matchExpressions"], &labels_here);
    let mut requirements = Vec::new();
    let labels_path = path.field("matchLabels");
    for (key, label, key_at, value_at) in cx.strings(&labels_path, value(entries, "matchLabels")) {
        for detail in label_key(&key) {
            cx.invalid(&labels_path, key_at, &quoted(&key), &detail);
        }
        for detail in label_value(&label) {
            cx.invalid(&labels_path, value_at, &quoted(&label), &detail);
        }
        requirements.push(Requirement { key, op: Op::In(vec![label]), from_labels: true });
    }
    requirements.sort();
    let list_path = path.field("matchExpressions");
    for (i, item) in cx.list(&list_path, value(entries, "matchExpressions")).unwrap_or_default() {
        requirements.extend(expression(cx, &list_path.index(i), item));
    }
    Selector { requirements }
}

fn expression(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<Requirement> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["key", "operator", "values"], &[]);
    let key_at = path.field("key");
    let key = cx.text(&key_at, value(entries, "key")).unwrap_or("");
    let op_at = path.field("operator");
    let op = cx.text(&op_at, value(entries, "operator")).unwrap_or("");
    let values_at = path.field("values");
    let mut values = Vec::new();
    for (i, item) in cx.list(&values_at, value(entries, "values")).unwrap_or_default() {
        if let Some(text) = cx.text(&values_at.index(i), Some(item)) {
            values.push((shared(text), item.span, i));
        }
    }
    let span_of = |field: &str| value(entries, field).map_or(node.span, |n| n.span);
    let listed: Vec<_> = values.iter().map(|(v, ..)| v.clone()).collect();
    let parsed = match op {
        "In" | "NotIn" => {
            if values.is_empty() {
                cx.required(&values_at, span_of("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            if op == "In" { Op::In(listed) } else { Op::NotIn(listed) }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                cx.forbidden(
                    &values_at,
                    span_of("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            if op == "Exists" { Op::Exists } else { Op::DoesNotExist }
        }
        other => {
            cx.invalid(&op_at, span_of("operator"), &quoted(other), "not a valid selector operator");
            Op::Unknown(shared(other))
        }
    };
    for detail in label_key(key) {
        cx.invalid(&key_at, span_of("key"), &quoted(key), &detail);
    }
    for (text, span, i) in &values {
        for detail in label_value(text) {
            cx.invalid(&values_at.index(*i), *span, &quoted(text), &detail);
        }
    }
    Some(Requirement { key: shared(key), op: parsed, from_labels: false })
}
