//! What changes no verdict (WT0075 to WT0077).

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[];
