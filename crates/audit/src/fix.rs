//! What would mend a finding: YAML for people, and the same as edits that the engine can apply.
//!
//! The contract, held by tests on every fixture and on random worlds: the YAML reads back as the edits; with them the finding
//! is gone, and no new error has come.

use watertight_model::cluster_policy::ClusterPolicyKind;
use watertight_model::{ClusterPolicy, Direction, NamespaceId, NetworkPolicy, Rule, Str, World, manifest};

/// One way to mend a finding. Where several intents are possible there is one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in one line.
    pub title: String,
    /// The YAML to apply or to write in place; empty if something is only deleted.
    pub yaml: String,
    /// The same as edits; empty: it is not about policies, and nothing but the text can be checked.
    pub edits: Vec<Edit>,
}

impl Fix {
    /// Adds a policy, or puts it in the place of the one of its name; printed whole.
    pub fn put(world: &World, title: impl Into<String>, policy: NetworkPolicy) -> Self {
        let namespace = &world.namespaces[policy.namespace.index()].name;
        let yaml = manifest::network_policy(namespace, &policy, &|_, _| Vec::new());
        Self { title: title.into(), yaml, edits: vec![Edit::PutPolicy(Box::new(policy))] }
    }

    /// Deletes a policy.
    pub fn delete(world: &World, title: impl Into<String>, policy: usize) -> Self {
        let policy = &world.policies[policy];
        let edit = Edit::RemovePolicy { namespace: policy.namespace, name: policy.name.clone() };
        Self { title: title.into(), yaml: String::new(), edits: vec![edit] }
    }

    /// Puts a rule in the place of another; printed as the rule.
    pub fn rule(
        world: &World,
        title: impl Into<String>,
        policy: usize,
        direction: Direction,
        place: usize,
        rule: Rule,
    ) -> Self {
        let yaml = manifest::rule_entry(&rule, direction == Direction::Egress);
        let edited = with_rules(&world.policies[policy], direction, |rules| {
            if let Some(old) = rules.get_mut(place) {
                *old = rule;
            }
        });
        Self { title: title.into(), yaml, edits: vec![Edit::PutPolicy(Box::new(edited))] }
    }

    /// Adds a rule; printed as the rule.
    pub fn add_rule(world: &World, title: impl Into<String>, policy: usize, direction: Direction, rule: Rule) -> Self {
        let yaml = manifest::rule_entry(&rule, direction == Direction::Egress);
        let edited = with_rules(&world.policies[policy], direction, |rules| rules.push(rule));
        Self { title: title.into(), yaml, edits: vec![Edit::PutPolicy(Box::new(edited))] }
    }

    /// Deletes a rule.
    pub fn delete_rule(
        world: &World,
        title: impl Into<String>,
        policy: usize,
        direction: Direction,
        place: usize,
    ) -> Self {
        let edited = with_rules(&world.policies[policy], direction, |rules| {
            if place < rules.len() {
                rules.remove(place);
            }
        });
        Self { title: title.into(), yaml: String::new(), edits: vec![Edit::PutPolicy(Box::new(edited))] }
    }

    /// Puts a cluster policy in the place of the one of its kind and name; `yaml` is the part that differs.
    pub fn put_cluster(title: impl Into<String>, yaml: impl Into<String>, policy: ClusterPolicy) -> Self {
        Self { title: title.into(), yaml: yaml.into(), edits: vec![Edit::PutClusterPolicy(Box::new(policy))] }
    }

    /// Deletes a cluster policy.
    pub fn delete_cluster(title: impl Into<String>, policy: &ClusterPolicy) -> Self {
        let edit = Edit::RemoveClusterPolicy { kind: policy.kind, name: policy.name.clone() };
        Self { title: title.into(), yaml: String::new(), edits: vec![edit] }
    }

    /// Both together, under a title of their own.
    #[must_use]
    pub fn and(mut self, title: impl Into<String>, other: Self) -> Self {
        let between = if self.yaml.is_empty() || other.yaml.is_empty() { "" } else { "---\n" };
        self.title = title.into();
        self.yaml = format!("{}{between}{}", self.yaml, other.yaml);
        self.edits.extend(other.edits);
        self
    }

    /// Something that is not about policies: a label, a Service, a command.
    pub fn text(title: impl Into<String>, yaml: impl Into<String>) -> Self {
        Self { title: title.into(), yaml: yaml.into(), edits: Vec::new() }
    }
}

/// One change to the policies of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds a policy, or puts it in the place of the one of the same namespace and name.
    PutPolicy(Box<NetworkPolicy>),
    /// Takes a policy away.
    RemovePolicy {
        /// Its namespace.
        namespace: NamespaceId,
        /// Its name.
        name: Str,
    },
    /// As [`Edit::PutPolicy`].
    PutClusterPolicy(Box<ClusterPolicy>),
    /// As [`Edit::RemovePolicy`].
    RemoveClusterPolicy {
        /// Its kind.
        kind: ClusterPolicyKind,
        /// Its name.
        name: Str,
    },
}

/// The world after the edits.
pub fn apply(world: &World, edits: &[Edit]) -> World {
    let mut out = world.clone();
    for edit in edits {
        match edit {
            Edit::PutPolicy(policy) => {
                out.policies.retain(|p| (p.namespace, &p.name) != (policy.namespace, &policy.name));
                out.policies.push((**policy).clone());
            }
            Edit::RemovePolicy { namespace, name } => {
                out.policies.retain(|p| (p.namespace, &p.name) != (*namespace, name));
            }
            Edit::PutClusterPolicy(policy) => {
                out.cluster_policies.retain(|p| (p.kind, &p.name) != (policy.kind, &policy.name));
                out.cluster_policies.push((**policy).clone());
            }
            Edit::RemoveClusterPolicy { kind, name } => {
                out.cluster_policies.retain(|p| (p.kind, &p.name) != (*kind, name));
            }
        }
    }
    out.policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    out.cluster_policies
        .sort_by(|a, b| (a.tier, a.priority, a.kind, &a.name).cmp(&(b.tier, b.priority, b.kind, &b.name)));
    out
}

fn with_rules(policy: &NetworkPolicy, direction: Direction, edit: impl FnOnce(&mut Vec<Rule>)) -> NetworkPolicy {
    let mut out = policy.clone();
    edit(match direction {
        Direction::Ingress => &mut out.ingress,
        Direction::Egress => &mut out.egress,
    });
    out
}
