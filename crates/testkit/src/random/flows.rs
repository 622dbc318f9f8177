//! Flows: every pair of kinds of endpoint, ports where rules begin and end.

use super::vocabulary::{EXTERNAL, PORTS};
use super::{Mood, Rng, things::draw_protocol};
use crate::build::ip;
use watertight_model::{Endpoint, Flow, L4, NodeId, PodId, World};

/// A flow between endpoints of this world.
pub fn flow(rng: &mut Rng, world: &World, mood: &Mood) -> Flow {
    let from = endpoint(rng, world);
    let itself = rng.chance(4);
    let mut to = if itself { from } else { endpoint(rng, world) };
    for _ in 0..3 {
        if to == from && !itself {
            to = endpoint(rng, world); // in a world of few pods most pairs would be of one
        }
    }
    if mood.domain_names && rng.chance(20) {
        to = Endpoint::External(ip(rng.pick::<&str>(&EXTERNAL))); // the only peers that names can be
    }
    let l4 = if mood.other_protocols && rng.chance(15) {
        L4::Other
    } else {
        let declared: Vec<_> = match to {
            Endpoint::Pod(id) => world.pods[id.index()].ports.iter().map(|p| (p.protocol, p.port)).collect(),
            Endpoint::Node(_) | Endpoint::External(_) => Vec::new(),
        };
        let (protocol, port) = if !declared.is_empty() && rng.chance(50) {
            *rng.pick(&declared)
        } else {
            (draw_protocol(rng), *rng.pick(&PORTS))
        };
        L4::Port(protocol, port)
    };
    Flow { from, to, l4, via_service: rng.chance(15) }
}

fn endpoint(rng: &mut Rng, world: &World) -> Endpoint {
    match rng.below(12) {
        0 if !world.nodes.is_empty() => Endpoint::Node(NodeId::at(rng.below(world.nodes.len()))),
        1 => Endpoint::External(ip(rng.pick::<&str>(&EXTERNAL))),
        _ if world.pods.is_empty() => Endpoint::External(ip(rng.pick::<&str>(&EXTERNAL))),
        _ => Endpoint::Pod(PodId::at(rng.below(world.pods.len()))),
    }
}
