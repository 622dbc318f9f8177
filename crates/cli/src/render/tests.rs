use super::*;
use crate::page::{Table, Text, Tone, toned};
use serde_json::json;

fn bytes(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn json_breaks_lines_at_the_outer_levels() {
    let value = json!({"a": [], "b": [{"x": 1, "y": [1, 2]}, {}], "c": {}});
    let text = bytes(|out| json::write(&value, out));
    assert_eq!(text, "{\n  \"a\": [],\n  \"b\": [\n    {\"x\": 1, \"y\": [1, 2]},\n    {}\n  ],\n  \"c\": {}\n}\n");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
}

#[test]
fn yaml_is_the_same_data() {
    let value = json!({"list": [1, [2, "3"], {"a": null}, []], "text": "two\nlines\n", "no": "x: y", "yes": "true", "map": {"b": 1.5, "c": {}}, "odd": " a\nb"});
    let text = bytes(|out| yaml::write(&value, out));
    let expected = "list:\n- 1\n- \n  - 2\n  - \"3\"\n- a: null\n- []\nmap:\n  b: 1.5\n  c: {}\n\"no\": \"x: y\"\nodd: \" a\\u000ab\"\ntext: |\n  two\n  lines\n\"yes\": \"true\"\n";
    assert_eq!(text, expected);
}

#[test]
fn csv_is_safe_in_a_spreadsheet() {
    let cells = ["=1+1", "a,b", "say \"x\"", "a\u{1b}b"];
    assert_eq!(bytes(|out| csv::row(&cells, out)), "'=1+1,\"a,b\",\"say \"\"x\"\"\",a\\u{1b}b\n");
}

#[test]
fn dot_labels_cannot_break_out() {
    let mut graph = dot::Graph { name: "g", ..dot::Graph::default() };
    graph.node("a\"];x", "n\\s", "l\nm");
    let text = graph.text();
    assert!(text.contains(r#""a\"];x" [label="l\\nm"];"#) && text.contains(r#"label="n\\s""#), "{text}");
}

#[test]
fn tables_align_and_group_without_colour_counting() {
    let mut table = Table::new(["A", "LONGER"]);
    table.grouped = 1;
    table.row([toned(Tone::Bad, "x"), "1".into()]);
    table.row([toned(Tone::Bad, "x"), "2".into()]);
    table.row(["größer".into(), "3".into()]);
    let mut page = Page::default();
    page.table(table);
    let plain = terminal::text(&page, Look::default());
    assert_eq!(plain, "A        LONGER\nx        1\n         2\ngrößer   3\n");
    let coloured = terminal::text(&page, Look { colour: true, width: None });
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    assert_ne!(coloured, plain);
}

#[test]
fn names_cannot_steer_a_terminal_or_a_document() {
    let mut page = Page::default();
    page.line(Text::from("\u{1b}[31mred\u{202e} <img src=x> [a](b) @all | `c|d`"));
    page.code("yaml", "a: \u{9b}1m\n```\nb");
    let terminal = terminal::text(&page, Look { colour: true, width: None });
    assert!(!terminal.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{terminal:?}");
    let markdown = markdown::text(&page);
    assert!(markdown.contains(r"\<img src=x\> \[a\](b) &#64;all \| `c\|d`"), "{markdown}");
    assert!(markdown.contains("````yaml"), "{markdown}");
}

#[test]
fn sarif_of_a_failure_says_so() {
    let failure = crate::Failure::usage("bad \u{1b}", "help");
    let text = bytes(|out| write_error(&ErrorView::of(&failure), Format::Sarif, out));
    let log: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], false);
    assert_eq!(log["runs"][0]["invocations"][0]["exitCode"], 2);
}
