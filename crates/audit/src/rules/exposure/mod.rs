//! What is open to whom (WT0064 to WT0074).

mod wt0064_metadata_reachable;
pub(crate) mod wt0065_egress_to_anywhere;
mod wt0066_internet_reaches_workload;
mod wt0067_host_port_exposed;
mod wt0068_service_external_address;
mod wt0069_open_to_every_namespace;
mod wt0070_sensitive_port_open;
mod wt0071_control_plane_reachable;
mod wt0072_environments;
mod wt0073_protected_workload_in_reach;
mod wt0074_blast_radius_over_budget;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0064_metadata_reachable::LINT,
    &wt0065_egress_to_anywhere::LINT,
    &wt0066_internet_reaches_workload::LINT,
    &wt0067_host_port_exposed::LINT,
    &wt0068_service_external_address::LINT,
    &wt0069_open_to_every_namespace::LINT,
    &wt0070_sensitive_port_open::LINT,
    &wt0071_control_plane_reachable::LINT,
    &wt0072_environments::LINT,
    &wt0073_protected_workload_in_reach::LINT,
    &wt0074_blast_radius_over_budget::LINT,
];
