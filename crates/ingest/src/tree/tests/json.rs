//! JSON: what is read and what is refused.

use super::*;

#[test]
fn values() {
    let text =
        r#" {"a": [1, -2.5e3, "x\n\u00e9\ud83d\ude00\/", true, false, null], "b": {}, "c": [], "<<": {"d": "80"}} "#;
    assert_eq!(
        show(&one_json(text)),
        r#"{a: [=1, =-2.5e3, "x\né😀/", =true, =false, null], b: {}, c: [], <<: {d: "80"}}"#
    );
}

#[test]
fn several_values_after_one_another_and_none() {
    let shown: Vec<_> = json("{\"a\":1}\n{\"b\":2}[3]").iter().map(|r| show(&r.as_ref().unwrap().root)).collect();
    assert_eq!(shown, ["{a: =1}", "{b: =2}", "[=3]"]);
    assert!(json("").is_empty());
    assert!(json(" \n").is_empty());
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (text, at_, part) in [
        ("{\"a\": NaN}", "1:7-1:8", "NaN"),
        ("{\"a\": -Infinity}", "1:8-1:9", "expected a digit"),
        ("{\"a\": Infinity}", "1:7-1:8", "Infinity"),
        ("{\"a\": 01}", "1:7-1:8", "leading zeros"),
        ("{\"a\": 1.}", "1:9-1:10", "decimal point"),
        ("{\"a\": 1e}", "1:9-1:10", "exponent"),
        ("{\"a\": 0x50}", "1:8-1:9", "expected `,` or `}`"),
        ("{\"a\": 1,}", "1:9-1:10", "key in double quotes"),
        ("[1 2]", "1:4-1:5", "expected `,` or `]`"),
        ("[1,]", "1:4-1:5", "expected a value"),
        ("{a: 1}", "1:2-1:3", "key in double quotes"),
        ("{\"a\" 1}", "1:6-1:7", "expected `:`"),
        ("{\"a\": 1", "1:8-1:8", "expected `,` or `}`"),
        ("{\"a\":", "1:6-1:6", "the text ends"),
        ("{\n\"é\": tru }", "2:6-2:7", "expected a value"),
        ("{\"a\": nullx}", "1:11-1:12", "after a value"),
        ("\"abc", "1:1-1:2", "not closed"),
        ("\"a\nb\"", "1:3-1:3", "control character"),
        ("\"\\x\"", "1:2-1:3", "unknown escape"),
        ("\"\\u12g4\"", "1:2-1:3", "four hexadecimal"),
        ("\"\\ud800\"", "1:2-1:3", "high surrogate without"),
        ("\"\\ud800\\u0041\"", "1:2-1:3", "high surrogate without"),
        ("\"\\udc00\"", "1:2-1:3", "low surrogate without"),
        ("// c\n{}", "1:1-1:2", "expected a value"),
    ] {
        let error = fault_json(text);
        assert!(error.message().contains(part), "{text:?}: {}", error.message());
        assert!(error.message().starts_with("this is not valid JSON: "));
        let at_ = if text == "\"a\nb\"" { "1:3-2:1" } else { at_ };
        assert_eq!(place(&error.span), at_, "{text:?}");
    }
}

#[test]
fn trailing_data_is_an_error_and_what_came_before_is_kept() {
    let results = json("{\"a\": 1} x");
    assert!(results[0].is_ok());
    let error = errors(results).remove(0);
    assert_eq!((error.code(), place(&error.span)), ("json-syntax", "1:10-1:11".to_owned()));
}

#[test]
fn all_duplicate_keys_are_reported_with_both_places() {
    let errors = errors(json("{\"a\": 1, \"b\": {\"c\": 1, \"\\u0063\": 2},\n \"a\": 3}"));
    let seen: Vec<_> = errors.iter().map(|e| (e.message(), place(&e.span), place(&e.notes()[0].0))).collect();
    let expected = [
        ("key `c` is already set on line 1", "1:24-1:32", "1:16-1:19"),
        ("key `a` is already set on line 1", "2:2-2:5", "1:2-1:5"),
    ];
    assert_eq!(seen, expected.map(|(m, a, b)| (m.to_owned(), a.to_owned(), b.to_owned())));
}

#[test]
fn numbers_out_of_range() {
    let error = fault_json("[1e400]");
    assert_eq!(
        (error.message().as_str(), place(&error.span)),
        ("number `1e400` is out of range", "1:2-1:7".to_owned())
    );
    let long = format!("[{}]", "9".repeat(400));
    assert_eq!(fault_json(&long).code(), "number-range");
    assert_eq!(show(&one_json("[1e308, 1e-400, 99999999999999999999]")), "[=1e308, =1e-400, =99999999999999999999]");
}

#[test]
fn the_fast_path_of_strings_stops_at_every_special_byte() {
    for special in ["\\n", "é", "😀", "\\\\", "\\\""] {
        for before in 0..20 {
            for after in 0..10 {
                let text = format!("\"{}{special}{}\"", "x".repeat(before), "y".repeat(after));
                let expected: String = format!("{}{special}{}", "x".repeat(before), "y".repeat(after));
                let expected = expected.replace("\\n", "\n").replace("\\\\", "\\").replace("\\\"", "\"");
                let root = one_json(&text);
                assert_eq!(root.as_scalar().unwrap().text, expected);
                assert_eq!(root.span.end_column as usize, text.chars().count() + 1, "{text}");
            }
        }
    }
    for control in ["\u{1}", "\u{1f}", "\t", "\n"] {
        for before in 0..20 {
            let text = format!("\"{}{control}yyyyyyyyyy\"", "x".repeat(before));
            assert_eq!(fault_json(&text).span.start as usize, before + 1);
        }
    }
    // Neighbours of the special bytes are ordinary.
    let text = "\"!#[]\u{7f} !#[]\u{7f} !#[]\u{7f}\"";
    assert_eq!(one_json(text).as_scalar().unwrap().text, text.trim_matches('"'));
}

#[test]
fn formats_are_told_apart() {
    for (name, text, json) in [
        ("x.json", "a: 1", true),
        ("x.JSON", "", true),
        ("x.yaml", "{\"a\": 1}", true),
        ("-", "\u{feff} \n{\n \"a\": 1}", true),
        ("-", "[{}]", true),
        ("-", "{}", true),
        ("x", "{a: 1}", false),
        ("x", "{{ .Values.x }}", false),
        ("x", "a: 1", false),
        ("x", "{\"a\": 1}\n---\nb: 2\n", false),
        ("x.yaml", "", false),
    ] {
        assert_eq!(Format::of(name, text) == Format::Json, json, "{name} {text:?}");
    }
}
