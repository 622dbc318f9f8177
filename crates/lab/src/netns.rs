//! Entering network namespaces, by name, as `ip netns` keeps them.

use crate::error::LabError;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps namespaces.
const DIRECTORY: &str = "/run/netns";

/// The file of a namespace.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Names of all namespaces that begin with a lab's prefix, sorted.
pub(crate) fn ours() -> Result<Vec<String>, LabError> {
    let entries = match std::fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LabError::io(format!("listing {DIRECTORY}"))(error)),
    };
    let mut out: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(crate::PREFIX))
        .collect();
    out.sort();
    Ok(out)
}

/// Runs something in a network namespace. Only the network changes: files, and `/sys/fs/bpf` among them, stay what they are.
/// Sockets that it makes and processes that it starts stay in that namespace.
///
/// # Errors
/// [`LabError::Io`]: there is no such namespace, or it may not be entered.
pub fn within<T: Send>(netns: &str, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
    let file = File::open(path(netns)).map_err(LabError::io(format!("opening the network namespace {netns}")))?;
    // A thread of its own: what is entered is left when it ends, whatever happens inside.
    std::thread::scope(|scope| {
        let entered = scope
            .spawn(move || move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map(|()| work()));
        match entered.join() {
            Ok(result) => result.map_err(|e| LabError::io(format!("entering the network namespace {netns}"))(e.into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
