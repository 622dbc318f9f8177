//! A lab with an agent for a test, and asking both. Needs root and Linux 6.6: without root a test says that it did not run, except
//! in continuous integration, where it fails.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// There is one lab on a machine at a time.
static ONE: Mutex<()> = Mutex::new(());

/// A lab and its agent; both go away however the test ends.
pub(crate) struct Guarded {
    agent: Option<Child>,
    _one: MutexGuard<'static, ()>,
}

impl Guarded {
    /// `None`: not root, and nobody promised that we are.
    pub(crate) fn new() -> Option<Self> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
        if !root {
            assert!(std::env::var_os("CI").is_none(), "continuous integration runs these as root");
            eprintln!("not run: the agent needs root");
            return None;
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let guarded = Self { agent: None, _one: one };
        guarded.clean();
        Some(guarded)
    }

    fn clean(&self) {
        watertight("agent uninstall");
        watertight("lab down");
    }

    /// Starts the agent and waits until it says that it enforces.
    pub(crate) fn start(&mut self, more: &[&str]) {
        self.start_with(more, Stdio::null());
    }

    pub(crate) fn start_with(&mut self, more: &[&str], stderr: Stdio) {
        let agent = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(["agent", "--source", "lab"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        self.agent = Some(agent);
        until(|| watertight("agent status").status.code() == Some(0), "the agent enforces");
    }

    pub(crate) fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.agent.is_some() {
            self.kill();
        }
        self.clean();
    }
}

pub(crate) fn until(mut holds: impl FnMut() -> bool, what: &str) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn watertight(line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_watertight")).args(words).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn ok(line: &str) {
    let out = watertight(line);
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
}

pub(crate) fn json(line: &str) -> Value {
    let out = watertight(&format!("{line} -o json"));
    serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&out.stderr)))
}

/// Connections that are too open and too closed, and those that both sides deny.
pub(crate) fn probed() -> (u64, u64, u64) {
    let data = json("lab probe");
    let at = |v: &Value| v.as_u64().unwrap();
    (at(&data["tooOpen"]), at(&data["tooClosed"]), at(&data["agree"]["denied"]))
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn shop() -> String {
    root().join("docs/examples/shop").display().to_string()
}
