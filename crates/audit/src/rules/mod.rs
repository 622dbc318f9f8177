//! The lints, in one table. To add one, write `wtNNNN_name.rs` beside the others (near relatives share a file) and list it
//! here, by code.

mod common;
mod wt0018_peer_or_instead_of_and;
mod wt0019_selectors;
mod wt0033_service_port;
mod wt0040_blocks;
mod wt0046_namespace_without_policy;
mod wt0048_no_default_deny;
mod wt0051_dns;
mod wt0072_environments;
mod wt0088_platform;

use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use watertight_model::Origin;

/// A lint. Numbers are never reused.
pub struct Lint {
    /// `WT` and four digits.
    pub code: &'static str,
    /// Kebab-case name.
    pub name: &'static str,
    /// Severity in the ordinary case; a finding may differ, with the reason in its message.
    pub severity: Severity,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// The page of the catalogue, as Markdown without a title: what it proves, an example, the fix, when it is silent.
    pub page: &'static str,
    /// Finds.
    pub check: fn(&Ctx<'_, '_>, &mut Vec<Finding>),
}

impl Lint {
    /// A finding of this lint with the usual severity; the rest is filled in by the caller.
    pub(crate) fn finding(&self, object: String, at: Option<Origin>, message: String) -> Finding {
        Finding {
            rule: self.code,
            name: self.name,
            severity: self.severity,
            score: self.severity.score(),
            status: Status::InInput,
            message,
            object,
            at,
            help: None,
            fixes: Vec::new(),
            witness: None,
            affected: 0,
        }
    }
}

/// All lints, by code.
pub static TABLE: &[&Lint] = &[
    &wt0088_platform::NOT_EVALUATED,
    &wt0018_peer_or_instead_of_and::LINT,
    &wt0019_selectors::OWN_NAMESPACE,
    &wt0019_selectors::NOTHING,
    &wt0019_selectors::NAMESPACE_LABEL,
    &wt0033_service_port::SERVICE_PORT,
    &wt0040_blocks::COVERS_CLUSTER,
    &wt0040_blocks::ONE_FAMILY,
    &wt0046_namespace_without_policy::LINT,
    &wt0048_no_default_deny::INGRESS,
    &wt0048_no_default_deny::EGRESS,
    &wt0051_dns::FORGOTTEN,
    &wt0051_dns::TCP,
    &wt0051_dns::CACHE,
    &wt0033_service_port::INGRESS_BACKEND,
    &wt0040_blocks::METADATA,
    &wt0072_environments::LINT,
    &wt0088_platform::CNI,
    &wt0088_platform::HOST_NETWORK,
];
