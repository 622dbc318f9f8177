//! Mesh and mTLS (WT0095 to WT0101): their inputs are not read yet.

use super::{Check, Lint};
use crate::finding::Severity;

/// Waits for its input.
const PLAINTEXT: Lint = Lint {
    code: "WT0095",
    name: "plaintext-across-boundary",
    severity: Severity::Warning,
    summary: "an allowed flow crosses a namespace or a declared boundary without mTLS",
    page: "Not looked for yet.",
    check: Check::Waits("mesh configuration (PeerAuthentication, enrolment labels)"),
};

/// Waits for its input.
const NOT_MESHED: Lint = Lint {
    code: "WT0096",
    name: "workload-not-meshed",
    severity: Severity::Warning,
    summary: "the namespace asks for a mesh, the pod is not in it",
    page: "Not looked for yet.",
    check: Check::Waits("mesh configuration (enrolment labels, sidecars)"),
};

/// Waits for its input.
const TUNNEL_OPEN: Lint = Lint {
    code: "WT0097",
    name: "tunnel-port-opens-all",
    severity: Severity::Error,
    summary: "a rule for the mesh tunnel port opens ports that are denied outside of it",
    page: "Not looked for yet.",
    check: Check::Waits("mesh configuration (enrolment labels)"),
};

/// Waits for its input.
const TUNNEL_DENIED: Lint = Lint {
    code: "WT0098",
    name: "tunnel-port-denied",
    severity: Severity::Error,
    summary: "a flow is allowed on its own port, and the mesh tunnel it would use is denied",
    page: "Not looked for yet.",
    check: Check::Waits("mesh configuration (enrolment labels)"),
};

/// Waits for its input.
const NO_MTLS: Lint = Lint {
    code: "WT0099",
    name: "identity-rule-without-mtls",
    severity: Severity::Error,
    summary: "an authorization rule asks for identities, and plaintext reaches the workload",
    page: "Not looked for yet.",
    check: Check::Waits("AuthorizationPolicy and PeerAuthentication"),
};

/// Waits for its input.
const L7_DENY: Lint = Lint {
    code: "WT0100",
    name: "l7-deny-ignored",
    severity: Severity::Error,
    summary: "a DENY rule with only HTTP fields on a data plane that sees no HTTP",
    page: "Not looked for yet.",
    check: Check::Waits("AuthorizationPolicy and waypoints"),
};

/// Waits for its input.
const NO_SUBJECT: Lint = Lint {
    code: "WT0101",
    name: "authorization-selects-nothing",
    severity: Severity::Warning,
    summary: "an authorization rule names a workload or an identity that does not exist",
    page: "Not looked for yet.",
    check: Check::Waits("AuthorizationPolicy"),
};

/// By code.
pub(super) const LINTS: &[&Lint] =
    &[&PLAINTEXT, &NOT_MESHED, &TUNNEL_OPEN, &TUNNEL_DENIED, &NO_MTLS, &L7_DENY, &NO_SUBJECT];
