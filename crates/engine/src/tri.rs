//! Three-valued matches: yes, no, or unclear and on what.

use watertight_model::DependsOn;

/// Whether something matches. Kleene's logic: see `docs/semantics.md`, "Three-valued matching".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tri {
    /// It does not, on every reading.
    No,
    /// It may: it rests on these facts (never empty).
    Maybe(Vec<DependsOn>),
    /// It does, on every reading.
    Yes,
}

impl Tri {
    /// A decided match.
    pub fn of(yes: bool) -> Self {
        if yes { Tri::Yes } else { Tri::No }
    }

    /// Unclear for one reason.
    pub fn maybe(cause: DependsOn) -> Self {
        Tri::Maybe(vec![cause])
    }

    /// Both match.
    #[must_use]
    pub fn and(self, other: Tri) -> Tri {
        match (self, other) {
            (Tri::No, _) | (_, Tri::No) => Tri::No,
            (Tri::Yes, x) | (x, Tri::Yes) => x,
            (Tri::Maybe(a), Tri::Maybe(b)) => Tri::Maybe(join(a, b)),
        }
    }

    /// At least one matches.
    #[must_use]
    pub fn or(self, other: Tri) -> Tri {
        match (self, other) {
            (Tri::Yes, _) | (_, Tri::Yes) => Tri::Yes,
            (Tri::No, x) | (x, Tri::No) => x,
            (Tri::Maybe(a), Tri::Maybe(b)) => Tri::Maybe(join(a, b)),
        }
    }

    /// At least one of many matches; stops at the first sure one.
    pub fn any(items: impl IntoIterator<Item = Tri>) -> Tri {
        let mut sum = Tri::No;
        for item in items {
            sum = sum.or(item);
            if sum == Tri::Yes {
                break;
            }
        }
        sum
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Tri {
        match self {
            Tri::No => Tri::Yes,
            Tri::Yes => Tri::No,
            Tri::Maybe(causes) => Tri::Maybe(causes),
        }
    }

    /// It matches on at least one reading.
    pub fn possible(&self) -> bool {
        *self != Tri::No
    }
}

fn join(mut a: Vec<DependsOn>, b: Vec<DependsOn>) -> Vec<DependsOn> {
    a.extend(b);
    a.sort_unstable();
    a.dedup();
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kleene() {
        let maybe = || Tri::maybe(DependsOn::DomainName);
        assert_eq!(Tri::No.and(maybe()), Tri::No);
        assert_eq!(Tri::Yes.and(maybe()), maybe());
        assert_eq!(Tri::Yes.or(maybe()), Tri::Yes);
        assert_eq!(Tri::No.or(maybe()), maybe());
        assert_eq!(maybe().negated(), maybe());
        assert_eq!(Tri::any([Tri::No, maybe(), Tri::Yes]), Tri::Yes);
        assert_eq!(Tri::any([]), Tri::No);
        let both = maybe().and(Tri::maybe(DependsOn::MappedBlock));
        assert_eq!(both, Tri::Maybe(vec![DependsOn::MappedBlock, DependsOn::DomainName]));
    }
}
