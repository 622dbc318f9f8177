//! The socket of an agent: a question a line, an answer a line. Only root may connect.

use crate::api::{Answer, Ask, DIRECTORY};
use crate::error::AgentError;
use crate::gate::Asked;
use crate::run::Event;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// The longest question.
const QUESTION: u64 = 4096;
/// How long whoever asks may take, and how long the node may.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions at a time: a node has about so many pods, and they may begin together.
const MOST: usize = 256;

/// A socket that goes away with the value.
pub(crate) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // The next agent replaces it anyway.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The socket of a node's agent.
pub(crate) fn path(node: &str) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{node}.sock"))
}

/// Removes sockets that nobody answers at: of agents that were killed, and of labs that are gone.
pub(crate) fn forget_the_dead() {
    for entry in std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten() {
        if UnixStream::connect(entry.path()).is_err() {
            // It may have been replaced in this moment; then its agent has the name again.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir(DIRECTORY);
}

/// Listens for questions to a node. `gates`: where pods that begin are announced; `None`: none do.
pub(crate) fn listen(node: &str, ask: Sender<Event>, gates: Option<Sender<Asked>>) -> Result<Socket, AgentError> {
    let path = path(node);
    std::fs::create_dir_all(DIRECTORY).map_err(AgentError::io(format!("making {DIRECTORY}")))?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(AgentError::io(format!("removing {}", path.display()))(error));
        }
        _ => {}
    }
    let failed = || AgentError::io(format!("listening at {}", path.display()));
    let listener = UnixListener::bind(&path).map_err(failed())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed())?;
    std::thread::spawn(move || {
        let open = Arc::new(AtomicUsize::new(0));
        for stream in listener.incoming().flatten() {
            if open.load(Ordering::Acquire) >= MOST {
                // Whoever asks is told by the end of the connection.
                continue;
            }
            open.fetch_add(1, Ordering::AcqRel);
            let (ask, gates, counted) = (ask.clone(), gates.clone(), Arc::clone(&open));
            let serving = std::thread::Builder::new().name("question".into()).spawn(move || {
                // Whoever hangs up has had enough.
                drop(serve(&stream, &ask, gates.as_ref()));
                counted.fetch_sub(1, Ordering::AcqRel);
            });
            if serving.is_err() {
                open.fetch_sub(1, Ordering::AcqRel);
            }
        }
    });
    Ok(Socket(path))
}

fn serve(mut stream: &UnixStream, ask: &Sender<Event>, gates: Option<&Sender<Asked>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(QUESTION)).read_line(&mut line)?;
    let answer = match serde_json::from_str::<Ask>(&line) {
        Err(error) => Answer::Failed(format!("not a question: {error}")),
        Ok(question) => {
            let (tell, told) = channel();
            let sent = match (question, gates) {
                (Ask::Gate(gate), Some(gates)) => gates.send((gate, tell)).is_ok(),
                (question, _) => ask.send(Event::Asked(question, tell)).is_ok(),
            };
            let answer = told.recv_timeout(PATIENCE).ok().filter(|_| sent);
            answer.unwrap_or_else(|| Answer::Failed("the agent does not answer".to_owned()))
        }
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    stream.write_all(&text)
}
