//! WT0024: `NotIn` also matches what lacks the key.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{a_port, policy_object, rules};
use crate::rules::receivers::names;
use crate::rules::write::with_peer;
use crate::rules::{Check, Lint};
use std::collections::BTreeSet;
use watertight_engine::Engine;
use watertight_engine::classes::ClassId;
use watertight_engine::explain::{half, words};
use watertight_engine::selector::matches_namespace;
use watertight_engine::tri::Tri;
use watertight_model::{
    Direction, Endpoint, Flow, L4, NamespaceId, NetworkPolicy, Op, Peer, PeerKind, Peers, PolicyRef, Reason,
    Requirement, Rule, RuleRef, Selector,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0024",
    name: "notin-matches-unlabelled",
    severity: Severity::Warning,
    summary: "a NotIn requirement also holds for pods or namespaces without the key, and lets them through",
    page: "`NotIn` holds for a value that is not listed, and for no value at all. Proves which pods, or pods of \
           which namespaces, lack the key and pass by this peer alone.\n\nExample: `namespaceSelector: \
           {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}` also means kube-system, and every \
           namespace made tomorrow.\n\nFix: add `{key: env, operator: Exists}`; the rule is printed.\n\nSilent: \
           everything has the key; the selector asks for it elsewhere; other peers let the same through.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for (i, policy, direction, j, rule) in rules(ctx) {
        let Peers::Of(peers) = &rule.peers else { continue };
        let targets = targets(ctx, policy);
        let place = RuleRef {
            policy: PolicyRef::Namespaced(u32::try_from(i).unwrap_or(u32::MAX)),
            direction,
            rule: u32::try_from(j).ok(),
        };
        for peer in peers {
            let PeerKind::Pods { namespaces, pods } = &peer.kind else { continue };
            for (selector, of_pods) in [(namespaces, false), (pods, true)] {
                let Some(selector) = selector else { continue };
                let Some(requirement) = open_ended(selector) else { continue };
                let ask = Ask { ctx, policy, peer, rule, place, targets: &targets };
                let (who, witness) = if of_pods { ask.pods(requirement) } else { ask.namespaces(requirement) };
                if who.is_empty() {
                    continue;
                }
                let tomorrow = if of_pods { "" } else { ", and every namespace made tomorrow" };
                let kind = if of_pods { "" } else { "namespaces " };
                let message = format!(
                    "`{}` also holds without a label `{}`: lets {kind}{} through{tomorrow}",
                    words::selector(&Selector { requirements: vec![requirement.clone()] }),
                    requirement.key,
                    some(&who)
                );
                let mut finding = LINT.finding(policy_object(ctx, i), Some(peer.origin), message);
                finding.affected = who.len();
                finding.witness = witness;
                finding.help = Some(format!("add `{{key: {}, operator: Exists}}`", requirement.key));
                let mut fixed = selector.clone();
                fixed.requirements.push(Requirement {
                    key: requirement.key.clone(),
                    op: Op::Exists,
                    from_labels: false,
                });
                let kind = if of_pods {
                    PeerKind::Pods { namespaces: namespaces.clone(), pods: Some(fixed) }
                } else {
                    PeerKind::Pods { namespaces: Some(fixed), pods: pods.clone() }
                };
                let title = format!("{} rule {j} with `{}` asked for", direction.name(), requirement.key);
                let fixed = with_peer(rule, peer, Some(kind));
                finding.fixes.push(Fix::rule(ctx.world, title, i, direction, j, fixed));
                out.push(finding);
            }
        }
    }
}

/// A `NotIn` on a key that nothing else in the selector asks for.
fn open_ended(selector: &Selector) -> Option<&Requirement> {
    let asked = |r: &Requirement| {
        selector.requirements.iter().any(|o| o.key == r.key && matches!(o.op, Op::In(_) | Op::Exists))
    };
    selector.requirements.iter().find(|r| matches!(r.op, Op::NotIn(_)) && !asked(r))
}

/// One pod of each class that the policy selects.
fn targets(ctx: &Ctx<'_, '_>, policy: &NetworkPolicy) -> Vec<watertight_model::PodId> {
    ctx.scope().subjects(policy).iter().map(|c| ctx.engine.classes().representative(*c)).collect()
}

