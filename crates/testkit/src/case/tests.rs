use super::family::{rewrite, v6};
use super::markdown::parse;
use super::run::fits;
use super::{Corpus, Judge, Oracle};
use watertight_model::{Flow, FlowVerdict, Reason, Verdict, World};

const WORLD: &str = "\
```yaml
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [{name: c, image: c:1}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: c:1}]}
status: {podIP: 10.0.0.2}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - ports: [{port: 80}]
```
";
const HEAD: &str = "| from | to | port | verdict | egress | ingress |\n|---|---|---|---|---|---|\n";

fn case(table: &str) -> String {
    format!("# Title\n\n## Row 1: a case\n\nIt says something.\n\n{WORLD}\n{HEAD}{table}\n")
}

fn corpus(text: &str) -> Result<Corpus, String> {
    let mut problems = Vec::new();
    let corpus = Corpus::of(&[("a.md", text)], &mut problems);
    if problems.is_empty() { Ok(corpus) } else { Err(problems.iter().map(|p| format!("{p}\n")).collect()) }
}

/// Everything that a run says, or the parser.
fn run(text: &str, judge: &dyn Judge) -> String {
    corpus(text).map_or_else(|e| e, |c| c.run(judge).to_string())
}

#[test]
fn a_case_that_holds() {
    let text = case("| shop/web | shop/db | 81/TCP, 80/UDP | deny | defaultAllow | policyDeny shop/db-in |");
    assert_eq!(
        run(&text, &Oracle),
        "0 do not hold; 1 cases, 3 executions (0 refusals), 6 flows, 0 Service questions, 0 skipped (need a query layer)"
    );
}

#[test]
fn every_mismatch_is_told_with_its_line() {
    let text = case(
        "| shop/web | shop/db | 80/TCP | deny | defaultAllow | policyDeny shop/db-in |\n\
         | shop/web | shop/db | 81/TCP | deny | defaultAllow | adminDeny other[0] |\n\
         | ip:203.0.113.7 | shop/db | 80/TCP | allow | notSubject | policyAllow shop/db-in[1] |",
    );
    let told = run(&text, &Oracle);
    let line = text.lines().position(|l| l.contains("80/TCP | deny")).unwrap() + 1;
    for expected in [
        &format!(
            "a.md:{line}: Row 1: a case (v4)\n    shop/web -> shop/db 80/TCP\n    verdict: expected deny, got allow"
        ),
        "ingress: expected `policyDeny shop/db-in`, got `policyAllow shop/db-in[0]`",
        &format!("a.md:{}: Row 1: a case (v6)\n    shop/web -> shop/db 81/TCP\n    ingress: expected", line + 1),
        "expected `policyAllow shop/db-in[1]`, got `policyAllow shop/db-in[0]`",
        // Three families each; the third row is asked twice in the dual stack, and said once.
        "\n9 do not hold; 1 cases, 3 executions (0 refusals), 10 flows",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
}

#[test]
fn one_of_several_reasons_is_enough_and_one_is_needed() {
    let row = "| shop/web | shop/db | 80/TCP | allow | defaultAllow | localNode or policyAllow shop/db-in[0] |";
    assert!(run(&case(row), &Oracle).starts_with("0 do not hold"), "{}", run(&case(row), &Oracle));
    let told = run(&case(&row.replace("[0]", "[1]")), &Oracle);
    assert!(told.contains("expected `localNode` or `policyAllow shop/db-in[1]`, got `policyAllow"), "{told}");
}

/// Says the opposite of the oracle's ingress.
struct Wrong;
impl Judge for Wrong {
    fn decide(&self, world: &World, flow: &Flow) -> FlowVerdict {
        let mut verdict = Oracle.decide(world, flow);
        verdict.ingress.reason = Reason::DefaultAllow;
        verdict.ingress.verdict = Verdict::Allow;
        verdict.ingress.decided_by.clear();
        verdict
    }
}

#[test]
fn a_judge_whose_halves_do_not_make_the_whole_is_told() {
    let told = run(&case("| shop/web | shop/db | 81/TCP | deny | defaultAllow | policyDeny shop/db-in |"), &Wrong);
    assert!(told.contains("deny is not what the two halves make together"), "{told}");
    assert!(told.contains("got `defaultAllow`"), "{told}");
}

