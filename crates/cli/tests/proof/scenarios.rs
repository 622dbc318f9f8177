//! Situations of `cases/scenarios.md`, whose verdicts oracle and engine are held to, with the agent and real packets: what happens
//! is what the table says, and a drop names the policies that the table names.

use crate::guarded::{Guarded, json, ok, probed, root, until, watertight};
use serde_json::Value;
use std::path::Path;

/// A row of a case's table, one connection.
#[derive(Debug)]
struct Expected {
    from: String,
    to: String,
    port: u64,
    protocol: String,
    verdict: String,
    /// Per direction: the kind of reason, and the policies that it names.
    reasons: [String; 2],
}

/// The text of a section, to the next one of its level.
fn section<'t>(text: &'t str, title: &str) -> &'t str {
    let from = text.find(&format!("\n## {title}")).unwrap_or_else(|| panic!("no section {title}"));
    let rest = &text[from + 1..];
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

fn yaml(section: &str) -> &str {
    section.split("```yaml\n").nth(1).map_or("", |block| block.split("```").next().unwrap())
}

/// The manifests of a case, its world's included, and its table.
fn case(title: &str) -> (String, Vec<Expected>) {
    let text = std::fs::read_to_string(root().join("cases/scenarios.md")).unwrap();
    let own = section(&text, title);
    let world = own.lines().find_map(|l| l.strip_prefix("- World: "));
    let world = world.map_or("", |name| yaml(section(&text, &format!("World: {name}"))));
    let mut rows = Vec::new();
    let list = |cell: &str| cell.split(',').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    for line in own.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| from")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [from, to, ports, verdict, egress, ingress] = cells[..] else { panic!("{line}") };
        for from in list(from) {
            for to in list(to) {
                for port in list(ports) {
                    let Some((number, protocol)) = port.split_once('/') else { continue };
                    rows.push(Expected {
                        from: from.clone(),
                        to: to.clone(),
                        port: number.parse().unwrap(),
                        protocol: protocol.to_owned(),
                        verdict: verdict.to_owned(),
                        reasons: [egress.to_owned(), ingress.to_owned()],
                    });
                }
            }
        }
    }
    (format!("{world}\n---\n{}", yaml(own)), rows)
}

/// The probe's row of an expected connection.
fn is(row: &Value, wanted: &Expected) -> bool {
    let to = match wanted.to.strip_prefix("ip:") {
        Some(ip) => row["address"] == ip,
        None => row["to"] == wanted.to.as_str(),
    };
    to && row["from"] == wanted.from.as_str()
        && row["port"] == wanted.port
        && row["protocol"] == wanted.protocol.as_str()
}

