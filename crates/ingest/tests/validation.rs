//! What the API server refuses is refused here, in its words; what it accepts is read: the cases of
//! `common/cases.rs`.

mod common;

use common::cases::{ACCEPTED, CLUSTER_ACCEPTED, CLUSTER_REJECTED, cluster_policy, rejected};
use common::{NAME, faults, faults_lenient, policy};

#[test]
fn refused_as_the_server_does() {
    let cases = rejected();
    assert!(cases.len() >= 70, "{}", cases.len());
    let mut wrong = String::new();
    for (spec, expected) in &cases {
        let found = faults(&policy(spec));
        let mut sorted = (expected.clone(), found.clone());
        sorted.0.sort();
        sorted.1.sort();
        if sorted.0 != sorted.1 {
            wrong.push_str(&format!("{spec}\n  expected {expected:#?}\n  found    {found:#?}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn accepted_as_the_server_does() {
    for spec in ACCEPTED {
        let found = faults(&policy(spec));
        assert!(found.is_empty(), "{spec}: {found:?}");
    }
}

#[test]
fn cluster_policies_as_the_schema_says() {
    for spec in CLUSTER_ACCEPTED {
        assert!(faults(&cluster_policy(spec)).is_empty(), "{spec}: {:?}", faults(&cluster_policy(spec)));
    }
    for spec in CLUSTER_REJECTED {
        assert!(!faults(&cluster_policy(spec)).is_empty(), "{spec}");
    }
}

/// v26 to v28 on servers without strict checks: warnings, and the block as it is meant.
#[test]
fn lenient_servers_warn() {
    for (text, read) in [("10.1.2.3/8", "10.0.0.0/8"), ("010.0.0.0/8", "10.0.0.0/8"), ("10.0.0.0/08", "10.0.0.0/8")] {
        let spec = format!("{{ingress: [{{from: [{{ipBlock: {{cidr: {text}}}}}]}}]}}");
        let (world, warnings) = faults_lenient(&policy(&spec));
        assert!(warnings.len() == 1 && warnings[0].code == "WT0007", "{warnings:?}");
        let watertight_model::Peers::Of(peers) = &world.policies[0].ingress[0].peers else { unreachable!("{spec}") };
        let watertight_model::PeerKind::Block(block) = &peers[0].kind else { unreachable!("{spec}") };
        assert_eq!((block.cidr.cidr.to_string().as_str(), block.cidr.sloppy), (read, true));
    }
}

/// v1, v2: names. The namespace is never missing here: a default stands in.
#[test]
fn names() {
    let named =
        |meta: &str| format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {meta}\nspec: {{}}\n");
    assert_eq!(faults(&named("{}")), ["metadata.name: Required value: name or generateName is required"]);
    assert_eq!(faults(&named("{name: A}")), [format!("metadata.name: Invalid value: \"A\": {NAME}")]);
    let long = "a".repeat(254);
    assert_eq!(
        faults(&named(&format!("{{name: {long}}}"))),
        [format!("metadata.name: Invalid value: \"{long}\": must be no more than 253 characters")]
    );
    assert!(faults(&named(&format!("{{name: {}}}", &long[1..]))).is_empty());
    assert!(faults(&named("{generateName: a-}")).is_empty());
}
