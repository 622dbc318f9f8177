//! The test cluster, by the commands of `./dev cluster`, and the program run against it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `./dev cluster ARGS`, with this standard input; gives standard output.
#[track_caller]
pub(crate) fn bed_with(args: &[&str], stdin: &str) -> String {
    let mut command = Command::new(root().join("testbed/cluster"));
    let out = finish(command.args(args).current_dir(root()), stdin);
    assert!(
        out.status.success(),
        "./dev cluster {}: {}\n(run this with `./dev cluster test`)",
        args.join(" "),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// The same, its arguments separated by spaces.
#[track_caller]
pub(crate) fn bed(args: &str) -> String {
    bed_with(&args.split_whitespace().collect::<Vec<_>>(), "")
}

/// Objects given as YAML, as they are wanted.
#[track_caller]
pub(crate) fn apply(objects: &str) {
    bed_with(&["kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-"], objects);
}

/// The administrator's kubeconfig.
pub(crate) fn admin() -> PathBuf {
    bed("kubeconfig").trim().into()
}

/// A kubeconfig of an account that may read all, or only these namespaces.
pub(crate) fn account(folder: &Path, name: &str, namespaces: &[&str]) -> PathBuf {
    let mut args = vec!["account", name];
    args.extend(namespaces);
    let file = folder.join(name);
    std::fs::write(&file, bed_with(&args, "")).unwrap();
    file
}

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `watertight ARGS` (separated by spaces) with this kubeconfig.
pub(crate) fn watertight(args: &str, kubeconfig: &Path) -> Run {
    let out = finish(&mut program(args, kubeconfig), "");
    Run {
        code: out.status.code().unwrap(),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

/// The command of [`watertight`], not started.
pub(crate) fn program(args: &str, kubeconfig: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watertight"));
    command.args(args.split_whitespace()).env("KUBECONFIG", kubeconfig).current_dir(root());
    command
}

/// Standard output as JSON.
impl Run {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }
}

fn finish(command: &mut Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    // Beside reading, or both sides could wait for each other. Who needs no input closes it early.
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(text.as_bytes());
    });
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    out
}