#[test]
fn what_the_parser_does_not_know_is_an_error() {
    let good = "| shop/web | shop/db | 81/TCP | deny | defaultAllow | policyDeny shop/db-in |";
    let text = case(good);
    assert!(corpus(&text).is_ok());
    let bad = |from: &str, to: &str, what: &str| {
        assert!(text.contains(from), "{from}");
        let told = corpus(&text.replacen(from, to, 1)).unwrap_err();
        assert!(told.contains(what), "{from} -> {to}\nwanted: {what}\ngot: {told}");
    };
    bad("| from |", "| source |", "the columns of a table are");
    bad("|---|---|", "|---|", "the second line of a table");
    bad("policyDeny shop/db-in |", "policyDeny shop/db-in", "starts and ends with");
    bad("| 81/TCP ", "", "5 cells in a table of 6 columns");
    bad("| deny |", "| refuse |", "a verdict is allow, deny or depends");
    bad("| deny |", "| allow |", "the row contradicts itself");
    bad("policyDeny shop/db-in", "policyDeny shop/db-in or defaultAllow", "the row contradicts itself");
    bad("policyDeny shop/db-in", "policyNo shop/db-in", "no reason is called `policyNo`");
    bad("policyDeny shop/db-in", "policyDeny", "must name its rules");
    bad("| defaultAllow", "| defaultAllow x[0]", "has no rules");
    bad("| deny | defaultAllow | policyDeny shop/db-in", "| depends | defaultAllow | unclear", "must say on what");
    bad("81/TCP", "81/ICMP", "`ICMP` is not TCP, UDP or SCTP");
    bad("81/TCP", "99999/TCP", "`99999` is not a port");
    bad("81/TCP", "ping", "`ping` is not `PORT/PROTOCOL`");
    bad("It says something.", "", "says nothing in words");
    bad("It says something.", "It does.\n- Familes: v4", "there is no directive `Familes`");
    bad("It says something.", "It does.\n- Families: v5", "a family is v4, v6 or dual");
    bad("It says something.", "It does.\n- Families: v4 v4", "names an address family twice");
    bad("It says something.", "It does.\n- Stored: peer of x", "is no edit");
    bad("```yaml", "```yml", "a fenced block is ```yaml");
    bad("## Row 1: a case", "## Row one: a case", "`one` is not the number of a row");
    bad("## Row 1: a case", "Words", "a block outside of worlds and cases");
    bad(good, "", "a table without rows");
    bad(HEAD, "", "a table without rows");
    bad(HEAD, "| a | b |\n", "the columns of a table are");
    assert!(corpus("# Title\n\nWords.\n").unwrap_err().contains("without a case"));
}

#[test]
fn names_that_are_not_there_are_errors() {
    let text = case("| shop/web | shop/db | 81/TCP | deny | defaultAllow | policyDeny shop/db-in |");
    for (from, to, what) in [
        ("| shop/web |", "| shop/webb |", "there is no pod `shop/webb`"),
        ("| shop/web |", "| shp/web |", "there is no namespace `shp`"),
        ("| shop/web |", "| node:n |", "there is no node `n`"),
        ("| shop/web |", "| ip:1.2.3 |", "`1.2.3` is not an address"),
        ("| shop/web |", "| service:shop/db |", "there is no Service `shop/db`"),
        ("It says something.", "It does.\n\n- World: moon", "there is no world `moon`"),
    ] {
        let told = run(&text.replacen(from, to, 1), &Oracle);
        assert!(told.contains(what) && !told.starts_with("0 do"), "wanted: {what}\ngot: {told}");
    }
}

#[test]
fn refusals_are_compared_both_ways() {
    let text = case("").replace(HEAD, "- Refused: `spec.ingress[0].ports[0].port: …` at `0`\n");
    let broken = text.replace("port: 80", "port: 0");
    assert!(run(&broken, &Oracle).starts_with("0 do not hold; 1 cases, 1 executions (1 refusals)"));
    assert!(run(&text, &Oracle).contains("must be refused, was read"));
    assert!(run(&broken.replace("`0`", "`1`"), &Oracle).contains("expected: spec.ingress[0].ports[0].port: … at `1`"));
    let two = broken.replace("{port: 0}", "{port: 0}, {port: x--y}");
    assert!(run(&two, &Oracle).contains("not expected: spec.ingress[0].ports[1].port"));
}

#[test]
fn a_warning_that_is_not_given_is_told() {
    let row = "| shop/web | shop/db | 80/TCP | allow | defaultAllow | policyAllow shop/db-in[0] |";
    let text = case(row).replace(HEAD, &format!("- Warned: `…a comet…`\n\n{HEAD}"));
    assert!(run(&text, &Oracle).contains("expected: …a comet…\n    got: "), "{}", run(&text, &Oracle));
}

#[test]
fn edits_change_the_world_or_are_told() {
    let row = "| shop/web | shop/db | 80/TCP | deny | defaultAllow | policyDeny shop/db-in |";
    let edited = |edit: &str| run(&case(row).replace(HEAD, &format!("- Stored: {edit}\n\n{HEAD}")), &Oracle);
    // The subject is `app: db`: unreadable, it is every pod and admits nobody.
    assert!(edited("operator of app is Like").starts_with("0 do not hold"), "{}", edited("operator of app is Like"));
    for (edit, what) in [
        ("operator of ap is Like", "no selector asks for `ap`"),
        ("action of ingress shop/db-in[0] is Log", "there is no cluster rule `shop/db-in[0]`"),
        ("action of ingress shop/none[0] is Log", "there is no policy `shop/none`"),
        ("action of inward shop/db-in[0] is Log", "`inward` is neither ingress nor egress"),
        ("port x of ingress p[0] is bare", "`x` is not an index"),
        ("peer 0 of ingress p is unknown", "`p` is not `name[index]`"),
    ] {
        assert!(edited(edit).contains(what), "{edit}\nwanted: {what}\ngot: {}", edited(edit));
    }
}

