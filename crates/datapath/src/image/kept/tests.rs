use super::*;
use crate::abi::{self, Bank};
use crate::plan::{Names, State, advance, level, level_all, plan};
use std::collections::BTreeMap;
use watertight_model::{PodId, World};
use watertight_testkit::edits;
use watertight_testkit::random::{self, Rng, Size};

/// From, enforced, with shadow, answers by hash, denied by a tier: what does not depend on numbers.
type Ports = Vec<(u32, bool, bool, u64, u64, bool)>;

/// What an image or a bank says, without its numbers.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Contested, device, Service.
    addresses: BTreeMap<String, (bool, u32, bool)>,
    /// Restrictions and MAC by device.
    slots: BTreeMap<u32, (u32, [u8; 6])>,
    /// By device, direction (egress: true) and who is there.
    ports: BTreeMap<(u32, bool, String), Ports>,
}

fn said_by_image(image: &Image) -> Said {
    let mut out = Said::default();
    let ports = |set: u32, identity: Identity| -> Ports {
        let set = &image.sets[set as usize];
        let at = set.entries.binary_search_by_key(&identity, |(peer, _)| *peer);
        let table = at.map_or(set.default, |i| set.entries[i].1);
        let hash = |answer: u32| image.answers[answer as usize].hash();
        let steps = image.tables[table as usize].steps().iter();
        steps.map(|s| (s.from.0, s.allow, s.shadow_allow, hash(s.answer), hash(s.shadow_answer), s.tier_deny)).collect()
    };
    let peers = image.addresses.iter().map(|(ip, o)| (ip.to_string(), o.identity));
    let peers: Vec<_> = peers.chain(image.prefixes.iter().map(|(c, i)| (c.to_string(), Some(*i)))).collect();
    for (ip, o) in &image.addresses {
        out.addresses.insert(ip.to_string(), (o.identity.is_none(), o.ifindex.unwrap_or(0), o.service));
    }
    for (ifindex, slot) in &image.slots {
        let flags = u32::from(slot.egress_restricted) * abi::SLOT_EGRESS
            + u32::from(slot.ingress_restricted) * abi::SLOT_INGRESS;
        out.slots.insert(*ifindex, (flags, slot.mac.unwrap_or_default()));
        for (peer, identity) in &peers {
            let Some(identity) = identity else { continue };
            out.ports.insert((*ifindex, true, peer.clone()), ports(slot.egress, *identity));
            out.ports.insert((*ifindex, false, peer.clone()), ports(slot.ingress, *identity));
        }
    }
    out
}

/// The same from what the kernel has, in the bank that `epoch` makes visible. `image` lends the addresses to ask about.
fn said_by_state(state: &State, image: &Image, epoch: u64) -> Said {
    let bank = Bank::of(epoch);
    let half = &state.banks[bank.number() as usize];
    assert_eq!(half.addresses.len(), image.addresses.len());
    assert_eq!(half.prefixes.len(), image.prefixes.len());
    assert_eq!(half.slots.len(), image.slots.len());
    let word = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let ports = |set: u32, identity: u32| -> Ports {
        let entries = &state.sets[&set];
        let table = entries.get(&identity).unwrap_or(&entries[&abi::ANYONE_ELSE]);
        let steps = state.tables[&abi::table_of(table)].iter();
        let hash = |answer: u32| state.answers[&answer];
        steps
            .map(|s| {
                let tier = s.flags & abi::TABLE_TIER_DENY != 0;
                (s.from, s.allow, s.shadow_allow, hash(s.answer), hash(s.shadow_answer), tier)
            })
            .collect()
    };
    let mut out = Said::default();
    let mut peers = Vec::new();
    for ip in image.addresses.keys() {
        let value = &half.addresses[&abi::address_key(bank, *ip)];
        let identity = abi::identity_of(value);
        let service = word(value, 8) & abi::PEER_SERVICE != 0;
        out.addresses.insert(ip.to_string(), (identity == abi::NOBODY, word(value, 4), service));
        peers.push((ip.to_string(), identity));
    }
    for cidr in image.prefixes.keys() {
        peers.push((cidr.to_string(), abi::identity_of(&half.prefixes[&abi::prefix_key(bank, cidr)])));
    }
    for ifindex in image.slots.keys() {
        let value = &half.slots[&abi::slot_key(bank, *ifindex)];
        let (egress, ingress) = abi::sets_of(value);
        out.slots.insert(*ifindex, (word(value, 8), value[12..18].try_into().unwrap()));
        for (peer, identity) in peers.iter().filter(|(_, identity)| *identity != abi::NOBODY) {
            out.ports.insert((*ifindex, true, peer.clone()), ports(egress, *identity));
            out.ports.insert((*ifindex, false, peer.clone()), ports(ingress, *identity));
        }
    }
    out
}

/// What the loader does with its state, without a kernel.
#[derive(Default)]
struct Beside {
    state: State,
    names: Option<(u64, Names)>,
    short: u64,
}

