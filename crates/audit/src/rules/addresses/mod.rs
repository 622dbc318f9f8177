//! Address blocks (WT0040 to WT0045).

mod wt0040_block_covers_cluster;
mod wt0041_block_on_service_address;
pub(crate) mod wt0042_pod_address_hard_coded;
mod wt0043_except_reopened;
mod wt0044_one_address_family;
mod wt0045_client_address_hidden;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0040_block_covers_cluster::LINT,
    &wt0041_block_on_service_address::LINT,
    &wt0042_pod_address_hard_coded::LINT,
    &wt0043_except_reopened::LINT,
    &wt0044_one_address_family::LINT,
    &wt0045_client_address_hidden::LINT,
];
