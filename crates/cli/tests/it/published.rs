//! Published policies, read where they lie: audited, listed and explained without an error.

use super::common::{Outcome, watertight, watertight_with};

fn data(path: &str) -> String {
    format!("{}/../../../shared/data/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Recipe, and all that is found in it beside one pod that it selects.
const FOUND: [(&str, &[&str]); 14] = [
    ("01-deny-all-traffic-to-an-application", BY_NAME),
    ("02-limit-traffic-to-an-application", BY_NAME),
    ("02a-allow-all-traffic-to-an-application", &[NO_POLICY, "WT0050 NetworkPolicy default/web-allow-all"]),
    ("03-deny-all-non-whitelisted-traffic-in-the-namespace", &[EGRESS]),
    ("04-deny-traffic-from-other-namespaces", &[EGRESS]),
    ("05-allow-traffic-from-all-namespaces", &[NO_POLICY, "WT0069 NetworkPolicy default/web-allow-all-namespaces"]),
    ("06-allow-traffic-from-a-namespace", BY_NAME),
    (
        "07-allow-traffic-from-some-pods-in-another-namespace",
        &["WT0021 NetworkPolicy default/web-allow-all-ns-monitoring", INGRESS, EGRESS],
    ),
    ("08-allow-external-traffic", &[NO_POLICY, "WT0050 NetworkPolicy default/web-allow-external"]),
    // The pods that these admit are not in the input.
    ("09-allow-traffic-only-to-a-port", &["WT0021 NetworkPolicy default/api-allow-5000", INGRESS, EGRESS]),
    (
        "10-allowing-traffic-with-multiple-selectors",
        &[
            "WT0021 NetworkPolicy default/redis-allow-services",
            "WT0021 NetworkPolicy default/redis-allow-services",
            "WT0021 NetworkPolicy default/redis-allow-services",
            INGRESS,
            EGRESS,
        ],
    ),
    // Two versions of one policy in one file.
    ("11-deny-egress-traffic-from-an-application", &["WT0005 NetworkPolicy default/foo-deny-egress", INGRESS, EGRESS]),
    (
        "12-deny-all-non-whitelisted-traffic-from-the-namespace",
        &[INGRESS, "WT0051 NetworkPolicy default/default-deny-all-egress"],
    ),
    ("14-deny-external-egress-traffic", BY_NAME),
];

const NO_POLICY: &str = "WT0046 namespace default";
const INGRESS: &str = "WT0047 namespace default";
const EGRESS: &str = "WT0048 namespace default";
/// Policies for pods by name leave those of tomorrow open.
const BY_NAME: &[&str] = &[INGRESS, EGRESS];

/// A pod with these labels, beside which the policy lies.
fn subject(labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: subject, namespace: default, labels: {{{labels}}}}}\n\
         spec: {{containers: [{{name: c, image: example.org/c}}]}}\n"
    )
}

/// Recipe, labels of the pod it selects, name of the policy; whether an address outside reaches port 80 of that pod, and
/// the other way round.
const RECIPES: [(&str, &str, &str, bool, bool); 14] = [
    ("01-deny-all-traffic-to-an-application", "app: web", "web-deny-all", false, true),
    ("02-limit-traffic-to-an-application", "app: bookstore, role: api", "api-allow", false, true),
    ("02a-allow-all-traffic-to-an-application", "app: web", "web-allow-all", true, true),
    ("03-deny-all-non-whitelisted-traffic-in-the-namespace", "app: web", "default-deny-all", false, true),
    ("04-deny-traffic-from-other-namespaces", "app: web", "deny-from-other-namespaces", false, true),
    ("05-allow-traffic-from-all-namespaces", "app: web", "web-allow-all-namespaces", false, true),
    ("06-allow-traffic-from-a-namespace", "app: web", "web-allow-prod", false, true),
    ("07-allow-traffic-from-some-pods-in-another-namespace", "app: web", "web-allow-all-ns-monitoring", false, true),
    ("08-allow-external-traffic", "app: web", "web-allow-external", true, true),
    ("09-allow-traffic-only-to-a-port", "app: apiserver", "api-allow-5000", false, true),
    ("10-allowing-traffic-with-multiple-selectors", "app: bookstore, role: db", "redis-allow-services", false, true),
    ("11-deny-egress-traffic-from-an-application", "app: foo", "foo-deny-egress", true, false),
    ("12-deny-all-non-whitelisted-traffic-from-the-namespace", "app: foo", "default-deny-all-egress", true, false),
    ("14-deny-external-egress-traffic", "app: foo", "foo-deny-external-egress", true, false),
];

