//! What the auditor says about itself: suppressions that do not hold, lints that did not finish (WT0102, WT0103).

use super::{Check, Lint};
use crate::finding::Severity;

/// A suppression that does not do what it says.
pub(crate) const SUPPRESSION: Lint = Lint {
    code: "WT0102",
    name: "suppression-unsound",
    severity: Severity::Warning,
    summary: "a suppression without a reason, expired, or of a finding that does not exist",
    page: "A finding is suppressed by the annotation `watertight.dev/ignore` on its object, or by a comment at its \
           line, with a reason and if wanted a last day. One without a reason suppresses nothing; an expired one \
           suppresses nothing any more; one that matches no finding hides the next one.\n\nExample: \
           `watertight.dev/ignore: \"WT0018\"`.\n\nFix: `watertight.dev/ignore: \"WT0018=both teams are meant; until \
           2027-03-31\"`; as a comment `# watertight: ignore WT0018=both teams are meant`. Several are separated by \
           lines or `|`.\n\nSilent: every suppression has a reason, is in force, and has a finding.",
    check: Check::Audit,
};

/// A lint that failed.
pub(crate) const NOT_FINISHED: Lint = Lint {
    code: "WT0103",
    name: "lint-not-finished",
    severity: Severity::Error,
    summary: "a lint failed, ran over its time or left something out, so its findings are not complete",
    page: "Each lint runs on its own: if one fails, or needs longer than its time on a very large cluster, the others go \
           on, and this finding says which one did not finish. A note if it left something out by a bound of its own, \
           with how much. No finding of that lint is not the same as nothing found.\n\nFix: report it with the input \
           (`--save`); for time, audit fewer namespaces at once or give more time in the configuration.",
    check: Check::Audit,
};

/// By code.
pub(super) const LINTS: &[&Lint] = &[&SUPPRESSION, &NOT_FINISHED];
