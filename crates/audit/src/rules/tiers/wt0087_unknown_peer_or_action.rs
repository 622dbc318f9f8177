//! WT0087: a cluster rule that holds something unknown, and therefore closes. The readers find it.

use crate::finding::Severity;
use crate::rules::{Check, Lint};

/// Found while reading.
pub(super) const LINT: Lint = Lint {
    code: "WT0087",
    name: "unknown-peer-or-action",
    severity: Severity::Error,
    summary: "a cluster rule with an action or a kind of peer that is not known",
    page: "What an implementation does not know must not open anything: with an unknown peer an Accept rule matches \
            nothing, and a Deny or Pass rule denies everyone; an unknown action denies what the rule matches. What \
           such an object does differs from server to server, so it is refused.\n\nExample: a peer kind of the \
           experimental channel, which a server with the standard CRDs prunes to an empty peer.\n\nFix: the CRDs of \
            the channel that has the field, or a rule without it.\n\nSilent: the action and the kind of every peer \
           are known.",
    check: Check::Reader,
};
