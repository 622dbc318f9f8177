//! Ports and Services (WT0030 to WT0039).

mod wt0033_service_port_not_target_port;

use super::Lint;

/// By code.
pub(super) const LINTS: &[&Lint] = &[&wt0033_service_port_not_target_port::LINT];