/// What is asked about one peer.
struct Ask<'a, 'c, 'w> {
    ctx: &'a Ctx<'c, 'w>,
    policy: &'w NetworkPolicy,
    peer: &'w Peer,
    rule: &'w Rule,
    place: RuleRef,
    targets: &'a [watertight_model::PodId],
}

impl Ask<'_, '_, '_> {
    /// Workloads whose pods lack the key, and a connection of the first.
    fn pods(&self, requirement: &Requirement) -> (Vec<String>, Option<Flow>) {
        let lacks = |c: &ClassId| self.pod(*c).labels.get(&requirement.key).is_none();
        let passing: Vec<(ClassId, Flow)> =
            self.members().filter(lacks).filter_map(|c| Some((c, self.passes(c)?))).collect();
        let classes: Vec<ClassId> = passing.iter().map(|(c, _)| *c).collect();
        (names(self.ctx, &classes), passing.first().map(|(_, f)| *f))
    }

    /// Namespaces that lack the key: those of pods that pass, and those without pods, whose first pod would.
    fn namespaces(&self, requirement: &Requirement) -> (Vec<String>, Option<Flow>) {
        let world = self.ctx.world;
        let lacks = |ns: NamespaceId| {
            let namespace = &world.namespaces[ns.index()];
            namespace.declared && namespace.labels.get(&requirement.key).is_none()
        };
        let mut found: BTreeSet<NamespaceId> = BTreeSet::new();
        let mut witness = None;
        for class in self.members().filter(|c| lacks(self.pod(*c).namespace)) {
            let home = self.pod(class).namespace;
            if !found.contains(&home)
                && let Some(flow) = self.passes(class)
            {
                found.insert(home);
                witness.get_or_insert(flow);
            }
        }
        let PeerKind::Pods { namespaces: Some(selector), .. } = &self.peer.kind else { return (Vec::new(), None) };
        for ns in (0..world.namespaces.len()).map(NamespaceId::at) {
            if !found.contains(&ns) && lacks(ns) && matches_namespace(world, ns, selector) == Tri::Yes {
                let fresh = self.ctx.fresh();
                let first = self.targets.first().map(|t| fresh.pod(*t));
                let alone = |target| self.by_this_alone(self.ctx.fresh_engine(), target, fresh.tomorrow(ns));
                if first.and_then(alone).is_some() && self.no_other_peer() {
                    found.insert(ns);
                }
            }
        }
        (found.iter().map(|ns| world.namespaces[ns.index()].name.to_string()).collect(), witness)
    }

    /// Classes that the peer means for sure and no other peer of the rule does.
    fn members(&self) -> impl Iterator<Item = ClassId> + '_ {
        let others: BTreeSet<ClassId> = match &self.rule.peers {
            Peers::Any(_) => BTreeSet::new(),
            Peers::Of(list) => list
                .iter()
                .filter(|p| *p != self.peer)
                .flat_map(|p| self.ctx.scope().peer(self.policy, p).possible)
                .collect(),
        };
        let own = self.ctx.scope().peer(self.policy, self.peer).sure;
        own.into_iter().filter(move |c| !others.contains(c))
    }

    fn no_other_peer(&self) -> bool {
        matches!(&self.rule.peers, Peers::Of(list) if list.len() == 1)
    }

    fn pod(&self, class: ClassId) -> &watertight_model::Pod {
        &self.ctx.world.pods[self.ctx.engine.classes().representative(class).index()]
    }

    /// A connection of such a pod that passes by this rule alone.
    fn passes(&self, class: ClassId) -> Option<Flow> {
        let other = Endpoint::Pod(self.ctx.engine.classes().representative(class));
        let targets = self.targets.iter().map(|t| Endpoint::Pod(*t)).filter(|t| *t != other);
        targets.into_iter().find_map(|target| self.by_this_alone(self.ctx.engine, target, other))
    }

    fn by_this_alone(&self, engine: &Engine<'_>, target: Endpoint, other: Endpoint) -> Option<Flow> {
        let (protocol, port) = a_port(self.rule);
        let (from, to) = match self.place.direction {
            Direction::Ingress => (other, target),
            Direction::Egress => (target, other),
        };
        let flow = Flow { from, to, l4: L4::Port(protocol, port), via_service: false };
        let verdict = engine.decide(&flow);
        let half = half(&verdict, self.place.direction);
        (half.reason == Reason::PolicyAllow && half.decided_by == [self.place]).then_some(flow)
    }
}
