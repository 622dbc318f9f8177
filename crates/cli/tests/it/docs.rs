//! Documentation that runs. Every ```` ```console ```` block of a page is a transcript: `$ watertight …`, what it prints
//! (standard output, then standard error), and `[exit N]` if the exit code is not 0. Transcripts run in order in a scratch
//! directory that holds `examples` and `docs` of the repository; `> FILE` and `< FILE` work, nothing else of a shell does.
//!
//! A page that must have transcripts and has none fails, and so does one that shows a `watertight` command outside of them.
//! `SNAPSHOTS=overwrite cargo test -p watertight-cli docs` writes what is printed into the pages.

use crate::common::root;
use snapbox::{Assert, Data};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pages without commands of their own.
const WITHOUT: &[&str] = &["docs/README.md", "docs/semantics.md", "docs/lints.md"];

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

/// The page with what its commands print now, and how many ran.
fn execute(page: &str, text: &str, scratch: &Path) -> (String, usize) {
    let (mut out, mut count) = (String::new(), 0);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
        if language == "console" {
            let commands: Vec<&str> = block.iter().filter_map(|l| l.strip_prefix("$ ")).collect();
            assert!(
                block.first().is_some_and(|l| l.starts_with("$ ")),
                "{page}: a console block begins with a command"
            );
            for (i, command) in commands.iter().enumerate() {
                if i > 0 {
                    out.push('\n');
                }
                writeln!(out, "$ {command}").unwrap();
                out.push_str(&run(page, command, scratch));
                count += 1;
            }
        } else {
            let shown = block.iter().any(|l| l.trim_start_matches("$ ").starts_with("watertight "));
            assert!(!shown || language == "text", "{page}: a command in a `{language}` block does not run");
            block.iter().for_each(|l| writeln!(out, "{l}").unwrap());
        }
        out.push_str("```\n");
    }
    (out, count)
}

fn run(page: &str, command: &str, scratch: &Path) -> String {
    let words = split(command);
    let mut words = words.iter().map(String::as_str);
    let program = words.next().unwrap();
    if program == "cat" {
        return words.map(|file| std::fs::read_to_string(scratch.join(file)).unwrap()).collect();
    }
    assert_eq!(program, "watertight", "{page}: `{command}`");
    let mut process = Command::new(snapbox::cmd::cargo_bin!("watertight"));
    process.current_dir(scratch).env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    let mut to_file = None;
    while let Some(word) = words.next() {
        match word {
            ">" => to_file = Some(scratch.join(words.next().unwrap())),
            "<" => {
                let file = std::fs::File::open(scratch.join(words.next().unwrap())).unwrap();
                process.stdin(file);
            }
            word => {
                assert!(!word.contains(['|', ';', '&', '$', '`']), "{page}: `{command}` wants a shell");
                process.arg(OsString::from(word));
            }
        }
    }
    let output = process.output().unwrap();
    let mut shown = String::new();
    match to_file {
        Some(file) => std::fs::write(file, &output.stdout).unwrap(),
        None => shown.push_str(&String::from_utf8(output.stdout).unwrap()),
    }
    shown.push_str(&String::from_utf8(output.stderr).unwrap());
    let code = output.status.code().unwrap();
    if code != 0 {
        if !shown.is_empty() && !shown.ends_with('\n') {
            shown.push('\n');
        }
        writeln!(shown, "[exit {code}]").unwrap();
    }
    // No line ends in spaces in a page.
    shown.lines().map(|l| format!("{}\n", l.trim_end())).collect()
}

/// Words, with '...' and "..." as one.
fn split(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
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
