//! Ways in from outside the cluster: LoadBalancer and NodePort Services, Ingresses, routes of the Gateway API.
//!
//! In: an [`Engine`]. Out: a list of [`Entry`], one per object, pod and port: may someone outside get there this way? The
//! verdicts are those of [`Engine::decide`]; this module only says between whom. What no input tells is a [`Doubt`], and a
//! doubt is never an answer: whose address the pod sees when a node forwards the traffic (row 100), which pods an Ingress
//! class runs in, whether a cloud's load balancer is internal. Whether an address is reachable from the Internet is the
//! network's business; "outside" means any address that is no pod's and no node's.

mod proxies;

use crate::Engine;
use crate::classes::ClassId;
use crate::reach::external::{ExternalPart, external};
use crate::selector::matches_namespace;
use crate::service::{Backend, backends};
use crate::tri::Tri;
use rustc_hash::FxHashMap;
use std::net::IpAddr;
use watertight_model::gateway::{ParentRef, RoutesFrom};
use watertight_model::service::{ServiceKind, TargetPort};
use watertight_model::{
    Cidr, Direction, Endpoint, Family, Flow, L4, NodeId, PodId, Protocol, Route, ServiceId, Verdict,
};

pub use proxies::controllers;

/// Through which object traffic comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum By {
    /// A Service of type LoadBalancer.
    LoadBalancer(ServiceId),
    /// A port on every node (Services of type NodePort).
    NodePort(ServiceId),
    /// An Ingress, by its place in the world.
    Ingress(u32),
    /// A route, by its place in the world.
    Route(u32),
}

/// What the input does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// A node forwards the traffic and may put its own address in the place of the client's (`externalTrafficPolicy: Cluster`).
    ClientAddressHidden,
    /// The pods that serve this Ingress class or Gateway are not in the input, or it is served from outside the cluster.
    ProxyUnknown,
    /// The proxy's pods are known, and nothing in the input says how traffic comes to them.
    ProxyEntryUnknown,
    /// The Gateway that the route names is not in the input.
    GatewayUnknown,
    /// The Service is in another namespace, and ReferenceGrants are not read.
    GrantUnknown,
    /// Labels of the route's namespace were not read, and the Gateway asks for some.
    NamespaceLabelsUnknown,
    /// What policies say of it depends; see the verdict of the flow.
    Policy,
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The object.
    pub by: By,
    /// Who is reached.
    pub pod: PodId,
    /// Protocol.
    pub protocol: Protocol,
    /// Port of the pod.
    pub port: u16,
    /// The port from outside: the Service's for a load balancer, the node's for a NodePort; `None` if a proxy decides.
    pub outer_port: Option<u16>,
    /// From which addresses (`loadBalancerSourceRanges`); empty: any.
    pub sources: Vec<Cidr>,
    /// Pods that the traffic passes through, ascending; empty: none, or unknown ([`Doubt::ProxyUnknown`]).
    pub through: Vec<PodId>,
    /// May it?
    pub verdict: Verdict,
    /// What a `depends` rests on, ascending.
    pub doubts: Vec<Doubt>,
    /// A connection that shows the last step: from an address outside, or from a proxy's pod.
    pub witness: Option<Flow>,
}

/// All ways in, by object, pod and port.
pub fn entries(engine: &Engine<'_>) -> Vec<Entry> {
    let mut walk = Walk { engine, outside: FxHashMap::default() };
    let mut out = Vec::new();
    walk.services(&mut out);
    let direct = out.clone();
    walk.ingresses(&direct, &mut out);
    walk.routes(&direct, &mut out);
    most_open(out)
}

fn most_open(mut out: Vec<Entry>) -> Vec<Entry> {
    // Several ways through one object (two parents of a route, two ports of a Service): the most open one counts.
    let openness = |v: Verdict| match v {
        Verdict::Allow => 0,
        Verdict::Depends => 1,
        Verdict::Deny => 2,
    };
    let key = |e: &Entry| (e.by, e.pod, e.protocol, e.port, openness(e.verdict));
    out.sort_by_key(key);
    out.dedup_by(|a, b| (a.by, a.pod, a.protocol, a.port) == (b.by, b.pod, b.protocol, b.port));
    out
}

