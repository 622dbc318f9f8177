//! Questions in people's terms: named workloads, pods, nodes, Services and addresses on both sides.

mod every;
mod target;
mod words;

pub use every::{Stretch, addresses, stretches};
pub use target::{Target, UnknownTarget};
pub use watertight_model::spelling::{distance, near};
pub use words::{depends_words, endpoint_name, half_words, rule_names, why};

use crate::Engine;
use crate::classes::ClassId;
use crate::service::{Backend, backends, by_address};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watertight_model::{
    ClusterPort, ClusterPorts, Direction, Endpoint, Flow, FlowVerdict, Half, L4, NodeId, PodId, PortMatch, Ports,
    Protocol, Reason, ServiceId, Verdict,
};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who opens the connection.
    pub from: Target,
    /// Who receives it.
    pub to: Target,
    /// Protocol; `None`: an IP protocol without ports, such as ICMP.
    pub protocol: Option<Protocol>,
    /// Destination port: the pod's, or with [`Target::Service`] (or a Service's address) the Service's. Ignored without protocol.
    pub port: u16,
}

/// The answer for all pods and backends that the question stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Allow if all cases allow, Deny if all deny, else Depends. Deny if there is no case: nobody answers.
    pub verdict: Verdict,
    /// The cases, one for each distinct outcome, with the first flow that has it; at least one unless the question is
    /// about a Service without backends.
    pub cases: Vec<Case>,
    /// The answer in one plain sentence, lower case, no full stop.
    pub sentence: String,
}

/// Pods and backends with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The first flow of this outcome.
    pub flow: Flow,
    /// Its verdict.
    pub verdict: FlowVerdict,
    /// How many flows have this outcome (same verdict, reasons and rules).
    pub count: usize,
}

/// Answers one question. Linear in the distinct classes of pods involved, not in pods.
pub fn answer(engine: &Engine<'_>, question: &Question) -> Answer {
    let sources = endpoints(engine, &question.from);
    let (destinations, service) = destinations(engine, question);
    let mut cases: Vec<Case> = Vec::new();
    for (from, from_count) in &sources {
        for (to, l4, to_count) in &destinations {
            let flow = Flow { from: *from, to: *to, l4: *l4, via_service: service.is_some() };
            let same_pod = from == to && *from_count == 1 && service.is_none();
            if same_pod && (sources.len() > 1 || destinations.len() > 1) {
                // A workload to itself: its pods among each other, not each to itself.
                continue;
            }
            let mut verdict = engine.decide(&flow);
            if let Some((_, address)) = service {
                deny_on_address(engine, &flow, address, &mut verdict);
            }
            let count = from_count * to_count;
            match cases.iter_mut().find(|c| same_outcome(&c.verdict, &verdict)) {
                Some(case) => case.count += count,
                None => cases.push(Case { flow, verdict, count }),
            }
        }
    }
    let verdicts: BTreeSet<Verdict> = cases.iter().map(|c| c.verdict.verdict).collect();
    let verdict = match verdicts.iter().collect::<Vec<_>>().as_slice() {
        [] => Verdict::Deny,
        [one] => **one,
        _ => Verdict::Depends,
    };
    let sentence = words::sentence(engine, question, verdict, &cases);
    Answer { verdict, cases, sentence }
}

/// A cluster Deny that covers the Service's own address denies as well (row 90).
fn deny_on_address(engine: &Engine<'_>, flow: &Flow, address: Option<IpAddr>, verdict: &mut FlowVerdict) {
    let Some(ip) = address else { return };
    let on_address = engine.decide(&Flow { to: Endpoint::External(ip), ..*flow }).egress;
    let closes = matches!(on_address.reason, Reason::AdminDeny | Reason::BaselineDeny);
    if closes && on_address.verdict == Verdict::Deny {
        verdict.verdict = Verdict::Deny;
        verdict.egress = on_address;
    }
}

fn same_outcome(a: &FlowVerdict, b: &FlowVerdict) -> bool {
    let half = |x: &Half, y: &Half| {
        // Which pod a missing fact is about does not make another outcome.
        let kinds = |h: &Half| h.depends_on.iter().map(std::mem::discriminant).collect::<Vec<_>>();
        x.verdict == y.verdict && x.reason == y.reason && x.decided_by == y.decided_by && kinds(x) == kinds(y)
    };
    half(&a.egress, &b.egress) && half(&a.ingress, &b.ingress)
}

