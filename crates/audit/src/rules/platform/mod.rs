//! What the platform does with policies (WT0088 to WT0094).

mod wt0088_cni_does_not_enforce;
mod wt0091_host_network_bypass;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[&wt0088_cni_does_not_enforce::LINT, &wt0091_host_network_bypass::LINT];
