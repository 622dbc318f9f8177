//! The sample cluster: a company's shop on three Flannel nodes, with everything that such a cluster has and no
//! NetworkPolicy at all. Who may call whom in it: `calls.rs`.

use crate::cluster::{Namespace, ServiceKind, Workload, cron_job, daemon_set, deployment, stateful_set};

pub(crate) const NAMESPACES: [Namespace; 23] = [
    namespace("analytics", "Analytics: events in, charts out.", &[("team", "analytics")]),
    namespace("billing", "Billing: invoices, tax, and the month's end.", &[("team", "billing")]),
    namespace("cert-manager", "Certificates for the ingress controller and for webhooks.", &[("team", "platform")]),
    namespace("ci", "Build runners. They build container images, so they are privileged.", &[("team", "platform")]),
    namespace("data", "Shared data services: Kafka and an object store.", &[("team", "data")]),
    namespace("default", "Nothing runs here but the API server's Service.", &[]),
    namespace("dev", "Where developers try things.", &[("env", "dev"), ("team", "product")]),
    namespace("ingress", "The way in.", &[("team", "platform")]),
    namespace("inventory", "What is in stock.", &[("team", "inventory")]),
    namespace("kube-flannel", "The network plugin.", &[("pod-security.kubernetes.io/enforce", "privileged")]),
    namespace("kube-public", "Readable by everyone; empty.", &[]),
    namespace("kube-system", "The cluster's own parts.", &[]),
    namespace("logging", "Logs of all pods.", &[("team", "platform")]),
    namespace("ml", "Recommendations: features, training, serving.", &[("team", "ml")]),
    namespace("monitoring", "Metrics, dashboards, alerts.", &[("team", "platform")]),
    namespace("notifications", "Mail and push messages to customers.", &[("team", "crm")]),
    namespace("orders", "Orders, from checkout to hand-over.", &[("team", "orders")]),
    namespace("payments", "Card payments. In scope of PCI DSS.", &[("team", "payments")]),
    namespace("prod", "The back office, in production.", &[("env", "prod"), ("team", "product")]),
    namespace("search", "Product search.", &[("team", "search")]),
    namespace("shipping", "Parcels and carriers.", &[("team", "shipping")]),
    namespace("shop", "The storefront: what customers see.", &[("team", "shop")]),
    namespace("staging", "The back office, before it goes to production.", &[("env", "staging"), ("team", "product")]),
];

const fn namespace(
    name: &'static str,
    about: &'static str,
    labels: &'static [(&'static str, &'static str)],
) -> Namespace {
    Namespace { name, about, labels }
}

/// All workloads, by namespace.
pub(crate) fn workloads() -> Vec<Workload> {
    [back_office(), storefront(), business(), data(), platform(), system()].into_iter().flatten().collect()
}

/// Three environments of one application.
fn back_office() -> Vec<Workload> {
    vec![
        deployment("dev/web", 1, "backoffice/web:2.9.0-rc.1").port("http", 8080).service(80, "http").probe("http"),
        deployment("dev/api", 1, "backoffice/api:2.9.0-rc.1").port("http", 8080).service(80, "http").probe("http"),
        stateful_set("dev/db", 1, "docker.io/library/postgres:17.2").port("postgres", 5432).service(5432, "postgres"),
        deployment("dev/shell", 1, "docker.io/nicolaka/netshoot:v0.13")
            .selector(&[("app", "shell")])
            .comment("For poking around. Anyone with access to this namespace can exec into it."),
        deployment("staging/web", 1, "backoffice/web:2.8.3")
            .port("http", 8080)
            .service(80, "http")
            .service_kind(ServiceKind::NodePort(30080))
            .probe("http"),
        deployment("staging/api", 1, "backoffice/api:2.8.3").port("http", 8080).service(80, "http").probe("http"),
        stateful_set("staging/db", 1, "docker.io/library/postgres:17.2")
            .port("postgres", 5432)
            .service(5432, "postgres"),
        deployment("prod/web", 2, "backoffice/web:2.8.3").port("http", 8080).service(80, "http").probe("http"),
        deployment("prod/api", 3, "backoffice/api:2.8.3")
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        deployment("prod/worker", 2, "backoffice/worker:2.8.3").port("metrics", 9102),
        deployment("prod/cache", 1, "docker.io/valkey/valkey:8.0.1")
            .selector(&[("app", "cache"), ("tier", "backend")])
            .port("valkey", 6379)
            .service(6379, "valkey"),
        stateful_set("prod/db", 2, "docker.io/library/postgres:17.2")
            .port("postgres", 5432)
            .port("metrics", 9187)
            .service(5432, "postgres")
            .protect()
            .comment("Customer data. The second pod is a streaming replica of the first."),
        cron_job("prod/backup", "30 2 * * *", "backoffice/backup:1.4.0").comment("Every night at half past two."),
    ]
}

