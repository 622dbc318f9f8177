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

mod listed {
    use super::*;
    use crate::render::results::{Item, Level, Outcome, Span};

    fn item(n: usize) -> Item {
        Item {
            rule: "WT0046".to_owned(),
            name: "namespace-without-policy".to_owned(),
            level: Level::Warning,
            score: 5.0,
            outcome: Outcome::Fail,
            object: format!("NetworkPolicy team-{n}/policy-{n}"),
            message: format!("bad, 100%\nof {n}: <x>"),
            help: Some("mend it".to_owned()),
            place: Some(Span { file: "a,b:c.yaml".to_owned(), line: 3, column: 5, end_line: 3, end_column: 9 }),
            fingerprint: format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    fn results(n: usize) -> Results {
        Results { command: "audit", items: (0..n).map(item).collect(), ..Results::default() }
    }

    #[test]
    fn annotations_cannot_end_early_and_say_what_github_leaves_out() {
        let text = bytes(|out| github::write(&results(1), out));
        let expected = "::warning file=a%2Cb%3Ac.yaml,line=3,endLine=3,col=5,endColumn=9,title=WT0046 namespace-without-policy::\
            NetworkPolicy team-0/policy-0: bad, 100%25\\nof 0: <x>%0Ahelp: mend it\n";
        assert_eq!(text, expected);
        let ten = bytes(|out| github::write(&results(10), out));
        assert!(!ten.contains("GitHub"), "{ten}");
        let eleven = bytes(|out| github::write(&results(11), out));
        assert_eq!(eleven.lines().filter(|l| l.starts_with("::warning")).count(), 11);
        let last = eleven.lines().last().unwrap();
        assert!(last.starts_with("11 annotations: GitHub shows 10 of each level per step and leaves out 1"), "{last}");
    }

    #[test]
    fn what_is_accepted_is_no_annotation() {
        let mut two = results(2);
        two.items[0].outcome = Outcome::Baselined;
        two.items[1].outcome = Outcome::Suppressed("known".to_owned());
        assert_eq!(bytes(|out| github::write(&two, out)), "");
    }

    #[test]
    fn sarif_stays_within_the_limits_of_github() {
        use std::io::Write as _;
        let log = sarif::log(&results(25_003));
        let run = &log["runs"][0];
        assert_eq!(run["results"].as_array().unwrap().len(), 25_000);
        let note = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert!(note.as_str().unwrap().starts_with("3 results beyond the first 25000 are left out"), "{note}");
        assert!(sarif::log(&results(3))["runs"][0]["invocations"][0]["toolExecutionNotifications"].is_null());
        // A tenth of that, with the longest messages, no two alike.
        let mut many = results(2_500);
        for (n, item) in many.items.iter_mut().enumerate() {
            item.message = (0..300).map(|i| format!("{:x} ", (n * 7919 + i * 104_729) % 65_521)).collect();
        }
        let log = sarif::log(&many);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(bytes(|out| json::write(&log, out)).as_bytes()).unwrap();
        let size = packed.finish().unwrap().len();
        assert!(size < 1_000_000, "{size} bytes");
    }

    #[test]
    fn a_result_without_a_place_is_shown_at_the_input() {
        let mut one = results(1);
        one.items[0].place = None;
        let at = |results: &Results| {
            sarif::log(results)["runs"][0]["results"][0]["locations"][0]["physicalLocation"].clone()
        };
        assert!(at(&one).is_null());
        one.fallback = Some("./dir/a b.yaml".to_owned());
        assert_eq!(at(&one), json!({"artifactLocation": {"uri": "dir/a%20b.yaml"}}));
        one.fallback = Some("/abs/a.yaml".to_owned());
        assert_eq!(at(&one), json!({"artifactLocation": {"uri": "file:///abs/a.yaml"}}));
    }

    #[test]
    fn junit_tells_cases_apart_and_is_never_empty() {
        let mut two = results(2);
        two.items[1].object = two.items[0].object.clone();
        two.items[1].message = "\u{1}\u{ffff}&".to_owned();
        let text = bytes(|out| junit::write(&two, out));
        let xml = roxmltree::Document::parse(&text).unwrap();
        let cases: Vec<&str> =
            xml.descendants().filter(|n| n.has_tag_name("testcase")).map(|n| n.attribute("name").unwrap()).collect();
        assert_eq!(cases, ["NetworkPolicy team-0/policy-0", "NetworkPolicy team-0/policy-0 (2)"]);
        let none = bytes(|out| junit::write(&results(0), out));
        let xml = roxmltree::Document::parse(&none).unwrap();
        assert_eq!(xml.root_element().attribute("tests"), Some("1"));
        assert_eq!(xml.root_element().attribute("failures"), Some("0"));
        let mut passed = results(1);
        passed.items[0].outcome = Outcome::Pass;
        assert!(!bytes(|out| junit::write(&passed, out)).contains("<failure"));
    }

    #[test]
    fn a_report_lists_what_etcd_takes_and_counts_all() {
        let mut many = results(1_200);
        many.items.iter_mut().for_each(|i| i.object = "NetworkPolicy shop/x".to_owned());
        let list = openreports::list(&many);
        let report = &list["items"][1];
        assert_eq!(report["summary"]["warn"], 1_200);
        assert_eq!(report["results"].as_array().unwrap().len(), 1_000);
        assert_eq!(report["configuration"]["limits"]["maxResults"], 1_000);
        // That nothing was found is a report too.
        let none = openreports::list(&results(0));
        assert_eq!(
            (&none["items"][0]["kind"], &none["items"][0]["summary"]["fail"]),
            (&json!("ClusterReport"), &json!(0))
        );
    }
}

#[test]
fn html_is_well_formed_and_hostile_text_stays_text() {
    let mut page = Page::default();
    page.heading("a <b> `c<d`");
    page.line(Text::from("\u{1b}[31m </p><script>alert(1)</script> \u{202e} & \"q\""));
    page.facts(vec![("k<".to_owned(), toned(Tone::Bad, "v>"))]);
    page.code("yaml", "a: <!-- \u{9b}\n]]>");
    page.blocks.push(crate::page::Block::Markdown(
        "## T <x>\n\n**bold** and `code`\nmore\n\n* one\n  two\n\n```yaml\na: **b**\n```\n".to_owned(),
    ));
    let text = html::text("T & t", &page);
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let xml = roxmltree::Document::parse_with_options(&text, options).unwrap();
    let names: std::collections::BTreeSet<&str> = xml.descendants().map(|n| n.tag_name().name()).collect();
    assert!(!names.contains("script") && names.contains("strong") && names.contains("code"), "{names:?}");
    assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text:?}");
    assert!(text.contains("a: **b**\n</pre>") && text.contains("<li>one two</li>"), "{text}");
}
