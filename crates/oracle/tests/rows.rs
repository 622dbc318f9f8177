//! Whole verdicts, row by row, each beside its twin. (All rows: `cases/`.)

#![expect(clippy::unwrap_used, reason = "helpers of tests: a name that is not in the world is a mistake in the test")]

use watertight_model::Direction::{Egress, Ingress};
use watertight_model::{
    Action, ClusterPort, ContainerKind, DependsOn, Direction, Endpoint, Flow, Half, L4, NodeId, PodId, PolicyRef,
    PortMatch, Protocol, Reason, RuleRef, Selector, Verdict, World,
};
use watertight_oracle::{decide, decide_traced};
use watertight_testkit::WorldBuilder;
use watertight_testkit::rules::*;

/// Shop has web and db, bank has web; both namespaces are declared, every pod has an address and a node.
fn cluster() -> WorldBuilder {
    WorldBuilder::new()
        .namespace("bank", &[("team", "b")])
        .namespace("shop", &[("team", "a")])
        .node("node-1", &[("zone", "x")], &["192.168.1.1"])
        .node("node-2", &[], &["192.168.1.2"])
        .pod("shop/web", &[("app", "web")])
        .ip("10.1.0.1")
        .on("node-1")
        .port("http", 8080)
        .pod("shop/db", &[("app", "db")])
        .ip("10.1.0.2")
        .on("node-2")
        .port("sql", 5432)
        .pod("bank/web", &[("app", "web")])
        .ip("10.2.0.1")
        .on("node-2")
        .port("http", 80)
}

fn end(world: &World, name: &str) -> Endpoint {
    if let Some((namespace, pod)) = name.split_once('/') {
        return Endpoint::Pod(world.pod(world.namespace(namespace).unwrap(), pod).unwrap());
    }
    world.node(name).map_or_else(|| Endpoint::External(name.parse().unwrap()), Endpoint::Node)
}

fn tcp(world: &World, from: &str, to: &str, port: u16) -> Flow {
    let l4 = L4::Port(Protocol::Tcp, port);
    Flow { from: end(world, from), to: end(world, to), l4, via_service: false }
}

fn half(world: &World, flow: &Flow, direction: Direction) -> Half {
    let verdict = decide(world, flow);
    match direction {
        Ingress => verdict.ingress,
        Egress => verdict.egress,
    }
}

fn reason(world: &World, direction: Direction, from: &str, to: &str, port: u16) -> Reason {
    half(world, &tcp(world, from, to, port), direction).reason
}

fn namespaced(policy: u32, direction: Direction, rule: Option<u32>) -> RuleRef {
    RuleRef { policy: PolicyRef::Namespaced(policy), direction, rule }
}

fn clustered(policy: u32, direction: Direction, rule: u32) -> RuleRef {
    RuleRef { policy: PolicyRef::Cluster(policy), direction, rule: Some(rule) }
}

fn labels(of: &[(&str, &str)]) -> Selector {
    Selector::of(of)
}

#[test]
fn rows_1_and_2_nothing_selects_or_isolates() {
    let world = cluster().build();
    let verdict = decide(&world, &tcp(&world, "shop/web", "shop/db", 5432));
    assert_eq!(verdict.verdict, Verdict::Allow);
    assert_eq!((verdict.egress.reason, verdict.ingress.reason), (Reason::DefaultAllow, Reason::DefaultAllow));
    assert!(verdict.ingress.decided_by.is_empty() && verdict.ingress.depends_on.is_empty());

    let world = cluster().policy(policy("shop/closed").select(&[("app", "db")]).types(&[Ingress])).build();
    let verdict = decide(&world, &tcp(&world, "shop/web", "shop/db", 5432));
    assert_eq!((verdict.verdict, verdict.ingress.reason), (Verdict::Deny, Reason::PolicyDeny));
    assert_eq!(verdict.ingress.decided_by, [namespaced(0, Ingress, None)]);
    assert_eq!(reason(&world, Egress, "shop/db", "shop/web", 80), Reason::DefaultAllow, "egress is untouched");
    assert_eq!(reason(&world, Ingress, "shop/db", "shop/web", 80), Reason::DefaultAllow, "another pod");
}

