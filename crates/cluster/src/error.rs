//! Why a cluster could not be reached or read.
//!
//! One variant per cause, with what a caller needs to act. `Display` is one line for people; [`AccessError::help`] says
//! what to do. INVARIANT: no variant ever holds a credential, a line of a kubeconfig, or what a plugin printed to
//! standard output.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which kubeconfig, which context, which server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The kubeconfig files that were merged; empty in a pod.
    pub files: Vec<PathBuf>,
    /// The context; `in-cluster` in a pod.
    pub context: String,
    /// The server's address, without user information.
    pub server: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            return write!(f, "{} (service account of this pod)", self.server);
        }
        write!(f, "{} (context `{}` of {})", self.server, self.context, Files(&self.files))
    }
}

/// A list of files in backticks.
struct Files<'a>(&'a [PathBuf]);

impl fmt::Display for Files<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, file) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", crate::words::one_line(&file.display().to_string()))?;
        }
        Ok(())
    }
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Not signed by the certificate authority in the kubeconfig (or of this host, if it names none).
    UnknownAuthority,
    /// Its time is over, or has not come.
    Expired,
    /// Made out to another name.
    WrongName,
    /// Something else.
    Other,
}

/// Why a cluster could not be reached or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// None of the files exists.
    NoKubeconfig {
        /// What was looked for.
        tried: Vec<PathBuf>,
    },
    /// A file exists and cannot be read.
    UnreadableKubeconfig {
        /// The file.
        file: PathBuf,
        /// The operating system's reason, or ours (too large, not text, ...).
        why: String,
    },
    /// A file is not YAML, or not a kubeconfig.
    BrokenKubeconfig {
        /// The file.
        file: PathBuf,
        /// 1-based line and column, if known.
        at: Option<(u64, u64)>,
    },
    /// The files hold no context at all.
    EmptyKubeconfig {
        /// The files that were read.
        files: Vec<PathBuf>,
    },
    /// No file names a `current-context` and none was asked for.
    NoCurrentContext {
        /// The files that were read.
        files: Vec<PathBuf>,
        /// Contexts that exist.
        known: Vec<String>,
    },
    /// The context asked for (by flag or by `current-context`) does not exist.
    UnknownContext {
        /// The files that were read.
        files: Vec<PathBuf>,
        /// What was asked for.
        wanted: String,
        /// Contexts that exist.
        known: Vec<String>,
    },
    /// A context names a cluster or a user that does not exist.
    DanglingContext {
        /// The files that were read.
        files: Vec<PathBuf>,
        /// The context.
        context: String,
        /// `cluster` or `user`.
        what: &'static str,
        /// The name that does not exist.
        name: String,
    },
    /// The cluster entry's `server`, certificate authority or proxy is unusable.
    BadCluster {
        /// The files that were read.
        files: Vec<PathBuf>,
        /// The context.
        context: String,
        /// What is wrong.
        why: String,
    },
    /// The user entry's credentials are unusable (a file is missing, not base64, not PEM, ...).
    BadCredentials {
        /// The files that were read.
        files: Vec<PathBuf>,
        /// The context.
        context: String,
        /// What is wrong; never the credential.
        why: String,
    },
    /// The credential plugin is not installed.
    PluginMissing {
        /// The command.
        command: String,
        /// The kubeconfig's `installHint`.
        hint: Option<String>,
        /// The operating system's reason.
        why: String,
    },
    /// The credential plugin failed.
    PluginFailed {
        /// The command.
        command: String,
        /// `exit status: 1`.
        status: String,
        /// The last line it wrote to standard error, tokens cut out.
        said: Option<String>,
    },
    /// The credential plugin did not end in time and was killed.
    PluginTimeout {
        /// The command.
        command: String,
        /// How long it had.
        after: Duration,
    },
    /// The credential plugin printed something that is not a credential.
    PluginGarbage {
        /// The command.
        command: String,
        /// What is wrong; never what it printed.
        why: String,
    },
    /// The server knows the request's credentials not, or no longer (401).
    Unauthorized {
        /// Who was asked.
        place: Place,
    },
    /// The server's certificate is not acceptable.
    Tls {
        /// Who was asked.
        place: Place,
        /// What is wrong with it.
        fault: TlsFault,
        /// In words.
        why: String,
    },
    /// Nobody listens there.
    Refused {
        /// Who was asked.
        place: Place,
    },
    /// The server's name has no address.
    Dns {
        /// Who was asked.
        place: Place,
        /// The host name.
        host: String,
    },
    /// No connection, or no complete answer, in time.
    Timeout {
        /// Who was asked.
        place: Place,
        /// For what: a path.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection failed in another way.
    Connection {
        /// Who was asked.
        place: Place,
        /// In words.
        why: String,
    },
    /// The server refused to do more work, repeatedly (429, 503).
    Overloaded {
        /// Who was asked.
        place: Place,
        /// For what: a path.
        what: String,
        /// The last status code.
        status: u16,
    },
    /// The server answered something that is not what the API promises.
    BadAnswer {
        /// Who was asked.
        place: Place,
        /// For what: a path.
        what: String,
        /// In words.
        why: String,
    },
    /// A snapshot could not be written.
    Save {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        why: String,
    },
    /// This host cannot run the client (no threads, no file descriptors).
    Host {
        /// The operating system's reason.
        why: String,
    },
}