/// Some drop of this pod, in this direction and on this port, names all the policies of the reason.
fn is_named(drops: &Value, pod: &str, direction: &str, wanted: &Expected, reason: &str) -> bool {
    let policies = reason.split_once(' ').unwrap().1;
    let denied = drops["nodes"].as_array().unwrap().iter().flat_map(|n| n["denied"].as_array().unwrap());
    denied.into_iter().any(|d| {
        let by = d["decidedBy"].as_str().unwrap_or_default();
        (d["pod"] == pod && d["direction"] == direction && d["port"] == wanted.port)
            && policies.split(',').all(|policy| by.contains(policy.trim()))
    })
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// Runs a case: connections of its table that the lab can open (a pod listens there), and how many drops were found with their
/// policies.
fn run(title: &str) -> (usize, usize) {
    let Some(mut guarded) = Guarded::new() else { return (usize::MAX, usize::MAX) };
    let folder = tempfile::tempdir().unwrap();
    let (manifests, table) = case(title);
    ok(&format!("lab up -f {}", write(folder.path(), "case.yaml", &manifests)));
    guarded.start(&[]);
    let out = watertight("verify --source lab -o json");
    let data: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{title}: {}", data["enforcement"]);
    let drops = json("agent drops");
    let (mut met, mut named) = (0, 0);
    for wanted in &table {
        for row in data["rows"].as_array().unwrap().iter().filter(|row| is(row, wanted)) {
            assert_eq!(row["verdict"], wanted.verdict.as_str(), "{title}: {wanted:?}");
            met += 1;
            if wanted.verdict != "deny" {
                continue;
            }
            assert_ne!(row["outcome"], "delivered", "{title}: {wanted:?}");
            // Who drops it: the gate of the sender, else that of the receiver.
            let [egress, ingress] = &wanted.reasons;
            let (pod, direction, reason) = match egress.starts_with("policyDeny") {
                true => (&wanted.from, "egress", egress),
                false => (&wanted.to, "ingress", ingress),
            };
            assert!(is_named(&drops, pod, direction, wanted, reason), "{title}: {wanted:?} in {drops}");
            assert!(!is_named(&drops, pod, direction, wanted, "policyDeny other/policy"), "the check can fail");
            named += 1;
        }
    }
    (met, named)
}

#[test]
fn s3_orders_and_nobody_else_may_call_payments() {
    let (met, named) = run("S3");
    assert!(met >= 12 && named >= 6, "{met} {named}");
}

#[test]
fn s4_and_with_one_dash_too_many_its_whole_namespace_may() {
    let (met, named) = run("S4");
    assert!(met >= 8 && named >= 2, "{met} {named}");
}

#[test]
fn s5_two_policies_on_one_pod_are_not_their_product() {
    let (met, named) = run("S5");
    assert!(met >= 4 && named >= 2, "{met} {named}");
}

#[test]
fn s9_everything_but_the_metadata_address() {
    let (met, named) = run("S9");
    assert!(met >= 2 && named >= 1, "{met} {named}");
}

#[test]
fn s10_a_pod_of_the_hosts_network_is_its_node() {
    let (met, named) = run("S10");
    assert!(met >= 6 && named >= 2, "{met} {named}");
}

const PROD_CLOSED: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
    metadata: {name: closed, namespace: prod}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n";

/// The sample cluster: 23 namespaces, Flannel, no policy.
#[test]
fn s1_and_s12_flat_means_flat_and_a_policy_on_flannel_is_words() {
    let Some(mut guarded) = Guarded::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let policy = write(folder.path(), "closed.yaml", PROD_CLOSED);
    let demo = root().join("examples/demo").display().to_string();
    let audit = |more: &str| json(&format!("audit -f {demo} {more}"));
    let flat = audit("");
    assert_eq!((&flat["grade"], &flat["coverage"]["ingress"]["covered"]), (&"F".into(), &0.into()));
    assert_eq!(flat["coverage"]["egress"]["covered"], 0);
    let blast = json(&format!("blast -f {demo} dev/shell"));
    assert_eq!(blast["share"], 1.0);
    let not_enforced = |data: &Value| data["notEnforced"] == true;
    assert!(
        !not_enforced(&flat) && not_enforced(&audit(&format!("--policies {policy}"))),
        "only a policy can be ignored"
    );

    ok("lab up");
    ok(&format!("lab apply -f {policy}"));
    let verify = || {
        let out = watertight("verify --source lab --sample 1200 --family ipv4 -o json");
        let data: Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code(), data)
    };
    let to_prod = |data: &Value, outcome: &str| {
        let rows = data["rows"].as_array().unwrap();
        let is = |r: &&Value| {
            r["from"].as_str().unwrap().starts_with("dev/") && r["to"].as_str().unwrap().starts_with("prod/")
        };
        rows.iter().filter(is).filter(|r| r["outcome"] == outcome && r["verdict"] == "deny").count()
    };
    let (code, open) = verify();
    assert_eq!((code, &open["enforcement"]["status"]), (Some(1), &"not-enforced".into()));
    assert!(
        to_prod(&open, "delivered") > 0 && to_prod(&open, "silent") == 0,
        "the policy is there, and dev reaches prod"
    );

    guarded.start(&[]);
    let (code, closed) = verify();
    assert_eq!((code, &closed["enforcement"]["status"]), (Some(0), &"enforced".into()), "{}", closed["enforcement"]);
    assert!(to_prod(&closed, "delivered") == 0 && to_prod(&closed, "silent") > 0);
    let drops = json("agent drops").to_string();
    assert!(drops.contains("NetworkPolicy prod/closed ingress"), "{drops}");

    let seen =
        || json("agent status")["items"].as_array().unwrap().iter().map(|s| s["revision"]["applied"].as_u64()).min();
    let before = seen();
    ok("lab apply --none");
    until(|| seen() > before && watertight("agent status").status.code() == Some(0), "the empty state is applied");
    let (open, shut, denied) = probed();
    assert_eq!((open, shut, denied), (0, 0, 0), "without policies the agent denies nothing");
}