#[test]
fn a_block_after_a_table_is_the_next_step() {
    let row = "| shop/web | shop/db | 80/TCP | allow | defaultAllow | policyAllow shop/db-in[0] |";
    let closed = WORLD.replace("\n  - ports: [{port: 80}]", " []");
    let after =
        row.replace("allow | defaultAllow | policyAllow shop/db-in[0]", "deny | defaultAllow | policyDeny shop/db-in");
    let two = format!("{}\n{closed}\n{HEAD}{after}\n", case(row));
    assert!(run(&two, &Oracle).starts_with("0 do not hold; 1 cases, 6 executions"), "{}", run(&two, &Oracle));
    let told = run(&format!("{}\n{closed}\n{HEAD}{row}\n", case(row)), &Oracle);
    assert!(told.contains("Row 1: a case (v4, step 2)"), "{told}");
    let nothing_asked = format!("{}\n{closed}", case(row)).replacen(&format!("{HEAD}{row}"), "", 1);
    assert!(corpus(&nothing_asked).unwrap_err().contains("two blocks, and nothing asked of the first"));
}

#[test]
fn places_are_places_in_the_file() {
    let rows = "| shop/web | shop/db | 80/TCP | allow | defaultAllow | policyAllow shop/db-in[0] |";
    let text =
        case(rows).replace(HEAD, &format!("- Origin: ingress shop/db-in[0] at `ports: [{{port: 80}}]`\n\n{HEAD}"));
    assert!(run(&text, &Oracle).starts_with("0 do not hold"), "{}", run(&text, &Oracle));
    assert!(run(&text.replace("at `ports", "at `- ports"), &Oracle).contains("expected at `- ports"));
}

#[test]
fn rows_are_there_once() {
    let row = "| shop/web | shop/db | 81/TCP | deny | defaultAllow | policyDeny shop/db-in |";
    let elsewhere = "| row | why | covered by |\n|---|---|---|\n| 1 | because | `a_test` |\n| 175 | no | datapath |\n";
    let mut problems = Vec::new();
    let corpus = Corpus::of(&[("a.md", &case(row)), ("elsewhere.md", elsewhere)], &mut problems);
    assert_eq!(problems, []);
    let told: Vec<String> = corpus.row_problems().iter().map(ToString::to_string).collect();
    assert!(told.contains(&"a.md:3: row 1 is there 2 times".to_owned()), "{told:?}");
    assert!(told.contains(&"elsewhere.md:4: there is no row 175".to_owned()), "{told:?}");
    assert!(told.contains(&"elsewhere.md:0: row 2 is neither a case nor explained".to_owned()), "{told:?}");
    assert_eq!(told.iter().filter(|t| t.contains("neither")).count(), 173);
    Corpus::of(&[("elsewhere.md", "| row | why | covered by |\n|---|---|---|\n| 1 | | x |\n")], &mut problems);
    assert!(problems.iter().any(|p| p.what == "a row says why, and what covers it"), "{problems:?}");
}

#[test]
fn a_world_is_found_in_its_file_before_the_shared_ones() {
    let file = |name: &str| format!("# T\n\n## World: w\n\n{}", WORLD.replace("name: web", &format!("name: {name}")));
    let ask = |who: &str| {
        format!(
            "## A case\n\nWords.\n\n- World: w\n\n{HEAD}| shop/{who} | shop/db | 80/TCP | allow | defaultAllow | policyAllow shop/db-in[0] |\n"
        )
    };
    let (own, shared) = (format!("{}{}", file("own"), ask("own")), file("shared"));
    let other = format!("# T\n\n{}", ask("shared"));
    let mut problems = Vec::new();
    let corpus = Corpus::of(&[("a.md", &own), ("b.md", &other), ("worlds/w.md", &shared)], &mut problems);
    assert_eq!(problems, []);
    assert!(corpus.run(&Oracle).to_string().starts_with("0 do not hold"), "{}", corpus.run(&Oracle));
}

#[test]
fn addresses_are_mapped_with_their_nesting() {
    assert_eq!(v6("10.0.0.5".parse().unwrap()).to_string(), "fd00::a00:5");
    let text = "cidr: 10.0.0.0/8\nexcept: [\"10.1.0.0/16\"]\nall: 0.0.0.0/0\nimage: web:1.2.3.4\nv: 1.2.3\nip: '10.0.0.1', x\n";
    let want = "cidr: \"fd00::a00:0/104\"\nexcept: [\"fd00::a01:0/112\"]\nall: \"::/0\"\nimage: web:1.2.3.4\nv: 1.2.3\nip: 'fd00::a00:1', x\n";
    assert_eq!(rewrite(text), want);
}

#[test]
fn patterns() {
    for (pattern, text) in [("a", "a"), ("a…", "abc"), ("…c", "abc"), ("a…c", "abc"), ("a…b…d", "a1b2d"), ("…", "")]
    {
        assert!(fits(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a", "ab"), ("a…", "ba"), ("…c", "cd"), ("a…b…d", "abcb"), ("ab…b", "ab")] {
        assert!(!fits(pattern, text), "{pattern} {text}");
    }
    assert!(parse("a.md", "").is_err());
}
