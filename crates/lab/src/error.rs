//! What can go wrong while a lab is made, used or removed.

use std::io;

/// Why a lab could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Network namespaces need CAP_SYS_ADMIN and CAP_NET_ADMIN.
    #[error("a lab needs root: it makes network namespaces")]
    NotRoot,
    /// A program is not there.
    #[error("`{tool}` is not installed")]
    NoTool {
        /// `ip` or `nft`.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// There is one lab at a time.
    #[error("a lab is up already")]
    AlreadyUp,
    /// There is none.
    #[error("no lab is up")]
    NotUp,
    /// A program said no.
    #[error("`{tool}` failed in {netns}: {said}")]
    Tool {
        /// Which.
        tool: &'static str,
        /// The network namespace, or `the host`.
        netns: String,
        /// Its first complaint.
        said: String,
    },
    /// A file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was done to what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What was remembered cannot be read.
    #[error("the lab's state is not readable: {why}")]
    State {
        /// Why.
        why: String,
    },
    /// The responder ended, or never began.
    #[error("the lab's responder did not start: {said}")]
    Responder {
        /// What it said last.
        said: String,
    },
}

impl LabError {
    /// What to do about it, in one line.
    pub fn help(&self) -> Option<String> {
        match self {
            LabError::NotRoot => Some("run it with sudo".to_owned()),
            LabError::NoTool { package, .. } => Some(format!("as root: apt-get install {package}")),
            LabError::AlreadyUp => Some("`watertight lab down` removes it".to_owned()),
            LabError::NotUp => Some("`watertight lab up` makes one".to_owned()),
            LabError::State { .. } | LabError::Responder { .. } => {
                Some("`watertight lab down`, then `watertight lab up`".to_owned())
            }
            LabError::Tool { .. } | LabError::Io { .. } => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
