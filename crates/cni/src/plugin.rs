//! The CNI side: a command by environment, a configuration on standard input, a result or an error on standard output.
//!
//! In: what the specification (0.3.1 to 1.1.0) says a chained plugin gets. Out: the result of the plugin before it, byte for byte, or an
//! error. Only the answer "isolated" lets a pod begin; whatever else happens is an error with its reason, unless the configuration
//! says `failOpen`.

use crate::protocol::{DIRECTORY, Gate, Question, Refusal, Reply, ask, socket};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Versions of the specification that are spoken.
pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The longest configuration.
const CONFIGURATION: u64 = 1 << 20;
/// How long the agent may take: longer than it waits for the API server to tell of the pod.
const PATIENCE_MS: u64 = 8_000;

/// Error codes of the specification.
mod code {
    pub(super) const VERSION: u32 = 1;
    pub(super) const ENVIRONMENT: u32 = 4;
    pub(super) const IO: u32 = 5;
    pub(super) const DECODE: u32 = 6;
    pub(super) const CONFIGURATION: u32 = 7;
    pub(super) const TRY_AGAIN: u32 = 11;
    pub(super) const NOT_AVAILABLE: u32 = 50;
    /// Ours: the agent says that the pod is not isolated.
    pub(super) const NOT_ISOLATED: u32 = 100;
}

/// The part of the configuration that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration<'a> {
    #[serde(default)]
    cni_version: String,
    /// Whose agent; without it, the only one on this machine.
    #[serde(default)]
    node: Option<String>,
    /// Where agents listen.
    #[serde(default)]
    directory: Option<PathBuf>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    /// A pod begins also when nobody says that it is isolated.
    #[serde(default)]
    fail_open: bool,
    #[serde(borrow, default)]
    prev_result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    ips: Vec<Address>,
}

#[derive(Deserialize)]
struct Interface {
    name: String,
    #[serde(default)]
    mac: Option<String>,
    #[serde(default)]
    sandbox: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    address: String,
    #[serde(default)]
    interface: Option<usize>,
}

/// The environment, as the specification names it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub command: String,
    /// `CNI_NETNS`.
    pub netns: Option<PathBuf>,
    /// `CNI_IFNAME`.
    pub ifname: Option<String>,
    /// `CNI_ARGS`.
    pub args: String,
}

impl Environment {
    /// Of this process.
    pub fn of_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self {
            command: text("CNI_COMMAND").unwrap_or_default(),
            netns: text("CNI_NETNS").map(PathBuf::from),
            ifname: text("CNI_IFNAME"),
            args: text("CNI_ARGS").unwrap_or_default(),
        }
    }

    /// `K8S_POD_NAME` and its like.
    fn arg(&self, key: &str) -> Option<&str> {
        let pairs = self.args.split(';').filter_map(|p| p.split_once('='));
        pairs.into_iter().find(|(k, v)| *k == key && !v.is_empty()).map(|(_, v)| v)
    }
}

/// What is printed and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For standard output.
    pub stdout: String,
    /// For standard error: what a person should know; may be empty.
    pub stderr: String,
    /// It succeeded.
    pub success: bool,
}

struct Failure {
    code: u32,
    message: String,
    details: String,
}

fn failure(code: u32, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), details: String::new() }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Away(why) => failure(code::TRY_AGAIN, why),
            Refusal::Refused(why) => failure(code::NOT_ISOLATED, why),
        }
    }
}

/// Carries out one command.
pub fn run(environment: &Environment, stdin: impl Read) -> Outcome {
    let mut text = String::new();
    let read = stdin.take(CONFIGURATION).read_to_string(&mut text);
    let read = read.map_err(|e| failure(code::IO, format!("reading the configuration: {e}")));
    let done = read.and_then(|_| command(environment, &text));
    match done {
        Ok((stdout, stderr)) => Outcome { stdout, stderr, success: true },
        // Whatever could go wrong with a pod that ends, it ends.
        Err(f) if environment.command == "DEL" => Outcome { stdout: String::new(), stderr: f.message, success: true },
        Err(f) => {
            let version = serde_json::from_str::<Configuration<'_>>(&text).map(|c| c.cni_version).unwrap_or_default();
            let error = serde_json::json!({
                "cniVersion": if VERSIONS.contains(&version.as_str()) { version.as_str() } else { "1.1.0" },
                "code": f.code,
                "msg": f.message,
                "details": f.details,
            });
            Outcome { stdout: format!("{error}\n"), stderr: String::new(), success: false }
        }
    }
}