fn storefront() -> Vec<Workload> {
    vec![
        deployment("shop/web", 3, "shop/web:4.12.1")
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http")
            .label("app.kubernetes.io/version", "4.12.1"),
        deployment("shop/storefront-api", 3, "shop/storefront-api:4.11.7")
            .port("http", 8080)
            .port("metrics", 9102)
            .service_number(80, "http")
            .probe("http")
            .label("app.kubernetes.io/version", "4.11.7"),
        deployment("shop/cart", 2, "shop/cart:2.3.0")
            .port("grpc", 7070)
            .port("metrics", 9102)
            .service(7070, "grpc")
            .probe("grpc"),
        deployment("shop/session-cache", 1, "docker.io/valkey/valkey:8.0.1")
            .port("valkey", 6379)
            .service(6379, "valkey"),
        deployment("shop/images", 2, "docker.io/nginxinc/nginx-unprivileged:1.27.3")
            .port("http", 8080)
            .service(80, "http")
            .probe("http"),
    ]
}

fn business() -> Vec<Workload> {
    vec![
        deployment("orders/orders-service", 3, "orders/service:7.0.2")
            .selector(&[("app", "orders-service")])
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        deployment("orders/orders-worker", 2, "orders/worker:7.0.2")
            .selector(&[("app", "orders-worker")])
            .port("metrics", 9102),
        stateful_set("orders/db", 1, "docker.io/library/postgres:17.2")
            .selector(&[("app", "orders-db")])
            .port("postgres", 5432)
            .service(5432, "postgres"),
        // The next three share a name and differ by component: a selector of the name alone would take all of them.
        deployment("payments/payments-api", 2, "payments/api:5.6.0")
            .selector(&[("app.kubernetes.io/name", "payments"), ("app.kubernetes.io/component", "api")])
            .port("http", 8080)
            .port("metrics", 9102)
            .service_number(8080, "http")
            .probe("http"),
        deployment("payments/risk", 2, "payments/risk:5.6.0")
            .selector(&[("app.kubernetes.io/name", "payments"), ("app.kubernetes.io/component", "risk")])
            .port("http", 8081)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        stateful_set("payments/db", 1, "docker.io/library/postgres:17.2")
            .selector(&[("app.kubernetes.io/name", "payments"), ("app.kubernetes.io/component", "db")])
            .port("postgres", 5432)
            .service(5432, "postgres")
            .protect()
            .comment("Card tokens."),
        deployment("billing/invoicer", 1, "billing/invoicer:3.1.4")
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        deployment("billing/tax", 1, "billing/tax:1.0.9").port("http", 8080).service(80, "http").probe("http"),
        stateful_set("billing/ledger-db", 1, "docker.io/library/postgres:17.2")
            .port("postgres", 5432)
            .service(5432, "postgres"),
        cron_job("billing/close-month", "0 0 1 * *", "billing/close-month:3.1.4")
            .comment("Closes the books on the first of the month."),
        deployment("inventory/api", 2, "inventory/api:2.2.0")
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        deployment("inventory/sync", 1, "inventory/sync:2.2.0").comment("Stock levels from suppliers."),
        stateful_set("inventory/db", 1, "docker.io/library/postgres:17.2")
            .port("postgres", 5432)
            .service(5432, "postgres"),
        deployment("shipping/api", 2, "shipping/api:1.18.0").port("http", 8080).service(80, "http").probe("http"),
        deployment("shipping/tracker", 1, "shipping/tracker:1.18.0").comment("Asks the carriers where parcels are."),
        deployment("search/api", 2, "search/api:6.4.0")
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        deployment("search/indexer", 1, "search/indexer:6.4.0"),
        stateful_set("search/elasticsearch", 3, "docker.elastic.co/elasticsearch/elasticsearch:8.17.0")
            .selector(&[("app", "elasticsearch")])
            .port("http", 9200)
            .port("transport", 9300)
            .service(9200, "http")
            .service(9300, "transport"),
        deployment("notifications/dispatcher", 2, "crm/dispatcher:1.7.0")
            .port("http", 8080)
            .service(80, "http")
            .probe("http"),
        deployment("notifications/mailer", 1, "crm/mailer:1.7.0").port("http", 8080).service(80, "http").probe("http"),
        deployment("notifications/push", 1, "crm/push:1.7.0").port("http", 8080).service(80, "http").probe("http"),
    ]
}

