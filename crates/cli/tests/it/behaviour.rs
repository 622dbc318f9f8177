//! What holds for every command: streams, exit codes, hostile names, standard input, `--save`, `--strict`, the plugin's name.

use crate::common::{root, run, run_into, watertight, watertight_with};
use std::ffi::OsString;
use std::io::{self, Write};

const SHOP: &str = "docs/examples/shop";

fn words(args: &str) -> impl Iterator<Item = OsString> + '_ {
    args.split_whitespace().map(OsString::from)
}

fn manifest(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: a, labels: {{app: \"{name}\"}}}}\nspec: {{containers: [{{name: c, image: c}}]}}\n"
    )
}

#[test]
fn exit_codes() {
    let missing = ["connections -f no/such/dir", "query -f docs/examples/shop --batch no/such/file", "audit"];
    for command in missing {
        assert_eq!(watertight(command).code, 3, "{command}");
    }
    let bad = [
        "frob",
        "connections --frob",
        "query",
        "query -f docs/examples/shop shop/web",
        "query -f docs/examples/shop shop/web shop/nobody --port 80",
        "query -f docs/examples/shop shop/web shop/db --port 99999",
        "query -f docs/examples/shop --batch - -o csv",
        "query -f - --batch -",
        "blast -f docs/examples/shop ip:10.0.0.1",
        "blast -f docs/examples/shop",
        "blast -f docs/examples/shop shop/web --hops 0",
        "connections -f docs/examples/shop -n nowhere",
        "connections -f docs/examples/broken.yaml",
        "connections -f docs/examples/broken.yaml -f no/such/dir",
        "connections -f docs/examples/shop --context c",
        "connections -f docs/examples/shop --pod-cidr 10.0.0.1/8",
        "explain WT9999",
        "explain shop/web",
        "doctor -f docs/examples/shop",
        "connections -f /dev/null",
    ];
    for command in bad {
        let run = watertight(command);
        assert_eq!(run.code, 2, "{command}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.starts_with("error"), "{command}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{command}: {}", run.stdout);
    }
    // A denial is an answer.
    assert_eq!(watertight("query -f docs/examples/shop shop/web shop/db --port 5432").code, 0);
    assert_eq!(watertight("doctor").code, 1);
    assert_eq!(watertight("--help").code, 0);
    assert_eq!(watertight("--version").stdout, concat!("watertight ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn incomplete_answers_end_with_4_if_strict() {
    let unclear = "docs/examples/unclear.yaml";
    for command in [
        "connections",
        "blast a/client",
        "blast --rank",
        "query a/client a/db --port 5432",
        "explain a/client a/db --port 5432",
    ] {
        let lax = watertight(&format!("{command} -f {unclear}"));
        assert_eq!(lax.code, 0, "{command}");
        assert!(lax.stderr.contains("CiliumNetworkPolicy is not evaluated"), "{command}: {}", lax.stderr);
        assert_eq!(watertight(&format!("{command} -f {unclear} --strict")).code, 4, "{command}");
        assert_eq!(watertight(&format!("{command} -f {unclear} --strict")).stdout, lax.stdout, "{command}");
    }
    for command in ["connections", "blast shop/web", "query shop/web shop/db --port 5432"] {
        assert_eq!(watertight(&format!("{command} -f {SHOP} --strict")).code, 0, "{command}");
    }
    // Findings do not hide that the answer is incomplete.
    assert_eq!(watertight(&format!("audit -f {unclear} --strict")).code, 4);
}

#[test]
fn errors_are_data_for_programs() {
    for (command, code) in [
        ("connections -f docs/examples/broken.yaml", 2),
        ("connections -f no/such/dir", 3),
        ("connections --frob", 2),
        ("query -f docs/examples/shop a b --port 80", 2),
    ] {
        let run = watertight(&format!("{command} -o json"));
        let value: serde_json::Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{command}: {e}: {}", run.stdout));
        assert_eq!(
            (run.code, value["kind"].as_str(), value["exitCode"].as_u64()),
            (code, Some("Error"), Some(u64::from(code))),
            "{command}"
        );
        assert!(!value["diagnostics"].as_array().unwrap().is_empty(), "{command}");
        let bare = watertight(command);
        assert!(bare.stdout.is_empty() && bare.stderr == run.stderr, "{command}");
    }
}

#[test]
fn standard_input_is_a_source_and_a_batch() {
    let text = std::fs::read_to_string(root().join(SHOP).join("workloads.yaml")).unwrap();
    let run = watertight_with("query -f - shop/web shop/db --port 5432 -o json", &text);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("\"verdict\": \"allow\""), "{}", run.stdout);
    let questions = "{\"from\":\"shop/web\",\"to\":\"shop/db\",\"port\":5432}\n\n{\"from\":1}\n{\"from\":\"shop/web\",\"to\":\"shop/db\",\"port\":5432,\"prot\":\"TCP\"}\n{\"id\":[7],\"from\":\"shop/api\",\"to\":\"shop/db\",\"port\":5432}";
    let run = watertight_with(&format!("query -f {SHOP} --batch -"), questions);
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(run.code, 2);
    let told: Vec<String> = lines
        .iter()
        .map(|l| l["verdict"].as_str().map_or_else(|| format!("error {}", l["line"]), str::to_owned))
        .collect();
    assert_eq!(told, ["deny", "error 3", "error 4", "allow"]);
    assert_eq!((lines[0].get("id"), lines[3]["id"][0].as_u64()), (None, Some(7)));
    assert!(run.stderr.contains("2 lines of `-`"), "{}", run.stderr);
}

#[test]
fn a_batch_says_what_single_questions_say() {
    let questions = [
        ("shop/web", "shop/db", 5432),
        ("shop/api", "shop/db", 5432),
        ("monitoring/prometheus", "service:shop/api", 80),
        ("ip:203.0.113.7", "shop/web", 8080),
    ];
    let batch: String = questions
        .iter()
        .map(|(from, to, port)| format!("{{\"from\":\"{from}\",\"to\":\"{to}\",\"port\":{port}}}\n"))
        .collect();
    let answers = watertight_with(&format!("query -f {SHOP} --batch -"), &batch);
    for ((from, to, port), line) in questions.iter().zip(answers.stdout.lines()) {
        let single = watertight(&format!("query -f {SHOP} {from} {to} --port {port} -o json")).stdout;
        let mut single: serde_json::Value = serde_json::from_str(&single).unwrap();
        single.as_object_mut().unwrap().retain(|k, _| k != "apiVersion" && k != "kind");
        assert_eq!(single, serde_json::from_str::<serde_json::Value>(line).unwrap(), "{from} {to}");
    }
    assert_eq!(answers.stdout.lines().count(), questions.len());
}

#[test]
fn hostile_names_stay_text() {
    // Names that the API would refuse come through snapshots of servers that were patched, and through error messages.
    for hostile in ["\\e[2J\\e[31mowned", "a\\u202eb", "x\\u009b31m", "\\a"] {
        for command in [
            "connections -f -",
            "audit -f -",
            "explain -f - a/web a/web --port 80",
            "blast -f - a/web",
            "query -f - a/\u{1b}[2J a/web --port 80",
        ] {
            for format in ["table", "markdown", "csv"] {
                let run = run(words(&format!("{command} -o {format}")), &manifest(hostile), |_| {});
                for text in [&run.stdout, &run.stderr] {
                    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
                    assert_eq!(bad, None, "{command} -o {format}: {text:?}");
                }
            }
        }
    }
}

#[test]
fn colour_only_where_it_is_welcome() {
    let plain = watertight(&format!("explain -f {SHOP} shop/web shop/db --port 5432"));
    assert!(!plain.stdout.contains('\u{1b}'));
    let coloured =
        run(words(&format!("explain -f {SHOP} shop/web shop/db --port 5432")), "", |h| h.stdout_colour = true);
    assert!(coloured.stdout.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&coloured.stdout).to_string(), plain.stdout);
    let json = run(words(&format!("connections -f {SHOP} -o json")), "", |h| h.stdout_colour = true);
    assert!(!json.stdout.contains('\u{1b}'));
    let error = run(words("connections -f docs/examples/broken.yaml"), "", |h| h.stderr_colour = true);
    assert!(error.stderr.contains('\u{1b}') && error.stdout.is_empty());
}

/// A reader that closes after a few bytes.
struct Closed(usize, io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from(self.1));
        }
        let n = bytes.len().min(self.0);
        self.0 -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_disk_is_not() {
    for (kind, code) in [(io::ErrorKind::BrokenPipe, 0), (io::ErrorKind::StorageFull, 3)] {
        for format in ["table", "json", "yaml", "csv", "dot", "markdown"] {
            let mut closed = Closed(100, kind);
            let argv: Vec<OsString> = words(&format!("watertight connections -f {SHOP} -o {format}")).collect();
            let (ended, stderr) = run_into(&mut closed, &argv, "", |_| {});
            assert_eq!(ended, code, "{kind:?} {format}");
            assert_eq!(stderr.is_empty(), code == 0, "{kind:?} {format}: {stderr}");
        }
    }
}

#[test]
fn saved_input_gives_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.yaml");
    for source in [SHOP, "examples/demo", "docs/examples/unclear.yaml"] {
        for command in ["connections", "blast --rank", "audit --fail-on never"] {
            let before = watertight(&format!("{command} -f {source} -o json --save {}", file.display()));
            assert_eq!(before.code, 0, "{source}: {}", before.stderr);
            let after = watertight(&format!("{command} -f {} -o json", file.display()));
            // Rules and findings name the file.
            let unplaced =
                |text: &str| text.lines().filter(|l| !l.contains("\"file\"")).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(unplaced(&before.stdout), unplaced(&after.stdout), "{command} {source}");
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let refused = watertight(&format!("connections -f {SHOP} --save {}/no/such/place.yaml", folder.path().display()));
    assert_eq!(refused.code, 3);
}

#[test]
fn quiet_leaves_out_warnings_and_verbose_adds() {
    let command = "connections -f docs/examples/unclear.yaml";
    assert!(!watertight(command).stderr.is_empty());
    assert_eq!(watertight(&format!("{command} -q")).stderr, "");
    let verbose = watertight(&format!("{command} -v")).stderr;
    assert!(verbose.contains("read 1 input: 3 pods, 3 workloads, 2 namespaces, 1 policy"), "{verbose}");
    assert!(!watertight("connections -q -f docs/examples/broken.yaml").stderr.is_empty(), "errors are always shown");
}

#[test]
fn the_scope_filters_and_names_are_looked_up_in_it() {
    let all = watertight(&format!("connections -f {SHOP} -o csv")).stdout;
    let scoped = watertight(&format!("connections -f {SHOP} -o csv -n monitoring")).stdout;
    let expected: Vec<&str> =
        all.lines().enumerate().filter(|(i, l)| *i == 0 || l.contains(",monitoring,")).map(|(_, l)| l).collect();
    assert_eq!(scoped.lines().collect::<Vec<_>>(), expected);
    assert_eq!(watertight(&format!("connections -f {SHOP} -o csv -n monitoring -A")).stdout, all);
    let short = watertight(&format!("query -f {SHOP} -n shop web service:api --port 80 -o json")).stdout;
    assert_eq!(short, watertight(&format!("query -f {SHOP} shop/web service:shop/api --port 80 -o json")).stdout);
}

#[test]
fn the_plugin_calls_itself_by_its_name() {
    let argv = ["/usr/local/bin/kubectl-watertight", "blast"].map(OsString::from);
    let (code, text) = run_into(&mut Vec::new(), &argv, "", |_| {});
    assert_eq!(code, 2);
    assert!(text.contains("Usage: kubectl watertight blast"), "{text}");
}

#[test]
fn completion_scripts_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = watertight(&format!("completion {shell}"));
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("connections") && run.stdout.contains("assume-node-compromise"), "{shell}");
    }
}