/// One endpoint per class, with how many pods it stands for. A class of which only one pod is meant counts one.
fn endpoints(engine: &Engine<'_>, target: &Target) -> Vec<(Endpoint, usize)> {
    match target {
        Target::Pod(id) => vec![(Endpoint::Pod(*id), 1)],
        Target::Node(id) => vec![(Endpoint::Node(*id), 1)],
        Target::Ip(ip) => vec![(engine.endpoint_of(*ip), 1)],
        // A Service opens no connections.
        Target::Service(_) => Vec::new(),
        Target::Workload(id) => {
            // Pods of a class differ only in their node, which matters to hostNetwork traffic alone: keep the nodes apart.
            let mut groups: BTreeMap<(ClassId, Option<NodeId>), (PodId, usize)> = BTreeMap::new();
            for (i, pod) in engine.world().pods.iter().enumerate() {
                let pod_id = PodId::at(i);
                if let (true, Some(class)) = (pod.workload == *id, engine.classes().class_of(pod_id)) {
                    groups.entry((class, pod.node)).or_insert((pod_id, 0)).1 += 1;
                }
            }
            groups.into_values().map(|(pod, count)| (Endpoint::Pod(pod), count)).collect()
        }
    }
}

type Destinations = Vec<(Endpoint, L4, usize)>;

fn destinations(engine: &Engine<'_>, question: &Question) -> (Destinations, Option<(ServiceId, Option<IpAddr>)>) {
    let service = match &question.to {
        Target::Service(id) => Some((*id, engine.world().services[id.index()].cluster_ips.first().copied())),
        Target::Ip(ip) => by_address(engine, *ip).map(|id| (id, Some(*ip))),
        Target::Pod(_) | Target::Workload(_) | Target::Node(_) => None,
    };
    let l4 = question.protocol.map_or(L4::Other, |p| L4::Port(p, question.port));
    let Some((id, address)) = service else {
        return (endpoints(engine, &question.to).into_iter().map(|(e, n)| (e, l4, n)).collect(), None);
    };
    let wanted = |b: &Backend| Some(b.protocol) == question.protocol && b.service_port == question.port;
    // Backends of a class on one node and port are one case.
    type Key = (Option<ClassId>, Option<NodeId>, u16);
    let mut groups: BTreeMap<Key, (Endpoint, L4, usize)> = BTreeMap::new();
    let mut out = Destinations::new();
    for backend in backends(engine, id).into_iter().filter(wanted) {
        let l4 = L4::Port(backend.protocol, backend.port);
        match backend.endpoint {
            // The source itself stays apart: a hairpin is a case of its own.
            Endpoint::Pod(pod) if question.from != Target::Pod(pod) => {
                let key = (engine.classes().class_of(pod), engine.world().pods[pod.index()].node, backend.port);
                groups.entry(key).or_insert((backend.endpoint, l4, 0)).2 += 1;
            }
            Endpoint::Pod(_) | Endpoint::Node(_) | Endpoint::External(_) => out.push((backend.endpoint, l4, 1)),
        }
    }
    out.extend(groups.into_values());
    out.sort();
    (out, Some((id, address)))
}

/// What the evaluated policies say, leaving aside those that are not evaluated.
pub fn evaluated(verdict: &FlowVerdict) -> Verdict {
    evaluated_half(&verdict.egress).and(evaluated_half(&verdict.ingress))
}

/// As [`evaluated`], for one side.
pub fn evaluated_half(half: &Half) -> Verdict {
    match half.reason {
        Reason::OwnAddress
        | Reason::NotSubject
        | Reason::LocalNode
        | Reason::DefaultAllow
        | Reason::AdminAccept
        | Reason::PolicyAllow
        | Reason::BaselineAccept => Verdict::Allow,
        Reason::AdminDeny | Reason::PolicyDeny | Reason::BaselineDeny => Verdict::Deny,
        Reason::Unclear => Verdict::Depends,
    }
}

/// First ports of the ranges that the policies on either end tell apart, for one protocol; 0 is among them.
pub(crate) fn port_cuts(engine: &Engine<'_>, from: Endpoint, to: Endpoint, protocol: Protocol) -> Vec<u16> {
    let world = engine.world();
    let mut cuts = vec![0];
    let mut cut = |first: u16, last: u16| {
        cuts.push(first);
        cuts.extend(last.checked_add(1));
    };
    if let Endpoint::Pod(pod) = to {
        for port in world.pods[pod.index()].ports.iter().filter(|p| p.protocol == protocol) {
            cut(port.port, port.port);
        }
    }
    for (end, direction) in [(from, Direction::Egress), (to, Direction::Ingress)] {
        let Endpoint::Pod(pod) = end else { continue };
        for s in engine.classes().policies_of(pod, direction) {
            for rule in world.policies[s.policy as usize].rules(direction) {
                if let Ports::Of(entries) = &rule.ports {
                    for entry in entries {
                        if let PortMatch::Range(a, b) = entry.port {
                            cut(a, b);
                        }
                    }
                }
            }
        }
        for s in engine.classes().cluster_policies_of(pod) {
            for rule in world.cluster_policies[s.policy as usize].rules(direction) {
                if let ClusterPorts::Of(entries) = &rule.ports {
                    for entry in entries {
                        if let ClusterPort::Number(_, PortMatch::Range(a, b)) = entry {
                            cut(*a, *b);
                        }
                    }
                }
            }
        }
    }
    cuts
}