/// What Ingresses and routes publish, without asking how traffic comes to the proxies: `deny` says that policy keeps every known
/// proxy out, and [`Doubt::ProxyUnknown`] that none is known. By object, pod and port.
pub fn published(engine: &Engine<'_>) -> Vec<Entry> {
    let mut walk = Walk { engine, outside: FxHashMap::default() };
    let mut out = Vec::new();
    walk.ingresses(&[], &mut out);
    walk.routes(&[], &mut out);
    most_open(out)
}

struct Walk<'e, 'w> {
    engine: &'e Engine<'w>,
    /// What each class admits from outside.
    outside: FxHashMap<ClassId, Vec<ExternalPart>>,
}

impl Walk<'_, '_> {
    fn services(&mut self, out: &mut Vec<Entry>) {
        let engine = self.engine;
        for (i, service) in engine.world().services.iter().enumerate() {
            let id = ServiceId::at(i);
            let by = match service.kind {
                ServiceKind::LoadBalancer => By::LoadBalancer(id),
                ServiceKind::NodePort => By::NodePort(id),
                ServiceKind::ClusterIp | ServiceKind::ExternalName => continue,
            };
            for Backend { endpoint, protocol, service_port, port } in backends(engine, id) {
                let Endpoint::Pod(pod) = endpoint else { continue };
                let ranges = if matches!(by, By::LoadBalancer(_)) { &service.source_ranges[..] } else { &[] };
                let (verdict, doubts, witness) =
                    self.whether_open(pod, L4::Port(protocol, port), ranges, service.local_traffic);
                let node_port =
                    || service.ports.iter().find(|p| p.port == service_port && p.protocol == protocol)?.node_port;
                out.push(Entry {
                    by,
                    pod,
                    protocol,
                    port,
                    outer_port: if matches!(by, By::NodePort(_)) { node_port() } else { Some(service_port) },
                    sources: ranges.to_vec(),
                    through: Vec::new(),
                    verdict,
                    doubts,
                    witness,
                });
            }
        }
    }

    /// Whether some address of `ranges` (empty: of anywhere) may connect. `kept`: the pod sees the client's address.
    fn whether_open(&mut self, pod: PodId, l4: L4, ranges: &[Cidr], kept: bool) -> (Verdict, Vec<Doubt>, Option<Flow>) {
        let sample = self.sample(pod, l4, ranges);
        let flow = |from| Flow { from, to: Endpoint::Pod(pod), l4, via_service: true };
        let direct =
            sample.map(|ip| self.engine.decide(&flow(Endpoint::External(ip))).verdict).unwrap_or(Verdict::Deny);
        let witness = sample.map(|ip| flow(Endpoint::External(ip)));
        if kept || direct == Verdict::Depends {
            let doubts = if direct == Verdict::Depends { vec![Doubt::Policy] } else { Vec::new() };
            return (direct, doubts, witness);
        }
        // With a node's address in the place of the client's: open if every node may, and else nobody can tell, because the
        // node may be the pod's own, which always may.
        let nodes = self.engine.world().nodes.len();
        let all_nodes = nodes > 0
            && (0..nodes)
                .map(NodeId::at)
                .all(|n| self.engine.decide(&flow(Endpoint::Node(n))).verdict == Verdict::Allow);
        let forwarded = all_nodes || self.open_to_all(pod, l4);
        if direct == Verdict::Allow && forwarded {
            return (Verdict::Allow, Vec::new(), witness);
        }
        (Verdict::Depends, vec![Doubt::ClientAddressHidden], witness)
    }

    /// An address outside that may connect for sure, or else one that may perhaps, or else any.
    fn sample(&mut self, pod: PodId, l4: L4, ranges: &[Cidr]) -> Option<IpAddr> {
        let everywhere = [Cidr::all(Family::V4), Cidr::all(Family::V6)];
        let wanted = if ranges.is_empty() { &everywhere[..] } else { ranges };
        let parts = self.parts(pod);
        let holds = |part: &ExternalPart, sure: bool| {
            let set = if sure { &part.ports.sure } else { &part.ports.possible };
            match l4 {
                L4::Port(protocol, port) => set.contains(protocol, port),
                L4::Other => false,
            }
        };
        let first = |sure: bool| {
            let open = parts.iter().filter(|part| holds(part, sure)).flat_map(|part| &part.cidrs);
            open.flat_map(|cidr| {
                wanted.iter().filter(|w| w.overlaps(cidr)).map(|w| if w.covers(cidr) { *cidr } else { *w })
            })
            .map(a_host)
            .min()
        };
        first(true).or_else(|| first(false)).or_else(|| wanted.first().map(|c| a_host(*c)))
    }

