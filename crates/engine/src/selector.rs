//! Label selectors against labels. Source: `k8s.io/apimachinery/pkg/labels`, `Requirement.Matches`, comment (1) to (5).

use crate::tri::Tri;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{DependsOn, Labels, NamespaceId, Op, Requirement, Selector, World};

/// False if the selector uses an operator that this version does not know: nothing can be said about what it matches.
pub fn readable(selector: &Selector) -> bool {
    selector.requirements.iter().all(|r| !matches!(r.op, Op::Unknown(_)))
}

/// All requirements hold. An unknown operator holds for nothing; callers ask [`readable`] first.
pub fn matches(selector: &Selector, labels: &Labels) -> bool {
    selector.requirements.iter().all(|r| holds(r, labels.get(&r.key).map(|v| &**v)))
}

/// One requirement against the value of its key (`None`: the key is absent).
pub fn holds(requirement: &Requirement, value: Option<&str>) -> bool {
    match (&requirement.op, value) {
        (Op::In(values), Some(value)) => values.iter().any(|v| **v == *value),
        (Op::In(_), None) => false,
        (Op::NotIn(values), Some(value)) => values.iter().all(|v| **v != *value),
        (Op::NotIn(_), None) => true,
        (Op::Exists, value) => value.is_some(),
        (Op::DoesNotExist, value) => value.is_none(),
        (Op::Unknown(_), _) => false,
    }
}

/// A namespace selector against a namespace. If its object was not read, only its name is known (U4).
pub fn matches_namespace(world: &World, id: NamespaceId, selector: &Selector) -> Tri {
    let namespace = &world.namespaces[id.index()];
    if namespace.declared {
        return Tri::of(matches(selector, &namespace.labels));
    }
    let mut sum = Tri::Yes;
    for requirement in &selector.requirements {
        sum = sum.and(if *requirement.key == *NAMESPACE_NAME_LABEL {
            Tri::of(holds(requirement, Some(&namespace.name)))
        } else {
            Tri::maybe(DependsOn::NamespaceLabels(id))
        });
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_model::Str;

    fn check(op: Op, value: Option<&str>) -> bool {
        holds(&Requirement { key: Str::from("k"), op, from_labels: false }, value)
    }

    fn a() -> Vec<Str> {
        vec![Str::from("a")]
    }

    /// Rows 31 to 39, each with its negated twin.
    #[test]
    fn requirements() {
        assert!(check(Op::In(a()), Some("a")) && !check(Op::In(a()), Some("b")) && !check(Op::In(a()), None));
        assert!(!check(Op::NotIn(a()), Some("a")) && check(Op::NotIn(a()), Some("b")) && check(Op::NotIn(a()), None));
        assert!(check(Op::Exists, Some("")) && !check(Op::Exists, None));
        assert!(!check(Op::DoesNotExist, Some("")) && check(Op::DoesNotExist, None));
        assert!(!check(Op::In(vec![Str::from("")]), None) && check(Op::In(vec![Str::from("")]), Some("")));
        assert!(!check(Op::Unknown(Str::from("Gt")), Some("a")) && !check(Op::Unknown(Str::from("Gt")), None));
    }

    #[test]
    fn everything_selects_no_labels_too() {
        assert!(matches(&Selector::everything(), &Labels::default()));
        assert!(!matches(&Selector::of(&[("k", "")]), &Labels::default()));
    }
}
