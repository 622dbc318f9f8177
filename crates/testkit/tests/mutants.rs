//! The harness must find wrong engines, and show each in a small world. A mutant is the oracle with one classic mistake
//! (most have been made by a real engine), put in by tampering with the world before it is asked, with the question, or
//! with the answer.

use std::collections::BTreeSet;
use watertight_model::label::NAMESPACE_NAME_LABEL;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Action, ClusterPeer, ClusterPort, ClusterPorts, ContainerKind, Endpoint, Flow, FlowVerdict, IpBlock, L4, Labels,
    NamespaceId, Op, PeerKind, Peers, PortMatch, Ports, Protocol, Reason, Requirement, Rule, Selector, Str, Tier,
    Verdict, World,
};
use watertight_oracle::decide;
use watertight_testkit::compare::{Judge, compare};

/// Within how many verdicts every mutant must be found.
const WITHIN: u64 = 150_000;

struct Mutant {
    name: &'static str,
    world: fn(&mut World),
    flow: fn(&World, &mut Flow),
    answer: fn(&World, &Flow, &mut FlowVerdict),
}

fn in_world(name: &'static str, world: fn(&mut World)) -> Mutant {
    Mutant { name, world, flow: |_, _| {}, answer: |_, _, _| {} }
}

fn in_question(name: &'static str, flow: fn(&World, &mut Flow)) -> Mutant {
    Mutant { name, world: |_| {}, flow, answer: |_, _, _| {} }
}

fn in_answer(name: &'static str, answer: fn(&World, &Flow, &mut FlowVerdict)) -> Mutant {
    Mutant { name, world: |_| {}, flow: |_, _| {}, answer }
}

impl Mutant {
    fn judge<'w>(&self, world: &'w World) -> Judge<'w> {
        let mut wrong = world.clone();
        (self.world)(&mut wrong);
        let (flow_mistake, answer_mistake) = (self.flow, self.answer);
        Box::new(move |flow| {
            let mut misheard = *flow;
            flow_mistake(world, &mut misheard);
            let mut answer = decide(&wrong, &misheard);
            answer_mistake(world, flow, &mut answer);
            answer
        })
    }
}

// What mutants tamper with.

fn v1_rules(world: &mut World) -> impl Iterator<Item = &mut Rule> {
    world.policies.iter_mut().flat_map(|p| p.ingress.iter_mut().chain(&mut p.egress))
}

fn v1_peers(world: &mut World) -> impl Iterator<Item = &mut PeerKind> {
    v1_rules(world)
        .flat_map(|r| match &mut r.peers {
            Peers::Any(_) => [].iter_mut(),
            Peers::Of(peers) => peers.iter_mut(),
        })
        .map(|p| &mut p.kind)
}

fn blocks(world: &mut World) -> impl Iterator<Item = &mut IpBlock> {
    v1_peers(world).filter_map(|p| if let PeerKind::Block(block) = p { Some(block) } else { None })
}

fn cluster_rules(world: &mut World) -> impl Iterator<Item = &mut watertight_model::ClusterRule> {
    world.cluster_policies.iter_mut().flat_map(|p| p.ingress.iter_mut().chain(&mut p.egress))
}

fn cluster_ports(world: &mut World) -> impl Iterator<Item = &mut ClusterPort> {
    cluster_rules(world).flat_map(|r| match &mut r.ports {
        ClusterPorts::Any => [].iter_mut(),
        ClusterPorts::Of(ports) => ports.iter_mut(),
    })
}

fn port_matches(world: &mut World, change: impl Fn(&mut PortMatch)) {
    for rule in v1_rules(world) {
        if let Ports::Of(ports) = &mut rule.ports {
            ports.iter_mut().for_each(|p| change(&mut p.port));
        }
    }
    for port in cluster_ports(world) {
        if let ClusterPort::Number(_, port) = port {
            change(port);
        }
    }
}

