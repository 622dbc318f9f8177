//! The flows between two groups, each with the engine's verdict.

use super::ends::{End, Place};
use crate::file::{Mode, Ports};
use crate::members::Members;
use std::net::IpAddr;
use watertight_engine::Engine;
use watertight_engine::query::{Question, Target, addresses, answer, stretches};
use watertight_engine::reach::Reach;
use watertight_engine::service::backends;
use watertight_model::{Cidr, Direction, Endpoint, Flow, FlowVerdict, L4, PodId, Protocol, ServiceId, World};

/// Asks the engine.
pub(super) struct Asker<'e, 'w> {
    engine: &'e Engine<'w>,
    /// Pairs past which reachability is worked out.
    many: usize,
    reach: Option<Reach>,
}

/// Flows and their verdicts.
type Flows = Vec<(Flow, FlowVerdict)>;

impl<'e, 'w> Asker<'e, 'w> {
    pub(super) fn new(engine: &'e Engine<'w>, many: usize) -> Self {
        Self { engine, many, reach: None }
    }

    pub(super) fn world(&self) -> &'w World {
        self.engine.world()
    }

    /// Gets ready for so many pairs. Reachability leaves aside policies that are not evaluated, so where there are any, every
    /// pair is asked.
    pub(super) fn prepare(&mut self, pairs: usize) {
        if pairs > self.many && self.reach.is_none() && self.world().foreign_policies.is_empty() {
            self.reach = Some(Reach::of(self.engine));
        }
    }

    /// True if reachability shows that the assertion holds for this pair.
    pub(super) fn is_settled(&self, from: &End, to: &End, asked: &Ports, mode: Mode) -> bool {
        let (Some(reach), Place::Pods(a, _), Place::Pods(b, _)) = (&self.reach, &from.place, &to.place) else {
            return false;
        };
        let ports = reach.ports(*a, *b);
        !asked.other
            && match mode {
                Mode::Must => asked.set.minus(&ports.sure).is_empty(),
                Mode::MustNot => asked.set.intersect(&ports.possible).is_empty(),
                Mode::May => true,
            }
    }

    /// Every flow from one group to the other, by an example. `declared`: of a Service, the ports that it declares.
    ///
    /// # Errors
    /// A Service has no such port, or no backend there.
    pub(super) fn flows(
        &self,
        from: &End,
        to: &End,
        (sources, destinations): (&Members, &Members),
        asked: &Ports,
        declared: bool,
    ) -> Result<Flows, String> {
        if let Place::Service(id) = to.place {
            return self.to_service(from, sources, id, asked, declared);
        }
        let mut out = Flows::new();
        for (a, b) in self.examples(from, to, sources, destinations) {
            for stretch in stretches(self.engine, a, b, &asked.set) {
                out.push((stretch.flow, stretch.verdict));
            }
            if asked.other {
                let flow = Flow { from: a, to: b, l4: L4::Other, via_service: false };
                out.push((flow, self.engine.decide(&flow)));
            }
        }
        Ok(out)
    }

    /// Pairs that stand for all pairs.
    fn examples(&self, from: &End, to: &End, sources: &Members, destinations: &Members) -> Vec<(Endpoint, Endpoint)> {
        let outside = |pod: &PodId, direction, within: &[Cidr]| -> Vec<Endpoint> {
            addresses(self.engine, *pod, direction, within).into_iter().map(Endpoint::External).collect()
        };
        let any = |within: &[Cidr]| within.first().map(|c| Endpoint::External(c.addr()));
        match (&from.place, &to.place) {
            (Place::Pods(_, a), Place::Pods(_, b)) => {
                let mut pairs = a.iter().take(2).flat_map(|a| b.iter().take(2).map(move |b| (*a, *b)));
                let pair = pairs.find(|(a, b)| a != b);
                pair.map(|(a, b)| (Endpoint::Pod(a), Endpoint::Pod(b))).into_iter().collect()
            }
            (Place::Pods(_, a), Place::Outside) => {
                let Some(pod) = a.first() else { return Vec::new() };
                let there = outside(pod, Direction::Egress, &destinations.outside);
                there.into_iter().map(|ip| (Endpoint::Pod(*pod), ip)).collect()
            }
            (Place::Outside, Place::Pods(_, b)) => {
                let Some(pod) = b.first() else { return Vec::new() };
                let there = outside(pod, Direction::Ingress, &sources.outside);
                there.into_iter().map(|ip| (ip, Endpoint::Pod(*pod))).collect()
            }
            (Place::Node(a), Place::Pods(_, b)) => {
                b.first().map(|pod| (Endpoint::Node(*a), Endpoint::Pod(*pod))).into_iter().collect()
            }
            (Place::Pods(_, a), Place::Node(b)) => {
                a.first().map(|pod| (Endpoint::Pod(*pod), Endpoint::Node(*b))).into_iter().collect()
            }
            (Place::Node(a), Place::Node(b)) => vec![(Endpoint::Node(*a), Endpoint::Node(*b))],
            (Place::Node(a), Place::Outside) => {
                any(&destinations.outside).map(|ip| (Endpoint::Node(*a), ip)).into_iter().collect()
            }
            (Place::Outside, Place::Node(b)) => {
                any(&sources.outside).map(|ip| (ip, Endpoint::Node(*b))).into_iter().collect()
            }
            // A Service opens nothing, and is asked about by its backends.
            (Place::Outside, Place::Outside) | (Place::Service(_), _) | (_, Place::Service(_)) => Vec::new(),
        }
    }

    fn to_service(
        &self,
        from: &End,
        sources: &Members,
        id: ServiceId,
        asked: &Ports,
        declared: bool,
    ) -> Result<Flows, String> {
        let service = &self.world().services[id.index()];
        let ports: Vec<(Protocol, u16)> = service.ports.iter().map(|p| (p.protocol, p.port)).collect();
        let wanted: Vec<(Protocol, u16)> =
            ports.iter().copied().filter(|(protocol, port)| asked.set.contains(*protocol, *port)).collect();
        let covered = wanted.iter().fold(asked.set.clone(), |left, (protocol, port)| {
            left.minus(&watertight_model::PortSet::range(*protocol, *port, *port))
        });
        if wanted.is_empty() || (!declared && (!covered.is_empty() || asked.other)) {
            let list: Vec<String> = ports.iter().map(|(protocol, port)| format!("{protocol} {port}")).collect();
            return Err(format!("it does not have all of these ports; it has {}", list.join(", ")));
        }
        let mut out = Flows::new();
        for source in self.service_sources(from, sources, id) {
            for (protocol, port) in &wanted {
                let question =
                    Question { from: source.clone(), to: Target::Service(id), protocol: Some(*protocol), port: *port };
                let cases = answer(self.engine, &question).cases;
                if cases.is_empty() {
                    return Err(format!("it has no backend on {protocol} {port}"));
                }
                out.extend(cases.into_iter().map(|case| (case.flow, case.verdict)));
            }
        }
        Ok(out)
    }

    fn service_sources(&self, from: &End, sources: &Members, id: ServiceId) -> Vec<Target> {
        match &from.place {
            Place::Pods(_, pods) => pods.first().map(|p| Target::Pod(*p)).into_iter().collect(),
            Place::Node(node) => vec![Target::Node(*node)],
            Place::Service(_) => Vec::new(),
            Place::Outside => {
                let mut ips: Vec<IpAddr> = Vec::new();
                for backend in backends(self.engine, id) {
                    if let Endpoint::Pod(pod) = backend.endpoint {
                        ips.extend(addresses(self.engine, pod, Direction::Ingress, &sources.outside));
                    }
                }
                ips.sort_unstable();
                ips.dedup();
                ips.into_iter().map(Target::Ip).collect()
            }
        }
    }
}
