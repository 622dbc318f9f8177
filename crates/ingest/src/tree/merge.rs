//! What makes a mapping whole: its keys are unique, and `<<` is replaced by what it stands for.

use super::{Entry, ErrorKind, Style, TreeError, Value};

/// Mappings up to this size are compared pair by pair; larger ones are sorted, so that no choice of keys is slow.
const SMALL: usize = 16;

/// Checks that the keys of a mapping are unique and applies its merge key, if `merging`. Stops adding to `errors` one past
/// `max_errors`.
pub(super) fn finish<'a>(
    entries: Vec<Entry<'a>>,
    merging: bool,
    max_errors: usize,
    errors: &mut Vec<TreeError>,
) -> Vec<Entry<'a>> {
    for (first, again) in duplicates(&entries) {
        if errors.len() > max_errors {
            break;
        }
        let key = entries[again].key.text().to_owned();
        let kind = ErrorKind::DuplicateKey { key, first: entries[first].key.span };
        errors.push(TreeError { kind, span: entries[again].key.span });
    }
    if merging && entries.iter().any(is_merge) { merge(entries, errors) } else { entries }
}

fn is_merge(entry: &Entry<'_>) -> bool {
    entry.key.scalar.style == Style::Plain && entry.key.text() == "<<"
}

/// Pairs of positions with the same key: (the first, a later one), by the later one.
fn duplicates(entries: &[Entry<'_>]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    if entries.len() <= SMALL {
        for again in 1..entries.len() {
            if let Some(first) = entries[..again].iter().position(|e| e.key.text() == entries[again].key.text()) {
                pairs.push((first, again));
            }
        }
        return pairs;
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|a, b| entries[*a].key.text().cmp(entries[*b].key.text()).then(a.cmp(b)));
    for same in order.chunk_by(|a, b| entries[*a].key.text() == entries[*b].key.text()) {
        pairs.extend(same[1..].iter().map(|again| (same[0], *again)));
    }
    pairs.sort_by_key(|(_, again)| *again);
    pairs
}

/// The mapping's own entries, then those of its bases whose keys are not there yet, the earlier base first.
fn merge<'a>(entries: Vec<Entry<'a>>, errors: &mut Vec<TreeError>) -> Vec<Entry<'a>> {
    let (bases, mut all): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    for base in bases {
        let span = base.value.span;
        match base.value.value {
            Value::Map(merged) => all.extend(merged),
            Value::Seq(items) => {
                for item in items {
                    match item.value {
                        Value::Map(merged) => all.extend(merged),
                        Value::Null => errors.push(not_a_mapping("null", item.span)),
                        Value::Scalar(_) => errors.push(not_a_mapping("a scalar", item.span)),
                        Value::Seq(_) => errors.push(not_a_mapping("a sequence in a sequence", item.span)),
                    }
                }
            }
            Value::Null => errors.push(not_a_mapping("null", span)),
            Value::Scalar(_) => errors.push(not_a_mapping("a scalar", span)),
        }
    }
    let mut keep = vec![true; all.len()];
    for (_, again) in duplicates(&all) {
        keep[again] = false;
    }
    let mut keep = keep.into_iter();
    all.retain(|_| keep.next().unwrap_or(true));
    all
}

fn not_a_mapping(found: &'static str, span: super::Span) -> TreeError {
    TreeError { kind: ErrorKind::MergeValue { found }, span }
}