impl AccessError {
    /// A stable name of the variant, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            AccessError::NoKubeconfig { .. } => "kubeconfig-missing",
            AccessError::UnreadableKubeconfig { .. } => "kubeconfig-unreadable",
            AccessError::BrokenKubeconfig { .. } => "kubeconfig-syntax",
            AccessError::EmptyKubeconfig { .. } => "kubeconfig-empty",
            AccessError::NoCurrentContext { .. } => "context-not-set",
            AccessError::UnknownContext { .. } => "context-unknown",
            AccessError::DanglingContext { .. } => "context-dangling",
            AccessError::BadCluster { .. } => "cluster-entry",
            AccessError::BadCredentials { .. } => "credentials",
            AccessError::PluginMissing { .. } => "plugin-missing",
            AccessError::PluginFailed { .. } => "plugin-failed",
            AccessError::PluginTimeout { .. } => "plugin-timeout",
            AccessError::PluginGarbage { .. } => "plugin-output",
            AccessError::Unauthorized { .. } => "unauthorized",
            AccessError::Tls { .. } => "tls",
            AccessError::Refused { .. } => "refused",
            AccessError::Dns { .. } => "dns",
            AccessError::Timeout { .. } => "timeout",
            AccessError::Connection { .. } => "connection",
            AccessError::Overloaded { .. } => "overloaded",
            AccessError::BadAnswer { .. } => "answer",
            AccessError::Save { .. } => "save",
            AccessError::Host { .. } => "host",
        }
    }

    /// What to do about it, in one line.
    pub fn help(&self) -> String {
        match self {
            AccessError::NoKubeconfig { .. } => {
                "name one with --kubeconfig FILE or KUBECONFIG, or work without a cluster: -f DIR, or `watertight demo`"
                    .into()
            }
            AccessError::UnreadableKubeconfig { .. } => {
                "make the file readable, or name another with --kubeconfig".into()
            }
            AccessError::BrokenKubeconfig { .. } => "`kubectl config view` reads the same files".into(),
            AccessError::EmptyKubeconfig { .. } => "name another file with --kubeconfig, or set KUBECONFIG".into(),
            AccessError::NoCurrentContext { known, .. } => {
                let first = known.first().map_or("NAME", String::as_str);
                format!("choose one with --context, or for good: `kubectl config use-context {first}`")
            }
            AccessError::UnknownContext { known, wanted, .. } => match crate::words::nearest(wanted, known) {
                Some(near) => format!("did you mean --context {near}?"),
                None if known.is_empty() => "no file that was read holds a context".into(),
                None => format!("known contexts: {}", known.join(", ")),
            },
            AccessError::DanglingContext { context, .. } => {
                format!("`kubectl config set-context {context}` changes a context's cluster and user")
            }
            AccessError::BadCluster { .. } => {
                "correct the cluster's entry; `kubectl config view --minify` shows it".into()
            }
            AccessError::BadCredentials { .. } => {
                "correct the user's entry; `kubectl config view --minify` shows it".into()
            }
            AccessError::PluginMissing { hint: Some(hint), .. } => hint.clone(),
            AccessError::PluginMissing { hint: None, .. } => "install it, or correct the user's `exec.command`".into(),
            AccessError::PluginFailed { command, .. }
            | AccessError::PluginTimeout { command, .. }
            | AccessError::PluginGarbage { command, .. } => {
                format!("run `{command}` by hand with the arguments in the kubeconfig; you may have to log in again")
            }
            AccessError::Unauthorized { .. } => {
                "the token or certificate is wrong or has expired: log in again, then `kubectl auth whoami`".into()
            }
            AccessError::Tls { fault, .. } => match fault {
                TlsFault::UnknownAuthority => {
                    "the cluster's `certificate-authority` does not fit this server: fetch the kubeconfig again".into()
                }
                TlsFault::Expired => "renew the server's certificate, and check this host's clock".into(),
                TlsFault::WrongName => {
                    "use the name in the certificate, or set `tls-server-name` in the kubeconfig".into()
                }
                TlsFault::Other => "see that `server` is the API server, and not a proxy or another service".into(),
            },
            AccessError::Refused { .. } => "is the cluster running, and is the address right?".into(),
            AccessError::Dns { .. } => "is the address right, and are you on the network (VPN) that knows it?".into(),
            AccessError::Timeout { .. } | AccessError::Connection { .. } => {
                "is the address right, and is no firewall, VPN or proxy in between?".into()
            }
            AccessError::Overloaded { .. } => {
                "try again later, or read a snapshot that was saved before: -f FILE".into()
            }
            AccessError::BadAnswer { .. } => {
                "is `server` the API server? a proxy in between may have cut the answer".into()
            }
            AccessError::Save { .. } => "choose another path".into(),
            AccessError::Host { .. } => "check this process's limits (`ulimit -a`)".into(),
        }
    }
}