#[test]
fn rows_5_8_9_10_11_peers() {
    let ask = |rule: RuleDraft, from: &str| {
        let world = cluster().policy(policy("shop/p").select(&[("app", "db")]).ingress(rule)).build();
        reason(&world, Ingress, from, "shop/db", 5432)
    };
    use Reason::{PolicyAllow, PolicyDeny};
    for from in ["shop/web", "bank/web", "203.0.113.1", "node-1"] {
        assert_eq!(ask(rule(), from), PolicyAllow, "{from}");
        assert_eq!(ask(rule().tcp(5432), from), PolicyAllow, "{from}");
        assert_eq!(ask(rule().tcp(5433), from), PolicyDeny, "{from}");
    }
    assert_eq!(ask(rule().pods(&[]), "shop/web"), PolicyAllow);
    assert_eq!(ask(rule().pods(&[]), "bank/web"), PolicyDeny);
    assert_eq!(ask(rule().namespaces(&[]), "bank/web"), PolicyAllow);
    assert_eq!(ask(rule().namespaces(&[]), "203.0.113.1"), PolicyDeny);
    assert_eq!(ask(rule().namespaces(&[]), "node-1"), PolicyDeny);
    // Rows 40, 41: one entry is AND, two are OR.
    let both = rule().select(labels(&[("team", "b")]), labels(&[("app", "db")]));
    assert_eq!(ask(both, "bank/web"), PolicyDeny);
    let either = rule().namespaces(&[("team", "b")]).pods(&[("app", "db")]);
    assert_eq!(ask(either, "bank/web"), PolicyAllow);
    // Row 75: a block holds pods.
    assert_eq!(ask(rule().block("10.2.0.1/32", &[]), "bank/web"), PolicyAllow);
    assert_eq!(ask(rule().block("10.2.0.2/32", &[]), "bank/web"), PolicyDeny);
}

#[test]
fn rows_21_to_24_policy_types_and_unions() {
    let world = cluster()
        .policy(policy("shop/a").select(&[("app", "db")]).ingress(rule().pods(&[])))
        .policy(policy("shop/b").ingress(rule().tcp(5432)).ingress(rule().tcp(1)))
        .policy(policy("shop/c").types(&[Egress]).ingress(rule()))
        .build();
    let ask = |to, port| half(&world, &tcp(&world, "shop/web", to, port), Ingress);
    let open = ask("shop/db", 5432);
    assert_eq!((open.reason, open.verdict), (Reason::PolicyAllow, Verdict::Allow));
    assert_eq!(open.decided_by, [namespaced(0, Ingress, Some(0)), namespaced(1, Ingress, Some(0))]);
    let shut = half(&world, &tcp(&world, "bank/web", "shop/db", 2), Ingress);
    assert_eq!(shut.reason, Reason::PolicyDeny, "rules of c have no effect");
    assert_eq!(shut.decided_by, [namespaced(0, Ingress, None), namespaced(1, Ingress, None)]);
    let out = half(&world, &tcp(&world, "shop/web", "bank/web", 80), Egress);
    assert_eq!((out.reason, out.decided_by), (Reason::PolicyDeny, vec![namespaced(2, Egress, None)]));
    // Row 26: never pods of another namespace.
    assert_eq!(reason(&world, Ingress, "shop/web", "bank/web", 80), Reason::DefaultAllow);
}

#[test]
fn row_27_both_halves_and_row_28() {
    let world = cluster()
        .policy(policy("shop/in").select(&[("app", "db")]).ingress(rule()))
        .policy(policy("shop/out").select(&[("app", "web")]).types(&[Egress]))
        .build();
    let verdict = decide(&world, &tcp(&world, "shop/web", "shop/db", 5432));
    assert_eq!(verdict.verdict, Verdict::Deny);
    assert_eq!((verdict.egress.reason, verdict.ingress.reason), (Reason::PolicyDeny, Reason::PolicyAllow));
    assert_eq!(decide(&world, &tcp(&world, "shop/db", "bank/web", 80)).verdict, Verdict::Allow);
}

