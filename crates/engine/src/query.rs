//! Questions in people's terms: named workloads, pods, nodes, Services and addresses on both sides.

use crate::Engine;
use crate::classes::ClassId;
use crate::service::{Backend, backends, by_address};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watertight_model::{
    ClusterPort, ClusterPorts, DependsOn, Direction, Endpoint, Flow, FlowVerdict, Half, L4, NodeId, PodId,
    PortMatch, Ports, Protocol, Reason, RuleRef, ServiceId, Verdict, WorkloadId,
};

/// One side of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One pod.
    Pod(PodId),
    /// All pods of a workload.
    Workload(WorkloadId),
    /// A node.
    Node(NodeId),
    /// An address: a pod's, a node's, a Service's or an external one.
    Ip(IpAddr),
    /// A Service (destination only): its backends.
    Service(ServiceId),
}

/// A name that stands for nothing in this world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTarget {
    /// What was asked for.
    pub text: String,
    /// Why it stands for nothing, in words.
    pub why: String,
    /// Names that are near.
    pub near: Vec<String>,
}

impl Target {
    /// Reads `namespace/name` (a pod, else a workload; `Kind/namespace/name` picks a kind), `ip:ADDRESS`, `node:NAME`,
    /// `service:NAMESPACE/NAME`.
    ///
    /// # Errors
    /// [`UnknownTarget`] if the world has no such thing, with near names.
    pub fn parse(engine: &Engine<'_>, text: &str) -> Result<Self, UnknownTarget> {
        let world = engine.world();
        let unknown = |why: &str, near: Vec<String>| UnknownTarget { text: text.to_owned(), why: why.to_owned(), near };
        if let Some(ip) = text.strip_prefix("ip:") {
            return ip.parse().map(Target::Ip).map_err(|_| unknown("not an IP address", Vec::new()));
        }
        if let Some(name) = text.strip_prefix("node:") {
            let names = world.nodes.iter().map(|n| n.name.to_string());
            return world.node(name).map(Target::Node).ok_or_else(|| unknown("no such node", near(name, names)));
        }
        let (service, rest) = match text.strip_prefix("service:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [namespace, name] => (None, *namespace, *name),
            [kind, namespace, name] if !service => (Some(*kind), *namespace, *name),
            _ => return Err(unknown("want namespace/name, ip:ADDRESS, node:NAME or service:NAMESPACE/NAME", Vec::new())),
        };
        let Some(ns) = world.namespace(namespace) else {
            let names = world.namespaces.iter().map(|n| format!("{}/{name}", n.name));
            return Err(unknown("no such namespace", near(rest, names)));
        };
        if service {
            let here = world.services.iter().filter(|s| s.namespace == ns);
            let names = here.map(|s| format!("service:{namespace}/{}", s.name));
            return world.service(ns, name).map(Target::Service).ok_or_else(|| unknown("no such Service", near(text, names)));
        }
        if let (None | Some("Pod"), Some(pod)) = (kind, world.pod(ns, name)) {
            return Ok(Target::Pod(pod));
        }
        let named = world.workloads_named(ns, name);
        let mut matching = named.iter().filter(|w| kind.is_none_or(|k| world.workloads[w.index()].kind.name() == k));
        match (matching.next(), matching.next()) {
            (Some(one), None) => Ok(Target::Workload(*one)),
            (Some(one), Some(_)) => {
                let all = named.iter().map(|w| format!("{}/{rest}", world.workloads[w.index()].kind)).collect();
                let kind = world.workloads[one.index()].kind;
                Err(unknown(&format!("several workloads have this name, {kind} among them: say which"), all))
            }
            (None, _) => {
                let workloads = world.workloads.iter().filter(|w| w.namespace == ns).map(|w| format!("{namespace}/{}", w.name));
                let pods = world.pods.iter().filter(|p| p.namespace == ns).map(|p| format!("{namespace}/{}", p.name));
                let elsewhere = world.workloads.iter().filter(|w| *w.name == *name);
                let elsewhere = elsewhere.map(|w| format!("{}/{name}", world.namespaces[w.namespace.index()].name));
                let mut close = near(rest, workloads.chain(pods));
                close.extend(elsewhere);
                close.dedup();
                close.truncate(NEAR);
                Err(unknown("no such pod or workload", close))
            }
        }
    }
}

/// Near names that an error offers: enough to spot a typing slip, few enough to read.
const NEAR: usize = 5;

