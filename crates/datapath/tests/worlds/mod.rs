//! Random worlds as one node sees them: packets that open flows, and what the oracle says about them. Shared by the test of the
//! walker and that of the kernel.

use std::net::IpAddr;
use watertight_datapath::walk::{Outcome, Packet};
use watertight_datapath::{Image, Local, Options};
use watertight_model::{DependsOn, Direction, Endpoint, Flow, Half, NodeId, PodId, Verdict, World};
use watertight_oracle::decide_traced;
use watertight_testkit::describe::describe;
use watertight_testkit::random::{self, Mood, Rng, Size};

/// A world, its pods as those of one node, and its image.
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) world: World,
    pub(crate) mood: Option<Mood>,
    pub(crate) rng: Rng,
    pub(crate) locals: Vec<Local>,
    pub(crate) image: Image,
    pub(crate) options: Options,
}

/// A packet and what the oracle says: `None` where the answer lies in which of its addresses an endpoint uses.
pub(crate) struct Question {
    pub(crate) packet: Packet,
    pub(crate) flow: Flow,
    pub(crate) half: Half,
    pub(crate) expected: Option<bool>,
}

/// Draws a world. `devices` are given to its pods in turn; pods beyond them are remote.
pub(crate) fn scene(seed: u64, devices: &[u32]) -> Scene {
    let mut rng = Rng::new(seed);
    let (mut world, mood) = random::world(&mut rng, &Size::default());
    // Policies that are not evaluated change nothing here; the oracle would answer `depends` for all of them.
    world.foreign_policies.clear();
    let mut locals = Vec::new();
    for (i, pod) in world.pods.iter().enumerate() {
        let there = !pod.finished && !pod.host_network && !pod.ips.is_empty();
        if let Some(ifindex) = devices.get(locals.len()).filter(|_| there) {
            locals.push(Local { pod: PodId::at(i), ifindex: *ifindex, mac: None, addresses: Vec::new() });
        }
    }
    let options = Options { shadow: false, other_protocols: rng.chance(80) };
    let image = Image::compile(&world, &locals, &options).unwrap();
    Scene { seed, world, mood: Some(mood), rng, locals, image, options }
}

impl Scene {
    /// Packets for a random flow: each half that belongs to a pod of this node, in each family that both sides have.
    pub(crate) fn questions(&mut self) -> Vec<Question> {
        let Some(mood) = &self.mood else { return Vec::new() };
        let flow = random::flow(&mut self.rng, &self.world, mood);
        self.ask(&flow)
    }

    pub(crate) fn ask(&self, flow: &Flow) -> Vec<Question> {
        let mut out = Vec::new();
        // A pod and itself without a Service never leaves the pod.
        if flow.from == flow.to && !flow.via_service {
            return out;
        }
        let verdict = decide_traced(&self.world, flow).verdict;
        for direction in Direction::BOTH {
            let (subject, other, half) = match direction {
                Direction::Egress => (flow.from, flow.to, &verdict.egress),
                Direction::Ingress => (flow.to, flow.from, &verdict.ingress),
            };
            let Endpoint::Pod(subject) = subject else { continue };
            let Some(local) = self.locals.iter().find(|l| l.pod == subject) else { continue };
            for own in &self.world.pods[subject.index()].ips {
                if self.image.addresses[own].ifindex != Some(local.ifindex) {
                    continue; // contested
                }
                for (peer, from_this_node) in self.addresses(subject, other, direction) {
                    if peer.is_ipv4() != own.is_ipv4() {
                        continue;
                    }
                    let (src, dst) = match direction {
                        Direction::Egress => (*own, peer),
                        Direction::Ingress => (peer, *own),
                    };
                    let packet = Packet { ifindex: local.ifindex, direction, src, dst, l4: flow.l4, from_this_node };
                    let expected = self.expected(half);
                    out.push(Question { packet, flow: *flow, half: half.clone(), expected });
                }
            }
        }
        out
    }

