//! What can go wrong between user space and the kernel, and what to do about it.

use std::path::PathBuf;
use thiserror::Error;

/// Nothing of what was asked for is in force; what was in force before still is.
#[derive(Debug, Error)]
pub enum Error {
    /// The process may not use BPF.
    #[error("the kernel refuses BPF to this process")]
    Privilege,
    /// The directory is not in a BPF file system, so nothing would outlive the process.
    #[error("`{0}` is not in a BPF file system")]
    NotBpfFs(PathBuf),
    /// The kernel lacks something.
    #[error("this kernel has no {0}")]
    Kernel(&'static str),
    /// Maps of another version are pinned there.
    #[error("`{dir}` holds maps of version {found}, this program has {ours}")]
    Version {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        found: u32,
        /// What we have.
        ours: u32,
    },
    /// No such device in this network namespace.
    #[error("no network device has the index {0}")]
    NoDevice(u32),
    /// A call failed.
    #[error("{what}: {source}")]
    Call {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// libbpf failed.
    #[error("{what}: {source}")]
    Bpf {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: libbpf_rs::Error,
    },
    /// What was read back is not what was written.
    #[error("the kernel does not have what was written to {0}")]
    ReadBack(&'static str),
    /// The image does not fit beside the one in force.
    #[error(transparent)]
    Refused(#[from] crate::image::Refused),
}

impl Error {
    /// What to do, as a line that works when pasted, where there is one.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Error::Privilege => Some("run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"),
            Error::NotBpfFs(_) => Some("mount -t bpf bpf /sys/fs/bpf"),
            Error::Kernel(_) => Some("Linux 6.6 or newer with CONFIG_DEBUG_INFO_BTF=y is needed"),
            Error::Version { .. } => Some("uninstall with the version that wrote them, then start this one"),
            Error::NoDevice(_) | Error::Call { .. } | Error::Bpf { .. } | Error::ReadBack(_) | Error::Refused(_) => {
                None
            }
        }
    }

    pub(super) fn call(what: impl Into<String>, source: std::io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Error::Privilege,
            _ => Error::Call { what: what.into(), source },
        }
    }

    pub(super) fn bpf(what: impl Into<String>, source: libbpf_rs::Error) -> Self {
        match source.kind() {
            libbpf_rs::ErrorKind::PermissionDenied => Error::Privilege,
            _ => Error::Bpf { what: what.into(), source },
        }
    }
}
