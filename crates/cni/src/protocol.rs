//! What is said between the plugin and the agent, one JSON object a line each way.

use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where agents of this machine listen: one socket a node, `NODE.sock`.
pub const DIRECTORY: &str = "/run/watertight/agent";
/// The longest answer to a question of ours.
const ANSWER: u64 = 1 << 20;

/// Is this pod isolated? Asked when its network is made and nothing of it runs yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Namespace of the pod.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid. Runtimes say it; without it the agent cannot tell it from an earlier pod of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Where its network namespace is.
    pub netns: PathBuf,
    /// The number of that namespace, which tells it from others at the same path.
    pub inode: u64,
    /// Index of its device on the node's side, if the network plugin's result says which that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// MAC address of the pod's side, as the network plugin said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Addresses that the network plugin gave it.
    pub addresses: Vec<IpAddr>,
}

/// It is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolated {
    /// Index of its device on the node's side.
    pub ifindex: u32,
    /// Nothing passes yet, and why. `None`: what its policies say passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// A question of the plugin's; a part of what an agent can be asked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "ask")]
pub enum Question {
    /// See [`Gate`].
    Gate(Gate),
    /// Is anyone there?
    Status,
}

/// An answer, as far as the plugin reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer", content = "of")]
enum Answer {
    Gated(Isolated),
    Failed(String),
    Status(serde::de::IgnoredAny),
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The pod is isolated.
    Isolated(Isolated),
    /// Someone is there.
    There,
}

/// Why there is no answer that lets a pod begin.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers in time: it may be different in a moment.
    Away(String),
    /// The agent answers that it is not.
    Refused(String),
}

/// The socket of the node's agent; without a name, the only one there is.
///
/// # Errors
/// There is none, or which one is not clear.
pub fn socket(directory: &Path, node: Option<&str>) -> Result<PathBuf, Refusal> {
    if let Some(node) = node {
        // A name, and no path.
        return match Path::new(node).file_name() {
            Some(name) if Path::new(node) == Path::new(name) => Ok(directory.join(format!("{node}.sock"))),
            _ => Err(Refusal::Refused(format!("`{node}` is no name of a node"))),
        };
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "sock")).collect();
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Refusal::Refused(format!(
            "several agents listen in {}: name the `node` in the configuration",
            directory.display()
        ))),
        (None, _) => Err(Refusal::Away(format!("no agent listens in {}", directory.display()))),
    }
}

/// Asks the agent.
///
/// # Errors
/// See [`Refusal`].
pub fn ask(socket: &Path, question: &Question, patience: Duration) -> Result<Reply, Refusal> {
    let away = |e: std::io::Error| Refusal::Away(format!("no agent answers at {}: {e}", socket.display()));
    let stream = UnixStream::connect(socket).map_err(away)?;
    stream.set_read_timeout(Some(patience)).map_err(away)?;
    stream.set_write_timeout(Some(patience)).map_err(away)?;
    let mut line = serde_json::to_vec(question).map_err(|e| away(e.into()))?;
    line.push(b'\n');
    (&stream).write_all(&line).map_err(away)?;
    let mut text = String::new();
    BufReader::new((&stream).take(ANSWER)).read_line(&mut text).map_err(away)?;
    if text.is_empty() {
        return Err(Refusal::Away(format!("the agent at {} hung up", socket.display())));
    }
    match serde_json::from_str(&text) {
        Ok(Answer::Gated(isolated)) => Ok(Reply::Isolated(isolated)),
        Ok(Answer::Status(_)) => Ok(Reply::There),
        Ok(Answer::Failed(why)) => Err(Refusal::Refused(why)),
        Err(error) => Err(Refusal::Refused(format!("the agent's answer is not understood: {error}"))),
    }
}
