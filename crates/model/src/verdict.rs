//! The answer: allow, deny or depends, with what decided it.

use crate::policy::Direction;
use crate::world::{NamespaceId, NodeId, PodId};

/// Three answers, never two. There is no default and no conversion to `bool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Every reading of the input and of the API allows it.
    Allow,
    /// Every reading denies it.
    Deny,
    /// Readings differ: see [`Half::depends_on`].
    Depends,
}

impl Verdict {
    /// `allow`, `deny` or `depends`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
            Verdict::Depends => "depends",
        }
    }

    /// Both must allow: Deny if either denies, else Depends if either depends, else Allow.
    #[must_use]
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Deny, _) | (_, Verdict::Deny) => Verdict::Deny,
            (Verdict::Depends, _) | (_, Verdict::Depends) => Verdict::Depends,
            (Verdict::Allow, Verdict::Allow) => Verdict::Allow,
        }
    }
}

/// A policy of a [`crate::World`], by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyRef {
    /// Index into [`crate::World::cluster_policies`].
    Cluster(u32),
    /// Index into [`crate::World::policies`].
    Namespaced(u32),
}

/// A rule of a policy, or the policy as a whole when it isolates a pod and none of its rules matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    /// The policy.
    pub policy: PolicyRef,
    /// Which list of rules.
    pub direction: Direction,
    /// Index of the rule in that list; `None`: the policy selects the pod, none of its rules admits the traffic.
    pub rule: Option<u32>,
}

/// What decided one half of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A pod talks to its own address or to localhost: never blocked (row 92).
    OwnAddress,
    /// The endpoint on this side is not a pod (an external address, a node): no policy has it as a subject.
    NotSubject,
    /// Ingress from the pod's own node, or from a hostNetwork pod there: never blocked (rows 96, 97, 157).
    LocalNode,
    /// No policy has a say in this direction (row 1).
    DefaultAllow,
    /// A cluster policy of the Admin tier accepts.
    AdminAccept,
    /// A cluster policy of the Admin tier denies.
    AdminDeny,
    /// A NetworkPolicy rule admits it.
    PolicyAllow,
    /// NetworkPolicies isolate the pod and none of their rules admits it.
    PolicyDeny,
    /// A cluster policy of the Baseline tier accepts.
    BaselineAccept,
    /// A cluster policy of the Baseline tier denies.
    BaselineDeny,
    /// The readings differ; see [`Half::depends_on`].
    Unclear,
}

impl Reason {
    /// Stable name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::OwnAddress => "ownAddress",
            Reason::NotSubject => "notSubject",
            Reason::LocalNode => "localNode",
            Reason::DefaultAllow => "defaultAllow",
            Reason::AdminAccept => "adminAccept",
            Reason::AdminDeny => "adminDeny",
            Reason::PolicyAllow => "policyAllow",
            Reason::PolicyDeny => "policyDeny",
            Reason::BaselineAccept => "baselineAccept",
            Reason::BaselineDeny => "baselineDeny",
            Reason::Unclear => "unclear",
        }
    }
}

/// A fact that is missing, or that the API leaves to the network plugin. A match that rests on one is neither yes nor no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DependsOn {
    /// The pod's address is not known, so whether an address block holds it is not either.
    PodAddress(PodId),
    /// The node has several addresses and a block holds only some, or its addresses are not known.
    NodeAddress(NodeId),
    /// The labels of a namespace whose object was not read.
    NamespaceLabels(NamespaceId),
    /// Whether the plugin applies NetworkPolicy to this hostNetwork pod, as subject or as peer (row 103).
    HostNetwork(PodId),
    /// Whether the pod runs on the node that the traffic comes from (row 96).
    NodeOfPod(PodId),
    /// The subject selector of a cluster policy uses an operator this version does not know (row 47).
    UnreadableSelector,
    /// How the plugin reads an IPv4-mapped block (row 82).
    MappedBlock,
    /// Whether a rule without ports opens protocols other than TCP, UDP and SCTP (row 68).
    OtherProtocol,
    /// Which addresses a domain name resolves to (rows 158 to 165).
    DomainName,
    /// A policy of a kind that Watertight reads but does not evaluate; index into [`crate::World::foreign_policies`].
    ForeignPolicy(u32),
}

/// One side of a verdict: leaving the source, or entering the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// The answer for this side.
    pub verdict: Verdict,
    /// What decided it. `Unclear` when readings of the evaluated policies differ. A verdict can also be `Depends` with
    /// another reason: then the evaluated policies agree, and a policy that is not evaluated could change the answer.
    pub reason: Reason,
    /// Every rule that decided it, sorted, without repeats. For `PolicyAllow` all rules that admit the flow (delete them
    /// all and it is denied); for `PolicyDeny` all policies that isolate the pod (`rule: None`); for a cluster tier the
    /// rule (or, among policies of equal priority, the rules) that acted; for `Unclear` the rules and policies whose match is unclear.
    pub decided_by: Vec<RuleRef>,
    /// What the answer depends on, sorted, without repeats; empty unless the verdict is `Depends`.
    pub depends_on: Vec<DependsOn>,
}

/// The answer for a flow: it passes only if both halves allow it (row 27).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowVerdict {
    /// Both halves together.
    pub verdict: Verdict,
    /// Leaving the source.
    pub egress: Half,
    /// Entering the destination.
    pub ingress: Half,
}