fn data() -> Vec<Workload> {
    vec![
        stateful_set("data/kafka", 3, "docker.io/apache/kafka:3.9.0")
            .selector(&[("app.kubernetes.io/name", "kafka"), ("app.kubernetes.io/instance", "main")])
            .port("clients", 9092)
            .port("controller", 9093)
            .port("replication", 9094)
            .port("metrics", 9404)
            .service(9092, "clients")
            .service(9093, "controller")
            .service(9094, "replication")
            .label("helm.sh/chart", "kafka-31.1.0"),
        deployment("data/schema-registry", 1, "docker.io/apicurio/apicurio-registry:3.0.5")
            .port("http", 8081)
            .service(80, "http")
            .probe("http"),
        stateful_set("data/object-store", 3, "quay.io/minio/minio:RELEASE.2025-01-20T14-49-07Z")
            .port("s3", 9000)
            .service(9000, "s3"),
        deployment("analytics/collector", 2, "analytics/collector:0.9.3")
            .port("http", 8080)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        stateful_set("analytics/clickhouse", 2, "docker.io/clickhouse/clickhouse-server:24.12")
            .port("http", 8123)
            .port("native", 9000)
            .port("interserver", 9009)
            .service(8123, "http")
            .service(9000, "native")
            .service(9009, "interserver"),
        deployment("analytics/dashboard", 1, "docker.io/metabase/metabase:v0.52.5")
            .port("http", 3000)
            .service(80, "http")
            .probe("http"),
        deployment("analytics/notebook", 1, "analytics/notebook:2024.11").port("http", 8888).service(80, "http"),
        deployment("ml/serving", 2, "ml/serving:1.5.0")
            .port("http", 8501)
            .port("metrics", 9102)
            .service(80, "http")
            .probe("http"),
        deployment("ml/features", 1, "ml/features:1.5.0").port("grpc", 8080).service(8080, "grpc").probe("grpc"),
        cron_job("ml/train", "0 4 * * 6", "ml/train:1.5.0").comment("Saturdays."),
    ]
}

