//! Cluster tiers (WT0078 to WT0087).

mod wt0078_priority_tie;
mod wt0079_cluster_rule_unreachable;
mod wt0080_allow_overridden_by_admin;
mod wt0081_deny_overridden_by_admin;
mod wt0082_baseline_never_reached;
mod wt0083_cluster_deny_hits_system;
mod wt0084_cluster_deny_covers_pods;
mod wt0085_accept_isolates_nothing;
mod wt0086_domain_name_misused;
mod wt0087_unknown_peer_or_action;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0078_priority_tie::LINT,
    &wt0079_cluster_rule_unreachable::LINT,
    &wt0080_allow_overridden_by_admin::LINT,
    &wt0081_deny_overridden_by_admin::LINT,
    &wt0082_baseline_never_reached::LINT,
    &wt0083_cluster_deny_hits_system::LINT,
    &wt0084_cluster_deny_covers_pods::LINT,
    &wt0085_accept_isolates_nothing::LINT,
    &wt0086_domain_name_misused::LINT,
    &wt0087_unknown_peer_or_action::LINT,
];
