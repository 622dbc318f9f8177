//! ClusterNetworkPolicy v1alpha2, AdminNetworkPolicy and BaselineAdminNetworkPolicy v1alpha1.
//! Source: `sigs.k8s.io/network-policy-api`, CRD schemas and their CEL rules.

use super::cidr;
use super::cx::{Cx, Path, quoted, shared, value};
use super::meta::Meta;
use super::names::PORT_RANGE;
use super::selector::selector;
use crate::tree::{Entry, Node};
use watertight_model::cluster_policy::{ClusterPolicyKind, Subject};
use watertight_model::{
    Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, Origin, PortMatch, Protocol, Selector,
    Tier,
};

/// Lists of the v1alpha2 CRD hold at most this many items; those of v1alpha1 100.
fn most(kind: ClusterPolicyKind) -> usize {
    if kind == ClusterPolicyKind::ClusterNetworkPolicy { 25 } else { 100 }
}

pub(crate) fn read(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    meta: &Meta,
    entries: &[Entry<'_>],
    whole: &Node<'_>,
) -> ClusterPolicy {
    let root = Path::ROOT;
    cx.only(
        &root,
        entries,
        &["apiVersion", "kind", "metadata", "spec", "status"],
        &["tier", "priority", "subject", "ingress", "egress"].map(|k| (k, "it belongs under `spec`")),
    );
    let path = root.field("spec");
    let spec_node = value(entries, "spec");
    let spec = cx.object(&path, spec_node).unwrap_or_default();
    let here = spec_node.map_or(whole.span, |n| n.span);
    let known: &[&str] = match kind {
        ClusterPolicyKind::ClusterNetworkPolicy => &["tier", "priority", "subject", "ingress", "egress"],
        ClusterPolicyKind::AdminNetworkPolicy => &["priority", "subject", "ingress", "egress"],
        ClusterPolicyKind::BaselineAdminNetworkPolicy => &["subject", "ingress", "egress"],
    };
    cx.only(&path, spec, known, &[]);
    if kind == ClusterPolicyKind::BaselineAdminNetworkPolicy && *meta.name != *"default" {
        let message = "metadata.name: Invalid value: Only one baseline admin network policy with metadata.name=\"default\" can be created in the cluster";
        cx.error("WT0004", &root.field("metadata"), whole.span, message.to_owned(), None);
    }
    let tier = tier(cx, kind, &path.field("tier"), value(spec, "tier"), here);
    let priority = if kind == ClusterPolicyKind::BaselineAdminNetworkPolicy {
        0
    } else {
        priority(cx, &path.field("priority"), value(spec, "priority"), here)
    };
    let subject_node = value(spec, "subject").filter(|n| !n.is_null());
    let subject_at = path.field("subject");
    let subject = match subject_node {
        Some(node) => subject(cx, kind, &subject_at, node),
        None => {
            cx.required(&subject_at, here, "");
            None
        }
    };
    let origin = cx.origin(whole.span);
    let mut rules = |name: &str, egress: bool| rules(cx, kind, &path.field(name), value(spec, name), egress);
    let (ingress, egress) = (rules("ingress", false), rules("egress", true));
    ClusterPolicy {
        kind,
        name: meta.name.clone(),
        tier,
        priority,
        subject: subject.unwrap_or(Subject { namespaces: Selector::everything(), pods: Selector::everything() }),
        ingress,
        egress,
        annotations: meta.own_annotations(),
        origin,
        subject_origin: subject_node.map_or(origin, |n| cx.origin(n.span)),
    }
}

fn tier(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    path: &Path<'_>,
    node: Option<&Node<'_>>,
    here: crate::tree::Span,
) -> Tier {
    match kind {
        ClusterPolicyKind::AdminNetworkPolicy => Tier::Admin,
        ClusterPolicyKind::BaselineAdminNetworkPolicy => Tier::Baseline,
        ClusterPolicyKind::ClusterNetworkPolicy => match cx.text(path, node) {
            Some("Admin") => Tier::Admin,
            Some("Baseline") => Tier::Baseline,
            Some(other) => {
                cx.unsupported(path, node.map_or(here, |n| n.span), other, &["Admin", "Baseline"]);
                Tier::Admin
            }
            None => {
                cx.required(path, here, "");
                Tier::Admin
            }
        },
    }
}

fn priority(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>, here: crate::tree::Span) -> u16 {
    if node.is_none_or(Node::is_null) {
        cx.required(path, here, "");
        return 0;
    }
    let Some(number) = cx.int(path, node) else { return 0 };
    match u16::try_from(number).ok().filter(|n| *n <= 1000) {
        Some(number) => number,
        None => {
            let limit = if number < 0 {
                "should be greater than or equal to 0"
            } else {
                "should be less than or equal to 1000"
            };
            cx.invalid(path, node.map_or(here, |n| n.span), &number.to_string(), &format!("{path} in body {limit}"));
            0
        }
    }
}

/// Exactly one of these fields must be there.
fn one_of<'n, 't>(cx: &mut Cx<'_>, path: &Path<'_>, node: &'n Node<'t>, known: &[&str]) -> Option<&'n Entry<'t>> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, known, &[]);
    let mut there = entries.iter().filter(|e| !e.value.is_null() && known.contains(&e.key.text()));
    match (there.next(), there.next()) {
        (Some(one), None) => Some(one),
        (None, _) => {
            cx.invalid(path, node.span, "0", &format!("{path} in body should have at least 1 properties"));
            None
        }
        (Some(_), Some(_)) => {
            cx.invalid(path, node.span, "2", &format!("{path} in body should have at most 1 properties"));
            None
        }
    }
}

