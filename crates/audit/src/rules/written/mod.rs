//! What is read is not what was written (WT0001 to WT0010).

mod reader;
mod wt0010_policy_kind_not_evaluated;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &reader::UNKNOWN_FIELD,
    &reader::DUPLICATE_KEY,
    &reader::NULL_ENTRY,
    &reader::REJECTED,
    &reader::DUPLICATE_OBJECT,
    &reader::NO_NAMESPACE,
    &reader::CIDR,
    &reader::EXCEPT,
    &reader::NOT_SERVED,
    &wt0010_policy_kind_not_evaluated::LINT,
];