/// Names within a third of their length in edits, nearest first.
pub fn near(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<(usize, String)> = names
        .map(|name| (distance(wanted, &name), name))
        .filter(|(d, name)| *d <= wanted.len().max(name.len()).div_ceil(3))
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(NEAR).map(|(_, name)| name).collect()
}

/// Edits (insert, delete, replace, swap neighbours) from one text to another.
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

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
    let sentence = sentence(engine, question, verdict, &cases);
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
                if pod.workload == *id {
                    if let Some(class) = engine.classes().class_of(pod_id) {
                        groups.entry((class, pod.node)).or_insert((pod_id, 0)).1 += 1;
                    }
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
    let mut groups: BTreeMap<(Option<ClassId>, Option<NodeId>, u16), (Endpoint, L4, usize)> = BTreeMap::new();
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

/// What people call an endpoint.
pub fn endpoint_name(engine: &Engine<'_>, endpoint: Endpoint) -> String {
    match endpoint {
        Endpoint::Pod(id) => engine.world().pod_name(id),
        Endpoint::Node(id) => format!("node {}", engine.world().nodes[id.index()].name),
        Endpoint::External(ip) => ip.to_string(),
    }
}

fn target_name(engine: &Engine<'_>, target: &Target) -> String {
    let world = engine.world();
    match target {
        Target::Pod(id) => world.pod_name(*id),
        Target::Workload(id) => world.workload_name(*id),
        Target::Node(id) => format!("node {}", world.nodes[id.index()].name),
        Target::Ip(ip) => endpoint_name(engine, engine.endpoint_of(*ip)),
        Target::Service(id) => {
            let service = &world.services[id.index()];
            format!("Service {}/{}", world.namespaces[service.namespace.index()].name, service.name)
        }
    }
}

fn sentence(engine: &Engine<'_>, question: &Question, verdict: Verdict, cases: &[Case]) -> String {
    let (from, to) = (target_name(engine, &question.from), target_name(engine, &question.to));
    let what = question.protocol.map_or_else(|| "protocols without ports".to_owned(), |p| format!("{p} {}", question.port));
    let word = match verdict {
        Verdict::Allow => "allowed",
        Verdict::Deny => "denied",
        Verdict::Depends => "depends",
    };
    let why = match cases {
        [] if matches!(question.to, Target::Service(_)) => "the Service has no backend on this port".to_owned(),
        [] => "no running pod on one side".to_owned(),
        [case] => why(engine, &case.verdict),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|c| {
                    let (a, b) = (endpoint_name(engine, c.flow.from), endpoint_name(engine, c.flow.to));
                    format!("{a} to {b} {}: {}", c.verdict.verdict.name(), why(engine, &c.verdict))
                })
                .collect();
            format!("the pods differ ({})", parts.join("; "))
        }
    };
    format!("{from} to {to}, {what}: {word}, {why}")
}

/// Why a verdict is what it is, in words.
pub fn why(engine: &Engine<'_>, verdict: &FlowVerdict) -> String {
    let halves = [(Direction::Egress, &verdict.egress), (Direction::Ingress, &verdict.ingress)];
    let telling: Vec<_> = halves.iter().filter(|(_, half)| half.verdict == verdict.verdict).collect();
    let words: Vec<String> = match verdict.verdict {
        // One denial is enough.
        Verdict::Deny => telling.iter().take(1).map(|(d, half)| half_words(engine, *d, half)).collect(),
        Verdict::Depends => telling.iter().map(|(d, half)| half_words(engine, *d, half)).collect(),
        Verdict::Allow => {
            let with_rules = telling.iter().filter(|(_, half)| !matches!(half.reason, Reason::NotSubject | Reason::DefaultAllow));
            let words: Vec<String> = with_rules.map(|(d, half)| half_words(engine, *d, half)).collect();
            if words.is_empty() { vec!["no policy has a say".to_owned()] } else { words }
        }
    };
    words.join(" and ")
}

