//! Pods: what policies select and what traffic comes from.

use crate::label::{Labels, Str};
use crate::origin::Origin;
use crate::port::Protocol;
use crate::world::{NamespaceId, NodeId, WorkloadId};
use std::net::IpAddr;

/// A pod, real or standing for the pods that a workload's template will make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name; for a template the workload's name (StatefulSets: `name-0`, `name-1`, ...).
    pub name: Str,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its owner; a pod without one is its own workload of kind `Pod`.
    pub workload: WorkloadId,
    /// Its labels.
    pub labels: Labels,
    /// `metadata.uid`, which the kubelet names its control groups after. `None`: not read from an API server.
    pub uid: Option<Str>,
    /// The node it runs on. `None`: not scheduled, a template, or a node that is not in the input.
    pub node: Option<NodeId>,
    /// Shares its node's network namespace: no address of its own, and NetworkPolicy does not see it as a pod.
    pub host_network: bool,
    /// Its addresses (two for dual stack). Empty: unknown. For a hostNetwork pod these are its node's.
    pub ips: Vec<IpAddr>,
    /// Declared ports, in spec order: containers, then init containers.
    pub ports: Vec<ContainerPort>,
    /// Phase Succeeded or Failed: neither subject nor peer; its address may already be another pod's.
    pub finished: bool,
    /// Being deleted; still subject and peer.
    pub terminating: bool,
    /// Stands for future pods of its workload; no Pod object was read.
    pub template: bool,
    /// Where it looks names up.
    pub dns: Dns,
    /// Can act as its node: privileged, `hostPID`, or a host path to the container runtime.
    pub node_privilege: Option<NodePrivilege>,
    /// The Pod object, or the workload's pod template.
    pub origin: Origin,
}

/// A declared container port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPort {
    /// Its name, if it has one.
    pub name: Option<Str>,
    /// Port number in the pod, 1 to 65535.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Port on the node, if mapped.
    pub host_port: Option<u16>,
    /// What kind of container declares it.
    pub container: ContainerKind,
}

/// Which list of the pod spec a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerKind {
    /// `containers`.
    Regular,
    /// `initContainers` with `restartPolicy: Always`.
    Sidecar,
    /// Any other init container: its named ports do not count in allow rules, and do in deny rules (semantics row 60).
    Init,
}

/// `dnsPolicy` and `dnsConfig`, as far as they say where queries go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// `dnsPolicy`.
    pub policy: DnsPolicy,
    /// `dnsConfig.nameservers`.
    pub nameservers: Vec<IpAddr>,
}

/// `dnsPolicy`. Source: Pod API, `spec.dnsPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsPolicy {
    /// The cluster DNS Service (the default; for a hostNetwork pod it falls back to `Default`).
    #[default]
    ClusterFirst,
    /// The cluster DNS Service, also for hostNetwork pods.
    ClusterFirstWithHostNet,
    /// The node's resolver configuration.
    Default,
    /// Only `dnsConfig`.
    None,
}

/// Why whoever takes the pod has its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodePrivilege {
    /// A container with `securityContext.privileged: true`.
    Privileged,
    /// `hostPID: true`.
    HostPid,
    /// A `hostPath` volume that holds the container runtime's socket, the kubelet's directory or the root file system.
    HostPath,
}