#[test]
fn row_45_pod_labels_are_not_namespace_labels() {
    let name = watertight_model::label::NAMESPACE_NAME_LABEL;
    let world = cluster()
        .pod("bank/liar", &[(name, "shop"), ("team", "a")])
        .ip("10.2.0.9")
        .policy(
            policy("shop/p").ingress(rule().namespaces(&[(name, "shop")])).ingress(rule().namespaces(&[("team", "a")])),
        )
        .build();
    assert_eq!(reason(&world, Ingress, "bank/liar", "shop/db", 1), Reason::PolicyDeny);
    assert_eq!(reason(&world, Ingress, "shop/web", "shop/db", 1), Reason::PolicyAllow);
}

#[test]
fn row_47_unreadable_selectors() {
    let peer = rule().select(Selector::everything(), unreadable("app"));
    let world = cluster().policy(policy("shop/p").ingress(peer)).build();
    assert_eq!(reason(&world, Ingress, "shop/web", "shop/db", 1), Reason::PolicyDeny);
    let world = cluster().policy(policy("shop/p").subject(unreadable("app")).ingress(rule())).build();
    assert_eq!(reason(&world, Ingress, "shop/web", "shop/db", 1), Reason::PolicyDeny, "isolates, admits nothing");
    assert_eq!(reason(&world, Ingress, "shop/web", "bank/web", 1), Reason::DefaultAllow, "other namespace");

    // Subject of a cluster policy: unclear for every pod that is not hostNetwork.
    let subject = admin("c", 1).subject(labels(&[("team", "none")]), unreadable("app"));
    let world = cluster().cluster_policy(subject.ingress(deny().all_pods())).build();
    let asked = decide_traced(&world, &tcp(&world, "shop/web", "shop/db", 1));
    assert_eq!(asked.verdict.ingress.verdict, Verdict::Depends);
    assert_eq!(asked.verdict.ingress.depends_on, [DependsOn::UnreadableSelector]);
    assert!(asked.ingress_unclear && !asked.egress_unclear);
}

#[test]
fn rows_55_to_58_named_ports_in_egress() {
    let world = cluster()
        .policy(policy("bank/p").types(&[Egress]).egress(rule().named(Protocol::Tcp, "http")))
        .policy(
            policy("shop/p").types(&[Egress]).egress(
                rule()
                    .block("0.0.0.0/0", &[])
                    .pods(&[("app", "db")])
                    .named(Protocol::Tcp, "http")
                    .named(Protocol::Udp, "sql"),
            ),
        )
        .build();
    use Reason::{PolicyAllow, PolicyDeny};
    assert_eq!(reason(&world, Egress, "bank/web", "shop/web", 8080), PolicyAllow);
    assert_eq!(reason(&world, Egress, "bank/web", "shop/web", 80), PolicyDeny, "the destination's number");
    assert_eq!(reason(&world, Egress, "bank/web", "shop/db", 8080), PolicyDeny, "row 56: no such name there");
    assert_eq!(reason(&world, Egress, "bank/web", "203.0.113.1", 80), PolicyDeny, "row 58");
    assert_eq!(reason(&world, Egress, "bank/web", "node-1", 80), PolicyDeny, "row 58");
    assert_eq!(reason(&world, Egress, "shop/db", "shop/web", 8080), PolicyDeny, "row 58: not through a block");
    assert_eq!(reason(&world, Egress, "shop/web", "shop/db", 5432), PolicyDeny, "row 57: another protocol");
}

