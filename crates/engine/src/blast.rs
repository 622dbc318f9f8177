//! Blast radius: what an attacker who holds one workload can reach, step by step.

use crate::Engine;
use crate::bits::Bits;
use crate::classes::ClassId;
use crate::connections::classes_of_workloads;
use crate::reach::Reach;
use crate::reach::external::{external, families_in_use};
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::{Cidr, Direction, Endpoint, Flow, L4, NodeId, PodId, PortSet, RuleRef, WorkloadId};

/// How to walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlastOptions {
    /// A taken workload that is privileged or hostNetwork gives its node: from there every pod of that node is reached
    /// (the node may always connect to them).
    pub assume_node_compromise: bool,
    /// Count `depends` as allowed (the attacker's reading).
    pub depends_as_allowed: bool,
    /// Stop after this many hops; `None`: no limit.
    pub max_hops: Option<u32>,
}

/// What is in reach of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct BlastRadius {
    /// The workload that was taken.
    pub from: WorkloadId,
    /// Workloads in reach, by hops, then by name; without `from`.
    pub reachable: Vec<Reached>,
    /// Reached workloads divided by all other workloads that have pods; 0 when there is no other.
    pub share: f64,
    /// External addresses that `from` itself may connect to, as blocks with the ports.
    pub external: Vec<(Vec<Cidr>, PortSet)>,
}

/// One workload in reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The workload.
    pub workload: WorkloadId,
    /// Connections needed, 1 for a direct one.
    pub hops: u32,
    /// The steps of one shortest path, from the taken workload to this one.
    pub path: Vec<Hop>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// From.
    pub from: WorkloadId,
    /// To.
    pub to: WorkloadId,
    /// Open ports between the two.
    pub ports: PortSet,
    /// Rules that permit it, egress side then ingress side; empty where only defaults do.
    pub by: Vec<RuleRef>,
    /// The step goes through the node both run on, not through a policy.
    pub through_node: bool,
}

/// One line of the ranking of all workloads.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The workload.
    pub workload: WorkloadId,
    /// Other workloads in reach.
    pub reachable: usize,
    /// Their share of all other workloads that have pods.
    pub share: f64,
}

/// Which classes reach which, without ports.
struct Graph {
    /// Per class: classes with an open port to it.
    sources: Vec<Bits>,
    /// Per class: nodes it gives to whoever takes it, and nodes it runs on; empty unless nodes are assumed to fall.
    gives: Vec<BTreeSet<NodeId>>,
    on: Vec<BTreeSet<NodeId>>,
}

impl Graph {
    fn of(engine: &Engine<'_>, reach: &Reach, options: BlastOptions) -> Self {
        let sources: Vec<Bits> = (0..reach.len())
            .map(|to| {
                let mut sum = Bits::none();
                for (ports, bits) in reach.row(to) {
                    let pair = reach.pair(*ports);
                    if !pair.sure.is_empty() || (options.depends_as_allowed && !pair.possible.is_empty()) {
                        sum.add(bits);
                    }
                }
                sum
            })
            .collect();
        let mut this =
            Self { gives: vec![BTreeSet::new(); sources.len()], on: vec![BTreeSet::new(); sources.len()], sources };
        if options.assume_node_compromise {
            for class in (0..this.sources.len()).map(ClassId::at) {
                for pod in engine.classes().members(class) {
                    let pod = &engine.world().pods[pod.index()];
                    if let Some(node) = pod.node {
                        this.on[class.0 as usize].insert(node);
                        if pod.host_network || pod.node_privilege.is_some() {
                            this.gives[class.0 as usize].insert(node);
                        }
                    }
                }
            }
            for to in 0..this.sources.len() {
                let through: Vec<u32> = (0..this.sources.len())
                    .filter(|from| this.through_node(*from, to))
                    .map(|from| ClassId::at(from).0)
                    .collect();
                this.sources[to].add(&Bits::from_sorted(&through));
            }
        }
        this
    }

    fn through_node(&self, from: usize, to: usize) -> bool {
        !self.gives[from].is_disjoint(&self.on[to])
    }
}

/// The radius of one workload.
pub fn blast(engine: &Engine<'_>, from: WorkloadId, options: BlastOptions) -> BlastRadius {
    blast_with(engine, &Reach::of(engine), from, options)
}

