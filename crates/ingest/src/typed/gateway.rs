//! Gateway API: Gateways and routes. Only what decides where traffic goes is read (parents, listeners, backends); matches and
//! filters narrow which requests take that way, not which pods they can end at.
//! Source: `sigs.k8s.io/gateway-api/apis/v1`.

use super::cx::{Cx, Path, shared, value};
use super::meta::Meta;
use super::pods::port_number;
use super::selector::selector;
use crate::tree::{Entry, Node};
use watertight_model::gateway::{Gateway, Listener, ParentRef, Route, RouteBackend, RouteKind, RoutesFrom};
use watertight_model::{NamespaceId, Origin};

/// The group.
pub(crate) const GROUP: &str = "gateway.networking.k8s.io";

pub(crate) fn gateway(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> Gateway {
    let path = Path::ROOT.field("spec");
    let spec = cx.object(&path, value(entries, "spec")).unwrap_or_default();
    cx.no_slips(&path, spec, &["gatewayClassName", "listeners"], &["addresses", "infrastructure"]);
    let class = cx.text(&path.field("gatewayClassName"), value(spec, "gatewayClassName")).unwrap_or("");
    let class = shared(class);
    let mut listeners = Vec::new();
    let list_at = path.field("listeners");
    for (i, item) in cx.list(&list_at, value(spec, "listeners")).unwrap_or_default() {
        listeners.extend(listener(cx, &list_at.index(i), item));
    }
    Gateway { namespace: NamespaceId(0), name: meta.name.clone(), class, listeners, origin }
}

fn listener(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<Listener> {
    let entries = cx.object(path, Some(node))?;
    cx.no_slips(path, entries, &["name", "port", "allowedRoutes"], &["hostname", "protocol", "tls"]);
    let name = shared(cx.text(&path.field("name"), value(entries, "name")).unwrap_or(""));
    let port_at = path.field("port");
    if value(entries, "port").is_none_or(Node::is_null) {
        cx.required(&port_at, node.span, "");
        return None;
    }
    let port = port_number(cx, &port_at, value(entries, "port"))?;
    let allowed_at = path.field("allowedRoutes");
    let allowed = cx.object(&allowed_at, value(entries, "allowedRoutes")).unwrap_or_default();
    let namespaces_at = allowed_at.field("namespaces");
    let namespaces = cx.object(&namespaces_at, value(allowed, "namespaces")).unwrap_or_default();
    cx.no_slips(&namespaces_at, namespaces, &["from", "selector"], &[]);
    let from_at = namespaces_at.field("from");
    let from_node = value(namespaces, "from");
    let routes_from = match cx.text(&from_at, from_node) {
        None | Some("Same") => RoutesFrom::Same,
        Some("All") => RoutesFrom::All,
        Some("None") => RoutesFrom::Nowhere,
        Some("Selector") => match value(namespaces, "selector").filter(|n| !n.is_null()) {
            Some(node) => RoutesFrom::Selector(selector(cx, &namespaces_at.field("selector"), node)),
            None => {
                cx.required(&namespaces_at.field("selector"), node.span, "must be specified when from is \"Selector\"");
                RoutesFrom::Nowhere
            }
        },
        Some(other) => {
            let at = from_node.map(|n| n.span).unwrap_or_default();
            cx.unsupported(&from_at, at, other, &["All", "None", "Same", "Selector"]);
            RoutesFrom::Nowhere
        }
    };
    Some(Listener { name, port, routes_from })
}

pub(crate) fn route(cx: &mut Cx<'_>, kind: RouteKind, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> Route {
    let path = Path::ROOT.field("spec");
    let spec = cx.object(&path, value(entries, "spec")).unwrap_or_default();
    cx.no_slips(&path, spec, &["parentRefs", "rules"], &["hostnames", "useDefaultGateways"]);
    let mut parents = Vec::new();
    let list_at = path.field("parentRefs");
    for (i, item) in cx.list(&list_at, value(spec, "parentRefs")).unwrap_or_default() {
        parents.extend(parent(cx, &list_at.index(i), item));
    }
    let mut backends = Vec::new();
    let rules_at = path.field("rules");
    for (i, item) in cx.list(&rules_at, value(spec, "rules")).unwrap_or_default() {
        let rule_at = rules_at.index(i);
        let rule = cx.object(&rule_at, Some(item)).unwrap_or_default();
        let refs_at = rule_at.field("backendRefs");
        for (j, item) in cx.list(&refs_at, value(rule, "backendRefs")).unwrap_or_default() {
            backends.extend(backend(cx, &refs_at.index(j), item));
        }
        mirrors(cx, &rule_at, rule, &mut backends);
    }
    Route { namespace: NamespaceId(0), name: meta.name.clone(), kind, parents, backends, origin }
}

/// A `RequestMirror` filter sends a copy of each request to a further backend.
fn mirrors(cx: &mut Cx<'_>, rule_at: &Path<'_>, rule: &[Entry<'_>], out: &mut Vec<RouteBackend>) {
    let filters_at = rule_at.field("filters");
    for (i, item) in cx.list(&filters_at, value(rule, "filters")).unwrap_or_default() {
        let at = filters_at.index(i);
        let filter = cx.object(&at, Some(item)).unwrap_or_default();
        let mirror_at = at.field("requestMirror");
        let mirror = cx.object(&mirror_at, value(filter, "requestMirror")).unwrap_or_default();
        if let Some(node) = value(mirror, "backendRef").filter(|n| !n.is_null()) {
            out.extend(backend(cx, &mirror_at.field("backendRef"), node));
        }
    }
}

/// Group and kind of a reference, with these defaults.
fn is(cx: &mut Cx<'_>, path: &Path<'_>, entries: &[Entry<'_>], group: &str, kind: &str) -> bool {
    let group_is = cx.text(&path.field("group"), value(entries, "group")).is_none_or(|g| g == group);
    let kind_is = cx.text(&path.field("kind"), value(entries, "kind")).is_none_or(|k| k == kind);
    group_is && kind_is
}

fn name<'n>(cx: &mut Cx<'_>, path: &Path<'_>, entries: &'n [Entry<'_>], node: &Node<'_>) -> Option<&'n str> {
    let name_at = path.field("name");
    let name = cx.text(&name_at, value(entries, "name"));
    if name.is_none() {
        cx.required(&name_at, node.span, "");
    }
    name
}

fn parent(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<ParentRef> {
    let entries = cx.object(path, Some(node))?;
    cx.no_slips(path, entries, &["group", "kind", "namespace", "name", "sectionName", "port"], &[]);
    if !is(cx, path, entries, GROUP, "Gateway") {
        return None;
    }
    let name = shared(name(cx, path, entries, node)?);
    let namespace = cx.text(&path.field("namespace"), value(entries, "namespace")).map(shared);
    let section = cx.text(&path.field("sectionName"), value(entries, "sectionName")).map(shared);
    let port = port_number(cx, &path.field("port"), value(entries, "port"));
    Some(ParentRef { namespace, name, section, port })
}

fn backend(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<RouteBackend> {
    let entries = cx.object(path, Some(node))?;
    cx.no_slips(path, entries, &["group", "kind", "namespace", "name", "port", "weight"], &["filters"]);
    // Other kinds (an ExternalName of a vendor's, a ServiceImport) are nothing that a policy could name.
    if !is(cx, path, entries, "", "Service") || cx.int(&path.field("weight"), value(entries, "weight")) == Some(0) {
        return None;
    }
    let service = shared(name(cx, path, entries, node)?);
    let namespace = cx.text(&path.field("namespace"), value(entries, "namespace")).map(shared);
    let port_at = path.field("port");
    if value(entries, "port").is_none_or(Node::is_null) {
        cx.required(&port_at, node.span, "must be set for a Service");
        return None;
    }
    let port = port_number(cx, &port_at, value(entries, "port"))?;
    Some(RouteBackend { namespace, service, port, origin: cx.origin(node.span) })
}