#[test]
fn row_68_other_protocols() {
    let ask = |rule: RuleDraft| {
        let world = cluster().policy(policy("shop/p").ingress(rule)).build();
        half(&world, &Flow { l4: L4::Other, ..tcp(&world, "shop/web", "shop/db", 1) }, Ingress)
    };
    let open = ask(rule());
    assert_eq!((open.verdict, open.reason), (Verdict::Depends, Reason::Unclear));
    assert_eq!(
        (open.depends_on, open.decided_by),
        (vec![DependsOn::OtherProtocol], vec![namespaced(0, Ingress, Some(0))])
    );
    assert_eq!(ask(rule().port(Protocol::Tcp, PortMatch::Any)).verdict, Verdict::Deny, "with ports: no");
    assert_eq!(ask(rule().pods(&[("app", "none")])).verdict, Verdict::Deny, "another peer");
    let world = cluster().cluster_policy(admin("c", 0).ingress(accept().all_pods())).build();
    let flow = Flow { l4: L4::Other, ..tcp(&world, "shop/web", "shop/db", 1) };
    assert_eq!(half(&world, &flow, Ingress).reason, Reason::AdminAccept, "row 147");
}

#[test]
fn rows_92_to_99_self_and_node() {
    let world = cluster()
        .policy(policy("shop/closed").types(&[Ingress, Egress]))
        .cluster_policy(admin("no", 0).ingress(deny().all_pods()))
        .build();
    let own = tcp(&world, "shop/db", "shop/db", 1);
    let verdict = decide(&world, &own);
    assert_eq!((verdict.egress.reason, verdict.ingress.reason), (Reason::OwnAddress, Reason::OwnAddress));
    let hairpin = decide(&world, &Flow { via_service: true, ..own });
    assert_eq!((hairpin.egress.reason, hairpin.ingress.reason), (Reason::PolicyDeny, Reason::AdminDeny));
    assert_eq!(reason(&world, Ingress, "node-2", "shop/db", 1), Reason::LocalNode, "rows 96, 157");
    assert_eq!(reason(&world, Ingress, "node-1", "shop/db", 1), Reason::PolicyDeny, "row 98");
    assert_eq!(reason(&world, Egress, "shop/db", "node-2", 1), Reason::PolicyDeny, "row 99");
    assert_eq!(reason(&world, Egress, "node-2", "shop/db", 1), Reason::NotSubject);
    assert_eq!(reason(&world, Ingress, "shop/db", "203.0.113.1", 1), Reason::NotSubject);
}

#[test]
fn rows_97_and_103_host_network() {
    let world = cluster()
        .pod("shop/agent", &[("app", "web")])
        .host_network()
        .on("node-2")
        .pod("shop/lost", &[("app", "web")])
        .host_network()
        .policy(policy("shop/p").select(&[("app", "db")]).ingress(rule().pods(&[("app", "web")])))
        .policy(policy("shop/q").select(&[("app", "web")]).types(&[Egress]))
        .policy(policy("bank/p").ingress(rule().pods(&[])))
        .build();
    assert_eq!(reason(&world, Ingress, "shop/agent", "shop/db", 1), Reason::LocalNode);
    let lost = half(&world, &tcp(&world, "shop/lost", "bank/web", 1), Ingress);
    let PodId(id) = world.pod(world.namespace("shop").unwrap(), "lost").unwrap();
    assert_eq!(lost.depends_on, [DependsOn::NodeOfPod(PodId(id))], "on the node, or not; as a peer it is not selected");
    let out = half(&world, &tcp(&world, "shop/lost", "bank/web", 1), Egress);
    assert_eq!((out.verdict, out.depends_on), (Verdict::Depends, vec![DependsOn::HostNetwork(PodId(id))]));
    assert_eq!(out.decided_by, [namespaced(2, Egress, None)]);
    // Row 145: cluster policies never select it, neither as subject nor as peer.
    let subject = admin("c", 0).egress(deny().all_pods()).ingress(deny().all_pods());
    let world = cluster().pod("shop/agent", &[]).host_network().on("node-1").cluster_policy(subject).build();
    assert_eq!(reason(&world, Egress, "shop/agent", "shop/db", 1), Reason::DefaultAllow);
    assert_eq!(reason(&world, Ingress, "shop/agent", "shop/db", 1), Reason::DefaultAllow);
    assert_eq!(reason(&world, Ingress, "shop/web", "shop/db", 1), Reason::AdminDeny);
}

