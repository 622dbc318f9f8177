//! Size, width and hygiene of files.

use crate::tree::{File, files, report};

/// Longest source file, in lines.
const LINES_MAX: usize = 600;
/// Widest line of code, in characters: rustfmt's `max_width`. It gives up on a whole statement when one part will not fit.
const CODE_MAX: usize = 120;
/// Widest comment; rustfmt leaves them alone.
const COMMENT_MAX: usize = 140;

/// Longer files, each with the reason.
const LONG: &[(&str, &str)] = &[];

fn rust() -> Vec<File> {
    files().into_iter().filter(|f| f.is("rs")).collect()
}

#[test]
fn source_files_are_short() {
    let mut complaints = Vec::new();
    let files = rust();
    for file in &files {
        let lines = file.text.lines().count();
        let listed = LONG.iter().any(|(path, _)| *path == file.path);
        if lines > LINES_MAX && !listed {
            complaints.push(format!("{}: {lines} lines, at most {LINES_MAX}: split it by subject", file.path));
        } else if lines <= LINES_MAX && listed {
            complaints.push(format!("{}: {lines} lines: no exception needed any more", file.path));
        }
    }
    for (path, _) in LONG.iter().filter(|(path, _)| !files.iter().any(|f| f.path == *path)) {
        complaints.push(format!("{path}: excepted, and gone"));
    }
    report("length", &complaints);
}

#[test]
fn lines_of_rust_fit() {
    let mut complaints = Vec::new();
    for file in rust() {
        for (number, line) in file.text.lines().enumerate() {
            let limit = if line.trim_start().starts_with("//") { COMMENT_MAX } else { CODE_MAX };
            let width = line.chars().count();
            // An address cannot be broken, and a message or a record in a string is better whole: one can search for it.
            if width > limit && !line.contains("https://") && !line.contains('"') {
                complaints.push(format!("{}:{}: {width} characters, at most {limit}", file.path, number + 1));
            }
        }
    }
    report("width", &complaints);
}

#[test]
fn every_module_says_what_it_is() {
    let complaints: Vec<String> = rust()
        .iter()
        // A sibling `tests.rs` is part of the module it tests.
        .filter(|f| !f.text.starts_with("//!") && !f.path.ends_with("/tests.rs"))
        .map(|f| format!("{}: begin with `//!`: role, input, output, what it does not do", f.path))
        .collect();
    report("module headers", &complaints);
}

/// The one file that may call the kernel without the compiler's help; each use in it says why it is sound (clippy sees to it).
const UNSAFE: &str = "crates/datapath/src/kernel/sys.rs";

#[test]
fn unsafe_in_one_place() {
    let mut complaints = Vec::new();
    // Written apart, or this file would be the first it finds.
    let word = concat!("un", "safe ");
    for file in rust().into_iter().filter(|f| f.path != UNSAFE) {
        for (number, line) in file.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if [format!("{word}{{"), format!("{word}fn"), format!("{word}impl")].iter().any(|w| code.contains(w)) {
                complaints.push(format!("{}:{}: only {UNSAFE} may", file.path, number + 1));
            }
        }
    }
    report("memory safety", &complaints);
}

#[test]
fn no_places_of_one_machine() {
    let mut complaints = Vec::new();
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    for file in files() {
        for (number, line) in file.text.lines().enumerate() {
            for place in places.iter().filter(|p| line.contains(**p)) {
                complaints.push(format!("{}:{}: `{place}` exists on one machine only", file.path, number + 1));
            }
        }
    }
    report("places", &complaints);
}

#[test]
fn text_is_clean() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|f| ["rs", "toml", "md", "yaml", "json", "jsonl", "csv"].iter().any(|e| f.is(e)))
    {
        // Bad input is bad on purpose.
        if file.path.contains("/tests/") || file.path.contains("/hostile/") || file.text.is_empty() {
            continue;
        }
        if !file.text.ends_with('\n') {
            complaints.push(format!("{}: no newline at the end", file.path));
        }
        for (number, line) in file.text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                complaints.push(format!("{}:{}: white space at the end", file.path, number + 1));
            }
        }
    }
    report("text", &complaints);
}
