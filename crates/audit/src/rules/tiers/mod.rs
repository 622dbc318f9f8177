//! Cluster tiers (WT0078 to WT0087).

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[];
