//! Hostile and broken input: a precise error, soon. (Sizes are what the readers' promise names; the time of each test is a
//! fraction of a second in release.)

use std::time::{Duration, Instant};

use super::*;

/// Far above what is needed even without optimisation; an exponential reader would need years.
const SOON: Duration = Duration::from_secs(20);

fn timed<T>(f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = f();
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    result
}

#[test]
fn alias_bomb() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let prev = i - 1;
        let aliases = vec![format!("*a{prev}"); 9].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    let error = timed(|| fault(&text));
    assert_eq!(error.code(), "alias-expansion");
    assert!(error.span.line > 1 && error.span.line < 6, "{error:?}");
    // With merge keys instead.
    let mut text = "a0: &a0 {x: {y: 1}}\n".to_owned();
    for i in 1..30 {
        let prev = i - 1;
        text.push_str(&format!("a{i}: &a{i} {{<<: *a{prev}, k{i}: *a{prev}}}\n"));
    }
    assert_eq!(timed(|| fault(&text)).code(), "alias-expansion");
}

#[test]
fn alias_bomb_of_long_text() {
    let mut text = format!("a: &a \"{}\"\nb:\n", "x".repeat(1_000_000));
    text.push_str(&"- *a\n".repeat(50_000));
    assert_eq!(timed(|| fault(&text)).code(), "alias-expansion");
}

#[test]
fn many_small_bombs() {
    // Each document may copy four nodes for each of its bytes.
    let one = "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n---\n";
    let errors = timed(|| errors(yaml(&one.repeat(1000))));
    assert_eq!(errors.len(), Limits::default().max_errors + 1);
    assert_eq!(errors[0].code(), "alias-expansion");
}

#[test]
fn alias_cycles() {
    let error = fault("a: &x [*x]\n");
    assert_eq!(error.message(), "alias `*x` stands inside its own anchor `&x`");
    assert_eq!(place(&error.span), "1:8-1:10");
    assert_eq!(fault("&x a: {b: &y {c: [*y]}}\n").code(), "alias-cycle");
    assert_eq!(fault("&x\na:\n  <<: *x\n").code(), "alias-cycle");
    // Not a cycle: the anchor is closed.
    assert_eq!(show(&one("a: &x [1]\nb: [*x]\n")), "{a: [=1], b: [[=1]]}");
}

#[test]
fn nesting() {
    for text in [
        "[".repeat(1_000_000),
        "{a: ".repeat(1_000_000),
        "- ".repeat(1_000_000),
        "? ".repeat(1_000_000),
        "[{a: ".repeat(500_000),
        format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000)),
        (0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect(),
    ] {
        let error = timed(|| fault(&text));
        assert_eq!(error.kind, ErrorKind::TooDeep { limit: 64 }, "{}", &text[..8]);
        assert!(error.span.line == 1 && error.span.column < 300 || error.span.line == 65, "{error:?}");
    }
    for text in ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000)] {
        assert_eq!(timed(|| fault_json(&text)).code(), "too-deep");
    }
}

#[test]
fn nesting_within_and_past_the_budget() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(yaml(&nested(64))[0].is_ok());
    assert_eq!(fault(&nested(65)).kind, ErrorKind::TooDeep { limit: 64 });
    assert!(json(&nested(64))[0].is_ok());
    assert_eq!(fault_json(&nested(65)).kind, ErrorKind::TooDeep { limit: 64 });
    // Through an alias: 40 inside 30.
    let text = format!("a: &a {}\nb: {}*a{}\n", nested(40), "[".repeat(30), "]".repeat(30));
    assert_eq!(fault(&text).code(), "too-deep");
    // A document that is too deep hides no other.
    let text = format!("{}\n---\nb: 1\n", "[".repeat(100));
    assert!(yaml(&text)[0].is_err() && yaml(&text)[1].is_ok());
}

#[test]
fn long_scalars() {
    let million = "x".repeat(1_000_000);
    for text in [format!("a: {million}\n"), format!("a: \"{million}\"\n"), format!("a: |\n  {million}\n")] {
        assert_eq!(timed(|| at(&one(&text), "a").as_scalar().unwrap().text.trim_end().len()), 1_000_000);
    }
    let two = "x".repeat(2_000_000);
    let error = timed(|| fault(&format!("a: {two}\n")));
    assert_eq!(error.message(), "a scalar is longer than 1572864 bytes");
    assert_eq!(fault_json(&format!("[\"{two}\"]")).code(), "scalar-too-long");
    assert_eq!(timed(|| fault(&format!("a: 1\n? {two}\n: b\n"))).code(), "scalar-too-long");
}

#[test]
fn a_million_documents() {
    let text = "---\na: 1\n".repeat(1_000_000);
    let mut count = 0;
    timed(|| {
        documents(&text, Format::Yaml, &Limits::default(), &mut |r| {
            count += usize::from(r.is_ok());
        });
    });
    assert_eq!(count, 1_000_000);
    // A byte-wise splitter that looked at the whole rest each time would need minutes here too.
    let blank = "---\n".repeat(1_000_000);
    assert!(timed(|| yaml(&blank)).is_empty());
}

