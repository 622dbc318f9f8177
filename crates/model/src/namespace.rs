//! Namespaces.

use crate::label::{Labels, Str};
use crate::origin::Origin;

/// A namespace, declared by an object or implied by the objects inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: Str,
    /// Its labels; `kubernetes.io/metadata.name` is always among them.
    pub labels: Labels,
    /// Annotations, as far as the reader keeps them (`watertight.dev/*`).
    pub annotations: Labels,
    /// False if no Namespace object was read. Then only `kubernetes.io/metadata.name` is known: whether a selector on
    /// any other key matches is unclear ([`crate::DependsOn::NamespaceLabels`]).
    pub declared: bool,
    /// Being deleted.
    pub terminating: bool,
    /// The Namespace object, if there is one.
    pub origin: Option<Origin>,
}