/// Every finding of an audit as `code object`, sorted; the report shows no others.
fn findings(run: &Outcome) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
    let all = json["findings"].as_array().unwrap().iter();
    let mut out: Vec<String> =
        all.map(|f| format!("{} {} {}", text(f, "rule"), text(f, "objectKind"), text(f, "object"))).collect();
    out.sort();
    out
}

fn expect(run: &Outcome, allowed: bool, policy: &str, what: &str) {
    assert_eq!(run.code, 0, "{what}: {}", run.stderr);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["verdict"], if allowed { "allow" } else { "deny" }, "{what}: {}", run.stdout);
    // What denies is the recipe; what allows is the recipe, or nothing that selects the pod in this direction.
    assert!(allowed || run.stdout.contains(policy), "{what}: {}", run.stdout);
}

#[test]
fn recipes_are_audited_and_explained() {
    for (file, labels, policy, into, out_of) in RECIPES {
        let source = format!("-f {} -f -", data(&format!("netpol-recipes/{file}.yaml")));
        let pod = subject(labels);
        let audit = watertight_with(&format!("audit {source} --fail-on never -o json"), &pod);
        assert_eq!(audit.code, 0, "{file}: {}", audit.stderr);
        let (_, wanted) = FOUND.iter().find(|(f, _)| *f == file).unwrap();
        assert_eq!(findings(&audit), *wanted, "{file}");
        let outside = "ip:203.0.113.9";
        let run = watertight_with(&format!("explain {source} {outside} default/subject --port 80 -o json"), &pod);
        expect(&run, into, policy, &format!("{file}, into"));
        let run = watertight_with(&format!("explain {source} default/subject {outside} --port 80 -o json"), &pod);
        expect(&run, out_of, policy, &format!("{file}, out of"));
    }
}

#[test]
fn online_boutique_is_audited_and_explained() {
    let app = data("online-boutique/app");
    let policies = data("online-boutique/policies");
    let flat = watertight(&format!("audit -f {app} --fail-on never"));
    assert_eq!(flat.code, 0, "{}", flat.stderr);
    assert!(flat.stdout.contains("132 of 132 workload pairs"), "{}", flat.stdout);
    let json = watertight(&format!("audit -f {app} --fail-on never -o json"));
    let wanted = [
        "WT0046 namespace default",
        "WT0066 Service default/frontend-external",
        "WT0070 Deployment default/redis-cart",
    ];
    assert_eq!(findings(&json), wanted);
    let alone = watertight(&format!("audit -f {policies} --fail-on never"));
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    // Policies without a workload are nothing that could pass.
    assert!(alone.stdout.contains("Grade      unknown (no workload in the input)"), "{}", alone.stdout);
    let json = watertight(&format!("audit -f {policies} --fail-on never -o json"));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["grade"].is_null() && json["score"].is_null(), "{json}");
    let both = format!("-f {app} -f {policies}");
    let audit = watertight(&format!("audit {both} --fail-on never"));
    assert_eq!(audit.code, 0, "{}", audit.stderr);
    // What these policies say is what they mean: nothing about presence, selectors, ports or Services. They let every
    // workload out to anywhere, the metadata address included.
    let json = watertight(&format!("audit {both} --fail-on never -o json"));
    let wanted = [
        "WT0050 NetworkPolicy default/frontend",
        "WT0064 NetworkPolicy default/adservice",
        "WT0065 namespace default",
        "WT0066 Service default/frontend-external",
    ];
    assert_eq!(findings(&json), wanted);
    // Every pod may open connections to frontend, and the call graph has 15 more edges.
    assert!(audit.stdout.contains("26 of 132 workload pairs"), "{}", audit.stdout);
    for (from, to, port, allowed, policy) in [
        ("frontend", "cartservice", 7070, true, "cartservice"),
        ("frontend", "cartservice", 7071, false, "cartservice"),
        ("frontend", "redis-cart", 6379, false, "redis-cart"),
        ("cartservice", "redis-cart", 6379, true, "redis-cart"),
    ] {
        let run = watertight(&format!("explain {both} default/{from} default/{to} --port {port} -o json"));
        expect(&run, allowed, policy, &format!("{from} to {to}"));
    }
}
