//! How to reach a cluster: what the user said, and what the process environment says.
//!
//! Input: flags and environment variables. Output: plain values for [`crate::connect`]. Reads no file.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that decides which cluster is asked, as whom, and for how long.
#[derive(Clone, Debug)]
pub struct Access {
    /// `--kubeconfig`: this file and no other.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`: this context instead of `current-context`.
    pub context: Option<String>,
    /// What the process environment says.
    pub environment: Environment,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
}

impl Access {
    /// Access as this process has it, with the two flags of the command line.
    pub fn from_env(kubeconfig: Option<PathBuf>, context: Option<String>) -> Self {
        Self { kubeconfig, context, environment: Environment::of_process(), timeouts: Timeouts::default() }
    }
}

/// The environment variables that matter here, read once (and given by hand in tests).
#[derive(Clone, Default)]
pub struct Environment {
    /// `KUBECONFIG`: a list of files, separated as in `PATH`.
    pub kubeconfig: Option<OsString>,
    /// The home directory; `.kube/config` below it is the default file.
    pub home: Option<PathBuf>,
    /// `KUBERNETES_SERVICE_HOST` is set: the process runs in a pod.
    pub in_cluster: bool,
    /// `HTTPS_PROXY` or `https_proxy`.
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY` or `http_proxy`.
    pub http_proxy: Option<String>,
    /// `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
}

/// A proxy's address may hold a password: only whether one is set is shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("kubeconfig", &self.kubeconfig)
            .field("home", &self.home)
            .field("in_cluster", &self.in_cluster)
            .field("https_proxy", &self.https_proxy.is_some())
            .field("http_proxy", &self.http_proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let text = |upper: &str, lower: &str| {
            let value = std::env::var(upper).or_else(|_| std::env::var(lower)).ok();
            value.filter(|v| !v.is_empty())
        };
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty()),
            home: std::env::home_dir(),
            in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            https_proxy: text("HTTPS_PROXY", "https_proxy"),
            http_proxy: text("HTTP_PROXY", "http_proxy"),
            no_proxy: text("NO_PROXY", "no_proxy"),
        }
    }
}

/// How long to wait for what. Nothing in this crate waits without one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP and TLS connection, and for reading a kubeconfig (it may be a pipe).
    pub connect: Duration,
    /// For one request, answer and body included.
    pub call: Duration,
    /// For a credential plugin (it may want a person to log in).
    pub plugin: Duration,
    /// First pause before a request is repeated; doubled each time.
    pub backoff: Duration,
    /// Most that a server's `Retry-After` is followed.
    pub retry_after: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(60),
            plugin: Duration::from_secs(60),
            backoff: Duration::from_millis(250),
            retry_after: Duration::from_secs(30),
        }
    }
}
