//! Address blocks (WT0040 to WT0045).

mod wt0040_block_covers_cluster;
mod wt0044_one_address_family;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[&wt0040_block_covers_cluster::LINT, &wt0044_one_address_family::LINT];
