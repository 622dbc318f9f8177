//! What changes between two versions: the attacker's path, formats, exit codes, Git, and input that means harm.

use crate::common::watertight;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const BEFORE: &str = "docs/examples/path/before.yaml";
const AFTER: &str = "docs/examples/path/after.yaml";

fn json(command: &str) -> Value {
    serde_json::from_str(&watertight(&format!("{command} -o json")).stdout).unwrap()
}

/// Scenario S23: web -> api -> db with an api that everyone may reach; closing it takes lab/tool off the path.
#[test]
fn removing_the_over_permission_shortens_the_attackers_path() {
    let blast = |file: &str| json(&format!("blast -f {file} lab/tool"))["reachable"].as_array().unwrap().len();
    assert_eq!((blast(BEFORE), blast(AFTER)), (2, 0));
    let diff = json(&format!("diff {BEFORE} {AFTER}"));
    let radius = &diff["blastRadius"]["workloads"][0];
    assert_eq!((radius["workload"].as_str(), radius["reachable"]["before"].as_u64()), (Some("lab/tool"), Some(2)));
    assert_eq!(radius["reachable"]["after"], 0);
    assert!(diff["blastRadius"]["mean"]["after"].as_f64() < diff["blastRadius"]["mean"]["before"].as_f64());
    let change = diff["changes"].as_array().unwrap().iter().find(|c| c["from"]["name"] == "tool").unwrap();
    assert_eq!((change["to"]["name"].as_str(), change["change"].as_str()), (Some("api"), Some("disappears")));
    let because = &change["shifts"][0]["because"];
    assert_eq!((because["why"].as_str(), because["edits"][0]["object"].as_str()), (Some("one"), Some("pay/api-in")));
    assert_eq!((because["edits"][0]["file"].as_str(), because["edits"][0]["line"].as_u64()), (Some(AFTER), Some(67)));
    // The other way round the rule that opens is named, where it is written.
    let back = json(&format!("diff {AFTER} {BEFORE}"));
    let change = back["changes"].as_array().unwrap().iter().find(|c| c["from"]["name"] == "tool").unwrap();
    let edit = &change["shifts"][0]["because"]["edits"][0];
    assert_eq!(
        (edit["rule"].as_u64(), edit["line"].as_u64(), edit["side"].as_str()),
        (Some(0), Some(70), Some("after"))
    );
}

#[test]
fn pods_of_tomorrow_are_told_in_words() {
    let text = watertight(&format!("diff {AFTER} {BEFORE}")).stdout;
    for words in ["a pod created tomorrow in a new namespace", "a pod created tomorrow in namespace pay"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(
        text.starts_with("6 connections open (2 of pods created tomorrow), mean blast radius 50% -> 75%\n"),
        "{text}"
    );
}

#[test]
fn exit_codes() {
    for (arguments, code) in [
        (format!("{BEFORE} {BEFORE}"), 0),
        (format!("{BEFORE} {AFTER}"), 1),
        (format!("{BEFORE} {AFTER} --fail-on any"), 1),
        (format!("{BEFORE} {AFTER} --fail-on opens"), 0),
        (format!("{AFTER} {BEFORE} --fail-on opens"), 1),
        (format!("{AFTER} {BEFORE} --fail-on never"), 0),
        (format!("{BEFORE} {AFTER} --fail-on error"), 2),
        (format!("{BEFORE} docs/examples/nothing.yaml"), 3),
        (format!("{BEFORE} docs/examples/broken.yaml"), 2),
        (String::new(), 2),
        (BEFORE.to_owned(), 2),
        (format!("{BEFORE} {AFTER} -f {BEFORE}"), 2),
        (format!("{BEFORE} {AFTER} --policies {BEFORE}"), 2),
        (format!("{BEFORE} {AFTER} -n nowhere"), 2),
        ("--git HEAD".to_owned(), 2),
        ("--live".to_owned(), 2),
    ] {
        let run = watertight(&format!("diff {arguments}"));
        assert_eq!(run.code, code, "diff {arguments}: {}", run.stderr);
    }
    assert_eq!(watertight(&format!("audit -f {BEFORE} --fail-on opens")).code, 2);
}

#[test]
fn faults_of_both_sides_are_told_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.yaml");
    std::fs::write(&other, "apiVersion: v1\nkind: Namespace\nmetadata: {nam: x}\n").unwrap();
    let run = watertight(&format!("diff docs/examples/broken.yaml {}", other.display()));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("docs/examples/broken.yaml:5:3"), "{}", run.stderr);
    assert!(run.stderr.contains("other.yaml:3:11"), "{}", run.stderr);
}

