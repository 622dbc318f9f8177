//! Time of the programs per packet, by the kernel's own test runs.

use crate::frame::opening;
use crate::lab::{Lab, inside, ip};
use crate::{SCALE, locals, row};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use watertight_datapath::kernel::{Hook, Loader};
use watertight_datapath::walk::{Outcome, Packet, walk};
use watertight_datapath::{Compiler, Image, Options};
use watertight_model::{Direction, L4, Protocol, World};
use watertight_testkit::synthetic::{self, Scale};

/// A pod here whose egress is restricted, and a peer and port that it may use: device, addresses, port.
fn allowed(world: &World, image: &Image) -> Option<(u32, IpAddr, IpAddr, u16)> {
    image.slots.iter().filter(|(_, slot)| slot.egress_restricted).find_map(|(ifindex, _)| {
        let (own, _) = image.addresses.iter().find(|(_, o)| o.ifindex == Some(*ifindex))?;
        let found = |peer: &IpAddr, port: u16| {
            let l4 = L4::Port(Protocol::Tcp, port);
            let direction = Direction::Egress;
            let packet = Packet { ifindex: *ifindex, direction, src: *own, dst: *peer, l4, from_this_node: false };
            matches!(walk(image, &packet, false), Outcome::Decided(step) if step.allow)
        };
        let peers = world.pods.iter().flat_map(|p| &p.ips).filter(|peer| *peer != own);
        peers
            .flat_map(|peer| [443, 5432, 8080, 9090].map(|port| (*peer, port)))
            .find_map(|(peer, port)| found(&peer, port).then_some((*ifindex, *own, peer, port)))
    })
}

pub(crate) fn run() {
    let lab = Lab::new();
    ip(&format!("-n {0} link add d0 type veth peer name p0 netns {0}", lab.node));
    let device = lab.ifindex("d0");
    for (pods, policies) in [(1_000, 100), (10_000, 1_000), (16_000, 1_000)] {
        let world = Arc::new(synthetic::world(Scale { pods, policies, ..SCALE }));
        let size = format!("{pods} pods x {policies} policies");
        // Whoever is found by an image in which every pod has a device of its own gets the one that exists.
        let mut compiler = Compiler::new(Options::default());
        let all = locals(&world, |n| device + u32::try_from(n).unwrap());
        let found = allowed(&world, compiler.compile(&world, &all).unwrap().image());
        let Some((chosen, own, peer, port)) = found else {
            println!("{size}: no restricted pod here may reach anybody");
            continue;
        };
        let mut here = all;
        here.iter_mut().for_each(|l| match l.ifindex {
            i if i == chosen => l.ifindex = device,
            i if i == device => l.ifindex = chosen,
            _ => {}
        });
        let mut loader = Loader::open(&lab.dir()).unwrap();
        loader.update(compiler.compile(&world, &here).unwrap()).unwrap();
        inside(&lab.node, || {
            let frame = |sport: u16| opening(own, peer, L4::Port(Protocol::Tcp, port), sport);
            assert!(loader.test_run(Hook::Ingress, &frame(4000), device, 0).unwrap(), "the chosen flow is denied");
            let mut established = frame(4000);
            established[14 + 33] = 0x10;
            let times: Vec<Duration> =
                (0..20).map(|_| loader.time(Hook::Ingress, &established, device, 0, 20_000).unwrap()).collect();
            row(&format!("{size}: program, established flow"), times);
            // Each is a flow of its own: parsed, judged, remembered, and its edge counted.
            let times: Vec<Duration> = (5_000..35_000u16)
                .map(|sport| loader.time(Hook::Ingress, &frame(sport), device, 0, 1).unwrap())
                .collect();
            row(&format!("{size}: program, new flow with its insertion, one run each"), times);
            // An answer to nothing is judged each time and never remembered.
            let mut middle = opening(peer, own, L4::Port(Protocol::Tcp, port), 4001);
            middle[14 + 33] = 0x10;
            let times: Vec<Duration> =
                (0..20).map(|_| loader.time(Hook::Egress, &middle, device, 1, 20_000).unwrap()).collect();
            row(&format!("{size}: program, judged, nothing remembered"), times);
        });
        loader.uninstall().unwrap();
    }
}
