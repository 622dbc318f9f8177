//! WT0058, WT0060, WT0061: lints that stand in the catalogue and wait for objects that are not read yet.

use crate::finding::Severity;
use crate::rules::{Check, Lint};

/// The path to the API server.
pub(super) const API_SERVER: Lint = Lint {
    code: "WT0058",
    name: "api-server-denied",
    severity: Severity::Warning,
    summary: "a workload with a bound ServiceAccount token is denied to every API server endpoint",
    page: "Operators and controllers talk to the API server. Its address is not that of `default/kubernetes` but of the \
           endpoints behind it, on nodes or at the provider, usually on 6443: a block on the cluster IP is not \
           enough.\n\nExample: an operator under a default deny for egress with only the DNS rule.\n\nFix: a block of \
           the endpoints, or the cluster tier's `nodes` or `networks` peer.",
    check: Check::Waits(
        "which workloads mount a token of a ServiceAccount that a role is bound to (serviceAccountName, \
         automountServiceAccountToken, RoleBinding, ClusterRoleBinding)",
    ),
};

/// The path from the API server.
pub(super) const WEBHOOK: Lint = Lint {
    code: "WT0060",
    name: "webhook-denied",
    severity: Severity::Error,
    summary: "the pods behind a webhook or an APIService deny the API server",
    page: "If the API server cannot reach an admission webhook, a conversion webhook or an aggregated API, objects are \
           refused or lists fail in the whole cluster.\n\nExample: a default deny on `cert-manager`, whose webhook pod \
           listens on 10250.\n\nFix: a block of the control-plane nodes on the target port.",
    check: Check::Waits(
        "ValidatingWebhookConfiguration, MutatingWebhookConfiguration, conversion webhooks of \
         CustomResourceDefinitions, and APIService",
    ),
};

/// The path of metrics.
pub(super) const SCRAPE: Lint = Lint {
    code: "WT0061",
    name: "scrape-denied",
    severity: Severity::Warning,
    summary: "a ServiceMonitor, PodMonitor or scrape annotation names a port that Prometheus may not reach",
    page: "Metrics that are not collected are not missed until they are needed.\n\nExample: a PodMonitor on `metrics`, \
           and ingress rules only for `http`.\n\nFix: the rule from the Prometheus pods.",
    check: Check::Waits("ServiceMonitor, PodMonitor and the `prometheus.io/*` annotations of pods"),
};
