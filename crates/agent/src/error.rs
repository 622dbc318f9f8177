//! Why an agent cannot begin, go on, or be asked.

use std::io;
use watertight_datapath::kernel;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// BPF needs it.
    #[error("the agent needs root: it loads BPF programs")]
    NotRoot,
    /// The source has nothing.
    #[error("no lab is up")]
    NoLab,
    /// The source has no such node.
    #[error("no node `{name}` in the lab")]
    NoNode {
        /// Its name.
        name: String,
    },
    /// Metrics are for this node, not for everyone who can reach it.
    #[error("metrics are not served at every address (`{address}`)")]
    EveryAddress {
        /// As it was given.
        address: std::net::SocketAddr,
    },
    /// Nobody answers.
    #[error("no agent answers at `{socket}`")]
    NotRunning {
        /// The socket, or the folder that has none.
        socket: String,
    },
    /// The kernel's side.
    #[error("node {node}: {source}")]
    Kernel {
        /// Which node.
        node: String,
        /// What went wrong.
        source: kernel::Error,
    },
    /// The lab's side.
    #[error(transparent)]
    Lab(#[from] watertight_lab::LabError),
    /// The API server's side.
    #[error(transparent)]
    Cluster(#[from] Box<watertight_cluster::AccessError>),
    /// The node that this agent guards is not named.
    #[error("which node is this?")]
    WhichNode,
    /// A file, a socket or a program.
    #[error("{what}: {source}")]
    Io {
        /// What was done to what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl AgentError {
    /// What to do about it, in one line.
    pub fn help(&self) -> Option<String> {
        match self {
            AgentError::NotRoot => Some("run it with sudo".to_owned()),
            AgentError::NoLab => Some("`watertight lab up` makes one".to_owned()),
            AgentError::NoNode { .. } => Some("`watertight lab status` lists them".to_owned()),
            AgentError::EveryAddress { address } => {
                Some(format!("name one: `--metrics 127.0.0.1:{}`, or the node's own", address.port()))
            }
            AgentError::NotRunning { .. } => Some("`watertight agent --source lab` starts one".to_owned()),
            AgentError::Kernel { source, .. } => source.help().map(str::to_owned),
            AgentError::Lab(error) => error.help(),
            AgentError::Cluster(error) => Some(error.help()),
            AgentError::WhichNode => Some("name it: --node, or the environment's NODE_NAME".to_owned()),
            AgentError::Io { .. } => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn kernel(node: &str) -> impl FnOnce(kernel::Error) -> Self {
        let node = node.to_owned();
        move |source| Self::Kernel { node, source }
    }
}