#[test]
fn an_unclear_subject_is_one_question() {
    // If it is selected, the rule admits; if not, it is not isolated: allowed either way.
    let world = cluster()
        .pod("shop/agent", &[])
        .host_network()
        .on("node-1")
        .policy(policy("shop/p").types(&[Egress]).egress(rule().pods(&[("app", "db")])))
        .build();
    let ask = |to| decide_traced(&world, &tcp(&world, "shop/agent", to, 1));
    let open = ask("shop/db");
    assert_eq!(open.verdict.egress.verdict, Verdict::Allow);
    assert!(open.egress_unclear && open.verdict.egress.depends_on.is_empty());
    assert_eq!(ask("bank/web").verdict.egress.verdict, Verdict::Depends);
}

#[test]
fn rows_107_and_109_finished_and_terminating() {
    let world = cluster()
        .pod("shop/done", &[("app", "web")])
        .finished()
        .pod("shop/going", &[("app", "web")])
        .terminating()
        .policy(policy("shop/p").ingress(rule().pods(&[("app", "web")])))
        .build();
    assert_eq!(reason(&world, Ingress, "shop/done", "shop/db", 1), Reason::PolicyDeny);
    assert_eq!(reason(&world, Ingress, "shop/going", "shop/db", 1), Reason::PolicyAllow);
    assert_eq!(reason(&world, Ingress, "bank/web", "shop/done", 1), Reason::DefaultAllow);
    assert_eq!(reason(&world, Ingress, "bank/web", "shop/going", 1), Reason::PolicyDeny);
}

#[test]
fn rows_129_to_142_tiers() {
    let namespace_deny = || policy("shop/p").select(&[("app", "db")]);
    let ask = |builder: WorldBuilder| {
        let world = builder.build();
        let half = half(&world, &tcp(&world, "shop/web", "shop/db", 1), Ingress);
        (half.reason, half.decided_by)
    };
    let a = |rule| admin("a", 5).ingress(rule);
    let b = |rule| baseline("b", 5).ingress(rule);
    use Reason::*;
    let rule_of = |policy| vec![clustered(policy, Ingress, 0)];
    let isolated = vec![namespaced(0, Ingress, None)];
    let (yes, no, on) = (|| accept().all_pods(), || deny().all_pods(), || pass().all_pods());
    assert_eq!(ask(cluster().cluster_policy(a(yes())).policy(namespace_deny())), (AdminAccept, rule_of(0)), "row 132");
    assert_eq!(
        ask(cluster().cluster_policy(a(no())).policy(policy("shop/p").ingress(rule()))),
        (AdminDeny, rule_of(0))
    );
    assert_eq!(
        ask(cluster().cluster_policy(a(on())).policy(namespace_deny())),
        (PolicyDeny, isolated.clone()),
        "row 135"
    );
    let passed = || cluster().cluster_policy(a(on()).ingress(deny().all_pods()));
    assert_eq!(ask(passed()), (DefaultAllow, vec![]), "row 131");
    assert_eq!(ask(passed().cluster_policy(b(no()))), (BaselineDeny, rule_of(1)), "row 136");
    assert_eq!(ask(passed().cluster_policy(admin("z", 6).ingress(no()))), (DefaultAllow, vec![]), "row 137");
    assert_eq!(ask(passed().cluster_policy(admin("z", 4).ingress(no()))), (AdminDeny, rule_of(0)), "row 130");
    assert_eq!(ask(cluster().cluster_policy(b(yes())).policy(namespace_deny())), (PolicyDeny, isolated), "row 138");
    let egress_only = policy("shop/p").types(&[Egress]);
    assert_eq!(ask(cluster().cluster_policy(b(no())).policy(egress_only)), (BaselineDeny, rule_of(0)), "row 139");
    let baseline_pass = cluster().cluster_policy(b(on())).cluster_policy(baseline("c", 6).ingress(no()));
    assert_eq!(ask(baseline_pass), (DefaultAllow, vec![]), "row 140");
    let other_pods = accept().pods(Selector::everything(), labels(&[("app", "none")]));
    assert_eq!(ask(cluster().cluster_policy(a(other_pods))), (DefaultAllow, vec![]), "row 141");
    assert_eq!(ask(cluster().cluster_policy(admin("a", 1).egress(no()))), (DefaultAllow, vec![]), "row 142");
}

