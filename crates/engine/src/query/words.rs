//! Verdicts in words.

use super::{Case, Question, Target};
use crate::Engine;
use watertight_model::{DependsOn, Direction, Endpoint, FlowVerdict, Half, Reason, RuleRef, Verdict};

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

pub(super) fn sentence(engine: &Engine<'_>, question: &Question, verdict: Verdict, cases: &[Case]) -> String {
    let (from, to) = (target_name(engine, &question.from), target_name(engine, &question.to));
    let what =
        question.protocol.map_or_else(|| "protocols without ports".to_owned(), |p| format!("{p} {}", question.port));
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
            let with_rules =
                telling.iter().filter(|(_, half)| !matches!(half.reason, Reason::NotSubject | Reason::DefaultAllow));
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
        DependsOn::OtherProtocol => {
            "whether a rule without ports opens protocols other than TCP, UDP and SCTP".to_owned()
        }
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
