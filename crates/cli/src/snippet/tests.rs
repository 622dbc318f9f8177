use super::*;
use watertight_model::{SourceId, Str};

fn source(name: &str, text: Option<&str>) -> Source {
    Source { name: Str::from(name), text: text.map(Str::from) }
}

fn mark(line: u32, column: u32, end_line: u32, end_column: u32, label: &str) -> Mark {
    Mark { at: Origin { source: SourceId(0), line, column, end_line, end_column }, label: label.into(), primary: true }
}

fn draw(source: Source, marks: &[Mark]) -> String {
    Excerpt::cut(&[source], marks).draw(false, None)
}

#[test]
fn columns_count_characters() {
    let text = draw(source("a.yaml", Some("größe: ü # 東京\nx: 1\n")), &[mark(1, 8, 1, 9, "here")]);
    assert!(text.contains("--> a.yaml:1:8"), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|l| l.contains("größe")).unwrap();
    let column = |l: &str, c: char| l.chars().position(|x| x == c).unwrap();
    assert_eq!(column(lines[at], 'ü'), column(lines[at + 1], '^'), "{text}");
}

#[test]
fn a_byte_order_mark_is_no_column() {
    let text = draw(source("a.yaml", Some("\u{feff}kind: X\r\nb: 2\r\n")), &[mark(1, 7, 1, 8, "")]);
    assert!(text.contains("a.yaml:1:7") && !text.contains('\r') && !text.contains('\u{feff}'), "{text}");
}

#[test]
fn hostile_lines_are_masked_in_place() {
    let text = draw(source("a\u{1b}.yaml", Some("a: \u{1b}[2J \u{202e}b: 1\n")), &[mark(1, 10, 1, 11, "la\u{7}bel")]);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
    assert!(text.contains(":1:10") && text.contains("la\\u{7}bel"), "{text}");
}

#[test]
fn minified_text_is_named_by_place_only() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
    let text = draw(source("a.json", Some(&long)), &[mark(1, 3000, 1, 3001, "here")]);
    assert!(text.contains("a.json:1:3000") && !text.contains("xxxx"), "{text}");
}

#[test]
fn without_text_there_is_a_place_and_live_objects_have_no_line() {
    assert!(draw(source("big.yaml", None), &[mark(7, 3, 7, 4, "")]).contains("big.yaml:7:3"));
    let live = draw(source("cluster:prod", Some("{}\n")), &[mark(1, 1, 1, 2, "")]);
    assert!(live.contains("cluster:prod") && !live.contains(":1:1"), "{live}");
}

#[test]
fn places_past_the_end_do_not_break_it() {
    for mark in [mark(9, 1, 9, 4, ""), mark(1, 99, 1, 120, ""), mark(1, 2, 0, 0, ""), mark(2, 1, 1, 1, "")] {
        let text = draw(source("a.yaml", Some("a: 1")), &[mark]);
        assert!(text.contains("a.yaml"), "{text}");
    }
}

#[test]
fn far_places_are_drawn_apart_and_only_their_lines_are_kept() {
    let body: String = (1..=1000).map(|i| format!("line{i}: {i}\n")).collect();
    let text = draw(source("a.yaml", Some(&body)), &[mark(10, 1, 10, 5, "first"), mark(900, 1, 900, 5, "second")]);
    assert!(text.contains("line10:") && text.contains("line900:") && !text.contains("line500:"), "{text}");
    assert!(text.lines().count() < 20, "{text}");
}
