//! What will break (WT0051 to WT0063).

mod waiting;
mod wt0051_dns;
mod wt0054_dns_port_open_to_all;
mod wt0055_one_sided;
mod wt0057_replicas_cut_off;
mod wt0059_ingress_backend_denied;
mod wt0062_observed;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0051_dns::FORGOTTEN,
    &wt0051_dns::TCP,
    &wt0051_dns::CACHE,
    &wt0054_dns_port_open_to_all::LINT,
    &wt0055_one_sided::EGRESS,
    &wt0055_one_sided::INGRESS,
    &wt0057_replicas_cut_off::LINT,
    &waiting::API_SERVER,
    &wt0059_ingress_backend_denied::LINT,
    &waiting::WEBHOOK,
    &waiting::SCRAPE,
    &wt0062_observed::DENIED,
    &wt0062_observed::UNUSED,
];
