//! WT0001 to WT0009: the readers find these; what stands here is their pages.

use crate::finding::Severity;
use crate::rules::{Check, Lint};

/// Found while reading.
pub(super) const UNKNOWN_FIELD: Lint = Lint {
    code: "WT0001",
    name: "unknown-field",
    severity: Severity::Error,
    summary: "a key that the schema does not know at that place",
    page: "The API server drops it, or refuses the object, as its client asks; either way the object does not \
           say what was written.\n\nExample: `podSelecter: {matchLabels: {app: db}}`: dropped, the empty \
           selector selects every pod of the namespace.\n\nFix: rename or move the key; the nearest known one \
           is offered.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const DUPLICATE_KEY: Lint = Lint {
    code: "WT0002",
    name: "duplicate-key",
    severity: Severity::Error,
    summary: "one mapping has a key twice",
    page: "Readers differ in which of the two they keep, so the object means one thing here and another \
           there.\n\nExample: `ingress: []` and further down `ingress: [{}]`: clients that keep the last one \
           allow everything.\n\nFix: keep one. Neither is chosen silently.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const NULL_ENTRY: Lint = Lint {
    code: "WT0003",
    name: "null-list-entry",
    severity: Severity::Error,
    summary: "a list item is null",
    page: "Go clients decode a null entry to an empty one, and an empty rule allows everything.\n\nExample: \
           `ingress:` followed by a line with a lone `-`: read elsewhere as `[{}]`, everyone gets in.\n\nFix: \
           delete the dash, or write `ingress: []`.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const REJECTED: Lint = Lint {
    code: "WT0004",
    name: "object-rejected",
    severity: Severity::Error,
    summary: "the API server would refuse the object",
    page: "The message is the server's: field path, value, reason. An object that is refused isolates \
           nobody.\n\nExample: `port: \"80\"`; `endPort` below `port`; `In` without values; ipBlock and \
           podSelector in one peer; `protocol: tcp`.\n\nFix: as the message says.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const DUPLICATE_OBJECT: Lint = Lint {
    code: "WT0005",
    name: "duplicate-object",
    severity: Severity::Error,
    summary: "two documents are the same object and differ",
    page: "Whichever is applied last wins, and that is an accident of file names.\n\nExample: `shop/db-in` in \
           `base.yaml` allows `api`, in `overlay.yaml` it allows everyone.\n\nFix: rename one, or delete it.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const NO_NAMESPACE: Lint = Lint {
    code: "WT0006",
    name: "namespace-not-stated",
    severity: Severity::Warning,
    summary: "objects without a namespace beside objects that have one",
    page: "An object without `metadata.namespace` lands in whatever namespace is current when it is \
           applied.\n\nExample: a policy file without a namespace in a directory where every other object has \
           one.\n\nFix: write `metadata.namespace`, or give one with `-n`.\n\nSilent: no object names another \
           namespace.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const CIDR: Lint = Lint {
    code: "WT0007",
    name: "cidr-not-canonical",
    severity: Severity::Warning,
    summary: "an address block with host bits, leading zeros or an IPv4-mapped form",
    page: "With `--lenient-cidr`, as servers without strict checks read it: the block holds more addresses than \
           its text suggests. Without it the object is refused (WT0004).\n\nExample: `cidr: 10.1.2.3/8` holds \
           all of 10.0.0.0/8.\n\nFix: `10.0.0.0/8`, or `10.1.2.3/32` if one host was meant.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const EXCEPT: Lint = Lint {
    code: "WT0008",
    name: "except-outside-cidr",
    severity: Severity::Error,
    summary: "an `except` that is not a strict part of its `cidr`",
    page: "It removes nothing, or everything.\n\nExample: `cidr: 10.0.0.0/8, except: [192.168.0.0/16]`.\n\nFix: \
           correct the range; an exclusion for another block belongs to a peer of its own.",
    check: Check::Reader,
};

/// Found while reading.
pub(super) const NOT_SERVED: Lint = Lint {
    code: "WT0009",
    name: "api-version-not-served",
    severity: Severity::Error,
    summary: "an object of an API version that current servers do not serve",
    page: "It would not exist in the cluster, whatever it says. The input is refused rather than analysed \
           without it: to leave a policy out silently, or to guess what its successor would be, are both \
           answers about another cluster.\n\nExample: `apiVersion: extensions/v1beta1, kind: \
           NetworkPolicy`.\n\nFix: `networking.k8s.io/v1`.",
    check: Check::Reader,
};
