use super::*;

const HEADER: &str = include_str!("../../bpf/wt.h");

/// `NAME = number` in an enum of the header.
fn enumerator(name: &str) -> u32 {
    let line = HEADER.lines().map(str::trim).find(|l| l.starts_with(&format!("{name} =")));
    let line = line.unwrap_or_else(|| panic!("{name} is not in wt.h"));
    line.split(['=', ',']).nth(1).unwrap().trim().parse().unwrap()
}

fn define(name: &str) -> &'static str {
    let line = HEADER.lines().find(|l| l.starts_with(&format!("#define {name} "))).unwrap();
    line.rsplit(' ').next().unwrap()
}

/// Numbers of an enum that begin with `prefix`, without the count at its end.
fn names(prefix: &str) -> usize {
    HEADER.lines().filter(|l| l.trim().starts_with(prefix) && l.contains('=')).count()
}

#[test]
fn reasons_and_counts_have_the_numbers_of_the_header() {
    for reason in Drop::ALL {
        assert_eq!(enumerator(reason.c_name()), reason.number(), "{}", reason.name());
    }
    assert_eq!(names("WT_DROP_"), Drop::ALL.len());
    assert_eq!(enumerator("WT_REASONS") as usize, Drop::ALL.len() + 1);
    for count in Count::ALL {
        assert_eq!(enumerator(count.c_name()), count.number(), "{}", count.name());
    }
    assert_eq!(names("WT_COUNT_"), Count::ALL.len());
    assert_eq!(enumerator("WT_COUNTS") as usize, Count::ALL.len());
}

#[test]
fn constants_are_those_of_the_header() {
    assert_eq!(define("WT_ABI"), ABI.to_string());
    assert_eq!(define("WT_NOBODY"), NOBODY.to_string());
    assert_eq!(define("WT_ANYONE_ELSE"), format!("{ANYONE_ELSE:#x}U"));
    assert_eq!(define("WT_TABLE_MAX"), TABLE_MAX.to_string());
    assert_eq!(define("WT_OTHER_PROTOCOL"), OTHER_PROTOCOL.to_string());
    let steps: u32 = define("WT_SEARCH_STEPS").parse().unwrap();
    assert!(2usize.pow(steps) > TABLE_MAX && 2usize.pow(steps - 1) <= TABLE_MAX, "{steps} steps");
    for (name, value) in [
        ("WT_ALLOW", u32::from(ALLOW)),
        ("WT_DENY", u32::from(DENY)),
        ("WT_PEER_SERVICE", PEER_SERVICE),
        ("WT_SLOT_EGRESS", SLOT_EGRESS),
        ("WT_SLOT_INGRESS", SLOT_INGRESS),
        ("WT_TABLE_TIER_DENY", u32::from(TABLE_TIER_DENY)),
        ("WT_CONTROL_DEFER", CONTROL_DEFER),
        ("WT_EGRESS", u32::from(direction(Direction::Egress))),
        ("WT_INGRESS", u32::from(direction(Direction::Ingress))),
        ("WT_IPV4", address("10.0.0.1".parse().unwrap()).0),
        ("WT_IPV6", address("::1".parse().unwrap()).0),
    ] {
        assert_eq!(enumerator(name), value, "{name}");
    }
}

/// Sizes and places that the header asserts to the C compiler are the ones written here.
#[test]
fn layouts_are_those_of_the_header() {
    let size = |name: &str| -> usize {
        let line = HEADER.lines().find(|l| l.starts_with(&format!("WT_SIZE({name}, "))).unwrap();
        line.trim_end_matches(");").rsplit(' ').next().unwrap().parse().unwrap()
    };
    let at = |name: &str, field: &str| -> usize {
        let line = HEADER.lines().find(|l| l.starts_with(&format!("WT_AT({name}, {field}, "))).unwrap();
        line.trim_end_matches(");").rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(size("wt_address"), size_of::<AddressKey>());
    assert_eq!(size("wt_peer"), size_of::<PeerValue>());
    assert_eq!(size("wt_prefix"), size_of::<PrefixKey>());
    assert_eq!(size("wt_slot_key"), size_of::<SlotKey>());
    assert_eq!(size("wt_slot"), size_of::<SlotValue>());
    assert_eq!(size("wt_entry_key"), size_of::<EntryKey>());
    assert_eq!(size("wt_table"), size_of::<TableValue>());
    assert_eq!(size("wt_step"), size_of::<StepValue>());
    let ip: IpAddr = "10.1.2.3".parse().unwrap();
    let key = address_key(Bank::Odd, ip);
    assert_eq!(word(&key, 0), 1 + 2, "bank + 2 * family");
    assert_eq!(key[at("wt_address", "addr")..][..4], [10, 1, 2, 3]);
    let key = prefix_key(Bank::Even, &"10.1.0.0/16".parse().unwrap());
    assert_eq!(word(&key, 0), 32 + 16);
    assert_eq!(word(&key, at("wt_prefix", "space")), 2);
    assert_eq!(key[at("wt_prefix", "addr")..][..4], [10, 1, 0, 0]);
    let value = peer_value(7, 8, 1);
    assert_eq!((word(&value, 0), word(&value, at("wt_peer", "ifindex"))), (7, 8));
    assert_eq!(word(&value, at("wt_peer", "flags")), 1);
    let value = slot_value(3, 4, 2, Some([1, 2, 3, 4, 5, 6]));
    assert_eq!(word(&value, at("wt_slot", "ingress")), 4);
    assert_eq!(word(&value, at("wt_slot", "flags")), 2);
    assert_eq!(value[at("wt_slot", "mac")..][..6], [1, 2, 3, 4, 5, 6]);
    let step = Step { from: 80, answer: 9, shadow_answer: 10, allow: true, shadow_allow: false, flags: 1 };
    let value = step_value(&step);
    assert_eq!(word(&value, at("wt_step", "answer")), 9);
    assert_eq!(word(&value, at("wt_step", "shadow_answer")), 10);
    assert_eq!(value[at("wt_step", "verdict")], ALLOW);
    assert_eq!(value[at("wt_step", "shadow")], DENY);
    assert_eq!(value[at("wt_step", "flags")], 1);
    assert_eq!(step_of(&value), step);
    assert_eq!(table_of(&table_value(5, 6)), (5, 6));
    assert_eq!(word(&slot_key(Bank::Odd, 5), at("wt_slot_key", "bank")), 1);
    assert_eq!(entry_of(&entry_key(5, 6)), (5, 6));
}

#[test]
fn zero_is_never_allow() {
    assert!(!step_of(&[0; 16]).allow);
    assert!(!step_of(&[0; 16]).shadow_allow);
}
