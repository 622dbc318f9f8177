//! Empty, absent, `policyTypes` (WT0011 to WT0017).

mod wt0011_direction_rules_ignored;
mod wt0012_implicit_ingress_isolation;
mod wt0013_empty_egress_does_not_isolate;
mod wt0014_empty_list_means_everyone;
mod wt0015_absent_protocol_is_tcp;
mod wt0016_spec_missing;
mod wt0017_rule_less_policy_denies;

use super::Lint;
use super::common::workload_names;
use super::trial::Subject;
use crate::context::Ctx;
use crate::finding::some;
use watertight_model::{Flow, NetworkPolicy, PodId};

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0011_direction_rules_ignored::LINT,
    &wt0012_implicit_ingress_isolation::LINT,
    &wt0013_empty_egress_does_not_isolate::LINT,
    &wt0014_empty_list_means_everyone::LINT,
    &wt0015_absent_protocol_is_tcp::LINT,
    &wt0016_spec_missing::LINT,
    &wt0017_rule_less_policy_denies::LINT,
];

/// Pods that a lint has shown its point on.
#[derive(Default)]
struct Shown {
    /// Pods of the input, one per class.
    pods: Vec<PodId>,
    /// A connection of the first of them.
    witness: Option<Flow>,
    /// Shown on a pod that was made up, because the policy selects none.
    made_up: bool,
}

impl Shown {
    fn add(&mut self, subject: &Subject<'_, '_>, flow: Flow) {
        if subject.is_real {
            self.pods.push(subject.pod);
            self.witness.get_or_insert(flow);
        } else {
            self.made_up = true;
        }
    }

    fn is_empty(&self) -> bool {
        self.pods.is_empty() && !self.made_up
    }

    /// The workloads by name, or the pods that the policy would select.
    fn who(&self, ctx: &Ctx<'_, '_>, policy: &NetworkPolicy) -> String {
        if self.made_up {
            let namespace = Some(&ctx.world.namespaces[policy.namespace.index()].name);
            return match namespace {
                Some(name) if policy.subject.is_everything() => format!("every pod of namespace {name}"),
                _ => format!("pods with {}", watertight_engine::explain::words::selector(&policy.subject)),
            };
        }
        some(&workload_names(ctx, &self.pods))
    }

    /// How many pods of the input are concerned.
    fn count(&self, ctx: &Ctx<'_, '_>) -> usize {
        let classes = ctx.engine.classes();
        self.pods.iter().filter_map(|p| classes.class_of(*p)).map(|c| classes.members(c).len()).sum()
    }
}
