//! Budgets, threads, and text that people wrote.

use super::*;

#[test]
fn every_budget_holds_at_its_value_and_not_one_past_it() {
    let d = Limits::default;
    let code = |text: &str, format, limits: &Limits| {
        all(text, format, limits).iter().find_map(|r| r.as_ref().err().map(TreeError::code))
    };
    for format in [Format::Yaml, Format::Json] {
        assert_eq!(code("[1, 1]", format, &Limits { max_nodes: 3, ..d() }), None);
        assert_eq!(code("[1, 1]", format, &Limits { max_nodes: 2, ..d() }), Some("too-many-nodes"));
        assert_eq!(code("[[]]", format, &Limits { max_depth: 2, ..d() }), None);
        assert_eq!(code("[[]]", format, &Limits { max_depth: 1, ..d() }), Some("too-deep"));
        assert_eq!(code("[\"abc\"]", format, &Limits { max_scalar_bytes: 3, ..d() }), None);
        assert_eq!(code("[\"abc\"]", format, &Limits { max_scalar_bytes: 2, ..d() }), Some("scalar-too-long"));
    }
    assert_eq!(code("{}{}", Format::Json, &Limits { max_documents: 2, ..d() }), None);
    assert_eq!(code("{}{}", Format::Json, &Limits { max_documents: 1, ..d() }), Some("too-many-documents"));
    for text in ["a: 1\n---\nb: 1\n", "a: 1\n...\nb: 1\n"] {
        assert_eq!(code(text, Format::Yaml, &Limits { max_documents: 2, ..d() }), None);
        assert_eq!(code(text, Format::Yaml, &Limits { max_documents: 1, ..d() }), Some("too-many-documents"), "{text}");
    }
    let text = "a: &a [1, 1]\nb: *a\n";
    assert_eq!(code(text, Format::Yaml, &Limits { max_alias_nodes: 6, ..d() }), None);
    assert_eq!(code(text, Format::Yaml, &Limits { max_alias_nodes: 5, ..d() }), Some("alias-expansion"));
    // Anchors that nobody can point at cost nothing.
    assert_eq!(code("a: &a [1, 1]\n", Format::Yaml, &Limits { max_alias_nodes: 0, ..d() }), None);
    assert_eq!(decode(b"abc", &Limits { max_bytes: 3, ..d() }), Ok("abc"));
    let error = decode(b"abc", &Limits { max_bytes: 2, ..d() }).unwrap_err();
    assert_eq!(error.message(), "the input is larger than 2 bytes");
}

#[test]
fn the_document_past_the_budget_is_named_and_nothing_follows() {
    let results = all("a: 1\n---\nb: 1\n---\nc: 1\n", Format::Yaml, &Limits { max_documents: 1, ..Limits::default() });
    assert_eq!(results.len(), 2);
    let error = errors(results).remove(0);
    assert_eq!((error.message().as_str(), error.span.line), ("the input has more than 1 documents", 2));
}

/// Several batches of documents, some broken.
fn long_text() -> String {
    let items: String = (0..20).map(|i| format!("- labels: {{app: web{i}}}\n  text: |\n    one\n    ---\n")).collect();
    (0..1500)
        .map(|i| {
            let fault = if i % 97 == 13 { "b: ]\n" } else { "" };
            format!("---\n# {i}\nname: ä{i}\n{fault}list:\n{items}\n")
        })
        .collect()
}

#[test]
fn threads_change_nothing() {
    let text = long_text();
    assert!(text.len() > 1 << 20);
    let show_all = |doc: Document<'_>| (show(&doc.root), place(&doc.root.span), doc.nodes);
    for max_errors in [0, 3, 100] {
        let expected: Vec<_> = all(&text, Format::Yaml, &Limits { max_errors, ..Limits::default() })
            .into_iter()
            .map(|r| r.map(show_all))
            .collect();
        for threads in [1, 2, 3] {
            let limits = Limits { max_errors, threads, ..Limits::default() };
            assert_eq!(documents_par(&text, Format::Yaml, &limits, show_all), expected, "{threads} threads");
        }
        let errors = expected.iter().filter(|r| r.is_err()).count();
        assert_eq!(errors, 16.min(max_errors + 1));
    }
}

#[test]
fn threads_share_the_document_budget() {
    let text = long_text();
    let limits = Limits { max_documents: 1000, ..Limits::default() };
    let expected: Vec<_> = all(&text, Format::Yaml, &limits).into_iter().map(|r| r.map(|d| d.nodes)).collect();
    assert_eq!(documents_par(&text, Format::Yaml, &limits, |d| d.nodes), expected);
    assert_eq!(expected.last().unwrap().as_ref().unwrap_err().code(), "too-many-documents");
}

#[test]
fn json_through_the_parallel_door() {
    let results = documents_par("{\"a\":1}[]", Format::Json, &Limits::default(), |d| show(&d.root));
    assert_eq!(results, [Ok("{a: =1}".to_owned()), Ok("[]".to_owned())]);
}

/// All YAML files below the shared data folder, if it is there.
fn real_files(dir: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            real_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            out.push(path);
        }
    }
}

#[test]
fn text_that_people_wrote() {
    let mut files = Vec::new();
    real_files(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), &mut files);
    files.sort();
    let limits = Limits::default();
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let text = decode(&bytes, &limits).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
        let format = Format::of(&path.to_string_lossy(), text);
        for result in all(text, format, &limits) {
            let document = result.unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
            check(text, &document.root, &path);
        }
    }
}

/// Plain scalars and keys on one line stand where their span says; children lie inside their parents.
fn check(text: &str, node: &Node<'_>, path: &std::path::Path) {
    let cut = &text[node.span.range()];
    let inside = |span: &Span| span.start >= node.span.start && span.end <= node.span.end;
    assert_eq!(cut.trim_end(), cut, "{}: {:?}", path.display(), node.span);
    match &node.value {
        Value::Null => assert!(super::super::scalar::is_null(cut), "{}: {cut:?}", path.display()),
        Value::Scalar(scalar) => {
            if scalar.style == super::super::Style::Plain && node.span.line == node.span.end_line {
                assert_eq!(scalar.text, cut, "{}", path.display());
            }
        }
        Value::Seq(items) => {
            for item in items {
                assert!(inside(&item.span), "{}: {:?} in {:?}", path.display(), item.span, node.span);
                check(text, item, path);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                assert!(inside(&entry.key.span) && inside(&entry.value.span), "{}: {:?}", path.display(), entry.key);
                assert!(text[entry.key.span.range()].contains(entry.key.text()), "{}", path.display());
                check(text, &entry.value, path);
            }
        }
    }
}
