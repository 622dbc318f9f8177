//! The compiled image against the oracle: random worlds, the literate cases, and what must hold of every image.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod worlds;

use std::cell::RefCell;
use std::path::Path;
use watertight_datapath::plan::{State, Write, plan};
use watertight_datapath::walk::{Outcome, Packet, walk};
use watertight_datapath::{Drop, Image, Local, Options};
use watertight_model::{Direction, Flow, FlowVerdict, L4, PodId, Protocol, Reason, World};
use watertight_testkit::WorldBuilder;
use watertight_testkit::case::{Corpus, Judge};
use watertight_testkit::random::Rng;
use watertight_testkit::rules::{accept, admin, deny, policy, rule};
use worlds::{Scene, scene};

fn comparisons() -> u64 {
    if std::env::var_os("WATERTIGHT_SOAK").is_some() { 100_000_000 } else { 1_000_000 }
}

const DEVICES: [u32; 9] = [11, 12, 13, 14, 15, 16, 17, 18, 19];

#[test]
fn the_walker_agrees_with_the_oracle() {
    let (mut asked, mut definite, mut denied, mut worlds) = (0u64, 0u64, 0u64, 0u64);
    for seed in 0..u64::MAX {
        if asked >= comparisons() {
            break;
        }
        let mut scene = scene(seed, &DEVICES);
        worlds += 1;
        for _ in 0..300 {
            for question in scene.questions() {
                let outcome = walk(&scene.image, &question.packet, true);
                assert!(scene.holds(&question, &outcome), "{}", scene.tell(&question, &outcome));
                asked += 1;
                definite += u64::from(question.expected.is_some());
                denied += u64::from(!outcome.passes());
            }
        }
    }
    assert!(definite * 100 > asked * 90, "{definite} of {asked} were compared strictly");
    assert!(denied * 5 > asked && denied * 5 < asked * 4, "{denied} of {asked} denied: the worlds are lopsided");
    println!("{asked} packets over {worlds} worlds, {definite} with a definite answer, {denied} denied");
}

/// A world that is given, every pod of it on a device of its own.
fn given(world: World) -> Scene {
    let there = |p: &&(usize, &watertight_model::Pod)| !p.1.finished && !p.1.host_network && !p.1.ips.is_empty();
    let pods: Vec<_> = world.pods.iter().enumerate().collect();
    let local = |(i, _): &(usize, _)| Local {
        pod: PodId::at(*i),
        ifindex: PodId::at(100 + i).0,
        mac: None,
        addresses: Vec::new(),
    };
    let locals: Vec<Local> = pods.iter().filter(there).map(local).collect();
    let options = Options::default();
    let image = Image::compile(&world, &locals, &options).unwrap();
    Scene { seed: 0, world, mood: None, rng: Rng::new(0), locals, image, options }
}

/// Answers as the oracle does, and holds the image against it on the way.
struct Beside(RefCell<(u64, Vec<String>)>);

impl Judge for Beside {
    fn decide(&self, world: &World, flow: &Flow) -> FlowVerdict {
        let mut world = world.clone();
        world.foreign_policies.clear();
        let scene = given(world);
        for question in scene.ask(flow) {
            let outcome = walk(&scene.image, &question.packet, true);
            let (asked, wrong) = &mut *self.0.borrow_mut();
            *asked += 1;
            if !scene.holds(&question, &outcome) {
                wrong.push(scene.tell(&question, &outcome));
            }
        }
        watertight_oracle::decide(&scene.world, flow)
    }
}

#[test]
fn the_walker_agrees_with_the_literate_cases() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases");
    let corpus = Corpus::load(&cases).unwrap_or_else(|problems| panic!("{problems:?}"));
    let judge = Beside(RefCell::new((0, Vec::new())));
    let _ = corpus.run(&judge);
    let (asked, wrong) = judge.0.into_inner();
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong[..wrong.len().min(3)].join("\n\n"));
    assert!(asked > 1_000, "only {asked} packets came of the cases");
}

/// I9: the order of objects cannot be seen, and the same input gives the same image.
#[test]
fn images_are_deterministic() {
    for seed in 0..300 {
        let first = scene(seed, &DEVICES);
        let mut locals = first.locals.clone();
        Rng::new(seed).shuffle(&mut locals);
        let again = Image::compile(&first.world.clone(), &locals, &first.options).unwrap();
        assert_eq!(first.image, again, "seed {seed}");
    }
}