#[test]
fn without_a_cluster_it_says_what_to_do() {
    let run = watertight("");
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("watertight demo") && run.stderr.contains("-f DIR"), "{}", run.stderr);
}

#[test]
fn every_page_of_the_catalogue_opens() {
    for lint in watertight_audit::catalogue() {
        let run = watertight(&format!("explain {}", lint.code.to_lowercase()));
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains(lint.name), "{}", run.stdout);
    }
}

/// Each step names the command that does the same: run them all on the files that `--write` gives.
#[test]
fn the_demo_walks_and_its_commands_say_the_same() {
    let begun = std::time::Instant::now();
    let walk = watertight("demo");
    assert_eq!(walk.code, 0, "{}", walk.stderr);
    // It takes well under a second on an idle machine; this only notices that it has stopped to end.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let last = walk.stdout.lines().rev().find(|l| l.starts_with("Next: ")).unwrap();
    assert!(last.contains("watertight"), "{last}");

    let folder = tempfile::tempdir().unwrap();
    let place = |text: &str| {
        text.replace("demo/", &format!("{}/demo/", folder.path().display()))
            .replace("flows.ledger", &format!("{}/flows.ledger", folder.path().display()))
    };
    assert_eq!(watertight(&format!("demo --write {}/demo", folder.path().display())).code, 0);
    let commands: Vec<&str> = walk.stdout.lines().filter_map(|l| l.strip_prefix("$ watertight ")).collect();
    assert_eq!(commands.len(), 6);
    for command in commands {
        let extra = if command.starts_with("flows import") {
            format!(" --ledger {}/flows.ledger", folder.path().display())
        } else {
            String::new()
        };
        let run = watertight(&format!("{}{extra}", place(command)));
        let (code, headline) = match command.split(' ').next().unwrap() {
            "audit" => (run.code, "Reachable  4,422 of 4,422 workload pairs (100%)"),
            "replay" => (1, "would be denied of "),
            "blast" => (0, "Deployment dev/shell reaches "),
            "flows" => (0, "748 edges"),
            _ => (0, "observed connections stay allowed"),
        };
        assert_eq!(run.code, code, "{command}: {}", run.stderr);
        let line = |text: &str| text.lines().filter(|l| l.contains(headline)).map(str::to_owned).collect::<Vec<_>>();
        let shown = line(&run.stdout);
        assert!(
            !shown.is_empty() && line(&walk.stdout).iter().any(|l| place(l) == shown[0]),
            "{command}: {}",
            run.stdout
        );
    }
}

