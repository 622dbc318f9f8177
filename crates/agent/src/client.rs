//! Asking agents of this machine.

use crate::api::{Answer, Ask, DIRECTORY};
use crate::error::AgentError;
use crate::server;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The longest answer: a ledger of some hundred thousand edges.
const ANSWER: u64 = 256 << 20;
/// How long an agent may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Nodes whose agents have a socket here, sorted.
///
/// # Errors
/// [`AgentError::NotRunning`]: there is none.
pub fn nodes() -> Result<Vec<String>, AgentError> {
    let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let mut out: Vec<String> = entries
        .filter_map(|e| e.file_name().to_str().and_then(|n| n.strip_suffix(".sock")).map(str::to_owned))
        .collect();
    out.sort();
    if out.is_empty() { Err(AgentError::NotRunning { socket: DIRECTORY.to_owned() }) } else { Ok(out) }
}

/// Asks the agent of a node.
///
/// # Errors
/// [`AgentError::NotRunning`]: nobody answers; or the answer is none.
pub fn ask(node: &str, question: &Ask) -> Result<Answer, AgentError> {
    // A name is a file's name here, and no path.
    let path = server::path(Path::new(node).file_name().and_then(|n| n.to_str()).unwrap_or_default());
    let shown = path.display().to_string();
    let stream = UnixStream::connect(&path).map_err(|_| AgentError::NotRunning { socket: shown.clone() })?;
    let io = |what: &str| AgentError::io(format!("{what} {shown}"));
    stream.set_read_timeout(Some(PATIENCE)).map_err(io("asking"))?;
    let mut line = serde_json::to_vec(question).map_err(|e| io("asking")(e.into()))?;
    line.push(b'\n');
    (&stream).write_all(&line).map_err(io("asking"))?;
    let mut text = String::new();
    BufReader::new((&stream).take(ANSWER)).read_line(&mut text).map_err(io("reading from"))?;
    serde_json::from_str(&text).map_err(|e| io("understanding")(e.into()))
}
