//! Why an input cannot be read.

use std::io;

/// Why an input cannot be read. `Display` is the one lower-case line for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing is there.
    #[error("`{name}`: no such file or directory")]
    Missing {
        /// The path as the user gave it.
        name: String,
    },
    /// The system refuses.
    #[error("`{name}` cannot be read: {reason}")]
    Unreadable {
        /// The path as the user gave it.
        name: String,
        /// The system's words.
        reason: String,
    },
    /// A FIFO, a socket, a device.
    #[error("`{name}` is {kind}, not a file")]
    NotAFile {
        /// The path as the user gave it.
        name: String,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A link whose target is missing.
    #[error("`{name}` is a link to a file that does not exist")]
    BrokenLink {
        /// The link.
        name: String,
    },
    /// A link that leads to itself.
    #[error("`{name}` is a link that leads back to itself")]
    LinkLoop {
        /// The link.
        name: String,
    },
    /// A link below a directory to somewhere else.
    #[error("`{name}` is a link that leaves the directory")]
    LinkOutside {
        /// The link.
        name: String,
    },
    /// A directory without manifests.
    #[error("`{name}`: no manifests found (.yaml, .yml, .json)")]
    NoManifests {
        /// The directory.
        name: String,
        /// Whether it holds a kustomization.
        kustomize: bool,
    },
    /// A directory that is a Helm chart.
    #[error("`{name}` is a Helm chart: its templates are not manifests until they are rendered")]
    HelmChart {
        /// The directory.
        name: String,
    },
    /// `-` comes twice.
    #[error("`-`: standard input can be read only once")]
    StdinTwice,
    /// Over [`crate::limits::Limits::max_files`].
    #[error("`{name}`: more than {limit} files")]
    TooManyFiles {
        /// The first file past the budget.
        name: String,
        /// The budget.
        limit: usize,
    },
    /// Over [`crate::limits::Limits::max_bytes`].
    #[error("`{name}` is larger than {limit} bytes")]
    TooLarge {
        /// The path as the user gave it.
        name: String,
        /// The budget.
        limit: u64,
    },
}

impl SourceError {
    /// What the system says about `name`.
    pub(super) fn of_io(name: &str, error: &io::Error) -> Self {
        let name = name.to_owned();
        // ELOOP of Linux and macOS; `io::ErrorKind::FilesystemLoop` is not stable yet.
        let eloop = if cfg!(target_os = "linux") { 40 } else { 62 };
        if error.raw_os_error() == Some(eloop) {
            return Self::LinkLoop { name };
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing { name },
            io::ErrorKind::PermissionDenied => Self::Unreadable { name, reason: "permission denied".to_owned() },
            _ => Self::Unreadable { name, reason: error.to_string().to_lowercase() },
        }
    }

    /// The path it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name }
            | Self::Unreadable { name, .. }
            | Self::NotAFile { name, .. }
            | Self::BrokenLink { name }
            | Self::LinkLoop { name }
            | Self::LinkOutside { name }
            | Self::NoManifests { name, .. }
            | Self::HelmChart { name }
            | Self::TooManyFiles { name, .. }
            | Self::TooLarge { name, .. } => name,
            Self::StdinTwice => "-",
        }
    }

    /// A short name of the fault that never changes, for `Diagnostic::code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "no-such-file",
            Self::Unreadable { .. } => "unreadable-file",
            Self::NotAFile { .. } => "not-a-file",
            Self::BrokenLink { .. } => "broken-link",
            Self::LinkLoop { .. } => "link-loop",
            Self::LinkOutside { .. } => "link-outside",
            Self::NoManifests { .. } => "no-manifests",
            Self::HelmChart { .. } => "helm-chart",
            Self::StdinTwice => "stdin-twice",
            Self::TooManyFiles { .. } => "too-many-files",
            Self::TooLarge { .. } => "too-large",
        }
    }

    /// What to do about it, if there is something to say.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotAFile { kind: "a named pipe", .. } => {
                "pipe into standard input instead: `COMMAND | watertight … -f -`".to_owned()
            }
            Self::LinkOutside { .. } => "name the link's target with `-f` of its own".to_owned(),
            Self::NoManifests { name, kustomize: true } => {
                format!("build it first: `kustomize build {name} | watertight … -f -`")
            }
            Self::NoManifests { .. } => {
                "name a file or a directory that holds manifests; a file named with `-f` may have any name".to_owned()
            }
            Self::HelmChart { name } => {
                format!("render it first: `helm template NAME {name} | watertight … -f -`")
            }
            Self::TooLarge { .. } => "split the input into several files".to_owned(),
            Self::TooManyFiles { .. } => "name the directories that hold the manifests".to_owned(),
            Self::Missing { .. }
            | Self::Unreadable { .. }
            | Self::NotAFile { .. }
            | Self::BrokenLink { .. }
            | Self::LinkLoop { .. }
            | Self::StdinTwice => return None,
        })
    }
}