#[test]
fn a_million_errors() {
    let text = "---\na: [\n".repeat(100_000);
    let found = timed(|| errors(yaml(&text)));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100].message(), "more than 100 errors: the rest of the input is not read");
    let text = format!("{{{}}}", "\"a\": 1, ".repeat(100_000) + "\"b\": 1");
    let found = timed(|| errors(json(&text)));
    assert_eq!((found.len(), found[99].code(), found[100].code()), (101, "WT0002", "too-many-errors"));
    assert_eq!(timed(|| errors(yaml(&text))).len(), 101);
    let text = "a: {{ x }}\n".repeat(100_000);
    assert_eq!(timed(|| errors(yaml(&text))).len(), 101);
}

#[test]
fn wide_collections_and_keys_chosen_to_collide() {
    let text = format!("{{{}}}", (0..200_000).map(|i| format!("k{i}: v,")).collect::<String>());
    assert_eq!(timed(|| one(&text).as_map().unwrap().len()), 200_000);
    let text = format!("[{}]", "a,".repeat(500_000));
    assert_eq!(timed(|| one(&text).as_seq().unwrap().len()), 500_000);
    let merges = format!(
        "a: &a {{{}}}\nb:\n  <<: [{}]\n",
        (0..100).map(|i| format!("k{i}: v,")).collect::<String>(),
        "*a,".repeat(30)
    );
    assert_eq!(timed(|| at(&one(&merges), "b").as_map().unwrap().len()), 100);
}

#[test]
fn noise_that_costs_scanners_dear() {
    for text in [
        ":".repeat(300_000),
        "!a ".repeat(100_000),
        "&a ".repeat(100_000),
        "*a ".repeat(100_000),
        "%a b\n".repeat(100_000),
        "\"\" ".repeat(100_000),
        format!("a: \"{}", "x\n".repeat(300_000)),
        format!("a: '{}", " ".repeat(1_000_000)),
        "- - - - ? ? : :\n".repeat(30_000),
        "a: b: ".repeat(100_000),
        "{{".repeat(300_000),
    ] {
        let found = timed(|| yaml(&text));
        assert!(found.iter().any(Result::is_err), "{:?}", &text[..8]);
    }
    for text in ["\n".repeat(1_000_000), "# c\n".repeat(300_000), " ".repeat(1_000_000)] {
        assert!(timed(|| yaml(&text)).is_empty());
    }
}

#[test]
fn encodings() {
    let limits = Limits::default();
    let refused = |bytes: &[u8]| decode(bytes, &limits).unwrap_err();
    let utf16: Vec<u8> = "a: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16be: Vec<u8> = "a: 1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = "a: 1\n".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    for (bytes, name) in [
        (utf16.clone(), "UTF-16 (little-endian)"),
        (utf16be.clone(), "UTF-16 (big-endian)"),
        ([&[0xff, 0xfe][..], &utf16].concat(), "UTF-16 (little-endian)"),
        ([&[0xfe, 0xff][..], &utf16be].concat(), "UTF-16 (big-endian)"),
        (utf32, "UTF-32 (little-endian)"),
    ] {
        let error = refused(&bytes);
        assert_eq!(error.message(), format!("the text is encoded in {name}, not UTF-8"));
        assert!(error.help().is_some());
    }
    let error = refused(b"a: 1\nb: \xc3\x28\n");
    assert_eq!(error.message(), "byte 0xc3 at offset 8 is not valid UTF-8");
    assert_eq!(place(&error.span), "2:4-2:5");
    let error = refused("a: é\nb: \0\n".as_bytes());
    assert_eq!(error.message(), "byte 0x00 (NUL) at offset 9 is not text");
    assert_eq!(place(&error.span), "2:4-2:5");
    let error = refused(b"\xef\xbb\xbfa\0");
    assert_eq!(place(&error.span), "1:2-1:3");
    assert_eq!(refused(b"\xef\xbb\xbf\xff").span.column, 1);
    assert_eq!(decode("\u{feff}a: é".as_bytes(), &limits), Ok("\u{feff}a: é"));
    assert_eq!(decode(b"", &limits), Ok(""));
}

#[test]
fn control_characters_are_refused_and_bidirectional_marks_are_text() {
    for text in ["a: \u{1b}[31m\n", "a: \"\u{7}\"\n", "a: |\n  \u{8}\n", "# \u{1}\n\u{1}: a\n"] {
        assert_eq!(fault(text).code(), "yaml-syntax", "{text:?}");
    }
    assert_eq!(show(&one("a: \"\\e[31m\"\n")), "{a: \"\\u{1b}[31m\"}");
    assert_eq!(show(&one("a: x\u{202e}y\n")), "{a: =x\u{202e}y}");
}

#[test]
fn a_byte_order_mark_inside_the_text() {
    assert_eq!(fault("a: 1\n\u{feff}b: 2\n").code(), "yaml-syntax");
    assert_eq!(show(&one("\u{feff}# c\na: 1\n")), "{a: =1}");
}
