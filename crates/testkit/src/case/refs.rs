//! Names in a case to things in its world.

use super::family::Families;
use watertight_model::{Direction, Endpoint, PolicyRef, ServiceId, World};

/// One side of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    End(Endpoint),
    Service(ServiceId),
}

/// `ns/pod`, `node:NAME`, `ip:ADDRESS` (literally that address, whoever else has it), `service:ns/name`.
pub(super) fn sides(world: &World, text: &str, family: Families) -> Result<Vec<Side>, String> {
    if let Some(ip) = text.strip_prefix("ip:") {
        let ip = ip.parse().map_err(|_| format!("`{ip}` is not an address"))?;
        return Ok(family.addresses(ip).into_iter().map(|a| Side::End(Endpoint::External(a))).collect());
    }
    if let Some(name) = text.strip_prefix("node:") {
        let node = world.node(name).ok_or_else(|| format!("there is no node `{name}`"))?;
        return Ok(vec![Side::End(Endpoint::Node(node))]);
    }
    let (service, name) = match text.strip_prefix("service:") {
        Some(name) => (true, name),
        None => (false, text),
    };
    let (namespace, name) = name.split_once('/').ok_or_else(|| format!("`{text}` is not `namespace/name`"))?;
    let id = world.namespace(namespace).ok_or_else(|| format!("there is no namespace `{namespace}`"))?;
    let side = if service {
        Side::Service(world.service(id, name).ok_or_else(|| format!("there is no Service `{namespace}/{name}`"))?)
    } else {
        Side::End(Endpoint::Pod(world.pod(id, name).ok_or_else(|| format!("there is no pod `{namespace}/{name}`"))?))
    };
    Ok(vec![side])
}

/// `ingress` or `egress`.
pub(super) fn direction(text: &str) -> Result<Direction, String> {
    let all = Direction::BOTH.into_iter();
    all.into_iter().find(|d| d.name() == text).ok_or_else(|| format!("`{text}` is neither ingress nor egress"))
}

/// `policy[rule]`.
pub(super) fn indexed(text: &str) -> Result<(String, usize), String> {
    let inner = text.strip_suffix(']').and_then(|t| t.split_once('['));
    let (name, index) = inner.ok_or_else(|| format!("`{text}` is not `name[index]`"))?;
    Ok((name.to_owned(), index.parse().map_err(|_| format!("`{index}` is not an index"))?))
}

/// The only policy of this name.
pub(super) fn policy(world: &World, name: &str) -> Result<PolicyRef, String> {
    let namespaced = (0u32..).zip(&world.policies).map(|(i, _)| PolicyRef::Namespaced(i));
    let cluster = (0u32..).zip(&world.cluster_policies).map(|(i, _)| PolicyRef::Cluster(i));
    let mut named = namespaced.chain(cluster).filter(|p| world.policy_name(*p) == name);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(format!("there is no policy `{name}`")),
        (Some(_), Some(_)) => Err(format!("several policies are called `{name}`")),
    }
}