    /// Whether every address may connect.
    fn open_to_all(&mut self, pod: PodId, l4: L4) -> bool {
        let L4::Port(protocol, port) = l4 else { return false };
        let open = |part: &&ExternalPart| part.ports.sure.contains(protocol, port);
        let whole = |family: Family, parts: &[ExternalPart]| {
            let cidrs = parts.iter().filter(open).flat_map(|p| &p.cidrs).filter(|c| c.family() == family);
            let ranges: Vec<(u128, u128)> = cidrs.map(Cidr::range).collect();
            covers_all(ranges, Cidr::all(family).range())
        };
        let parts = self.parts(pod);
        whole(Family::V4, parts) && whole(Family::V6, parts)
    }

    /// What a pod admits from outside, by addresses; computed once per class.
    fn parts(&mut self, pod: PodId) -> &[ExternalPart] {
        let Some(class) = self.engine.classes().class_of(pod) else { return &[] };
        let engine = self.engine;
        self.outside
            .entry(class)
            .or_insert_with(|| external(engine, class, Direction::Ingress, &[Family::V4, Family::V6]))
    }

    fn ingresses(&mut self, direct: &[Entry], out: &mut Vec<Entry>) {
        let (engine, world) = (self.engine, self.engine.world());
        let proxies = controllers(world);
        for (i, ingress) in world.ingresses.iter().enumerate() {
            let by = By::Ingress(u32::try_from(i).unwrap_or(u32::MAX));
            for backend in &ingress.backends {
                let Some(service) = world.service(ingress.namespace, &backend.service) else { continue };
                let ports = &world.services[service.index()].ports;
                let number = match &backend.port {
                    TargetPort::Number(number) => Some(*number),
                    TargetPort::Named(name) => ports.iter().find(|p| p.name.as_ref() == Some(name)).map(|p| p.port),
                };
                let wanted = backends(engine, service).into_iter().filter(|b| Some(b.service_port) == number);
                out.extend(wanted.filter_map(|b| self.by_proxy(by, b, &proxies, Vec::new(), direct)));
            }
        }
    }

    fn routes(&mut self, direct: &[Entry], out: &mut Vec<Entry>) {
        let (engine, world) = (self.engine, self.engine.world());
        for (i, route) in world.routes.iter().enumerate() {
            let by = By::Route(u32::try_from(i).unwrap_or(u32::MAX));
            for parent in &route.parents {
                let Some((proxies, doubts)) = self.attached(route, parent) else { continue };
                for backend in &route.backends {
                    let mut doubts = doubts.clone();
                    let namespace = match &backend.namespace {
                        None => Some(route.namespace),
                        Some(name) => world.namespace(name),
                    };
                    let Some(namespace) = namespace else { continue };
                    if namespace != route.namespace {
                        doubts.push(Doubt::GrantUnknown);
                    }
                    let Some(service) = world.service(namespace, &backend.service) else { continue };
                    let wanted = backends(engine, service).into_iter().filter(|b| b.service_port == backend.port);
                    out.extend(wanted.filter_map(|b| self.by_proxy(by, b, &proxies, doubts.clone(), direct)));
                }
            }
        }
    }