#[test]
fn only_what_concerns_a_namespace() {
    let lab = json(&format!("diff {BEFORE} {AFTER} -n lab"));
    let changes = lab["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["from"]["namespace"], "lab");
}

#[test]
fn candidates_are_compared_with_what_there_is() {
    let run = watertight("diff -f docs/examples/shop --policies docs/examples/lockdown.yaml");
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("NetworkPolicy shop/api-in changed"), "{}", run.stdout);
    assert!(run.stdout.contains("docs/examples/lockdown.yaml:9:5"), "{}", run.stdout);
}

#[test]
fn policies_that_are_not_evaluated_are_named_and_never_pass_as_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: a}\nspec: {containers: [{name: c}]}\n";
    let cilium = "---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: a}\nspec: {endpointSelector: {}}\n";
    let (without, with) = (file("without.yaml", pod), file("with.yaml", &format!("{pod}{cilium}")));
    for flags in ["", "--fail-on opens"] {
        let run = watertight(&format!("diff {without} {with} {flags}"));
        assert_eq!(run.code, 1, "{}", run.stdout);
        assert!(run.stdout.contains("CiliumNetworkPolicy a/c   after only   not evaluated"), "{}", run.stdout);
    }
    let same = watertight(&format!("diff {with} {with}"));
    assert_eq!(same.code, 0);
    assert!(same.stdout.contains("in both: a change in it is not seen"), "{}", same.stdout);
    assert_eq!(watertight(&format!("diff {with} {with} --strict")).code, 4);
    assert_eq!(watertight(&format!("diff {without} {without} --strict")).code, 0);
}

/// A comment on GitHub takes 65,536 characters.
#[test]
fn a_pull_request_comment_is_bounded_and_says_what_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut pods = String::new();
    for i in 0..60 {
        let name = format!("{}-{i}", "n".repeat(180));
        pods += &format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: a}}\nspec: {{containers: [{{name: c}}]}}\n"
        );
    }
    let deny = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: d, namespace: a}\nspec: {podSelector: {}}\n";
    let (open, closed) = (file("open.yaml", &pods), file("closed.yaml", &format!("{pods}{deny}")));
    let run = watertight(&format!("diff {closed} {open} -o markdown"));
    assert!(run.stdout.chars().count() < 65_536, "{}", run.stdout.chars().count());
    let first = run.stdout.lines().next().unwrap();
    // 60 x 59 pairs; to each pod from outside, from a pod of tomorrow here and elsewhere; and to one of tomorrow from the
    // last and from outside.
    assert!(first.starts_with("**3,722 connections open (122 of pods created tomorrow)**"), "{first}");
    let shown = run.stdout.lines().filter(|l| l.starts_with("| ") && l.contains("opens")).count();
    let more: usize = 3_722 - shown;
    let digits = format!("{},{:03}", more / 1000, more % 1000);
    assert!(run.stdout.contains(&format!("and {digits} changes more")), "{shown} {}", &run.stdout[..400]);
    let all = json(&format!("diff {closed} {open}"));
    assert_eq!(all["changes"].as_array().unwrap().len(), 3_722);
    // Worst first: what comes from outside leads.
    assert_eq!(all["changes"][0]["from"]["kind"], "External");
}

/// Runs the program below a folder, with `git` or without.
fn at(folder: &Path, path: &str, arguments: &[&str]) -> Output {
    let mut program = Command::new(snapbox::cmd::cargo_bin!("watertight"));
    program.env_clear().env("PATH", path).env("HOME", folder).current_dir(folder).args(arguments).output().unwrap()
}

fn git(folder: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"];
    let done =
        Command::new("git").env("HOME", folder).current_dir(folder).args(settings).args(arguments).output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A repository whose second commit closes the api.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let read = |file: &str| std::fs::read_to_string(crate::common::root().join(file)).unwrap();
    git(folder.path(), &["init", "-q"]);
    put("deploy/all.yaml", &read(BEFORE));
    put("deploy/.hidden/no.yaml", "not: [yaml");
    put("deploy/readme.txt", "not read");
    put("elsewhere.yaml", "not: [yaml");
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-q", "-m", "one"]);
    git(folder.path(), &["tag", "one"]);
    put("deploy/all.yaml", &read(AFTER));
    git(folder.path(), &["commit", "-q", "-a", "-m", "two"]);
    folder
}

