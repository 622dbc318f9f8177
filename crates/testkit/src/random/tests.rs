//! The generator must be worth its time: valid worlds, every reason and every doubt often, the same from the same seed.

use super::{Rng, Size, flow, world};
use crate::build::assert_valid;
use crate::compare::{Judge, compare};
use watertight_model::{Reason, Verdict, World};
use watertight_oracle::decide;

pub(crate) fn oracle(world: &World) -> Judge<'_> {
    Box::new(|flow| decide(world, flow))
}

#[test]
fn worlds_are_valid_and_repeat() {
    for seed in 0..2000 {
        let (mut a, mut b) = (Rng::new(seed), Rng::new(seed));
        let ((one, mood), (two, _)) = (world(&mut a, &Size::default()), world(&mut b, &Size::default()));
        assert_valid(&one);
        assert_eq!(format!("{one:?}"), format!("{two:?}"), "seed {seed}");
        for _ in 0..10 {
            assert_eq!(flow(&mut a, &one, &mood), flow(&mut b, &two, &mood), "seed {seed}");
        }
    }
}

#[test]
fn every_reason_and_every_doubt_occurs_often() {
    let stats = compare(0..u64::MAX, 300_000, oracle).unwrap();
    println!("{stats}");
    let halves = stats.verdicts * 2;
    let per_mille = |n: Option<&u64>| n.copied().unwrap_or(0) * 1000 / halves;
    use Reason::*;
    let floors = [
        (OwnAddress, 10),
        (NotSubject, 100),
        (LocalNode, 5),
        (DefaultAllow, 100),
        (AdminAccept, 20),
        (AdminDeny, 20),
        (PolicyAllow, 20),
        (PolicyDeny, 50),
        (BaselineAccept, 5),
        (BaselineDeny, 5),
        (Unclear, 20),
    ];
    for (reason, floor) in floors {
        let found = per_mille(stats.reasons.get(&reason));
        assert!(found >= floor, "{reason:?}: {found} per mille of halves, wanted {floor}");
    }
    let floors = [
        ("podAddress", 3),
        ("nodeAddress", 1),
        ("namespaceLabels", 3),
        ("hostNetwork", 3),
        ("nodeOfPod", 1),
        ("unreadableSelector", 1),
        ("mappedBlock", 1),
        ("otherProtocol", 1),
        ("domainName", 1),
        ("foreignPolicy", 5),
    ];
    for (kind, floor) in floors {
        let found = per_mille(stats.depends_on.get(kind));
        assert!(found >= floor, "{kind}: {found} per mille of halves, wanted {floor}");
    }
    for verdict in [Verdict::Allow, Verdict::Deny, Verdict::Depends] {
        assert!(per_mille(stats.halves.get(&verdict)) >= 30, "{verdict:?}: {:?}", stats.halves);
    }
    assert!(stats.strict * 2 > halves, "fewer than half of the halves are compared strictly: {}", stats.strict);
}
