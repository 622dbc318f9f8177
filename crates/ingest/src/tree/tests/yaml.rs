//! YAML: documents, aliases, merge keys, tags, and errors with their places.

use super::*;

fn shown(text: &str) -> Vec<String> {
    yaml(text).iter().map(|r| r.as_ref().map_or_else(|e| format!("error {}", e.message()), |d| show(&d.root))).collect()
}

#[test]
fn styles_stay_apart() {
    let text = "a: 80\nb: \"80\"\nc: '80'\nd: |\n  80\ne: !!str 80\nf: ! 80\n";
    assert_eq!(shown(text), [r#"{a: =80, b: "80", c: "80", d: |"80\n", e: "80", f: "80"}"#]);
}

#[test]
fn null_in_every_spelling_and_only_unquoted() {
    let text = "a:\nb: ~\nc: null\nd: Null\ne: NULL\nf: 'null'\ng: nUll\nh: \"\"\ni: !!str\nj: !!null null\nk: [~, ]\n";
    assert_eq!(
        shown(text),
        [r#"{a: null, b: null, c: null, d: null, e: null, f: "null", g: =nUll, h: "", i: "", j: null, k: [null]}"#]
    );
}

#[test]
fn empty_documents_and_comments_are_no_documents() {
    assert_eq!(shown(""), [""; 0]);
    assert_eq!(shown("# nothing\n\n"), [""; 0]);
    assert_eq!(shown("---\n---\n# c\n--- # d\n...\n"), [""; 0]);
    assert_eq!(shown("# c\n---\na: 1\n---\n---\n# d\n---\nb: 2\n...\n"), ["{a: =1}", "{b: =2}"]);
    // Null that is written is a document; the negation of the above.
    assert_eq!(shown("--- ~\n"), ["null"]);
}

#[test]
fn documents_behind_an_end_marker_and_without_a_start_marker() {
    assert_eq!(shown("a: 1\n...\nb: 2\n...\n"), ["{a: =1}", "{b: =2}"]);
    let broken = shown("a: [1\n...\nb: 2\n");
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].starts_with("error this is not valid YAML"), "{broken:?}");
    assert_eq!(broken[1], "{b: =2}");
}

#[test]
fn a_marker_counts_only_in_column_one_and_before_white_space() {
    assert_eq!(shown("a: |\n  x\n  ---\n  y\n"), [r#"{a: |"x\n---\ny\n"}"#]);
    assert_eq!(shown("a: b\n---c: d\n"), ["{a: =b, ---c: =d}"]);
    assert_eq!(shown("a: 1\r\n---\r\nb: 2\r\n"), ["{a: =1}", "{b: =2}"]);
    assert_eq!(shown("a: 1\n---\tb\n---"), ["{a: =1}", "=b"]);
    // A block scalar at the root ends there too.
    assert_eq!(shown("--- |\nx\n---\ny\n"), [r#"|"x\n""#, "=y"]);
}

#[test]
fn a_broken_document_hides_no_other() {
    let text = "a: 1\n---\nb: [1\n---\nc: 3\n---\nd: 'x\n---\ne: {}\n";
    let results = yaml(text);
    let ok: Vec<_> = results.iter().flatten().map(|d| show(&d.root)).collect();
    assert_eq!(ok, ["{a: =1}", "{c: =3}", "{e: {}}"]);
    let lines: Vec<_> = errors(results).iter().map(|e| (e.code(), e.span.line)).collect();
    assert_eq!(lines, [("yaml-syntax", 3), ("yaml-syntax", 7)]);
}

#[test]
fn duplicate_keys_at_every_level_name_both_places() {
    let text = "a: 1\nb:\n  c: 1\n  d: [{e: 1, e: 2}]\n  c: 2\n'a': 3\n";
    let errors = errors(yaml(text));
    let seen: Vec<_> = errors.iter().map(|e| (e.message(), place(&e.span), place(&e.notes()[0].0))).collect();
    let expected = [
        ("key `e` is already set on line 4", "4:14-4:15", "4:8-4:9"),
        ("key `c` is already set on line 3", "5:3-5:4", "3:3-3:4"),
        ("key `a` is already set on line 1", "6:1-6:4", "1:1-1:2"),
    ];
    assert_eq!(seen, expected.map(|(m, a, b)| (m.to_owned(), a.to_owned(), b.to_owned())));
    assert!(errors.iter().all(|e| e.help().is_some()));
    // The twin: the same keys in different mappings.
    assert_eq!(shown("a: {a: {a: 1}}\nb: [{a: 1}, {a: 1}]\n"), ["{a: {a: {a: =1}}, b: [{a: =1}, {a: =1}]}"]);
}

#[test]
fn duplicate_keys_in_a_large_mapping() {
    let mut text: String = (0..100).map(|i| format!("k{i}: v\n")).collect();
    assert_eq!(yaml(&text).len(), 1);
    assert!(yaml(&text)[0].is_ok());
    text.push_str("k50: v\nk0: v\n");
    let errors = errors(yaml(&text));
    let seen: Vec<_> = errors.iter().map(|e| (e.span.line, e.notes()[0].0.line)).collect();
    assert_eq!(seen, [(101, 51), (102, 1)]);
}

#[test]
fn a_key_is_compared_as_the_text_it_becomes() {
    assert_eq!(fault("\"a\\u0062\": 1\nab: 2\n").code(), "WT0002");
    assert_eq!(shown("A: 1\na: 2\n"), ["{A: =1, a: =2}"]);
}

#[test]
fn aliases_copy_and_keep_the_place_of_the_anchor() {
    let root = one("a: &x\n  k: v\nb: *x\nc: &y text\nd: [*y, *y]\n");
    assert_eq!(show(&root), "{a: {k: =v}, b: {k: =v}, c: =text, d: [=text, =text]}");
    assert_eq!(place(&at(&root, "b").span), "2:3-2:7");
    assert_eq!(place(&at(&root, "d.1").span), "4:7-4:11");
}

#[test]
fn an_anchor_set_again_counts_from_there_on() {
    assert_eq!(shown("a: &x 1\nb: *x\nc: &x 2\nd: *x\n"), ["{a: =1, b: =1, c: =2, d: =2}"]);
}

#[test]
fn anchors_end_with_their_document() {
    let results = yaml("a: &x 1\n---\nb: *x\n");
    assert!(results[0].is_ok());
    let error = errors(results).remove(0);
    assert_eq!(error.message(), "alias `*x` has no anchor `&x` before it in this document");
    assert_eq!(place(&error.span), "3:4-3:6");
}

#[test]
fn every_unknown_alias_is_reported() {
    let lines: Vec<_> = errors(yaml("a: *x\nb: 1\nc: [*y]\n")).iter().map(|e| e.message()).collect();
    assert_eq!(
        lines,
        [
            "alias `*x` has no anchor `&x` before it in this document",
            "alias `*y` has no anchor `&y` before it in this document"
        ]
    );
}

#[test]
fn an_alias_as_key() {
    assert_eq!(shown("a: &x k\n*x : v\n"), ["{a: =k, k: =v}"]);
    assert_eq!(shown("&x k: v\nb: *x\n"), ["{k: =v, b: =k}"]);
}

#[test]
fn merge_keys_are_applied_own_keys_first() {
    let base = "base: &b {from: 1, ports: 2}\n";
    assert_eq!(
        shown(&format!("{base}rule:\n  <<: *b\n")),
        ["{base: {from: =1, ports: =2}, rule: {from: =1, ports: =2}}"]
    );
    assert_eq!(
        shown(&format!("{base}rule:\n  <<: *b\n  ports: 9\n")),
        ["{base: {from: =1, ports: =2}, rule: {ports: =9, from: =1}}"]
    );
    assert_eq!(
        shown(&format!("{base}rule:\n  ports: 9\n  <<: *b\n")),
        ["{base: {from: =1, ports: =2}, rule: {ports: =9, from: =1}}"]
    );
    assert_eq!(
        shown("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b]}\nd: {<<: [*b, *a]}\n"),
        ["{a: {x: =1, y: =1}, b: {y: =2, z: =2}, c: {x: =1, y: =1, z: =2}, d: {y: =2, z: =2, x: =1}}"]
    );
    assert_eq!(shown("a: {<<: {x: 1}}\n"), ["{a: {x: =1}}"]);
    // A base that has bases.
    assert_eq!(
        shown("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b}\n"),
        ["{a: {x: =1}, b: {y: =2, x: =1}, c: {y: =2, x: =1}}"]
    );
}

#[test]
fn merged_entries_keep_their_place() {
    let root = one("base: &b\n  from: 1\nrule:\n  <<: *b\n");
    assert_eq!(place(&at(&root, "rule").entry("from").unwrap().key.span), "2:3-2:7");
    assert_eq!(place(&at(&root, "rule").span), "4:3-4:9");
}

#[test]
fn merge_keys_that_cannot_be_applied_are_errors() {
    assert_eq!(
        fault("a: {<<: 1}\n").message(),
        "merge key `<<` needs a mapping or a sequence of mappings, not a scalar"
    );
    assert_eq!(fault("a:\n  <<:\n").kind, ErrorKind::MergeValue { found: "null" });
    assert_eq!(fault("a: {<<: [{}, x]}\n").kind, ErrorKind::MergeValue { found: "a scalar" });
    assert_eq!(fault("a: {<<: [[]]}\n").kind, ErrorKind::MergeValue { found: "a sequence in a sequence" });
    assert_eq!(fault("a: &x {}\nb:\n  <<: *x\n  <<: *x\n").code(), "WT0002");
    // A quoted `<<` is a key like any other.
    assert_eq!(shown("a: {'<<': 1}\n"), ["{a: {<<: =1}}"]);
}

#[test]
fn tags() {
    assert_eq!(
        shown("a: !!map {}\nb: !!seq []\nc: !!int 1\nd: !!bool true\ne: !!float 1\n"),
        ["{a: {}, b: [], c: =1, d: =true, e: =1}"]
    );
    let error = fault("a: !!python/object:os.system x\n");
    assert_eq!(error.message(), "tag `!!python/object:os.system` is not supported");
    assert_eq!(place(&error.span), "1:4-1:29");
    for text in [
        "a: !!binary aGk=\n",
        "a: !custom x\n",
        "a: !custom {}\n",
        "a: !!set {x}\n",
        "a: !!timestamp 2001-01-01\n",
        "a: !!omap []\n",
    ] {
        assert_eq!(fault(text).code(), "unsupported-tag", "{text}");
    }
    for (text, message) in [
        ("a: !!int x\n", "tag `!!int` does not fit a string"),
        ("a: !!int '1'\n", "tag `!!int` does not fit a string"),
        ("a: !!map []\n", "tag `!!map` does not fit a sequence"),
        ("a: !!str {}\n", "tag `!!str` does not fit a mapping"),
        ("a: !!seq x\n", "tag `!!seq` does not fit a string"),
    ] {
        assert_eq!(fault(text).message(), message, "{text}");
    }
}

#[test]
fn keys_that_are_no_scalars() {
    assert_eq!(fault("? [a, b]\n: c\n").message(), "a key must be a scalar, not a sequence");
    assert_eq!(fault("{a: 1}: c\n").kind, ErrorKind::ComplexKey { found: "a mapping" });
    assert_eq!(fault(": c\n").kind, ErrorKind::MissingKey);
    assert_eq!(shown("80: a\ntrue: b\nnull: c\n"), ["{80: =a, true: =b, null: =c}"]);
}

#[test]
fn directives_are_refused_as_kubectl_refuses_them() {
    let error = fault("%YAML 1.1\n---\na: 1\n".split_at(10).0);
    assert_eq!(error.message(), "a `%` directive is not supported");
    let results = yaml("%YAML 1.1\n---\na: 1\n");
    assert_eq!(errors(results)[0].span.line, 1);
    assert_eq!(shown("a: '%x'\nb: |\n  %YAML\n"), [r#"{a: "%x", b: |"%YAML\n"}"#]);
}

#[test]
fn tabs_in_the_indentation_are_refused_with_their_place() {
    for (text, at) in [
        ("a:\n\tb: 1\n", "2:1-2:2"),
        ("\ta: 1\n", "1:1-1:2"),
        ("a:\n \tb: 1\n", "2:2-2:3"),
        ("a:\n  b: 1\n\tc: 2\n", "3:1-3:2"),
        ("a:\n  b: 1\n  \tc: 2\n", "3:3-3:4"),
        ("a:\n-\tb: 1\n", "2:2-2:3"),
        ("a:\n\t- b\n", "2:1-2:2"),
    ] {
        let error = fault(text);
        assert_eq!((error.kind.clone(), place(&error.span)), (ErrorKind::Tab, at.to_owned()), "{text:?}");
        assert!(error.help().is_some());
    }
    // Elsewhere a tab is white space.
    assert_eq!(
        shown("a:\t1\t# c\nb: [1,\t2]\nc: 'x\ty'\nd: {e: 1,\tf: 2}\n"),
        [r#"{a: =1, b: [=1, =2], c: "x\ty", d: {e: =1, f: =2}}"#]
    );
}

#[test]
fn templates_are_named_as_what_they_are() {
    for (text, at) in [
        ("a: {{ .Values.x }}\n", "1:4-1:19"),
        ("a: 1\n{{- if .Values.on }}\nb: 2\n{{- end }}\n", "2:1-2:21"),
        ("metadata:\n  name: {{ include \"x\" . }}-web\n", "2:9-2:28"),
        ("a:\n  {{- toYaml .Values.a | nindent 2 }}\nb: 1\n", "2:3-2:38"),
        ("{{ .Values.all }}\n", "1:1-1:18"),
    ] {
        let error = fault(text);
        assert_eq!((error.code(), place(&error.span)), ("unrendered-template", at.to_owned()), "{text:?}: {error:?}");
        assert!(error.help().unwrap().contains("helm template"), "{:?}", error.help());
    }
    // In quotes and block scalars braces are text, and another fault stays what it is.
    assert_eq!(shown("a: \"{{ .x }}\"\nb: |\n  {{ .y }}\n"), [r#"{a: "{{ .x }}", b: |"{{ .y }}\n"}"#]);
    assert_eq!(fault("a: \"{{ .x }}\"\nb: [1\n").code(), "yaml-syntax");
}

#[test]
fn line_breaks_of_yaml_1_1_are_refused() {
    for (text, at) in
        [("# c\u{2028}spec: {}\n", "1:4-1:5"), ("a: b\u{85}c: d\n", "1:5-1:6"), ("é: \u{2029}\n", "1:4-1:5")]
    {
        let error = fault(text);
        assert_eq!((error.code(), place(&error.span)), ("ambiguous-line-break", at.to_owned()), "{text:?}");
    }
    assert_eq!(shown(r#"a: "\u2028""#), ["{a: \"\\u{2028}\"}"]);
}

#[test]
fn line_ends_of_three_systems() {
    assert_eq!(shown("a: 1\r\nb:\r\n- x\r\n"), ["{a: =1, b: [=x]}"]);
    let root = one("a: 1\rb: 2\rc:\r\n  d: 3\n");
    assert_eq!(place(&at(&root, "c.d").span), "4:6-4:7");
}

#[test]
fn a_document_is_handed_over_once_whatever_follows_it() {
    // Long enough that one parser reads several documents before the fault.
    for (fault, code) in [
        ("%YAML 1.1\n---\nx: 1\n", "yaml-directive"),
        ("...\n%YAML 1.1\n---\nx: 1\n", "yaml-directive"),
        ("... x\n", "yaml-syntax"),
        ("...\n]\n", "yaml-syntax"),
        ("...\nb: 'x\n", "yaml-syntax"),
        ("--- ]\n", "yaml-syntax"),
        ("--- 'x' y\n", "yaml-syntax"),
        ("---\nb: {b: 1, b: 2}\n", "WT0002"),
        ("---\n\u{1}\n", "yaml-syntax"),
        ("---\nb:\n\tc: 1\n", "yaml-tab"),
    ] {
        for first in ["a: 1\n", "'a'\n", "[a]\n", "--- |\n a\n", "--- a\n", "a:\n", "- a\n# c\n\n"] {
            if first == "--- a\n" && fault.starts_with('%') {
                continue; // A plain scalar goes on there, with a `%` in it.
            }
            let text = format!("n: 0\n---\n{first}{fault}---\nz: 26\n");
            let results = yaml(&text);
            let shown: Vec<_> = results.iter().flatten().map(|d| show(&d.root)).collect();
            let codes: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).map(TreeError::code).collect();
            assert!(codes.contains(&code), "{text:?}: {results:?}");
            for expected in ["{n: =0}", "{z: =26}"] {
                assert_eq!(shown.iter().filter(|s| *s == expected).count(), 1, "{text:?}: {shown:?}");
            }
            let firsts = shown.iter().filter(|s| s.contains('a')).count();
            assert!(firsts <= 1, "{text:?}: {shown:?}");
            // The fault stands on a line of its own: the document before it is whole, unless it has no end of its own.
            if fault.starts_with("---") || fault.starts_with("...\n") {
                assert_eq!(firsts, 1, "{text:?}: {shown:?}");
            }
        }
    }
}

#[test]
fn reading_one_by_one_and_together_is_the_same() {
    // Pieces of every kind in every order of three: the parser that runs over all of them must see what one of its own sees.
    let pieces = [
        "a: 1\n",
        "# c\n",
        "",
        "- x\n- y\n",
        "b: [1\n",
        "'q'\n",
        "|\n t\n\n",
        "{{ x }}\n",
        "c: {d: 1, d: 2}\n",
        "e: &e 1\nf: *e\n",
        "g: *e\n",
        "...\n",
        "h: 1\n...\ni: 2\n",
        "%TAG ! x\n",
        "k: 'open\n",
        "\tl: 1\n",
        "m: !!set {}\n",
        "~\n",
    ];
    for one in pieces {
        for two in pieces {
            for three in pieces {
                let texts = [one, two, three];
                let text = format!("---\n{one}---\n{two}---\n{three}");
                let mut expected = Vec::new();
                for (i, piece) in texts.iter().enumerate() {
                    let line: usize = 1 + texts[..i].iter().map(|t| 1 + t.lines().count()).sum::<usize>();
                    for result in yaml(&format!("---\n{piece}")) {
                        expected.push(match result {
                            Ok(d) => format!("{} {}", d.root.span.line as usize + line - 1, show(&d.root)),
                            Err(e) => format!("{} {}", e.span.line as usize + line - 1, e.code()),
                        });
                    }
                }
                let seen: Vec<_> = yaml(&text)
                    .into_iter()
                    .map(|result| match result {
                        Ok(d) => format!("{} {}", d.root.span.line, show(&d.root)),
                        Err(e) => format!("{} {}", e.span.line, e.code()),
                    })
                    .collect();
                assert_eq!(seen, expected, "{text:?}");
            }
        }
    }
}
