//! Selectors and peers that match something else than meant (WT0018 to WT0029).

mod wt0018_peer_or_instead_of_and;
mod wt0019_selectors;
mod wt0023_selector_contradiction;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0018_peer_or_instead_of_and::LINT,
    &wt0019_selectors::OWN_NAMESPACE,
    &wt0019_selectors::NOTHING,
    &wt0019_selectors::NAMESPACE_LABEL,
    &wt0023_selector_contradiction::LINT,
];
