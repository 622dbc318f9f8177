//! Candidate policies put into a world: added, or in the place of those of the same name.
//!
//! Input: a world and another one that holds policies. Output: the first with the second's policies, and its sources after
//! its own, so that every rule keeps its place.

use crate::exit::{Exit, Failure};
use watertight_model::cluster_policy::ClusterPeer;
use watertight_model::{ClusterPolicy, NetworkPolicy, Origin, PeerKind, Peers, Ports, Rule, SourceId, World};

/// Puts the policies of `candidates` into `world`. Nothing else of it is taken.
///
/// # Errors
/// A policy is of a namespace that the world does not have.
pub fn put(world: &mut World, candidates: World) -> Result<(), Failure> {
    let shift = u32::try_from(world.sources.len()).unwrap_or(u32::MAX);
    let moved = |at: &mut Origin| at.source = SourceId(at.source.0.saturating_add(shift));
    let mut faults = Vec::new();
    for mut policy in candidates.policies {
        let name = &candidates.namespaces[policy.namespace.index()].name;
        let Some(namespace) = world.namespace(name) else {
            faults.push(crate::exit::fault(
                "unknown-namespace",
                format!("candidate `{name}/{}`: the cluster has no namespace `{name}`", policy.name),
                None,
            ));
            continue;
        };
        policy.namespace = namespace;
        origins(&mut policy, &moved);
        world.policies.retain(|p| (p.namespace, &p.name) != (namespace, &policy.name));
        world.policies.push(policy);
    }
    for mut policy in candidates.cluster_policies {
        cluster_origins(&mut policy, &moved);
        world.cluster_policies.retain(|p| (p.kind, &p.name) != (policy.kind, &policy.name));
        world.cluster_policies.push(policy);
    }
    if !faults.is_empty() {
        return Err(Failure { exit: Exit::BadInput, diagnostics: faults, sources: Vec::new() });
    }
    world.policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    world
        .cluster_policies
        .sort_by(|a, b| (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name)));
    world.sources.extend(candidates.sources);
    Ok(())
}

fn origins(policy: &mut NetworkPolicy, moved: &impl Fn(&mut Origin)) {
    moved(&mut policy.origin);
    moved(&mut policy.subject_origin);
    for rule in policy.ingress.iter_mut().chain(&mut policy.egress) {
        rule_origins(rule, moved);
    }
}

fn rule_origins(rule: &mut Rule, moved: &impl Fn(&mut Origin)) {
    moved(&mut rule.origin);
    if let Peers::Of(peers) = &mut rule.peers {
        for peer in peers {
            moved(&mut peer.origin);
            if let PeerKind::Block(block) = &mut peer.kind {
                std::iter::once(&mut block.cidr).chain(&mut block.except).for_each(|b| moved(&mut b.origin));
            }
        }
    }
    if let Ports::Of(ports) = &mut rule.ports {
        ports.iter_mut().for_each(|port| moved(&mut port.origin));
    }
}

fn cluster_origins(policy: &mut ClusterPolicy, moved: &impl Fn(&mut Origin)) {
    moved(&mut policy.origin);
    moved(&mut policy.subject_origin);
    for rule in policy.ingress.iter_mut().chain(&mut policy.egress) {
        moved(&mut rule.origin);
        for peer in &mut rule.peers {
            match peer {
                ClusterPeer::Networks { blocks, origin } => {
                    moved(origin);
                    blocks.iter_mut().for_each(|b| moved(&mut b.origin));
                }
                ClusterPeer::Pods { origin, .. }
                | ClusterPeer::Nodes { origin, .. }
                | ClusterPeer::DomainNames { origin, .. }
                | ClusterPeer::Unknown { origin } => moved(origin),
            }
        }
    }
}
