//! Random worlds in the kernel: the programs, by test runs, against the walker and the oracle.

use crate::frame::opening;
use crate::lab::{Lab, can_run, inside, ip, say};
use crate::worlds::scene;
use watertight_datapath::kernel::{Hook, Loader};
use watertight_datapath::walk::walk;
use watertight_model::Direction;

/// Packets to compare. Together with those of the walker's own test more than a million.
fn comparisons() -> u64 {
    if std::env::var_os("WATERTIGHT_SOAK").is_some() { 10_000_000 } else { 200_000 }
}

#[test]
fn the_kernel_agrees_with_the_walker_and_the_oracle() {
    if !can_run("the_kernel_agrees_with_the_walker_and_the_oracle") {
        return;
    }
    let lab = Lab::new();
    let devices: Vec<u32> = (0..9)
        .map(|i| {
            ip(&format!("-n {0} link add d{i} type veth peer name p{i} netns {0}", lab.node));
            lab.ifindex(&format!("d{i}"))
        })
        .collect();
    let mut loader = Loader::open(&lab.dir()).unwrap();
    let (mut asked, mut denied, mut worlds) = (0u64, 0u64, 0u64);
    let mut sport = 1024u16;
    inside(&lab.node, || {
        for seed in 0..u64::MAX {
            if asked >= comparisons() {
                break;
            }
            let mut scene = scene(seed, &devices);
            loader.apply(&scene.image).unwrap();
            worlds += 1;
            for _ in 0..400 {
                for question in scene.questions() {
                    // A flow that is known is another test's subject.
                    sport = if sport == u16::MAX { 1024 } else { sport + 1 };
                    let packet = &question.packet;
                    let frame = opening(packet.src, packet.dst, packet.l4, sport);
                    let (hook, brought_by) = match packet.direction {
                        Direction::Egress => (Hook::Ingress, 0),
                        Direction::Ingress => (Hook::Egress, u32::from(!packet.from_this_node)),
                    };
                    let passes = loader.test_run(hook, &frame, packet.ifindex, brought_by).unwrap();
                    let outcome = walk(&scene.image, packet, false);
                    assert_eq!(passes, outcome.passes(), "{}", scene.tell(&question, &outcome));
                    assert!(scene.holds(&question, &outcome), "{}", scene.tell(&question, &outcome));
                    asked += 1;
                    denied += u64::from(!passes);
                }
            }
            for device in &devices {
                loader.detach(*device).unwrap();
            }
        }
    });
    assert!(denied * 10 > asked, "{denied} of {asked}");
    say(&format!("{asked} packets over {worlds} worlds in the kernel, {denied} denied"));
}
