//! Where things stand. `place` shows 1-based lines and columns, the end column just past the last character.

use super::*;

/// The places of all nodes with their text, depth first: `path place "text"`.
fn walk(text: &str, node: &Node<'_>, path: &str, out: &mut Vec<String>) {
    out.push(format!("{path} {} {:?}", place(&node.span), &text[node.span.range()]));
    match &node.value {
        Value::Map(entries) => {
            for e in entries {
                out.push(format!("{path}.{}: {} {:?}", e.key.text(), place(&e.key.span), &text[e.key.span.range()]));
                walk(text, &e.value, &format!("{path}.{}", e.key.text()), out);
            }
        }
        Value::Seq(items) => items.iter().enumerate().for_each(|(i, n)| walk(text, n, &format!("{path}[{i}]"), out)),
        Value::Null | Value::Scalar(_) => {}
    }
}

fn places(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    walk(text, &one(text), "", &mut out);
    out
}

#[test]
fn block_collections_end_at_their_last_character() {
    let text = "a:\n  - x: 1\n    y: two\n\n# comment\nb:\n  c: d   \n\n";
    assert_eq!(
        places(text),
        [
            r#" 1:1-7:7 "a:\n  - x: 1\n    y: two\n\n# comment\nb:\n  c: d""#,
            r#".a: 1:1-1:2 "a""#,
            r#".a 2:3-3:11 "- x: 1\n    y: two""#,
            r#".a[0] 2:5-3:11 "x: 1\n    y: two""#,
            r#".a[0].x: 2:5-2:6 "x""#,
            r#".a[0].x 2:8-2:9 "1""#,
            r#".a[0].y: 3:5-3:6 "y""#,
            r#".a[0].y 3:8-3:11 "two""#,
            r#".b: 6:1-6:2 "b""#,
            r#".b 7:3-7:7 "c: d""#,
            r#".b.c: 7:3-7:4 "c""#,
            r#".b.c 7:6-7:7 "d""#,
        ]
    );
}

#[test]
fn flow_collections_and_quotes_end_behind_their_closing_character() {
    let text = "a: [1, {b: \"c\"}, ]\nd: {\n  e: 'f'\n}\ng: []\n";
    let root = one(text);
    for (path, at_, cut) in [
        ("a", "1:4-1:19", "[1, {b: \"c\"}, ]"),
        ("a.1", "1:8-1:16", "{b: \"c\"}"),
        ("a.1.b", "1:12-1:15", "\"c\""),
        ("d", "2:4-4:2", "{\n  e: 'f'\n}"),
        ("g", "5:4-5:6", "[]"),
    ] {
        let span = at(&root, path).span;
        assert_eq!((place(&span).as_str(), &text[span.range()]), (at_, cut), "{path}");
    }
    assert_eq!(place(&root.span), "1:1-5:6");
}

#[test]
fn sequences_begin_at_their_first_dash_indented_or_not() {
    for (text, at_) in [
        ("k:\n- a\n- b\n", "2:1-3:4"),
        ("k: # c\n# - no\n\n- a\n", "4:1-4:4"),
        ("k: &x\n- a\n", "2:1-2:4"),
        ("k:\n-\n- b\n", "2:1-3:4"),
        ("k:\n  - a\n", "2:3-2:6"),
        ("k:\r\n- a\r\n", "2:1-2:4"),
    ] {
        let root = one(text);
        let span = at(&root, "k").span;
        assert_eq!(place(&span), at_, "{text:?}");
        assert!(text[span.range()].starts_with('-'));
    }
    let text = "l:\n  k:\n  - a: 1\n    b:\n    - c\n";
    let root = one(text);
    assert_eq!(place(&at(&root, "l.k").span), "3:3-5:8");
    assert_eq!(place(&at(&root, "l.k.0.b").span), "5:5-5:8");
    let nested = "- - a\n  - b\n-\n  - c\n";
    let root = one(nested);
    assert_eq!(place(&root.span), "1:1-4:6");
    assert_eq!(place(&at(&root, "0").span), "1:3-2:6");
    assert_eq!(place(&at(&root, "1").span), "4:3-4:6");
}

#[test]
fn omitted_values_stand_behind_their_colon_or_dash() {
    let root = one("a:\nb:  # c\nc :\nd: [{e: , f}]\ng:\n  -\n  - x\n");
    for (path, at_) in [
        ("a", "1:3-1:3"),
        ("b", "2:3-2:3"),
        ("c", "3:4-3:4"),
        ("d.0.e", "4:8-4:8"),
        ("d.0.f", "4:12-4:12"),
        ("g.0", "6:4-6:4"),
    ] {
        assert_eq!((place(&at(&root, path).span).as_str(), at(&root, path).is_null()), (at_, true), "{path}");
    }
    // The colon belongs to the mapping that it ends.
    assert_eq!(place(&one("x:\n  y:\n\n").span), "1:1-2:5");
}

#[test]
fn block_scalars_end_at_their_last_visible_character() {
    let text = "a: |\n  one\n  twö\n\n\nb: >-\n  x\n";
    let root = one(text);
    assert_eq!(place(&at(&root, "a").span), "2:3-3:6");
    assert_eq!(&text[at(&root, "a").span.range()], "one\n  twö");
    assert_eq!(place(&at(&root, "b").span), "7:3-7:4");
    assert_eq!(place(&root.span), "1:1-7:4");
}

#[test]
fn columns_count_characters_and_offsets_count_bytes() {
    let text = "é€😀: [ö, x]\nk: ü\n";
    let root = one(text);
    let key = root.as_map().unwrap()[0].key.span;
    assert_eq!((place(&key), key.start, key.end), ("1:1-1:4".to_owned(), 0, 9));
    let x = at(&root, "é€😀.1").span;
    assert_eq!((place(&x), &text[x.range()]), ("1:10-1:11".to_owned(), "x"));
    assert_eq!(&text[at(&root, "k").span.range()], "ü");
}

#[test]
fn a_byte_order_mark_takes_bytes_and_no_column() {
    let text = "\u{feff}a: 1\n---\nb: 2\n";
    let results = yaml(text);
    let spans: Vec<_> = results.iter().flatten().map(|d| (place(&d.root.span), d.root.span.start)).collect();
    assert_eq!(spans, [("1:1-1:5".to_owned(), 3), ("3:1-3:5".to_owned(), 12)]);
    let json = one_json("\u{feff}{\"a\": 1}");
    assert_eq!((place(&json.span), json.span.start), ("1:1-1:9".to_owned(), 3));
}

#[test]
fn places_in_later_documents_are_those_of_the_file() {
    let text = "# one\na: ä\n---\n# two\nb:\n  c: 1\n--- {d: 2}\n";
    let results = yaml(text);
    let cut: Vec<_> = results.iter().flatten().map(|d| (place(&d.root.span), &text[d.root.span.range()])).collect();
    assert_eq!(
        cut,
        [("2:1-2:5".to_owned(), "a: ä"), ("5:1-6:7".to_owned(), "b:\n  c: 1"), ("7:5-7:11".to_owned(), "{d: 2}")]
    );
}

#[test]
fn json_places_are_those_of_yaml() {
    let text = "{\n \"a\": [1, \"é\", {\"b\": null}],\r\n \"ö\": { }, \"c\": true\n}\n";
    let (mut from_json, mut from_yaml) = (Vec::new(), Vec::new());
    walk(text, &one_json(text), "", &mut from_json);
    walk(text, &one(text), "", &mut from_yaml);
    assert_eq!(from_json, from_yaml);
    assert_eq!(from_json.len(), 12);
}
