//! Empty, absent, `policyTypes` (WT0011 to WT0017).

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[];
