//! The smallest edit that allows a denied flow, checked by deciding again.

use super::{Change, Extract, half, selector_for, subject, words};
use crate::Engine;
use crate::peers::other_side;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::{BlockCidr, Presence, Written};
use watertight_model::{
    Cidr, Direction, Endpoint, Flow, FlowVerdict, IpBlock, L4, Labels, NetworkPolicy, Origin, Peer, PeerKind, Peers,
    PolicyRef, PortEntry, PortMatch, Ports, Reason, Rule, Selector, Str, Verdict, manifest,
};

/// One change per denying half. Only denials by NetworkPolicy are edited: a cluster tier's Deny is its owner's decision, and
/// a change below it would have no effect.
pub(super) fn smallest(engine: &Engine<'_>, flow: &Flow, verdict: &FlowVerdict) -> Vec<Change> {
    if verdict.verdict != Verdict::Deny {
        return Vec::new();
    }
    let mut extract = Extract::of(engine, flow);
    let mut out = Vec::new();
    for direction in Direction::BOTH {
        let half = half(verdict, direction);
        if half.verdict != Verdict::Deny {
            continue;
        }
        if half.reason != Reason::PolicyDeny {
            return Vec::new();
        }
        let Some(change) = open(engine, flow, direction, half.decided_by.iter().map(|r| r.policy), &mut extract) else {
            return Vec::new();
        };
        out.push(change);
    }
    let after = Engine::new(&extract.world).decide(&extract.flow);
    // Where a half stays unclear for other reasons, the edit still has to end the denial.
    let opened = after.verdict == Verdict::Allow
        || (after.verdict == Verdict::Depends
            && Direction::BOTH.iter().all(|d| super::half(&after, *d).verdict != Verdict::Deny));
    if opened { out } else { Vec::new() }
}

fn open(
    engine: &Engine<'_>,
    flow: &Flow,
    direction: Direction,
    isolating: impl Iterator<Item = PolicyRef>,
    extract: &mut Extract,
) -> Option<Change> {
    let world = engine.world();
    let id = subject(flow, direction)?;
    let pod = &world.pods[id.index()];
    let rule = Rule {
        peers: Peers::Of(vec![peer_for(engine, flow, direction)?]),
        ports: ports_for(flow),
        origin: Origin::default(),
    };
    let what = format!(
        "{} {} on {}",
        if direction == Direction::Ingress { "from" } else { "to" },
        words::peers(world, pod.namespace, &rule.peers),
        words::ports(&rule.ports),
    );
    let egress = direction == Direction::Egress;
    let own = selector_for(world, id)?;
    // A policy whose subject is just this workload is the place for the rule; one with a wider subject would open more.
    let narrow = isolating.filter_map(|p| match p {
        PolicyRef::Namespaced(i) => Some(i),
        PolicyRef::Cluster(_) => None,
    });
    let narrow = narrow.into_iter().find(|i| same_pods(engine, *i, pod.workload));
    if let Some(index) = narrow {
        let place = extract.place(PolicyRef::Namespaced(index))?;
        let policy = &mut extract.world.policies[place];
        if egress {
            policy.egress.push(rule.clone())
        } else {
            policy.ingress.push(rule.clone())
        }
        return Some(Change {
            direction,
            sentence: format!(
                "add this {} rule to `{}`: {what}",
                direction.name(),
                world.policy_name(PolicyRef::Namespaced(index))
            ),
            edit: Some(PolicyRef::Namespaced(index)),
            yaml: manifest::rule_entry(&rule, egress),
        });
    }
    let workload = &world.workloads[pod.workload.index()].name;
    let policy = NetworkPolicy {
        namespace: pod.namespace,
        name: Str::from(format!("{workload}-allow-{}", direction.name())),
        subject: own,
        isolates_ingress: !egress,
        isolates_egress: egress,
        ingress: if egress { Vec::new() } else { vec![rule.clone()] },
        egress: if egress { vec![rule] } else { Vec::new() },
        written: Written::default(),
        annotations: Labels::default(),
        origin: Origin::default(),
        subject_origin: Origin::default(),
    };
    let namespace = &world.namespaces[pod.namespace.index()].name;
    let yaml = manifest::network_policy(namespace, &policy, &|_, _| Vec::new());
    let sentence =
        format!("add a policy for {} that admits {} {what}", words::selector(&policy.subject), direction.name());
    extract.world.policies.push(policy);
    Some(Change { direction, sentence, edit: None, yaml })
}

/// The policy selects pods of this workload and of no other.
fn same_pods(engine: &Engine<'_>, policy: u32, workload: watertight_model::WorkloadId) -> bool {
    let world = engine.world();
    let policy = &world.policies[policy as usize];
    let start = world.pods.partition_point(|p| p.namespace < policy.namespace);
    let here = world.pods[start..].iter().take_while(|p| p.namespace == policy.namespace && start < world.pods.len());
    !policy.subject.is_everything()
        && here.filter(|p| crate::selector::matches(&policy.subject, &p.labels)).all(|p| p.workload == workload)
}

fn peer_for(engine: &Engine<'_>, flow: &Flow, direction: Direction) -> Option<Peer> {
    let world = engine.world();
    let block = |ip| {
        let cidr = BlockCidr { cidr: Cidr::host(ip), mapped: None, sloppy: false, origin: Origin::default() };
        PeerKind::Block(IpBlock { cidr, except: Vec::new() })
    };
    let kind = match other_side(flow, direction) {
        Endpoint::External(ip) => block(ip),
        Endpoint::Node(id) => block(*world.nodes[id.index()].addresses.first()?),
        Endpoint::Pod(id) if world.pods[id.index()].host_network => {
            let pod = &world.pods[id.index()];
            let node = pod.node.and_then(|n| world.nodes[n.index()].addresses.first());
            block(*pod.ips.first().or(node)?)
        }
        Endpoint::Pod(id) => {
            let own = match direction {
                Direction::Ingress => subject(flow, direction)?,
                Direction::Egress => subject(flow, direction)?,
            };
            let namespace = world.pods[id.index()].namespace;
            let elsewhere = world.pods[own.index()].namespace != namespace;
            let name = &world.namespaces[namespace.index()].name;
            PeerKind::Pods {
                namespaces: elsewhere.then(|| Selector::of(&[(NAMESPACE_NAME_LABEL, &**name)])),
                pods: Some(selector_for(world, id)?),
            }
        }
    };
    Some(Peer { kind, origin: Origin::default() })
}

fn ports_for(flow: &Flow) -> Ports {
    match flow.l4 {
        // No NetworkPolicy names other protocols: only a rule without ports may open them.
        L4::Other => Ports::Any(Presence::Absent),
        L4::Port(protocol, port) => Ports::Of(vec![PortEntry {
            protocol,
            protocol_defaulted: false,
            port: PortMatch::Range(port, port),
            origin: Origin::default(),
        }]),
    }
}
