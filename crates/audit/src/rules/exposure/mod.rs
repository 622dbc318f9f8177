//! What is open to whom (WT0064 to WT0074).

mod wt0064_metadata_reachable;
mod wt0072_environments;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[&wt0064_metadata_reachable::LINT, &wt0072_environments::LINT];
