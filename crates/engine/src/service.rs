//! Services: which pods and ports stand behind them.

use crate::Engine;
use crate::peers::named_port;
use watertight_model::service::{ServiceKind, ServicePort, TargetPort};
use watertight_model::{Endpoint, Labels, Pod, PodId, Protocol, Service, ServiceId};

/// One backend of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backend {
    /// Who receives the traffic.
    pub endpoint: Endpoint,
    /// Protocol.
    pub protocol: Protocol,
    /// The Service's port.
    pub service_port: u16,
    /// The port at the backend.
    pub port: u16,
}

/// All backends of a Service, sorted. Pods that its selector matches (hostNetwork pods included, finished ones not), with
/// the target port resolved per pod; a named target port that a pod lacks gives no backend there. A Service without a
/// selector has the endpoints of its hand-written EndpointSlices. Empty: nobody answers.
pub fn backends(engine: &Engine<'_>, service: ServiceId) -> Vec<Backend> {
    let world = engine.world();
    let this = &world.services[service.index()];
    let mut out = Vec::new();
    match (&this.kind, &this.selector) {
        (ServiceKind::ExternalName, _) => {}
        (_, Some(selector)) => {
            for (id, pod) in selected(engine, this, selector) {
                for port in &this.ports {
                    let number = match &port.target {
                        TargetPort::Number(number) => Some(*number),
                        TargetPort::Named(name) => named_port(pod, name, port.protocol),
                    };
                    if let Some(number) = number {
                        let endpoint = Endpoint::Pod(id);
                        out.push(Backend { endpoint, protocol: port.protocol, service_port: port.port, port: number });
                    }
                }
            }
        }
        (_, None) => by_hand(engine, this, &mut out),
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Pods that a Service's selector matches: equality on every pair.
pub fn selected<'e>(
    engine: &'e Engine<'_>,
    service: &'e Service,
    selector: &'e Labels,
) -> impl Iterator<Item = (PodId, &'e Pod)> + 'e {
    let world = engine.world();
    let start = world.pods.partition_point(|p| p.namespace < service.namespace);
    let here = world.pods[start..].iter().take_while(move |p| p.namespace == service.namespace);
    let matching = here.enumerate().filter(move |(_, pod)| {
        !pod.finished && selector.iter().all(|(k, v)| pod.labels.get(k).is_some_and(|have| have == v))
    });
    matching.map(move |(i, pod)| (PodId::at(start + i), pod))
}

/// Endpoints that people wrote. Ports meet by name; what stands at the address decides (row 91).
fn by_hand(engine: &Engine<'_>, service: &Service, out: &mut Vec<Backend>) {
    let world = engine.world();
    let slices = world.endpoint_slices.iter().filter(|s| s.namespace == service.namespace);
    for slice in slices.filter(|s| s.service.as_ref() == Some(&service.name)) {
        for (name, protocol, number) in &slice.ports {
            let same_name = |p: &ServicePort| p.name.as_deref().unwrap_or("") == name.as_deref().unwrap_or("");
            let Some(port) = service.ports.iter().find(|p| p.protocol == *protocol && same_name(p)) else { continue };
            for endpoint in slice.endpoints.iter().filter(|e| e.ready) {
                for ip in &endpoint.addresses {
                    out.push(Backend {
                        endpoint: engine.endpoint_of(*ip),
                        protocol: *protocol,
                        service_port: port.port,
                        port: number.unwrap_or(port.port),
                    });
                }
            }
        }
    }
}

/// The Service that has this cluster address.
pub fn by_address(engine: &Engine<'_>, ip: std::net::IpAddr) -> Option<ServiceId> {
    let world = engine.world();
    world.services.iter().position(|s| s.cluster_ips.contains(&ip)).map(ServiceId::at)
}
