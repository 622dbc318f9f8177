//! Time of the programs per packet, by the kernel's own test runs.

use crate::frame::opening;
use crate::lab::{Lab, inside, ip};
use crate::{SCALE, locals, row};
use std::sync::Arc;
use std::time::Duration;
use watertight_datapath::kernel::{Hook, Loader};
use watertight_datapath::{Compiler, Options};
use watertight_model::{L4, Protocol};
use watertight_testkit::synthetic::{self, Scale};

pub(crate) fn run() {
    let lab = Lab::new();
    ip(&format!("-n {0} link add d0 type veth peer name p0 netns {0}", lab.node));
    let device = lab.ifindex("d0");
    for (pods, policies) in [(100, 1), (10_000, 1_000), (16_000, 1_000)] {
        let world = Arc::new(synthetic::world(Scale { pods, policies, ..SCALE }));
        let here = locals(&world, |n| device + u32::try_from(n).unwrap());
        let mut loader = Loader::open(&lab.dir()).unwrap();
        let mut compiler = Compiler::new(Options::default());
        loader.update(compiler.compile(&world, &here).unwrap()).unwrap();
        let size = format!("{pods} pods x {policies} policies");
        let own = world.pods[0].ips[0];
        let peer = world.pods[pods / 2].ips[0];
        inside(&lab.node, || {
            let frame = opening(own, peer, L4::Port(Protocol::Udp, 8080), 4000);
            let established: Vec<Duration> =
                (0..20).map(|_| loader.time(Hook::Ingress, &frame, device, 0, 20_000).unwrap()).collect();
            row(&format!("{size}: program, established"), established);
            // An answer to nothing is judged each time and never remembered: what a new flow costs, less its insertion.
            let mut middle = opening(peer, own, L4::Port(Protocol::Tcp, 8080), 4000);
            middle[14 + 33] = 0x10;
            let judged: Vec<Duration> =
                (0..20).map(|_| loader.time(Hook::Egress, &middle, device, 1, 20_000).unwrap()).collect();
            row(&format!("{size}: program, judged"), judged);
        });
        loader.uninstall().unwrap();
    }
}
