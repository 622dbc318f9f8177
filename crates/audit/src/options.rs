//! What the user may set, and what the audit is told from outside: the day, the clock, what readers noticed.

use crate::finding::{Finding, Severity};
use crate::observed::Observed;
use crate::rules::table;
use core::time::Duration;
use std::net::IpAddr;
use watertight_model::{Origin, Protocol};

/// Options of one audit.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// Namespace label keys that name an environment, most telling first.
    pub environment_keys: Vec<String>,
    /// Environments from least to most trusted.
    pub environments: Vec<String>,
    /// Namespaces that serve every other one (monitoring, ingress): crossing into or out of them is meant.
    pub shared_namespaces: Vec<String>,
    /// Workloads as `namespace/name` that are protected beside those with the annotation `watertight.dev/protect: "true"`.
    pub protected: Vec<String>,
    /// Ports of data stores and administration, with what usually listens there.
    pub sensitive_ports: Vec<(Protocol, u16, String)>,
    /// Addresses at which clouds hand out credentials.
    pub metadata: Vec<IpAddr>,
    /// Share of workloads (0 to 1) that one workload may reach; `None`: any.
    pub blast_budget: Option<f64>,
    /// How many hops WT0073 follows.
    pub protected_hops: usize,
    /// How many workloads may reach a sensitive port.
    pub sensitive_clients: usize,
    /// The day, as `YYYY-MM-DD`; `None`: no suppression expires.
    pub today: Option<String>,
    /// A clock that only goes forward; `None`: lints take what time they need.
    pub clock: Option<fn() -> Duration>,
    /// How long one lint may take.
    pub lint_time: Duration,
    /// What the readers noticed and did not refuse.
    pub noticed: Vec<Noticed>,
    /// Try every fix before it is shown, by an audit of the world with it (worlds of up to 2,000 pods, 200 fixes); the title of one that
    /// was not tried says so.
    pub try_fixes: bool,
    /// Recorded connections; `None`: no recording was given.
    pub observed: Option<Observed>,
}

/// Something that readers noticed, to be reported as a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The lint's code; what has none of the catalogue is left out.
    pub code: &'static str,
    /// An error did not refuse the input (it cannot happen), a warning did not either.
    pub severity: Severity,
    /// As [`Finding::message`].
    pub message: String,
    /// As [`Finding::object`]; empty: the input.
    pub object: String,
    /// As [`Finding::at`].
    pub at: Option<Origin>,
    /// As [`Finding::help`].
    pub help: Option<String>,
}

impl Noticed {
    pub(crate) fn finding(&self) -> Option<Finding> {
        let lint = table().iter().find(|l| l.code == self.code)?;
        let object = if self.object.is_empty() { "the input".to_owned() } else { self.object.clone() };
        let mut finding = lint.finding(object, self.at, self.message.clone()).at_severity(self.severity);
        finding.help.clone_from(&self.help);
        finding.affected = 1;
        Some(finding)
    }
}

impl Default for AuditOptions {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect();
        Self {
            environment_keys: list(&["env", "environment", "stage"]),
            environments: list(&[
                "dev",
                "development",
                "test",
                "qa",
                "staging",
                "stage",
                "preprod",
                "prod",
                "production",
            ]),
            shared_namespaces: list(&["kube-system", "monitoring", "ingress-nginx", "ingress", "istio-system"]),
            protected: Vec::new(),
            sensitive_ports: SENSITIVE.iter().map(|(port, what)| (Protocol::Tcp, *port, (*what).to_owned())).collect(),
            metadata: METADATA.iter().filter_map(|ip| ip.parse().ok()).collect(),
            blast_budget: None,
            protected_hops: 4,
            sensitive_clients: 10,
            today: None,
            clock: None,
            lint_time: Duration::from_secs(20),
            noticed: Vec::new(),
            try_fixes: true,
            observed: None,
        }
    }
}

/// The address that AWS, Azure, Google and most others share, and AWS over IPv6. Addresses of one cloud only (168.63.129.16 of
/// Azure, 100.100.100.200 of Alibaba, 169.254.170.2 of ECS) are for those who run there to add: elsewhere they are noise.
const METADATA: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];

/// TCP ports of data stores and administration (IANA, and the vendors' defaults). Not the kubelet's 10250: no pod is one, and
/// webhooks and metrics-server usually listen there.
const SENSITIVE: [(u16, &str); 21] = [
    (22, "SSH"),
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (2375, "the Docker API"),
    (2376, "the Docker API"),
    (2379, "etcd"),
    (2380, "etcd"),
    (3306, "MySQL"),
    (3389, "RDP"),
    (5432, "PostgreSQL"),
    (5900, "VNC"),
    (5984, "CouchDB"),
    (6379, "Redis"),
    (8200, "Vault"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (9200, "Elasticsearch"),
    (9300, "Elasticsearch"),
    (11211, "memcached"),
    (26257, "CockroachDB"),
    (27017, "MongoDB"),
];
