use super::*;

fn faults(body: &str) -> Vec<(String, u32, u32, String, Option<String>)> {
    let text = format!("apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n{body}");
    match parse(&[("a.yaml".to_owned(), text.into_bytes())], &Limits::default()) {
        Ok(_) => Vec::new(),
        Err(refused) => refused
            .diagnostics
            .into_iter()
            .map(|d| {
                let at = d.at.unwrap_or_default();
                (d.code.to_owned(), at.line, at.column, d.message, d.help)
            })
            .collect(),
    }
}

fn list(body: &str) -> Vec<Assertion> {
    let text = format!("apiVersion: watertight.dev/v1\nkind: Assertions\nassertions:\n{body}");
    parse(&[("a.yaml".to_owned(), text.into_bytes())], &Limits::default()).map(|a| a.list).unwrap_or_default()
}

#[test]
fn every_form_is_read() {
    let found = list(
        "- from: {workload: shop/web}\n  to: [{service: shop/db}, {namespace: a, pods: {matchLabels: {app: x}}}, outside]\n  \
         reach: mustNot\n  ports: [5432, 53/udp, 8000-8080/TCP, SCTP, icmp]\n  depends: passes\n  except:\n  - from: \
         {namespaces: {matchExpressions: [{key: env, operator: In, values: [ci]}]}}\n    ports: [443]\n\
         - {name: second, from: nodes, to: {cidr: 10.0.0.0/8}, reach: may}\n- {from: {ip: \"2001:db8::1\"}, to: pods, reach: may}\n",
    );
    assert_eq!(found.len(), 3);
    let first = &found[0];
    assert_eq!(first.name, "shop/web must not reach Service shop/db or pods with app=x of namespace a or outside");
    let ports = first.ports.as_ref().map(|p| (p.set.iter().collect::<Vec<_>>(), p.other));
    let wanted = [
        (Protocol::Tcp, 5432, 5432),
        (Protocol::Tcp, 8000, 8080),
        (Protocol::Udp, 53, 53),
        (Protocol::Sctp, 0, u16::MAX),
    ];
    assert_eq!(ports, Some((wanted.to_vec(), true)));
    assert_eq!((first.mode, first.depends, first.except.len()), (Mode::MustNot, Depends::Passes, 1));
    assert_eq!((first.origin.line, found[1].name.as_str()), (4, "second"));
}

#[test]
fn every_fault_is_told_at_its_place_with_what_is_near() {
    let body = "- form: {workload: shop/web}\n  to: {workload: web}\n  reach: must-not\n  ports: [99999]\n";
    let found = faults(body);
    let short: Vec<(&str, u32, u32)> = found.iter().map(|f| (f.0.as_str(), f.1, f.2)).collect();
    assert_eq!(
        short,
        [("unknown-field", 4, 3), ("missing-field", 4, 3), ("name", 5, 18), ("unknown-word", 6, 10), ("port", 7, 11)],
        "{found:#?}"
    );
    let help = |code: &str| found.iter().find(|f| f.0 == code).and_then(|f| f.4.clone());
    assert_eq!(help("unknown-field").as_deref(), Some("did you mean `from`?"));
    assert_eq!(help("unknown-word").as_deref(), Some("did you mean `mustNot`?"));
}

#[test]
fn what_would_check_nothing_is_refused() {
    for (body, code) in [
        ("  []\n", "no-assertions"),
        ("- {from: [], to: pods, reach: may}\n", "nobody"),
        ("- {from: everyone, to: pods, reach: may}\n", "who"),
        ("- {from: {}, to: pods, reach: may}\n", "who"),
        ("- {from: {workload: a/b, namespace: c}, to: pods, reach: may}\n", "who"),
        ("- {from: {service: a/b}, to: pods, reach: may}\n", "service"),
        ("- {from: {cidr: 10.0.0.1/8}, to: pods, reach: may}\n", "address"),
        ("- {from: pods, to: pods, reach: must}\n", "missing-field"),
        ("- {from: pods, to: pods, reach: mustNot, ports: []}\n", "no-ports"),
        ("- {from: pods, to: pods, reach: mustNot, except: [{}]}\n", "empty-exception"),
        ("- {from: pods, to: pods, reach: mustNot, except: [{from: {ip: 10.0.0.1}}]}\n", "exception"),
        ("- {from: pods, to: pods, reach: mustNot, from: nodes}\n", "WT0002"),
        ("- null\n", "WT0003"),
        ("- {from: pods, to: {pods: {matchLabel: {a: b}}}, reach: may}\n", "unknown-field"),
    ] {
        let found = faults(body);
        assert!(found.iter().any(|f| f.0 == code), "{body}: {found:?}");
    }
    assert!(faults("- {from: {service: a/b}, to: pods, reach: may}\n").len() == 1);
    assert!(faults("- {from: pods, to: {service: a/b}, reach: must}\n").is_empty(), "a Service declares its ports");
}

#[test]
fn other_documents_are_passed_over_and_near_ones_are_not() {
    let read = |text: &str| parse(&[("a.yaml".to_owned(), text.as_bytes().to_vec())], &Limits::default());
    let code = |text: &str| read(text).err().map(|r| r.diagnostics[0].code);
    let one = "assertions: [{from: pods, to: pods, reach: may}]\n";
    let beside = format!("apiVersion: v1\nkind: Pod\n---\napiVersion: watertight.dev/v1\nkind: Assertions\n{one}");
    assert_eq!(read(&beside).map(|a| a.list.len()).ok(), Some(1));
    assert_eq!(code("apiVersion: v1\nkind: Pod\n"), Some("no-assertions"));
    assert_eq!(code(&format!("apiVersion: watertight.dev/v2\nkind: Assertions\n{one}")), Some("api-version"));
    assert_eq!(code(&format!("apiVersion: watertigth.dev/v1\nkind: Assertions\n{one}")), Some("api-version"));
    assert_eq!(code(&format!("apiVersion: watertight.dev/v1\nkind: Assertion\n{one}")), Some("kind"));
    assert_eq!(code(""), Some("no-assertions"));
    let binary = parse(&[("a.yaml".to_owned(), vec![0, 159, 146, 150])], &Limits::default());
    assert!(binary.is_err());
}