/// As [`blast`], with reachability that was computed before.
pub fn blast_with(engine: &Engine<'_>, reach: &Reach, from: WorkloadId, options: BlastOptions) -> BlastRadius {
    let by_workload = classes_of_workloads(engine);
    let graph = Graph::of(engine, reach, options);
    let walk = Walk::from(&graph, &by_workload, from, options.max_hops);
    let mut reachable = Vec::new();
    for (workload, reached) in &walk.reached {
        reachable.push(Reached {
            workload: *workload,
            hops: reached.hops,
            path: walk.path(engine, reach, &graph, *workload, options),
        });
    }
    reachable.sort_by_key(|r| (r.hops, r.workload));
    let others = by_workload.iter().enumerate().filter(|(i, c)| *i != from.index() && !c.is_empty()).count();
    let families = families_in_use(engine);
    let mut outside: BTreeMap<Vec<Cidr>, PortSet> = BTreeMap::new();
    for (class, _) in &by_workload[from.index()] {
        for part in external(engine, *class, Direction::Egress, &families) {
            let ports = if options.depends_as_allowed { part.ports.possible } else { part.ports.sure };
            if !ports.is_empty() {
                let known = outside.entry(part.cidrs).or_default();
                *known = known.union(&ports);
            }
        }
    }
    let share = share(reachable.len(), others);
    BlastRadius { from, reachable, share, external: outside.into_iter().collect() }
}

fn share(reached: usize, others: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of workloads are far below 2^52")]
    if others == 0 { 0.0 } else { reached as f64 / others as f64 }
}

struct Step {
    hops: u32,
    /// The workload before this one on a shortest path, with the classes of the step.
    before: WorkloadId,
    classes: (ClassId, ClassId),
}

struct Walk {
    from: WorkloadId,
    reached: BTreeMap<WorkloadId, Step>,
}

impl Walk {
    /// Breadth first over workloads, in order of ids, so that the same world gives the same paths.
    fn from(
        graph: &Graph,
        by_workload: &[Vec<(ClassId, Vec<PodId>)>],
        from: WorkloadId,
        max_hops: Option<u32>,
    ) -> Self {
        let mut this = Self { from, reached: BTreeMap::new() };
        let mut held: Vec<WorkloadId> = vec![from];
        let mut hops = 0;
        while !held.is_empty() && max_hops.is_none_or(|most| hops < most) {
            hops += 1;
            // Who is attacked from where: the first holder of each class.
            let mut holder: BTreeMap<ClassId, WorkloadId> = BTreeMap::new();
            for workload in &held {
                for (class, _) in &by_workload[workload.index()] {
                    holder.entry(*class).or_insert(*workload);
                }
            }
            let classes: Vec<u32> = holder.keys().map(|c| c.0).collect();
            let frontier = Bits::from_sorted(&classes);
            let mut next = Vec::new();
            for (i, classes) in by_workload.iter().enumerate() {
                let workload = WorkloadId::at(i);
                if workload == from || this.reached.contains_key(&workload) {
                    continue;
                }
                let hit = classes.iter().find_map(|(to, _)| {
                    let sources = &graph.sources[to.0 as usize];
                    let source = sources.and(&frontier).iter().next()?;
                    Some((ClassId::at(source), *to))
                });
                if let Some((source, to)) = hit {
                    let before = holder[&source];
                    this.reached.insert(workload, Step { hops, before, classes: (source, to) });
                    next.push(workload);
                }
            }
            held = next;
        }
        this
    }

    fn path(
        &self,
        engine: &Engine<'_>,
        reach: &Reach,
        graph: &Graph,
        to: WorkloadId,
        options: BlastOptions,
    ) -> Vec<Hop> {
        let mut path = Vec::new();
        let mut at = to;
        while at != self.from {
            let Some(step) = self.reached.get(&at) else { break };
            path.push(hop(engine, reach, graph, step, at, options));
            at = step.before;
        }
        path.reverse();
        path
    }
}

fn hop(engine: &Engine<'_>, reach: &Reach, graph: &Graph, step: &Step, to: WorkloadId, options: BlastOptions) -> Hop {
    let (source, target) = step.classes;
    let pair = reach.ports(source, target);
    let ports = if options.depends_as_allowed { &pair.possible } else { &pair.sure };
    let through_node = ports.is_empty() && graph.through_node(source.0 as usize, target.0 as usize);
    let mut by = Vec::new();
    if let Some((protocol, port, _)) = ports.iter().next() {
        let pods = |class: ClassId, workload: WorkloadId| {
            let members = engine.classes().members(class);
            *members.iter().find(|p| engine.world().pods[p.index()].workload == workload).unwrap_or(&members[0])
        };
        let flow = Flow {
            from: Endpoint::Pod(pods(source, step.before)),
            to: Endpoint::Pod(pods(target, to)),
            l4: L4::Port(protocol, port),
            via_service: false,
        };
        let verdict = engine.decide(&flow);
        by.extend(verdict.egress.decided_by);
        by.extend(verdict.ingress.decided_by);
    }
    let ports = if through_node { PortSet::all() } else { ports.clone() };
    Hop { from: step.before, to, ports, by, through_node }
}

