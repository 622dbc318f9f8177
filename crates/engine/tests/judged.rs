//! The engine against its judge: random worlds, every fast path against the slow one.

use std::net::IpAddr;
use watertight_engine::reach::Reach;
use watertight_engine::reach::external::{ExternalPart, external};
use watertight_engine::{Engine, query};
use watertight_model::{Direction, Endpoint, Family, Flow, FlowVerdict, L4, PodId, PortSet, Protocol, Verdict, World};
use watertight_testkit::compare::{Judge, compare};
use watertight_testkit::random::{self, Rng, Size};

/// Verdicts to compare: a million, or a hundred million for `./dev bench --soak`.
fn verdicts() -> u64 {
    if std::env::var_os("WATERTIGHT_SOAK").is_some() { 100_000_000 } else { 1_000_000 }
}

fn engine(world: &World) -> Judge<'_> {
    let engine = Engine::new(world);
    Box::new(move |flow| engine.decide(flow))
}

#[test]
fn decides_as_the_oracle_does() {
    match compare(0..u64::MAX, verdicts(), engine) {
        Ok(stats) => {
            assert!(stats.verdicts >= 1_000_000, "{stats}");
            println!("{stats}");
        }
        Err(mismatch) => panic!("{mismatch}"),
    }
}

/// What a half says when policies that are not evaluated are left aside.
fn half(engine: &Engine<'_>, flow: &Flow, direction: Direction) -> Verdict {
    let FlowVerdict { egress, ingress, .. } = engine.decide(flow);
    let alone = match direction {
        Direction::Egress => egress,
        Direction::Ingress => ingress,
    };
    query::evaluated(&FlowVerdict { verdict: alone.verdict, egress: alone.clone(), ingress: alone })
}

const PORTS: [u16; 14] = [0, 1, 53, 79, 80, 81, 90, 91, 443, 5432, 8080, 8081, 9090, u16::MAX];

/// Class reachability gives, for each pair of pods and each port, what deciding that flow gives.
#[test]
fn reach_agrees_with_deciding_flow_by_flow() {
    let (mut checked, mut open, mut unclear) = (0u64, 0u64, 0u64);
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &Size::default());
        let engine = Engine::new(&world);
        let reach = Reach::of(&engine);
        let pods: Vec<PodId> =
            (0..world.pods.len()).map(PodId::at).filter(|p| !world.pods[p.index()].finished).collect();
        let drawn: Vec<u16> = (0..20)
            .filter_map(|_| match random::flow(&mut rng, &world, &mood).l4 {
                L4::Port(_, port) => Some(port),
                L4::Other => None,
            })
            .collect();
        for from in &pods {
            for to in &pods {
                if from == to {
                    continue;
                }
                let (Some(a), Some(b)) = (engine.classes().class_of(*from), engine.classes().class_of(*to)) else {
                    panic!()
                };
                let pair = reach.ports(a, b);
                assert_eq!(pair.sure.minus(&pair.possible), PortSet::none());
                let protocol = Protocol::ALL[rng.below(3)];
                for port in PORTS.iter().chain(&drawn) {
                    let flow = Flow {
                        from: Endpoint::Pod(*from),
                        to: Endpoint::Pod(*to),
                        l4: L4::Port(protocol, *port),
                        via_service: false,
                    };
                    let verdict = query::evaluated(&engine.decide(&flow));
                    let (sure, possible) =
                        (pair.sure.contains(protocol, *port), pair.possible.contains(protocol, *port));
                    let by_reach = match (sure, possible) {
                        (true, _) => Verdict::Allow,
                        (false, true) => Verdict::Depends,
                        (false, false) => Verdict::Deny,
                    };
                    checked += 1;
                    open += u64::from(verdict == Verdict::Allow);
                    unclear += u64::from(verdict == Verdict::Depends);
                    // Whether a hostNetwork source shares the destination's node is a matter of pods, not of classes.
                    if world.pods[from.index()].host_network && by_reach == Verdict::Depends {
                        continue;
                    }
                    assert_eq!(by_reach, verdict, "seed {seed}: {flow:?}\n{:#?}", engine.decide(&flow));
                }
            }
        }
    }
    assert!(checked > 500_000 && open > checked / 20 && unclear > checked / 100, "{checked} {open} {unclear}");
}

#[test]
fn external_parts_agree_with_deciding_address_by_address() {
    let mut checked = 0u64;
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, &Size::default());
        let engine = Engine::new(&world);
        let addresses: Vec<IpAddr> = (0..60)
            .flat_map(|_| {
                let flow = random::flow(&mut rng, &world, &mood);
                [flow.from, flow.to]
            })
            .filter_map(|end| match end {
                Endpoint::External(ip) => Some(ip),
                Endpoint::Pod(_) | Endpoint::Node(_) => None,
            })
            .collect();
        for pod in (0..world.pods.len()).map(PodId::at) {
            let Some(class) = engine.classes().class_of(pod) else { continue };
            for direction in Direction::BOTH {
                let parts = external(&engine, class, direction, &[Family::V4, Family::V6]);
                for ip in addresses.iter().take(8) {
                    let protocol = Protocol::ALL[rng.below(3)];
                    for port in PORTS {
                        let (me, there) = (Endpoint::Pod(pod), Endpoint::External(*ip));
                        let (from, to) = if direction == Direction::Egress { (me, there) } else { (there, me) };
                        let flow = Flow { from, to, l4: L4::Port(protocol, port), via_service: false };
                        let found: Vec<&ExternalPart> =
                            parts.iter().filter(|p| p.cidrs.iter().any(|c| c.contains(*ip))).collect();
                        assert!(found.len() <= 1, "parts are disjoint");
                        let by_part = match found.first().map(|p| &p.ports) {
                            Some(pair) if pair.sure.contains(protocol, port) => Verdict::Allow,
                            Some(pair) if pair.possible.contains(protocol, port) => Verdict::Depends,
                            _ => Verdict::Deny,
                        };
                        checked += 1;
                        assert_eq!(by_part, half(&engine, &flow, direction), "seed {seed}: {flow:?} {parts:#?}");
                    }
                }
            }
        }
    }
    assert!(checked > 100_000, "{checked}");
}