/// Nothing points at what is not there, and a state that was reached in steps is sound at each.
#[test]
fn plans_write_a_referent_before_its_reference() {
    let mut state = State::default();
    let mut writes = 0;
    for seed in 0..600 {
        let scene = scene(seed, &DEVICES[..1 + usize::try_from(seed % 9).unwrap()]);
        let made = plan(&state, &scene.image).unwrap();
        let visible = state.visible().clone();
        let (mut sets, mut steps) = (state.sets.clone(), vec![false; 1 << 20]);
        for (first, count) in state.tables.keys() {
            steps[*first as usize..(first + count) as usize].fill(true);
        }
        for write in &made.writes {
            match write {
                Write::Step(at, _) => steps[*at as usize] = true,
                Write::Entry(key, value) => {
                    let (set, peer) = watertight_datapath::abi::entry_of(key);
                    let (first, count) = watertight_datapath::abi::table_of(value);
                    assert!(count > 0 && (first..first + count).all(|i| steps[i as usize]), "seed {seed}");
                    sets.entry(set).or_default().insert(peer, *value);
                }
                Write::NoEntry(key) => {
                    let (set, peer) = watertight_datapath::abi::entry_of(key);
                    sets.get_mut(&set).unwrap().remove(&peer);
                    // What packets see is not taken away under them.
                    for value in visible.slots.values() {
                        let (egress, ingress) = watertight_datapath::abi::sets_of(value);
                        assert!(set != egress && set != ingress, "seed {seed}: a visible set was removed");
                    }
                }
                Write::Slot(key, value) => {
                    assert!(!visible.slots.contains_key(key), "seed {seed}: a visible slot was written");
                    let (egress, ingress) = watertight_datapath::abi::sets_of(value);
                    for set in [egress, ingress] {
                        assert!(set != 0 && sets[&set].contains_key(&u32::MAX), "seed {seed}: set {set} is not whole");
                    }
                }
                Write::Address(key, _) => assert!(!visible.addresses.contains_key(key), "seed {seed}"),
                Write::Prefix(key, _) => assert!(!visible.prefixes.contains_key(key), "seed {seed}"),
                Write::NoAddress(key) => assert!(!visible.addresses.contains_key(key), "seed {seed}"),
                Write::NoPrefix(key) => assert!(!visible.prefixes.contains_key(key), "seed {seed}"),
                Write::NoSlot(key) => assert!(!visible.slots.contains_key(key), "seed {seed}"),
                Write::Answer(id, _) => assert_ne!(*id, 0),
            }
            writes += 1;
        }
        // The other bank follows, then what neither needs goes, then there is nothing left to do.
        let mut settled = made.after.clone();
        for _ in 0..2 {
            settled = plan(&settled, &scene.image).unwrap().after;
        }
        let again = plan(&settled, &scene.image).unwrap();
        assert!(again.writes.is_empty(), "seed {seed}: {:?}", again.writes);
        state = made.after;
    }
    assert!(writes > 10_000, "{writes}");
}

fn shop() -> WorldBuilder {
    WorldBuilder::new()
        .namespace("shop", &[])
        .node("n1", &[], &["10.9.0.1"])
        .pod("shop/db", &[("app", "db")])
        .on("n1")
        .ip("10.1.0.2")
        .pod("shop/web", &[("app", "web")])
        .on("n1")
        .ip("10.1.0.3")
}

fn compile(world: &World, options: &Options) -> Image {
    let local = |(i, ifindex)| Local { pod: PodId::at(i), ifindex, mac: None, addresses: Vec::new() };
    let locals: Vec<Local> = [(0, 11), (1, 12)].into_iter().map(local).collect();
    Image::compile(world, &locals, options).unwrap()
}

fn to_db(src: &str, port: u16) -> Packet {
    let (src, dst) = (src.parse().unwrap(), "10.1.0.2".parse().unwrap());
    let l4 = L4::Port(Protocol::Tcp, port);
    Packet { ifindex: 11, direction: Direction::Ingress, src, dst, l4, from_this_node: false }
}

fn step(outcome: Outcome) -> watertight_datapath::image::PortStep {
    match outcome {
        Outcome::Decided(step) => step,
        Outcome::Local | Outcome::Dropped(_) | Outcome::Deferred => panic!("{outcome:?}"),
    }
}

