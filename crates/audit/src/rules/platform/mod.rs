//! What the platform does with policies (WT0088 to WT0094).

mod wt0088_cni_does_not_enforce;
mod wt0089_enforcer_missing_on_node;
mod wt0090_feature_not_enforced;
mod wt0091_host_network_bypass;
mod wt0092_policy_selects_host_network_only;
mod wt0093_secondary_network_bypass;
mod wt0094_node_pivot;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0088_cni_does_not_enforce::LINT,
    &wt0089_enforcer_missing_on_node::LINT,
    &wt0090_feature_not_enforced::LINT,
    &wt0091_host_network_bypass::LINT,
    &wt0092_policy_selects_host_network_only::LINT,
    &wt0093_secondary_network_bypass::LINT,
    &wt0094_node_pivot::LINT,
];
