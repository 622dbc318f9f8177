//! What runs elsewhere: the action's shell step with a runner's variables, and the entry of the pre-commit hook.

use crate::common::root;
use std::path::Path;
use std::process::{Command, Output};

/// A command that finds the program first, and nothing of the surroundings but tools.
fn command(program: &str) -> Command {
    let folder = snapbox::cmd::cargo_bin!("watertight").parent().unwrap().to_owned();
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", format!("{}:{path}", folder.display())).env("HOME", "/nonexistent");
    command.current_dir(root());
    command
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success())
}

struct Ran {
    output: Output,
    summary: String,
    outputs: String,
}

fn action(folder: &Path, set: &[(&str, &str)]) -> Ran {
    let (summary, outputs) = (folder.join("summary"), folder.join("outputs"));
    let mut bash = command("bash");
    bash.arg("ci/github-action.sh").envs(set.iter().copied());
    bash.env("RUNNER_TEMP", folder).env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_OUTPUT", &outputs);
    let output = bash.output().unwrap();
    let read = |file: &Path| std::fs::read_to_string(file).unwrap_or_default();
    Ran { output, summary: read(&summary), outputs: read(&outputs) }
}

#[test]
fn the_action_annotates_sums_up_and_fails_as_asked() {
    if !has("jq") {
        // GitHub's runners have it.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (level, code) in [("warning", 1), ("error", 0)] {
        let here = tempfile::tempdir_in(folder.path()).unwrap();
        let set = [("WATERTIGHT_FILES", "docs/examples/shop\n"), ("WATERTIGHT_FAIL_ON", level)];
        let ran = action(here.path(), &set);
        assert_eq!(ran.output.status.code(), Some(code), "{ran:?}", ran = ran.output);
        assert!(
            String::from_utf8_lossy(&ran.output.stdout)
                .contains("::warning file=docs/examples/shop/workloads.yaml,line=")
        );
        assert!(ran.summary.starts_with("## Watertight\n") && ran.summary.contains("| WT0046 |"), "{}", ran.summary);
        assert!(ran.outputs.contains(&format!("exit-code={code}\n")), "{}", ran.outputs);
        let sarif = ran.outputs.lines().find_map(|l| l.strip_prefix("sarif=")).unwrap();
        let log: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(sarif).unwrap()).unwrap();
        assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn what_is_accepted_is_not_uploaded() {
    if !has("jq") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let baseline = folder.path().join("baseline");
    let wrote =
        command("watertight").args(["audit", "-f", "docs/examples/shop", "--write-baseline"]).arg(&baseline).output();
    assert!(wrote.unwrap().status.success());
    let ran = action(
        folder.path(),
        &[("WATERTIGHT_FILES", "docs/examples/shop"), ("WATERTIGHT_BASELINE", baseline.to_str().unwrap())],
    );
    assert_eq!(ran.output.status.code(), Some(0));
    let sarif = ran.outputs.lines().find_map(|l| l.strip_prefix("sarif=")).unwrap();
    let log: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(sarif).unwrap()).unwrap();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 0);
}

#[test]
fn an_input_that_is_not_understood_fails_the_action_whatever_the_level() {
    if !has("jq") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A name that a shell would take apart.
    let odd = folder.path().join("a b; exit 0 $(x)");
    std::fs::create_dir(&odd).unwrap();
    std::fs::copy(root().join("docs/examples/broken.yaml"), odd.join("broken.yaml")).unwrap();
    let ran = action(folder.path(), &[("WATERTIGHT_FILES", odd.to_str().unwrap()), ("WATERTIGHT_FAIL_ON", "never")]);
    assert_eq!(ran.output.status.code(), Some(2));
    assert!(ran.outputs.contains("exit-code=2\n"));
    assert!(String::from_utf8_lossy(&ran.output.stdout).contains("::error file="));
}

#[test]
fn the_action_passes_every_input_that_it_declares() {
    let action = std::fs::read_to_string(root().join("action.yml")).unwrap();
    let script = std::fs::read_to_string(root().join("ci/github-action.sh")).unwrap();
    for (input, variable) in [
        ("files", "WATERTIGHT_FILES"),
        ("fail-on", "WATERTIGHT_FAIL_ON"),
        ("baseline", "WATERTIGHT_BASELINE"),
        ("strict", "WATERTIGHT_STRICT"),
    ] {
        assert!(action.contains(&format!("{variable}: ${{{{ inputs.{input} }}}}")), "{input}");
        assert!(script.contains(&format!("${{{variable}:-")), "{variable}");
    }
    // Inputs reach the shell as variables only: written into a script they would be run.
    assert!(action.lines().filter(|l| l.trim_start().starts_with("run:")).all(|l| !l.contains("${{")));
}

#[test]
fn the_hook_runs_as_it_is_written() {
    let hooks = std::fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let entry = hooks.lines().find_map(|l| l.strip_prefix("  entry: ")).unwrap();
    let run = |path: &str| {
        let mut words = entry.split(' ');
        let mut hook = command(words.next().unwrap());
        hook.args(words).args(["-f", path]).output().unwrap().status.code()
    };
    assert_eq!(run("docs/examples/shop"), Some(0));
    assert_eq!(run("examples/demo"), Some(1));
    assert_eq!(run("docs/examples/broken.yaml"), Some(2));
}