/// Three nested blocks with other ports: the rules of every prefix around an address apply (row 86).
#[test]
fn nested_blocks_inherit() {
    let world = shop()
        .policy(
            policy("shop/db")
                .select(&[("app", "db")])
                .ingress(rule().block("192.0.0.0/8", &[]).tcp(1))
                .ingress(rule().block("192.0.2.0/24", &[]).tcp(2))
                .ingress(rule().block("192.0.2.128/25", &["192.0.2.200/32"]).tcp(3)),
        )
        .build();
    let image = compile(&world, &Options::default());
    for (src, open) in [
        ("192.1.0.1", &[1][..]),
        ("192.0.2.1", &[1, 2]),
        ("192.0.2.129", &[1, 2, 3]),
        ("192.0.2.200", &[1, 2]),
        ("193.0.0.1", &[]),
    ] {
        for port in 1..=3 {
            let outcome = walk(&image, &to_db(src, port), true);
            assert_eq!(outcome.passes(), open.contains(&port), "{src} {port}");
            let reason = image.answers[step(outcome).answer as usize].reason;
            let expected = if open.contains(&port) { Reason::PolicyAllow } else { Reason::PolicyDeny };
            assert_eq!(reason, expected);
        }
    }
}

/// Shadow: enforced and shadow verdict from one lookup, each with its own deciding rule.
#[test]
fn a_policy_in_shadow_denies_nothing_and_says_what_it_would() {
    let world = shop().policy(policy("shop/db").select(&[("app", "db")]).types(&[Direction::Ingress])).build();
    let enforced = step(walk(&compile(&world, &Options::default()), &to_db("10.1.0.3", 80), true));
    assert!(!enforced.allow && !enforced.shadow_allow);
    let image = compile(&world, &Options { shadow: true, ..Options::default() });
    let shadowed = step(walk(&image, &to_db("10.1.0.3", 80), true));
    assert!(shadowed.allow && !shadowed.shadow_allow);
    assert_eq!(image.answers[shadowed.answer as usize].text(), "defaultAllow");
    assert_eq!(image.answers[shadowed.shadow_answer as usize].text(), "policyDeny NetworkPolicy shop/db ingress");
    assert!(!image.slots[&11].ingress_restricted, "doubt is closed by enforced policies only");
    // The annotation of one policy counts for that policy.
    let mut annotated = world;
    annotated.policies[0].annotations = watertight_model::Labels::of(&[("watertight.dev/mode", "shadow")]);
    assert!(step(walk(&compile(&annotated, &Options::default()), &to_db("10.1.0.3", 80), true)).allow);
    annotated.policies[0].annotations = watertight_model::Labels::of(&[("watertight.dev/mode", "sometimes")]);
    let image = compile(&annotated, &Options::default());
    assert!(!step(walk(&image, &to_db("10.1.0.3", 80), true)).allow, "a mode that is not known is enforced");
    assert_eq!(image.notes.len(), 1);
}

/// Unknown devices, forged sources, and the pod's own node.
#[test]
fn what_is_no_policy_is_said_so() {
    let world = shop().policy(policy("shop/db").select(&[("app", "db")]).types(&[Direction::Ingress])).build();
    let image = compile(&world, &Options::default());
    let packet = to_db("10.1.0.3", 80);
    assert_eq!(walk(&image, &Packet { ifindex: 99, ..packet }, true), Outcome::Dropped(Drop::UnknownEndpoint));
    assert_eq!(walk(&image, &Packet { from_this_node: true, ..packet }, true), Outcome::Local);
    assert!(!walk(&image, &to_db("10.9.0.1", 80), true).passes(), "the node's address alone opens nothing (P32)");
    let forged = Packet { direction: Direction::Egress, src: "10.1.0.3".parse().unwrap(), ..packet };
    assert_eq!(walk(&image, &forged, true), Outcome::Dropped(Drop::SpoofedSource));
}

/// A pod that is not known yet may be one that a cluster tier denies by label: closed where pods live.
#[test]
fn an_unknown_address_among_pods_is_closed_under_tiers() {
    use watertight_model::Selector;
    let base = shop().pod_cidr("10.1.0.0/16");
    let everything = Selector::everything;
    let tier = admin("deny-web", 1)
        .subject(everything(), Selector::of(&[("app", "db")]))
        .ingress(deny().pods(everything(), Selector::of(&[("app", "web")])));
    let image = compile(&base.clone().build(), &Options::default());
    assert!(walk(&image, &to_db("10.1.0.77", 80), true).passes(), "nobody denies anything");
    let image = compile(&base.clone().cluster_policy(tier).build(), &Options::default());
    assert!(!walk(&image, &to_db("10.1.0.77", 80), true).passes());
    assert!(walk(&image, &to_db("192.0.2.1", 80), true).passes(), "no pod lives there");
    let only_networks =
        admin("nets", 1).subject(everything(), everything()).ingress(accept().networks(&["10.0.0.0/8"]));
    let image = compile(&base.cluster_policy(only_networks).build(), &Options::default());
    assert!(walk(&image, &to_db("10.1.0.77", 80), true).passes(), "blocks are exact for an address");
}

