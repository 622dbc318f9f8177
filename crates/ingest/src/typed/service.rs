//! Services, EndpointSlices and Ingresses.

use super::cidr;
use super::cx::{Cx, Path, quoted, shared, value};
use super::meta::Meta;
use super::pods::{address, port_number, protocol};
use crate::tree::{Entry, Node, Resolved};
use watertight_model::service::{IngressBackend, ServiceKind, ServicePort, SliceEndpoint, TargetPort};
use watertight_model::{EndpointSlice, Ingress, Labels, NamespaceId, Origin, Service};

pub(crate) fn service(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> Service {
    let path = Path::ROOT.field("spec");
    let spec = cx.object(&path, value(entries, "spec")).unwrap_or_default();
    const USED: &[&str] = &[
        "type",
        "clusterIP",
        "clusterIPs",
        "selector",
        "ports",
        "externalIPs",
        "loadBalancerSourceRanges",
        "externalTrafficPolicy",
        "externalName",
    ];
    cx.no_slips(&path, spec, USED, &["internalTrafficPolicy", "trafficDistribution"]);
    let type_at = path.field("type");
    let type_node = value(spec, "type");
    let kind = match cx.text(&type_at, type_node) {
        None | Some("ClusterIP") => ServiceKind::ClusterIp,
        Some("NodePort") => ServiceKind::NodePort,
        Some("LoadBalancer") => ServiceKind::LoadBalancer,
        Some("ExternalName") => ServiceKind::ExternalName,
        Some(other) => {
            let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            cx.unsupported(&type_at, type_node.map(|n| n.span).unwrap_or_default(), other, &known);
            ServiceKind::ClusterIp
        }
    };
    let mut headless = false;
    let mut cluster_ips = Vec::new();
    let ips_at = path.field("clusterIPs");
    let mut nodes: Vec<&Node<'_>> = value(spec, "clusterIP").into_iter().collect();
    nodes.extend(cx.list(&ips_at, value(spec, "clusterIPs")).unwrap_or_default().into_iter().map(|(_, n)| n));
    for node in nodes {
        match cx.text(&ips_at, Some(node)) {
            None | Some("") => {}
            Some("None") => headless = true,
            Some(_) => cluster_ips.extend(address(cx, &ips_at, node)),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    cluster_ips.retain(|ip| seen.insert(*ip));
    let selector: Labels = cx.labels(&path.field("selector"), value(spec, "selector"));
    let mut out = Service {
        namespace: NamespaceId(0),
        name: meta.name.clone(),
        kind,
        headless,
        cluster_ips,
        selector: (!selector.is_empty()).then_some(selector),
        ports: Vec::new(),
        external_ips: Vec::new(),
        source_ranges: Vec::new(),
        local_traffic: cx.text(&path.field("externalTrafficPolicy"), value(spec, "externalTrafficPolicy"))
            == Some("Local"),
        external_name: cx.text(&path.field("externalName"), value(spec, "externalName")).map(shared),
        origin,
    };
    let list_at = path.field("ports");
    for (i, item) in cx.list(&list_at, value(spec, "ports")).unwrap_or_default() {
        out.ports.extend(service_port(cx, &list_at.index(i), item));
    }
    let list_at = path.field("externalIPs");
    for (i, item) in cx.list(&list_at, value(spec, "externalIPs")).unwrap_or_default() {
        out.external_ips.extend(address(cx, &list_at.index(i), item));
    }
    let list_at = path.field("loadBalancerSourceRanges");
    for (i, item) in cx.list(&list_at, value(spec, "loadBalancerSourceRanges")).unwrap_or_default() {
        let at = list_at.index(i);
        if let Some(text) = cx.text(&at, Some(item)) {
            out.source_ranges.extend(cidr::block(cx, &at, text.trim(), item.span).map(|b| b.cidr));
        }
    }
    out
}

fn service_port(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<ServicePort> {
    let entries = cx.object(path, Some(node))?;
    cx.no_slips(path, entries, &["name", "protocol", "port", "targetPort", "nodePort"], &["appProtocol"]);
    let port_at = path.field("port");
    if value(entries, "port").is_none_or(Node::is_null) {
        cx.required(&port_at, node.span, "");
        return None;
    }
    let port = port_number(cx, &port_at, value(entries, "port"))?;
    let target = match value(entries, "targetPort") {
        None => None,
        Some(node) => target(cx, &path.field("targetPort"), node),
    };
    let node_port = value(entries, "nodePort").filter(|n| n.as_scalar().is_none_or(|s| s.text != "0"));
    Some(ServicePort {
        name: cx.text(&path.field("name"), value(entries, "name")).filter(|n| !n.is_empty()).map(shared),
        protocol: protocol(cx, &path.field("protocol"), value(entries, "protocol"))?,
        port,
        target: target.unwrap_or(TargetPort::Number(port)),
        node_port: port_number(cx, &path.field("nodePort"), node_port),
        origin: cx.origin(node.span),
    })
}

/// A number or a name; `0`, `""` and absent mean "as the port".
fn target(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<TargetPort> {
    let scalar = node.as_scalar();
    if scalar.is_some_and(|s| s.resolve() == Resolved::Str) {
        let name = cx.text(path, Some(node)).filter(|n| !n.is_empty())?;
        for detail in super::names::port_name(name) {
            cx.invalid(path, node.span, &quoted(name), detail);
        }
        return Some(TargetPort::Named(shared(name)));
    }
    if scalar.is_some_and(|s| s.text == "0") {
        return None;
    }
    port_number(cx, path, Some(node)).map(TargetPort::Number)
}

pub(crate) fn endpoint_slice(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> EndpointSlice {
    let root = Path::ROOT;
    let mut endpoints = Vec::new();
    let list_at = root.field("endpoints");
    for (i, item) in cx.list(&list_at, value(entries, "endpoints")).unwrap_or_default() {
        let at = list_at.index(i);
        let Some(fields) = cx.object(&at, Some(item)) else { continue };
        let mut addresses = Vec::new();
        let addresses_at = at.field("addresses");
        for (j, item) in cx.list(&addresses_at, value(fields, "addresses")).unwrap_or_default() {
            // FQDN slices have names here; they are nobody's endpoint that a policy could name.
            if cx.text(&addresses_at.index(j), Some(item)).is_some_and(|t| t.parse::<std::net::IpAddr>().is_ok()) {
                addresses.extend(address(cx, &addresses_at.index(j), item));
            }
        }
        let conditions_at = at.field("conditions");
        let conditions = cx.object(&conditions_at, value(fields, "conditions")).unwrap_or_default();
        let ready = cx.flag(&conditions_at.field("ready"), value(conditions, "ready")).unwrap_or(true);
        let target_at = at.field("targetRef");
        let target = cx.object(&target_at, value(fields, "targetRef")).unwrap_or_default();
        let is_pod = cx.text(&target_at.field("kind"), value(target, "kind")) == Some("Pod");
        let name = cx.text(&target_at.field("name"), value(target, "name")).map(shared);
        let namespace = cx.text(&target_at.field("namespace"), value(target, "namespace")).map(shared);
        let pod = name.filter(|_| is_pod).map(|name| (namespace.unwrap_or_else(|| meta.namespace.clone()), name));
        endpoints.push(SliceEndpoint { addresses, pod, ready });
    }
    let mut ports = Vec::new();
    let list_at = root.field("ports");
    for (i, item) in cx.list(&list_at, value(entries, "ports")).unwrap_or_default() {
        let at = list_at.index(i);
        let Some(fields) = cx.object(&at, Some(item)) else { continue };
        let name = cx.text(&at.field("name"), value(fields, "name")).filter(|n| !n.is_empty()).map(shared);
        let Some(protocol) = protocol(cx, &at.field("protocol"), value(fields, "protocol")) else { continue };
        ports.push((name, protocol, port_number(cx, &at.field("port"), value(fields, "port"))));
    }
    let managed = meta.labels.get("endpointslice.kubernetes.io/managed-by").is_some_and(|v| v.ends_with(".k8s.io"));
    EndpointSlice {
        namespace: NamespaceId(0),
        name: meta.name.clone(),
        service: meta.labels.get("kubernetes.io/service-name").cloned(),
        endpoints,
        ports,
        managed,
        origin,
    }
}

pub(crate) fn ingress(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> Ingress {
    let path = Path::ROOT.field("spec");
    let spec = cx.object(&path, value(entries, "spec")).unwrap_or_default();
    cx.no_slips(&path, spec, &["ingressClassName", "defaultBackend", "rules"], &[]);
    let mut backends = Vec::new();
    if let Some(node) = value(spec, "defaultBackend").filter(|n| !n.is_null()) {
        backends.extend(backend(cx, &path.field("defaultBackend"), node));
    }
    let rules_at = path.field("rules");
    for (i, rule) in cx.list(&rules_at, value(spec, "rules")).unwrap_or_default() {
        let rule_at = rules_at.index(i);
        let fields = cx.object(&rule_at, Some(rule)).unwrap_or_default();
        let http_at = rule_at.field("http");
        let http = cx.object(&http_at, value(fields, "http")).unwrap_or_default();
        let paths_at = http_at.field("paths");
        for (j, item) in cx.list(&paths_at, value(http, "paths")).unwrap_or_default() {
            let at = paths_at.index(j);
            let fields = cx.object(&at, Some(item)).unwrap_or_default();
            if let Some(node) = value(fields, "backend").filter(|n| !n.is_null()) {
                backends.extend(backend(cx, &at.field("backend"), node));
            }
        }
    }
    let class = cx.text(&path.field("ingressClassName"), value(spec, "ingressClassName")).map(shared);
    Ingress { namespace: NamespaceId(0), name: meta.name.clone(), class, backends, origin }
}

fn backend(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<IngressBackend> {
    let entries = cx.object(path, Some(node))?;
    let service_at = path.field("service");
    // A `resource` backend is no Service: nothing that a policy could name.
    let service = cx.object(&service_at, value(entries, "service"))?;
    let name = cx.text(&service_at.field("name"), value(service, "name"))?;
    let port_at = service_at.field("port");
    let port = cx.object(&port_at, value(service, "port")).unwrap_or_default();
    let port = match cx.text(&port_at.field("name"), value(port, "name")) {
        Some(name) => TargetPort::Named(shared(name)),
        None => TargetPort::Number(port_number(cx, &port_at.field("number"), value(port, "number"))?),
    };
    Some(IngressBackend { service: shared(name), port, origin: cx.origin(node.span) })
}