fn subject(cx: &mut Cx<'_>, kind: ClusterPolicyKind, path: &Path<'_>, node: &Node<'_>) -> Option<Subject> {
    let field = one_of(cx, path, node, &["namespaces", "pods"])?;
    let at = path.field(field.key.text());
    if field.key.text() == "namespaces" {
        return Some(Subject { namespaces: selector(cx, &at, &field.value), pods: Selector::everything() });
    }
    let (namespaces, pods) = pod_selectors(cx, kind, &at, &field.value)?;
    Some(Subject { namespaces, pods })
}

/// `pods: {namespaceSelector, podSelector}`. Both are required in v1alpha1; in v1alpha2 no `namespaceSelector` is an empty
/// one, which selects every namespace.
fn pod_selectors(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    path: &Path<'_>,
    node: &Node<'_>,
) -> Option<(Selector, Selector)> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["namespaceSelector", "podSelector"], &[]);
    let mut read = |field: &str| {
        let at = path.field(field);
        match value(entries, field).filter(|n| !n.is_null()) {
            Some(node) => Some(selector(cx, &at, node)),
            None if field == "namespaceSelector" && kind == ClusterPolicyKind::ClusterNetworkPolicy => {
                Some(Selector::everything())
            }
            None => {
                cx.required(&at, node.span, "");
                None
            }
        }
    };
    let (namespaces, pods) = (read("namespaceSelector"), read("podSelector"));
    Some((namespaces?, pods?))
}

fn bounded<'n, 't>(
    cx: &mut Cx<'_>,
    path: &Path<'_>,
    node: Option<&'n Node<'t>>,
    least: usize,
    most: usize,
) -> Vec<(usize, &'n Node<'t>)> {
    let items = cx.list(path, node).unwrap_or_default();
    let span = node.map(|n| n.span).unwrap_or_default();
    if items.len() > most {
        let message = format!("{path}: Too many: {}: must have at most {most} items", items.len());
        cx.error("WT0004", path, span, message, None);
    } else if items.len() < least && node.is_some_and(|n| !n.is_null()) {
        cx.invalid(path, span, &items.len().to_string(), &format!("{path} in body should have at least {least} items"));
    }
    items
}

fn rules(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    path: &Path<'_>,
    node: Option<&Node<'_>>,
    egress: bool,
) -> Vec<ClusterRule> {
    let mut out = Vec::new();
    for (i, item) in bounded(cx, path, node, 0, most(kind)) {
        out.extend(rule(cx, kind, &path.index(i), item, egress));
    }
    out
}

fn rule(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    path: &Path<'_>,
    node: &Node<'_>,
    egress: bool,
) -> Option<ClusterRule> {
    let entries = cx.object(path, Some(node))?;
    let newest = kind == ClusterPolicyKind::ClusterNetworkPolicy;
    let (peers_field, ports_field) = (if egress { "to" } else { "from" }, if newest { "protocols" } else { "ports" });
    cx.only(path, entries, &["name", "action", peers_field, ports_field], &[]);
    let name_at = path.field("name");
    let name = cx.text(&name_at, value(entries, "name"));
    if name.is_some_and(|n| n.chars().count() > 100) {
        let message = format!("{name_at}: Too long: may not be more than 100 bytes");
        cx.error("WT0004", &name_at, node.span, message, None);
    }
    let action = action(cx, kind, path, entries, node);
    let peers_at = path.field(peers_field);
    let peers_node = value(entries, peers_field).filter(|n| !n.is_null());
    if peers_node.is_none() {
        cx.required(&peers_at, node.span, "");
    }
    let mut peers = Vec::new();
    for (i, item) in bounded(cx, &peers_at, peers_node, 1, most(kind)) {
        peers.extend(peer(cx, kind, &peers_at.index(i), item, egress));
    }
    let ports_at = path.field(ports_field);
    let ports_node = value(entries, ports_field).filter(|n| !n.is_null());
    let ports = match ports_node {
        None => ClusterPorts::Any,
        Some(list) => {
            let mut entries = Vec::new();
            for (i, item) in bounded(cx, &ports_at, Some(list), 1, most(kind)) {
                let at = ports_at.index(i);
                entries.extend(if newest { protocol(cx, &at, item) } else { old_port(cx, &at, item) });
            }
            ClusterPorts::Of(entries)
        }
    };
    let by_address = peers.iter().any(|p| !matches!(p, ClusterPeer::Pods { .. }));
    let named = matches!(&ports, ClusterPorts::Of(list) if list.iter().any(|p| matches!(p, ClusterPort::Named(_))));
    if egress && by_address && named {
        let message = format!(
            "{path}: Invalid value: \"object\": networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames"
        );
        cx.error("WT0004", path, node.span, message, None);
    }
    Some(ClusterRule { name: name.map(shared), action: action?, peers, ports, origin: cx.origin(node.span) })
}