/// A pod that is starting has no address yet. It says nothing about those that have one.
#[test]
fn a_pod_without_an_address_changes_nothing_for_others() {
    use watertight_model::Selector;
    let everything = Selector::everything;
    let tier = admin("nets", 1).subject(everything(), everything()).ingress(deny().networks(&["192.0.2.0/24"]));
    // Sorted before the others, so that it is asked first if it is asked at all.
    let starting = WorldBuilder::new().namespace("a", &[]).pod("a/starting", &[("app", "db")]).on("n1");
    let mut world = shop().cluster_policy(tier).build();
    let first = starting.node("n1", &[], &["10.9.0.1"]).build();
    world.namespaces.insert(0, first.namespaces[0].clone());
    world.pods.iter_mut().for_each(|p| p.namespace.0 += 1);
    world.pods.insert(0, first.pods[0].clone());
    let local = Local { pod: PodId::at(1), ifindex: 11, mac: None, addresses: Vec::new() };
    let without = Local { pod: PodId::at(0), ifindex: 10, mac: None, addresses: Vec::new() };
    let image = Image::compile(&world, &[local, without], &Options::default()).unwrap();
    assert!(walk(&image, &to_db("198.51.100.1", 80), true).passes());
    assert!(!walk(&image, &to_db("192.0.2.1", 80), true).passes());
    assert!(image.slots.contains_key(&10), "it is isolated as any other, addresses or not");
}

/// Where no policy names a block, a pod that is starting is of one class with its replica that runs. The replica is still named:
/// what a tier denies is denied.
#[test]
fn a_starting_replica_does_not_hide_the_one_that_runs() {
    use watertight_model::Selector;
    let everything = Selector::everything;
    let web = || Selector::of(&[("app", "web")]);
    let denied = admin("web", 1).subject(everything(), everything()).ingress(deny().pods(everything(), web()));
    let world = WorldBuilder::new()
        .pod("shop/a-starting", &[("app", "web")])
        .pod("shop/b-running", &[("app", "web")])
        .ip("10.0.0.7")
        .pod("shop/db", &[("app", "db")])
        .ip("10.0.0.9");
    let at = |i: usize, ifindex| Local { pod: PodId::at(i), ifindex, mac: None, addresses: Vec::new() };
    for (world, passes) in [(world.clone().cluster_policy(denied).build(), false), (world.build(), true)] {
        // Two pods here: the one that is starting and the database.
        let image = Image::compile(&world, &[at(0, 10), at(2, 11)], &Options::default()).unwrap();
        let packet = Packet {
            ifindex: 11,
            direction: Direction::Ingress,
            src: "10.0.0.7".parse().unwrap(),
            dst: "10.0.0.9".parse().unwrap(),
            l4: L4::Port(Protocol::Tcp, 80),
            from_this_node: false,
        };
        let step = step(walk(&image, &packet, true));
        let reason = image.answers[step.answer as usize].reason;
        assert_eq!(
            (step.allow, reason),
            if passes { (true, Reason::DefaultAllow) } else { (false, Reason::AdminDeny) }
        );
    }
}

/// An address is its owner's: a pod on its way out that still claims it does not get it back for its device.
#[test]
fn an_address_that_moved_on_is_not_that_of_the_old_pods_device() {
    let world =
        WorldBuilder::new().pod("shop/new", &[]).ip("10.0.0.7").pod("shop/old", &[]).ip("10.0.0.7").terminating();
    let at = |i: usize, ifindex| Local { pod: PodId::at(i), ifindex, mac: None, addresses: Vec::new() };
    let world = world.build();
    let device = |here: &[Local]| {
        let image = Image::compile(&world, here, &Options::default()).unwrap();
        image.addresses[&"10.0.0.7".parse::<std::net::IpAddr>().unwrap()].ifindex
    };
    assert_eq!(device(&[at(1, 11)]), None);
    assert_eq!(device(&[at(1, 11), at(0, 10)]), Some(10));
}

/// Over a bound: refused, with who is to blame.
#[test]
fn too_many_blocks_are_refused_with_the_policy_that_names_them() {
    let mut wide = rule();
    for i in 0..70_000u32 {
        let [_, b, c, d] = (i * 4).to_be_bytes();
        wide = wide.block(&format!("11.{b}.{c}.{d}/30"), &[]);
    }
    let world = shop().policy(policy("shop/wide").select(&[("app", "db")]).ingress(wide)).build();
    let refused = Image::compile(&world, &[], &Options::default()).unwrap_err();
    assert_eq!((refused.what, refused.object.as_str()), ("address blocks", "NetworkPolicy shop/wide"));
}