#[test]
fn learned_files_are_the_same_again_and_strangers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let command = format!("learn -f {SHOP} --flows docs/examples/shop-flows.jsonl -q --out {}", out.display());
    assert_eq!(watertight(&command).code, 0);
    let files = || -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
        let mut found: Vec<_> = ["shop", "monitoring"]
            .iter()
            .flat_map(|ns| std::fs::read_dir(out.join(ns)).unwrap())
            .map(|e| e.unwrap().path())
            .collect();
        found.sort();
        found
            .into_iter()
            .map(|p| (p.clone(), std::fs::read(&p).unwrap(), std::fs::metadata(&p).unwrap().modified().unwrap()))
            .collect()
    };
    let first = files();
    assert_eq!(first.len(), 4);
    assert_eq!(watertight(&command).code, 0);
    assert_eq!(files(), first);
    std::fs::write(out.join("shop/old.yaml"), "").unwrap();
    let run = watertight(&command.replace(" -q", ""));
    assert!(run.stderr.contains("old.yaml"), "{}", run.stderr);
    // What was learned is understood, and nothing that was seen would be denied.
    let replay = watertight(&format!(
        "replay -f {SHOP} --policies {0}/shop/api.yaml --policies {0}/shop/web.yaml --policies {0}/shop/db.yaml --flows docs/examples/shop-flows.jsonl -q",
        out.display()
    ));
    assert_eq!(replay.code, 0, "{}{}", replay.stdout, replay.stderr);
}

