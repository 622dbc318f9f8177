//! Workloads: what people name when they mean "these pods".

use crate::label::{Labels, Str};
use crate::origin::Origin;
use crate::selector::Selector;
use crate::world::NamespaceId;
use std::fmt;

/// A controller of pods, or a pod without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Str,
    /// Labels of its pod template (of the pod itself for kind `Pod`).
    pub template_labels: Labels,
    /// `spec.selector`, where the kind has one that people write.
    pub selector: Option<Selector>,
    /// Wanted replicas, where the kind has them.
    pub replicas: Option<u32>,
    /// Cron expression of a CronJob.
    pub schedule: Option<Str>,
    /// A headless Service by which a StatefulSet names its pods.
    pub service_name: Option<Str>,
    /// Container images (they tell which network plugin runs).
    pub images: Vec<Str>,
    /// Annotations, as far as the reader keeps them: `watertight.dev/*`, and of the pods or their template
    /// [`crate::label::SECONDARY_NETWORKS`].
    pub annotations: Labels,
    /// The object.
    pub origin: Origin,
}

/// Kinds of workload, top-most owner first: a Deployment's ReplicaSet is not a workload of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `apps/v1` ReplicaSet without a Deployment.
    ReplicaSet,
    /// `batch/v1` CronJob.
    CronJob,
    /// `batch/v1` Job without a CronJob.
    Job,
    /// A pod without an owner that was read.
    Pod,
}

impl WorkloadKind {
    /// The API kind.
    pub fn name(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::StatefulSet => "StatefulSet",
            WorkloadKind::DaemonSet => "DaemonSet",
            WorkloadKind::ReplicaSet => "ReplicaSet",
            WorkloadKind::CronJob => "CronJob",
            WorkloadKind::Job => "Job",
            WorkloadKind::Pod => "Pod",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
