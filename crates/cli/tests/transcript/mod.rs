//! Runs the transcripts of a page of documentation. What a transcript is: `it/docs.rs`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The page with what its commands print now, and how many ran.
pub(crate) fn execute(page: &str, text: &str, scratch: &Path) -> (String, usize) {
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
pub(crate) fn split(command: &str) -> Vec<String> {
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