fn selectors(world: &mut World, change: impl Fn(&mut Selector)) {
    for policy in &mut world.policies {
        change(&mut policy.subject);
    }
    for peer in v1_peers(world) {
        if let PeerKind::Pods { namespaces, pods } = peer {
            [namespaces, pods].into_iter().flatten().for_each(&change);
        }
    }
    for policy in &mut world.cluster_policies {
        change(&mut policy.subject.namespaces);
        change(&mut policy.subject.pods);
    }
    for peer in cluster_rules(world).flat_map(|r| &mut r.peers) {
        match peer {
            ClusterPeer::Pods { namespaces, pods, .. } => {
                change(namespaces);
                change(pods);
            }
            ClusterPeer::Nodes { nodes, .. } => change(nodes),
            ClusterPeer::Networks { .. } | ClusterPeer::DomainNames { .. } | ClusterPeer::Unknown { .. } => {}
        }
    }
}

fn requirement(key: &Str, op: Op) -> Requirement {
    Requirement { key: key.clone(), op, from_labels: false }
}

fn not_in_needs_the_key(world: &mut World) {
    selectors(world, |s| {
        let keys: Vec<Str> =
            s.requirements.iter().filter(|r| matches!(r.op, Op::NotIn(_))).map(|r| r.key.clone()).collect();
        s.requirements.extend(keys.iter().map(|key| requirement(key, Op::Exists)));
    });
}

fn empty_value_is_absence(world: &mut World) {
    selectors(world, |s| {
        for r in &mut s.requirements {
            if matches!(&r.op, Op::In(values) if values.iter().all(|v| v.is_empty())) {
                r.op = Op::NotIn(["a", "b", "c"].map(Str::from).to_vec());
            }
        }
    });
}

fn named_port_of_any_protocol(world: &mut World) {
    for pod in &mut world.pods {
        let written = pod.ports.clone();
        for protocol in Protocol::ALL {
            pod.ports.extend(written.iter().cloned().map(|p| watertight_model::ContainerPort { protocol, ..p }));
        }
    }
}

fn except_cuts_the_union(world: &mut World) {
    for rule in v1_rules(world) {
        let Peers::Of(peers) = &mut rule.peers else { continue };
        let mut blocks: Vec<&mut IpBlock> = peers
            .iter_mut()
            .filter_map(|p| if let PeerKind::Block(block) = &mut p.kind { Some(block) } else { None })
            .collect();
        let holes: Vec<BlockCidr> = blocks.iter().flat_map(|b| b.except.clone()).collect();
        blocks.iter_mut().for_each(|b| b.except.clone_from(&holes));
    }
}

fn baseline_per_pod(world: &World, flow: &Flow, answer: &mut FlowVerdict) {
    // Asked about an outsider, the other half of a pod shows whether it is isolated in that direction.
    let outside = Endpoint::External([198, 51, 100, 99].into());
    let out = decide(world, &Flow { to: outside, from: flow.to, ..*flow }).egress.reason;
    let into = decide(world, &Flow { from: outside, to: flow.from, ..*flow }).ingress.reason;
    for (other, half) in [(into, &mut answer.egress), (out, &mut answer.ingress)] {
        let decided = matches!(half.reason, Reason::BaselineDeny | Reason::BaselineAccept);
        if decided && matches!(other, Reason::PolicyAllow | Reason::PolicyDeny) {
            half.verdict = Verdict::Allow;
            half.reason = Reason::DefaultAllow;
            half.decided_by.clear();
            half.depends_on.clear();
        }
    }
    answer.verdict = answer.egress.verdict.and(answer.ingress.verdict);
}

fn pod_labels_leak_into_namespaces(world: &mut World) {
    for pod in world.pods.clone() {
        let namespace = &mut world.namespaces[pod.namespace.index()];
        if let Some(value) = pod.labels.get("team") {
            namespace.labels = namespace.labels.with("team", value);
        }
    }
}

fn doubt_is_allowed(_: &World, _: &Flow, answer: &mut FlowVerdict) {
    for half in [&mut answer.egress, &mut answer.ingress] {
        if half.reason == Reason::Unclear {
            half.verdict = Verdict::Allow;
            half.reason = Reason::DefaultAllow;
            half.decided_by.clear();
            half.depends_on.clear();
        }
    }
    answer.verdict = answer.egress.verdict.and(answer.ingress.verdict);
}

