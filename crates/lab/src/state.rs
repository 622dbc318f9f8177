//! What a lab remembers between commands: its plan, its manifests, and who answers in it.
//!
//! The responder writes down itself that it runs, before anything else: whoever started it may have been killed.

use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Where it is remembered. Gone after a restart of the machine, as the namespaces are.
pub const DIRECTORY: &str = "/run/watertight/lab";

/// A running process, told from a later one with the same number by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat` (proc(5)): clock ticks after the machine's start.
    pub started: u64,
}

/// Everything remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What was made.
    pub plan: Plan,
    /// Limits of the host's that were too low and have been raised: file below `/proc/sys/net`, and what was in it.
    pub raised: Vec<(String, u64)>,
}

impl Process {
    /// The process of this number, if there is one.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything: fields are counted from behind it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // It has ended, and only its parent has not asked yet.
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        Some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    /// It still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// Who answers in the pods, if somebody said so and still runs.
    pub fn responder() -> Option<Self> {
        let bytes = std::fs::read(responder_file()).ok()?;
        serde_json::from_slice(&bytes).ok().filter(Self::is_alive)
    }

    /// This process answers in the pods. Fails where no lab is (any more): the folder is not made for it.
    pub(crate) fn says_it_responds() -> io::Result<()> {
        let own = Self::of(std::process::id()).ok_or_else(|| io::Error::other("/proc does not show this process"))?;
        std::fs::write(responder_file(), serde_json::to_vec(&own)?)
    }
}

fn responder_file() -> PathBuf {
    Path::new(DIRECTORY).join("responder.json")
}

/// The manifests of a lab: what was given to `up`, and policies that were applied since. Read them with the same reader as any
/// other input, then [`Plan::realise`] the result.
pub fn manifests() -> PathBuf {
    Path::new(DIRECTORY).join("manifests")
}

fn file() -> PathBuf {
    Path::new(DIRECTORY).join("state.json")
}

impl State {
    /// What is remembered; `None`: no lab is up.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read() -> io::Result<Option<Self>> {
        match std::fs::read(file()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers this. The file appears whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> io::Result<()> {
        std::fs::create_dir_all(DIRECTORY)?;
        let partial = file().with_extension("partial");
        std::fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(partial, file())
    }

    /// Forgets everything; nothing to forget is no error.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn forget() -> io::Result<()> {
        match std::fs::remove_dir_all(DIRECTORY) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The folder above goes as well, unless another part of the program has something there.
        let _ = Path::new(DIRECTORY).parent().map(std::fs::remove_dir);
        Ok(())
    }
}
