//! Who calls whom, and is meant to: the ground truth that learned policies are measured against, and the traffic that
//! the recorded flows show. What is in the recording and not meant to be is in `incidents` (`flows.rs`).

use crate::cluster::Protocol::{self, Tcp, Udp};

/// How often a call is in the recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// Meant, and not recorded: it is due outside the window.
    Never,
    /// One connection.
    Once,
    /// A few on each day.
    Seldom,
    /// All the time.
    Often,
}

impl Seen {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Seen::Never => "never",
            Seen::Once => "once",
            Seen::Seldom => "seldom",
            Seen::Often => "often",
        }
    }
}

/// One intended call. Ends are `namespace/workload`, `internet` (any client), the DNS name of an outside server,
/// `apiserver`, `nodes` (all of them) or `kubelet` (the one of the pod's node). The port is the pod's, not the Service's.
pub(crate) struct Call {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) kind: &'static str,
    pub(crate) seen: Seen,
}

/// Outside servers: name and addresses, all from the blocks that are reserved for documentation (RFC 5737).
pub(crate) const OUTSIDE: [(&str, &[&str]); 12] = [
    ("api.psp.example.com", &["203.0.113.40", "203.0.113.41"]),
    ("rates.tax.example.net", &["198.51.100.20"]),
    ("edi.supplier.example.org", &["192.0.2.15"]),
    ("track.carrier.example.com", &["203.0.113.80", "203.0.113.81", "203.0.113.82", "203.0.113.83"]),
    ("api.parcels.example.net", &["198.51.100.90"]),
    ("smtp.mail.example.com", &["203.0.113.25"]),
    ("push.mobile.example.com", &["198.51.100.64", "198.51.100.65", "198.51.100.66", "198.51.100.67"]),
    ("git.example.org", &["192.0.2.10"]),
    ("packages.example.org", &["192.0.2.20", "192.0.2.21"]),
    ("events.pager.example.com", &["203.0.113.60"]),
    ("acme.ca.example.org", &["192.0.2.99"]),
    ("resolver.example.net", &["192.0.2.53"]),
];