/// One half in words.
pub fn half_words(engine: &Engine<'_>, direction: Direction, half: &Half) -> String {
    let side = direction.name();
    let rules = |verb: &str| format!("{verb} {}", rule_names(engine, &half.decided_by));
    let base = match half.reason {
        Reason::OwnAddress => "a pod always reaches its own address".to_owned(),
        Reason::NotSubject => format!("no policy applies on the {side} side"),
        Reason::LocalNode => "a pod's own node always reaches it".to_owned(),
        Reason::DefaultAllow => format!("no policy applies to {side}"),
        Reason::AdminAccept | Reason::BaselineAccept => rules(&format!("{side} accepted by")),
        Reason::AdminDeny | Reason::BaselineDeny => rules(&format!("{side} denied by")),
        Reason::PolicyAllow => rules(&format!("{side} admitted by")),
        Reason::PolicyDeny => format!("no {side} rule of {} admits it", rule_names(engine, &half.decided_by)),
        Reason::Unclear => format!("{side} is unclear"),
    };
    if half.depends_on.is_empty() {
        return base;
    }
    let on: Vec<String> = half.depends_on.iter().map(|d| depends_words(engine, d)).collect();
    format!("{base}; it depends on {}", on.join(", "))
}

/// A missing fact in words.
pub fn depends_words(engine: &Engine<'_>, cause: &DependsOn) -> String {
    let world = engine.world();
    match cause {
        DependsOn::PodAddress(id) => format!("the address of pod {}", world.pod_name(*id)),
        DependsOn::NodeAddress(id) => format!("which address of node {} is used", world.nodes[id.index()].name),
        DependsOn::NamespaceLabels(id) => {
            format!("the labels of namespace {}, whose object was not read", world.namespaces[id.index()].name)
        }
        DependsOn::HostNetwork(id) => {
            format!("whether the network plugin applies NetworkPolicy to hostNetwork pod {}", world.pod_name(*id))
        }
        DependsOn::NodeOfPod(id) => format!("which node pod {} runs on", world.pod_name(*id)),
        DependsOn::UnreadableSelector => "a subject selector with an unknown operator".to_owned(),
        DependsOn::MappedBlock => "how the network plugin reads an IPv4-mapped block".to_owned(),
        DependsOn::OtherProtocol => "whether a rule without ports opens protocols other than TCP, UDP and SCTP".to_owned(),
        DependsOn::DomainName => "which addresses a domain name resolves to".to_owned(),
        DependsOn::ForeignPolicy(i) => {
            let policy = &world.foreign_policies[*i as usize];
            let name = match policy.namespace {
                Some(ns) => format!("{}/{}", world.namespaces[ns.index()].name, policy.name),
                None => policy.name.to_string(),
            };
            format!("{} {name}, which is not evaluated", policy.kind)
        }
    }
}

/// Rules by name: `shop/db-in rule 0`, or the policy alone where it isolates.
pub fn rule_names(engine: &Engine<'_>, rules: &[RuleRef]) -> String {
    /// More than this many names do not help.
    const SHOWN: usize = 3;
    let name = |r: &RuleRef| {
        let policy = engine.world().policy_name(r.policy);
        r.rule.map_or_else(|| policy.clone(), |rule| format!("{policy} rule {rule}"))
    };
    let mut names: Vec<String> = rules.iter().take(SHOWN).map(name).collect();
    if rules.len() > SHOWN {
        names.push(format!("{} more", rules.len() - SHOWN));
    }
    names.join(", ")
}

/// What the evaluated policies say, leaving aside those that are not evaluated.
pub fn evaluated(verdict: &FlowVerdict) -> Verdict {
    let half = |h: &Half| match h.reason {
        Reason::OwnAddress
        | Reason::NotSubject
        | Reason::LocalNode
        | Reason::DefaultAllow
        | Reason::AdminAccept
        | Reason::PolicyAllow
        | Reason::BaselineAccept => Verdict::Allow,
        Reason::AdminDeny | Reason::PolicyDeny | Reason::BaselineDeny => Verdict::Deny,
        Reason::Unclear => Verdict::Depends,
    };
    half(&verdict.egress).and(half(&verdict.ingress))
}

/// First ports of the ranges that the policies on either pod tell apart, for one protocol; 0 is among them.
pub(crate) fn port_cuts(engine: &Engine<'_>, from: PodId, to: PodId, protocol: Protocol) -> Vec<u16> {
    let world = engine.world();
    let mut cuts = vec![0];
    let mut cut = |first: u16, last: u16| {
        cuts.push(first);
        cuts.extend(last.checked_add(1));
    };
    for port in world.pods[to.index()].ports.iter().filter(|p| p.protocol == protocol) {
        cut(port.port, port.port);
    }
    for (pod, direction) in [(from, Direction::Egress), (to, Direction::Ingress)] {
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
