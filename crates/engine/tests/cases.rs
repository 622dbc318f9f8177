//! The literate cases against the engine: the same corpus that judges the oracle, and the questions about Services.
#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use watertight_engine::Engine;
use watertight_engine::query::{Question, Target, answer};
use watertight_model::{Endpoint, Flow, FlowVerdict, L4, World};
use watertight_testkit::case::{Corpus, Judge, ServiceAnswer, ServiceFlow};

struct Fast;

impl Judge for Fast {
    fn decide(&self, world: &World, flow: &Flow) -> FlowVerdict {
        Engine::new(world).decide(flow)
    }

    fn service(&self, world: &World, question: &ServiceFlow) -> Option<ServiceAnswer> {
        let engine = Engine::new(world);
        let from = match question.from {
            Endpoint::Pod(id) => Target::Pod(id),
            Endpoint::Node(id) => Target::Node(id),
            Endpoint::External(ip) => Target::Ip(ip),
        };
        let (protocol, port) = match question.l4 {
            L4::Port(protocol, port) => (Some(protocol), port),
            L4::Other => (None, 0),
        };
        let answer = answer(&engine, &Question { from, to: Target::Service(question.service), protocol, port });
        let mut backends: Vec<FlowVerdict> = Vec::new();
        for case in answer.cases {
            if !backends.contains(&case.verdict) {
                backends.push(case.verdict);
            }
        }
        Some(ServiceAnswer { verdict: answer.verdict, backends })
    }
}

fn corpus() -> Corpus {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases");
    Corpus::load(&root)
        .unwrap_or_else(|problems| panic!("\n{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>()))
}

#[test]
fn every_case_holds_for_the_engine() {
    let report = corpus().run(&Fast);
    println!("{}", report.counts);
    assert!(report.problems.is_empty(), "\n{report}");
    assert!(report.counts.executions >= 400, "{}", report.counts);
}

/// Row 174.
#[test]
fn the_order_of_rules_holds_past_16_bits() {
    let problems = watertight_testkit::case::scale::more_rules_than_16_bits_count(&Fast);
    assert!(problems.is_empty(), "{problems:?}");
}