impl std::error::Error for AccessError {}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::NoKubeconfig { tried } if tried.is_empty() => {
                write!(f, "no kubeconfig: there is no home directory to look in, and `KUBECONFIG` is not set")
            }
            AccessError::NoKubeconfig { tried } => write!(f, "no kubeconfig: {} not found", Files(tried)),
            AccessError::UnreadableKubeconfig { file, why } => {
                write!(f, "cannot read kubeconfig {}: {why}", Files(std::slice::from_ref(file)))
            }
            AccessError::BrokenKubeconfig { file, at } => {
                write!(f, "kubeconfig {}", Files(std::slice::from_ref(file)))?;
                if let Some((line, column)) = at {
                    write!(f, " line {line}, column {column}")?;
                }
                write!(f, ": not valid YAML, or not the field that belongs there")
            }
            AccessError::EmptyKubeconfig { files } => write!(f, "no context in kubeconfig {}", Files(files)),
            AccessError::NoCurrentContext { files, known } => {
                write!(f, "no `current-context` in kubeconfig {} (contexts: {})", Files(files), known.join(", "))
            }
            AccessError::UnknownContext { files, wanted, known } => {
                write!(f, "no context `{wanted}` in kubeconfig {} (contexts: {})", Files(files), known.join(", "))
            }
            AccessError::DanglingContext { files, context, what, name } => {
                write!(
                    f,
                    "context `{context}` of kubeconfig {} names {what} `{name}`, which does not exist",
                    Files(files)
                )
            }
            AccessError::BadCluster { files, context, why } => {
                write!(f, "cluster of context `{context}` in kubeconfig {}: {why}", Files(files))
            }
            AccessError::BadCredentials { files, context, why } => {
                write!(f, "credentials of context `{context}` in kubeconfig {}: {why}", Files(files))
            }
            AccessError::PluginMissing { command, why, .. } => {
                write!(f, "cannot start credential plugin `{command}`: {why}")
            }
            AccessError::PluginFailed { command, status, said } => {
                write!(f, "credential plugin `{command}` failed ({status})")?;
                said.as_ref().map_or(Ok(()), |said| write!(f, ": {said}"))
            }
            AccessError::PluginTimeout { command, after } => {
                write!(f, "credential plugin `{command}` did not end within {} s and was stopped", after.as_secs_f32())
            }
            AccessError::PluginGarbage { command, why } => {
                write!(f, "credential plugin `{command}` gave no usable credential: {why}")
            }
            AccessError::Unauthorized { place } => write!(f, "{place} refused the credentials (401)"),
            AccessError::Tls { place, why, .. } => write!(f, "the certificate of {place} is not acceptable: {why}"),
            AccessError::Refused { place } => write!(f, "{place} refused the connection"),
            AccessError::Dns { place, host } => write!(f, "the name `{host}` of {place} has no address"),
            AccessError::Timeout { place, what, after } => {
                write!(f, "{place} did not answer `{what}` within {} s", after.as_secs_f32())
            }
            AccessError::Connection { place, why } => write!(f, "no connection to {place}: {why}"),
            AccessError::Overloaded { place, what, status } => {
                write!(f, "{place} is overloaded: it answered `{what}` with {status} again and again")
            }
            AccessError::BadAnswer { place, what, why } => {
                write!(f, "{place} gave an unusable answer to `{what}`: {why}")
            }
            AccessError::Save { file, why } => {
                write!(f, "cannot write snapshot {}: {why}", Files(std::slice::from_ref(file)))
            }
            AccessError::Host { why } => write!(f, "cannot start the client: {why}"),
        }
    }
}
