//! A real API server judges the cases that our reader is tested with: each is sent as a dry run, and verdict, fields and
//! words must be the same. What differs and stays so is in `differences.txt`, with its reason.
//!
//! Needs a cluster: `./dev cluster test` starts one and runs this.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and say what was measured"
)]

#[path = "../common/mod.rs"]
mod common;
mod server;

use common::cases::{ACCEPTED, CLUSTER_ACCEPTED, CLUSTER_REJECTED, OBJECTS, cluster_policy, rejected};
use common::{faults, policy};
use server::{Answer, Server};
use std::collections::BTreeMap;

const NAMESPACED: &str = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";
const CLUSTER: &str = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";

/// How exactly the two must agree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agree {
    /// The same fields with the same words.
    Words,
    /// The same fields. Schema errors are worded by the server's libraries, and several may stand for one fault.
    Fields,
}

/// Cases that are known to differ, each with its reason; and those that were seen to.
struct Differences {
    known: BTreeMap<&'static str, &'static str>,
    seen: Vec<String>,
    wrong: String,
    agreed: usize,
}

impl Differences {
    fn new() -> Self {
        let lines = include_str!("differences.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let known = lines.map(|l| l.split_once(" # ").unwrap_or_else(|| panic!("no reason: {l}"))).collect();
        Self { known, seen: Vec::new(), wrong: String::new(), agreed: 0 }
    }

    fn judge(&mut self, case: &str, ours: &[String], theirs: &Answer, how: Agree) {
        let (theirs, unreadable) = match theirs {
            Answer::Accepted => (Vec::new(), false),
            Answer::Refused(causes) => (causes.clone(), false),
            Answer::Unreadable(fields) => (fields.clone(), true),
        };
        let cut = |list: &[String]| {
            let mut cut: Vec<String> = match how {
                Agree::Words => list.to_vec(),
                Agree::Fields => list.iter().map(|m| m.split(": ").next().unwrap_or_default().to_owned()).collect(),
            };
            cut.sort();
            if how == Agree::Fields {
                cut.dedup();
            }
            cut
        };
        let same = if unreadable {
            // The server stops at the first; each of its fields must be among ours.
            !theirs.is_empty()
                && theirs.iter().all(|field| ours.iter().any(|m| names(m, field) || names(&without_indices(m), field)))
        } else {
            cut(ours) == cut(&theirs)
        };
        if same {
            self.agreed += 1;
        } else if self.known.contains_key(case) {
            self.seen.push(case.to_owned());
        } else {
            self.wrong.push_str(&format!("{case}\n  here   {ours:#?}\n  server {theirs:#?}\n"));
        }
    }

    fn end(self) {
        println!("{} cases agree, {} differ for a known reason", self.agreed, self.seen.len());
        assert!(self.wrong.is_empty(), "\n{}", self.wrong);
        let stale: Vec<_> = self.known.keys().filter(|k| !self.seen.iter().any(|s| s == *k)).collect();
        assert!(stale.is_empty(), "these do not differ (any more): {stale:#?}");
    }
}

/// True if a message of ours is about this field: it starts with it (or with something below it), or quotes it.
fn names(message: &str, field: &str) -> bool {
    let at = |end: char| message.starts_with(&format!("{field}{end}"));
    at(':') || at('.') || message.contains(&format!("`{field}`"))
}

fn without_indices(message: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in message.chars() {
        match c {
            '[' => inside = true,
            ']' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn offline_equals_online() {
    let server = Server::start();
    let mut differences = Differences::new();
    for (spec, _) in &rejected() {
        let text = policy(spec);
        differences.judge(spec, &faults(&text), &server.create(NAMESPACED, &text), Agree::Words);
    }
    for spec in ACCEPTED {
        let text = policy(spec);
        differences.judge(spec, &faults(&text), &server.create(NAMESPACED, &text), Agree::Words);
    }
    for spec in CLUSTER_REJECTED.iter().chain(&CLUSTER_ACCEPTED) {
        let text = cluster_policy(spec);
        differences.judge(spec, &faults(&text), &server.create(CLUSTER, &text), Agree::Fields);
    }
    for text in OBJECTS {
        let case = text.lines().skip(2).collect::<Vec<_>>().join("; ");
        differences.judge(&case, &faults(text), &server.create(NAMESPACED, text), Agree::Words);
    }
    differences.end();
}

/// The judge can say both, and says why: else agreement would mean nothing.
#[test]
fn the_server_judges() {
    let server = Server::start();
    assert_eq!(server.create(NAMESPACED, &policy("{}")), Answer::Accepted);
    let refused = server.create(NAMESPACED, &policy("{ingress: [{ports: [{port: 0}]}]}"));
    assert_eq!(
        refused,
        Answer::Refused(vec![
            "spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive".to_owned()
        ])
    );
}
