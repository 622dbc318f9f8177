//! What changes no verdict (WT0075 to WT0077).

mod wt0075_policy_redundant;
mod wt0076_rule_redundant;
mod wt0077_restriction_undone;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] =
    &[&wt0075_policy_redundant::LINT, &wt0076_rule_redundant::LINT, &wt0077_restriction_undone::LINT];