fn platform() -> Vec<Workload> {
    vec![
        deployment("ci/controller", 1, "docker.io/jenkins/jenkins:2.479.3-lts")
            .port("http", 8080)
            .port("agents", 50000)
            .service(80, "http")
            .service(50000, "agents")
            .probe("http"),
        deployment("ci/runner", 2, "ci/runner:12").privileged(),
        deployment("ci/registry", 1, "docker.io/library/registry:2.8.3").port("http", 5000).service(5000, "http"),
        stateful_set("monitoring/prometheus", 1, "quay.io/prometheus/prometheus:v3.1.0")
            .port("http", 9090)
            .service(9090, "http")
            .probe("http"),
        stateful_set("monitoring/alertmanager", 2, "quay.io/prometheus/alertmanager:v0.28.0")
            .port("http", 9093)
            .port("gossip", 9094)
            .udp("gossip-udp", 9094)
            .service(9093, "http")
            .service(9094, "gossip")
            .probe("http"),
        deployment("monitoring/grafana", 1, "docker.io/grafana/grafana:11.4.0")
            .port("http", 3000)
            .service(80, "http")
            .probe("http"),
        deployment("monitoring/kube-state-metrics", 1, "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.14.0")
            .port("metrics", 8080)
            .service(8080, "metrics")
            .probe("metrics"),
        daemon_set("monitoring/node-exporter", "quay.io/prometheus/node-exporter:v1.8.2")
            .port("metrics", 9100)
            .service(9100, "metrics")
            .service_kind(ServiceKind::Headless)
            .host_network(),
        daemon_set("logging/fluent-bit", "docker.io/fluent/fluent-bit:3.2.4").port("http", 2020).probe("http"),
        stateful_set("logging/loki", 1, "docker.io/grafana/loki:3.3.2").port("http", 3100).service(3100, "http"),
        deployment("ingress/ingress-nginx-controller", 2, "registry.k8s.io/ingress-nginx/controller:v1.12.0")
            .selector(&[
                ("app.kubernetes.io/name", "ingress-nginx"),
                ("app.kubernetes.io/instance", "ingress-nginx"),
                ("app.kubernetes.io/component", "controller"),
            ])
            .label("helm.sh/chart", "ingress-nginx-4.12.0")
            .port("http", 80)
            .port("https", 443)
            .port("webhook", 8443)
            .port("metrics", 10254)
            .service(80, "http")
            .service(443, "https")
            .service_kind(ServiceKind::LoadBalancer)
            .probe("metrics"),
        deployment("cert-manager/cert-manager", 1, "quay.io/jetstack/cert-manager-controller:v1.16.3")
            .port("http-metrics", 9402)
            .label("app.kubernetes.io/version", "v1.16.3"),
        deployment("cert-manager/cainjector", 1, "quay.io/jetstack/cert-manager-cainjector:v1.16.3")
            .label("app.kubernetes.io/version", "v1.16.3"),
        deployment("cert-manager/webhook", 1, "quay.io/jetstack/cert-manager-webhook:v1.16.3")
            .port("https", 10250)
            .port("healthcheck", 6080)
            .service(443, "https")
            .probe("healthcheck")
            .label("app.kubernetes.io/version", "v1.16.3"),
    ]
}

fn system() -> Vec<Workload> {
    vec![
        deployment("kube-system/coredns", 2, "registry.k8s.io/coredns/coredns:v1.12.0")
            .selector(&[("k8s-app", "kube-dns")])
            .udp("dns", 53)
            .port("dns-tcp", 53)
            .port("metrics", 9153)
            .port("readiness", 8181)
            .service(53, "dns")
            .service(53, "dns-tcp")
            .service(9153, "metrics")
            .service_named("kube-dns", Some("10.96.0.10"))
            .probe("readiness"),
        deployment("kube-system/metrics-server", 1, "registry.k8s.io/metrics-server/metrics-server:v0.7.2")
            .selector(&[("k8s-app", "metrics-server")])
            .port("https", 10250)
            .service(443, "https")
            .probe("https"),
        daemon_set("kube-system/kube-proxy", "registry.k8s.io/kube-proxy:v1.32.0")
            .selector(&[("k8s-app", "kube-proxy")])
            .host_network()
            .privileged(),
        daemon_set("kube-flannel/kube-flannel-ds", "ghcr.io/flannel-io/flannel:v0.26.3")
            .selector(&[("app", "flannel")])
            .label("tier", "node")
            .host_network()
            .privileged(),
    ]
}
