//! Redundancy against brute force: the thing is removed, and all verdicts are compared, the engine's and the oracle's.

use std::collections::{BTreeMap, BTreeSet};
use watertight_engine::redundancy::{Item, Open, Standing, report, report_while, standings, without, without_all};
use watertight_engine::{Engine, query};
use watertight_model::policy::BlockCidr;
use watertight_model::{
    ClusterPeer, ClusterPort, ClusterPorts, Endpoint, Flow, FlowVerdict, Half, L4, NodeId, PeerKind, Peers, PodId,
    PolicyRef, PortMatch, Ports, Protocol, Verdict, World, addr,
};
use watertight_oracle as oracle;
use watertight_testkit::random::{self, Rng, Size};

/// Both halves, policies that are not evaluated left aside.
fn halves(verdict: &FlowVerdict) -> [Verdict; 2] {
    let alone = |half: &Half| {
        query::evaluated(&FlowVerdict { verdict: half.verdict, egress: half.clone(), ingress: half.clone() })
    };
    [alone(&verdict.egress), alone(&verdict.ingress)]
}

/// Every address and port at which something of the world begins, and the one before it.
fn bounds(world: &World) -> (BTreeSet<std::net::IpAddr>, BTreeSet<(Protocol, u16)>) {
    let mut addresses = BTreeSet::new();
    let mut ports: BTreeSet<(Protocol, u16)> = Protocol::ALL.map(|p| (p, 0)).into();
    let mut block = |b: &BlockCidr| {
        for cidr in std::iter::once(b.cidr).chain(b.mapped) {
            let (first, last) = cidr.range();
            addresses.insert(addr::address(cidr.family(), first));
            let next = last.checked_add(1).filter(|n| *n <= watertight_model::Cidr::all(cidr.family()).range().1);
            addresses.extend(next.map(|n| addr::address(cidr.family(), n)));
        }
    };
    let mut range = |p: Protocol, a: u16, b: u16| {
        ports.insert((p, a));
        ports.extend(b.checked_add(1).map(|n| (p, n)));
    };
    for rule in world.policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)) {
        if let Peers::Of(peers) = &rule.peers {
            for peer in peers {
                if let PeerKind::Block(b) = &peer.kind {
                    std::iter::once(&b.cidr).chain(&b.except).for_each(&mut block);
                }
            }
        }
        if let Ports::Of(list) = &rule.ports {
            for entry in list {
                if let PortMatch::Range(a, b) = entry.port {
                    range(entry.protocol, a, b);
                }
            }
        }
    }
    for rule in world.cluster_policies.iter().flat_map(|p| p.ingress.iter().chain(&p.egress)) {
        for peer in &rule.peers {
            if let ClusterPeer::Networks { blocks, .. } = peer {
                blocks.iter().for_each(&mut block);
            }
        }
        if let ClusterPorts::Of(list) = &rule.ports {
            for entry in list {
                if let ClusterPort::Number(p, PortMatch::Range(a, b)) = entry {
                    range(*p, *a, *b);
                }
            }
        }
    }
    for port in world.pods.iter().flat_map(|p| &p.ports).filter(|p| p.name.is_some()) {
        range(port.protocol, port.port, port.port);
    }
    addresses.extend(["0.0.0.0", "::"].iter().filter_map(|a| a.parse::<std::net::IpAddr>().ok()));
    (addresses, ports)
}

/// Every flow that the world can tell from others: all pairs of which one is a pod, all ports.
fn flows(world: &World) -> Vec<Flow> {
    let (addresses, ports) = bounds(world);
    let pods: Vec<Endpoint> = (0..world.pods.len()).map(|i| Endpoint::Pod(PodId::at(i))).collect();
    let others: Vec<Endpoint> = addresses
        .into_iter()
        .map(Endpoint::External)
        .chain((0..world.nodes.len()).map(|i| Endpoint::Node(NodeId::at(i))))
        .collect();
    let mut pairs: Vec<(Endpoint, Endpoint)> = Vec::new();
    for pod in &pods {
        pairs.extend(pods.iter().map(|other| (*pod, *other)));
        pairs.extend(others.iter().flat_map(|other| [(*pod, *other), (*other, *pod)]));
    }
    let l4: Vec<L4> = ports.into_iter().map(|(p, n)| L4::Port(p, n)).chain([L4::Other]).collect();
    let flow = |(from, to): (Endpoint, Endpoint), l4: L4| Flow { from, to, l4, via_service: from == to };
    pairs.into_iter().flat_map(|pair| l4.iter().map(move |l4| flow(pair, *l4))).collect()
}

/// How many worlds are drawn: a tenth, unless a soak is asked for.
fn worlds(all: u64) -> u64 {
    if std::env::var_os("WATERTIGHT_SOAK").is_some() { all } else { all / 10 }
}