fn path() -> String {
    std::env::var("PATH").unwrap()
}

#[test]
fn revisions_are_read_without_checking_them_out() {
    let folder = repository();
    let here = folder.path();
    for range in ["one..HEAD", "one", "one...main", "HEAD~1.."] {
        let run = at(here, &path(), &["diff", "--git", range, "-f", "deploy/"]);
        let text = String::from_utf8(run.stdout).unwrap();
        assert_eq!(run.status.code(), Some(1), "{range}: {}", String::from_utf8_lossy(&run.stderr));
        assert!(text.starts_with("6 connections close"), "{range}: {text}");
    }
    let run = at(here, &path(), &["diff", "--git", "HEAD..one", "-f", "deploy/all.yaml"]);
    assert!(String::from_utf8(run.stdout).unwrap().contains("(one:deploy/all.yaml:70:5)"));
    assert_eq!(at(here, &path(), &["diff", "--git", "HEAD", "-f", "deploy"]).status.code(), Some(0));
    // From below the top, and by the whole path.
    let below = here.join("deploy");
    assert_eq!(at(&below, &path(), &["diff", "--git", "one", "-f", "."]).status.code(), Some(1));
    assert_eq!(at(&below, &path(), &["diff", "--git", "one..main", "-f", "../deploy"]).status.code(), Some(1));
    // A directory that one of the two does not have is nothing, and is said.
    git(here, &["mv", "deploy", "new"]);
    git(here, &["commit", "-q", "-m", "three"]);
    let run = at(here, &path(), &["diff", "--git", "one..HEAD", "-f", "new"]);
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("no manifest in `one` at new: compared with nothing"), "{said}");
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(at(here, &path(), &["diff", "--git", "one..HEAD", "-f", "never"]).status.code(), Some(2));
}

#[test]
fn what_git_cannot_answer_is_an_error_with_a_way_out() {
    let folder = repository();
    let empty = tempfile::tempdir().unwrap();
    let hostile =
        ["--output=owned", "-x", "one;touch owned", "$(touch owned)", "one\nHEAD", "HEAD:deploy/all.yaml", "..", ""];
    let unknown = ["nope", "one..nope", "deadbeef", "one^{tree}", "@{upstream}"];
    for (list, code) in [(&hostile[..], 2), (&unknown[..], 2)] {
        for revision in list {
            let run = at(folder.path(), &path(), &["diff", &format!("--git={revision}"), "-f", "deploy"]);
            assert_eq!(run.status.code(), Some(code), "{revision}");
            assert!(run.stdout.is_empty(), "{revision}");
        }
    }
    assert!(!folder.path().join("owned").exists());
    let missing = at(folder.path(), "/nonexistent", &["diff", "--git", "one", "-f", "deploy"]);
    let said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(3), "{said}");
    assert!(said.contains("git-missing") && said.contains("watertight diff OLD NEW"), "{said}");
    let outside = at(empty.path(), &path(), &["diff", "--git", "one", "-f", "deploy"]);
    let said = String::from_utf8(outside.stderr).unwrap();
    assert_eq!(outside.status.code(), Some(2), "{said}");
    assert!(said.contains("not a git repository"), "{said}");
    let escape = at(folder.path(), &path(), &["diff", "--git", "one", "-f", "../x"]);
    assert_eq!(escape.status.code(), Some(2));
}

/// What a repository's configuration could start is not started, and links are not followed.
#[test]
fn a_hostile_repository_starts_nothing() {
    let folder = repository();
    let here = folder.path();
    let owned = here.join("owned");
    let run = format!("touch {}", owned.display());
    for (key, value) in
        [("core.fsmonitor", run.as_str()), ("filter.x.smudge", &run), ("diff.x.textconv", &run), ("core.pager", &run)]
    {
        git(here, &["config", key, value]);
    }
    std::fs::write(here.join(".gitattributes"), "* filter=x diff=x\n").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", here.join("deploy/link.yaml")).unwrap();
    git(here, &["-c", "core.fsmonitor=false", "-c", "filter.x.smudge=cat", "add", "."]);
    git(here, &["-c", "core.fsmonitor=false", "-c", "core.pager=cat", "commit", "-q", "-m", "link"]);
    let _ = std::fs::remove_file(&owned);
    let run = at(here, &path(), &["diff", "--git", "one..HEAD", "-f", "deploy"]);
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("left out: `HEAD:deploy/link.yaml` is a link"), "{said}");
    assert!(!owned.exists());
}
