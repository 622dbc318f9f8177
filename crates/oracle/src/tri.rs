//! Yes, no, unclear: the answer of every match (`docs/semantics.md`, "Three-valued matching").

use watertight_model::DependsOn;

/// Whether something matches. `Unclear` names the missing facts and is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tri {
    Yes,
    No,
    Unclear(Vec<DependsOn>),
}

use Tri::{No, Unclear, Yes};

impl Tri {
    pub(crate) fn from_bool(b: bool) -> Self {
        if b { Yes } else { No }
    }

    pub(crate) fn unclear(on: DependsOn) -> Self {
        Unclear(vec![on])
    }

    /// Kleene's AND.
    pub(crate) fn and(self, other: Tri) -> Tri {
        match (self, other) {
            (No, _) | (_, No) => No,
            (Yes, x) | (x, Yes) => x,
            (Unclear(a), Unclear(b)) => Unclear([a, b].concat()),
        }
    }

    /// Kleene's OR.
    pub(crate) fn or(self, other: Tri) -> Tri {
        self.not().and(other.not()).not()
    }

    /// Kleene's NOT.
    pub(crate) fn not(self) -> Tri {
        match self {
            Yes => No,
            No => Yes,
            Unclear(on) => Unclear(on),
        }
    }

    /// Yes if one of them is; no if none is (an empty list included).
    pub(crate) fn any(all: impl IntoIterator<Item = Tri>) -> Tri {
        all.into_iter().fold(No, Tri::or)
    }
}
