//! `verify` tells a network that enforces from one that does not, and one that follows changes from one that does not.

use crate::guarded::{Guarded, json, ok, root, shop, watertight};
use crate::transcript;
use serde_json::Value;
use snapbox::{Assert, Data};

/// Exit code and answer.
fn verify(more: &str) -> (i32, Value) {
    let line = format!("verify --source lab {more}");
    let out = watertight(&format!("{line} -o json"));
    let data = serde_json::from_slice(&out.stdout);
    (out.status.code().unwrap(), data.unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&out.stderr))))
}

/// Node, family and status of each pair.
fn canaries(data: &Value) -> Vec<[String; 3]> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let of = |c: &Value| [text(&c["node"]), text(&c["family"]), text(&c["status"])];
    data["enforcement"]["canaries"].as_array().unwrap().iter().map(of).collect()
}

fn all(status: &str) -> Vec<[String; 3]> {
    let both = ["node-01", "node-02"].iter().flat_map(|node| ["IPv4", "IPv6"].map(|family| (node, family)));
    both.map(|(node, family)| [(*node).to_owned(), family.to_owned(), status.to_owned()]).collect()
}

fn in_words() -> String {
    String::from_utf8(watertight("verify --source lab --summary").stdout).unwrap()
}

/// No policy of a canary is left among the manifests.
fn assert_no_trace() {
    let left: Vec<_> = std::fs::read_dir("/run/watertight/lab/manifests").unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!left.iter().any(|p| p.ends_with("canary.yaml")), "{left:?}");
}

#[test]
fn flat_enforced_shadowed_and_no_longer_followed_are_told_apart() {
    let Some(mut guarded) = Guarded::new() else { return };
    assert_eq!(watertight("verify --source lab").status.code(), Some(2), "no lab");
    ok(&format!("lab up -f {}", shop()));

    let (code, flat) = verify("");
    assert_eq!((code, canaries(&flat)), (1, all("not-enforced")));
    assert!(flat["tooOpen"].as_u64() > Some(50) && flat["tooClosed"] == 0, "{flat}");
    assert!(in_words().starts_with("nothing enforces policies on node-01, node-02 over IPv4, IPv6\n"));
    assert_no_trace();

    guarded.start(&[]);
    let (code, enforced) = verify("");
    assert_eq!((code, canaries(&enforced)), (0, all("enforced")), "{}", enforced["enforcement"]);
    let befores: Vec<&Value> =
        enforced["enforcement"]["canaries"].as_array().unwrap().iter().map(|c| &c["before"]).collect();
    assert_eq!(befores, ["allow", "allow", "deny", "deny"], "a policy that closes, and one that opens");
    assert_eq!((&enforced["tooOpen"], &enforced["tooClosed"]), (&0.into(), &0.into()));
    assert_eq!(
        (&enforced["notProbed"], &enforced["enforcement"]["without"]),
        (&Value::from([0; 0]), &Value::from([0; 0]))
    );
    assert_no_trace();
    let drops = json("agent drops").to_string();
    assert!(drops.contains("watertight-canary-node-01-ingress ingress[0]"), "the server's gate is on trial: {drops}");
    assert!(!drops.contains("watertight-canary-node-01-egress"), "and not the client's");

    guarded.kill();
    let (code, stale) = verify("");
    assert_eq!((code, canaries(&stale)), (1, all("not-enforced")), "nobody follows");
    assert_eq!((&stale["tooOpen"], &stale["agree"]), (&0.into(), &enforced["agree"]), "what was in force still is");
    assert!(in_words().starts_with("a new policy is not enforced on node-01, node-02"));

    ok("agent uninstall");
    guarded.start(&["--shadow"]);
    let (code, shadow) = verify("");
    assert_eq!((code, canaries(&shadow)), (1, all("not-enforced")), "shadow stops nothing");
    guarded.kill();

    ok("agent uninstall");
    guarded.start(&["--node", "node-02"]);
    let (code, half) = verify("");
    assert_eq!((code, &half["enforcement"]["status"]), (1, &"not-enforced".into()), "one node of two is not enough");
    let by_node =
        |node: &str| canaries(&half).into_iter().filter(|c| c[0] == node).map(|c| c[2].clone()).collect::<Vec<_>>();
    assert_eq!(
        (by_node("node-01"), by_node("node-02")),
        (vec!["not-enforced".to_owned(); 2], vec!["enforced".to_owned(); 2])
    );
    assert!(half["tooOpen"].as_u64() > Some(0), "pods of the other node are open: {half}");
}

#[test]
fn a_sample_meets_every_pair_of_kinds_and_is_the_same_every_time() {
    let Some(mut guarded) = Guarded::new() else { return };
    ok(&format!("lab up -f {}", shop()));
    guarded.start(&[]);
    let (code, one) = verify("--sample 45");
    assert_eq!((code, &one["pairs"]["all"], &one["pairs"]["tried"]), (0, &45.into(), &45.into()), "{}", one["pairs"]);
    assert_eq!((&one["connections"], &one["notProbed"][0]["connections"]), (&45.into(), &153.into()));
    let (_, again) = verify("--sample 45");
    assert_eq!(one["rows"], again["rows"]);
    assert!(
        one["agree"]["denied"].as_u64() > Some(9) && one["agree"]["delivered"].as_u64() > Some(9),
        "{}",
        one["agree"]
    );
    assert_eq!(verify("--sample 45 --strict").0, 4, "what was not probed is no pass");
    let (code, few) = verify("--sample 7 --family ipv4");
    assert_eq!((code, &few["pairs"]["tried"]), (0, &7.into()));
}

#[test]
fn its_page_says_what_happens() {
    let Some(_guarded) = Guarded::new() else { return };
    let page = root().join("docs/commands/verify.md");
    let scratch = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("docs"), scratch.path().join("docs")).unwrap();
    let text = std::fs::read_to_string(&page).unwrap();
    let (actual, count) = transcript::execute("docs/commands/verify.md", &text, scratch.path());
    assert_eq!(count, 3);
    Assert::new()
        .action_env("SNAPSHOTS")
        .redact_with(snapbox::Redactions::new())
        .eq(actual, Data::read_from(&page, None).raw());
}
