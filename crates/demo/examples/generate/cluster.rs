//! What a cluster is made of, as the tables in `sample.rs` state it. Manifests, pods and flows are all written from here,
//! so that they cannot disagree.

/// A namespace with what its file says about it.
pub(crate) struct Namespace {
    pub(crate) name: &'static str,
    /// First line of its file.
    pub(crate) about: &'static str,
    pub(crate) labels: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Deployment => "Deployment",
            Kind::StatefulSet => "StatefulSet",
            Kind::DaemonSet => "DaemonSet",
            Kind::CronJob => "CronJob",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        }
    }
}

/// A container port.
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
}

/// A port of the workload's Service: number, and the container port it leads to by name.
pub(crate) struct ServicePort {
    pub(crate) port: u16,
    pub(crate) target: &'static str,
    /// Write the number instead of the name.
    pub(crate) by_number: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceKind {
    ClusterIp,
    Headless,
    NodePort(u16),
    LoadBalancer,
}

/// A workload with its Service, if it has one.
pub(crate) struct Workload {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) replicas: u8,
    pub(crate) image: &'static str,
    /// `spec.selector.matchLabels`.
    pub(crate) selector: Vec<(&'static str, &'static str)>,
    /// Further labels of the template, such as the version.
    pub(crate) more_labels: Vec<(&'static str, &'static str)>,
    pub(crate) ports: Vec<Port>,
    /// Name of the Service; the workload's own unless stated.
    pub(crate) service_name: &'static str,
    pub(crate) service: Vec<ServicePort>,
    pub(crate) service_kind: ServiceKind,
    pub(crate) cluster_ip: Option<&'static str>,
    /// Port that kubelet probes.
    pub(crate) probe: Option<&'static str>,
    pub(crate) schedule: Option<&'static str>,
    pub(crate) host_network: bool,
    pub(crate) privileged: bool,
    /// `watertight.dev/protect`: what must not be in reach.
    pub(crate) protect: bool,
    /// Comment above the object.
    pub(crate) comment: Option<&'static str>,
}

fn workload(place: &'static str, kind: Kind, replicas: u8, image: &'static str) -> Workload {
    let (namespace, name) = place.split_once('/').unwrap_or(("default", place));
    Workload {
        namespace,
        name,
        kind,
        replicas,
        image,
        selector: vec![("app.kubernetes.io/name", name), ("app.kubernetes.io/part-of", namespace)],
        more_labels: Vec::new(),
        ports: Vec::new(),
        service_name: name,
        service: Vec::new(),
        service_kind: ServiceKind::ClusterIp,
        cluster_ip: None,
        probe: None,
        schedule: None,
        host_network: false,
        privileged: false,
        protect: false,
        comment: None,
    }
}

pub(crate) fn deployment(place: &'static str, replicas: u8, image: &'static str) -> Workload {
    workload(place, Kind::Deployment, replicas, image)
}

/// A StatefulSet with a headless Service of its own name.
pub(crate) fn stateful_set(place: &'static str, replicas: u8, image: &'static str) -> Workload {
    let mut this = workload(place, Kind::StatefulSet, replicas, image);
    this.service_kind = ServiceKind::Headless;
    this
}

/// A DaemonSet: one pod on each of the three nodes.
pub(crate) fn daemon_set(place: &'static str, image: &'static str) -> Workload {
    workload(place, Kind::DaemonSet, 3, image)
}

pub(crate) fn cron_job(place: &'static str, schedule: &'static str, image: &'static str) -> Workload {
    let mut this = workload(place, Kind::CronJob, 0, image);
    this.schedule = Some(schedule);
    this
}

impl Workload {
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub(crate) fn port(mut self, name: &'static str, number: u16) -> Self {
        self.ports.push(Port { name, number, protocol: Protocol::Tcp });
        self
    }

    pub(crate) fn udp(mut self, name: &'static str, number: u16) -> Self {
        self.ports.push(Port { name, number, protocol: Protocol::Udp });
        self
    }

    /// A port of its Service, leading to a container port by name.
    pub(crate) fn service(mut self, port: u16, target: &'static str) -> Self {
        self.service.push(ServicePort { port, target, by_number: false });
        self
    }

    /// The same, with `targetPort` written as a number.
    pub(crate) fn service_number(mut self, port: u16, target: &'static str) -> Self {
        self.service.push(ServicePort { port, target, by_number: true });
        self
    }

    pub(crate) fn service_kind(mut self, kind: ServiceKind) -> Self {
        self.service_kind = kind;
        self
    }

    pub(crate) fn service_named(mut self, name: &'static str, cluster_ip: Option<&'static str>) -> Self {
        self.service_name = name;
        self.cluster_ip = cluster_ip;
        self
    }

    pub(crate) fn probe(mut self, port: &'static str) -> Self {
        self.probe = Some(port);
        self
    }

    pub(crate) fn selector(mut self, labels: &[(&'static str, &'static str)]) -> Self {
        self.selector = labels.to_vec();
        self
    }

    pub(crate) fn label(mut self, key: &'static str, value: &'static str) -> Self {
        self.more_labels.push((key, value));
        self
    }

    pub(crate) fn host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    pub(crate) fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    pub(crate) fn protect(mut self) -> Self {
        self.protect = true;
        self
    }

    pub(crate) fn comment(mut self, text: &'static str) -> Self {
        self.comment = Some(text);
        self
    }

    /// Labels of its pod template.
    pub(crate) fn template_labels(&self) -> Vec<(&'static str, &'static str)> {
        self.selector.iter().chain(&self.more_labels).copied().collect()
    }

    /// The container port of this name.
    pub(crate) fn port_number(&self, name: &str) -> Option<u16> {
        self.ports.iter().find(|p| p.name == name).map(|p| p.number)
    }

    /// The image with its registry; names with a host part are complete already.
    pub(crate) fn image_reference(&self) -> String {
        let complete = self.image.split('/').next().is_some_and(|host| host.contains('.'));
        if complete { self.image.to_owned() } else { format!("registry.example.com/{}", self.image) }
    }
}

/// A node.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
    /// Third octet of its `/24` in 10.244.0.0/16.
    pub(crate) subnet: u8,
    pub(crate) zone: &'static str,
    pub(crate) control_plane: bool,
}

pub(crate) const NODES: [Node; 3] = [
    Node { name: "node-1", address: "192.168.49.2", subnet: 0, zone: "a", control_plane: true },
    Node { name: "node-2", address: "192.168.49.3", subnet: 1, zone: "b", control_plane: false },
    Node { name: "node-3", address: "192.168.49.4", subnet: 2, zone: "c", control_plane: false },
];