/// All workloads, widest radius first, then by name. Hops are not limited ([`BlastOptions::max_hops`] is ignored).
pub fn rank(engine: &Engine<'_>, options: BlastOptions) -> Vec<Rank> {
    let reach = Reach::of(engine);
    let by_workload = classes_of_workloads(engine);
    let graph = Graph::of(engine, &reach, options);
    let closure = Closure::of(&graph.sources);
    let live: Vec<usize> = (0..by_workload.len()).filter(|w| !by_workload[*w].is_empty()).collect();
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); graph.sources.len()];
    for w in &live {
        by_workload[*w].iter().for_each(|(class, _)| of_class[class.0 as usize].push(*w));
    }
    // Workloads with the same classes are attacked by the same sources: count each such group once.
    let mut groups: BTreeMap<Vec<ClassId>, Vec<usize>> = BTreeMap::new();
    for w in &live {
        groups.entry(by_workload[*w].iter().map(|(c, _)| *c).collect()).or_default().push(*w);
    }
    let mut counts = vec![0usize; by_workload.len()];
    let mut seen = vec![usize::MAX; by_workload.len()];
    for (round, (classes, targets)) in groups.iter().enumerate() {
        let mut sources = Bits::none();
        classes.iter().for_each(|c| sources.add(closure.reaching(c.0 as usize)));
        for class in sources.iter() {
            for w in &of_class[class] {
                if seen[*w] != round {
                    seen[*w] = round;
                    counts[*w] += targets.len() - usize::from(targets.contains(w));
                }
            }
        }
    }
    let others = live.len().saturating_sub(1);
    let mut out: Vec<Rank> = live
        .iter()
        .map(|w| Rank { workload: WorkloadId::at(*w), reachable: counts[*w], share: share(counts[*w], others) })
        .collect();
    out.sort_by(|a, b| b.reachable.cmp(&a.reachable).then(a.workload.cmp(&b.workload)));
    out
}

/// Who reaches whom in one or more steps: per strongly connected component, the classes that reach it.
struct Closure {
    component: Vec<usize>,
    into: Vec<Bits>,
}

impl Closure {
    /// Components by Tarjan's algorithm over "who can step to me", which lists a component after everything that reaches it.
    /// Neighbours are taken from `sources AND not yet visited`, so that dense graphs cost words, not edges.
    fn of(sources: &[Bits]) -> Self {
        let n = sources.len();
        let mut unvisited = Bits::range(0, n);
        let (mut index, mut low, mut on_stack) = (vec![0usize; n], vec![0usize; n], vec![false; n]);
        let mut stack: Vec<usize> = Vec::new();
        let mut component = vec![usize::MAX; n];
        let mut members: Vec<Vec<usize>> = Vec::new();
        let mut clock = 0;
        for root in 0..n {
            if !unvisited.contains(root) {
                continue;
            }
            let mut calls = vec![root];
            enter(root, &mut clock, &mut index, &mut low, &mut on_stack, &mut stack, &mut unvisited);
            while let Some(v) = calls.last().copied() {
                if let Some(w) = sources[v].and(&unvisited).iter().next() {
                    enter(w, &mut clock, &mut index, &mut low, &mut on_stack, &mut stack, &mut unvisited);
                    calls.push(w);
                    continue;
                }
                // All neighbours are visited: those on the stack bound the low link. The lowest of them is enough, and the
                // stack is ordered by index.
                if let Some(w) = stack.iter().find(|w| sources[v].contains(**w)) {
                    low[v] = low[v].min(index[*w]);
                }
                calls.pop();
                if let Some(parent) = calls.last() {
                    low[*parent] = low[*parent].min(low[v]);
                }
                if low[v] == index[v] {
                    let mut own = Vec::new();
                    while let Some(w) = stack.pop() {
                        on_stack[w] = false;
                        component[w] = members.len();
                        own.push(w);
                        if w == v {
                            break;
                        }
                    }
                    members.push(own);
                }
            }
        }
        let mut into: Vec<Bits> = Vec::with_capacity(members.len());
        for own in &members {
            let mut direct = Bits::none();
            own.iter().for_each(|v| direct.add(&sources[*v]));
            let mut sum = direct.clone();
            // Later components absorb earlier ones, so few unions are needed.
            let mut order: Vec<usize> = direct.iter().map(|v| component[v]).collect();
            order.sort_unstable_by(|a, b| b.cmp(a));
            order.dedup();
            let this = into.len();
            let mut absorbed = vec![false; order.len()];
            for i in 0..order.len() {
                let at = order[i];
                if at == this || absorbed[i] || into[at].is_empty() {
                    continue;
                }
                sum.add(&into[at]);
                for (j, later) in order.iter().enumerate().skip(i + 1) {
                    absorbed[j] |= into[at].contains(members[*later][0]);
                }
            }
            into.push(sum);
        }
        Self { component, into }
    }

    fn reaching(&self, class: usize) -> &Bits {
        &self.into[self.component[class]]
    }
}

fn enter(
    v: usize,
    clock: &mut usize,
    index: &mut [usize],
    low: &mut [usize],
    on_stack: &mut [bool],
    stack: &mut Vec<usize>,
    unvisited: &mut Bits,
) {
    index[v] = *clock;
    low[v] = *clock;
    *clock += 1;
    on_stack[v] = true;
    stack.push(v);
    unvisited.remove(&Bits::range(v, v + 1));
}