#[test]
fn row_143_equal_priorities() {
    let ask = |one: ClusterRuleDraft, two: ClusterRuleDraft| {
        let world =
            cluster().cluster_policy(admin("a", 5).ingress(one)).cluster_policy(admin("b", 5).ingress(two)).build();
        let half = half(&world, &tcp(&world, "shop/web", "shop/db", 1), Ingress);
        (half.reason, half.decided_by)
    };
    let (yes, no, on) = (|| accept().all_pods(), || deny().all_pods(), || pass().all_pods());
    assert_eq!(ask(yes(), no()), (Reason::AdminDeny, vec![clustered(1, Ingress, 0)]));
    assert_eq!(ask(no(), on()), (Reason::AdminDeny, vec![clustered(0, Ingress, 0)]));
    assert_eq!(ask(on(), yes()), (Reason::DefaultAllow, vec![]));
    assert_eq!(ask(no(), no()), (Reason::AdminDeny, vec![clustered(0, Ingress, 0), clustered(1, Ingress, 0)]));
    assert_eq!(ask(yes(), yes()).1.len(), 2);
}

fn egress(rule: ClusterRuleDraft, to: &str, port: u16) -> Half {
    let world = cluster().cluster_policy(admin("a", 5).egress(rule)).build();
    half(&world, &tcp(&world, "shop/web", to, port), Egress)
}

#[test]
fn rows_149_150_ports_of_cluster_rules() {
    let bare = |rule: ClusterRuleDraft| rule.all_pods().port(ClusterPort::BareProtocol(Protocol::Tcp));
    assert_eq!(egress(bare(accept()), "shop/db", 1).reason, Reason::DefaultAllow);
    assert_eq!(egress(bare(deny()), "shop/db", 1).reason, Reason::AdminDeny);
    assert_eq!(egress(bare(pass()), "shop/db", 1).reason, Reason::AdminDeny);
    let udp =
        pass().all_pods().port(ClusterPort::BareProtocol(Protocol::Udp)).tcp(1).port(ClusterPort::Named("sql".into()));
    assert_eq!(egress(udp.clone(), "shop/db", 1).reason, Reason::DefaultAllow, "its other entries keep Pass");
    let then = |port| {
        let world = cluster().cluster_policy(admin("a", 5).egress(udp.clone()).egress(deny().all_pods())).build();
        half(&world, &tcp(&world, "shop/web", "shop/db", port), Egress).reason
    };
    assert_eq!((then(1), then(5432), then(2)), (Reason::DefaultAllow, Reason::DefaultAllow, Reason::AdminDeny));
    assert_eq!(egress(accept().all_pods().named("sql"), "shop/db", 5432).reason, Reason::AdminAccept);
    assert_eq!(egress(accept().all_pods().named("sql"), "shop/db", 1).reason, Reason::DefaultAllow);
    assert_eq!(
        egress(deny().networks(&["0.0.0.0/0"]).named("sql"), "shop/db", 5432).reason,
        Reason::DefaultAllow,
        "58"
    );
}

