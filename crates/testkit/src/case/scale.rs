//! Row 174: more rules than 16 bits can count. Too large to write down, so it is built.

use super::{Judge, Problem};
use crate::WorldBuilder;
use crate::rules::{accept, admin, deny};
use watertight_model::{Direction, Endpoint, Flow, L4, PodId, PolicyRef, Protocol, Reason, RuleRef, Selector};

/// Rules of each policy, as many as AdminNetworkPolicy takes.
const RULES: u32 = 100;
/// Policies, one for each priority: 70,000 rules together.
const POLICIES: u16 = 700;

/// The order of rules holds past the 65,536th: by priority, then by place. Returns what does not hold.
pub fn more_rules_than_16_bits_count(judge: &dyn Judge) -> Vec<Problem> {
    // (number of the rule over all policies, port, whether it accepts); every other rule is for ports nobody asks about.
    let marked = [
        (0, 1, true),
        (65_536, 1, false), // the same number modulo 2^16: must not act
        (1, 2, false),
        (65_537, 2, true),
        (65_535, 3, true),
        (65_536 + 100, 3, false), // on either side of the border
        (65_600, 4, false),
        (65_601, 4, true),  // both past it
        (69_999, 5, false), // the very last
    ];
    let mut builder = WorldBuilder::new()
        .namespace("shop", &[])
        .pod("shop/db", &[("app", "db")])
        .ip("10.1.0.1")
        .pod("shop/web", &[("app", "web")])
        .ip("10.1.0.2");
    for priority in 0..POLICIES {
        let mut policy =
            admin(&format!("p{priority:04}"), priority).subject(Selector::everything(), Selector::everything());
        for i in 0..RULES {
            let number = u32::from(priority) * RULES + i;
            let (port, accepts) = match marked.iter().find(|(n, ..)| *n == number) {
                Some((_, port, accepts)) => (*port, *accepts),
                None => (10_000 + priority, number.is_multiple_of(2)),
            };
            policy = policy.ingress(if accepts { accept() } else { deny() }.all_pods().tcp(port));
        }
        builder = builder.cluster_policy(policy);
    }
    let world = builder.build();
    let [db, web] = [PodId(0), PodId(1)].map(Endpoint::Pod);
    let mut problems = Vec::new();
    for port in 1..=5u16 {
        let Some((number, _, accepts)) = marked.iter().find(|(_, p, _)| *p == port) else { continue };
        let flow = Flow { from: web, to: db, l4: L4::Port(Protocol::Tcp, port), via_service: false };
        let got = judge.decide(&world, &flow).ingress;
        let reason = if *accepts { Reason::AdminAccept } else { Reason::AdminDeny };
        let policy = PolicyRef::Cluster(number / RULES);
        let rule = RuleRef { policy, direction: Direction::Ingress, rule: Some(number % RULES) };
        if got.reason != reason || got.decided_by != [rule] {
            let what = format!("row 174: port {port}: expected {reason:?} {rule:?}, got {got:?}");
            problems.push(Problem { file: "scale".to_owned(), line: 0, what });
        }
    }
    problems
}
