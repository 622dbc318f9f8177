//! What a server may hold and no manifest can say any more (or yet): edits of a world after it was read.
//!
//! The reader refuses such objects, as today's servers do; judges must still fail closed on them (rows 47, 149, 167, 168).

use super::refs::{direction, indexed, policy};
use watertight_model::{
    Action, ClusterPeer, ClusterPort, ClusterPorts, ClusterRule, Direction, Op, PeerKind, Peers, PolicyRef, PortMatch,
    Protocol, Selector, Str, World,
};

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `operator of KEY is OPERATOR`: in every selector of a policy that asks for the key.
    Operator {
        /// The label key.
        key: String,
        /// The operator that nobody knows.
        op: String,
    },
    /// `action of DIRECTION POLICY[RULE] is ACTION`.
    Action(RuleName, String),
    /// `peer N of DIRECTION POLICY[RULE] is unknown`.
    UnknownPeer(usize, RuleName),
    /// `port N of DIRECTION POLICY[RULE] is unknown`.
    UnknownPort(usize, RuleName),
    /// `port N of DIRECTION POLICY[RULE] is bare`: its protocol without a port.
    BarePort(usize, RuleName),
}

/// A rule of a cluster policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    direction: Direction,
    policy: String,
    rule: usize,
}

impl Edit {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let index = |n: &str| n.parse::<usize>().map_err(|_| format!("`{n}` is not an index"));
        match words.as_slice() {
            ["operator", "of", key, "is", op] => Ok(Edit::Operator { key: (*key).to_owned(), op: (*op).to_owned() }),
            ["action", "of", d, rule, "is", action] => Ok(Edit::Action(rule_name(d, rule)?, (*action).to_owned())),
            ["peer", n, "of", d, rule, "is", "unknown"] => Ok(Edit::UnknownPeer(index(n)?, rule_name(d, rule)?)),
            ["port", n, "of", d, rule, "is", "unknown"] => Ok(Edit::UnknownPort(index(n)?, rule_name(d, rule)?)),
            ["port", n, "of", d, rule, "is", "bare"] => Ok(Edit::BarePort(index(n)?, rule_name(d, rule)?)),
            _ => Err(format!("`{text}` is no edit that the runner knows")),
        }
    }

    pub(super) fn apply(&self, world: &mut World) -> Result<(), String> {
        match self {
            Edit::Operator { key, op } => match edit_operators(world, key, op) {
                0 => Err(format!("no selector asks for `{key}`")),
                _ => Ok(()),
            },
            Edit::Action(name, action) => {
                rule(world, name)?.action = Action::Unknown(Str::from(action.as_str()));
                Ok(())
            }
            Edit::UnknownPeer(n, name) => {
                let peer = rule(world, name)?.peers.get_mut(*n).ok_or("the rule has no such peer")?;
                let origin = match peer {
                    ClusterPeer::Pods { origin, .. }
                    | ClusterPeer::Nodes { origin, .. }
                    | ClusterPeer::Networks { origin, .. }
                    | ClusterPeer::DomainNames { origin, .. }
                    | ClusterPeer::Unknown { origin } => *origin,
                };
                *peer = ClusterPeer::Unknown { origin };
                Ok(())
            }
            Edit::UnknownPort(n, name) => {
                *port(world, *n, name)? = ClusterPort::Unknown;
                Ok(())
            }
            Edit::BarePort(n, name) => {
                let port = port(world, *n, name)?;
                let protocol = match port {
                    ClusterPort::Number(protocol, PortMatch::Any | PortMatch::Range(..) | PortMatch::Named(_))
                    | ClusterPort::BareProtocol(protocol) => *protocol,
                    ClusterPort::Named(_) | ClusterPort::Unknown => Protocol::Tcp,
                };
                *port = ClusterPort::BareProtocol(protocol);
                Ok(())
            }
        }
    }
}

fn rule_name(d: &str, text: &str) -> Result<RuleName, String> {
    let (policy, rule) = indexed(text)?;
    Ok(RuleName { direction: direction(d)?, policy, rule })
}

fn rule<'w>(world: &'w mut World, name: &RuleName) -> Result<&'w mut ClusterRule, String> {
    let missing = || format!("there is no cluster rule `{}[{}]`", name.policy, name.rule);
    let PolicyRef::Cluster(i) = policy(world, &name.policy)? else { return Err(missing()) };
    let policy = &mut world.cluster_policies[i as usize];
    let rules = match name.direction {
        Direction::Ingress => &mut policy.ingress,
        Direction::Egress => &mut policy.egress,
    };
    rules.get_mut(name.rule).ok_or_else(missing)
}

fn port<'w>(world: &'w mut World, n: usize, name: &RuleName) -> Result<&'w mut ClusterPort, String> {
    match &mut rule(world, name)?.ports {
        ClusterPorts::Any => Err("the rule has no ports".to_owned()),
        ClusterPorts::Of(ports) => ports.get_mut(n).ok_or_else(|| "the rule has no such port".to_owned()),
    }
}

/// Gives the operator to every requirement on the key; returns how many there were.
fn edit_operators(world: &mut World, key: &str, op: &str) -> usize {
    let mut selectors: Vec<&mut Selector> = Vec::new();
    for policy in &mut world.policies {
        selectors.push(&mut policy.subject);
        for rule in policy.ingress.iter_mut().chain(&mut policy.egress) {
            if let Peers::Of(peers) = &mut rule.peers {
                for peer in peers {
                    if let PeerKind::Pods { namespaces, pods } = &mut peer.kind {
                        selectors.extend(namespaces.iter_mut().chain(pods));
                    }
                }
            }
        }
    }
    for policy in &mut world.cluster_policies {
        selectors.extend([&mut policy.subject.namespaces, &mut policy.subject.pods]);
        for peer in policy.ingress.iter_mut().chain(&mut policy.egress).flat_map(|r| &mut r.peers) {
            match peer {
                ClusterPeer::Pods { namespaces, pods, .. } => selectors.extend([namespaces, pods]),
                ClusterPeer::Nodes { nodes, .. } => selectors.push(nodes),
                ClusterPeer::Networks { .. } | ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {}
            }
        }
    }
    let wanted = selectors.into_iter().flat_map(|s| &mut s.requirements).filter(|r| *r.key == *key);
    wanted.map(|r| r.op = Op::Unknown(Str::from(op))).count()
}
