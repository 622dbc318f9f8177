//! Checks of everything between this host and an answer about a cluster.
//!
//! Input: [`Access`], and the reader of snapshots (this crate understands no object). Output: checks in a fixed order,
//! grouped. Each failed check says what is missing, why, and what to do. Changes nothing anywhere; reads only the kinds
//! that its checks need.

mod host;
mod objects;
mod rights;

use crate::access::Access;
use crate::client::{Client, connect};
use crate::error::AccessError;
use crate::read::{ReadOptions, read_kinds};
use crate::snapshot::Snapshot;
use watertight_model::World;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// In order.
    Ok,
    /// Works, and something will be missing or uncertain.
    Warn,
    /// Does not work.
    Fail,
    /// Could not be found out.
    Unknown,
}

impl Status {
    /// `ok`, `warn`, `fail`, `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Unknown => "unknown",
        }
    }
}

/// What a check is about, in the order of printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Which files, which context.
    Kubeconfig,
    /// The API server.
    Api,
    /// What may be read.
    Rights,
    /// Which network plugin runs, and whether it enforces policies.
    Plugin,
    /// Where flows could come from.
    Flows,
    /// This host.
    Host,
}

impl Group {
    /// The heading, and the key in machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Group::Kubeconfig => "kubeconfig",
            Group::Api => "api",
            Group::Rights => "rights",
            Group::Plugin => "network-plugin",
            Group::Flows => "flows",
            Group::Host => "host",
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is about.
    pub group: Group,
    /// What was checked; stable, and unique within its group.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What was found, in one line.
    pub message: String,
    /// What to do about it; may have several lines (a ClusterRole).
    pub hint: Option<String>,
}

impl Check {
    pub(crate) fn new(group: Group, name: impl Into<String>, status: Status, message: impl Into<String>) -> Self {
        Self { group, name: name.into(), status, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Runs every check that can be run. `world` makes a world of a snapshot (its pages and its info page); if it cannot,
/// it says why.
pub fn doctor(access: &Access, world: impl FnOnce(&Snapshot) -> Result<World, String>) -> Vec<Check> {
    let mut checks = Vec::new();
    match connect(access) {
        Ok(client) => {
            checks.push(kubeconfig(&client));
            checks.push(api(&client));
            checks.push(encryption(&client));
            if let Err(error) = cluster(&client, world, &mut checks) {
                checks.push(Check::new(Group::Api, "reading", Status::Fail, error.to_string()).hint(error.help()));
            }
        }
        Err(error) => checks.extend(unreachable(&error)),
    }
    checks.extend(host::checks(std::path::Path::new("/")));
    // Stable: within a group, the order of the checks stays.
    checks.sort_by_key(|check| check.group);
    checks
}

fn kubeconfig(client: &Client) -> Check {
    let place = client.place();
    let message = if place.files.is_empty() {
        "the service account of this pod".to_owned()
    } else {
        let files: Vec<String> = place.files.iter().map(|f| format!("`{}`", f.display())).collect();
        format!("context `{}` of {}, namespace `{}`", place.context, files.join(", "), client.namespace())
    };
    Check::new(Group::Kubeconfig, "context", Status::Ok, message)
}

fn api(client: &Client) -> Check {
    let server = &client.place().server;
    match client.server_version() {
        Some(version) => Check::new(Group::Api, "reachable", Status::Ok, format!("Kubernetes {version} at {server}")),
        None => Check::new(Group::Api, "reachable", Status::Warn, format!("{server} answers and hides its version")),
    }
}

fn encryption(client: &Client) -> Check {
    if client.verified() {
        let message = if client.place().server.starts_with("http:") {
            "plain http to this host itself: nobody is in between, and nothing is verified"
        } else {
            "the server's identity is verified"
        };
        return Check::new(Group::Api, "identity", Status::Ok, message);
    }
    let message = "the server's identity is not verified: whoever is in between can read the credentials and answer";
    Check::new(Group::Api, "identity", Status::Warn, message)
        .hint("use https, and `certificate-authority` instead of `insecure-skip-tls-verify`")
}

/// The one check that failed, and what could therefore not be checked.
fn unreachable(error: &AccessError) -> Vec<Check> {
    let of_the_file = matches!(
        error,
        AccessError::NoKubeconfig { .. }
            | AccessError::UnreadableKubeconfig { .. }
            | AccessError::BrokenKubeconfig { .. }
            | AccessError::EmptyKubeconfig { .. }
            | AccessError::NoCurrentContext { .. }
            | AccessError::UnknownContext { .. }
            | AccessError::DanglingContext { .. }
            | AccessError::BadCluster { .. }
            | AccessError::BadCredentials { .. }
            | AccessError::PluginMissing { .. }
            | AccessError::PluginFailed { .. }
            | AccessError::PluginTimeout { .. }
            | AccessError::PluginGarbage { .. }
    );
    let (group, name) = if of_the_file { (Group::Kubeconfig, "context") } else { (Group::Api, "reachable") };
    let mut checks = vec![Check::new(group, name, Status::Fail, error.to_string()).hint(error.help())];
    for (skipped, name) in [(Group::Rights, "list"), (Group::Plugin, "enforcement"), (Group::Flows, "sources")] {
        checks.push(Check::new(skipped, name, Status::Unknown, "not checked: no connection to a cluster"));
    }
    checks
}

fn cluster(
    client: &Client,
    world: impl FnOnce(&Snapshot) -> Result<World, String>,
    checks: &mut Vec<Check>,
) -> Result<(), AccessError> {
    checks.extend(rights::checks(client)?);
    let snapshot = read_kinds(client, &ReadOptions::default(), objects::needed, &mut |_, _| {})?;
    match world(&snapshot) {
        Ok(world) => checks.extend(objects::checks(&world)),
        Err(why) => {
            for (group, name) in [(Group::Plugin, "enforcement"), (Group::Flows, "sources")] {
                let message =
                    format!("the objects that were read cannot be understood: {}", crate::words::one_line(&why));
                checks.push(Check::new(group, name, Status::Unknown, message));
            }
        }
    }
    Ok(())
}