const SMALL: Size = Size { namespaces: 2, pods: 5, nodes: 2, policies: 4, cluster_policies: 2, rules: 2, entries: 2 };

#[derive(Debug, Default)]
struct Counts {
    worlds: usize,
    compared: u64,
    can_go: BTreeMap<&'static str, usize>,
    needed: BTreeMap<&'static str, usize>,
}

fn kind(item: Item) -> &'static str {
    match (item, item.policy()) {
        (Item::Policy(_), PolicyRef::Namespaced(_)) => "policy",
        (Item::Rule(_), PolicyRef::Namespaced(_)) => "rule",
        (Item::Policy(_), PolicyRef::Cluster(_)) => "cluster policy",
        (Item::Rule(_), PolicyRef::Cluster(_)) => "cluster rule",
        (Item::Peer(..), _) => "peer",
        (Item::Port(..), _) => "port",
        (Item::Except(..), _) => "except",
    }
}

/// Today: an item that is needed changes the flow that is named, an item that is not changes no flow at all. The engine says
/// so flow by flow; the oracle says so of the flow named, and of some hundred others.
#[test]
fn what_can_go_today_changes_no_verdict_and_what_cannot_does() {
    let mut counts = Counts::default();
    for seed in 0..worlds(3_000) {
        let mut rng = Rng::new(seed);
        let (world, _) = random::world(&mut rng, &SMALL);
        let all = flows(&world);
        let before = Engine::new(&world);
        let verdicts: Vec<[Verdict; 2]> = all.iter().map(|f| halves(&before.decide(f))).collect();
        counts.worlds += 1;
        // Every item is judged; one in a few is compared flow by flow.
        for (item, standing) in standings(&Open::closed(&world)) {
            let after_world = without(&world, item);
            let after = Engine::new(&after_world);
            match standing {
                Standing::Needed(flow) => {
                    *counts.needed.entry(kind(item)).or_default() += 1;
                    let (b, a) = (halves(&before.decide(&flow)), halves(&after.decide(&flow)));
                    assert_ne!(b, a, "seed {seed}: {item:?} is said to be needed for {flow:?}");
                    let (b, a) = (oracle::decide(&world, &flow), oracle::decide(&after_world, &flow));
                    assert_ne!(halves(&b), halves(&a), "seed {seed}: oracle on {item:?}: {flow:?}");
                }
                Standing::Today(_) | Standing::Always => {
                    *counts.can_go.entry(kind(item)).or_default() += 1;
                    if rng.below(3) > 0 {
                        continue;
                    }
                    for (flow, known) in all.iter().zip(&verdicts) {
                        counts.compared += 1;
                        let now = halves(&after.decide(flow));
                        assert_eq!(*known, now, "seed {seed}: {item:?} can go, and {flow:?} changes");
                    }
                    for _ in 0..100 {
                        let flow = all[rng.below(all.len())];
                        let (b, a) = (oracle::decide(&world, &flow), oracle::decide(&after_world, &flow));
                        assert_eq!(halves(&b), halves(&a), "seed {seed}: oracle on {item:?}: {flow:?}");
                    }
                }
            }
        }
    }
    println!("{counts:?}");
    for list in [&counts.can_go, &counts.needed] {
        for kind in ["policy", "rule", "cluster policy", "cluster rule", "peer", "port", "except"] {
            assert!(list.get(kind).copied().unwrap_or(0) > 10, "{kind}: {counts:?}");
        }
    }
}

/// The world with pods that carry random labels and ports, in random namespaces, without a known address.
fn crowd(world: &World, rng: &mut Rng) -> World {
    let mut out = world.clone();
    let (others, _) = random::world(rng, &Size { pods: 40, policies: 0, cluster_policies: 0, ..SMALL });
    for mut pod in others.pods {
        pod.namespace = watertight_model::NamespaceId::at(rng.below(world.namespaces.len()));
        pod.name = format!("~{}", out.pods.len()).into();
        pod.workload = watertight_model::WorkloadId::at(0);
        (pod.node, pod.host_network, pod.template) = (None, false, true);
        pod.ips.clear();
        out.pods.push(pod);
    }
    out.pods.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    out
}

