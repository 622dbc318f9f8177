//! Label selectors as written: a conjunction of requirements. Matching is the engine's (and the oracle's) business.

use crate::label::Str;

/// `matchLabels` and `matchExpressions` together: all requirements must hold. No requirement: everything matches.
///
/// A `matchLabels` entry `k: v` is the requirement `k In [v]` with [`Requirement::from_labels`] set.
/// A *missing* selector is never this type's business: fields that may be absent say so with an `Option` or an enum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector {
    /// Sorted: `matchLabels` by key first, then `matchExpressions` in the order written.
    pub requirements: Vec<Requirement>,
}

impl Selector {
    /// The selector `{}`: it selects everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// True for `{}`.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// A `matchLabels` selector from string literals.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let mut requirements: Vec<_> = pairs
            .iter()
            .map(|(k, v)| Requirement { key: Str::from(*k), op: Op::In(vec![Str::from(*v)]), from_labels: true })
            .collect();
        requirements.sort();
        Self { requirements }
    }
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    /// The label key.
    pub key: Str,
    /// The condition.
    pub op: Op,
    /// Written under `matchLabels` (for printing it back as the user wrote it).
    pub from_labels: bool,
}

/// Operators of `matchExpressions`. Source: `k8s.io/apimachinery/pkg/labels`, `Requirement.Matches`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// The key is present and its value is one of these (never empty; in the order written).
    In(Vec<Str>),
    /// The key is absent, or its value is none of these (never empty; in the order written).
    NotIn(Vec<Str>),
    /// The key is present, whatever its value, the empty one included.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// An operator this version does not know (an old or newer object; the API server refuses it). The whole selector is
    /// unreadable then: a NetworkPolicy peer matches nothing, a NetworkPolicy subject is every pod of its namespace with
    /// no allow rules, a cluster policy's peer or subject is as an unknown peer (semantics rows 47, 167).
    Unknown(Str),
}
