//! `watertight-cni`: called by the container runtime it is a CNI plugin; with a word it puts itself into, or takes itself out of, a node.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use watertight_cni::install::{Node, install, remove};
use watertight_cni::plugin::{Environment, run};

const USAGE: &str = "\
watertight-cni is a CNI plugin: container runtimes call it. By hand:

  watertight-cni install    copy it to the node and put it at the end of the network's configuration
  watertight-cni keep       the same, and again whenever someone rewrites the configuration
  watertight-cni uninstall  take it out again
  watertight-cni idle       do nothing, for ever

Folders: --bin /opt/cni/bin, --conf /etc/cni/net.d. Environment: NODE_NAME, WATERTIGHT_FAIL_OPEN=true
";

/// How often `keep` looks.
const LOOK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(word) = words.next() else {
        let outcome = run(&Environment::of_process(), std::io::stdin().lock());
        tell(&outcome.stderr);
        let printed = std::io::stdout().write_all(outcome.stdout.as_bytes());
        // A result that the runtime did not get is none.
        return if outcome.success && printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let Some(node) = node(words) else {
        tell(USAGE);
        return ExitCode::from(2);
    };
    match word.as_str() {
        "install" => ended(install(&node).map(|what| vec![what])),
        "uninstall" => ended(remove(&node)),
        "keep" => keep(&node),
        "idle" => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        _ => {
            tell(USAGE);
            ExitCode::from(2)
        }
    }
}

fn node(mut words: impl Iterator<Item = String>) -> Option<Node> {
    let set = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let mut node = Node {
        program: std::env::current_exe().ok()?,
        bin: PathBuf::from("/opt/cni/bin"),
        conf: PathBuf::from("/etc/cni/net.d"),
        name: set("NODE_NAME"),
        fail_open: set("WATERTIGHT_FAIL_OPEN").is_some_and(|v| v == "true"),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bin" => node.bin = PathBuf::from(words.next()?),
            "--conf" => node.conf = PathBuf::from(words.next()?),
            _ => return None,
        }
    }
    Some(node)
}

/// Says each thing once.
fn keep(node: &Node) -> ! {
    let mut last = None;
    loop {
        let now = install(node);
        if last.as_ref() != Some(&now) {
            let (Ok(text) | Err(text)) = &now;
            tell(text);
            last = Some(now);
        }
        std::thread::sleep(LOOK);
    }
}

fn ended(result: Result<Vec<String>, String>) -> ExitCode {
    match result {
        Ok(lines) => {
            lines.iter().for_each(|line| tell(line));
            ExitCode::SUCCESS
        }
        Err(why) => {
            tell(&format!("error: {why}"));
            ExitCode::from(3)
        }
    }
}

/// On standard error: standard output is the runtime's. Nobody may be reading.
fn tell(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
    }
}
