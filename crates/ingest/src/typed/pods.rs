//! Pods and pod templates, as far as policy and the auditor care. Real pod specs have hundreds of fields: only the ones that
//! are read are typed; a key that is a slip away from one of them is an error.

use super::cx::{Cx, Path, shared, value};
use super::names::PORT_RANGE;
use crate::tree::{Entry, Node};
use std::net::IpAddr;
use watertight_model::pod::{Dns, DnsPolicy, NodePrivilege};
use watertight_model::{ContainerKind, ContainerPort, Protocol, Str};

/// What a pod spec says.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodSpec {
    pub(crate) node: Option<Str>,
    pub(crate) host_network: bool,
    pub(crate) ports: Vec<ContainerPort>,
    pub(crate) dns: Dns,
    pub(crate) node_privilege: Option<NodePrivilege>,
    pub(crate) images: Vec<Str>,
}

/// What a pod's status says.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodStatus {
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) finished: bool,
}

pub(crate) fn spec(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> PodSpec {
    let Some(entries) = cx.object(path, node) else { return PodSpec::default() };
    const USED: &[&str] =
        &["hostNetwork", "hostPID", "nodeName", "containers", "initContainers", "dnsPolicy", "dnsConfig", "volumes"];
    cx.no_slips(path, entries, USED, &["hostIPC", "hostname", "nodeSelector"]);
    let mut out = PodSpec {
        node: cx.text(&path.field("nodeName"), value(entries, "nodeName")).filter(|n| !n.is_empty()).map(shared),
        host_network: cx.flag(&path.field("hostNetwork"), value(entries, "hostNetwork")).unwrap_or(false),
        dns: dns(cx, path, entries),
        ..PodSpec::default()
    };
    let mut privileged = false;
    for (field, init) in [("containers", false), ("initContainers", true)] {
        let at = path.field(field);
        for (i, item) in cx.list(&at, value(entries, field)).unwrap_or_default() {
            container(cx, &at.index(i), item, init, out.host_network, &mut out.ports, &mut out.images, &mut privileged);
        }
    }
    let host_pid = cx.flag(&path.field("hostPID"), value(entries, "hostPID")).unwrap_or(false);
    out.node_privilege = if privileged {
        Some(NodePrivilege::Privileged)
    } else if host_pid {
        Some(NodePrivilege::HostPid)
    } else if mounts_the_node(cx, &path.field("volumes"), value(entries, "volumes")) {
        Some(NodePrivilege::HostPath)
    } else {
        None
    };
    out
}

fn dns(cx: &mut Cx<'_>, path: &Path<'_>, entries: &[Entry<'_>]) -> Dns {
    let at = path.field("dnsPolicy");
    let node = value(entries, "dnsPolicy");
    let policy = match cx.text(&at, node) {
        None | Some("ClusterFirst") => DnsPolicy::ClusterFirst,
        Some("ClusterFirstWithHostNet") => DnsPolicy::ClusterFirstWithHostNet,
        Some("Default") => DnsPolicy::Default,
        Some("None") => DnsPolicy::None,
        Some(other) => {
            let supported = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
            cx.unsupported(&at, node.map(|n| n.span).unwrap_or_default(), other, &supported);
            DnsPolicy::ClusterFirst
        }
    };
    let config_at = path.field("dnsConfig");
    let config = cx.object(&config_at, value(entries, "dnsConfig")).unwrap_or_default();
    let servers_at = config_at.field("nameservers");
    let mut nameservers = Vec::new();
    for (i, item) in cx.list(&servers_at, value(config, "nameservers")).unwrap_or_default() {
        nameservers.extend(address(cx, &servers_at.index(i), item));
    }
    Dns { policy, nameservers }
}

/// An IP address; anything else is an error.
pub(crate) fn address(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<IpAddr> {
    let text = cx.text(path, Some(node))?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        cx.invalid(
            path,
            node.span,
            &super::cx::quoted(text),
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
    }
    parsed
}

#[expect(clippy::too_many_arguments, reason = "three sinks of one pass over a container")]
fn container(
    cx: &mut Cx<'_>,
    path: &Path<'_>,
    node: &Node<'_>,
    init: bool,
    host_network: bool,
    ports: &mut Vec<ContainerPort>,
    images: &mut Vec<Str>,
    privileged: &mut bool,
) {
    let Some(entries) = cx.object(path, Some(node)) else { return };
    cx.no_slips(path, entries, &["ports", "image", "securityContext", "restartPolicy"], &[]);
    images.extend(cx.text(&path.field("image"), value(entries, "image")).map(shared));
    let context_at = path.field("securityContext");
    let context = cx.object(&context_at, value(entries, "securityContext")).unwrap_or_default();
    *privileged |= cx.flag(&context_at.field("privileged"), value(context, "privileged")).unwrap_or(false);
    let always = cx.text(&path.field("restartPolicy"), value(entries, "restartPolicy")) == Some("Always");
    let container = match (init, always) {
        (false, _) => ContainerKind::Regular,
        (true, true) => ContainerKind::Sidecar,
        (true, false) => ContainerKind::Init,
    };
    let ports_at = path.field("ports");
    for (i, item) in cx.list(&ports_at, value(entries, "ports")).unwrap_or_default() {
        ports.extend(container_port(cx, &ports_at.index(i), item, container, host_network));
    }
}

fn container_port(
    cx: &mut Cx<'_>,
    path: &Path<'_>,
    node: &Node<'_>,
    container: ContainerKind,
    host_network: bool,
) -> Option<ContainerPort> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["name", "containerPort", "protocol", "hostPort", "hostIP"], &[]);
    let port_at = path.field("containerPort");
    if value(entries, "containerPort").is_none_or(Node::is_null) {
        cx.required(&port_at, node.span, "");
        return None;
    }
    let port = port_number(cx, &port_at, value(entries, "containerPort"))?;
    let host_at = path.field("hostPort");
    let host_port = value(entries, "hostPort").filter(|n| n.as_scalar().is_none_or(|s| s.text != "0"));
    let host_port = port_number(cx, &host_at, host_port);
    let name = cx.text(&path.field("name"), value(entries, "name")).filter(|n| !n.is_empty()).map(shared);
    let protocol = protocol(cx, &path.field("protocol"), value(entries, "protocol"))?;
    // With hostNetwork the container's port is the node's: that is no mapping.
    let host_port = host_port.filter(|_| !host_network);
    Some(ContainerPort { name, port, protocol, host_port, container })
}

/// A port number, 1 to 65535.
pub(crate) fn port_number(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<u16> {
    let number = cx.int(path, node)?;
    let port = u16::try_from(number).ok().filter(|n| *n > 0);
    if port.is_none() {
        cx.invalid(path, node.map(|n| n.span).unwrap_or_default(), &number.to_string(), PORT_RANGE);
    }
    port
}

/// A protocol; absent means TCP.
pub(crate) fn protocol(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<Protocol> {
    let Some(text) = cx.text(path, node).filter(|t| !t.is_empty()) else { return Some(Protocol::Tcp) };
    let protocol = Protocol::parse(text);
    if protocol.is_none() {
        cx.unsupported(path, node.map(|n| n.span).unwrap_or_default(), text, &["SCTP", "TCP", "UDP"]);
    }
    protocol
}

/// Host paths through which a container is as good as its node.
fn mounts_the_node(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> bool {
    const OWNED: [&str; 5] = ["/var/lib/kubelet", "/etc/cni", "/opt/cni", "/etc/kubernetes", "/proc"];
    const SOCKETS: [&str; 4] = ["docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock"];
    let mut found = false;
    for (i, item) in cx.list(path, node).unwrap_or_default() {
        let at = path.index(i);
        let entries = cx.object(&at, Some(item)).unwrap_or_default();
        let host_at = at.field("hostPath");
        let host = cx.object(&host_at, value(entries, "hostPath")).unwrap_or_default();
        if let Some(text) = cx.text(&host_at.field("path"), value(host, "path")) {
            let trimmed = text.trim_end_matches('/');
            let within =
                |dir: &str| trimmed == dir || trimmed.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
            found |=
                trimmed.is_empty() || OWNED.iter().any(|d| within(d)) || SOCKETS.iter().any(|s| trimmed.ends_with(s));
        }
    }
    found
}

pub(crate) fn status(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> PodStatus {
    let Some(entries) = cx.object(path, node) else { return PodStatus::default() };
    let mut ips: Vec<IpAddr> = Vec::new();
    let list_at = path.field("podIPs");
    for (i, item) in cx.list(&list_at, value(entries, "podIPs")).unwrap_or_default() {
        let at = list_at.index(i);
        let fields = cx.object(&at, Some(item)).unwrap_or_default();
        if let Some(ip) = value(fields, "ip") {
            ips.extend(address(cx, &at.field("ip"), ip));
        }
    }
    if let Some(ip) = value(entries, "podIP").filter(|n| n.as_scalar().is_some_and(|s| !s.text.is_empty())) {
        ips.extend(address(cx, &path.field("podIP"), ip));
    }
    let mut seen = std::collections::BTreeSet::new();
    ips.retain(|ip| seen.insert(*ip));
    let finished = matches!(cx.text(&path.field("phase"), value(entries, "phase")), Some("Succeeded" | "Failed"));
    PodStatus { ips, finished }
}