fn action(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    path: &Path<'_>,
    entries: &[Entry<'_>],
    node: &Node<'_>,
) -> Option<Action> {
    let at = path.field("action");
    let accepted: &[&str] = match kind {
        ClusterPolicyKind::ClusterNetworkPolicy => &["Accept", "Deny", "Pass"],
        ClusterPolicyKind::AdminNetworkPolicy => &["Allow", "Deny", "Pass"],
        ClusterPolicyKind::BaselineAdminNetworkPolicy => &["Allow", "Deny"],
    };
    let written = value(entries, "action").filter(|n| !n.is_null());
    match cx.text(&at, written) {
        Some(text) if accepted.contains(&text) => Some(match text {
            "Deny" => Action::Deny,
            "Pass" => Action::Pass,
            _ => Action::Accept,
        }),
        Some(text) => {
            cx.unsupported_as("WT0087", &at, written.map_or(node.span, |n| n.span), text, accepted);
            None
        }
        None => {
            if written.is_none() {
                cx.required(&at, node.span, "");
            }
            None
        }
    }
}

fn peer(
    cx: &mut Cx<'_>,
    kind: ClusterPolicyKind,
    path: &Path<'_>,
    node: &Node<'_>,
    egress: bool,
) -> Option<ClusterPeer> {
    let known: &[&str] = match (egress, kind) {
        (false, _) => &["namespaces", "pods"],
        (true, ClusterPolicyKind::ClusterNetworkPolicy | ClusterPolicyKind::AdminNetworkPolicy) => {
            &["namespaces", "pods", "nodes", "networks", "domainNames"]
        }
        (true, ClusterPolicyKind::BaselineAdminNetworkPolicy) => &["namespaces", "pods", "nodes", "networks"],
    };
    const KINDS: &[&str] = &["namespaces", "pods", "nodes", "networks", "domainNames"];
    let unknown = |entries: &[Entry<'_>]| entries.iter().all(|e| !KINDS.contains(&e.key.text()));
    if node.as_map().is_some_and(unknown) {
        // A kind of peer that a server with other CRDs prunes: what is left of it closes the rule (row 167).
        let message = format!("{path}: the peer is of no known kind: a rule that holds it denies, or accepts nothing");
        let help = format!("one of {}", known.join(", "));
        cx.error("WT0087", path, node.span, message, Some(help));
        return None;
    }
    let field = one_of(cx, path, node, known)?;
    let at = path.field(field.key.text());
    let origin = cx.origin(node.span);
    match field.key.text() {
        "namespaces" => Some(ClusterPeer::Pods {
            namespaces: selector(cx, &at, &field.value),
            pods: Selector::everything(),
            origin,
        }),
        "pods" => {
            let (namespaces, pods) = pod_selectors(cx, kind, &at, &field.value)?;
            Some(ClusterPeer::Pods { namespaces, pods, origin })
        }
        "nodes" => Some(ClusterPeer::Nodes { nodes: selector(cx, &at, &field.value), origin }),
        "networks" => networks(cx, &at, &field.value, origin),
        _ => domain_names(cx, &at, &field.value, origin),
    }
}

fn networks(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, origin: Origin) -> Option<ClusterPeer> {
    let mut blocks = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (i, item) in bounded(cx, path, Some(node), 1, 25) {
        let at = path.index(i);
        let Some(text) = cx.text(&at, Some(item)) else { continue };
        if !seen.insert(text) {
            cx.error("WT0004", &at, item.span, format!("{at}: Duplicate value: {}", quoted(text)), None);
        }
        let fits = text.len() <= 43 && cidr::sloppy(text).is_some();
        if !fits {
            cx.invalid(&at, item.span, &quoted(text), "Invalid CIDR format provided");
            continue;
        }
        blocks.extend(cidr::block(cx, &at, text, item.span));
    }
    Some(ClusterPeer::Networks { blocks, origin })
}

fn domain_names(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, origin: Origin) -> Option<ClusterPeer> {
    let mut names = Vec::new();
    for (i, item) in bounded(cx, path, Some(node), 1, 25) {
        let at = path.index(i);
        let Some(text) = cx.text(&at, Some(item)) else { continue };
        if is_domain(text) {
            names.push(shared(text));
        } else {
            let detail = format!("{at} in body should match the pattern of a domain name, or one after `*.`");
            cx.invalid(&at, item.span, &quoted(text), &detail);
        }
    }
    Some(ClusterPeer::DomainNames { names, origin })
}

fn is_domain(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |l: &str| {
        let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        ends(l.as_bytes().first())
            && ends(l.as_bytes().last())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.split('.').count() >= 2 && name.split('.').all(label)
}

/// `{tcp: {destinationPort: …}}` or `{destinationNamedPort: …}`.
fn protocol(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<ClusterPort> {
    let field = one_of(cx, path, node, &["tcp", "udp", "sctp", "destinationNamedPort"])?;
    let at = path.field(field.key.text());
    let of = match field.key.text() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return cx.text(&at, Some(&field.value)).map(|name| ClusterPort::Named(shared(name))),
    };
    let entries = cx.object(&at, Some(&field.value))?;
    cx.only(&at, entries, &["destinationPort"], &[]);
    let port_at = at.field("destinationPort");
    let Some(port) = value(entries, "destinationPort").filter(|n| !n.is_null()) else {
        cx.invalid(&at, field.value.span, "0", &format!("{at} in body should have at least 1 properties"));
        return None;
    };
    let which = one_of(cx, &port_at, port, &["number", "range"])?;
    let which_at = port_at.field(which.key.text());
    if which.key.text() == "number" {
        let number = number(cx, &which_at, &which.value)?;
        return Some(ClusterPort::Number(of, PortMatch::Range(number, number)));
    }
    range(cx, &which_at, &which.value, true).map(|(a, b)| ClusterPort::Number(of, PortMatch::Range(a, b)))
}

/// `portNumber`, `portRange` or `namedPort` of v1alpha1.
fn old_port(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<ClusterPort> {
    let field = one_of(cx, path, node, &["portNumber", "portRange", "namedPort"])?;
    let at = path.field(field.key.text());
    if field.key.text() == "namedPort" {
        return cx.text(&at, Some(&field.value)).map(|name| ClusterPort::Named(shared(name)));
    }
    let entries = cx.object(&at, Some(&field.value))?;
    let protocol_at = at.field("protocol");
    let text = cx.text(&protocol_at, value(entries, "protocol")).unwrap_or("TCP");
    let Some(protocol) = Protocol::parse(text) else {
        cx.unsupported(&protocol_at, field.value.span, text, &["TCP", "UDP", "SCTP"]);
        return None;
    };
    if field.key.text() == "portNumber" {
        cx.only(&at, entries, &["protocol", "port"], &[]);
        let port_at = at.field("port");
        let Some(node) = value(entries, "port") else {
            cx.required(&port_at, field.value.span, "");
            return None;
        };
        let number = number(cx, &port_at, node)?;
        return Some(ClusterPort::Number(protocol, PortMatch::Range(number, number)));
    }
    cx.only(&at, entries, &["protocol", "start", "end"], &[]);
    range(cx, &at, &field.value, false).map(|(a, b)| ClusterPort::Number(protocol, PortMatch::Range(a, b)))
}

fn number(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<u16> {
    let number = cx.int(path, Some(node))?;
    match u16::try_from(number).ok().filter(|n| *n > 0) {
        Some(number) => Some(number),
        None => {
            cx.invalid(path, node.span, &number.to_string(), PORT_RANGE);
            None
        }
    }
}

fn range(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, strict: bool) -> Option<(u16, u16)> {
    let entries = cx.object(path, Some(node))?;
    if strict {
        cx.only(path, entries, &["start", "end"], &[]);
    }
    let mut end_of = |field: &str| {
        let at = path.field(field);
        match value(entries, field) {
            Some(node) => number(cx, &at, node),
            None => {
                cx.required(&at, node.span, "");
                None
            }
        }
    };
    let (start, end) = (end_of("start"), end_of("end"));
    let (start, end) = (start?, end?);
    // v1alpha1 lets them be equal (row 152); neither version lets them be the wrong way round.
    if start > end || (strict && start == end) {
        cx.invalid(path, node.span, "\"object\"", "Start port must be less than End port");
        return None;
    }
    Some((start, end))
}
