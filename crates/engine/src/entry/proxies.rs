//! Which pods are proxies: for an Ingress by the names that controllers usually carry, for a Gateway by the labels that its
//! controller must put on what it makes.

use watertight_model::{Gateway, PodId, WorkloadKind, World};

/// Names by which ingress controllers are known.
const CONTROLLERS: [&str; 6] = ["ingress", "traefik", "haproxy", "contour", "envoy", "nginx-gateway"];

/// Label of everything that belongs to a Gateway (GEP-1762), its value the Gateway's name, in its namespace.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Envoy Gateway runs its proxies in a namespace of its own.
const ENVOY_NAME: &str = "gateway.envoyproxy.io/owning-gateway-name";
const ENVOY_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";

/// Pods of workloads that carry the usual names of an ingress controller, or are in a namespace that does; jobs, finished pods
/// and hostNetwork pods (which policies do not see) are left out. Ascending.
pub fn controllers(world: &World) -> Vec<PodId> {
    let known = |name: &str| CONTROLLERS.iter().any(|c| name.contains(c));
    let ids = (0..world.pods.len()).map(PodId::at);
    ids.filter(|id| {
        let pod = &world.pods[id.index()];
        let workload = &world.workloads[pod.workload.index()];
        let runs = !matches!(workload.kind, WorkloadKind::Job | WorkloadKind::CronJob);
        let named = known(&workload.name) || known(&world.namespaces[pod.namespace.index()].name);
        !pod.finished && !pod.host_network && runs && named
    })
    .collect()
}

/// The pods of a Gateway, ascending; none if it is served from outside the cluster or they were not read.
pub(super) fn of_gateway(world: &World, gateway: &Gateway) -> Vec<PodId> {
    let namespace = &world.namespaces[gateway.namespace.index()].name;
    let ids = (0..world.pods.len()).map(PodId::at);
    ids.filter(|id| {
        let pod = &world.pods[id.index()];
        let is = |key: &str, value: &str| pod.labels.get(key).is_some_and(|v| **v == *value);
        let own = pod.namespace == gateway.namespace && is(GATEWAY_NAME, &gateway.name);
        let envoy = is(ENVOY_NAME, &gateway.name) && is(ENVOY_NAMESPACE, namespace);
        !pod.finished && (own || envoy)
    })
    .collect()
}
