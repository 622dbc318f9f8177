//! NetworkPolicy v1. Source: `k8s.io/api/networking/v1` types and defaults, `pkg/apis/networking/validation`.

use super::cidr;
use super::cx::{Cx, Path, presence, quoted, shared, value};
use super::meta::Meta;
use super::names::{PORT_RANGE, port_name};
use super::selector::selector;
use crate::tree::{Entry, Node, Resolved};
use watertight_model::policy::{BlockCidr, Presence, Written};
use watertight_model::{
    IpBlock, NamespaceId, NetworkPolicy, Origin, Peer, PeerKind, Peers, PortEntry, PortMatch, Ports, Protocol, Rule,
    Selector,
};

/// A policy; its namespace is filled in later.
pub(crate) fn read(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> NetworkPolicy {
    let root = Path::ROOT;
    cx.only(
        &root,
        entries,
        &["apiVersion", "kind", "metadata", "spec", "status"],
        &["podSelector", "policyTypes", "ingress", "egress"].map(|k| (k, "it belongs under `spec`")),
    );
    let path = root.field("spec");
    let spec_node = value(entries, "spec");
    let spec = cx.object(&path, spec_node).unwrap_or_default();
    cx.only(
        &path,
        spec,
        &["podSelector", "policyTypes", "ingress", "egress"],
        &[
            ("from", "it belongs into an entry of `ingress`"),
            ("to", "it belongs into an entry of `egress`"),
            ("ports", "it belongs into an entry of `ingress` or `egress`"),
        ],
    );
    let written = Written {
        spec: presence(spec_node),
        pod_selector: presence(value(spec, "podSelector")),
        policy_types: presence(value(spec, "policyTypes")),
        ingress: presence(value(spec, "ingress")),
        egress: presence(value(spec, "egress")),
    };
    let subject_node = value(spec, "podSelector").filter(|n| !n.is_null());
    let subject = subject_node.map_or_else(Selector::everything, |n| selector(cx, &path.field("podSelector"), n));
    let ingress = rules(cx, &path.field("ingress"), value(spec, "ingress"), "from");
    let egress = rules(cx, &path.field("egress"), value(spec, "egress"), "to");
    let types = types(cx, &path.field("policyTypes"), value(spec, "policyTypes"));
    // Defaults: Ingress always, Egress if there is an egress rule (rows 17 to 20).
    let (isolates_ingress, isolates_egress) = types.unwrap_or((true, written.egress == Presence::Filled));
    NetworkPolicy {
        namespace: NamespaceId(0),
        name: meta.name.clone(),
        subject,
        isolates_ingress,
        isolates_egress,
        ingress,
        egress,
        written,
        annotations: meta.own_annotations(),
        origin,
        subject_origin: subject_node.map_or(origin, |n| cx.origin(n.span)),
    }
}

/// Isolated for ingress, for egress; `None`: to be defaulted.
fn types(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<(bool, bool)> {
    let items = cx.list(path, node)?;
    let span = node?.span;
    let texts: Vec<(usize, &str, crate::tree::Span)> =
        items.iter().filter_map(|(i, n)| cx.text(&path.index(*i), Some(n)).map(|t| (*i, t, n.span))).collect();
    if items.len() > 2 {
        let list: Vec<String> = texts.iter().map(|(_, t, _)| quoted(t)).collect();
        cx.invalid(path, span, &format!("[{}]", list.join(",")), "may not specify more than two policyTypes");
        return Some((true, true));
    }
    for (i, text, at) in &texts {
        if !matches!(*text, "Ingress" | "Egress") {
            cx.unsupported(&path.index(*i), *at, text, &["Ingress", "Egress"]);
        }
    }
    if items.is_empty() {
        return None;
    }
    let has = |want: &str| texts.iter().any(|(_, t, _)| *t == want);
    Some((has("Ingress"), has("Egress")))
}

fn rules(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>, peers_field: &str) -> Vec<Rule> {
    let mut out = Vec::new();
    for (i, item) in cx.list(path, node).unwrap_or_default() {
        let at = path.index(i);
        let Some(entries) = cx.object(&at, Some(item)) else { continue };
        let other = if peers_field == "from" { "to" } else { "from" };
        let wrong_way = format!("an entry of this list has `{peers_field}`");
        let mut hints = vec![(other, wrong_way.as_str())];
        let into = format!("it belongs into an entry of `{peers_field}`: write `- ` before it");
        hints.extend(["podSelector", "namespaceSelector", "ipBlock"].map(|k| (k, into.as_str())));
        hints.extend(["port", "protocol", "endPort"].map(|k| (k, "it belongs into an entry of `ports`")));
        cx.only(&at, entries, &[peers_field, "ports"], &hints);
        // The API server looks at ports first, then at peers.
        let ports = ports(cx, &at.field("ports"), value(entries, "ports"));
        let peers = peers(cx, &at.field(peers_field), value(entries, peers_field));
        out.push(Rule { peers, ports, origin: cx.origin(item.span) });
    }
    out
}

fn ports(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Ports {
    let Some(items) = cx.list(path, node) else { return Ports::Any(presence(node)) };
    if presence(node) == Presence::Empty {
        return Ports::Any(Presence::Empty);
    }
    Ports::Of(items.into_iter().filter_map(|(i, item)| port(cx, &path.index(i), item)).collect())
}

fn port(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<PortEntry> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["protocol", "port", "endPort"], &[]);
    let protocol_at = path.field("protocol");
    let protocol_node = value(entries, "protocol").filter(|n| !n.is_null());
    let protocol = match cx.text(&protocol_at, protocol_node) {
        None => Protocol::Tcp,
        Some(text) => Protocol::parse(text).unwrap_or_else(|| {
            let at = protocol_node.map_or(node.span, |n| n.span);
            cx.unsupported(&protocol_at, at, text, &["TCP", "UDP", "SCTP"]);
            Protocol::Tcp
        }),
    };
    let (port_at, end_at) = (path.field("port"), path.field("endPort"));
    let port_node = value(entries, "port").filter(|n| !n.is_null());
    let end_node = value(entries, "endPort").filter(|n| !n.is_null());
    let end_span = end_node.map_or(node.span, |n| n.span);
    let matched = match port_node {
        None => {
            if let Some(end) = cx.int(&end_at, end_node) {
                cx.invalid(&end_at, end_span, &end.to_string(), "may not be specified when `port` is not specified");
            }
            PortMatch::Any
        }
        Some(port) if port.as_scalar().is_some_and(|s| s.resolve() == Resolved::Str && s.yaml11().is_none()) => {
            if let Some(end) = cx.int(&end_at, end_node) {
                cx.invalid(&end_at, end_span, &end.to_string(), "may not be specified when `port` is non-numeric");
            }
            let name = cx.text(&port_at, Some(port)).unwrap_or("");
            for detail in port_name(name) {
                cx.invalid(&port_at, port.span, &quoted(name), detail);
            }
            PortMatch::Named(shared(name))
        }
        Some(port) => {
            let first = cx.int(&port_at, Some(port));
            let last = cx.int(&end_at, end_node);
            if let Some(number) = first.filter(|n| !(1..=65535).contains(n)) {
                cx.invalid(&port_at, port.span, &number.to_string(), PORT_RANGE);
            }
            if let (Some(first), Some(last)) = (first, last) {
                if last < first {
                    // The value shown is the port's: so does the server.
                    cx.invalid(&end_at, end_span, &first.to_string(), "must be greater than or equal to `port`");
                }
                if !(1..=65535).contains(&last) {
                    cx.invalid(&end_at, end_span, &last.to_string(), PORT_RANGE);
                }
            }
            let number = |n: Option<i64>| n.and_then(|n| u16::try_from(n).ok());
            let first = number(first)?;
            PortMatch::Range(first, if end_node.is_some() { number(last)? } else { first })
        }
    };
    Some(PortEntry {
        protocol,
        protocol_defaulted: protocol_node.is_none(),
        port: matched,
        origin: cx.origin(node.span),
    })
}

fn peers(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Peers {
    let Some(items) = cx.list(path, node) else { return Peers::Any(presence(node)) };
    if presence(node) == Presence::Empty {
        return Peers::Any(Presence::Empty);
    }
    Peers::Of(items.into_iter().filter_map(|(i, item)| peer(cx, &path.index(i), item)).collect())
}

fn peer(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<Peer> {
    let entries = cx.object(path, Some(node))?;
    let up = "it belongs one level up, beside `from` or `to`";
    let under = "put it under `podSelector` or `namespaceSelector`";
    cx.only(
        path,
        entries,
        &["podSelector", "namespaceSelector", "ipBlock"],
        &[
            ("ports", up),
            ("port", up),
            ("matchLabels", under),
            ("matchExpressions", under),
            ("cidr", "put it under `ipBlock`"),
        ],
    );
    let there = |field: &str| value(entries, field).filter(|n| !n.is_null());
    let (pods, namespaces, block) = (there("podSelector"), there("namespaceSelector"), there("ipBlock"));
    let mut read = |field: &str, node: Option<&Node<'_>>| node.map(|n| selector(cx, &path.field(field), n));
    let (pods, namespaces) = (read("podSelector", pods), read("namespaceSelector", namespaces));
    let origin = cx.origin(node.span);
    let Some(block) = block else {
        if pods.is_none() && namespaces.is_none() {
            cx.required(path, node.span, "must specify a peer");
            return None;
        }
        return Some(Peer { kind: PeerKind::Pods { namespaces, pods }, origin });
    };
    if pods.is_some() || namespaces.is_some() {
        cx.forbidden(path, node.span, "may not specify both ipBlock and another peer");
        return None;
    }
    let block = ip_block(cx, &path.field("ipBlock"), block)?;
    Some(Peer { kind: PeerKind::Block(block), origin })
}

fn ip_block(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<IpBlock> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["cidr", "except"], &[]);
    let cidr_at = path.field("cidr");
    let cidr_node = value(entries, "cidr").filter(|n| !n.is_null());
    let text = cx.text(&cidr_at, cidr_node).unwrap_or("");
    if text.is_empty() {
        cx.required(&cidr_at, cidr_node.map_or(node.span, |n| n.span), "");
        return None;
    }
    // The API server compares exceptions with the block even if the block is only not canonical.
    let generous = cidr::sloppy(text);
    let span = cidr_node.map_or(node.span, |n| n.span);
    let block = cidr::block(cx, &cidr_at, text, span);
    generous?;
    let except_at = path.field("except");
    let mut except = Vec::new();
    for (i, item) in cx.list(&except_at, value(entries, "except")).unwrap_or_default() {
        let at = except_at.index(i);
        let Some(text) = cx.text(&at, Some(item)) else { continue };
        let Some(hole) = cidr::block(cx, &at, text, item.span) else { continue };
        if block.as_ref().is_some_and(|b| !strictly_inside(b, &hole)) {
            cx.error(
                "WT0008",
                &at,
                item.span,
                format!("{at}: Invalid value: {}: must be a strict subset of `cidr`", quoted(text)),
                Some("an exception outside its block removes nothing: correct it, or write a second peer".to_owned()),
            );
            continue;
        }
        except.push(hole);
    }
    Some(IpBlock { cidr: block?, except })
}

fn strictly_inside(block: &BlockCidr, hole: &BlockCidr) -> bool {
    block.cidr.covers(&hole.cidr) && hole.cidr.prefix_len() > block.cidr.prefix_len()
}
