//! A candidate against itself: how answers must change, or not, when the world does.
//!
//! These need no second engine, so they also catch a mistake that candidate and oracle share. The oracle is asked only
//! where a property holds just for verdicts with nothing unclear on the way.

use crate::compare::Judge;
use crate::describe::describe;
use crate::random::{self, Mood, Rng, Size};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::{
    ClusterPeer, Direction, Endpoint, Flow, FlowVerdict, Half, NodeId, PeerKind, Peers, PodId, PolicyRef, Reason,
    RuleRef, Selector, Str, Verdict, World,
};
use watertight_oracle::decide_traced;

/// A property that did not hold.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub property: Property,
    /// Draws the world.
    pub seed: u64,
    /// The world, the flow and both answers, readable.
    pub report: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not hold (seed {})\n{}", self.property, self.seed, self.report)
    }
}

/// How often each property was put to the test.
pub type Checks = BTreeMap<Property, u64>;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// Names and order of pods, nodes and policies decide nothing: answers stay, but for ids.
    Order,
    /// One more NetworkPolicy rule never turns a verdict for the worse.
    More,
    /// Without the rules that an answer cites, it is another answer; a cluster rule that is cited suffices alone.
    Cited,
    /// Pod labels that no pod selector names decide nothing, whatever they look like (row 45).
    Labels,
}

impl Property {
    /// All of them.
    pub const ALL: [Property; 4] = [Property::Order, Property::More, Property::Cited, Property::Labels];
}

/// These properties on the worlds of these seeds, `flows` flows each.
pub fn check<C>(properties: &[Property], seeds: Range<u64>, flows: usize, candidate: C) -> Result<Checks, Box<Broken>>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let mut checks = Checks::new();
    for seed in seeds {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &Size::default());
        let flows: Vec<Flow> = (0..flows).map(|_| random::flow(&mut rng, &world, &mood)).collect();
        for &property in properties {
            let result = match property {
                Property::Order => order(&world, &flows, &mut rng, &candidate),
                Property::More => more(&world, &flows, &mut rng, &mood, &candidate),
                Property::Cited => cited(&world, &flows, &candidate),
                Property::Labels => labels(&world, &flows, &mut rng, &candidate),
            };
            let done = result.map_err(|report| Box::new(Broken { property, seed, report }))?;
            *checks.entry(property).or_default() += done;
        }
    }
    Ok(checks)
}

fn report(world: &World, flow: &Flow, before: &FlowVerdict, after: &FlowVerdict) -> String {
    format!("{}before: {before:?}\nafter:  {after:?}", describe(world, flow))
}

/// For each old place the new one, when equal neighbours (by `group`) change places at random.
fn shuffled<T, K: PartialEq>(rng: &mut Rng, list: &[T], group: impl Fn(&T) -> K) -> Vec<usize> {
    let mut new_place: Vec<usize> = (0..list.len()).collect();
    let mut start = 0;
    while start < list.len() {
        let same = list[start..].iter().take_while(|t| group(t) == group(&list[start])).count();
        rng.shuffle(&mut new_place[start..start + same]);
        start += same;
    }
    new_place
}

/// The list in its new order, each entry with the name of the one whose place it takes.
fn rearranged<T: Clone>(list: &[T], new_place: &[usize], name: impl Fn(&mut T) -> &mut Str) -> Vec<T> {
    let mut out: Vec<T> = list.to_vec();
    for (old, new) in new_place.iter().enumerate() {
        let mut moved = list[old].clone();
        name(&mut moved).clone_from(name(&mut list[*new].clone()));
        out[*new] = moved;
    }
    out
}