    /// The pods of the Gateway that a route attaches to, and what is in doubt; `None`: it does not attach.
    fn attached(&self, route: &Route, parent: &ParentRef) -> Option<(Vec<PodId>, Vec<Doubt>)> {
        let world = self.engine.world();
        let namespace = match &parent.namespace {
            None => Some(route.namespace),
            Some(name) => world.namespace(name),
        };
        let gateway =
            namespace.and_then(|ns| world.gateways.iter().find(|g| g.namespace == ns && g.name == parent.name));
        let Some(gateway) = gateway else { return Some((Vec::new(), vec![Doubt::GatewayUnknown])) };
        let asked = gateway.listeners.iter().filter(|l| {
            parent.section.as_ref().is_none_or(|s| *s == l.name) && parent.port.is_none_or(|p| p == l.port)
        });
        let mut best = Tri::No;
        for listener in asked {
            best = best.or(match &listener.routes_from {
                RoutesFrom::Same => Tri::of(route.namespace == gateway.namespace),
                RoutesFrom::All => Tri::Yes,
                RoutesFrom::Nowhere => Tri::No,
                RoutesFrom::Selector(selector) => matches_namespace(world, route.namespace, selector),
            });
        }
        let doubts = match best {
            Tri::No => return None,
            Tri::Yes => Vec::new(),
            Tri::Maybe(_) => vec![Doubt::NamespaceLabelsUnknown],
        };
        Some((proxies::of_gateway(world, gateway), doubts))
    }

    /// From outside to a proxy's pod, and from there to the backend. `None` for a backend that is no pod.
    fn by_proxy(
        &self,
        by: By,
        backend: Backend,
        proxies: &[PodId],
        mut doubts: Vec<Doubt>,
        direct: &[Entry],
    ) -> Option<Entry> {
        let Endpoint::Pod(pod) = backend.endpoint else { return None };
        let l4 = L4::Port(backend.protocol, backend.port);
        let mut verdict = if doubts.is_empty() { Verdict::Allow } else { Verdict::Depends };
        let mut witness = None;
        let mut through = Vec::new();
        if proxies.is_empty() {
            doubts.push(Doubt::ProxyUnknown);
            verdict = Verdict::Depends;
        } else {
            let step = |from: PodId| Flow { from: Endpoint::Pod(from), to: Endpoint::Pod(pod), l4, via_service: true };
            let steps: Vec<(Verdict, PodId)> =
                proxies.iter().map(|p| (self.engine.decide(&step(*p)).verdict, *p)).collect();
            let inner = best(steps.iter().map(|(v, _)| *v));
            through = steps.iter().filter(|(v, _)| *v == inner).map(|(_, p)| *p).collect();
            witness = through.first().map(|p| step(*p));
            if inner == Verdict::Depends {
                doubts.push(Doubt::Policy);
            }
            // How the proxy itself is reached: by a Service of its own, or in a way that the input does not show.
            let mut ways = direct.iter().filter(|e| through.binary_search(&e.pod).is_ok()).peekable();
            let outer = if ways.peek().is_none() {
                doubts.push(Doubt::ProxyEntryUnknown);
                Verdict::Depends
            } else {
                let ways: Vec<&Entry> = ways.collect();
                let outer = best(ways.iter().map(|e| e.verdict));
                if outer == Verdict::Depends {
                    doubts.extend(ways.iter().flat_map(|e| &e.doubts).copied());
                }
                outer
            };
            verdict = verdict.and(inner).and(outer);
        }
        doubts.sort_unstable();
        doubts.dedup();
        if verdict != Verdict::Depends {
            doubts.clear();
        }
        let (protocol, port) = (backend.protocol, backend.port);
        Some(Entry {
            by,
            pod,
            protocol,
            port,
            outer_port: None,
            sources: Vec::new(),
            through,
            verdict,
            doubts,
            witness,
        })
    }
}

/// The most open of several.
fn best(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.fold(Verdict::Deny, |best, v| match (best, v) {
        (Verdict::Allow, _) | (_, Verdict::Allow) => Verdict::Allow,
        (Verdict::Depends, _) | (_, Verdict::Depends) => Verdict::Depends,
        (Verdict::Deny, Verdict::Deny) => Verdict::Deny,
    })
}

/// An address of a block, not its first (which is often a network's own).
fn a_host(cidr: Cidr) -> IpAddr {
    let (first, last) = cidr.range();
    watertight_model::addr::address(cidr.family(), if first < last { first + 1 } else { first })
}

fn covers_all(mut ranges: Vec<(u128, u128)>, whole: (u128, u128)) -> bool {
    ranges.sort_unstable();
    let mut next = Some(whole.0);
    for (first, last) in ranges {
        match next {
            Some(at) if first <= at => next = if last >= whole.1 { None } else { Some(at.max(last + 1)) },
            Some(_) => return false,
            None => return true,
        }
    }
    next.is_none()
}
