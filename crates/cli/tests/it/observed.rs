//! `audit --flows`: what was recorded against what policies say (WT0062, WT0063), and recordings that show too little.

use super::common::{Outcome, watertight, watertight_with};
use serde_json::Value;

const SHOP: &str = "-f docs/examples/shop";

/// A recorded connection on a day of November 2026.
fn flow(day: u32, (from_ns, from): (&str, &str), (to_ns, to): (&str, &str), port: u16) -> String {
    let end = |ns: &str, name: &str| {
        format!(r#"{{"namespace":"{ns}","pod_name":"{name}-0","workloads":[{{"name":"{name}","kind":"Deployment"}}]}}"#)
    };
    let (from, to) = (end(from_ns, from), end(to_ns, to));
    format!(
        r#"{{"flow":{{"time":"2026-11-{day:02}T08:00:00Z","verdict":"FORWARDED","IP":{{"source":"10.244.0.5","destination":"10.244.0.6","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":40000,"destination_port":{port}}}}},"source":{from},"destination":{to},"Type":"L3_L4","node_name":"n","is_reply":false}},"node_name":"n","time":"2026-11-{day:02}T08:00:00Z"}}"#
    ) + "\n"
}

const LOST: &str = r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":2},"node_name":"n","time":"2026-11-15T09:00:01Z"}
"#;

const WEB: (&str, &str) = ("shop", "web");
const API: (&str, &str) = ("shop", "api");
const PROMETHEUS: (&str, &str) = ("monitoring", "prometheus");

/// Everything that the shop's policies are for, but for the way from `api` to `db`.
fn without_db(last_day: u32) -> String {
    [1, last_day].map(|day| flow(day, WEB, API, 8080) + &flow(day, PROMETHEUS, API, 9090)).concat()
}

/// Objects of the findings of a rule, with their messages.
fn told(run: &Outcome, rule: &str) -> Vec<(String, String)> {
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    let own = json["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == rule);
    let text = |f: &Value, key: &str| f[key].as_str().unwrap().to_owned();
    own.map(|f| (text(f, "object"), text(f, "message"))).collect()
}

#[test]
fn a_recorded_connection_that_would_be_denied_is_an_error() {
    let flows = "--flows docs/examples/shop-flows.jsonl -o json";
    let now = watertight(&format!("audit {SHOP} {flows} --fail-on error"));
    assert_eq!((now.code, told(&now, "WT0062")), (0, Vec::new()), "{}", now.stderr);
    let candidate = watertight(&format!("audit {SHOP} --policies docs/examples/lockdown.yaml {flows} --fail-on error"));
    assert_eq!(candidate.code, 1, "{}", candidate.stderr);
    let found = told(&candidate, "WT0062");
    assert_eq!(found.len(), 1, "{found:?}");
    let (object, message) = &found[0];
    assert_eq!(object, "shop/api-in");
    for part in ["monitoring/prometheus to shop/api TCP 9090 (3 times", "no ingress rule of shop/api-in"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // Without a recording nobody can say so.
    let blind = watertight(&format!("audit {SHOP} --policies docs/examples/lockdown.yaml -o json"));
    assert_eq!(told(&blind, "WT0062"), Vec::new());
}

#[test]
fn a_rule_is_unused_only_if_the_recording_would_have_shown_it() {
    let audit = |flows: &str| watertight_with(&format!("audit {SHOP} --flows - -o json --fail-on never"), flows);
    let whole = audit(&without_db(10));
    let found = told(&whole, "WT0063");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "shop/db-in");
    assert!(found[0].1.contains("recorded in 9 days used ingress rule 0 for shop/db"), "{found:?}");
    assert!(!whole.stderr.contains("WT0063"), "{}", whole.stderr);
    // The same rule in use.
    let used = audit(&(without_db(10) + &flow(5, API, ("shop", "db"), 5432)));
    assert_eq!(told(&used, "WT0063"), Vec::new());
    for (flows, why) in [
        (without_db(10) + LOST, "2 events lost by the recorder"),
        (without_db(10) + "not a flow\n", "1 line could not be read"),
        (without_db(10) + &flow(5, ("shop", "gone"), API, 8080), "1 edge could not be placed and judged"),
        (without_db(7), "it covers 6 of the 7 days that are wanted"),
        (String::new(), "it holds no connection"),
    ] {
        let run = audit(&flows);
        assert_eq!(told(&run, "WT0063"), Vec::new(), "{why}");
        assert!(run.stderr.contains("does not show what is never used (WT0063)"), "{why}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{why}: {}", run.stderr);
    }
}

#[test]
fn a_cron_job_that_did_not_run_in_the_window_keeps_rules_from_being_called_unused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("flows.jsonl");
    std::fs::write(&file, without_db(10)).unwrap();
    let job = |schedule: &str| {
        format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: close-month, namespace: shop}}\nspec:\n  \
             schedule: \"{schedule}\"\n  jobTemplate: {{spec: {{template: {{metadata: {{labels: {{app: close-month}}}}, \
             spec: {{restartPolicy: Never, containers: [{{name: c, image: c}}]}}}}}}}}\n"
        )
    };
    let audit = |schedule: &str, more: &str| {
        let command = format!("audit {SHOP} -f - --flows {} -o json --fail-on never {more}", file.display());
        watertight_with(&command, &job(schedule))
    };
    let monthly = audit("0 3 1 * *", "");
    assert_eq!(told(&monthly, "WT0063"), Vec::new());
    let why = "shop/close-month ran 0 times in it, and runs next at 2026-12-01T03:00:00Z";
    assert!(monthly.stderr.contains(why), "{}", monthly.stderr);
    assert_eq!((monthly.code, audit("0 3 1 * *", "--strict").code), (0, 4));
    let daily = audit("0 3 * * *", "");
    assert_eq!(told(&daily, "WT0063").len(), 1, "{}", daily.stderr);
    assert_eq!(audit("0 3 * * *", "--strict").code, 0);
}