fn order<C>(world: &World, flows: &[Flow], rng: &mut Rng, candidate: &C) -> Result<u64, String>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let pods = shuffled(rng, &world.pods, |p| p.namespace);
    let nodes = shuffled(rng, &world.nodes, |_| ());
    let policies = shuffled(rng, &world.policies, |p| p.namespace);
    let cluster = shuffled(rng, &world.cluster_policies, |p| (p.tier, p.priority, p.kind));
    let mut other = world.clone();
    other.pods = rearranged(&world.pods, &pods, |p| &mut p.name);
    other.nodes = rearranged(&world.nodes, &nodes, |n| &mut n.name);
    other.policies = rearranged(&world.policies, &policies, |p| &mut p.name);
    other.cluster_policies = rearranged(&world.cluster_policies, &cluster, |p| &mut p.name);
    for pod in &mut other.pods {
        pod.node = pod.node.map(|n| NodeId::at(nodes[n.index()]));
    }

    let end = |end: Endpoint| match end {
        Endpoint::Pod(id) => Endpoint::Pod(PodId::at(pods[id.index()])),
        Endpoint::Node(id) => Endpoint::Node(NodeId::at(nodes[id.index()])),
        Endpoint::External(_) => end,
    };
    let rule = |rule: &RuleRef| {
        let moved = |list: &[usize], i: u32| u32::try_from(list[i as usize]).unwrap_or(u32::MAX);
        let policy = match rule.policy {
            PolicyRef::Cluster(i) => PolicyRef::Cluster(moved(&cluster, i)),
            PolicyRef::Namespaced(i) => PolicyRef::Namespaced(moved(&policies, i)),
        };
        RuleRef { policy, ..*rule }
    };
    let (before, after) = (candidate(world), candidate(&other));
    for flow in flows {
        let oracle = decide_traced(world, flow);
        let (a, b) = (before(flow), after(&Flow { from: end(flow.from), to: end(flow.to), ..*flow }));
        let same = |a: &Half, b: &Half, unclear: bool| {
            let rules: BTreeSet<RuleRef> = a.decided_by.iter().map(rule).collect();
            let same_rules = unclear || rules.into_iter().collect::<Vec<_>>() == b.decided_by;
            a.verdict == b.verdict && (unclear || a.reason == b.reason) && same_rules
        };
        let same = a.verdict == b.verdict
            && same(&a.egress, &b.egress, oracle.egress_unclear)
            && same(&a.ingress, &b.ingress, oracle.ingress_unclear);
        if !same {
            return Err(report(world, flow, &a, &b));
        }
    }
    Ok(flows.len() as u64)
}

/// Deny, then depends, then allow.
fn openness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Deny => 0,
        Verdict::Depends => 1,
        Verdict::Allow => 2,
    }
}

fn more<C>(world: &World, flows: &[Flow], rng: &mut Rng, mood: &Mood, candidate: &C) -> Result<u64, String>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    if world.policies.is_empty() {
        return Ok(0);
    }
    let mut other = world.clone();
    let i = rng.below(other.policies.len());
    let policy = &mut other.policies[i];
    let rules = if policy.isolates_egress { &mut policy.egress } else { &mut policy.ingress };
    rules.push(random::allow_rule(rng, &Size::default(), mood));
    let (before, after) = (candidate(world), candidate(&other));
    for flow in flows {
        let (a, b) = (before(flow), after(flow));
        if openness(b.egress.verdict) < openness(a.egress.verdict)
            || openness(b.ingress.verdict) < openness(a.ingress.verdict)
        {
            return Err(report(&other, flow, &a, &b));
        }
    }
    Ok(flows.len() as u64)
}

/// The world without these rules; a policy that is cited as a whole goes as a whole.
pub fn without(world: &World, cited: &[RuleRef]) -> World {
    let mut other = world.clone();
    for cited in cited.iter().rev() {
        // From the back, so that places before it stay as they are.
        match (cited.policy, cited.rule) {
            (PolicyRef::Namespaced(i), Some(rule)) => {
                let policy = &mut other.policies[i as usize];
                match cited.direction {
                    Direction::Ingress => policy.ingress.remove(rule as usize),
                    Direction::Egress => policy.egress.remove(rule as usize),
                };
            }
            (PolicyRef::Cluster(i), Some(rule)) => {
                let policy = &mut other.cluster_policies[i as usize];
                match cited.direction {
                    Direction::Ingress => policy.ingress.remove(rule as usize),
                    Direction::Egress => policy.egress.remove(rule as usize),
                };
            }
            (PolicyRef::Namespaced(i), None) => {
                other.policies.remove(i as usize);
            }
            (PolicyRef::Cluster(i), None) => {
                other.cluster_policies.remove(i as usize);
            }
        }
    }
    other
}

/// The world with no other cluster rules than these.
fn only_cluster(world: &World, cited: &[RuleRef]) -> World {
    let mut other = world.clone();
    for (policy, i) in other.cluster_policies.iter_mut().zip(0u32..) {
        for direction in Direction::BOTH {
            let kept =
                |rule: u32| cited.contains(&RuleRef { policy: PolicyRef::Cluster(i), direction, rule: Some(rule) });
            let rules = match direction {
                Direction::Ingress => &mut policy.ingress,
                Direction::Egress => &mut policy.egress,
            };
            let all = std::mem::take(rules);
            *rules = all.into_iter().zip(0u32..).filter(|(_, i)| kept(*i)).map(|(rule, _)| rule).collect();
        }
    }
    other
}

