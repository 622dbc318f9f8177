//! What the user may set.

/// Options of [`crate::learn`]. The defaults are for a first default-deny in a running cluster.
#[derive(Clone, Debug)]
pub struct LearnOptions {
    /// Namespaces that get no policies.
    pub skip_namespaces: Vec<String>,
    /// Only these namespaces get policies; empty: all others than the skipped ones.
    pub only_namespaces: Vec<String>,
    /// Isolate for ingress.
    pub ingress: bool,
    /// Isolate for egress.
    pub egress: bool,
    /// An edge must have been seen on this many distinct days to be accepted without a person.
    pub min_days: u32,
    /// Namespace label keys that name an environment: an edge between two environments is never accepted without a person.
    pub environment_keys: Vec<String>,
    /// Accept edges between environments as well.
    pub accept_cross_environment: bool,
    /// Blocks per rule for addresses outside the cluster, at most.
    pub max_blocks: usize,
    /// The widest block that several addresses may be merged into, as prefix lengths for IPv4 and IPv6.
    pub widest: (u8, u8),
    /// Allow DNS to the cluster's DNS servers for every workload that is isolated for egress.
    pub dns: bool,
    /// Write the evidence as comments above each rule.
    pub comments: bool,
}

impl Default for LearnOptions {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect();
        Self {
            skip_namespaces: list(&[
                "kube-system",
                "kube-public",
                "kube-node-lease",
                "kube-flannel",
                "calico-system",
                "tigera-operator",
            ]),
            only_namespaces: Vec::new(),
            ingress: true,
            egress: true,
            min_days: 1,
            environment_keys: list(&["env", "environment", "stage"]),
            accept_cross_environment: false,
            max_blocks: 8,
            widest: (24, 64),
            dns: true,
            comments: true,
        }
    }
}
