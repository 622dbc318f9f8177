//! ClusterNetworkPolicy (and AdminNetworkPolicy, BaselineAdminNetworkPolicy): one tier, in order of priority.

use crate::half::{Question, Trace, Way};
use crate::matching::{
    block_matches, labels_match, named, named_deny, namespace_matches, node_of, number_matches, unreadable,
};
use crate::tri::Tri;
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{
    Action, ClusterPeer, ClusterPolicy, ClusterPort, ClusterPorts, ClusterRule, DependsOn, Endpoint, L4, PolicyRef,
    PortMatch, Reason, RuleRef, Selector, Tier,
};

/// What a rule does to the traffic that it matches; the most restrictive last (row 143).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Accept,
    Pass,
    Deny,
}

/// What some policies may do, branch by branch: an effect (`None`: no rule matched) and the rules that have it.
type Branches = BTreeMap<Option<Effect>, Vec<RuleRef>>;

/// What the tier may say: each way in which it decides, and whether it may leave the decision to the next.
pub(crate) fn ways(q: &Question<'_>, tier: Tier, trace: &mut Trace) -> (Vec<Way>, bool) {
    let (accept, deny) = match tier {
        Tier::Admin => (Reason::AdminAccept, Reason::AdminDeny),
        Tier::Baseline => (Reason::BaselineAccept, Reason::BaselineDeny),
    };
    let mut ways = Vec::new();
    let mut leaves = false;
    let of_tier = || q.world.cluster_policies.iter().zip(0u32..).filter(move |(p, _)| p.tier == tier);
    let priorities: BTreeSet<u16> = of_tier().map(|(p, _)| p.priority).collect();
    for priority in priorities {
        // Policies of equal priority are each asked for their first match; the most restrictive acts (row 143).
        let mut branches = Branches::from([(None, Vec::new())]);
        for (policy, index) in of_tier().filter(|(p, _)| p.priority == priority) {
            let choices = first_match(q, policy, index, trace);
            let mut next = Branches::new();
            for (so_far, rules) in &branches {
                for (choice, rule) in &choices {
                    let winner = *so_far.max(choice);
                    let acting = next.entry(winner).or_default();
                    acting.extend(rules.iter().filter(|_| *so_far == winner));
                    acting.extend(rule.iter().filter(|_| *choice == winner));
                }
            }
            branches = next;
        }
        let unmatched = branches.contains_key(&None);
        for (effect, by) in branches {
            match effect {
                Some(Effect::Accept) => ways.push(Way { reason: accept, by }),
                Some(Effect::Deny) => ways.push(Way { reason: deny, by }),
                Some(Effect::Pass) => leaves = true, // the rest of the tier is skipped (rows 135 to 137, 140)
                None => {}
            }
        }
        if !unmatched {
            return (ways, leaves);
        }
    }
    (ways, true)
}

/// The first rule of the policy that matches (row 131), on every branch.
fn first_match(q: &Question<'_>, policy: &ClusterPolicy, index: u32, trace: &mut Trace) -> Branches {
    let reference = |rule| RuleRef { policy: PolicyRef::Cluster(index), direction: q.direction, rule };
    let mut branches = Branches::new();
    if policy.rules(q.direction).is_empty() {
        return Branches::from([(None, Vec::new())]); // no say in this direction (row 142)
    }
    let selected = trace.note(selects(q, policy), reference(None));
    if selected != Tri::Yes {
        branches.insert(None, Vec::new());
    }
    if selected == Tri::No {
        return branches;
    }
    for (rule, i) in policy.rules(q.direction).iter().zip(0u32..) {
        let (matches, effect) = rule_matches(q, policy.tier, rule);
        let matches = trace.note(matches, reference(Some(i)));
        if matches != Tri::No {
            branches.entry(Some(effect)).or_default().push(reference(Some(i)));
        }
        if matches == Tri::Yes {
            return branches;
        }
    }
    branches.insert(None, Vec::new());
    branches
}

/// `spec.subject`. hostNetwork pods never (row 145), finished pods never (107).
fn selects(q: &Question<'_>, policy: &ClusterPolicy) -> Tri {
    let pod = q.subject();
    if pod.host_network || pod.finished {
        Tri::No
    } else if unreadable(&policy.subject.namespaces) || unreadable(&policy.subject.pods) {
        Tri::unclear(DependsOn::UnreadableSelector) // U10
    } else {
        namespace_matches(q.world, &policy.subject.namespaces, pod.namespace)
            .and(Tri::from_bool(labels_match(&policy.subject.pods, &pod.labels)))
    }
}