#[test]
fn candidates_replace_and_keep_their_lines() {
    let plain = format!("query -f {SHOP} monitoring/prometheus shop/api --port 9090 -o json");
    assert!(watertight(&plain).stdout.contains("\"verdict\": \"allow\""));
    let with = watertight(&format!("{plain} --policies docs/examples/lockdown.yaml"));
    let value: serde_json::Value = serde_json::from_str(&with.stdout).unwrap();
    assert_eq!(value["verdict"], "deny");
    let by = &value["ingress"]["decidedBy"];
    assert_eq!(
        (by[0]["policy"].as_str(), by[0]["file"].as_str(), by[0]["line"].as_u64()),
        (Some("shop/api-in"), Some("docs/examples/lockdown.yaml"), Some(9))
    );
    assert_eq!(
        (by[1]["policy"].as_str(), by[1]["file"].as_str()),
        (Some("shop/default-deny"), Some("docs/examples/shop/policies.yaml"))
    );
    let nowhere = watertight(&format!("{plain} --policies docs/examples/broken.yaml"));
    assert_eq!(nowhere.code, 2);
    let elsewhere = watertight("connections -f docs/examples/unclear.yaml --policies docs/examples/lockdown.yaml -q");
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.stderr.contains("no namespace `shop`"), "{}", elsewhere.stderr);
}

#[test]
fn flows_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let flows = std::fs::read_to_string(root().join("docs/examples/shop-flows.jsonl")).unwrap();
    let truncated = file("truncated.jsonl", &flows[..flows.len() - 40]);
    let run = watertight(&format!("flows show --flows {truncated} -o json"));
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("line 21"), "{}", run.stderr);
    let import = |strict: &str| {
        watertight(&format!("flows import {truncated} --ledger {}/l{strict} {strict} -o json", folder.path().display()))
    };
    assert_eq!((import("").code, import("--strict").code), (0, 4));
    let damaged = file("damaged.ledger", "redb and then something else");
    assert!(matches!(watertight(&format!("flows show --flows {damaged}")).code, 2 | 3));
    assert_eq!(watertight("flows show --flows no/such/file").code, 3);
    assert_eq!(watertight("flows show --flows docs").code, 3);
    assert_eq!(watertight(&format!("flows import no/such/file --ledger {}/none", folder.path().display())).code, 3);
    assert!(!folder.path().join("none").exists());
    let stdin = watertight_with("flows show --flows - -o csv", &flows);
    assert_eq!((stdin.code, stdin.stdout.lines().count()), (0, 6));
}