fn half(verdict: FlowVerdict, direction: Direction) -> Half {
    match direction {
        Direction::Egress => verdict.egress,
        Direction::Ingress => verdict.ingress,
    }
}

fn cited<C>(world: &World, flows: &[Flow], candidate: &C) -> Result<u64, String>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let mut done = 0;
    let judge = candidate(world);
    for flow in flows {
        let before = judge(flow);
        let oracle = decide_traced(world, flow);
        for (direction, unclear) in
            [(Direction::Egress, oracle.egress_unclear), (Direction::Ingress, oracle.ingress_unclear)]
        {
            let cited = half(before.clone(), direction);
            if unclear || cited.decided_by.is_empty() {
                continue;
            }
            let answer = candidate(&without(world, &cited.decided_by))(flow);
            let after = half(answer.clone(), direction).reason;
            let holds = match cited.reason {
                // Allowed by these rules and no others, in pods that stay isolated.
                Reason::PolicyAllow => after == Reason::PolicyDeny,
                // Isolated by these policies and no others.
                Reason::PolicyDeny => !matches!(after, Reason::PolicyDeny | Reason::PolicyAllow),
                // The same may now be said by a rule further down, so that the reason stays; but it must end with the
                // rules, and these alone must be enough for it.
                _ => {
                    let alone = half(candidate(&only_cluster(world, &cited.decided_by))(flow), direction);
                    let enough = alone.reason == cited.reason && alone.decided_by.len() == cited.decided_by.len();
                    enough && ends(world, flow, direction, cited.reason, candidate)
                }
            };
            if !holds {
                return Err(report(world, flow, &before, &answer));
            }
            done += 1;
        }
    }
    Ok(done)
}

/// True if taking away whatever is cited takes away the reason in the end.
fn ends<C>(world: &World, flow: &Flow, direction: Direction, reason: Reason, candidate: &C) -> bool
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let mut world = world.clone();
    loop {
        let now = half(candidate(&world)(flow), direction);
        if now.reason != reason {
            return true;
        }
        if now.decided_by.is_empty() {
            return false;
        }
        world = without(&world, &now.decided_by);
    }
}

fn labels<C>(world: &World, flows: &[Flow], rng: &mut Rng, candidate: &C) -> Result<u64, String>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let named = pod_keys(world);
    let keys: Vec<&str> =
        [NAMESPACE_NAME_LABEL, "team", "env", "zone", "none"].into_iter().filter(|k| !named.contains(*k)).collect();
    let mut other = world.clone();
    for pod in &mut other.pods {
        for key in &keys {
            let value = if *key == NAMESPACE_NAME_LABEL {
                world.namespaces[rng.below(world.namespaces.len())].name.to_string()
            } else {
                (*rng.pick(&["a", "b", "c", ""])).to_owned()
            };
            pod.labels = pod.labels.with(key, &value);
        }
    }
    let (before, after) = (candidate(world), candidate(&other));
    for flow in flows {
        let (a, b) = (before(flow), after(flow));
        if a != b {
            return Err(report(&other, flow, &a, &b));
        }
    }
    // Keys that namespace selectors know are what matters.
    let tempting = keys.contains(&NAMESPACE_NAME_LABEL) || keys.contains(&"team");
    Ok(if tempting { flows.len() as u64 } else { 0 })
}

/// Label keys that some pod selector names.
fn pod_keys(world: &World) -> BTreeSet<Str> {
    let mut selectors: Vec<&Selector> = world.policies.iter().map(|p| &p.subject).collect();
    for rule in world.policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)) {
        if let Peers::Of(peers) = &rule.peers {
            selectors.extend(peers.iter().filter_map(|p| match &p.kind {
                PeerKind::Pods { pods, .. } => pods.as_ref(),
                PeerKind::Block(_) => None,
            }));
        }
    }
    for policy in &world.cluster_policies {
        selectors.push(&policy.subject.pods);
        for peer in policy.ingress.iter().chain(&policy.egress).flat_map(|r| &r.peers) {
            if let ClusterPeer::Pods { pods, .. } = peer {
                selectors.push(pods);
            }
        }
    }
    selectors.into_iter().flat_map(|s| &s.requirements).map(|r| r.key.clone()).collect()
}