#[test]
fn rows_59_60_deny_knows_every_port_of_a_name() {
    let ask = |rule: ClusterRuleDraft, port| {
        let world = cluster()
            .pod("shop/two", &[])
            .container_port(ContainerKind::Init, "x", Protocol::Tcp, 3)
            .port("x", 1)
            .port("x", 2)
            .cluster_policy(admin("a", 5).ingress(rule.all_pods().named("x")))
            .build();
        reason(&world, Ingress, "shop/web", "shop/two", port)
    };
    for (port, accepted, denied) in [
        (1, Reason::AdminAccept, Reason::AdminDeny),
        (2, Reason::DefaultAllow, Reason::AdminDeny),
        (3, Reason::DefaultAllow, Reason::AdminDeny),
        (4, Reason::DefaultAllow, Reason::DefaultAllow),
    ] {
        assert_eq!((ask(accept(), port), ask(deny(), port)), (accepted, denied), "port {port}");
    }
}

#[test]
fn rows_153_to_156_networks_and_nodes() {
    assert_eq!(egress(deny().networks(&["0.0.0.0/0"]), "shop/db", 1).reason, Reason::AdminDeny);
    assert_eq!(egress(deny().networks(&["192.168.0.0/16"]), "shop/db", 1).reason, Reason::DefaultAllow);
    assert_eq!(egress(deny().networks(&["203.0.113.0/24", "192.168.1.1/32"]), "node-1", 1).reason, Reason::AdminDeny);
    assert_eq!(egress(deny().nodes(Selector::everything()), "node-2", 1).reason, Reason::AdminDeny);
    assert_eq!(egress(deny().nodes(labels(&[("zone", "x")])), "node-2", 1).reason, Reason::DefaultAllow);
    assert_eq!(egress(deny().nodes(Selector::everything()), "shop/db", 1).reason, Reason::DefaultAllow, "row 156");
    assert_eq!(egress(deny().nodes(Selector::everything()), "203.0.113.1", 1).reason, Reason::DefaultAllow);
    let world = cluster()
        .pod("shop/agent", &[])
        .host_network()
        .on("node-1")
        .pod("shop/lost", &[])
        .host_network()
        .cluster_policy(admin("a", 5).egress(deny().nodes(labels(&[("zone", "x")]))))
        .build();
    assert_eq!(reason(&world, Egress, "shop/db", "shop/agent", 1), Reason::AdminDeny);
    let lost = half(&world, &tcp(&world, "shop/db", "shop/lost", 1), Egress);
    assert!(matches!(lost.depends_on[..], [DependsOn::NodeOfPod(_)]), "{lost:?}");
    assert_eq!(lost.decided_by, [clustered(0, Egress, 0)]);
}

#[test]
fn rows_158_to_160_domain_names() {
    let names = |rule: ClusterRuleDraft| rule.domain_names(&["kubernetes.io"]);
    let alone = egress(names(accept()), "203.0.113.1", 443);
    assert_eq!((alone.verdict, alone.depends_on), (Verdict::Allow, vec![]), "accepted or not asked: allowed");
    let world = cluster()
        .cluster_policy(admin("a", 1).egress(names(accept())))
        .cluster_policy(admin("b", 2).egress(deny().networks(&["0.0.0.0/0"])))
        .build();
    let open = half(&world, &tcp(&world, "shop/web", "203.0.113.1", 443), Egress);
    assert_eq!((open.verdict, open.depends_on), (Verdict::Depends, vec![DependsOn::DomainName]));
    assert_eq!(reason(&world, Egress, "shop/web", "shop/db", 443), Reason::AdminDeny, "row 165: pods have no names");
    assert_eq!(egress(names(deny()).tcp(443), "shop/db", 443).reason, Reason::AdminDeny, "every peer");
    assert_eq!(egress(names(deny()).tcp(443), "shop/db", 80).reason, Reason::DefaultAllow, "on its ports");
    assert_eq!(egress(names(pass()), "shop/db", 80).reason, Reason::AdminDeny);
    let world = cluster()
        .cluster_policy(baseline("a", 1).egress(names(accept())))
        .cluster_policy(baseline("b", 2).egress(deny().networks(&["0.0.0.0/0"])))
        .build();
    assert_eq!(reason(&world, Egress, "shop/web", "203.0.113.1", 443), Reason::BaselineDeny);
}

