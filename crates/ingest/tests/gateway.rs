//! Gateway API objects: understood whole, or refused with every fault at its place.

mod common;

use common::load;
use watertight_ingest::Options;
use watertight_model::gateway::{RouteKind, RoutesFrom};

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: nginx
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {edge: \"yes\"}}}}}
  - {name: any, port: 8443, protocol: TLS, allowedRoutes: {namespaces: {from: All}}}
";

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs:
  - {name: edge, namespace: infra, sectionName: https}
  - {group: \"\", kind: Service, name: mesh}
  hostnames: [shop.example]
  rules:
  - matches: [{path: {value: /}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}]
    backendRefs:
    - {name: web, port: 80}
    - {name: old, port: 80, weight: 0}
    - {name: db, namespace: data, port: 5432}
    - {group: example.com, kind: Bucket, name: files}
";

#[test]
fn gateways_and_routes_are_read() {
    let loaded = load(&format!("{GATEWAY}---\n{ROUTE}"), &Options::default()).ok().unwrap();
    let world = loaded.world;
    let gateway = &world.gateways[0];
    assert_eq!((&*gateway.name, &*gateway.class, gateway.listeners.len()), ("edge", "nginx", 3));
    assert_eq!(gateway.listeners[0].routes_from, RoutesFrom::Same);
    assert!(matches!(&gateway.listeners[1].routes_from, RoutesFrom::Selector(s) if !s.is_everything()));
    assert_eq!(gateway.listeners[2].routes_from, RoutesFrom::All);
    let route = &world.routes[0];
    assert_eq!((&*route.name, route.kind), ("web", RouteKind::Http));
    assert_eq!(route.parents.len(), 1);
    assert_eq!(route.parents[0].section.as_deref(), Some("https"));
    let backends: Vec<(&str, Option<&str>, u16)> =
        route.backends.iter().map(|b| (&*b.service, b.namespace.as_deref(), b.port)).collect();
    assert_eq!(backends, [("web", None, 80), ("db", Some("data"), 5432), ("copy", None, 80)]);
}

#[test]
fn kinds_of_routes_may_share_a_name() {
    let tcp = ROUTE.replace("HTTPRoute", "TCPRoute").replace("/v1\n", "/v1alpha2\n");
    let loaded = load(&format!("{ROUTE}---\n{tcp}"), &Options::default()).ok().unwrap();
    assert_eq!(loaded.world.routes.iter().map(|r| r.kind).collect::<Vec<_>>(), [RouteKind::Http, RouteKind::Tcp]);
}

#[test]
fn faults_have_their_place() {
    for (from, to, field) in [
        ("from: All", "from: Everyone", "spec.listeners[2].allowedRoutes.namespaces.from"),
        ("name: http, port: 80", "name: http, port: 99999", "spec.listeners[0].port"),
        ("name: http, port: 80", "name: http, prot: 80", "spec.listeners[0].port"),
        (", selector: {matchLabels: {edge: \"yes\"}}", "", "spec.listeners[1].allowedRoutes.namespaces.selector"),
        ("name: web, port: 80", "name: web", "spec.rules[0].backendRefs[0].port"),
        ("- {name: db, namespace", "- {namespace", "spec.rules[0].backendRefs[2].name"),
    ] {
        let text = format!("{GATEWAY}---\n{ROUTE}").replace(from, to);
        let Err(refused) = load(&text, &Options::default()) else { unreachable!("{to} was accepted") };
        let fields: Vec<_> = refused.diagnostics.iter().filter_map(|d| d.field.clone()).collect();
        assert!(fields.contains(&field.to_owned()), "{to}: {fields:?}");
    }
}