fn own_node_may_be_entered(world: &World, flow: &Flow, answer: &mut FlowVerdict) {
    if let (Endpoint::Pod(from), Endpoint::Node(to)) = (flow.from, flow.to)
        && world.pods[from.index()].node == Some(to)
    {
        answer.egress.verdict = Verdict::Allow;
        answer.egress.depends_on.clear();
        answer.verdict = answer.ingress.verdict;
    }
}

fn mutants() -> Vec<Mutant> {
    vec![
        in_world("`NotIn` with an absent key is no match (row 33)", not_in_needs_the_key),
        in_world("`{k: \"\"}` matches an absent key (row 36)", empty_value_is_absence),
        in_world("a key with an empty value is absent (row 35)", |w| {
            for pod in &mut w.pods {
                let full = pod.labels.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.clone(), v.clone()));
                pod.labels = Labels::new(full);
            }
        }),
        in_world("pod labels count as namespace labels (row 45)", pod_labels_leak_into_namespaces),
        in_world("`podSelector` alone selects in every namespace (row 10)", |w| {
            v1_peers(w).for_each(|p| {
                if let PeerKind::Pods { namespaces, .. } = p {
                    namespaces.get_or_insert_default();
                }
            });
        }),
        in_world("a peer of two selectors is either of them (row 40)", |w| {
            v1_peers(w).for_each(|p| {
                if let PeerKind::Pods { namespaces: Some(_), pods } = p {
                    *pods = None;
                }
            });
        }),
        in_world("egress rules without `policyTypes: Egress` isolate (row 22)", |w| {
            w.policies.iter_mut().for_each(|p| p.isolates_egress |= !p.egress.is_empty());
        }),
        in_world("`policyTypes: Egress` without rules does not isolate (row 2)", |w| {
            w.policies.iter_mut().for_each(|p| p.isolates_egress &= !p.egress.is_empty());
        }),
        in_world("policies of other namespaces count (row 26)", |w| {
            let first = NamespaceId(0);
            w.policies.iter_mut().for_each(|p| p.namespace = first);
        }),
        in_world("ranges end one early (row 51)", |w| {
            port_matches(w, |p| {
                if let PortMatch::Range(first, last) = p {
                    *last = (*last - 1).max(*first);
                }
            });
        }),
        in_world("`ports` without a number is no port (row 49)", |w| {
            port_matches(w, |p| {
                if *p == PortMatch::Any {
                    *p = PortMatch::Range(0, 0);
                }
            });
        }),
        in_world("a named port ignores the protocol (row 57)", named_port_of_any_protocol),
        in_world("the last port of a name counts (row 59)", |w| w.pods.iter_mut().for_each(|p| p.ports.reverse())),
        in_world("init containers' ports count (row 60)", |w| {
            w.pods.iter_mut().flat_map(|p| &mut p.ports).for_each(|p| p.container = ContainerKind::Regular);
        }),
        in_world("a deny rule sees only the ports that an allow rule sees (row 60)", |w| {
            w.pods.iter_mut().for_each(|p| p.ports.retain(|p| p.container != ContainerKind::Init));
        }),
        in_world("`except` is ignored (row 72)", |w| blocks(w).for_each(|b| b.except.clear())),
        in_world("`except` cuts the union of the peers (row 73)", except_cuts_the_union),
        in_world("only the first `except` counts (row 81)", |w| blocks(w).for_each(|b| b.except.truncate(1))),
        in_world("only the first address of a pod counts (row 84)", |w| {
            w.pods.iter_mut().for_each(|p| p.ips.truncate(1));
        }),
        in_world("only the first address of a node counts (row 155)", |w| {
            w.nodes.iter_mut().for_each(|n| n.addresses.truncate(1));
        }),
        in_world("a mapped block is IPv6 only (row 82)", |w| {
            blocks(w).flat_map(|b| std::iter::once(&mut b.cidr).chain(&mut b.except)).for_each(|c| c.mapped = None);
        }),
        in_world("`pod_cidrs` is ignored (U1)", |w| w.pod_cidrs.clear()),
        in_world("a pod without an address is in no block (U1)", |w| {
            for pod in &mut w.pods {
                if pod.ips.is_empty() {
                    pod.ips.push([198, 18, 0, 1].into());
                }
            }
        }),
        in_world("an undeclared namespace has just its name (U4)", |w| {
            w.namespaces.iter_mut().for_each(|n| n.declared = true);
        }),
        in_world("hostNetwork pods are like any other (rows 103, 145)", |w| {
            w.pods.iter_mut().for_each(|p| p.host_network = false);
        }),
        in_world("finished pods count (row 107)", |w| w.pods.iter_mut().for_each(|p| p.finished = false)),
        in_world("terminating pods do not count (row 109)", |w| {
            w.pods.iter_mut().for_each(|p| p.finished |= p.terminating);
        }),
        in_world("priorities are reversed (row 130)", |w| {
            w.cluster_policies.iter_mut().for_each(|p| p.priority = 1000 - p.priority);
        }),
        in_world("equal priorities are settled by name (row 143)", |w| {
            for (p, i) in w.cluster_policies.iter_mut().zip(0u16..) {
                p.priority = p.priority * 32 + i;
            }
        }),
        in_world("Pass accepts (row 135)", |w| {
            cluster_rules(w).filter(|r| r.action == Action::Pass).for_each(|r| r.action = Action::Accept);
        }),
        in_world("Admin decides after NetworkPolicy (row 129)", |w| {
            w.cluster_policies.iter_mut().for_each(|p| p.tier = Tier::Baseline);
        }),
        in_world("an unknown action is ignored (row 168)", |w| {
            cluster_rules(w)
                .filter(|r| matches!(r.action, Action::Unknown(_)))
                .for_each(|r| r.peers = vec![ClusterPeer::DomainNames { names: vec![], origin: r.origin }]);
            cluster_rules(w).filter(|r| matches!(r.action, Action::Unknown(_))).for_each(|r| r.action = Action::Accept);
        }),
        in_world("an unknown peer is left out of its rule (row 167)", |w| {
            for rule in cluster_rules(w) {
                if rule.peers.len() > 1 {
                    rule.peers.retain(|p| !matches!(p, ClusterPeer::Unknown { .. }));
                }
            }
        }),
        in_world("`{tcp: {}}` is every port (row 149)", |w| {
            cluster_ports(w).for_each(|p| {
                if let ClusterPort::BareProtocol(protocol) = p {
                    *p = ClusterPort::Number(*protocol, PortMatch::Any);
                }
            });
        }),
        in_world("`domainNames` match nothing (rows 160, 165)", |w| {
            for rule in cluster_rules(w) {
                for peer in &mut rule.peers {
                    if let ClusterPeer::DomainNames { .. } = peer {
                        *peer = ClusterPeer::Networks { blocks: vec![], origin: rule.origin };
                    }
                }
            }
        }),
        in_world("`networks` do not hold pods (row 153)", |w| {
            w.pods.iter_mut().filter(|p| !p.host_network).for_each(|p| p.ips = vec![[198, 18, 0, 1].into()]);
        }),
        in_world("only the first of `networks` counts", |w| {
            for peer in cluster_rules(w).flat_map(|r| &mut r.peers) {
                if let ClusterPeer::Networks { blocks, .. } = peer {
                    blocks.truncate(1);
                }
            }
        }),
        in_world("policies of other kinds are forgotten (U11)", |w| w.foreign_policies.clear()),
        in_world("a selector that cannot be read is left out (row 47)", |w| {
            selectors(w, |s| s.requirements.retain(|r| !matches!(r.op, Op::Unknown(_))));
        }),
        in_world("undeclared namespaces know nothing, not even their name (U4)", |w| {
            for n in w.namespaces.iter_mut().filter(|n| !n.declared) {
                n.labels = Labels::of(&[(NAMESPACE_NAME_LABEL, "?")]);
            }
        }),
        in_question("a hairpin is the pod's own address (row 93)", |_, f| f.via_service = false),
        in_question("the own address is subject to policy (row 92)", |_, f| f.via_service = true),
        in_question("another protocol is TCP port 0 (rows 68, 147)", |_, f| {
            if f.l4 == L4::Other {
                f.l4 = L4::Port(Protocol::Tcp, 0);
            }
        }),
        in_question("SCTP is UDP (row 63)", |_, f| {
            if let L4::Port(protocol @ Protocol::Sctp, _) = &mut f.l4 {
                *protocol = Protocol::Udp;
            }
        }),
        in_question("traffic from a node is from its first address (row 96)", |w, f| {
            if let Endpoint::Node(id) = f.from
                && let Some(address) = w.nodes[id.index()].addresses.first()
            {
                f.from = Endpoint::External(*address);
            }
        }),
        in_answer("Baseline is decided for a pod, not a direction (row 139)", baseline_per_pod),
        in_answer("what is unclear is allowed (section 4)", doubt_is_allowed),
        in_answer("a pod may enter its own node (row 99)", own_node_may_be_entered),
        in_answer("one half is enough (row 27)", |_, _, a| {
            if [a.egress.verdict, a.ingress.verdict].contains(&Verdict::Allow) {
                a.verdict = Verdict::Allow;
            }
        }),
        in_answer("only the first admitting rule is named", |_, _, a| a.ingress.decided_by.truncate(1)),
        in_answer("nothing is said about what it depends on", |_, _, a| a.ingress.depends_on.clear()),
    ]
}

