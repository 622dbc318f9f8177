//! What decided, in words that survive: names and not places in a list, so that an answer means the same in every image.

use watertight_engine::Engine;
use watertight_model::{DependsOn, Direction, Half, PolicyRef, Reason, RuleRef, Verdict, World};

/// A rule by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleName {
    /// Kind of the policy.
    pub kind: &'static str,
    /// `namespace/name`, or the name of a cluster policy.
    pub policy: String,
    /// Which list of rules.
    pub direction: Direction,
    /// Index in that list; `None`: the policy isolates the pod and no rule admits the traffic.
    pub rule: Option<u32>,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answer {
    /// Why; `Unclear`: readings differ, and it was closed or opened by a switch ([`super::Options`]).
    pub reason: Reason,
    /// The rules, sorted.
    pub rules: Vec<RuleName>,
    /// What it rests on if unclear, by kind.
    pub depends_on: Vec<&'static str>,
}

impl Answer {
    /// One line: `policyDeny NetworkPolicy shop/db-in ingress`, rules counted from 0 in brackets.
    pub fn text(&self) -> String {
        let mut out = self.reason.name().to_owned();
        for rule in &self.rules {
            out = format!("{out} {} {} {}", rule.kind, rule.policy, rule.direction.name());
            if let Some(i) = rule.rule {
                out = format!("{out}[{i}]");
            }
        }
        for on in &self.depends_on {
            out = format!("{out} depends:{on}");
        }
        out
    }

    /// FNV-1a of the text: names the answer in the kernel, where a user space that starts anew finds it again.
    pub fn hash(&self) -> u64 {
        self.text().bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
    }
}

fn rule_name(world: &World, rule: &RuleRef) -> RuleName {
    let kind = match rule.policy {
        PolicyRef::Namespaced(_) => "NetworkPolicy",
        PolicyRef::Cluster(i) => world.cluster_policies[i as usize].kind.name(),
    };
    RuleName { kind, policy: world.policy_name(rule.policy), direction: rule.direction, rule: rule.rule }
}

fn kind(on: &DependsOn) -> &'static str {
    match on {
        DependsOn::PodAddress(_) => "podAddress",
        DependsOn::NodeAddress(_) => "nodeAddress",
        DependsOn::NamespaceLabels(_) => "namespaceLabels",
        DependsOn::HostNetwork(_) => "hostNetwork",
        DependsOn::NodeOfPod(_) => "nodeOfPod",
        DependsOn::UnreadableSelector => "unreadableSelector",
        DependsOn::MappedBlock => "mappedBlock",
        DependsOn::OtherProtocol => "otherProtocol",
        DependsOn::DomainName => "domainName",
        DependsOn::ForeignPolicy(_) => "foreignPolicy",
    }
}

/// Three answers become two: what is unclear is closed, but for the one switch that says how a rule without ports is read.
pub(super) fn settle(engine: &Engine<'_>, half: &Half, other_protocols: bool) -> (bool, Answer) {
    let mut depends_on: Vec<&'static str> = half.depends_on.iter().map(kind).collect();
    depends_on.dedup();
    let allow = match half.verdict {
        Verdict::Allow => true,
        Verdict::Deny => false,
        Verdict::Depends => other_protocols && half.depends_on == [DependsOn::OtherProtocol],
    };
    let rules = half.decided_by.iter().map(|r| rule_name(engine.world(), r)).collect();
    (allow, Answer { reason: half.reason, rules, depends_on })
}