impl Beside {
    fn update(&mut self, compiled: &Compiled) {
        let image = compiled.image();
        let names = match (self.names.take(), compiled.since()) {
            (Some((serial, mut names)), Some((since, touched))) if serial == since => {
                advance(&mut self.state, &mut names, image, touched).unwrap();
                level(&mut self.state, &names, image, touched);
                self.short += 1;
                names
            }
            _ => {
                let mut made = plan(&self.state, image).unwrap();
                self.state = made.after;
                level_all(&mut self.state, &mut made.names, image);
                made.names
            }
        };
        self.names = Some((compiled.serial(), names));
    }
}

/// Pods of this node: two in three by name, each with a device for life; now and then one is not seen, or its addresses are
/// known from elsewhere.
fn locals(rng: &mut Rng, world: &World, devices: &mut BTreeMap<String, u32>, unseen: &BTreeSet<u32>) -> Vec<Local> {
    let mut out = Vec::new();
    for i in 0..world.pods.len() {
        let name = world.pod_name(PodId::at(i));
        let next = u32::try_from(10 + devices.len()).unwrap();
        let ifindex = *devices.entry(name).or_insert(next);
        if ifindex.is_multiple_of(3) || unseen.contains(&ifindex) {
            continue;
        }
        let mac = ifindex.is_multiple_of(2).then_some([2, 0, 0, 0, 0, u8::try_from(ifindex % 250).unwrap()]);
        let addresses = if ifindex.is_multiple_of(7) { vec![IpAddr::from([10, 9, 9, 9])] } else { Vec::new() };
        out.push(Local { pod: PodId::at(i), ifindex, mac, addresses });
    }
    rng.shuffle(&mut out);
    out
}

/// After each of thousands of random edits the kept image, and the kernel's state that was reached step by step, in both banks,
/// say what a fresh image says; and most edits of pods take the short way.
#[test]
fn an_image_that_is_kept_says_what_a_fresh_one_says() {
    let (mut edits, mut partial, mut short, mut pods) = (0, 0, 0, 0);
    for seed in 0..120 {
        let mut rng = Rng::new(seed);
        let (mut world, _) = random::world(&mut rng, &Size::default());
        let (donor, _) = random::world(&mut rng, &Size::default());
        let options = Options { shadow: rng.chance(20), other_protocols: rng.chance(80) };
        let mut compiler = Compiler::new(options);
        let mut beside = Beside::default();
        let mut devices = BTreeMap::new();
        let mut unseen = BTreeSet::new();
        for step in 0..40 {
            let mut what = String::new();
            for _ in 0..rng.below(3) {
                what = format!("{what}, {}", edit(&mut rng, &mut world, &donor));
            }
            if rng.chance(20) {
                unseen = (0..3).map(|_| u32::try_from(10 + rng.below(20)).unwrap()).collect();
            }
            let here = locals(&mut rng, &world, &mut devices, &unseen);
            let fresh = Image::compile(&world, &here, &options).unwrap();
            let compiled = compiler.compile(&Arc::new(world.clone()), &here).unwrap();
            let kept = compiled.image();
            let at = || format!("seed {seed}, step {step}{what}, partial: {}", compiled.is_partial());
            assert_eq!(said_by_image(kept), said_by_image(&fresh), "{}", at());
            assert_eq!(kept.notes, fresh.notes, "{}", at());
            let names = |image: &Image| image.slots.values().map(|s| s.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(kept), names(&fresh), "{}", at());
            beside.update(compiled);
            for epoch in [beside.state.epoch, beside.state.epoch + 1] {
                assert_eq!(said_by_state(&beside.state, kept, epoch), said_by_image(&fresh), "{}, {epoch}", at());
            }
            edits += 1;
            partial += u64::from(compiled.is_partial());
            pods += u64::from(what.contains("pod"));
        }
        short += beside.short;
    }
    assert!(pods > 1_000, "{pods}");
    assert!(partial * 3 > edits && short == partial, "{short} and {partial} of {edits} took the short way");
}

/// Pods change more often than anything else, as in a cluster.
fn edit(rng: &mut Rng, world: &mut World, donor: &World) -> &'static str {
    if rng.chance(25) || world.pods.is_empty() {
        return edits::edit(rng, world, donor);
    }
    let at = rng.below(world.pods.len());
    match rng.below(6) {
        0 => {
            world.pods[at].terminating ^= true;
            "pod on its way out or not"
        }
        1 => {
            world.pods.remove(at);
            "pod removed"
        }
        2 => {
            let mut pod = world.pods[at].clone();
            pod.name = format!("{}-{:06x}", pod.name, rng.below(1 << 24)).into();
            world.pods.push(pod);
            world.pods.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
            "pod claims another's address"
        }
        3 => {
            world.pods[at].ips.clear();
            "pod without address"
        }
        _ if donor.pods.is_empty() => "nothing",
        4 => {
            world.pods[at].ips.clone_from(&rng.pick(&donor.pods).ips);
            "pod with another address"
        }
        _ => {
            world.pods[at].labels = rng.pick(&donor.pods).labels.clone();
            "pod relabelled"
        }
    }
}