fn command(environment: &Environment, text: &str) -> Result<(String, String), Failure> {
    if environment.command == "VERSION" {
        let supported = serde_json::json!({ "cniVersion": "1.1.0", "supportedVersions": VERSIONS });
        return Ok((format!("{supported}\n"), String::new()));
    }
    let configuration: Configuration<'_> = serde_json::from_str(text)
        .map_err(|e| failure(code::DECODE, format!("the configuration is not understood: {e}")))?;
    if !VERSIONS.contains(&configuration.cni_version.as_str()) {
        let message = format!("cniVersion `{}` is not spoken, but {}", configuration.cni_version, VERSIONS.join(", "));
        return Err(failure(code::VERSION, message));
    }
    let nothing = || Ok((String::new(), String::new()));
    match environment.command.as_str() {
        // The device goes away with the pod's namespace, and the agent sees that by itself.
        "DEL" | "GC" => nothing(),
        "ADD" => add(environment, &configuration),
        "CHECK" => add(environment, &configuration).and_then(|_| nothing()),
        "STATUS" => {
            let asked = asked(&configuration, &Question::Status);
            asked.map(drop).map_err(|f| Failure { code: code::NOT_AVAILABLE, ..f }).and_then(|()| nothing())
        }
        other => Err(failure(code::ENVIRONMENT, format!("CNI_COMMAND `{other}` is not known"))),
    }
}

fn asked(configuration: &Configuration<'_>, question: &Question) -> Result<Reply, Failure> {
    let directory = configuration.directory.as_deref().unwrap_or(Path::new(DIRECTORY));
    let patience = Duration::from_millis(configuration.timeout_ms.unwrap_or(PATIENCE_MS).clamp(100, 60_000));
    let socket = socket(directory, configuration.node.as_deref())?;
    Ok(ask(&socket, question, patience)?)
}

fn add(environment: &Environment, configuration: &Configuration<'_>) -> Result<(String, String), Failure> {
    let before = configuration.prev_result.ok_or_else(|| {
        failure(code::CONFIGURATION, "there is no prevResult: this plugin comes after the one that makes the network")
    })?;
    let result = format!("{}\n", before.get());
    let gate = gate(environment, before);
    let asked = gate.and_then(|gate| Ok((asked(configuration, &Question::Gate(gate.clone()))?, gate)));
    match asked {
        Ok((Reply::Isolated(isolated), gate)) => {
            let closed = isolated.closed.map(|why| format!("{}/{} is closed: {why}", gate.namespace, gate.name));
            Ok((result, closed.unwrap_or_default()))
        }
        Ok((Reply::There, _)) => Err(failure(code::NOT_ISOLATED, "the agent answers another question")),
        Err(f) if configuration.fail_open => {
            Ok((result, format!("not isolated, and let through (failOpen): {}", f.message)))
        }
        Err(f) => Err(Failure {
            message: format!("watertight: the pod is not isolated, so it does not start: {}", f.message),
            ..f
        }),
    }
}

fn gate(environment: &Environment, before: &RawValue) -> Result<Gate, Failure> {
    let network: Network = serde_json::from_str(before.get())
        .map_err(|e| failure(code::DECODE, format!("the prevResult is not understood: {e}")))?;
    let missing = |what: &str| failure(code::ENVIRONMENT, format!("{what} is missing"));
    let netns = environment.netns.clone().ok_or_else(|| missing("CNI_NETNS"))?;
    let ifname = environment.ifname.as_deref().ok_or_else(|| missing("CNI_IFNAME"))?;
    let pod = |key: &str| environment.arg(key).map(str::to_owned);
    let inode = std::fs::metadata(&netns)
        .map_err(|e| failure(code::ENVIRONMENT, format!("CNI_NETNS {}: {e}", netns.display())))?
        .ino();
    let inside = |i: &Interface| i.name == ifname && i.sandbox.as_deref().is_some_and(|s| !s.is_empty());
    let own = network.interfaces.iter().position(inside);
    // An address of no interface in particular is the pod's.
    let ours = network.ips.iter().filter(|a| a.interface.is_none() || a.interface == own);
    let addresses = ours
        .map(|a| {
            let ip = a.address.split('/').next().unwrap_or_default();
            ip.parse::<IpAddr>()
                .map_err(|_| failure(code::DECODE, format!("the prevResult's address `{}` is none", a.address)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Gate {
        namespace: pod("K8S_POD_NAMESPACE").ok_or_else(|| missing("K8S_POD_NAMESPACE in CNI_ARGS"))?,
        name: pod("K8S_POD_NAME").ok_or_else(|| missing("K8S_POD_NAME in CNI_ARGS"))?,
        uid: pod("K8S_POD_UID"),
        netns,
        inode,
        ifindex: on_the_node(&network, Path::new("/sys/class/net")),
        mac: own.and_then(|i| network.interfaces[i].mac.clone()),
        addresses,
    })
}

/// The one device of the result on the node's side that is the end of a cable; a bridge is none.
fn on_the_node(network: &Network, sys: &Path) -> Option<u32> {
    let number = |name: &str, what: &str| -> Option<u32> {
        std::fs::read_to_string(sys.join(name).join(what)).ok()?.trim().parse().ok()
    };
    let cable = |name: &str| {
        // A name is a file's name here, and no path.
        let plain = Path::new(name).file_name().and_then(|n| n.to_str()) == Some(name);
        let index = plain.then(|| number(name, "ifindex")).flatten()?;
        (number(name, "iflink")? != index).then_some(index)
    };
    let outside = network.interfaces.iter().filter(|i| i.sandbox.as_deref().is_none_or(str::is_empty));
    let mut found = outside.filter_map(|i| cable(&i.name));
    found.next().filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests;
