//! Labels: string pairs on pods, namespaces and nodes.

use std::sync::Arc;

/// A shared, immutable string. Names and labels repeat a lot in a cluster; readers intern them.
pub type Str = Arc<str>;

/// The label that the control plane puts on every namespace, with the namespace's name as its value; it is immutable.
/// Source: <https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name>.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The annotation by which a pod asks for interfaces beside the primary one.
/// Source: <https://github.com/k8snetworkplumbingwg/multi-net-spec>, version 1.3.
pub const SECONDARY_NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// A set of labels: keys are unique and sorted. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Str, Str)]>);

impl Labels {
    /// Sorts the pairs by key. If a key comes twice the later value wins; readers refuse such input before this point.
    pub fn new(pairs: impl IntoIterator<Item = (Str, Str)>) -> Self {
        let map: std::collections::BTreeMap<Str, Str> = pairs.into_iter().collect();
        Self(map.into_iter().collect())
    }

    /// Labels from string literals, for tests and examples.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self::new(pairs.iter().map(|(k, v)| (Str::from(*k), Str::from(*v))))
    }

    /// The value of `key`; `Some("")` for a label that is present and empty, `None` for one that is absent.
    pub fn get(&self, key: &str) -> Option<&Str> {
        self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok().map(|i| &self.0[i].1)
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &Str)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same labels with `key` set to `value`.
    pub fn with(&self, key: &str, value: &str) -> Self {
        let kept = self.0.iter().filter(|(k, _)| **k != *key).cloned();
        Self::new(kept.chain([(Str::from(key), Str::from(value))]))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from(Vec::new()))
    }
}