    /// Addresses under which the other side appears, and whether it is a process of the subject's node.
    fn addresses(&self, subject: PodId, other: Endpoint, direction: Direction) -> Vec<(IpAddr, bool)> {
        let world = &self.world;
        let home = world.pods[subject.index()].node;
        let of_node = |node: Option<NodeId>, ips: &[IpAddr]| -> Vec<(IpAddr, bool)> {
            // Where a pod's node is not known, neither is whether this is it.
            if direction == Direction::Ingress && (node.is_none() || home.is_none()) {
                return Vec::new();
            }
            let here = direction == Direction::Ingress && node == home;
            let known = |ip: &IpAddr| {
                let nodes_own = node.is_some_and(|n| world.nodes[n.index()].addresses.contains(ip));
                let first = world.nodes.iter().position(|n| n.addresses.contains(ip)).map(NodeId::at);
                let pods = world.pods.iter().any(|p| !p.finished && !p.host_network && p.ips.contains(ip));
                nodes_own && first == node && !pods
            };
            ips.iter().filter(|ip| known(ip)).map(|ip| (*ip, here)).collect()
        };
        // Toward a node, the names of its hostNetwork pods' ports count: with several pods, or none asked for, for whom is open.
        let neighbours = |node: Option<NodeId>| {
            world.pods.iter().filter(|p| p.host_network && !p.finished && p.node == node).count()
        };
        let several = |node, most| direction == Direction::Egress && neighbours(node) > most;
        match other {
            Endpoint::Node(node) if several(Some(node), 0) => Vec::new(),
            Endpoint::Pod(id) if world.pods[id.index()].host_network && several(world.pods[id.index()].node, 1) => {
                Vec::new()
            }
            Endpoint::Node(node) => of_node(Some(node), &world.nodes[node.index()].addresses),
            Endpoint::External(ip) if self.image.addresses.contains_key(&ip) => Vec::new(),
            Endpoint::External(ip) => vec![(ip, false)],
            Endpoint::Pod(id) => {
                let pod = &world.pods[id.index()];
                let mine = |ip: &IpAddr| {
                    let claims = world.pods.iter().filter(|p| !p.finished && !p.host_network && p.ips.contains(ip));
                    claims.count() == 1
                };
                match (pod.finished, pod.host_network) {
                    (true, _) => Vec::new(),
                    (false, true) => of_node(pod.node, &pod.ips),
                    (false, false) => pod.ips.iter().filter(|ip| mine(ip)).map(|ip| (*ip, false)).collect(),
                }
            }
        }
    }

    /// What must come out.
    fn expected(&self, half: &Half) -> Option<bool> {
        let of_address = |on: &DependsOn| match on {
            DependsOn::PodAddress(_) | DependsOn::NodeAddress(_) | DependsOn::HostNetwork(_) => true,
            DependsOn::NamespaceLabels(_)
            | DependsOn::NodeOfPod(_)
            | DependsOn::UnreadableSelector
            | DependsOn::MappedBlock
            | DependsOn::OtherProtocol
            | DependsOn::DomainName
            | DependsOn::ForeignPolicy(_) => false,
        };
        match half.verdict {
            Verdict::Allow => Some(true),
            Verdict::Deny => Some(false),
            Verdict::Depends if half.depends_on.iter().any(of_address) => None,
            Verdict::Depends => match half.depends_on.contains(&DependsOn::OtherProtocol) {
                false => Some(false),
                // The oracle may name causes beside it that change nothing; then either may come out.
                true if half.depends_on.len() > 1 => None,
                true => Some(self.options.other_protocols),
            },
        }
    }

    /// True if an outcome is what must come out.
    pub(crate) fn holds(&self, question: &Question, outcome: &Outcome) -> bool {
        // An address where pods live and none is known: closed where a cluster tier speaks of pods.
        if let Outcome::Decided(step) = outcome
            && self.image.answers[step.answer as usize].depends_on == ["podAddress"]
            && !step.allow
            && [question.flow.from, question.flow.to].iter().any(|e| matches!(e, Endpoint::External(_)))
        {
            return true;
        }
        question.expected.is_none_or(|expected| expected == outcome.passes())
    }

    pub(crate) fn tell(&self, question: &Question, outcome: &Outcome) -> String {
        let answer = match outcome {
            Outcome::Decided(step) => self.image.answers[step.answer as usize].text(),
            Outcome::Local | Outcome::Dropped(_) | Outcome::Deferred => String::new(),
        };
        format!(
            "seed {}\n{}\n{:?}\noracle: {:?}\noutcome: {outcome:?} {answer}",
            self.seed,
            describe(&self.world, &question.flow),
            question.packet,
            question.half
        )
    }
}
