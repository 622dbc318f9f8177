//! Who is isolated (WT0046 to WT0050).

mod wt0046_namespace_without_policy;
mod wt0048_no_default_deny;
mod wt0049_workload_not_isolated;
pub(crate) mod wt0050_isolation_in_name_only;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0046_namespace_without_policy::LINT,
    &wt0048_no_default_deny::INGRESS,
    &wt0048_no_default_deny::EGRESS,
    &wt0049_workload_not_isolated::LINT,
    &wt0050_isolation_in_name_only::LINT,
];