/// Calls between workloads: from, to, port of the pod.
const PODS: &[(&str, &str, u16)] = &[
    ("dev/web", "dev/api", 8080),
    ("dev/api", "dev/db", 5432),
    ("staging/web", "staging/api", 8080),
    ("staging/api", "staging/db", 5432),
    ("prod/web", "prod/api", 8080),
    ("prod/api", "prod/db", 5432),
    ("prod/api", "prod/cache", 6379),
    ("prod/api", "orders/orders-service", 8080),
    ("prod/api", "inventory/api", 8080),
    ("prod/worker", "prod/db", 5432),
    ("prod/worker", "data/kafka", 9092),
    ("prod/db", "prod/db", 5432),
    ("ingress/ingress-nginx-controller", "shop/web", 8080),
    ("ingress/ingress-nginx-controller", "shop/storefront-api", 8080),
    ("ingress/ingress-nginx-controller", "shop/images", 8080),
    ("ingress/ingress-nginx-controller", "prod/web", 8080),
    ("ingress/ingress-nginx-controller", "staging/web", 8080),
    ("ingress/ingress-nginx-controller", "dev/web", 8080),
    ("ingress/ingress-nginx-controller", "monitoring/grafana", 3000),
    ("ingress/ingress-nginx-controller", "analytics/dashboard", 3000),
    ("ingress/ingress-nginx-controller", "analytics/collector", 8080),
    ("ingress/ingress-nginx-controller", "ci/controller", 8080),
    ("shop/web", "shop/storefront-api", 8080),
    ("shop/web", "shop/session-cache", 6379),
    ("shop/web", "shop/images", 8080),
    ("shop/storefront-api", "shop/cart", 7070),
    ("shop/storefront-api", "search/api", 8080),
    ("shop/storefront-api", "inventory/api", 8080),
    ("shop/storefront-api", "orders/orders-service", 8080),
    ("shop/storefront-api", "ml/serving", 8501),
    ("shop/cart", "shop/session-cache", 6379),
    ("shop/cart", "inventory/api", 8080),
    ("orders/orders-service", "orders/db", 5432),
    ("orders/orders-service", "payments/payments-api", 8080),
    ("orders/orders-service", "data/kafka", 9092),
    ("orders/orders-worker", "orders/db", 5432),
    ("orders/orders-worker", "data/kafka", 9092),
    ("orders/orders-worker", "shipping/api", 8080),
    ("orders/orders-worker", "notifications/dispatcher", 8080),
    ("payments/payments-api", "payments/risk", 8081),
    ("payments/payments-api", "payments/db", 5432),
    ("payments/payments-api", "data/kafka", 9092),
    ("payments/risk", "ml/serving", 8501),
    ("billing/invoicer", "billing/ledger-db", 5432),
    ("billing/invoicer", "billing/tax", 8080),
    ("billing/invoicer", "data/kafka", 9092),
    ("billing/invoicer", "data/object-store", 9000),
    ("billing/invoicer", "notifications/dispatcher", 8080),
    ("inventory/api", "inventory/db", 5432),
    ("inventory/sync", "inventory/db", 5432),
    ("inventory/sync", "data/kafka", 9092),
    ("shipping/api", "data/kafka", 9092),
    ("shipping/tracker", "shipping/api", 8080),
    ("search/api", "search/elasticsearch", 9200),
    ("search/indexer", "search/elasticsearch", 9200),
    ("search/indexer", "data/kafka", 9092),
    ("search/elasticsearch", "search/elasticsearch", 9300),
    ("notifications/dispatcher", "data/kafka", 9092),
    ("notifications/dispatcher", "notifications/mailer", 8080),
    ("notifications/dispatcher", "notifications/push", 8080),
    ("data/kafka", "data/kafka", 9093),
    ("data/kafka", "data/kafka", 9094),
    ("data/object-store", "data/object-store", 9000),
    ("data/schema-registry", "data/kafka", 9092),
    ("analytics/collector", "data/kafka", 9092),
    ("analytics/collector", "data/schema-registry", 8081),
    ("analytics/collector", "analytics/clickhouse", 9000),
    ("analytics/clickhouse", "analytics/clickhouse", 9009),
    ("analytics/dashboard", "analytics/clickhouse", 8123),
    ("ml/serving", "ml/features", 8080),
    ("ml/serving", "data/object-store", 9000),
    ("ml/features", "analytics/clickhouse", 8123),
    ("ci/runner", "ci/controller", 50000),
    ("ci/runner", "ci/registry", 5000),
    ("monitoring/prometheus", "monitoring/alertmanager", 9093),
    ("monitoring/grafana", "monitoring/prometheus", 9090),
    ("monitoring/grafana", "logging/loki", 3100),
    ("monitoring/alertmanager", "monitoring/alertmanager", 9094),
    ("logging/fluent-bit", "logging/loki", 3100),
];

/// Calls between workloads that happen a few times a day.
const SELDOM: &[(&str, &str, u16)] = &[
    ("dev/shell", "dev/api", 8080),
    ("dev/shell", "dev/db", 5432),
    ("prod/backup", "prod/db", 5432),
    ("prod/backup", "data/object-store", 9000),
    ("analytics/notebook", "analytics/clickhouse", 8123),
    ("analytics/notebook", "data/object-store", 9000),
];

/// Calls between workloads that happened once in the window.
const ONCE: &[(&str, &str, u16)] = &[
    ("ml/train", "data/object-store", 9000),
    ("ml/train", "ml/features", 8080),
    ("inventory/sync", "notifications/dispatcher", 8080),
    ("shipping/api", "notifications/dispatcher", 8080),
];

/// Calls of a job that is not due in the window.
const NEVER: &[(&str, &str, u16)] =
    &[("billing/close-month", "billing/ledger-db", 5432), ("billing/close-month", "data/object-store", 9000)];

/// Calls to outside servers, by name.
const OUT: &[(&str, &str, u16, Seen)] = &[
    ("payments/payments-api", "api.psp.example.com", 443, Seen::Often),
    ("billing/tax", "rates.tax.example.net", 443, Seen::Seldom),
    ("inventory/sync", "edi.supplier.example.org", 22, Seen::Often),
    ("shipping/tracker", "track.carrier.example.com", 443, Seen::Often),
    ("shipping/tracker", "api.parcels.example.net", 443, Seen::Often),
    ("notifications/mailer", "smtp.mail.example.com", 587, Seen::Often),
    ("notifications/push", "push.mobile.example.com", 443, Seen::Often),
    ("ci/runner", "git.example.org", 443, Seen::Often),
    ("ci/runner", "git.example.org", 22, Seen::Seldom),
    ("ci/runner", "packages.example.org", 443, Seen::Often),
    ("ci/controller", "git.example.org", 443, Seen::Often),
    ("monitoring/alertmanager", "events.pager.example.com", 443, Seen::Seldom),
    ("cert-manager/cert-manager", "acme.ca.example.org", 443, Seen::Once),
];