#[test]
fn every_mutant_is_found_and_shown_in_a_small_world() {
    let mut survivors = Vec::new();
    for mutant in mutants() {
        match compare(0..u64::MAX, WITHIN, |world: &World| mutant.judge(world)) {
            Ok(_) => survivors.push(mutant.name),
            Err(found) => {
                let w = &found.world;
                let rules: usize = w.policies.iter().map(|p| p.ingress.len() + p.egress.len()).sum::<usize>()
                    + w.cluster_policies.iter().map(|p| p.ingress.len() + p.egress.len()).sum::<usize>();
                let policies = w.policies.len() + w.cluster_policies.len();
                println!("{:5} worlds, {policies} policies, {rules} rules: {}", found.seed + 1, mutant.name);
                watertight_testkit::build::assert_valid(w);
                assert!(w.pods.len() <= 3 && policies <= 3 && rules <= 3, "{}: not small:\n{found}", mutant.name);
            }
        }
    }
    assert_eq!(survivors, Vec::<&str>::new(), "mutants that were not found within {WITHIN} verdicts");
}

#[test]
fn the_oracle_itself_is_not_found() {
    let harmless = in_world("nothing", |_| {});
    let stats = compare(0..u64::MAX, WITHIN, |world: &World| harmless.judge(world)).unwrap();
    assert_eq!(stats.verdicts, WITHIN);
    assert_eq!(stats.worlds, WITHIN / 300);
}

#[test]
fn a_panic_is_found_too() {
    let found = compare(0..1000, WITHIN, |world: &World| {
        let ports: BTreeSet<u16> = world.pods.iter().flat_map(|p| &p.ports).map(|p| p.port).collect();
        Box::new(move |flow: &Flow| {
            assert!(!matches!(flow.l4, L4::Port(_, 8080)) || !ports.contains(&8080), "wrong engine");
            decide(world, flow)
        }) as Judge<'_>
    })
    .unwrap_err();
    assert_eq!(found.what, "whether there is an answer");
    assert_eq!(found.candidate, None);
    assert_eq!(found.world.pods.iter().map(|p| p.ports.len()).sum::<usize>(), 1, "{found}");
    assert!(found.to_string().contains("candidate: panicked"), "{found}");
    assert!(found.to_string().contains(&format!("seed {}", found.seed)), "{found}");
}
