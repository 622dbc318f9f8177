//! ClusterNetworkPolicy (and AdminNetworkPolicy, BaselineAdminNetworkPolicy): one tier, in order of priority.

use crate::half::{Question, Ways};
use crate::matching::{Block, blocks_match, cluster_selects, labels_match, named, port_is, unreadable};
use crate::tri::Tri;
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::cluster_policy::Subject;
use watertight_model::*;

/// What a rule does to the traffic that it matches; the most restrictive last (row 143).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Accept,
    Pass,
    Deny,
}

/// What some policies may do, branch by branch: an effect (`None`: no rule matched) and the rules that have it.
type Branches = BTreeMap<Option<Effect>, Vec<RuleRef>>;

/// Adds the ways in which the tier decides. True if it may leave the decision to the next.
pub(crate) fn leaves(q: &Question<'_>, tier: Tier, ways: &mut Ways) -> bool {
    let mut passes = false;
    let of_tier = || q.world.cluster_policies.iter().zip(0u32..).filter(move |(p, _)| p.tier == tier);
    let priorities: BTreeSet<u16> = of_tier().map(|(p, _)| p.priority).collect();
    for priority in priorities {
        // Policies of equal priority are each asked for their first match; the most restrictive acts (row 143).
        let mut branches = Branches::from([(None, Vec::new())]);
        for (policy, index) in of_tier().filter(|(p, _)| p.priority == priority) {
            let mut next = Branches::new();
            for (choice, rule) in first_match(q, policy, index, ways) {
                for (so_far, rules) in &branches {
                    let acting = next.entry(choice.max(*so_far)).or_default();
                    acting.extend(rules.iter().filter(|_| *so_far >= choice));
                    acting.extend(rule.iter().filter(|_| choice >= *so_far));
                }
            }
            branches = next;
        }
        let asks_on = branches.contains_key(&None);
        for (effect, rules) in branches {
            match (effect, tier) {
                (Some(Effect::Accept), Tier::Admin) => ways.add(Reason::AdminAccept, rules),
                (Some(Effect::Accept), Tier::Baseline) => ways.add(Reason::BaselineAccept, rules),
                (Some(Effect::Deny), Tier::Admin) => ways.add(Reason::AdminDeny, rules),
                (Some(Effect::Deny), Tier::Baseline) => ways.add(Reason::BaselineDeny, rules),
                (Some(Effect::Pass), _) => passes = true, // the rest of the tier is skipped (rows 135 to 137, 140)
                (None, _) => {}
            }
        }
        if !asks_on {
            return passes;
        }
    }
    true
}

/// The first rule of the policy that matches (row 131), on every branch; `None` if none does (rows 141, 142).
fn first_match(q: &Question<'_>, policy: &ClusterPolicy, index: u32, ways: &mut Ways) -> Branches {
    let reference = |rule| RuleRef { policy: PolicyRef::Cluster(index), direction: q.direction, rule };
    let nothing = Branches::from([(None, Vec::new())]);
    if policy.rules(q.direction).is_empty() {
        return nothing;
    }
    let mut branches = match ways.note(selects(q, policy), reference(None)) {
        Tri::No => return nothing,
        Tri::Yes => Branches::new(),
        Tri::Unclear(_) => nothing,
    };
    for (rule, i) in policy.rules(q.direction).iter().zip(0u32..) {
        let (matches, effect) = rule_matches(q, policy.tier, rule);
        let matches = ways.note(matches, reference(Some(i)));
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

/// `spec.subject`.
fn selects(q: &Question<'_>, policy: &ClusterPolicy) -> Tri {
    let Subject { namespaces, pods } = &policy.subject;
    let everything = Selector::everything();
    if unreadable(namespaces) || unreadable(pods) {
        let any_pod = cluster_selects(q.world, &everything, &everything, q.subject);
        return any_pod.and(Tri::unclear(DependsOn::UnreadableSelector)); // U10
    }
    cluster_selects(q.world, namespaces, pods, q.subject)
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

    // Addresses have no named ports (row 58).
    let by_address = |peer: &ClusterPeer| q.direction == Direction::Egress && !matches!(peer, ClusterPeer::Pods { .. });
    let pair = |port: Option<&ClusterPort>, peer: &ClusterPeer| match (port, peer) {
        _ if everyone => Tri::Yes,
        (Some(ClusterPort::Named(_)), peer) if by_address(peer) => Tri::No,
        (_, peer) => peer_matches(q, tier, rule, peer),
    };
    let matching = ports.into_iter().filter(|port| port_matches(q, effect, *port));
    (Tri::any(matching.flat_map(|port| rule.peers.iter().map(move |peer| pair(port, peer)))), effect)
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

/// One peer of a rule that can be read. The networks of a rule are one set (U1).
fn peer_matches(q: &Question<'_>, tier: Tier, rule: &ClusterRule, peer: &ClusterPeer) -> Tri {
    match (peer, q.peer) {
        (ClusterPeer::Pods { namespaces, pods, .. }, Endpoint::Pod(id)) => {
            cluster_selects(q.world, namespaces, pods, id)
        }
        (ClusterPeer::Nodes { nodes, .. }, Endpoint::Node(id)) => node_matches(q.world, nodes, id),
        // A hostNetwork pod through its node; other pods never (rows 155, 156).
        (ClusterPeer::Nodes { nodes, .. }, Endpoint::Pod(id)) => match &q.world.pods[id.index()] {
            pod if !pod.host_network || pod.finished => Tri::No,
            Pod { node: Some(node), .. } => node_matches(q.world, nodes, *node),
            Pod { node: None, .. } => Tri::unclear(DependsOn::NodeOfPod(id)),
        },
        (ClusterPeer::Networks { .. }, _) => {
            let networks = rule.peers.iter().filter_map(|p| match p {
                ClusterPeer::Networks { blocks, .. } => Some(blocks),
                _ => None,
            });
            let all: Vec<Block<'_>> = networks.flatten().map(|block| (block, &[][..])).collect();
            blocks_match(q.world, &all, q.peer)
        }
        (ClusterPeer::DomainNames { .. }, Endpoint::External(_)) if tier == Tier::Admin => {
            Tri::unclear(DependsOn::DomainName) // U9
        }
        (ClusterPeer::Pods { .. } | ClusterPeer::Nodes { .. }, _) => Tri::No,
        (ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. }, _) => Tri::No,
    }
}

fn node_matches(world: &World, nodes: &Selector, id: NodeId) -> Tri {
    Tri::from_bool(labels_match(nodes, &world.nodes[id.index()].labels))
}

/// One entry of `protocols`, or no `protocols` at all (rows 146, 147, 149, 150).
fn port_matches(q: &Question<'_>, effect: Effect, entry: Option<&ClusterPort>) -> bool {
    let L4::Port(protocol, port) = q.l4 else { return entry.is_none() };
    match entry {
        None => true,
        Some(ClusterPort::Number(of, number)) => *of == protocol && port_is(number, None, protocol, port),
        Some(ClusterPort::Named(name)) => named(q.receiver(), name, protocol, effect == Effect::Deny).contains(&port),
        Some(ClusterPort::BareProtocol(of)) => effect == Effect::Deny && *of == protocol,
        Some(ClusterPort::Unknown) => false,
    }
}