/// Tomorrow: what is redundant for good changes no flow of pods that nobody has thought of; what is needed by a pod of
/// tomorrow changes the flow that is named.
#[test]
fn what_can_go_for_good_changes_no_verdict_of_pods_to_come() {
    let size = Size { policies: 3, cluster_policies: 1, ..SMALL };
    let (mut always, mut today, mut asked) = (0, 0, 0u64);
    for seed in 0..worlds(1_000) {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &size);
        let open = Open::of(&world);
        let before = Engine::new(&open.world);
        let verdicts = standings(&open);
        let more = crowd(&world, &mut rng);
        for (item, standing) in &verdicts {
            match standing {
                Standing::Always => always += 1,
                Standing::Today(Some(flow)) => {
                    today += 1;
                    let after_world = without(&open.world, *item);
                    let (b, a) = (before.decide(flow), Engine::new(&after_world).decide(flow));
                    assert_ne!(halves(&b), halves(&a), "seed {seed}: {item:?} is said to be needed for {flow:?}");
                    let (b, a) = (oracle::decide(&open.world, flow), oracle::decide(&after_world, flow));
                    assert_ne!(halves(&b), halves(&a), "seed {seed}: oracle on {item:?}: {flow:?}");
                    continue;
                }
                Standing::Today(None) | Standing::Needed(_) => continue,
            }
            let after_world = without(&more, *item);
            let (before, after) = (Engine::new(&more), Engine::new(&after_world));
            for i in 0..200 {
                let flow = random::flow(&mut rng, &more, &mood);
                asked += 1;
                assert_eq!(
                    halves(&before.decide(&flow)),
                    halves(&after.decide(&flow)),
                    "seed {seed}: {item:?} can go for good, and {flow:?} changes"
                );
                if i % 20 == 0 {
                    let (b, a) = (oracle::decide(&more, &flow), oracle::decide(&after_world, &flow));
                    assert_eq!(halves(&b), halves(&a), "seed {seed}: oracle on {item:?}: {flow:?}");
                }
            }
        }
    }
    println!("{always} can go for good, {today} today only; {asked} flows");
    assert!(always > 50 && today > 50 && asked > 5_000, "{always} {today} {asked}");
}

/// A report that is stopped says so, lists only what can go together, and nothing of the tiers that it did not see whole.
#[test]
fn a_report_without_time_is_not_called_finished() {
    let (mut stopped, mut whole, mut listed) = (0, 0, 0);
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let (world, _) = random::world(&mut rng, &SMALL);
        let all = report(&world);
        assert!(all.finished);
        let steps = std::cell::Cell::new(0);
        let same = report_while(&world, &|| {
            steps.set(steps.get() + 1);
            true
        });
        assert_eq!(same.redundant, all.redundant, "seed {seed}");
        for some in [0, steps.get() / 2, steps.get() * 9 / 10, steps.get()] {
            let left = std::cell::Cell::new(some);
            let cut = report_while(&world, &|| {
                left.set(left.get() - 1);
                left.get() >= 0
            });
            assert_eq!(cut.finished, some == steps.get(), "seed {seed}: {some} of {} steps", steps.get());
            (stopped, whole) = (stopped + usize::from(!cut.finished), whole + usize::from(cut.finished));
            listed += cut.redundant.len();
            assert!(cut.rules.is_empty() || cut.rules == all.rules, "seed {seed}");
            let after_world = without_all(&world, cut.redundant.iter().map(|r| r.item));
            let (before, after) = (Engine::new(&world), Engine::new(&after_world));
            for flow in flows(&world) {
                let (b, a) = (halves(&before.decide(&flow)), halves(&after.decide(&flow)));
                assert_eq!(b, a, "seed {seed}: without all of {:?}: {flow:?}", cut.redundant);
            }
        }
    }
    assert!(stopped > 80 && whole > 30 && listed > 50, "{stopped} {whole} {listed}");
}

/// What a report lists can be deleted all at once, and each thing is covered by what is said to cover it.
#[test]
fn what_a_report_lists_can_go_together() {
    let (mut listed, mut covered, mut complete, mut compared) = (0, 0, 0, 0u64);
    for seed in 0..worlds(1_500) {
        let mut rng = Rng::new(seed);
        let (world, _) = random::world(&mut rng, &SMALL);
        let found = report(&world);
        if found.redundant.is_empty() {
            continue;
        }
        listed += found.redundant.len();
        covered += found.redundant.iter().filter(|r| !r.covered_by.is_empty()).count();
        let after_world = without_all(&world, found.redundant.iter().map(|r| r.item));
        let (before, after) = (Engine::new(&world), Engine::new(&after_world));
        for flow in flows(&world) {
            compared += 1;
            let (b, a) = (halves(&before.decide(&flow)), halves(&after.decide(&flow)));
            assert_eq!(b, a, "seed {seed}: without all of {:?}: {flow:?}", found.redundant);
        }
        // Nothing is left: without tiers, and unless an exception went, deleting only makes other things more needed.
        let monotone = world.cluster_policies.is_empty()
            && !world.pods.iter().any(|p| p.host_network)
            && !found.redundant.iter().any(|r| matches!(r.item, Item::Except(..)));
        let left = report(&after_world).redundant;
        assert!(!monotone || left.is_empty(), "seed {seed}: {left:?} beside {:?}", found.redundant);
        complete += usize::from(monotone);
    }
    assert!(complete > 10, "{complete}");
    println!("{listed} listed, {covered} with a cover, {compared} flows compared");
    assert!(listed > 100 && covered > 30, "{listed} {covered}");
}
