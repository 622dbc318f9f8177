//! What the objects of the cluster say: the network plugin, and where flows could come from.

use super::{Check, Group, Status};
use crate::kinds::{Kind, Shape};
use crate::words::one_line;
use watertight_audit::cni::{CniFinding, Enforces, detect, enforcement};
use watertight_model::World;

/// The kinds that these checks rest on.
pub(super) fn needed(kind: &Kind) -> bool {
    matches!(kind.shape, Shape::Namespace | Shape::Node | Shape::Service | Shape::Policy) || kind.kind == "DaemonSet"
}

pub(super) fn checks(world: &World) -> Vec<Check> {
    let findings = detect(world);
    let mut checks: Vec<Check> = findings.iter().map(plugin).collect();
    checks.push(policies_have_effect(world, &findings));
    checks.extend(flow_sources(world));
    checks
}

/// One plugin; whether it matters is the next check's business, so that a plain Flannel under Calico is no alarm.
fn plugin(finding: &CniFinding) -> Check {
    let evidence: Vec<&str> = finding.evidence.iter().map(|(words, _)| words.as_str()).collect();
    let does = match finding.enforces {
        Enforces::Yes => "enforces NetworkPolicy".to_owned(),
        Enforces::No => "does not enforce NetworkPolicy".to_owned(),
        Enforces::OnlyWith(what) => format!("enforces NetworkPolicy only if {what}"),
        Enforces::Unknown => "may or may not run".to_owned(),
    };
    let message = format!("{} {does}: {}", finding.name, one_line(&evidence.join("; ")));
    let status = if finding.enforces == Enforces::Unknown { Status::Unknown } else { Status::Ok };
    Check::new(Group::Plugin, finding.name, status, message).hint(finding.source_note)
}

fn policies_have_effect(world: &World, findings: &[CniFinding]) -> Check {
    let count = world.policies.len() + world.cluster_policies.len();
    let policies = match count {
        0 => "there are no policies yet".to_owned(),
        1 => "there is 1 policy".to_owned(),
        n => format!("there are {n} policies"),
    };
    let check = |status, message: String| Check::new(Group::Plugin, "enforcement", status, message);
    match enforcement(findings) {
        Enforces::Yes => check(Status::Ok, format!("policies have an effect; {policies}")),
        Enforces::OnlyWith(what) => check(Status::Warn, format!("policies have an effect only if {what}; {policies}"))
            .hint("look the setting up, or try it: a deny-all policy in a test namespace must stop traffic there"),
        Enforces::No => {
            let status = if count == 0 { Status::Warn } else { Status::Fail };
            check(status, format!("nothing enforces policies; {policies}"))
                .hint("install a plugin that enforces them beside or instead of this one, such as Calico or kube-network-policies")
        }
        Enforces::Unknown => {
            let why =
                if findings.is_empty() { "no network plugin was recognised" } else { "no plugin was seen running" };
            let unread = world.unread.iter().any(|u| u.what.starts_with("daemonsets") || u.what.starts_with("nodes"));
            let blind = if unread { " (DaemonSets or nodes may not be read)" } else { "" };
            check(Status::Unknown, format!("{why}{blind}; {policies}"))
                .hint("try it: a deny-all policy in a test namespace must stop traffic there")
        }
    }
}

/// Services by which flows could be read: name, what it is, how to use it.
const FLOW_SOURCES: &[(&str, &str, &str)] = &[
    ("hubble-relay", "Hubble", "hubble observe --output jsonpb > flows.jsonl && watertight flows import flows.jsonl"),
    ("goldmane", "Calico's flow aggregator", "export Calico flow logs to a file, then: watertight flows import FILE"),
];

fn flow_sources(world: &World) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, what, hint) in FLOW_SOURCES {
        for service in world.services.iter().filter(|service| *service.name == **name) {
            let namespace = &world.namespaces[service.namespace.index()].name;
            let message = format!("{what}: Service `{namespace}/{name}`");
            checks.push(Check::new(Group::Flows, *name, Status::Ok, message).hint(*hint));
        }
    }
    if checks.is_empty() {
        let unread = world.unread.iter().any(|u| &*u.what == "services");
        checks.push(if unread {
            Check::new(Group::Flows, "sources", Status::Unknown, "Services may not be read")
        } else {
            let message = "no source of flows found (looked for the Services `hubble-relay` and `goldmane`)";
            Check::new(Group::Flows, "sources", Status::Warn, message)
                .hint("recorded flows can come from elsewhere: watertight flows import FILE")
        });
    }
    checks
}