/// Whether the rule matches, and what it does then.
fn rule_matches(q: &Question<'_>, tier: Tier, rule: &ClusterRule) -> (Tri, Effect) {
    let written = match rule.action {
        Action::Accept => Effect::Accept,
        Action::Pass => Effect::Pass,
        Action::Deny | Action::Unknown(_) => Effect::Deny, // row 168
    };
    let ports: Vec<Option<&ClusterPort>> = match &rule.ports {
        ClusterPorts::Any => vec![None],
        ClusterPorts::Of(ports) => ports.iter().map(Some).collect(),
    };
    // A rule that this version cannot read: it accepts nothing, or denies everything (rows 47, 167).
    let unknown_port = ports.iter().any(|p| matches!(p, Some(ClusterPort::Unknown)));
    if unknown_port || rule.peers.iter().any(unknown_peer) {
        return if written == Effect::Accept { (Tri::No, written) } else { (Tri::Yes, Effect::Deny) };
    }
    // Domain names where only an Accept rule may have them: Deny for every peer, on its ports (row 160).
    let everyone = written != Effect::Accept && rule.peers.iter().any(|p| matches!(p, ClusterPeer::DomainNames { .. }));
    // A protocol without a port acts as Deny for all its ports (row 149); it covers all that other entries do for it.
    let bare =
        ports.iter().any(|p| matches!((p, q.l4), (Some(ClusterPort::BareProtocol(b)), L4::Port(a, _)) if *b == a));
    let effect = if written != Effect::Accept && (everyone || bare) { Effect::Deny } else { written };

    let mut matches = Tri::No;
    for port in &ports {
        let port_matches = Tri::from_bool(port_matches(q, effect, *port));
        if everyone {
            matches = matches.or(port_matches);
            continue;
        }
        for peer in &rule.peers {
            let by_address = !matches!(peer, ClusterPeer::Pods { .. });
            if q.is_egress() && by_address && matches!(port, Some(ClusterPort::Named(_))) {
                continue; // addresses have no named ports (row 58)
            }
            matches = matches.or(port_matches.clone().and(peer_matches(q, tier, peer)));
        }
    }
    (matches, effect)
}

/// A peer of a newer kind, or with a selector that cannot be read.
fn unknown_peer(peer: &ClusterPeer) -> bool {
    match peer {
        ClusterPeer::Pods { namespaces, pods, .. } => unreadable(namespaces) || unreadable(pods),
        ClusterPeer::Nodes { nodes, .. } => unreadable(nodes),
        ClusterPeer::Networks { .. } | ClusterPeer::DomainNames { .. } => false,
        ClusterPeer::Unknown { .. } => true,
    }
}

/// One peer of a rule that can be read.
fn peer_matches(q: &Question<'_>, tier: Tier, peer: &ClusterPeer) -> Tri {
    match peer {
        ClusterPeer::Pods { namespaces, pods, .. } => pods_match(q, namespaces, pods),
        ClusterPeer::Nodes { nodes, .. } => nodes_match(q, nodes),
        ClusterPeer::Networks { blocks, .. } => Tri::any(blocks.iter().map(|b| block_matches(q.world, b, &[], q.peer))),
        ClusterPeer::DomainNames { .. } => match (tier, q.peer) {
            (Tier::Admin, Endpoint::External(_)) => Tri::unclear(DependsOn::DomainName), // U9
            (Tier::Admin, Endpoint::Pod(_) | Endpoint::Node(_)) | (Tier::Baseline, _) => Tri::No,
        },
        ClusterPeer::Unknown { .. } => Tri::No,
    }
}

/// `namespaces` or `pods`. hostNetwork pods never (row 145), finished pods never (107).
fn pods_match(q: &Question<'_>, namespaces: &Selector, pods: &Selector) -> Tri {
    let Endpoint::Pod(id) = q.peer else { return Tri::No };
    let pod = &q.world.pods[id.index()];
    if pod.host_network || pod.finished {
        return Tri::No;
    }
    namespace_matches(q.world, namespaces, pod.namespace).and(Tri::from_bool(labels_match(pods, &pod.labels)))
}

/// `nodes`: nodes by label, hostNetwork pods through their node, other pods never (rows 155, 156).
fn nodes_match(q: &Question<'_>, nodes: &Selector) -> Tri {
    match q.peer {
        Endpoint::External(_) => Tri::No,
        Endpoint::Node(id) => Tri::from_bool(labels_match(nodes, &q.world.nodes[id.index()].labels)),
        Endpoint::Pod(id) => match (&q.world.pods[id.index()], node_of(q.world, id)) {
            (pod, _) if !pod.host_network || pod.finished => Tri::No,
            (_, Some((_, node))) => Tri::from_bool(labels_match(nodes, &node.labels)),
            (_, None) => Tri::unclear(DependsOn::NodeOfPod(id)),
        },
    }
}

/// One entry of `protocols`, or no `protocols` at all (rows 146, 147, 149, 150).
fn port_matches(q: &Question<'_>, effect: Effect, entry: Option<&ClusterPort>) -> bool {
    match (entry, q.l4) {
        (None, _) => true,
        (Some(_), L4::Other) => false,
        (Some(ClusterPort::Number(of, PortMatch::Named(name))), L4::Port(protocol, port)) => {
            *of == protocol && named(q.receiver(), name, protocol, port)
        }
        (Some(ClusterPort::Number(of, number)), L4::Port(protocol, port)) => {
            *of == protocol && number_matches(number, port)
        }
        (Some(ClusterPort::Named(name)), L4::Port(protocol, port)) => match effect {
            Effect::Deny => named_deny(q.receiver(), name, protocol, port),
            Effect::Accept | Effect::Pass => named(q.receiver(), name, protocol, port),
        },
        (Some(ClusterPort::BareProtocol(of)), L4::Port(protocol, _)) => effect == Effect::Deny && *of == protocol,
        (Some(ClusterPort::Unknown), L4::Port(..)) => false,
    }
}
