//! Documentation that runs. Every ```` ```console ```` block of a page is a transcript: `$ watertight …`, what it prints
//! (standard output, then standard error), and `[exit N]` if the exit code is not 0. Transcripts run in order in a scratch
//! directory that holds `examples` and `docs` of the repository; `> FILE` and `< FILE` work, nothing else of a shell does.
//!
//! A page that must have transcripts and has none fails, and so does one that shows a `watertight` command outside of them.
//! `SNAPSHOTS=overwrite cargo test -p watertight-cli docs` writes what is printed into the pages.

use crate::common::root;
use crate::transcript::{execute, split};
use snapbox::{Assert, Data};
use std::path::PathBuf;

/// Pages without commands of their own.
const WITHOUT: &[&str] = &[
    "docs/README.md",
    "docs/semantics.md",
    "docs/lints.md",
    "docs/datapath.md",
    // What it shows needs a cluster: `tests/cluster/agents.rs` and `testbed/test/chart` do it.
    "docs/kubernetes.md",
    // These need root: `tests/agent.rs` and `tests/lab.rs` run them.
    "docs/commands/agent.md",
    "docs/commands/lab.md",
    "docs/commands/verify.md",
];

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["docs", "docs/commands"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

#[test]
fn transcripts() {
    let assert = Assert::new().action_env("SNAPSHOTS").redact_with(snapbox::Redactions::new());
    let mut ran = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        let scratch = tempfile::tempdir().unwrap();
        for folder in ["examples", "docs"] {
            #[cfg(unix)]
            std::os::unix::fs::symlink(root().join(folder), scratch.path().join(folder)).unwrap();
        }
        let (actual, count) = execute(&name, &text, scratch.path());
        assert!(count > 0 || WITHOUT.contains(&name.as_str()), "{name} shows no command that runs");
        assert.eq(actual, Data::read_from(&page, None).raw());
        ran += count;
    }
    assert!(ran > 20, "only {ran} transcripts ran");
}

#[test]
fn the_runner_notices() {
    let scratch = tempfile::tempdir().unwrap();
    let page = "x\n```console\n$ watertight version\nwatertight 0.0.0\n$ watertight frob\n```\n";
    let (actual, count) = execute("p", page, scratch.path());
    assert_eq!(count, 2);
    assert_ne!(actual, page);
    assert!(actual.contains(concat!("$ watertight version\nwatertight ", env!("CARGO_PKG_VERSION"), "\n")), "{actual}");
    assert!(actual.contains("[exit 2]\n```\n"), "{actual}");
    assert_eq!(split("a 'b c' \"d\" ''"), ["a", "b c", "d", ""]);
}
