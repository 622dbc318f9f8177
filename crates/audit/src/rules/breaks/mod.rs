//! What will break (WT0051 to WT0063).

mod wt0051_dns;
mod wt0059_ingress_backend_denied;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] =
    &[&wt0051_dns::FORGOTTEN, &wt0051_dns::TCP, &wt0051_dns::CACHE, &wt0059_ingress_backend_denied::LINT];
