//! Trials: what a policy decides for the pods it selects, and what it would decide after an edit.
//!
//! Edits are tried on the small world that one flow rests on, so that a lint may ask "and without this rule?" without
//! preparing the whole cluster again. A policy that selects no pod of the input is tried on a pod that is made up for it.

use crate::context::Ctx;
use std::net::{IpAddr, Ipv4Addr};
use watertight_engine::Engine;
use watertight_engine::explain::{Extract, half};
use watertight_engine::query::evaluated_half;
use watertight_engine::selector::{matches, readable};
use watertight_model::{
    Direction, Endpoint, Flow, Half, L4, Labels, NetworkPolicy, Op, Origin, Pod, PodId, PolicyRef, Protocol, Reason,
    Selector, Str, Verdict, Workload, WorkloadId, WorkloadKind, World, pod,
};

/// An address that nobody has: TEST-NET-3 of RFC 5737.
pub(crate) const OUTSIDE: Endpoint = Endpoint::External(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)));

/// A port that nothing uses: what it is open for is open for everything.
const ODD: L4 = L4::Port(Protocol::Tcp, 1);

/// A pod that a policy selects, in the cluster or in a small world made for it.
pub(crate) struct Subject<'e, 'w> {
    /// Where to ask.
    pub(crate) engine: &'e Engine<'w>,
    /// The policy's place there.
    pub(crate) policy: usize,
    /// The pod.
    pub(crate) pod: PodId,
    /// It is a pod of the input; else it was made up.
    pub(crate) is_real: bool,
}

/// Tries one pod of each class that a policy selects; if it selects none, one that is made up with just the labels that it
/// asks for.
pub(crate) fn each_subject(ctx: &Ctx<'_, '_>, index: usize, mut visit: impl FnMut(&Subject<'_, '_>)) {
    let policy = &ctx.world.policies[index];
    let classes = ctx.scope().subjects(policy);
    for class in &classes {
        let pod = ctx.engine.classes().representative(*class);
        visit(&Subject { engine: ctx.engine, policy: index, pod, is_real: true });
    }
    if classes.is_empty()
        && let Some((world, place)) = stand_in(ctx.world, policy)
    {
        visit(&Subject { engine: &Engine::new(&world), policy: place, pod: PodId(0), is_real: false });
    }
}

impl Subject<'_, '_> {
    /// A connection between the pod and someone else, on a port.
    pub(crate) fn flow_on(&self, direction: Direction, other: Endpoint, l4: L4) -> Flow {
        let own = Endpoint::Pod(self.pod);
        let (from, to) = match direction {
            Direction::Ingress => (other, own),
            Direction::Egress => (own, other),
        };
        Flow { from, to, l4, via_service: false }
    }

    /// A connection between the pod and someone outside, on a port that nothing uses.
    pub(crate) fn flow(&self, direction: Direction) -> Flow {
        self.flow_on(direction, OUTSIDE, ODD)
    }

    /// What the evaluated policies of this side say.
    pub(crate) fn now(&self, direction: Direction, flow: &Flow) -> Verdict {
        evaluated_half(half(&self.engine.decide(flow), direction))
    }

    /// The same with the policy edited.
    pub(crate) fn with(&self, direction: Direction, flow: &Flow, edit: impl FnOnce(&mut NetworkPolicy)) -> Verdict {
        after(self.engine, direction, flow, |world, extract| {
            let place = u32::try_from(self.policy).ok().and_then(|i| extract.place(PolicyRef::Namespaced(i)));
            if let Some(policy) = place.and_then(|i| world.policies.get_mut(i)) {
                edit(policy);
            }
        })
    }

    /// Whether the policy alone denies what would otherwise pass by default: no other policy isolates the pod in this
    /// direction, and nothing of another tier decides.
    pub(crate) fn isolated_by_this_alone(&self, direction: Direction) -> bool {
        let flow = self.flow(direction);
        let verdict = self.engine.decide(&flow);
        let Half { reason, decided_by, .. } = half(&verdict, direction);
        *reason == Reason::PolicyDeny
            && decided_by.len() == 1
            && self.with(direction, &flow, |p| without(p, direction)) == Verdict::Allow
    }
}

/// The policy no longer isolates in this direction.
pub(crate) fn without(policy: &mut NetworkPolicy, direction: Direction) {
    match direction {
        Direction::Ingress => policy.isolates_ingress = false,
        Direction::Egress => policy.isolates_egress = false,
    }
}

/// What the evaluated policies of one side say of a flow after an edit of the small world that it rests on.
pub(crate) fn after(
    engine: &Engine<'_>,
    direction: Direction,
    flow: &Flow,
    edit: impl FnOnce(&mut World, &Extract),
) -> Verdict {
    let extract = Extract::of(engine, flow);
    let mut world = extract.world.clone();
    edit(&mut world, &extract);
    evaluated_half(half(&Engine::new(&world).decide(&extract.flow), direction))
}

/// A world of the namespaces, the cluster's tiers, the policies of this policy's namespace, and one pod that it selects;
/// with the policy's place there. `None`: no labels satisfy its selector.
fn stand_in(whole: &World, policy: &NetworkPolicy) -> Option<(World, usize)> {
    let labels = labels_for(&policy.subject)?;
    let mut world = World {
        namespaces: whole.namespaces.clone(),
        cluster_policies: whole.cluster_policies.clone(),
        policies: whole.policies.iter().filter(|p| p.namespace == policy.namespace).cloned().collect(),
        ..World::default()
    };
    let name = Str::from("~");
    world.workloads.push(Workload {
        kind: WorkloadKind::Pod,
        namespace: policy.namespace,
        name: name.clone(),
        template_labels: labels.clone(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
    });
    world.pods.push(Pod {
        name,
        namespace: policy.namespace,
        workload: WorkloadId(0),
        labels,
        uid: None,
        node: None,
        host_network: false,
        ips: Vec::new(),
        ports: Vec::new(),
        finished: false,
        terminating: false,
        template: true,
        dns: pod::Dns::default(),
        node_privilege: None,
        origin: Origin::default(),
    });
    let place = world.policies.iter().position(|p| p.name == policy.name)?;
    Some((world, place))
}

/// The fewest labels that a selector asks for. `None`: no set satisfies it, or it is not understood.
pub(crate) fn labels_for(selector: &Selector) -> Option<Labels> {
    let wanted = selector.requirements.iter().filter_map(|r| match &r.op {
        Op::In(values) => {
            let fits = |v: &&Str| {
                let alone = Labels::of(&[(&r.key, v)]);
                let same: Vec<_> = selector.requirements.iter().filter(|o| o.key == r.key).cloned().collect();
                matches(&Selector { requirements: same }, &alone)
            };
            values.iter().find(fits).map(|v| (r.key.clone(), v.clone()))
        }
        Op::Exists => Some((r.key.clone(), Str::from("~"))),
        Op::NotIn(_) | Op::DoesNotExist | Op::Unknown(_) => None,
    });
    // A key may be asked for by `In` and by `Exists`: the value of `In` counts.
    let mut pairs: Vec<(Str, Str)> = wanted.collect();
    pairs.sort_by_key(|(key, value)| (key.clone(), **value != *"~"));
    let labels = Labels::new(pairs);
    (readable(selector) && matches(selector, &labels)).then_some(labels)
}