/// Workloads that talk to the API server.
const API_CLIENTS: &[&str] = &[
    "cert-manager/cainjector",
    "cert-manager/cert-manager",
    "cert-manager/webhook",
    "ci/controller",
    "ingress/ingress-nginx-controller",
    "kube-system/coredns",
    "kube-system/metrics-server",
    "logging/fluent-bit",
    "monitoring/kube-state-metrics",
    "monitoring/prometheus",
];

/// Workloads that the API server calls: webhooks and aggregated APIs.
const API_SERVERS: &[(&str, u16)] = &[
    ("cert-manager/webhook", 10250),
    ("ingress/ingress-nginx-controller", 8443),
    ("kube-system/metrics-server", 10250),
];

/// Workloads whose answers are long enough for DNS over TCP.
const DNS_TCP: &[&str] =
    &["ci/runner", "data/kafka", "notifications/mailer", "payments/payments-api", "search/indexer", "shop/web"];

/// Every intended call of the sample cluster, sorted by kind as listed, then as in the tables.
pub(crate) fn calls(workloads: &[crate::cluster::Workload]) -> Vec<Call> {
    let mut out = Vec::new();
    let mut add = |from: &str, to: &str, protocol, port, kind, seen| {
        out.push(Call { from: from.to_owned(), to: to.to_owned(), protocol, port, kind, seen });
    };
    for (list, seen) in [(PODS, Seen::Often), (SELDOM, Seen::Seldom), (ONCE, Seen::Once), (NEVER, Seen::Never)] {
        list.iter().for_each(|(from, to, port)| add(from, to, Tcp, *port, "call", seen));
    }
    add("monitoring/alertmanager", "monitoring/alertmanager", Udp, 9094, "call", Seen::Often);
    for workload in workloads.iter().filter(|w| w.place() != "monitoring/prometheus" && !w.host_network) {
        for port in workload.ports.iter().filter(|p| p.name.ends_with("metrics")) {
            add("monitoring/prometheus", &workload.place(), Tcp, port.number, "scrape", Seen::Often);
        }
    }
    add("internet", "ingress/ingress-nginx-controller", Tcp, 443, "internet", Seen::Often);
    add("internet", "ingress/ingress-nginx-controller", Tcp, 80, "internet", Seen::Often);
    OUT.iter().for_each(|(from, to, port, seen)| add(from, to, Tcp, *port, "outside", *seen));
    add("kube-system/coredns", "resolver.example.net", Udp, 53, "outside", Seen::Often);
    API_CLIENTS.iter().for_each(|from| add(from, "apiserver", Tcp, 6443, "api", Seen::Often));
    API_SERVERS.iter().for_each(|(to, port)| add("apiserver", to, Tcp, *port, "api", Seen::Seldom));
    for port in [9100, 10250] {
        add("monitoring/prometheus", "nodes", Tcp, port, "node", Seen::Often);
    }
    add("kube-system/metrics-server", "nodes", Tcp, 10250, "node", Seen::Often);
    for workload in workloads.iter().filter(|w| !w.host_network && w.name != "coredns") {
        let place = workload.place();
        let seen = match place.as_str() {
            "billing/close-month" => Seen::Never,
            "ml/train" => Seen::Once,
            "prod/backup" => Seen::Seldom,
            _ => Seen::Often,
        };
        add(&place, "kube-system/coredns", Udp, 53, "dns", seen);
        let tcp = if DNS_TCP.contains(&place.as_str()) { Seen::Seldom } else { Seen::Never };
        add(&place, "kube-system/coredns", Tcp, 53, "dns", tcp);
    }
    for workload in workloads.iter().filter(|w| !w.host_network) {
        if let Some(port) = workload.probe.and_then(|name| workload.port_number(name)) {
            add("kubelet", &workload.place(), Tcp, port, "probe", Seen::Often);
        }
    }
    out
}