#[test]
fn rows_167_and_168_newer_apis() {
    assert_eq!(egress(accept().all_pods().unknown_peer(), "shop/db", 1).reason, Reason::DefaultAllow);
    for action in [Action::Deny, Action::Pass, Action::Unknown("Audit".into())] {
        let blunt = cluster_rule(action.clone()).pods(labels(&[("team", "none")]), Selector::everything());
        assert_eq!(
            egress(blunt.clone().unknown_peer().tcp(9), "203.0.113.1", 1).reason,
            Reason::AdminDeny,
            "{action:?}"
        );
        assert_eq!(
            egress(blunt.clone().port(ClusterPort::Unknown), "shop/db", 1).reason,
            Reason::AdminDeny,
            "{action:?}"
        );
        let selector = blunt.clone().pods(unreadable("x"), Selector::everything());
        assert_eq!(egress(selector, "node-1", 1).reason, Reason::AdminDeny, "{action:?}");
        assert_eq!(egress(blunt, "shop/db", 1).reason, Reason::DefaultAllow, "{action:?}");
    }
    let unknown = cluster_rule(Action::Unknown("Audit".into()));
    assert_eq!(egress(unknown.clone().all_pods().tcp(1), "shop/db", 1).reason, Reason::AdminDeny, "row 168");
    assert_eq!(egress(unknown.all_pods().tcp(1), "shop/db", 2).reason, Reason::DefaultAllow);
}

#[test]
fn policies_that_are_not_evaluated_cast_doubt_on_any_answer() {
    let world = cluster()
        .foreign("CiliumNetworkPolicy", Some("shop"), "f")
        .policy(policy("shop/p").select(&[("app", "db")]))
        .build();
    let shut = decide_traced(&world, &tcp(&world, "bank/web", "shop/db", 1));
    assert_eq!(shut.verdict.ingress.verdict, Verdict::Depends);
    assert_eq!(shut.verdict.ingress.reason, Reason::PolicyDeny, "what the evaluated policies say");
    assert_eq!(shut.verdict.ingress.decided_by, [namespaced(0, Ingress, None)]);
    assert_eq!(shut.verdict.ingress.depends_on, [DependsOn::ForeignPolicy(0)]);
    assert!(!shut.ingress_unclear);
    assert_eq!(shut.verdict.egress.verdict, Verdict::Allow, "bank is not concerned");
    assert_eq!(half(&world, &tcp(&world, "node-2", "shop/db", 1), Ingress).verdict, Verdict::Allow, "never blocked");
    let everywhere = cluster().foreign("CiliumClusterwideNetworkPolicy", None, "f").build();
    assert_eq!(half(&everywhere, &tcp(&everywhere, "bank/web", "shop/db", 1), Egress).verdict, Verdict::Depends);
}

#[test]
fn undeclared_namespaces_and_unknown_nodes() {
    let world = cluster()
        .pod("new/web", &[])
        .ip("10.3.0.1")
        .policy(policy("shop/p").ingress(rule().namespaces(&[("team", "a")])))
        .build();
    let doubt = half(&world, &tcp(&world, "new/web", "shop/db", 1), Ingress);
    assert_eq!(doubt.depends_on, [DependsOn::NamespaceLabels(world.namespace("new").unwrap())]);
    assert_eq!(reason(&world, Ingress, "bank/web", "shop/db", 1), Reason::PolicyDeny);
    let world = cluster().pod("shop/new", &[]).policy(policy("shop/p")).build();
    let doubt = half(&world, &tcp(&world, "node-1", "shop/new", 1), Ingress);
    assert!(matches!(doubt.depends_on[..], [DependsOn::NodeOfPod(_)]), "{doubt:?}");
    let flow = Flow { from: Endpoint::Node(NodeId(0)), ..tcp(&world, "shop/web", "shop/db", 1) };
    assert_eq!(half(&world, &flow, Ingress).reason, Reason::PolicyDeny, "another node, and known");
}
