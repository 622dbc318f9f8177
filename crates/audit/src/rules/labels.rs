//! Labels that were probably meant, and selectors that cannot be.

use watertight_engine::selector::holds;
use watertight_model::spelling::{NEAR, near};
use watertight_model::{Op, Requirement, Selector, Str};

/// Values that may have been meant by one that nobody has, nearest first: a slip away, or longer or shorter by a word.
pub(crate) fn meant<'v>(wanted: &str, values: impl Iterator<Item = &'v str>) -> Vec<String> {
    let values: std::collections::BTreeSet<&str> = values.filter(|v| *v != wanted).collect();
    let mut out = near(wanted, values.iter().map(|v| (*v).to_owned()));
    let word = |long: &str, short: &str| {
        let rest = long.strip_prefix(short).or_else(|| long.strip_suffix(short));
        short.len() > 1 && rest.is_some_and(|r| r.starts_with(['-', '.', '_']) || r.ends_with(['-', '.', '_']))
    };
    let longer = values.iter().filter(|v| word(v, wanted) || word(wanted, v)).map(|v| (*v).to_owned());
    let longer: Vec<String> = longer.filter(|v| !out.contains(v)).collect();
    out.extend(longer);
    out
}

/// The selector with the value nearest to one that keeps it from matching, such that `accepts` holds; `None`: there is none.
/// `values`: what a key has.
pub(crate) fn repaired<'v>(
    selector: &Selector,
    values: impl Fn(&str) -> Vec<&'v str>,
    accepts: impl Fn(&Selector) -> bool,
) -> Option<(Selector, String)> {
    let each = selector.requirements.iter().enumerate();
    let single = each.filter_map(|(i, r)| match &r.op {
        Op::In(wanted) if wanted.len() == 1 => Some((i, r, wanted.first()?)),
        Op::In(_) | Op::NotIn(_) | Op::Exists | Op::DoesNotExist | Op::Unknown(_) => None,
    });
    single.into_iter().find_map(|(i, r, wanted)| {
        let close = meant(wanted, values(&r.key).into_iter()).into_iter().take(NEAR);
        close.into_iter().find_map(|value| {
            let mut fixed = selector.clone();
            fixed.requirements[i].op = Op::In(vec![Str::from(value.as_str())]);
            accepts(&fixed).then(|| (fixed, format!("{}={value}", r.key)))
        })
    })
}

/// The fewest requirements of a selector that no set of labels satisfies together, as places; `None`: some set does, or it
/// is not understood.
pub(crate) fn contradiction(selector: &Selector) -> Option<Vec<usize>> {
    if selector.requirements.iter().any(|r| matches!(r.op, Op::Unknown(_))) {
        return None;
    }
    let keys: std::collections::BTreeSet<&Str> = selector.requirements.iter().map(|r| &r.key).collect();
    keys.into_iter().find_map(|key| {
        let all = selector.requirements.iter().enumerate();
        let mut places: Vec<usize> = all.filter(|(_, r)| r.key == *key).map(|(i, _)| i).collect();
        if is_possible(selector, &places) {
            return None;
        }
        // Whatever can go without making the rest possible is not needed for the contradiction.
        let mut i = 0;
        while i < places.len() {
            let mut fewer = places.clone();
            fewer.remove(i);
            if is_possible(selector, &fewer) {
                i += 1;
            } else {
                places = fewer;
            }
        }
        Some(places)
    })
}

/// Whether some value of one key, or its absence, satisfies these requirements: one of the values that they name, or one
/// that none of them names.
fn is_possible(selector: &Selector, places: &[usize]) -> bool {
    let chosen: Vec<&Requirement> = places.iter().filter_map(|i| selector.requirements.get(*i)).collect();
    let named = chosen.iter().flat_map(|r| match &r.op {
        Op::In(values) | Op::NotIn(values) => values.as_slice(),
        Op::Exists | Op::DoesNotExist | Op::Unknown(_) => &[],
    });
    let values = named.map(|v| Some(&**v)).chain([None, Some("~")]);
    values.into_iter().any(|value| chosen.iter().all(|r| holds(r, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(list: &[(&str, Op)]) -> Selector {
        let one = |(key, op): &(&str, Op)| Requirement { key: Str::from(*key), op: op.clone(), from_labels: false };
        Selector { requirements: list.iter().map(one).collect() }
    }

    fn values(list: &[&str]) -> Vec<Str> {
        list.iter().map(|v| Str::from(*v)).collect()
    }

    #[test]
    fn contradictions_are_the_fewest_requirements() {
        let a = || Op::In(values(&["a"]));
        let not_a = || Op::NotIn(values(&["a"]));
        assert_eq!(contradiction(&selector(&[("k", a()), ("k", not_a())])), Some(vec![0, 1]));
        assert_eq!(contradiction(&selector(&[("k", a()), ("j", not_a())])), None);
        assert_eq!(contradiction(&selector(&[("k", Op::Exists), ("k", a()), ("k", not_a())])), Some(vec![1, 2]));
        assert_eq!(contradiction(&selector(&[("k", Op::Exists), ("k", Op::DoesNotExist)])), Some(vec![0, 1]));
        assert_eq!(contradiction(&selector(&[("k", Op::DoesNotExist), ("k", not_a())])), None);
        assert_eq!(contradiction(&selector(&[("k", Op::Exists), ("k", not_a())])), None);
        let (ab, not_b) = (Op::In(values(&["a", "b"])), Op::NotIn(values(&["b"])));
        assert_eq!(contradiction(&selector(&[("k", ab.clone()), ("k", not_b.clone())])), None);
        assert_eq!(contradiction(&selector(&[("k", ab), ("k", not_b), ("k", not_a())])), Some(vec![0, 1, 2]));
        let unknown = Op::Unknown(Str::from("Gt"));
        assert_eq!(contradiction(&selector(&[("k", unknown), ("k", a()), ("k", not_a())])), None);
    }

    #[test]
    fn what_is_meant_is_near_or_one_word_longer() {
        let of = |wanted: &str| meant(wanted, ["frontend", "web-frontend", "orders-service", "db"].into_iter());
        assert_eq!(of("frotnend"), ["frontend"]);
        assert_eq!(of("web"), ["web-frontend"]);
        assert_eq!(of("order-service"), ["orders-service"]);
        assert!(of("cache").is_empty() && of("").is_empty());
    }
}
