//! The literate cases against the oracle, and the bookkeeping of rows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a corpus that cannot be read fails them")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use watertight_testkit::case::{Corpus, Oracle, Problem, ROWS, scale};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn show(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}

fn corpus() -> Corpus {
    Corpus::load(&root().join("cases")).unwrap_or_else(|problems| panic!("\n{}", show(&problems)))
}

#[test]
fn every_case_holds_for_the_oracle() {
    let report = corpus().run(&Oracle);
    println!("{}", report.counts);
    assert!(report.problems.is_empty(), "\n{report}");
    assert!(report.counts.executions >= 400, "{}", report.counts);
}

#[test]
fn every_row_is_a_case_or_explained_once() {
    let problems = corpus().row_problems();
    assert!(problems.is_empty(), "\n{}", show(&problems));
    assert_eq!(ROWS.count(), 174);
}

#[test]
fn what_is_elsewhere_is_there() {
    let mut sources = Vec::new();
    collect(&root().join("crates"), &mut sources);
    let all: String = sources.iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    let mut missing = BTreeSet::new();
    for entry in corpus().elsewhere {
        for test in entry.covered_by.iter().filter(|t| *t != "datapath") {
            if !all.contains(&format!("fn {test}(")) {
                missing.insert(format!("row {}: there is no `fn {test}`", entry.row));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn row_174_more_rules_than_16_bits_count() {
    let problems = scale::more_rules_than_16_bits_count(&Oracle);
    assert!(problems.is_empty(), "\n{}", show(&problems));
}
